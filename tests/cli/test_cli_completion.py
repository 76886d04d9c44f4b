"""Completion: scripts for three shells, and names that come from the controller, or not at all, but soon."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.cli_site import run, shown
from tests.fakes.api_server import FakeApi, refusal, worker

HEAVY = ("aiohttp", "pydantic", "sqlalchemy", "yaml")
REPOSITORY = Path(__file__).parents[2]


def completed(api: FakeApi | None, line: str, **env: str) -> list[str]:
    """What is offered at the end of a command line, as bash asks for it."""
    words = line.split(" ")
    request = {"_WORKERCTL_COMPLETE": "bash_complete", "COMP_WORDS": "\n".join(words), "COMP_CWORD": len(words) - 1}
    result = run(api, env={**{name: str(value) for name, value in request.items()}, **env})
    assert (result.exit_code, result.stderr) == (0, "")
    return [offer.partition(",")[2] for offer in result.stdout.splitlines() if offer]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell: str) -> None:
    assert f"_WORKERCTL_COMPLETE={shell}_complete" in shown(None, "completion", shell)


def test_verbs_are_completed_without_importing_them() -> None:
    assert completed(None, "workerctl re") == ["resume", "restart", "reconcile", "render"]
    assert "--server" in completed(None, "workerctl --s")


@pytest.mark.parametrize("verb", ["get", "status", "describe", "logs", "events", "start", "stop", "suspend", "resume"])
def test_names_of_workers_come_from_the_controller(api: FakeApi, verb: str) -> None:
    api.workers = [worker("web"), worker("web-two"), worker("mail")]
    assert completed(api, f"workerctl {verb} we") == ["web", "web-two"]


def test_the_server_on_the_command_line_counts(api: FakeApi) -> None:
    api.workers = [worker("web")]
    assert completed(None, f"workerctl --server {api.url} status w") == ["web"]


def test_where_nothing_answers_rightly_nothing_is_offered(api: FakeApi) -> None:
    api.answers["GET", "/api/v1/workers"] = refusal(401, "this needs a token")
    assert completed(api, "workerctl status w") == []
    api.answers["GET", "/api/v1/workers"] = (200, {"items": [{"name": "no id"}]})
    assert completed(api, "workerctl status w") == []
    assert completed(None, "workerctl status w", WORKERCTL_SERVER="http://127.0.0.1:1") == []
    assert completed(None, "workerctl status w", WORKERCTL_SERVER="ftp://x") == []


def test_a_controller_that_does_not_answer_costs_a_second_at_most() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        begun = time.monotonic()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert completed(None, "workerctl status w", WORKERCTL_SERVER=address) == []
        assert time.monotonic() - begun < 5


def test_fields_of_specs_are_completed_for_explain() -> None:
    assert completed(None, "workerctl explain stop.") == ["stop.signal", "stop.grace_ms", "stop.kill"]


@pytest.mark.parametrize("line", ["workerctl r", "workerctl status w", "workerctl completion b"])
def test_a_press_of_a_key_imports_nothing_heavy(api: FakeApi, line: str) -> None:
    probe = (
        "import sys\nfrom controller.cli.main import root\n"
        "try:\n    root(prog_name='workerctl')\nexcept SystemExit:\n    pass\n"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    words = line.split(" ")
    env = {
        **os.environ, "WORKERCTL_SERVER": api.url, "_WORKERCTL_COMPLETE": "bash_complete",
        "COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1),
    }  # fmt: skip
    done = subprocess.run([sys.executable, "-c", probe], env=env, capture_output=True, text=True, check=True)
    assert done.stderr == "\n"


def test_topics_are_completed_for_help() -> None:
    assert completed(None, "workerctl help pr") == ["processes"]
    assert completed(None, "workerctl help re") == ["reliability", "resume", "restart", "reconcile", "render"]


def test_for_render_the_workers_of_the_files_are_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert completed(None, "workerctl render ") == []
    for folder in ("specs", "others"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.yaml").write_text(f"worker_id: of-{folder}\n")
    assert completed(None, "workerctl render ") == ["of-specs"]
    assert completed(None, "workerctl render --dir others of") == ["of-others"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_itself_completes_with_the_script(api: FakeApi, tmp_path: Path) -> None:
    api.workers = [worker("web"), worker("mail")]
    program = tmp_path / "workerctl"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m controller "$@"\n')
    program.chmod(0o755)
    script = """
        source <(workerctl completion bash)
        COMP_WORDS=(workerctl status w) COMP_CWORD=2
        _workerctl_completion workerctl
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "WORKERCTL_SERVER": api.url}
    done = subprocess.run(
        ["bash", "--norc", "-c", script], env=env, cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("web\n", "")
