"""Blocking work beside the event loop, for work that may take long or never come back.

As `asyncio.to_thread`, but with a thread of its own, which the program's end does not wait for: a sweep of the database
may take minutes, and a network file system that hangs never answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

POOL = 8
START_S = 10.0

T = TypeVar("T")


async def in_thread(work: Callable[[], T], name: str) -> T:
    """What `work` returns or raises."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except Exception as raised:  # one piece of work: it is raised where it is waited for
            error = raised
        with contextlib.suppress(RuntimeError):  # The loop has ended.
            loop.call_soon_threadsafe(settle, result, error)

    try:
        threading.Thread(target=run, name=name, daemon=True).start()
    except RuntimeError:  # No room for another one in our control group or for our user: the pool has its own.
        return await asyncio.to_thread(work)
    return await done


def open_pool() -> None:
    """Start the threads that `asyncio.to_thread` uses, now: later there may be no room for another one."""
    pool = ThreadPoolExecutor(POOL, thread_name_prefix="pool")
    met = threading.Barrier(POOL + 1)
    for _ in range(POOL):
        pool.submit(met.wait, START_S)
    met.wait(START_S)
    asyncio.get_running_loop().set_default_executor(pool)
