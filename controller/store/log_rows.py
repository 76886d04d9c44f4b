"""Log lines as rows: written and deleted here only, always together with the totals of their worker.

Called by apply and ingest, in the writer's transaction. `log_totals` is what limits are held against, so nothing ever
counts lines: a row and its number come and go together or not at all, whatever dies. A slice of deleting is bounded in
rows and in time, since lines that come in wait for it; it says whether there is more to do.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    Row,
    Select,
    case,
    cast,
    delete,
    func,
    or_,
    select,
    update,
)

from controller.store.chores import ROW_BYTES, TrimLogs
from controller.store.dialect import add_up, insert_many
from controller.store.records import Stored
from controller.store.tables import log_totals, worker_logs

LINE_COLUMNS = tuple(column.name for column in worker_logs.columns if column.name != "id")

PIECE = 500
"""Rows of one statement. The time is looked at in between."""

_WORKER = LINE_COLUMNS.index("worker_id")
_TEXTS = (LINE_COLUMNS.index("text"), LINE_COLUMNS.index("data"))
_LINES = worker_logs.c


def insert_lines(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write rows of `worker_logs` in the order of LINE_COLUMNS, texts storable."""
    if not rows:
        return
    insert_many(connection, worker_logs, LINE_COLUMNS, rows)
    totals: dict[str, dict[str, Any]] = {}
    for row in rows:
        total = totals.setdefault(row[_WORKER], {"worker_id": row[_WORKER], "lines": 0, "bytes": 0})
        total["lines"] += 1
        total["bytes"] += sum(_size(row[column]) for column in _TEXTS if row[column])
    connection.execute(add_up(connection.dialect.name, log_totals, ("lines", "bytes")), list(totals.values()))


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


@dataclass(slots=True)
class _Slice:
    """What one slice has deleted so far."""

    lines: int = 0
    bytes: int = 0
    to: int = 0
    until: float = 0.0

    def add(self, rows: Sequence[tuple[int, float, int]]) -> list[int]:
        """Count `rows` (number, time, bytes); their numbers."""
        numbers, times, sizes = (list(column) for column in zip(*rows, strict=True))
        self.lines += len(rows)
        self.bytes += sum(sizes)
        self.to = max(self.to, *numbers)
        self.until = max(self.until, *times)
        return numbers


def trim_lines(connection: Connection, chore: TrimLogs, now: float) -> Stored:
    """Delete the oldest lines of one worker that it may not keep, up to the bounds of a slice."""
    end = time.monotonic() + chore.within_s
    has = connection.execute(select(log_totals).where(log_totals.c.worker_id == chore.worker_id)).first()
    done, is_over = _Slice(), False
    while not is_over:
        piece = min(PIECE, chore.limit - done.lines)
        rows = _surplus(connection, chore, has, done, piece) or _aged(connection, chore, piece)
        if not rows:
            break
        connection.execute(delete(worker_logs).where(_LINES.id.in_(done.add(rows))))
        is_over = done.lines >= chore.limit or time.monotonic() >= end
    if done.lines:
        _count_off(connection, chore.worker_id, done, now)
    return Stored(rows=done.lines, more=is_over)


def _surplus(
    connection: Connection, chore: TrimLogs, has: Row[Any] | None, done: _Slice, piece: int
) -> Sequence[tuple[int, float, int]]:
    """The oldest lines by number, as many as there are too many of, in lines or in bytes."""
    if has is None:
        return ()
    lines, size = has.lines - done.lines, has.bytes - done.bytes
    lines_over = 0 if chore.keep_lines is None else lines - chore.keep_lines
    bytes_over = 0 if chore.keep_bytes is None else size + lines * ROW_BYTES - chore.keep_bytes
    if lines_over <= 0 and bytes_over <= 0:
        return ()
    oldest = _rows(connection).where(_LINES.worker_id == chore.worker_id).order_by(_LINES.id).limit(piece)
    found = _plain(connection, oldest)
    if lines_over >= len(found):
        return found
    for count, (_number, _at, size_of_one) in enumerate(found):
        if count >= lines_over and bytes_over <= 0:
            return found[:count]
        bytes_over -= size_of_one + ROW_BYTES
    return found


def _aged(connection: Connection, chore: TrimLogs, piece: int) -> Sequence[tuple[int, float, int]]:
    """The lines with the oldest times, in whatever order they came."""
    if chore.before is None:
        return ()
    old = _rows(connection).where(_LINES.worker_id == chore.worker_id, _LINES.at < chore.before)
    return _plain(connection, old.order_by(_LINES.at).limit(piece))


def _plain(connection: Connection, query: Select[Any]) -> list[tuple[int, float, int]]:
    return [tuple(row) for row in connection.execute(query)]


def _rows(connection: Connection) -> Select[Any]:
    return select(_LINES.id, _LINES.at, size_of_row(connection).label("size"))


def size_of_row(connection: Connection) -> ColumnElement[int]:
    """The bytes of a line's texts in UTF-8."""
    texts = (_LINES.text, func.coalesce(_LINES.data, ""))
    if connection.dialect.name == "postgresql":
        return func.octet_length(texts[0]) + func.octet_length(texts[1])
    return func.length(cast(texts[0], LargeBinary)) + func.length(cast(texts[1], LargeBinary))


def _count_off(connection: Connection, worker_id: str, done: _Slice, now: float) -> None:
    table = log_totals.c
    connection.execute(
        update(log_totals)
        .where(table.worker_id == worker_id)
        .values(
            lines=table.lines - done.lines,
            bytes=table.bytes - done.bytes,
            removed_lines=table.removed_lines + done.lines,
            removed_bytes=table.removed_bytes + done.bytes,
            removed_to=_larger(table.removed_to, done.to),
            removed_until=_larger(table.removed_until, done.until),
            removed_at=now,
        )
    )


def _larger(column: ColumnElement[Any], value: float) -> ColumnElement[Any]:
    # GREATEST is called MAX in SQLite.
    return case((or_(column.is_(None), column < value), value), else_=column)


def forget_totals(connection: Connection, before: float, limit: int) -> int:
    """Forget what was removed of workers that have no lines since `before`, and those of which somebody took all."""
    table = log_totals.c
    is_old = or_(table.removed_at < before, table.removed_at.is_(None))
    gone = select(table.worker_id).where(table.lines == 0, is_old).limit(limit)
    return connection.execute(delete(log_totals).where(table.worker_id.in_(gone))).rowcount


def counted(connection: Connection) -> dict[str, tuple[int, int]]:
    """Lines and bytes by worker, by looking at all lines."""
    query = select(_LINES.worker_id, func.count(), func.sum(size_of_row(connection))).group_by(_LINES.worker_id)
    return {name: (int(lines), int(size)) for name, lines, size in connection.execute(query)}


def count_anew(connection: Connection) -> None:
    """Make the totals those of the lines."""
    there = counted(connection)
    connection.execute(update(log_totals).values(lines=0, bytes=0))
    if there:
        rows = [{"worker_id": name, "lines": lines, "bytes": size} for name, (lines, size) in there.items()]
        connection.execute(add_up(connection.dialect.name, log_totals, ("lines", "bytes")), rows)
