"""A group of items as SQL, in the one transaction that the writer opened. Called from the writer's thread only.

Lines and events are ingest's. Here are the states (a row of a newer one replaces all of the older) and the chores
(one bounded slice each). The order of statements within a transaction shows nowhere; the order of rows within a
table is that of the items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, assert_never

from sqlalchemy import Connection, bindparam, delete, func, or_, select, update

from controller.store import engine
from controller.store.backlog import Barrier, ConfigGone, Dropped, Item, RuntimeGone
from controller.store.chores import (
    Chore,
    Reclaim,
    RollUp,
    Samples,
    TrimCursors,
    TrimEvents,
    TrimLogs,
    TrimOperations,
    TrimSamples,
    TrimSeries,
    TrimTotals,
)
from controller.store.dialect import ask, upsert
from controller.store.history import keep_figures
from controller.store.ingest import Mark, store_facts, store_lines
from controller.store.log_rows import forget_totals, trim_lines
from controller.store.records import (
    ConfigRow,
    EventRows,
    Heads,
    LogBatch,
    OperationRow,
    Outcome,
    RuntimeRow,
    Stored,
    WorkerRecords,
)
from controller.store.tables import events, log_cursors, operations, worker_configs, worker_logs, worker_runtime
from controller.store.text import storable, to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """One outcome per item, in their order, and the newest numbers that were given out."""

    outcomes: tuple[Outcome, ...]
    heads: Heads


def apply_group(connection: Connection, items: Sequence[Item], now: float, mark: Mark) -> Applied:
    """Write all items. Raises what SQLAlchemy raises; the caller then rolls everything back."""
    if all(isinstance(item, Barrier) for item in items):
        ask(connection)
    batches = [item for item in items if isinstance(item, LogBatch)]
    facts = [item for item in items if isinstance(item, EventRows | Dropped | WorkerRecords)]
    line_outcomes = store_lines(connection, batches, now)
    fact_outcomes, wrote_records = store_facts(connection, facts, now, mark)
    _store_runtime(connection, items)
    _store_configs(connection, items)
    _store_operations(connection, items)
    remaining_lines, remaining_facts = iter(line_outcomes), iter(fact_outcomes)
    outcomes: list[Outcome] = []
    for item in items:
        match item:
            case LogBatch():
                outcomes.append(next(remaining_lines))
            case EventRows() | Dropped() | WorkerRecords():
                outcomes.append(next(remaining_facts))
            case Barrier():
                outcomes.append(Stored(rows=0))
            case RuntimeRow() | RuntimeGone() | ConfigRow() | ConfigGone() | OperationRow():
                outcomes.append(Stored(rows=1))
            case _:
                outcomes.append(_do_chore(connection, item, now))
    # What a first attempt has stored after all is news now.
    wrote = [mark.is_repeated or any(isinstance(one, Stored) and one.rows for one in some) for some in (
        line_outcomes, fact_outcomes,
    )]  # fmt: skip
    return Applied(outcomes=tuple(outcomes), heads=_heads(connection, wrote[0] or wrote_records, wrote[1]))


def _heads(connection: Connection, wrote_lines: bool, wrote_events: bool) -> Heads:
    # One writer: what is newest within its transaction is what it has just written.
    return Heads(
        log_id=(connection.scalar(select(func.max(worker_logs.c.id))) or 0) if wrote_lines else 0,
        event_seq=(connection.scalar(select(func.max(events.c.seq))) or 0) if wrote_events else 0,
    )


# --- states -------------------------------------------------------------------------------------------------------


def _store_runtime(connection: Connection, items: Sequence[Item]) -> None:
    if rows := [_plain(item) for item in items if isinstance(item, RuntimeRow)]:
        connection.execute(upsert(connection.dialect.name, worker_runtime), rows)
    if gone := [{"gone": item.instance} for item in items if isinstance(item, RuntimeGone)]:
        connection.execute(delete(worker_runtime).where(worker_runtime.c.instance == bindparam("gone")), gone)


def _store_configs(connection: Connection, items: Sequence[Item]) -> None:
    if rows := [_plain(item) for item in items if isinstance(item, ConfigRow)]:
        connection.execute(upsert(connection.dialect.name, worker_configs), rows)
    if gone := [{"gone": item.worker_id, "gone_at": item.at} for item in items if isinstance(item, ConfigGone)]:
        mark = update(worker_configs).where(worker_configs.c.worker_id == bindparam("gone"))
        connection.execute(mark.values(deleted_at=bindparam("gone_at")), gone)


def _store_operations(connection: Connection, items: Sequence[Item]) -> None:
    if rows := [_plain(item) for item in items if isinstance(item, OperationRow)]:
        connection.execute(upsert(connection.dialect.name, operations, keep=("created_at",)), rows)


def _plain(row: RuntimeRow | ConfigRow | OperationRow) -> dict[str, Any]:
    """A record as a row: its fields are the columns; texts made storable, mappings and sequences made JSON."""
    return {field.name: _value(getattr(row, field.name)) for field in fields(row)}


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    return value if value is None or isinstance(value, bool | int | float) else to_json(value)


# --- chores -------------------------------------------------------------------------------------------------------


def _do_chore(connection: Connection, chore: Chore, now: float) -> Stored:
    match chore:
        case TrimLogs():
            return trim_lines(connection, chore, now)
        case Reclaim():
            return engine.reclaim(connection, chore)
        case Samples() | RollUp():
            return Stored(rows=keep_figures(connection, chore))
        case _:
            rows = _trim(connection, chore)
            return Stored(rows=rows, more=rows == chore.limit)


def _trim(
    connection: Connection,
    chore: TrimTotals | TrimEvents | TrimOperations | TrimCursors | TrimSamples | TrimSeries,
) -> int:
    match chore:
        case TrimTotals():
            return forget_totals(connection, chore.before, chore.limit)
        case TrimEvents():
            return _trim_events(connection, chore)
        case TrimOperations():
            return _trim_operations(connection, chore)
        case TrimCursors():
            return _trim_cursors(connection, chore)
        case TrimSamples() | TrimSeries():
            return keep_figures(connection, chore)
        case _:  # pragma: no cover
            assert_never(chore)


def _trim_events(connection: Connection, chore: TrimEvents) -> int:
    table = events.c
    newest = connection.scalar(select(func.max(table.seq))) or 0
    # The oldest by number, then the question of age: no index over times is needed for a table in time's order. An
    # event that is younger than its number says stays until those before it are gone, which does no harm.
    oldest = select(table.seq).order_by(table.seq).limit(chore.limit)
    surplus = or_(table.at < chore.before, table.seq <= newest - chore.keep)
    return connection.execute(delete(events).where(table.seq.in_(oldest), surplus)).rowcount


def _trim_operations(connection: Connection, chore: TrimOperations) -> int:
    table = operations.c
    oldest = select(table.operation_id).order_by(table.created_at, table.operation_id).limit(chore.limit)
    old = table.updated_at < chore.before
    return connection.execute(delete(operations).where(table.operation_id.in_(oldest), old)).rowcount


def _trim_cursors(connection: Connection, chore: TrimCursors) -> int:
    table = log_cursors.c
    # Filtered here, not in SQL: the known runs may be more than a statement takes parameters.
    idle = connection.execute(select(table.run, table.stream).where(table.updated_at < chore.before))
    unknown = [{"one": row.run, "its": row.stream} for row in idle if row.run not in chore.known_runs][: chore.limit]
    if unknown:
        forget = delete(log_cursors).where(table.run == bindparam("one"), table.stream == bindparam("its"))
        connection.execute(forget, unknown)
    return len(unknown)
