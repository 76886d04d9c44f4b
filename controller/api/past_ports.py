"""What the API needs to tell of the past: figures over time, and what became of specs. Joined in ports.py.

Everything here comes from the store, the spec files and git, and is read in threads. Every method may raise
StoreUnavailable; a worker of which nothing is known is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryWish:
    """Which figures over time. Times in seconds since the epoch. `step`: 10, 60 or 600 seconds, None chooses.

    `by_instance`: a series for each instance, else their sum. `metrics` are columns of samples. Without a `worker_id`
    the sums of each worker.
    """

    worker_id: str | None
    since: float
    until: float
    metrics: tuple[str, ...]
    step: int | None = None
    instance: str | None = None
    by_instance: bool = False


class History(Protocol):
    """Figures over time, from the store."""

    async def history(self, wish: HistoryWish) -> Document | None:
        """Series that can be drawn; None for a worker of which nothing is known."""


class Past(Protocol):
    """Specs as they were, and workers that are gone."""

    async def revisions(self, worker_id: str, before: int | None, limit: int) -> Document | None:
        """A page of what became of its spec, the newest first; `before`: only what is older than this number."""

    async def gone_workers(self, limit: int, after: tuple[float, str] | None) -> Document:
        """A page of the workers whose specs are gone, those that went last first; `after`: time and name of one."""

    async def spec_text(self, worker_id: str) -> Document | None:
        """The file that its spec stands in, secrets hidden, and where each of its fields comes from."""
