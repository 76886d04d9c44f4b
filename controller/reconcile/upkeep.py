"""Upkeep: retention once an hour, in slices, in a thread."""

from __future__ import annotations

import asyncio
import logging

from controller.reconcile.clock import Clock
from controller.reconcile.specs import SpecFeed
from controller.store import Policy, Store, StoreError

EVERY_S = 3600.0
FIRST_AFTER_S = 60.0

log = logging.getLogger("workerctl.upkeep")


async def keep_house(store: Store, specs: SpecFeed, clock: Clock) -> None:
    """Sweep until cancelled."""
    await asyncio.sleep(FIRST_AFTER_S)
    while True:
        retain = {worker_id: float(w.spec.logs.retain_days) for worker_id, w in specs.desired.workers.items()}
        try:
            await asyncio.to_thread(store.sweep, Policy(retain_days=retain), clock.now())
        except StoreError as error:
            log.warning("retention must wait", extra={"fields": {"error": str(error)}})
        await asyncio.sleep(EVERY_S)
