"""The agent's floor is Python 3.9: keeper and agent under a real one, where one is present."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.agent_builders import slot
from tests.agent.agent_site import Site, eventually

ROOT = Path(__file__).parents[2]


def oldest_python() -> str | None:
    """A Python 3.9 that starts, or None."""
    found = [shutil.which("python3.9"), *map(str, Path.home().glob(".pyenv/versions/3.9.*/bin/python3.9"))]
    for candidate in filter(None, found):
        asked = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False)
        if asked.stdout.startswith("Python 3.9"):
            return candidate
    return None


@pytest.fixture
def interpreter(tmp_path: Path) -> str:
    """An environment of Python 3.9 that sees this checkout and nothing else."""
    python = oldest_python()
    if python is None:
        pytest.skip("no Python 3.9 on this machine")
    subprocess.run([python, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    packages = next((tmp_path / "venv" / "lib").glob("python3.9/site-packages"))
    (packages / "checkout.pth").write_text(f"{ROOT}\n")
    return str(tmp_path / "venv" / "bin" / "python")


@pytest.fixture
def site() -> Iterator[Site]:
    found = Site()
    yield found
    found.close()


def test_a_worker_lives_through_the_death_of_an_agent_under_python_3_9(interpreter: str, site: Site) -> None:
    site.paths.prepare()
    command = [interpreter, "-I", "-m", "controller.agent", "keeper", site.paths.state, "--detach"]
    subprocess.run(command, env={**os.environ, "XDG_RUNTIME_DIR": site.run}, check=True)
    client = site.client()
    assert client.apply(slot("web/0"))[0]["ok"]
    eventually(lambda: client.views()["web/0"]["status"] == "running")
    before = site.pids()

    site.kill(client.hello["agent_pid"])
    after = site.client(not_agent=client.hello["agent_pid"])

    assert after.views()["web/0"]["status"] == "running"
    assert site.pids() == before
