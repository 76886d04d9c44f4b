"""Another build takes over what runs: the agent becomes one of its own, and no worker notices.

The other build is the package with its protocol number raised by one; the way back is the downgrade. Killed in the
middle, and refused where the files are in a form that the older build cannot read.
"""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from pathlib import Path

import pytest

from controller.agent import build, protocol
from tests.e2e.e2e_builds import other_build
from tests.e2e.e2e_installation import Installation
from tests.e2e.e2e_processes import process

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

WORKERS = 50
WRITERS = ("w00", "w07", "w49")
HIGHER = {"agent/protocol.py": (r"^VERSION = \d+$", f"VERSION = {protocol.VERSION + 1}")}
NAMES = [f"w{number:02}" for number in range(WORKERS)]


@pytest.fixture(scope="module")
def higher(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A build whose protocol number is one higher."""
    return other_build(tmp_path_factory.mktemp("higher"), HIGHER)


@pytest.fixture
def crowd(site: Installation) -> Installation:
    """Fifty workers, some of which write lines all the while, and one has a child in a session of its own."""
    for name in NAMES:
        lines = ["--lines=100000", "--every=20"] if name in WRITERS else []
        site.add(name, *lines, *(["--child-setsid"] if name == WRITERS[1] else []))
    site.serve()
    site.until_running(*NAMES, patience_s=90)
    return site


def doctor_says(site: Installation) -> str:
    """The level of its line about the running agent's build."""
    checks = json.loads(site.run("doctor", "--state-dir", str(site.state), "-o", "json").out)["items"]
    return next(str(check["level"]) for check in checks if check["name"] == "agent build")


def program_of(site: Installation, role: str) -> str:
    """With which interpreter the role runs now."""
    found = process(site.pid_of(role))
    assert found is not None
    return found.command.split(" ")[0]


def change_to(site: Installation, program: list[str]) -> None:
    """The controller ends and leaves the workers; another build begins."""
    site.kill("controller")
    site.program = program
    assert doctor_says(site) == "warn"
    site.serve()
    assert doctor_says(site) == "ok"


def numbered(site: Installation, name: str) -> tuple[list[str], int]:
    """What the database has of a worker's output, in its order, and how many lines the worker has written."""
    with contextlib.closing(sqlite3.connect(site.state / "workerctl.db")) as database:
        query = "SELECT kind, text FROM worker_logs WHERE worker_id = ? AND kind IN ('line', 'gap') ORDER BY id"
        rows = database.execute(query, (name,))
        stored = [text[:13] if kind == "line" else f"{kind}: {text}" for kind, text in rows]
    said = re.findall(r" wrote (\d+) ", (site.slots / f"{name}-0.journal").read_text())
    return stored, int(said[-1])


def test_a_build_with_another_protocol_takes_over_fifty_workers_and_gives_them_back(
    crowd: Installation, higher: list[str]
) -> None:
    """Forth and back: same pids, no restart, each line once; crashes are told and repaired in between."""
    site, ours = crowd, crowd.program
    before, keeper = site.living(), site.pid_of("keeper")
    agents = [site.pid_of("agent")]
    for program in (higher, ours):
        change_to(site, program)
        assert site.until_running(*NAMES, patience_s=60) == before == site.living()
        agents.append(site.pid_of("agent"))
        assert site.pid_of("keeper") == keeper
        interpreter = program_of(site, "agent")
        assert interpreter == program_of(site, "keeper")
        assert (interpreter == higher[0]) is (program is higher)
        site.until_reborn("w13/0", site.kill_worker("w13/0"))
        before = site.until_running(*NAMES)
    assert len(set(agents)) == len(agents) == 3
    causes = [event["cause"] for event in site.events("w13", "exited")]
    assert causes == ["signaled"] * 2, "the new keeper is the parent of what the old one started"
    books = site.journals()
    assert {name for name, book in books.items() if len(book.starts) != 1} == {"w13/0"}
    assert not any(book.signals for book in books.values())
    site.stop()
    for name in WRITERS:
        stored, count = numbered(site, name)
        assert stored == [f"line {number:08d}" for number in range(1, count + 1)]


def test_a_kill_in_the_middle_of_an_upgrade_costs_nothing(site: Installation, higher: list[str]) -> None:
    """The agent has left, and the keeper dies before it becomes the other build."""
    site.add("web")
    site.serve(WORKERCTL_FAIL="keeper.before_renewal=kill")
    before = site.until_running("web")
    keeper = site.pid_of("keeper")
    change_to(site, higher)
    assert site.until_running("web") == before == site.living()
    assert site.pid_of("keeper") != keeper
    assert program_of(site, "keeper") == program_of(site, "agent") == higher[0]
    site.until_reborn("web/0", site.kill_worker("web/0"))
    site.stop()


def test_an_older_build_leaves_files_alone_that_it_cannot_read(site: Installation, tmp_path: Path) -> None:
    """Refused before anything is touched, whether the newer agent runs or not; doctor says so. The newer goes on."""
    later = other_build(tmp_path, {**HIGHER, "agent/build.py": (r"^FORM = \d+$", f"FORM = {build.FORM + 1}")})
    site.add("web")
    ours, site.program = site.program, later
    site.serve()
    before = site.until_running("web")
    site.kill("controller")
    site.program = ours
    told = site.run(*site.serve_command()[len(ours) :])
    assert (told.code, "was written by a newer workerctl (form 2; this one reads up to 1)" in told.err) == (1, True)
    assert site.living() == before
    site.program = later
    site.serve()
    assert site.until_running("web") == before
    site.stop()
