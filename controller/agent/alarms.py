"""One timer for all slots' deadlines: the earliest is armed, whoever is due is told. Times are `mono` (CLOCK_BOOTTIME).

A heap with late deletion: setting, changing and dropping a deadline costs the same with one slot or with thousands.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from typing import Optional

LONGEST_WAIT_S = 30.0
"""The loop's clock stands still while the host sleeps, the deadlines' clock does not: look again at least so often."""


class Alarms:
    """`ring(name)` is called once for each deadline that has passed; who wants another sets it."""

    def __init__(self, mono: Callable[[], float], ring: Callable[[str], None]) -> None:
        self._mono = mono
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._timer: Optional[asyncio.TimerHandle] = None
        self._armed: Optional[float] = None

    def set(self, name: str, due: Optional[float]) -> None:
        """The deadline of `name` is now `due`; None for none."""
        if due is None:
            self._due.pop(name, None)
        elif self._due.get(name) != due:
            self._due[name] = due
            heapq.heappush(self._heap, (due, name))
        self._arm()

    def stop(self) -> None:
        """Nothing rings any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        due = self._heap[0][0] if self._heap else None
        if due == self._armed and self._timer is not None:
            return
        self.stop()
        self._armed = due
        if due is not None:
            wait = max(0.0, min(due - self._mono(), LONGEST_WAIT_S))
            self._timer = self._loop.call_later(wait, self._fire)

    def _fire(self) -> None:
        self._timer = None
        now = self._mono()
        while self._heap and self._heap[0][0] <= now:
            due, name = heapq.heappop(self._heap)
            if self._due.get(name) == due:
                del self._due[name]
                self._ring(name)
        self._arm()
