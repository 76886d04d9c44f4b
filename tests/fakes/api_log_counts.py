"""Counts of log lines as a test has them: a part of the fake world of the API."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from controller.api.log_query import LogQuery, SpanWish

NOTHING: Mapping[str, Any] = MappingProxyType(
    {
        "step_s": 1, "times": [], "series": [], "worst_ids": [], "lines": 0,
        "stopped_early": False, "back_to": None, "prev_cursor": None, "next_cursor": "0",
    }
)  # fmt: skip


class FakeLogCounts:
    """Implements log_query.LogCounting; remembers what was asked."""

    counted: Mapping[str, Any] = NOTHING
    count_wishes: tuple[tuple[LogQuery, SpanWish], ...] = ()

    async def log_counts(self, query: LogQuery, wish: SpanWish) -> Mapping[str, Any]:
        """See log_query.LogCounting."""
        self.count_wishes = (*self.count_wishes, (query, wish))
        return dict(self.counted)
