"""A clock that stands still until a test moves it. Whoever waits on it is woken by what it waits for, or by time."""

from __future__ import annotations

import asyncio

from controller.reconcile.clock import Clock

ROUNDS = 10


class FakeClock(Clock):
    def __init__(self, now: float = 1_000_000.0) -> None:
        self._now = now
        self._elapsed = 0.0
        self._moved = asyncio.Event()
        self.waiting = 0

    def now(self) -> float:
        return self._now

    async def wait(self, wake: asyncio.Event, timeout_s: float | None) -> bool:
        until = None if timeout_s is None else self._elapsed + timeout_s
        self.waiting += 1
        try:
            while not wake.is_set():
                if until is not None and self._elapsed >= until:
                    return False
                await _first_of(wake, self._moved)
        finally:
            self.waiting -= 1
        wake.clear()
        return True

    async def advance(self, seconds: float) -> None:
        """Move on, and let those who waited for it go on."""
        self._now += seconds
        self._elapsed += seconds
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
        for _ in range(ROUNDS):
            await asyncio.sleep(0)

    def jump(self, seconds: float) -> None:
        """The clock is set, forth or back; no time passes."""
        self._now += seconds


async def _first_of(*events: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
