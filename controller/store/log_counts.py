"""How many lines match, by time and by level: the same slices as a search has, of which nothing but sums leaves.

Called by queries.Reader. A slice is grouped by the database, without an index: what it costs is reading the rows. A
million lines in SQLite take 1.1 s of one core (0.2 to find the ends of slices, 0.3 to read, 0.6 to group); of those
that hold a word, 0.7 s. PostgreSQL takes about four times as long, in processes of its own. Counts that are kept
beside the lines would have to move with each line that comes and with each that retention takes, by worker, level and
time, for a question that is asked now and then; so there are none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select

from controller.store.dialect import whole
from controller.store.log_search import LogFilter, Reach, conditions
from controller.store.tables import worker_logs


@dataclass(frozen=True, slots=True, kw_only=True)
class CountSlice:
    """Of one slice: by span (its number since the epoch) and level, how many lines, and the number of their first.

    `edge`: before which line to go on; None: nothing is left. `back_to`: when the line was printed to which it came.
    """

    counts: Mapping[tuple[int, str | None], tuple[int, int]]
    edge: int | None
    back_to: float | None


def counting(dialect: str, wanted: LogFilter, reach: Reach, step: int) -> Select[Any]:
    """Rows (span, level, lines, first) of a slice."""
    line = worker_logs.c
    span = whole(dialect, line.at / float(step)).label("span")
    sums = (func.count().label("lines"), func.min(line.id).label("first"))
    return select(span, line.level, *sums).where(*conditions(dialect, wanted, reach)).group_by(span, line.level)
