"""Upkeep of the database: what went while nobody looked, once; retention, once an hour, in slices, in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from controller.reconcile.clock import Clock
from controller.reconcile.specs import SpecFeed
from controller.store import Policy, Store, StoreError
from controller.store.records import ConfigRows

EVERY_S = 3600.0
FIRST_AFTER_S = 60.0
AGAIN_S = 60.0

T = TypeVar("T")

log = logging.getLogger("workerctl.upkeep")


async def keep_house(store: Store, specs: SpecFeed, clock: Clock) -> None:
    """Keep it until cancelled."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_mark_gone_specs(store, specs, clock))
        group.create_task(_sweep(store, specs, clock))


async def _mark_gone_specs(store: Store, specs: SpecFeed, clock: Clock) -> None:
    """Mark the rows of workers whose specs went while no controller ran. The feed marks those that go later."""
    while True:
        await specs.consistent()
        try:
            rows = await _in_thread(store.reader.worker_configs)
        except StoreError as error:
            log.debug("gone specs are not marked yet", extra={"fields": {"error": str(error)}})
        else:
            desired = specs.desired
            known = desired.workers.keys() | desired.broken.keys()
            gone = [row.worker_id for row in rows if row.worker_id not in known]
            if not desired.hold_reason and store.writer.submit(ConfigRows(gone=gone, at=clock.now())):
                return
        await clock.wait(asyncio.Event(), AGAIN_S)


async def _sweep(store: Store, specs: SpecFeed, clock: Clock) -> None:
    await clock.wait(asyncio.Event(), FIRST_AFTER_S)
    while True:
        retain = {worker_id: float(w.spec.logs.retain_days) for worker_id, w in specs.desired.workers.items()}
        policy, now = Policy(retain_days=retain), clock.now()
        try:
            await _in_thread(partial(store.sweep, policy, now))
        except StoreError as error:
            log.warning("retention must wait", extra={"fields": {"error": str(error)}})
        await clock.wait(asyncio.Event(), EVERY_S)


async def _in_thread(work: Callable[[], T]) -> T:
    """As `asyncio.to_thread`, but the program's end does not wait for it: a sweep may take minutes."""
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

    threading.Thread(target=run, name="upkeep", daemon=True).start()
    return await done
