"""The figures of instances over time: kept every ten seconds, rolled up, read as series, deleted in slices.

Called by apply in the writer's transaction, and by queries. A roll-up is made from the finer table as it is, over and
over: whatever was cut off, or came late, is right after the next one. Averages are of what is known; counters (errors,
restarts) are their largest, tasks and accounts averages too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from sqlalchemy import ColumnElement, Connection, Select, bindparam, delete, exists, func, insert, select, tuple_

from controller.store.chores import Figures, RollUp, Sample, Samples, TrimSamples, TrimSeries
from controller.store.dialect import upsert
from controller.store.tables import FIGURES, SAMPLES, metric_series
from controller.store.text import storable

FINER = {60: 10, 600: 60}
"""From which spans those of a step are made."""
_LARGEST = frozenset({"cpu_max", "memory_max", "error_count", "restart_count"})
_CHUNK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryQuery:
    """Spans of `step` (10, 60 or 600) seconds that begin within `since` and `until`, both included.

    `instance`: only this one's. `summed`: the sum over all instances of the worker, `instance` of the answers is None.
    Without a `worker_id` the sums of each worker.
    """

    worker_id: str | None
    step: int
    since: int
    until: int
    instance: str | None = None
    summed: bool = False
    limit: int = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One span of an instance, or of a worker: its begin in seconds since the epoch, and FIGURES by name."""

    worker_id: str
    instance: str | None
    at: int
    figures: Mapping[str, float | None]


def keep_figures(connection: Connection, chore: Figures) -> int:
    """Do one chore; how many rows it wrote or deleted."""
    match chore:
        case Samples():
            return _store(connection, chore)
        case RollUp():
            return _roll_up(connection, chore)
        case TrimSamples():
            return _trim(connection, chore)
        case TrimSeries():
            return _forget(connection, chore)
        case _:  # pragma: no cover
            assert_never(chore)


def _store(connection: Connection, samples: Samples) -> int:
    """Keep them; one that is there already is replaced."""
    numbers = _numbers(connection, [storable(row.instance) for row in samples.rows])
    rows = [{"series": numbers[storable(row.instance)], "at": samples.at, **_figures(row)} for row in samples.rows]
    if rows:
        connection.execute(upsert(connection.dialect.name, SAMPLES[10]), rows)
    return len(rows)


def _figures(row: Sample) -> dict[str, float | None]:
    known = {name: getattr(row, name) for name in FIGURES if name not in {"cpu_max", "memory_max"}}
    return known | {"cpu_max": row.cpu_percent, "memory_max": row.memory_bytes}


def _numbers(connection: Connection, instances: Sequence[str]) -> dict[str, int]:
    table = metric_series.c
    found: dict[str, int] = {}

    def look(names: Sequence[str]) -> None:
        for start in range(0, len(names), _CHUNK):
            some = table.instance.in_(names[start : start + _CHUNK])
            found.update((row.instance, row.series) for row in connection.execute(select(metric_series).where(some)))

    look(instances)
    missing = sorted(set(instances) - found.keys())
    if missing:
        rows = [{"instance": name, "worker_id": name.rpartition("/")[0]} for name in missing]
        connection.execute(insert(metric_series), rows)
        look(missing)
    return found


def _roll_up(connection: Connection, chore: RollUp) -> int:
    """Make spans from the finer ones."""
    source, target = SAMPLES[FINER[chore.step]], SAMPLES[chore.step]
    # Whole numbers: the remainder is exact in every database.
    begin = (source.c.at - source.c.at % chore.step).label("at")
    figures = [
        (func.max(source.c[name]) if name in _LARGEST else func.avg(source.c[name])).label(name) for name in FIGURES
    ]
    since, until = chore.since - chore.since % chore.step, chore.until
    spans = (
        select(source.c.series, begin, *figures)
        .where(source.c.at >= since, source.c.at < until)
        .group_by(source.c.series, begin)
    )
    statement = upsert(connection.dialect.name, target).from_select(["series", "at", *FIGURES], spans)
    return connection.execute(statement).rowcount


def _trim(connection: Connection, chore: TrimSamples) -> int:
    """Delete one slice."""
    table = SAMPLES[chore.step]
    key = tuple_(table.c.series, table.c.at)
    old = select(table.c.series, table.c.at).where(table.c.at < chore.before).order_by(table.c.at).limit(chore.limit)
    return connection.execute(delete(table).where(key.in_(old))).rowcount


def _forget(connection: Connection, chore: TrimSeries) -> int:
    """Forget instances without a sample."""
    kept = [exists().where(table.c.series == metric_series.c.series) for table in SAMPLES.values()]
    empty = select(metric_series.c.series).where(*(~one for one in kept)).limit(chore.limit)
    numbers = [{"gone": number} for number in connection.scalars(empty)]
    if numbers:
        connection.execute(delete(metric_series).where(metric_series.c.series == bindparam("gone")), numbers)
    return len(numbers)


def spans_of(query: HistoryQuery) -> Select[Any]:
    """The question as SQL; rows are (worker_id, at, *FIGURES), with `instance` where not summed, by name and time."""
    table, series = SAMPLES[query.step], metric_series.c
    conditions: list[ColumnElement[bool]] = [table.c.at >= query.since, table.c.at <= query.until]
    if query.worker_id is not None:
        conditions.append(series.worker_id == query.worker_id)
    if query.instance is not None:
        conditions.append(series.instance == query.instance)
    is_summed = query.summed or query.worker_id is None
    figures = [func.sum(table.c[name]).label(name) if is_summed else table.c[name] for name in FIGURES]
    if is_summed:
        statement = select(series.worker_id, table.c.at, *figures)
        statement = statement.group_by(series.worker_id, table.c.at).order_by(series.worker_id, table.c.at)
    else:
        statement = select(series.worker_id, series.instance, table.c.at, *figures).order_by(
            series.instance, table.c.at
        )
    joined = table.join(metric_series, series.series == table.c.series)
    return statement.select_from(joined).where(*conditions).limit(query.limit)


def span_of(row: Any) -> Span:
    """A row of the answer."""
    fields = row._asdict()
    worker_id, instance, at = fields.pop("worker_id"), fields.pop("instance", None), fields.pop("at")
    return Span(worker_id=worker_id, instance=instance, at=at, figures=fields)
