"""Questions to the database, for a few reader threads. Every answer is a value; no connection, row or cursor escapes.

Each question is one short transaction that sees one state of the database and never keeps the writer waiting (a long
one would keep SQLite's log from being cut). Each has a limit on rows, and log text one on its size. All methods raise
StoreUnavailable where the database cannot be read now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult, Engine, Row, Select, and_, func, or_, select
from sqlalchemy.exc import SQLAlchemyError

from controller.core.log_kinds import PRINTED
from controller.store.errors import explained
from controller.store.history import HistoryQuery, Span, span_of, spans_of
from controller.store.log_counts import CountSlice, counting
from controller.store.log_search import LogFilter, Place, ends, matching, next_in_time, reach_of
from controller.store.records import (
    ConfigRow,
    Heads,
    JournalCursor,
    LogCursor,
    LogSlice,
    LogTotal,
    OperationRow,
    RuntimeRow,
    StoredEvent,
    StoredLine,
)
from controller.store.tables import (
    event_cursors,
    events,
    log_cursors,
    log_totals,
    operations,
    worker_configs,
    worker_logs,
    worker_runtime,
)
from controller.store.text import from_json

MAX_LINES = 10_000
MAX_LINE_CHARACTERS = 16 * 1024 * 1024
MAX_ROWS = 1_000

T = TypeVar("T")

# Well below what any database takes as parameters of one statement.
_CHUNK = 500


class Reader:
    """Answers from one database; any thread may ask. At most as many at once as its engine has connections."""

    def __init__(
        self, engine: Engine, *, name: str = "the database", max_characters: int = MAX_LINE_CHARACTERS
    ) -> None:
        """`name` is what messages call the database; `max_characters` how much log text one answer holds."""
        self._engine = engine
        self._name = name
        self._max_characters = max_characters

    def reopen(self, engine: Engine) -> None:
        """Ask `engine` from now on. What is being answered is answered by the former one."""
        former, self._engine = self._engine, engine
        former.dispose()

    def close(self) -> None:
        """Close all connections that are not in use."""
        self._engine.dispose()

    # --- log lines --------------------------------------------------------------------------------------------

    def log_slice(self, wanted: LogFilter, place: Place, limit: int) -> LogSlice:
        """The lines that match among the next ones from `place` on, oldest first; see log_search.

        At most `limit`, MAX_LINES, and about `max_characters` of text and data: fewer are then those nearest to where
        the slice begins, and its edge is where to go on without a hole.
        """
        with self._reading() as connection:
            reach = reach_of(connection, wanted, place)
            query = matching(connection.dialect.name, wanted, reach, _bounded(limit, MAX_LINES))
            with _piecewise(connection, query) as rows:
                found, is_full = _within_size(rows, self._max_characters)
            if found and (is_full or len(found) >= limit):
                edge: int | None = found[-1].id
            elif found or reach.is_last:
                edge = None if reach.is_last else reach.far
            else:
                edge = next_in_time(connection, wanted, reach)
        return LogSlice(lines=tuple(found if reach.forward else found[::-1]), edge=edge)

    def log_counts(self, wanted: LogFilter, before: int | None, step: int, size: int) -> CountSlice:
        """How many of the `size` lines before `before` match, by spans of `step` seconds and by level."""
        with self._reading() as connection:
            reach = reach_of(connection, wanted, Place(before=before, size=size))
            rows = connection.execute(counting(connection.dialect.name, wanted, reach, step))
            counts = {(int(row.span), row.level): (row.lines, row.first) for row in rows}
            if counts or reach.is_last:
                edge = None if reach.is_last else reach.far
            else:
                edge = next_in_time(connection, wanted, reach)
            far = worker_logs.c.id == reach.low
            back_to = None if reach.is_last else connection.scalar(select(worker_logs.c.at).where(far))
        return CountSlice(counts=counts, edge=edge, back_to=back_to)

    def log_ends(self, wanted: LogFilter) -> tuple[float, float] | None:
        """When the first and the last line of these workers were stored, whatever else is asked of them."""
        with self._reading() as connection:
            return ends(connection, wanted)

    def latest_runs(self, worker_id: str | None = None) -> dict[str, tuple[str, ...]]:
        """The runs of which something was stored and is remembered, by instance (of one worker), the newest first."""
        table = log_cursors.c
        latest = func.max(table.updated_at)
        query = select(table.slot, table.run).group_by(table.slot, table.run).order_by(latest.desc(), table.run)
        if worker_id is not None:
            query = query.where(table.slot.startswith(f"{worker_id}/", autoescape=True))
        found: dict[str, tuple[str, ...]] = {}
        for slot, run in self._all(query, lambda row: (row.slot, row.run)):
            found[slot] = (*found.get(slot, ()), run)
        return found

    def log_feed(self, *, after_id: int, limit: int = 100) -> tuple[StoredLine, ...]:
        """What workers printed behind that line, all of them, in the order in which it was stored. Bounded as above."""
        table = worker_logs.c
        found = select(worker_logs).where(table.id > after_id, table.kind.in_(PRINTED))
        query = found.order_by(table.id).limit(_bounded(limit, MAX_LINES))
        with self._reading() as connection:
            rows = connection.execution_options(yield_per=1000).execute(query)
            return tuple(_within_size(rows, self._max_characters)[0])

    def log_cursors(self, runs: Iterable[str]) -> dict[tuple[str, str], LogCursor]:
        """How far the files of `runs` are stored, by run and stream. A file of which nothing is stored is absent."""
        wanted = sorted(set(runs))
        cursors: dict[tuple[str, str], LogCursor] = {}
        with self._reading() as connection:
            for start in range(0, len(wanted), _CHUNK):
                some = select(log_cursors).where(log_cursors.c.run.in_(wanted[start : start + _CHUNK]))
                for row in connection.execute(some):
                    cursors[(row.run, row.stream)] = LogCursor(**row._asdict())
        return cursors

    def log_totals(self, workers: Sequence[str] | None = None) -> tuple[LogTotal, ...]:
        """How many lines each worker has (of these, or of all), and what was removed; also where the spec is gone."""
        query = select(log_totals).order_by(log_totals.c.worker_id)
        if workers is not None and len(workers) <= _CHUNK:
            query = query.where(log_totals.c.worker_id.in_(workers))
        found = self._all(query, lambda row: LogTotal(**row._asdict()))
        return found if workers is None else tuple(one for one in found if one.worker_id in set(workers))

    # --- events -----------------------------------------------------------------------------------------------

    def events(
        self,
        *,
        worker_id: str | None = None,
        after_seq: int | None = None,
        before_seq: int | None = None,
        limit: int = 100,
    ) -> tuple[StoredEvent, ...]:
        """Events, oldest first: the first `limit` after `after_seq` when given, else the newest (before `before_seq`).

        At most MAX_ROWS. `seq` numbers have holes; an answer shorter than `limit` is the end.
        """
        table = events.c
        query = select(events)
        if worker_id is not None:
            query = query.where(table.worker_id == worker_id)
        if before_seq is not None:
            query = query.where(table.seq < before_seq)
        if after_seq is not None:
            query = query.where(table.seq > after_seq)
        forward = after_seq is not None
        query = query.order_by(table.seq if forward else table.seq.desc()).limit(_bounded(limit, MAX_ROWS))
        found = self._all(query, _event)
        return found if forward else found[::-1]

    def events_between(
        self, worker_id: str, since: float, until: float, *, types: Sequence[str], limit: int = 100
    ) -> tuple[StoredEvent, ...]:
        """Events of one worker in a span of time (both ends included), oldest first: the newest `limit` of them."""
        table = events.c
        found = select(events).where(
            table.worker_id == worker_id, table.at >= since, table.at <= until, table.type.in_(types)
        )
        return self._all(found.order_by(table.seq.desc()).limit(_bounded(limit, MAX_ROWS)), _event)[::-1]

    def events_of(
        self, worker_id: str, *, types: Sequence[str], before_seq: int | None = None, limit: int = 100
    ) -> tuple[StoredEvent, ...]:
        """Events of one worker, of these types, oldest first: the newest `limit` of them (before `before_seq`)."""
        table = events.c
        found = select(events).where(table.worker_id == worker_id, table.type.in_(types))
        if before_seq is not None:
            found = found.where(table.seq < before_seq)
        return self._all(found.order_by(table.seq.desc()).limit(_bounded(limit, MAX_ROWS)), _event)[::-1]

    def event_cursor(self, host: str) -> JournalCursor | None:
        """How far the journal of the agent on `host` is stored; None when nothing is."""
        found = self._all(select(event_cursors).where(event_cursors.c.host == host), _journal_cursor)
        return found[0] if found else None

    def heads(self) -> Heads:
        """The newest event and log line; 0 where there is none."""
        with self._reading() as connection:
            return Heads(
                event_seq=connection.scalar(select(func.max(events.c.seq))) or 0,
                log_id=connection.scalar(select(func.max(worker_logs.c.id))) or 0,
            )

    # --- states -----------------------------------------------------------------------------------------------

    def history(self, query: HistoryQuery) -> tuple[Span, ...]:
        """Figures over time, by instance and time."""
        return self._all(spans_of(query), span_of)

    def operation(self, operation_id: str) -> OperationRow | None:
        """One operation, or None."""
        found = self._all(select(operations).where(operations.c.operation_id == operation_id), _operation)
        return found[0] if found else None

    def operations(self, *, worker_id: str | None = None, limit: int = 100) -> tuple[OperationRow, ...]:
        """Operations, newest first, at most MAX_ROWS."""
        table = operations.c
        query = select(operations).order_by(table.created_at.desc(), table.operation_id.desc())
        if worker_id is not None:
            query = query.where(table.worker_id == worker_id)
        return self._all(query.limit(_bounded(limit, MAX_ROWS)), _operation)

    def worker_configs(self, *, with_deleted: bool = False) -> tuple[ConfigRow, ...]:
        """All specs as last accepted, by worker_id."""
        query = select(worker_configs).order_by(worker_configs.c.worker_id)
        if not with_deleted:
            query = query.where(worker_configs.c.deleted_at.is_(None))
        return self._all(query, _config)

    def gone_configs(self, *, after: tuple[float, str] | None = None, limit: int = 100) -> tuple[ConfigRow, ...]:
        """Specs that are gone, those that went last first, at most MAX_ROWS; behind that of this time and name."""
        table = worker_configs.c
        query = select(worker_configs).where(table.deleted_at.is_not(None))
        if after is not None:
            at, name = after
            query = query.where(or_(table.deleted_at < at, and_(table.deleted_at == at, table.worker_id > name)))
        newest = query.order_by(table.deleted_at.desc(), table.worker_id)
        return self._all(newest.limit(_bounded(limit, MAX_ROWS)), _config)

    def worker_runtime(self, *, worker_id: str | None = None) -> tuple[RuntimeRow, ...]:
        """The last known status of all instances (of one worker), by worker and ordinal."""
        table = worker_runtime.c
        query = select(worker_runtime).order_by(table.worker_id, table.ordinal)
        if worker_id is not None:
            query = query.where(table.worker_id == worker_id)
        return self._all(query, _runtime)

    # --- how --------------------------------------------------------------------------------------------------

    def _all(self, query: Select[Any], build: Callable[[Row[Any]], T]) -> tuple[T, ...]:
        with self._reading() as connection:
            return tuple(build(row) for row in connection.execute(query))

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except (SQLAlchemyError, OSError) as error:
            raise explained(error, "read", self._name) from error


def _piecewise(connection: Connection, query: Select[Any]) -> CursorResult[Any]:
    """The answer as it is read. To be closed: a server keeps a cursor for it."""
    return connection.execution_options(yield_per=1000).execute(query)


def _within_size(rows: Iterable[Row[Any]], most: int) -> tuple[list[StoredLine], bool]:
    """The lines until their texts and data are as large, and whether they are."""
    found: list[StoredLine] = []
    for row in rows:
        line = StoredLine(**row._asdict())
        found.append(line if row.data is None else replace(line, data=from_json(row.data)))
        most -= len(row.text) + len(row.data or "")
        if most <= 0:
            return found, True
    return found, False


def _bounded(limit: int, most: int) -> int:
    return max(0, min(limit, most))


def _event(row: Row[Any]) -> StoredEvent:
    return StoredEvent(**{**row._asdict(), "data": from_json(row.data)})


def _journal_cursor(row: Row[Any]) -> JournalCursor:
    return JournalCursor(**row._asdict())


def _operation(row: Row[Any]) -> OperationRow:
    return OperationRow(**row._asdict())


def _config(row: Row[Any]) -> ConfigRow:
    plain = {"labels": from_json(row.labels), "spec": from_json(row.spec), "problems": tuple(from_json(row.problems))}
    return ConfigRow(**{**row._asdict(), **plain})


def _runtime(row: Row[Any]) -> RuntimeRow:
    return RuntimeRow(**{**row._asdict(), "last_exit": from_json(row.last_exit)})
