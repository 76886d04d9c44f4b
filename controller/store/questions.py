"""Threads that ask the database on behalf of an event loop: a few of their own, and only so many questions may wait.

A database that hangs holds every thread that asks it. In the threads that an event loop shares, orders, specs and the
agent would wait with it; here only questions do, and past a limit they are refused at once. Daemon threads, not a
ThreadPoolExecutor, whose threads the end of the process waits for: a server that never answers must not hold it up.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from controller.store.errors import StoreUnavailable

MOST_WAITING = 64

T = TypeVar("T")
Job = tuple[asyncio.AbstractEventLoop, asyncio.Future[Any], Callable[[], Any]]
"""Whom to answer, and what was asked."""


class Questions:
    """Used from one event loop; closed from anywhere."""

    def __init__(self, threads: int) -> None:
        """Starts them now: later there may be no room for another one in our control group."""
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._most = threads + MOST_WAITING
        self._waiting: set[asyncio.Future[Any]] = set()
        self._started = 0
        with suppress(RuntimeError):  # no room already: it begins with fewer
            for _ in range(threads):
                self._start()

    async def ask(self, question: Callable[[], T]) -> T:
        """What `question` returns or raises. Raises StoreUnavailable at once where too many wait already."""
        if len(self._waiting) >= self._most:
            raise StoreUnavailable("Cannot ask the database: too many questions wait for it already")
        if not self._started:
            try:
                self._start()
            except RuntimeError as error:
                raise StoreUnavailable(f"Cannot ask the database: {error}") from error
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._waiting.add(answer)
        self._jobs.put((loop, answer, question))
        try:
            return await answer
        finally:
            self._waiting.discard(answer)

    def close(self) -> None:
        """What waits is given up; what is being asked is not waited for."""
        with suppress(queue.Empty):
            while True:
                if (job := self._jobs.get_nowait()) is not None:
                    loop, answer, _ = job
                    with suppress(RuntimeError):
                        loop.call_soon_threadsafe(answer.cancel)
        for _ in range(self._started):
            self._jobs.put(None)

    def _start(self) -> None:
        threading.Thread(target=self._work, name="store-reader", daemon=True).start()
        self._started += 1

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            _answer(*job)


def _answer(loop: asyncio.AbstractEventLoop, answer: asyncio.Future[T], question: Callable[[], T]) -> None:
    if answer.cancelled():
        return
    try:
        result = question()
    except Exception as error:  # of one question: it is raised where it is waited for
        _tell(loop, answer, answer.set_exception, error)
    else:
        _tell(loop, answer, answer.set_result, result)


def _tell(
    loop: asyncio.AbstractEventLoop, answer: asyncio.Future[Any], settle: Callable[[Any], None], value: Any
) -> None:
    with suppress(RuntimeError):  # the loop has ended; nobody waits any more
        loop.call_soon_threadsafe(lambda: None if answer.done() else settle(value))
