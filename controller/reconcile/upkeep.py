"""Upkeep of the database: what went while nobody looked, once; retention, once an hour, in slices, in a thread."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from controller.reconcile.clock import Clock
from controller.reconcile.specs import SpecFeed
from controller.reconcile.threads import in_thread
from controller.store import Policy, Store, StoreError
from controller.store.records import ConfigRows

EVERY_S = 3600.0
FIRST_AFTER_S = 60.0
AGAIN_S = 60.0

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
            rows = await in_thread(store.reader.worker_configs, "upkeep")
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
            await in_thread(partial(store.sweep, policy, now), "upkeep")
        except StoreError as error:
            log.warning("retention must wait", extra={"fields": {"error": str(error)}})
        await clock.wait(asyncio.Event(), EVERY_S)
