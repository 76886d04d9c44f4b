"""The work queue of the loop: ids of workers to look at. Wake reasons carry no information; they only say *look*.

An id is held once however often it was added, and stays due while a turn works on it if it is added again. Delayed
entries keep their earliest time. `everything()` asks for a full resync.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Batch:
    """What one turn looks at: these workers, or all of them (`None`)."""

    only: frozenset[str] | None


class WorkQueue:
    """Not thread-safe: used from the event loop only."""

    def __init__(self) -> None:
        self.wake = asyncio.Event()
        self._due: set[str] = set()
        self._all = False
        self._later: dict[str, float] = {}

    def add(self, worker_ids: Iterable[str]) -> None:
        """Look at these now."""
        self._due.update(worker_ids)
        if self._due:
            self.wake.set()

    def add_later(self, worker_id: str, at: float) -> None:
        """Look at this one at `at` (seconds since the epoch), or earlier where that was asked for already."""
        self._later[worker_id] = min(at, self._later.get(worker_id, at))

    def everything(self) -> None:
        """Look at all of them now."""
        self._all = True
        self.wake.set()

    def next_at(self) -> float | None:
        """When the first delayed entry is due, or None."""
        return min(self._later.values(), default=None)

    def take(self, now: float) -> Batch:
        """Everything due at `now`, out of the queue."""
        ripe = [worker_id for worker_id, at in self._later.items() if at <= now]
        for worker_id in ripe:
            del self._later[worker_id]
        batch = Batch(None) if self._all else Batch(frozenset(self._due.union(ripe)))
        self._due.clear()
        self._all = False
        return batch
