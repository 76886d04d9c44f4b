"""Events that a kill between a slot's record and the journal would lose: noted in the one, told by the next agent.

The runtime half of a slot's record holds the events of the very step that it was written for, and how far the journal
had come on the disk (`Note`). They are journalled right after it. An agent that starts tells those of them that the
journal does not hold, once: the same event has the same slot, run, type and time. Where the journal is another one, or
no longer keeps what came after the note, nobody can tell whether an event was told, and it is not told again.

Called by fleet.py, which writes notes with each step and tells at its start what is still untold.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Optional

from .journal import Journal
from .states import Emit, Now

EventValue = dict[str, Any]


class Note(NamedTuple):
    """Events of one step, and the number of the last event on the disk when they were noted."""

    journal_id: str
    after: int
    events: list[EventValue]


def event_value(slot: Optional[str], event: Emit, now: Now) -> EventValue:
    """An event as the journal takes it."""
    return {
        "at": now.wall, "type": event.type, "slot": slot, "run": event.run, "cause": event.cause,
        "message": event.message, "data": event.data,
    }  # fmt: skip


def note_of(journal: Journal, events: list[EventValue]) -> Optional[Note]:
    """What a record says of the events that are journalled next; None where there are none."""
    return Note(journal.journal_id, journal.written_seq, events) if events else None


def note_from(value: object) -> Optional[Note]:
    """Read a record's note. One that does not read costs at most an event, never the record."""
    if not isinstance(value, Mapping):
        return None
    journal_id, after, events = value.get("journal_id"), value.get("after"), value.get("events")
    if not (isinstance(journal_id, str) and isinstance(after, int) and isinstance(events, list)):
        return None
    is_whole = all(isinstance(event, dict) and {"at", "type", "slot", "run"} <= event.keys() for event in events)
    return Note(journal_id, after, events) if is_whole else None


def still_untold(journal: Journal, notes: Iterable[Note]) -> Iterator[EventValue]:
    """The noted events that the journal does not hold, oldest first. To be asked before anything is appended."""
    ours = [note for note in notes if note.journal_id == journal.journal_id and note.after <= journal.last_seq]
    if not ours:
        return
    told: set[tuple[object, ...]] = set()
    lost = 0
    for event in journal.read(journal.journal_id, min(note.after for note in ours), limit=sys.maxsize):
        told.add(_identity(event))
        if event["type"] == "gap":
            lost = event["seq"]
    noted = [event for note in ours if note.after >= lost for event in note.events]
    yield from sorted((one for one in noted if _identity(one) not in told), key=lambda one: float(one["at"]))


def _identity(event: Mapping[str, Any]) -> tuple[object, ...]:
    return event.get("slot"), event.get("run"), event["type"], event["at"]
