"""What released builds left on the disk is read by this one, file by file: an upgrade forgets nothing.

When one of these fails, an upgrade would lose what is in that file. Do not change the golden files; mend the code, or
read both forms. They are made by make_golden_state.py, once per form that was released.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from controller.agent import build
from controller.agent.flusher import Flusher
from controller.agent.journal import Event, Journal
from controller.agent.marks import Marks
from controller.agent.records import Records, Stamp
from controller.agent.runs import Records as RunRecords
from controller.agent.states import Phase
from controller.core.keeps import Clocks
from controller.reconcile.state import open_state_dir
from controller.reconcile.wishes import WishBook
from controller.sources.last_good import LastGoodFiles
from controller.store import open_store
from tests.upgrade.make_golden_state import GOLDEN, rows

PHASES = {
    "web/0": Phase.RUNNING, "web/1": Phase.RUNNING, "brk/0": Phase.RUNNING, "off/0": Phase.IDLE,
    "one/0": Phase.COMPLETED, "bad/0": Phase.FAILED,
}  # fmt: skip


class Golden:
    """A copy of one golden state, to be read."""

    def __init__(self, source: Path, folder: Path) -> None:
        shutil.copytree(source, folder, dirs_exist_ok=True)
        (folder / "state").chmod(0o700)
        self.state, self.runtime, self.database = folder / "state", folder / "runtime", folder / "state/workerctl.db"
        self.facts: dict[str, Any] = json.loads((folder / "facts.json").read_text())
        self.boot = str(self.facts["boot_id"])
        # Its journal is where it was, as far as it can tell: a copy would go on under another name.
        journal = self.state / "agent/journal"
        self.journal_id, _, floor = (journal / "id").read_text().split()
        (journal / "id").write_text(f"{self.journal_id} {journal.stat().st_dev}:{journal.stat().st_ino} {floor}")
        with contextlib.closing(sqlite3.connect(self.database)) as database:
            database.executescript((folder / "database.sql").read_text())


@pytest.fixture(params=sorted(GOLDEN.iterdir()), ids=lambda path: path.name)
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Golden:
    return Golden(request.param, tmp_path)


def test_the_state_directory_opens_with_the_realm_and_key_it_had(golden: Golden) -> None:
    realm, key = (golden.state / "realm_id").read_text(), (golden.state / "key").read_bytes()
    opened = open_state_dir(golden.state)
    opened.close()
    assert (opened.realm_id, opened.key, build.complaint(str(golden.state / "agent"))) == (realm, key, "")


async def test_the_agent_knows_whose_it_is_and_what_was_wanted_and_how_it_stood(golden: Golden) -> None:
    agent, flusher = golden.state / "agent", Flusher()
    marks = Marks(str(agent), golden.boot, flusher)
    stamp = Stamp(golden.boot, golden.journal_id)
    loaded = Records(str(agent / "slots"), str(golden.runtime / "slots"), stamp, flusher).load()
    await flusher.close()
    assert (marks.realm, marks.epoch, marks.is_adjourned) == ((golden.state / "realm_id").read_text(), 1, False)
    assert loaded.quarantined == []
    assert {name: kept.slot.phase for name, kept in loaded.slots.items()} == PHASES
    assert (set(loaded.tombstones), loaded.slots["web/0"].slot.run_number) == ({"gone/0"}, 2)


async def test_after_a_reboot_what_is_wanted_is_known_from_the_durable_half_alone(golden: Golden) -> None:
    agent, flusher = golden.state / "agent", Flusher()
    shutil.rmtree(golden.runtime)
    loaded = Records(str(agent / "slots"), str(golden.runtime), Stamp("another boot", "j"), flusher).load()
    await flusher.close()
    ended = {name: kept.slot.phase for name, kept in loaded.slots.items() if kept.slot.phase is Phase.COMPLETED}
    assert (loaded.quarantined, set(loaded.slots), ended) == ([], set(PHASES), {"one/0": Phase.COMPLETED})


def test_the_keeper_finds_the_runs_that_live(golden: Golden) -> None:
    runs, complaints = RunRecords(str(golden.runtime / "runs"), golden.boot).load()
    assert (complaints, sorted(run.slot for run in runs if run.exited is None)) == ([], golden.facts["living"])


async def test_all_events_of_the_journal_are_read(golden: Golden) -> None:
    folder, flusher = golden.state / "agent/journal", Flusher()
    names = sorted(folder.glob("*.jsonl"))
    count = sum(len(path.read_text().splitlines()) for path in names)
    published: list[Event] = []
    journal = Journal(str(folder), golden.boot, flusher, published.append)
    events = journal.read(journal.journal_id, 0, limit=10_000)
    await flusher.close()
    journal.close()
    assert journal.journal_id == golden.journal_id
    assert ([event["seq"] for event in events], "gap" in {event["type"] for event in events}) == (
        list(range(1, count + 1)), False,
    )  # fmt: skip


def test_last_good_specs_are_read(golden: Golden) -> None:
    memory, root = LastGoodFiles(str(golden.state / "last_good")).load()
    assert set(memory.workers) == set(golden.facts["status"])
    assert root is not None
    assert not list((golden.state / "last_good").glob("*.bad"))


def test_live_wishes_are_read(golden: Golden) -> None:
    (path,) = (golden.state / "intents").glob("keep-*.json")
    keep = json.loads(path.read_text())["keep"]
    clocks = Clocks(wall=keep["at"] + 1, boot_id=keep["boot_id"], boot_s=keep["boot_until"] - 60)
    found = WishBook(golden.state / "intents", lambda: clocks).intents.keeps["off"]
    assert (found.wanted, found.reason, found.until > keep["at"]) == ("stopped", "golden", True)


def test_the_database_is_brought_to_the_newest_schema_with_all_its_rows(golden: Golden) -> None:
    open_store(str(golden.database)).close()
    assert rows(golden.database) == golden.facts["rows"]
