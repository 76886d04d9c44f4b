"""Events that were noted in a slot's record: told by the next agent if the journal lacks them, and never twice."""

from __future__ import annotations

from pathlib import Path

from controller.agent.flusher import Flusher
from controller.agent.journal import Journal
from controller.agent.records import Records, Stamp
from controller.agent.states import Emit, Now, Phase, Slot
from controller.agent.untold import EventValue, Note, event_value, note_from, note_of, still_untold
from tests.agent.agent_builders import wish

STARTED = event_value("web/0", Emit("started", "started as pid 7", "r1", "", {"pid": 7}), Now(1.0, 2.5))
EXITED = event_value("web/0", Emit("exited", "exited with code 1 after 3.0 s", "r1", "exited", {}), Now(4.0, 5.5))


class Told:
    """A journal that is closed and opened again, as by one agent after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.flusher = Flusher()
        self.journal = self.open()

    def open(self) -> Journal:
        return Journal(str(self.folder / "journal"), "b1", self.flusher, lambda _event: None)

    def append(self, *events: EventValue) -> None:
        for event in events:
            self.journal.append(event, mono=1.0)

    async def untold(self, *notes: Note | None) -> list[EventValue]:
        """What the next agent has to tell."""
        await self.flusher.flushed()
        self.journal.close()
        self.journal = self.open()
        return list(still_untold(self.journal, [note for note in notes if note is not None]))

    async def close(self) -> None:
        await self.flusher.close()
        self.journal.close()


async def test_what_was_noted_and_not_journalled_is_told_once(tmp_path: Path) -> None:
    told = Told(tmp_path)
    told.append(event_value(None, Emit("host_rebooted", "", None, "", {}), Now(0.0, 1.0)))
    note = note_of(told.journal, [STARTED])
    assert await told.untold(note) == [STARTED]
    told.append(STARTED)
    assert await told.untold(note) == []
    await told.close()


async def test_of_two_noted_events_only_that_which_is_missing_is_told_the_oldest_first(tmp_path: Path) -> None:
    told = Told(tmp_path)
    other = {**STARTED, "slot": "web/1", "at": 9.5}
    notes = [note_of(told.journal, [other]), note_of(told.journal, [STARTED, EXITED])]
    told.append(STARTED)
    assert await told.untold(*notes) == [EXITED, other]
    await told.close()


async def test_where_the_journal_is_another_one_or_keeps_too_little_nothing_is_told(tmp_path: Path) -> None:
    told = Told(tmp_path)
    told.append(STARTED)
    note = note_of(told.journal, [EXITED])
    assert note is not None
    assert await told.untold(note._replace(journal_id="0" * 16)) == []
    assert await told.untold(note._replace(after=99)) == []
    told.append(STARTED, STARTED)
    await told.flusher.flushed()
    first = next((tmp_path / "journal").glob("*.jsonl"))
    first.rename(first.with_name("0000000000000003.jsonl"))
    kept = tmp_path / "journal/0000000000000003.jsonl"
    kept.write_text("".join(kept.read_text().splitlines(keepends=True)[2:]))
    assert await told.untold(note) == []
    await told.close()


async def test_a_note_goes_with_the_record_and_one_that_does_not_read_costs_no_record(tmp_path: Path) -> None:
    told = Told(tmp_path)
    slot = Slot(name="web/0", wish=wish(1), phase=Phase.RUNNING, run="r1")
    records = Records(str(tmp_path / "durable"), str(tmp_path / "runtime"), Stamp("b1", "j1"), told.flusher)
    note = note_of(told.journal, [STARTED])
    records.save_runtime(slot, note)
    assert records.load().notes == [note]
    records.save_runtime(slot, note_of(told.journal, []))
    assert (records.load().notes, sorted(records.load().slots)) == ([], ["web/0"])
    broken: tuple[object, ...] = (None, [], {"journal_id": 1}, {"journal_id": "x", "after": 1, "events": [{"at": 1}]})
    assert [note_from(value) for value in broken] == [None] * 4
    await told.close()
