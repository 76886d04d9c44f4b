"""Log lines found by what they say: of one, several or all workers, backwards from the newest or forwards.

Called by queries.Reader, which gives each slice a transaction of its own, and by log_counts.

Plain scan, in slices, with every condition in the database's hands: no index on words. Rows are walked in the order of
their numbers through the index of the one worker or instance that is asked for (a few: through each of theirs), and
only what matches leaves the database. A slice considers SLICE lines at most, so no transaction is long, which would
keep SQLite's log from being cut, and whoever asks in a loop can stop after any slice, say how far it came and go on.

Measured by tests/bench/bench_search.py with ten million lines (2.2 GB) of fifty workers, SQLite on one core: a word of
one line in 200 is found a hundred times in 0.02 s; one that is nowhere takes 4 s for all lines (three of them to walk,
one to compare), 2 s for the fifth that the loudest worker printed, 0.1 s within an hour, 0.003 s of a quiet worker. In
either case the same; beyond ASCII four times that. An FTS5 index of trigrams (contentless, detail=none) answers all of
this in a few milliseconds, but makes storing a line cost two to four times as much and the file 1.4 times as large, for
questions that are asked now and then of lines that come all the time; so there is none. Summaries of blocks would have
to be made of every trigram of every line in Python, which costs more than storing it. PostgreSQL takes three to four
times as long for a line on the same machine; pg_trgm may not be there.

A span of time is a condition like the others; where a slice holds nothing of it, the index by worker and time says
where the next line of it is, and the lines between are skipped; so is one that was stored so late that very many lines
of its worker with newer times had come before it (NEAREST, shared by the workers that are asked for). The order is that
of storing, always, and a number (`edge`) is where to go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, not_, select

from controller.store.dialect import holds
from controller.store.tables import worker_logs
from controller.store.text import storable

SLICE = 20_000
"""Lines. They fit into a reader's cache, for they are gone through twice: to find the end, then for what matches."""

FEW = 20
"""So many workers are walked through their own indexes; more are looked for among all lines."""

NEAREST = 200_000
"""Lines of the index by time that are looked at to skip others."""

_LEAST = 1_000
_LINES = worker_logs.c


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilter:
    """Which lines. `workers`: None is all of them. `instance` is a whole name (`web/0`). Empty or None: any.

    Records that are of no stream are asked for by their kind alone: `stream` leaves them in.
    `since` and `until` in seconds since the epoch, both included. `grep`: all these texts are in the line, as they are;
    with `invert` none of them is.
    """

    workers: tuple[str, ...] | None
    instance: str | None = None
    stream: str | None = None
    runs: tuple[str, ...] | None = None
    kinds: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    since: float | None = None
    until: float | None = None
    grep: tuple[str, ...] = ()
    ignore_case: bool = False
    invert: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """From where to look: forwards behind the line `after`, or backwards before the line `before` (None: the newest).

    `size`: how many lines to consider.
    """

    after: int | None = None
    before: int | None = None
    size: int = SLICE


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What a slice covers: all lines from `low` to `high`, both included. `is_last`: beyond there is nothing."""

    low: int
    high: int
    is_last: bool
    forward: bool

    @property
    def far(self) -> int:
        """The end that was walked to."""
        return self.high if self.forward else self.low


_TOP = 2**63 - 1


def reach_of(connection: Connection, wanted: LogFilter, place: Place) -> Reach:
    """Where the slice ends that begins at `place`."""
    forward = place.after is not None
    low = (place.after or 0) + 1 if forward else 0
    high = _TOP if place.before is None else place.before - 1
    keys = _keys(wanted)
    steps = max(place.size // max(len(keys), 1), 1) - 1
    ends: list[int] = []
    for key in keys:
        query = select(_LINES.id).where(key, _LINES.id.between(low, high))
        query = query.order_by(_LINES.id if forward else _LINES.id.desc()).limit(1).offset(steps)
        end = connection.scalar(query)
        if end is not None:
            ends.append(end)
    if not ends:
        return Reach(low=low, high=high, is_last=True, forward=forward)
    if forward:
        return Reach(low=low, high=min(ends), is_last=False, forward=True)
    return Reach(low=max(ends), high=high, is_last=False, forward=False)


def matching(dialect: str, wanted: LogFilter, reach: Reach, limit: int) -> Select[Any]:
    """The lines that match within a slice, in the order in which they are walked."""
    found = select(worker_logs).where(*conditions(dialect, wanted, reach))
    return found.order_by(_LINES.id if reach.forward else _LINES.id.desc()).limit(limit)


def conditions(dialect: str, wanted: LogFilter, reach: Reach) -> list[ColumnElement[bool]]:
    """What a line within a slice has to hold to match."""
    return [_covered(wanted, reach), *_conditions(wanted), *_words(dialect, wanted)]


def ends(connection: Connection, wanted: LogFilter) -> tuple[float, float] | None:
    """When the first and the last of the lines that would be walked through were printed; None: there are none."""
    found: list[float] = []
    for key in _keys(wanted):
        for order in (_LINES.id, _LINES.id.desc()):
            at = connection.scalar(select(_LINES.at).where(key).order_by(order).limit(1))
            found += [] if at is None else [at]
    return (min(found), max(found)) if found else None


def next_in_time(connection: Connection, wanted: LogFilter, reach: Reach) -> int | None:
    """Where to go on behind a slice: None where no line of the wanted span of time is beyond it.

    Only where the slice holds none of that span itself. The answer costs a walk through the part of the span that is
    nearest in time, NEAREST lines at most.
    """
    span = _span(wanted)
    if not span:
        return reach.far
    if connection.scalar(select(_LINES.id).where(_covered(wanted, reach), *span).limit(1)) is not None:
        return reach.far
    workers = workers_with_lines(connection) if wanted.workers is None else wanted.workers
    # A number with a sum is none that an index is chosen for: the one by time is to be.
    number = _LINES.id + 0
    beyond = number > reach.high if reach.forward else number < reach.low
    found: list[int] = []
    for worker in workers:
        near = select(_LINES.id).where(_LINES.worker_id == worker, *span, beyond)
        near = near.order_by(_LINES.at if reach.forward else _LINES.at.desc())
        ids = near.limit(max(NEAREST // len(workers), _LEAST)).subquery().c.id
        one = connection.scalar(select(func.min(ids) if reach.forward else func.max(ids)))
        if one is not None:
            found.append(one)
    if not found:
        return None
    return min(found) - 1 if reach.forward else max(found) + 1


def workers_with_lines(connection: Connection) -> tuple[str, ...]:
    """All of them, sorted."""
    found: list[str] = []
    # One step in the index per worker: DISTINCT would read the whole of it.
    worker_id = connection.scalar(select(func.min(_LINES.worker_id)))
    while worker_id is not None:
        found.append(worker_id)
        worker_id = connection.scalar(select(func.min(_LINES.worker_id)).where(_LINES.worker_id > worker_id))
    return tuple(found)


def _keys(wanted: LogFilter) -> Sequence[ColumnElement[bool]]:
    """The indexes to walk through, as conditions: all lines together cover what is wanted."""
    if wanted.instance is not None:
        return [_LINES.instance == wanted.instance]
    if wanted.workers is None or len(wanted.workers) > FEW:
        return [_LINES.id > 0]
    return [_LINES.worker_id == worker for worker in wanted.workers]


def _covered(wanted: LogFilter, reach: Reach) -> ColumnElement[bool]:
    between = _LINES.id.between(reach.low, reach.high)
    keys = _keys(wanted)
    if len(keys) == 1:
        return and_(keys[0], between)
    return and_(_LINES.worker_id.in_(wanted.workers or ()), between)


def _conditions(wanted: LogFilter) -> list[ColumnElement[bool]]:
    conditions = _span(wanted)
    if wanted.workers is not None and len(wanted.workers) > FEW:
        conditions.append(_LINES.worker_id.in_(wanted.workers))
    if wanted.stream is not None:
        conditions.append(_LINES.stream.in_((wanted.stream, "")))
    if wanted.runs is not None:
        conditions.append(_LINES.run.in_(wanted.runs))
    if wanted.kinds:
        conditions.append(_LINES.kind.in_(wanted.kinds))
    if wanted.levels:
        conditions.append(_LINES.level.in_(wanted.levels))
    return conditions


def _span(wanted: LogFilter) -> list[ColumnElement[bool]]:
    since = [] if wanted.since is None else [_LINES.at >= wanted.since]
    return since if wanted.until is None else [*since, _LINES.at <= wanted.until]


def _words(dialect: str, wanted: LogFilter) -> list[ColumnElement[bool]]:
    words = [holds(dialect, _LINES.text, storable(word), ignore_case=wanted.ignore_case) for word in wanted.grep]
    return [not_(word) for word in words] if wanted.invert else words
