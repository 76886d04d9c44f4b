"""Parts of state and runtime folder are lost, or put back from an older copy: under us, or while nothing of ours runs.

Always, with the canaries as witnesses: no worker is restarted, none is started twice, none is left alone; the last good
version of a broken spec file goes on; a stop, a start and a restart that were answered with success hold; orders and
crash restarts work afterwards; no event is stored twice. What may be lost is named by the case.
"""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.e2e.e2e_installation import Installation
from tests.e2e.e2e_processes import eventually, processes_of

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def empty_database() -> None:
    """The program makes its database itself."""


Places = Callable[[Installation], list[Path]]


def state(*names: str) -> Places:
    return lambda site: [site.state / name for name in names]


def runtime(*names: str) -> Places:
    return lambda site: [folder / name for name in names for folder in (site.root / "run/workerctl").iterdir()]


def both(*places: Places) -> Places:
    return lambda site: [path for place in places for path in place(site)]


MARKS = (
    "agent/epoch", "agent/realm", "agent/boot", "agent/runtime", "agent/keeper.lock", "key", "controller.lock",
)  # fmt: skip
# What is lost. Where the agent's folder goes while no agent lives, what had ended is forgotten: it runs once more.
CASES = [
    pytest.param(state("agent"), True, id="agent"),
    pytest.param(state("agent/slots"), False, id="slots"),
    pytest.param(state("agent/journal"), False, id="journal"),
    pytest.param(state(*MARKS), False, id="marks"),
    pytest.param(runtime(""), False, id="runtime"),
    pytest.param(runtime("runs", "slots"), False, id="records"),
    pytest.param(both(state("agent"), runtime("")), True, id="agent and runtime"),
]


def remove(paths: list[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


class Fleet:
    """Workers in every condition that must be remembered, and what is known of them."""

    def __init__(self, site: Installation) -> None:
        self.site = site
        site.add("web", replicas=2)
        site.add("brk")
        site.add("one", "--exit=0", "--after=50")
        site.add("bad", "--exit=3", "--after=50", auto_restart=False)
        site.add("off")
        site.serve()
        site.until_running("web", "brk", "off")
        site.until_status("one", "stopped")
        site.until_status("bad", "error")

    def change(self) -> None:
        """A stop, a restart and a broken file: what an older copy does not know."""
        assert self.site.run("stop", "off", "--wait", "20").code == 0
        assert self.site.run("restart", "brk", "--wait", "20").code == 0
        self.site.write("brk.yaml", "worker_id: brk\ncommand: [\n")
        eventually(lambda: self.site.workers()["brk"]["problems"], told="the file is known to be broken")
        self.note()

    def note(self) -> None:
        self.pids = self.site.until_running("web", "brk")
        self.starts = self._starts()

    def assert_unharmed(self, *, ended_again: bool = False) -> None:
        """As it was; `ended_again`: what had ended has run once more."""
        wanted = {name: count + (ended_again and name in ("one/0", "bad/0")) for name, count in self.starts.items()}
        eventually(lambda: self._starts() == wanted, told=f"{wanted} processes were started")
        eventually(lambda: self.site.living() == self.pids, told=f"no other than {self.pids} live")
        eventually(lambda: self.site.pids("web", "brk") == self.pids, told="they are shown")
        self.site.until_status("off", "stopped")
        assert self._starts() == wanted

    def assert_obeys(self) -> None:
        """An order is carried out, once, by the last good spec; a crash is repaired."""
        assert self.site.run("restart", "brk", "--wait", "20").code == 0
        self.site.until_reborn("web/1", self.site.kill_worker("web/1"))
        assert self.site.until_running("web", "brk")["web/0"] == self.pids["web/0"]
        assert self._starts() == {name: count + (name in ("brk/0", "web/1")) for name, count in self.starts.items()}
        self.note()

    def _starts(self) -> dict[str, int]:
        return {name: len(book.starts) for name, book in self.site.journals().items()}


def told(site: Installation, kind: str) -> set[str]:
    """Of which runs the agent told this; each once."""
    found = [event for event in site.events() if event["actor"] == "agent"]
    keys = [(event["at"], event["type"], event["instance"], event["run"], event["message"]) for event in found]
    assert len(set(keys)) == len(keys), "an event was stored twice"
    return {event["run"] for event in found if event["type"] == kind}


@pytest.mark.parametrize(("lost", "forgets"), CASES)
def test_what_is_lost_costs_no_worker(site: Installation, lost: Places, *, forgets: bool) -> None:
    fleet = Fleet(site)
    fleet.change()
    remove(lost(site))
    fleet.assert_obeys()
    fleet.assert_unharmed()
    site.kill("controller", "agent", "keeper")
    remove(lost(site))
    site.serve()
    fleet.assert_unharmed(ended_again=forgets)
    fleet.note()
    fleet.assert_obeys()
    runs = {start.run for start in site.journal("web/1").starts}
    eventually(lambda: runs <= told(site, "became_running"), told="each start was told")


@pytest.mark.parametrize(("name", "is_alive"), [("agent", True), ("agent", False), ("agent/journal", False)])
def test_an_older_copy_brings_nothing_back(site: Installation, name: str, *, is_alive: bool) -> None:
    fleet = Fleet(site)
    shutil.copytree(site.state / name, site.root / "copy")
    fleet.change()
    site.kill(*(("agent",) if is_alive else ("controller", "agent", "keeper")))
    remove([site.state / name])
    shutil.copytree(site.root / "copy", site.state / name)
    if not is_alive:
        site.serve()
    fleet.assert_unharmed()
    fleet.assert_obeys()
    runs = {start.run for start in site.journal("web/1").starts}
    eventually(lambda: runs <= told(site, "became_running"), told="each start was told")
    if not is_alive:
        assert len(site.events(None, "gap")) == 1


def test_without_last_good_specs_a_broken_file_is_a_hold_and_costs_nothing(site: Installation) -> None:
    fleet = Fleet(site)
    fleet.change()
    site.kill("controller", "agent", "keeper")
    remove(state("last_good", "intents")(site))
    site.serve()
    fleet.assert_unharmed()
    holds = [hold for hold in site.ask("/api/v1/plan").body["holds"] if hold["worker_id"] == "brk"]
    assert {hold["reason"] for hold in holds} <= {"NoSpec", "SpecInvalid"} != set()
    site.until_reborn("brk/0", site.kill_worker("brk/0"))
    site.write("brk.yaml", site.spec("brk"))
    site.until_running("brk")


def test_a_restart_that_was_acknowledged_is_done_once_whatever_else_is_lost(site: Installation) -> None:
    """The wish is durable and its controller dies; database and the agent's folder are gone at the next start."""
    site.add("web")
    site.serve(WORKERCTL_FAIL="controller.after_intent=kill")
    before = site.until_running("web")
    site.run("restart", "web")
    site.ended(code=-signal.SIGKILL)
    site.kill("agent", "keeper")
    remove([*state("agent")(site), *site.state.glob("workerctl.db*")])
    site.serve()
    after = site.until_reborn("web/0", before["web/0"])
    site.kill("controller")
    site.serve()
    assert site.until_running("web") == {"web/0": after} == site.living()
    assert len(site.journal("web/0").starts) == 2


def test_the_whole_state_directory_may_go_under_us(site: Installation) -> None:
    """All memory of ours is gone, what is wanted stands in the specs, what lives is known by itself."""
    site.add("web", replicas=2)
    site.serve()
    before = site.until_running("web")
    remove([site.state])
    assert site.run("restart", "web", "--wait", "30").code == 0
    after = site.until_running("web")
    site.kill("controller")
    remove([site.state])
    site.serve()
    assert site.until_running("web") == after == site.living()
    site.until_reborn("web/0", site.kill_worker("web/0"))
    assert {name: len(book.starts) for name, book in site.journals().items()} == {"web/0": 3, "web/1": 2}
    assert before.keys() == after.keys()


def is_unready(site: Installation) -> bool:
    with suppress(OSError):  # it does not listen yet
        return site.ask("/readyz").status == 503
    return False


@pytest.mark.parametrize("how", ["deleted", "replaced by an older copy", "damaged while nobody ran"])
def test_the_database_may_go_at_any_time(site: Installation, how: str) -> None:
    """Orders are carried out without it. What the agent's journal has is told once, also what the lost file had."""
    site.add("web")
    site.serve()
    site.until_running("web")
    path = site.state / "workerctl.db"
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(site.root / "copy.db")) as copy:
        source.backup(copy)
    assert site.run("restart", "web", "--wait", "20").code == 0
    if how == "deleted":
        remove([*site.state.glob("workerctl.db*")])
    elif how == "replaced by an older copy":
        (site.root / "copy.db").rename(path)
    else:
        site.kill("controller")
        remove([*site.state.glob("workerctl.db-*")])
        path.write_bytes(b"no database at all" * 1000)
        site.serve(ready=False)
        eventually(lambda: "going on without the database" in site.log(), told="it is said")
        eventually(lambda: is_unready(site), told="it is not ready")
    assert site.run("restart", "web", "--wait", "20").code == 0
    if how == "damaged while nobody ran":
        assert "move it away" in site.log()
        path.rename(site.root / "damaged.db")
    eventually(site.is_ready, told="it is ready again")
    runs = {start.run for start in site.journal("web/0").starts}
    assert len(runs) == 3
    for _ in range(2):
        eventually(lambda: runs <= told(site, "became_running"), told="each start was told")
        site.kill("controller")
        site.serve()
    site.until_running("web")
    assert {start.run for start in site.journal("web/0").starts} == runs


def test_a_copy_of_the_state_directory_leaves_the_original_alone(site: Installation) -> None:
    """It has an agent of its own, which starts what the copy says; either ends without the other."""
    site.write("web.yaml", "worker_id: web\ncommand: [sleep, '600']\n")
    site.serve()
    before = site.until_running("web")
    shutil.copytree(site.state, site.root / "state2")
    first = site.controller
    assert first is not None
    log = (site.root / "second.log").open("wb")
    command = site.serve_command("--listen", f"unix:{site.root}/second.sock")
    command[command.index(str(site.state))] = str(site.root / "state2")
    second = subprocess.Popen(command, stdout=log, stderr=log, env=site.environment(), start_new_session=True)
    try:
        eventually(lambda: len(sleepers(site)) == 2, told="the copy has a worker of its own")
        assert before["web/0"] in sleepers(site)
    finally:
        second.send_signal(signal.SIGTERM)
        assert second.wait(30) == 0
        log.close()
    assert sleepers(site) == [before["web/0"]]
    assert (first.poll(), site.pids(), site.run("restart", "web", "--wait", "20").code) == (None, before, 0)


def sleepers(site: Installation) -> list[int]:
    return [one.pid for one in processes_of(str(site.root)) if one.command.startswith("sleep 600")]
