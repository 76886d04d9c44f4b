"""Threads that ask the database on behalf of an event loop: a few of their own, and only so many questions may wait.

A database that hangs holds every thread that asks it. In the threads that an event loop shares, orders, specs and the
agent would wait with it; here only questions do, and past a limit they are refused at once.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from controller.store.errors import StoreUnavailable

MOST_WAITING = 64
START_S = 10.0

T = TypeVar("T")


class Questions:
    """Used from one event loop; closed from anywhere."""

    def __init__(self, threads: int) -> None:
        """Starts them now: later there may be no room for another one in our control group."""
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="store-reader")
        self._most = threads + MOST_WAITING
        self._open = 0
        met = threading.Barrier(threads + 1)
        with suppress(RuntimeError):  # no room already: the pool begins with fewer
            for _ in range(threads):
                self._pool.submit(met.wait, START_S)
            met.wait(START_S)

    async def ask(self, question: Callable[[], T]) -> T:
        """What `question` returns or raises. Raises StoreUnavailable at once where too many wait already."""
        if self._open >= self._most:
            raise StoreUnavailable("Cannot ask the database: too many questions wait for it already")
        self._open += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, question)
        finally:
            self._open -= 1

    def close(self) -> None:
        """What waits is given up; what is being asked is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)
