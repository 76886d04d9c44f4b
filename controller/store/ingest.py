"""Log lines, events and what workers tell of themselves into their tables, exactly once.

Called by apply, in a transaction, from the writer's thread. The decision stands here and nowhere else: each batch is
compared with the cursor that stands in the same database and moves in the same transaction. Whoever sends a batch
again, in whatever order after whatever crash, finds rows and cursor moved together or not at all.

One query reads the cursors of all batches of a group and one statement writes all rows, so five hundred small
batches cost little more than one large one.

An event of an instance is also a record in its worker's log (core.log_kinds says which): the two are written together,
so the event's cursor decides for both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from controller.core.log_kinds import kind_of_event, text_of_event
from controller.store.backlog import Dropped
from controller.store.dialect import upsert
from controller.store.log_rows import insert_lines
from controller.store.opening import GENERATION
from controller.store.records import (
    TOLD,
    Conflict,
    Event,
    EventRows,
    JournalCursor,
    LogBatch,
    Outcome,
    Rejected,
    Replayed,
    Stored,
    WorkerRecord,
    WorkerRecords,
)
from controller.store.tables import event_cursors, events, log_cursors
from controller.store.text import storable, to_json

Facts = EventRows | Dropped | WorkerRecords
"""What is told in words, not read from a file."""

OWN = "(controller)"
"""The host under which the cursor of the controller's own events stands; no host is called so."""

MOST_SOURCES = 64
"""So many sources of a run, which number what they tell, are remembered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What tells one group of a writer from all others. `is_repeated`: an attempt before this one failed."""

    cursor: JournalCursor
    is_repeated: bool = False


def store_lines(connection: Connection, batches: Sequence[LogBatch], now: float) -> list[Outcome]:
    """Write the lines of all batches that go on where the stored ones end; one outcome per batch, in order."""
    cursors = _log_cursors(connection, batches)
    moved: dict[tuple[str, str], dict[str, Any]] = {}
    rows: list[tuple[Any, ...]] = []
    outcomes: list[Outcome] = []
    for batch in batches:
        key = (batch.run, batch.stream)
        offset, seq = cursors.get(key, (0, 0))
        outcome = lines_verdict(batch, offset, seq)
        outcomes.append(outcome)
        if isinstance(outcome, Stored):
            rows.extend(_line_rows(batch, seq))
            cursors[key] = (batch.to_offset, seq + len(batch.lines))
            moved[key] = _cursor_row(batch, batch.to_offset, seq + len(batch.lines), now)
    insert_lines(connection, rows)
    if moved:
        connection.execute(upsert(connection.dialect.name, log_cursors), list(moved.values()))
    return outcomes


def lines_verdict(batch: LogBatch, offset: int, seq: int) -> Stored | Replayed | Conflict:
    """What becomes of `batch` where the stored bytes end at `offset` and the stored lines at `seq`."""
    if batch.from_offset == offset:
        return Stored(rows=len(batch.lines), seq=seq + len(batch.lines))
    # A batch that goes back (the file was truncated) is repeated exactly where it led to; anywhere above that, the
    # reader is not where it believes to be.
    goes_back = batch.to_offset < batch.from_offset
    is_replay = offset == batch.to_offset if goes_back else offset >= batch.to_offset
    return Replayed() if is_replay else Conflict(offset=offset, seq=seq)


def store_facts(
    connection: Connection, batches: Sequence[Facts], now: float, mark: Mark
) -> tuple[list[Outcome], bool]:  # fmt: skip
    """Write what is told: events, and the records of workers. One outcome per batch, and whether a log has news.

    Of a journal only the events above its cursor. What has no number, as the controller's own events, has the group's
    for a cursor: all of it is there already, or none.
    """
    found = _Found(cursors=_event_cursors(connection, batches), mark=mark, now=now)
    found.is_stored = found.cursors.get(OWN) == mark.cursor
    found.generation = connection.get_execution_options().get(GENERATION, 0)
    told = [batch for batch in batches if isinstance(batch, WorkerRecords)]
    found.numbers = _log_cursors(connection, told)
    outcomes = [found.records(batch) if isinstance(batch, WorkerRecords) else found.events(batch) for batch in batches]
    if found.event_rows:
        connection.execute(insert(events), found.event_rows)
    insert_lines(connection, found.log_rows)
    if found.moved:
        statement = upsert(connection.dialect.name, event_cursors)
        connection.execute(statement, [_event_cursor_row(cursor) for cursor in found.moved.values()])
    if found.moved_numbers:
        connection.execute(upsert(connection.dialect.name, log_cursors), list(found.moved_numbers.values()))
        _forget_sources(connection, found.numbers)
    return outcomes, bool(found.log_rows)


@dataclass(slots=True, kw_only=True)
class _Found:
    """What a group brings that is not stored yet: rows, and cursors that move with them."""

    cursors: dict[str, JournalCursor]
    mark: Mark
    now: float
    is_stored: bool = False
    generation: int = 0
    numbers: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    event_rows: list[dict[str, Any]] = field(default_factory=list)
    log_rows: list[tuple[Any, ...]] = field(default_factory=list)
    moved: dict[str, JournalCursor] = field(default_factory=dict)
    moved_numbers: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def events(self, batch: EventRows | Dropped) -> Outcome:
        """Those that are not stored yet."""
        fresh: Sequence[Event]
        cursor: JournalCursor | None
        if isinstance(batch, EventRows) and batch.generation not in (None, self.generation):
            return Rejected(message="the database was begun anew; the journal is asked again")
        if isinstance(batch, Dropped) or batch.cursor is None:
            fresh = [_dropped_event(batch, self.now)] if isinstance(batch, Dropped) else batch.events
            cursor = None if self.is_stored else self.mark.cursor
        else:
            fresh, cursor = events_verdict(batch.events, batch.cursor, self.cursors.get(batch.cursor.host))
        if cursor is None:
            return Replayed()
        self.cursors[cursor.host] = self.moved[cursor.host] = cursor
        self.event_rows.extend(_event_row(event, self.now) for event in fresh)
        self.log_rows.extend(row for event in fresh if (row := _log_row_of(event, self.now)) is not None)
        return Stored(rows=len(fresh))

    def records(self, batch: WorkerRecords) -> Outcome:
        """Those above the number of their source."""
        key = (batch.run, batch.stream)
        number, count = self.numbers.get(key, (0, 0))
        fresh = [one for one in batch.records if one.number is None or one.number > number]
        if self.is_stored or not fresh:
            return Replayed()
        self.log_rows.extend(_record_rows(batch, fresh, count))
        self.numbers[key] = number, count = max(number, *(one.number or 0 for one in fresh)), count + len(fresh)
        self.moved[OWN] = self.mark.cursor
        self.moved_numbers[key] = _cursor_row(batch, number, count, self.now)
        return Stored(rows=len(fresh))


def events_verdict(
    batch: Sequence[Event], cursor: JournalCursor, stored: JournalCursor | None
) -> tuple[Sequence[Event], JournalCursor | None]:
    """The events that are not stored yet, and the cursor to store; None where all of the batch is there already.

    Another journal than the stored one starts from the front: the agent's state was made anew.
    """
    # Below every number of another journal, also below that of the gap which it begins with (0).
    known = stored.seq if stored is not None and stored.journal_id == cursor.journal_id else -1
    if cursor.seq <= known:
        return (), None
    return [event for event in batch if event.journal_seq is None or event.journal_seq > known], cursor


def _log_cursors(
    connection: Connection, batches: Sequence[LogBatch | WorkerRecords]
) -> dict[tuple[str, str], tuple[int, int]]:
    if not batches:
        return {}
    table = log_cursors.c
    runs = sorted({batch.run for batch in batches})
    query = select(table.run, table.stream, table.byte_offset, table.seq).where(table.run.in_(runs))
    return {(row.run, row.stream): (row.byte_offset, row.seq) for row in connection.execute(query)}


def _forget_sources(connection: Connection, numbers: Mapping[tuple[str, str], object]) -> None:
    """Of a run that names ever new sources, those that told nothing for longest go: each is a row, read each time."""
    counts = Counter(run for run, stream in numbers if stream.startswith(TOLD))
    table = log_cursors.c
    for run in (run for run, count in counts.items() if count > MOST_SOURCES):
        own = (table.run == run, table.stream.startswith(TOLD))
        newest = select(table.stream).where(*own).order_by(table.updated_at.desc(), table.stream).limit(MOST_SOURCES)
        connection.execute(delete(log_cursors).where(*own, table.stream.not_in(newest)))


def _line_rows(batch: LogBatch, seq: int) -> Iterator[tuple[Any, ...]]:
    worker_id, slot, run, stream = batch.worker_id, batch.slot, batch.run, batch.stream
    for number, line in enumerate(batch.lines, start=seq + 1):
        yield (
            worker_id,
            slot,
            run,
            stream,
            line.kind,
            number,
            line.byte_offset,
            line.at,
            line.approximate,
            line.level,
            storable(line.text),
            line.partial,
            None,
        )


def _cursor_row(batch: LogBatch | WorkerRecords, byte_offset: int, seq: int, now: float) -> dict[str, Any]:
    return {
        "run": batch.run,
        "stream": batch.stream,
        "slot": batch.slot,
        "byte_offset": byte_offset,
        "seq": seq,
        "updated_at": now,
    }


def _log_row_of(event: Event, now: float) -> tuple[Any, ...] | None:
    """The record that an event is in a log; None where it is none."""
    found = kind_of_event(event.type, event.cause)
    if found is None or not event.worker_id or not event.instance:
        return None
    kind, level = found
    text, at = text_of_event(event.type, event.message), _time(event, now)
    data = to_json({"event": event.type, "cause": event.cause, **event.data})
    names = storable(event.worker_id), storable(event.instance), storable(event.run or "")
    return (*names, "", kind, event.journal_seq or 0, 0, at, False, level, storable(text), False, data)


def _record_rows(batch: WorkerRecords, records: Sequence[WorkerRecord], seq: int) -> Iterator[tuple[Any, ...]]:
    names = batch.slot.rpartition("/")[0], batch.slot, batch.run
    for count, one in enumerate(records, start=seq + 1):
        data = None if one.data is None else to_json(one.data)
        number = one.number or 0
        yield (*names, "", one.kind, count, number, one.at, False, one.level, storable(one.text), False, data)


def _event_cursors(connection: Connection, batches: Sequence[Facts]) -> dict[str, JournalCursor]:
    if not batches:
        return {}
    hosts = {batch.cursor.host for batch in batches if isinstance(batch, EventRows) and batch.cursor}
    rows = connection.execute(select(event_cursors).where(event_cursors.c.host.in_(sorted({OWN, *hosts}))))
    return {row.host: JournalCursor(host=row.host, journal_id=row.journal_id, seq=row.seq) for row in rows}


def _event_cursor_row(cursor: JournalCursor) -> dict[str, Any]:
    return {"host": cursor.host, "journal_id": cursor.journal_id, "seq": cursor.seq}


def _event_row(event: Event, now: float) -> dict[str, Any]:
    # An agent may be on another host and of another version: nothing that it sends may fail the batch, or its
    # journal would stand still at that event for ever.
    return {
        "at": _time(event, now),
        "type": storable(event.type),
        "worker_id": _storable_or_none(event.worker_id),
        "instance": _storable_or_none(event.instance),
        "run": _storable_or_none(event.run),
        "actor": storable(event.actor),
        "cause": storable(event.cause),
        "message": storable(event.message),
        "data": to_json(event.data),
    }


def _time(event: Event, now: float) -> float:
    return event.at if event.at - event.at == 0 else now


def _storable_or_none(text: str | None) -> str | None:
    return None if text is None else storable(text)


def _dropped_event(dropped: Dropped, now: float) -> Event:
    return Event(
        at=now,
        type="events_dropped",
        actor="controller",
        cause="the database was away for longer than the backlog holds",
        message=f"{dropped.count} events were not stored",
        data={"count": dropped.count},
    )
