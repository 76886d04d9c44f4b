"""How many lines of which level when, for the bars above a log: counted slice after slice, as a search looks.

Between two slices others ask. One answer counts for PATIENCE_S, the newest lines first; it then says how far it came,
and asking again from there counts the others. Spans have round lengths, each a multiple of the one before, and begin at
multiples of it: so what was counted apart is put together without counting again, and bars stay where they are while
time goes on. A line whose clock was wrong by years makes all spans longer, never the answer.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from controller.api.log_query import SpanWish
from controller.core.levels import LEVELS
from controller.core.views import rfc3339
from controller.desk.log_search import FIRST
from controller.store.log_counts import CountSlice
from controller.store.log_search import SLICE, LogFilter
from controller.store.queries import Reader

PATIENCE_S = 1.0

Ask = Callable[[Callable[[], Any]], Awaitable[Any]]
_ROUND = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 10_800, 21_600, 43_200, 86_400, 604_800)
_RANK = {level: rank for rank, level in enumerate((None, *LEVELS))}


class Tally:
    """Counts by span and level. `most`: so many spans; they become longer where there would be more. Pure."""

    def __init__(self, step: int, most: int) -> None:
        self.step, self._most = step, most
        self._counts: dict[tuple[int, str | None], tuple[int, int]] = {}

    def cover(self, begin: float, end: float) -> None:
        """Make spans long enough for all of that time."""
        while int(end // self.step) - int(begin // self.step) >= self._most:
            self._lengthen()

    def add(self, part: CountSlice) -> None:
        """Counts of spans as long as these."""
        for key, count in part.counts.items():
            self._add(key, count)
        spans = [span for span, _ in self._counts]
        if spans:
            self.cover(min(spans) * self.step, max(spans) * self.step)

    def _add(self, key: tuple[int, str | None], count: tuple[int, int]) -> None:
        lines, first = self._counts.get(key, (0, count[1]))
        self._counts[key] = (lines + count[0], min(first, count[1]))

    def _lengthen(self) -> None:
        before, self.step = self.step, next(step for step in _steps() if step > self.step)
        counts, self._counts = self._counts, {}
        for (span, level), count in counts.items():
            self._add((span * before // self.step, level), count)

    def drawn(self, begin: float, end: float) -> dict[str, Any]:
        """As series: from `begin` to `end`, or as far as there are lines."""
        spans = [span * self.step for span, _ in self._counts]
        low, high = min([begin, *spans]), max([end, *spans])
        self.cover(low, high)
        shown = range(int(low // self.step), int(high // self.step) + 1)
        levels = sorted({level for _, level in self._counts}, key=lambda level: -_RANK.get(level, 0))
        series = [
            {"level": level, "values": [self._counts.get((span, level), (0, 0))[0] for span in shown]}
            for level in levels
        ]
        worst = [
            next((found[1] for level in levels if (found := self._counts.get((span, level)))), None) for span in shown
        ]
        times = [span * self.step for span in shown]
        lines = sum(count for count, _ in self._counts.values())
        return {"step_s": self.step, "times": times, "series": series, "worst_ids": worst, "lines": lines}


def _steps() -> Iterator[int]:
    """Round lengths, then twice as long each."""
    yield from _ROUND
    step = _ROUND[-1]
    while True:
        step *= 2
        yield step


async def count_lines(
    ask: Ask, reader: Reader, wanted: LogFilter, wish: SpanWish, patience_s: float = PATIENCE_S
) -> dict[str, Any]:
    """What `GET /api/v1/logs/histogram` answers, but for where new lines begin. `ask` puts one question to `reader`."""
    until = time.monotonic() + patience_s
    wanted, tally = _without_gaps(wanted), Tally(wish.step or 1, wish.most)
    kept = await ask(lambda: reader.log_ends(wanted))
    if kept is None:
        return tally.drawn(0, -1) | {"stopped_early": False, "back_to": None, "prev_cursor": None}
    begin = max(kept[0], kept[0] if wanted.since is None else wanted.since)
    end = max(begin, min(kept[1], kept[1] if wanted.until is None else wanted.until))
    tally.cover(begin, end)
    edge, size = wish.before, FIRST
    while True:
        part = await ask(partial(reader.log_counts, wanted, edge, tally.step, size))
        tally.add(part)
        edge, size = part.edge, SLICE
        if edge is None or time.monotonic() >= until:
            break
    came_to = begin if part.back_to is None else min(end, max(begin, part.back_to))
    return {
        **tally.drawn(begin if edge is None else came_to, end),
        "stopped_early": edge is not None,
        "back_to": None if edge is None else rfc3339(came_to),
        "prev_cursor": None if edge is None else str(edge),
    }


def _without_gaps(wanted: LogFilter) -> LogFilter:
    """Where lines are missing there is none to count."""
    return replace(wanted, kinds=tuple(kind for kind in wanted.kinds if kind != "gap") or wanted.kinds)
