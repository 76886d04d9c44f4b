"""The image of deploy/Dockerfile, built by a real engine and run: what a container keeps, and where the promise ends.

One engine, one image, one container in several lives. Without Docker all of this is skipped, and fails in CI.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import e2e_docker
from tests.e2e.e2e_processes import Journal, eventually, journal

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900), pytest.mark.xdist_group("docker")]

REPOSITORY = Path(__file__).parents[2]
INTERPRETER = "/opt/workerctl/bin/python"
CANARY = Path(__file__).with_name("canary.py")
IMAGE = "workerctl-test"

# Prints [pid, state, command line] of all processes.
LOOK = """
import glob, json
found = []
for path in glob.glob("/proc/[0-9]*"):
    try:
        with open(path + "/stat") as stat, open(path + "/cmdline") as line:
            found.append([int(path[6:]), stat.read().rpartition(")")[2].split()[0], line.read().replace(chr(0), " ")])
    except OSError:
        pass
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[e2e_docker.Engine]:
    if lacking := e2e_docker.missing():
        (pytest.fail if "CI" in os.environ else pytest.skip)(lacking)
    made = e2e_docker.Engine()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def image(engine: e2e_docker.Engine, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Built as the Dockerfile says, from a copy of the repository beside which the packages lie that pip needs."""
    context = tmp_path_factory.mktemp("context")
    for name in ("controller", "migrations", "deploy"):
        shutil.copytree(REPOSITORY / name, context / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, context)
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    needed = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    constraints = str(REPOSITORY / "tests/constraints.txt")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--constraint", constraints]
    command += ["--dest", str(context / "wheels"), *needed]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=300)
    base = f"BASE={engine.base_image()}"
    pip = "PIP_ARGS=--no-index --find-links=/src/wheels"
    engine(
        "build", "--quiet", "--network=none", "--build-arg", base, "--build-arg", pip, "--tag", IMAGE,
        "--file", str(context / "deploy/Dockerfile"), str(context),
    )  # fmt: skip
    return IMAGE


class Container:
    """The controller in a container, with specs and the canaries' folder of the host's."""

    def __init__(self, engine: e2e_docker.Engine, image: str, root: Path) -> None:
        self._engine, self.slots, self._specs = engine, root / "slots", root / "specs"
        for folder in (self.slots, self._specs):
            folder.mkdir(mode=0o777)
            folder.chmod(0o777)
        for parent in (root, *root.parents[:3]):
            parent.chmod(parent.stat().st_mode | 0o011)
        shutil.copy(CANARY, root / "canary.py")
        self.add("web")
        self.id = engine.run(
            "--volume", f"{self._specs}:/etc/workerctl/specs", "--volume", f"{self.slots}:/slots",
            "--volume", f"{root / 'canary.py'}:/canary.py:ro", "--health-interval=1s", image,
        )  # fmt: skip

    def add(self, name: str, *options: str) -> None:
        """The spec of a canary."""
        command = json.dumps([INTERPRETER, "-I", "-S", "/canary.py", "/slots", *options])
        text = f"worker_id: {name}\ncommand: {command}\nstart_grace_ms: 200\nstop: {{grace_ms: 8000}}\n"
        (self._specs / f"{name}.yaml").write_text(text)

    def inside(self, *command: str) -> str:
        """A command in it."""
        return self._engine("exec", self.id, *command)

    def state(self) -> dict[str, Any]:
        """What the engine says of it."""
        return dict(json.loads(self._engine("inspect", "--format", "{{json .State}}", self.id)))

    def journal(self, name: str) -> Journal:
        return journal(self.slots / f"{name}-0.journal")

    def until_lives(self, name: str, lives: int) -> None:
        """Wait until it has begun its n-th life."""
        try:
            eventually(lambda: len(self.journal(name).starts) == lives, 120, told=f"{name} lives for the {lives}. time")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self._engine.output(self.id)}\n{self.state()}") from None

    def until_shown(self, *names: str) -> None:
        """Wait until the program says that these, and no others, run."""

        def shown() -> list[tuple[str, str]]:
            items = json.loads(self.inside("workerctl", "get", "-o", "json"))["items"]
            return sorted((item["worker_id"], item["status"]) for item in items)

        eventually(lambda: shown() == [(name, "running") for name in sorted(names)], 120, told=f"{names} are shown")

    def processes(self) -> dict[int, tuple[str, str]]:
        """All of them by pid: state and command line."""
        rows: list[tuple[int, str, str]] = json.loads(self.inside("python3", "-c", LOOK))
        return {pid: (state, command) for pid, state, command in rows}

    def pid_of(self, words: str) -> int:
        """The one process whose command line has these."""

        def found() -> int | None:
            pids = [pid for pid, (state, command) in self.processes().items() if words in command and state != "Z"]
            return pids[0] if len(pids) == 1 else None

        return eventually(found, told=f"one {words} runs")


def test_a_container_has_several_lives(engine: e2e_docker.Engine, image: str, tmp_path: Path) -> None:
    box = Container(engine, image, tmp_path)
    box.until_lives("web", 1)
    eventually(lambda: box.state()["Health"]["Status"] == "healthy", 120, told="the engine calls it healthy")
    assert box.inside("python3", "-c", "import os; print(os.getuid())") == "10001"
    keeper, agent, worker = box.pid_of("agent keeper"), box.pid_of("agent agent"), box.journal("web").starts[0].pid

    # A killed keeper: its orphans are PID 1's, which reaps them; the worker goes on and is supervised.
    box.inside("python3", "-c", f"import os; os.kill({keeper}, 9)")
    eventually(lambda: box.pid_of("agent keeper") == agent, told="the agent is the keeper")
    assert len(box.journal("web").starts) == 1
    box.inside("python3", "-c", f"import os; os.kill({worker}, 9)")
    box.until_lives("web", 2)
    eventually(lambda: "Z" not in {state for state, _ in box.processes().values()}, told="no zombie is left")

    # `docker stop`: a graceful end within each worker's grace.
    engine("stop", "--time", "60", box.id)
    assert (box.state()["ExitCode"], box.state()["OOMKilled"]) == (0, False)
    book = box.journal("web")
    assert ([number for _, number in book.signals], [code for _, code in book.exits]) == ([signal.SIGTERM], [0])

    # `docker start`: another pid namespace in the same boot. What is on record is another's by now.
    engine("start", box.id)
    box.until_lives("web", 3)
    box.until_shown("web")

    # `docker kill`: the kernel takes all with PID 1; nothing is asked. The next life begins anew and runs each once.
    engine("kill", box.id)
    assert box.state()["ExitCode"] == 137
    box.add("more")
    engine("start", box.id)
    box.until_lives("web", 4)
    box.until_lives("more", 1)
    books = [box.journal("web"), box.journal("more")]
    assert [(len(book.starts), book.doubles) for book in books] == [(4, 0), (1, 0)]
    assert [number for _, number in books[0].signals] == [signal.SIGTERM], "no stranger and no new one was signalled"
    engine("stop", "--time", "60", box.id)
    assert box.state()["ExitCode"] == 0
