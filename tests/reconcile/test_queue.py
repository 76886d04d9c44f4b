"""The work queue, and the clock that waits on it."""

from __future__ import annotations

import asyncio
import time

from controller.reconcile.clock import Clock
from controller.reconcile.queue import Batch, WorkQueue


async def test_an_id_is_held_once_and_again_after_it_was_taken() -> None:
    queue = WorkQueue()
    queue.add(["a", "b"])
    queue.add(["a"])
    assert queue.wake.is_set()
    assert queue.take(0.0) == Batch(frozenset({"a", "b"}))
    queue.add(["a"])
    assert queue.take(0.0) == Batch(frozenset({"a"}))
    assert queue.take(0.0) == Batch(frozenset())


async def test_nothing_to_look_at_wakes_nobody() -> None:
    queue = WorkQueue()
    queue.add([])
    assert not queue.wake.is_set()


async def test_delayed_entries_keep_their_earliest_time() -> None:
    queue = WorkQueue()
    assert queue.next_at() is None
    queue.add_later("a", 20.0)
    queue.add_later("a", 10.0)
    queue.add_later("a", 15.0)
    queue.add_later("b", 30.0)
    assert queue.next_at() == 10.0
    assert queue.take(9.0).only == frozenset()
    assert queue.take(10.0) == Batch(frozenset({"a"}))
    assert queue.next_at() == 30.0


async def test_everything_is_everything() -> None:
    queue = WorkQueue()
    queue.add(["a"])
    queue.everything()
    assert queue.take(0.0) == Batch(None)
    assert queue.take(0.0) == Batch(frozenset())


async def test_the_clock_waits_for_a_wake_or_for_time() -> None:
    clock, wake = Clock(), asyncio.Event()
    assert abs(clock.now() - time.time()) < 5
    assert not await clock.wait(wake, 0.0)
    wake.set()
    assert await clock.wait(wake, 0.0)
    assert not wake.is_set()
    asyncio.get_running_loop().call_soon(wake.set)
    assert await clock.wait(wake, None)
