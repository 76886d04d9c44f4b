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
    """

    worker_id: str
    step: int
    since: int
    until: int
    instance: str | None = None
    summed: bool = False
    limit: int = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One span of an instance, or of a worker: its begin in seconds since the epoch, and FIGURES by name."""

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
    """The question as SQL; rows are (instance, at, *FIGURES), by instance and time."""
    table = SAMPLES[query.step]
    conditions: list[ColumnElement[bool]] = [
        metric_series.c.worker_id == query.worker_id, table.c.at >= query.since, table.c.at <= query.until,
    ]  # fmt: skip
    if query.instance is not None:
        conditions.append(metric_series.c.instance == query.instance)
    joined = table.join(metric_series, metric_series.c.series == table.c.series)
    figures = [func.sum(table.c[name]).label(name) if query.summed else table.c[name] for name in FIGURES]
    statement = select(metric_series.c.instance, table.c.at, *figures)
    if query.summed:
        statement = select(table.c.at, *figures).group_by(table.c.at).order_by(table.c.at)
    else:
        statement = statement.order_by(metric_series.c.instance, table.c.at)
    return statement.select_from(joined).where(*conditions).limit(query.limit)


def span_of(row: Any) -> Span:
    """A row of the answer."""
    fields = row._asdict()
    instance, at = fields.pop("instance", None), fields.pop("at")
    return Span(instance=instance, at=at, figures=fields)
