"""Log lines and events into their tables, exactly once.

Called by apply, in a transaction, from the writer's thread. The decision stands here and nowhere else: each batch is
compared with the cursor that stands in the same database and moves in the same transaction. Whoever sends a batch
again, in whatever order after whatever crash, finds rows and cursor moved together or not at all.

One query reads the cursors of all batches of a group and one statement writes all rows, so five hundred small
batches cost little more than one large one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from controller.store.backlog import Dropped
from controller.store.dialect import upsert
from controller.store.log_rows import insert_lines
from controller.store.opening import GENERATION
from controller.store.records import (
    Conflict,
    Event,
    EventRows,
    JournalCursor,
    LogBatch,
    Outcome,
    Rejected,
    Replayed,
    Stored,
)
from controller.store.tables import event_cursors, events, log_cursors
from controller.store.text import storable, to_json

OWN = "(controller)"
"""The host under which the cursor of the controller's own events stands; no host is called so."""


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
            moved[key] = _log_cursor_row(batch, seq + len(batch.lines), now)
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


def store_events(
    connection: Connection, batches: Sequence[EventRows | Dropped], now: float, mark: Mark
) -> list[Outcome]:
    """Write the events of all batches, those from journals only above their cursor; one outcome per batch.

    The controller's own have the group's number for a cursor: all of them are there already, or none.
    """
    cursors = _event_cursors(connection, batches)
    is_stored = cursors.get(OWN) == mark.cursor
    generation = connection.get_execution_options().get(GENERATION, 0)
    moved: dict[str, JournalCursor] = {}
    rows: list[dict[str, Any]] = []
    outcomes: list[Outcome] = []
    for batch in batches:
        fresh: Sequence[Event]
        cursor: JournalCursor | None
        if isinstance(batch, EventRows) and batch.generation not in (None, generation):
            outcomes.append(Rejected(message="the database was begun anew; the journal is asked again"))
            continue
        if isinstance(batch, Dropped) or batch.cursor is None:
            fresh = [_dropped_event(batch, now)] if isinstance(batch, Dropped) else batch.events
            cursor = None if is_stored else mark.cursor
        else:
            fresh, cursor = events_verdict(batch.events, batch.cursor, cursors.get(batch.cursor.host))
        if cursor is None:
            outcomes.append(Replayed())
            continue
        cursors[cursor.host] = moved[cursor.host] = cursor
        rows.extend(_event_row(event, now) for event in fresh)
        outcomes.append(Stored(rows=len(fresh)))
    if rows:
        connection.execute(insert(events), rows)
    if moved:
        statement = upsert(connection.dialect.name, event_cursors)
        connection.execute(statement, [_event_cursor_row(cursor) for cursor in moved.values()])
    return outcomes


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


def _log_cursors(connection: Connection, batches: Sequence[LogBatch]) -> dict[tuple[str, str], tuple[int, int]]:
    if not batches:
        return {}
    table = log_cursors.c
    runs = sorted({batch.run for batch in batches})
    query = select(table.run, table.stream, table.byte_offset, table.seq).where(table.run.in_(runs))
    return {(row.run, row.stream): (row.byte_offset, row.seq) for row in connection.execute(query)}


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
        )


def _log_cursor_row(batch: LogBatch, seq: int, now: float) -> dict[str, Any]:
    return {
        "run": batch.run,
        "stream": batch.stream,
        "slot": batch.slot,
        "byte_offset": batch.to_offset,
        "seq": seq,
        "updated_at": now,
    }


def _event_cursors(connection: Connection, batches: Sequence[EventRows | Dropped]) -> dict[str, JournalCursor]:
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
        "at": event.at if event.at - event.at == 0 else now,
        "type": storable(event.type),
        "worker_id": _storable_or_none(event.worker_id),
        "instance": _storable_or_none(event.instance),
        "run": _storable_or_none(event.run),
        "actor": storable(event.actor),
        "cause": storable(event.cause),
        "message": storable(event.message),
        "data": to_json(event.data),
    }


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
