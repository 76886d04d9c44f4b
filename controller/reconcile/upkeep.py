"""Upkeep of the database: what went while nobody looked, once; retention, in slices, in a thread.

What is too old goes once an hour. Log lines that are too many go every ten seconds, because a flood brings gigabytes in
an hour; where there are none, that is one look at one small table.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from controller.reconcile.clock import Clock
from controller.reconcile.specs import SpecFeed
from controller.reconcile.threads import in_thread
from controller.store import Keep, Policy, Store, StoreError
from controller.store.records import ConfigRows

EVERY_S = 3600.0
SURPLUS_EVERY_S = 10.0
FIRST_AFTER_S = 60.0
AGAIN_S = 60.0

log = logging.getLogger("workerctl.upkeep")


async def keep_house(store: Store, specs: SpecFeed, clock: Clock, all_logs: Keep | None = None) -> None:
    """Keep it until cancelled. `all_logs`: how much is kept of the log lines of all workers together."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_mark_gone_specs(store, specs, clock))
        group.create_task(_sweep(store, specs, clock, all_logs or Keep()))


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


async def _sweep(store: Store, specs: SpecFeed, clock: Clock, all_logs: Keep) -> None:
    since_s = EVERY_S - FIRST_AFTER_S
    while True:
        await clock.wait(asyncio.Event(), SURPLUS_EVERY_S)
        policy = Policy(logs=_kept(specs), all_logs=all_logs)
        since_s += SURPLUS_EVERY_S
        is_due = since_s >= EVERY_S
        work = partial(store.sweep, policy, clock.now()) if is_due else partial(store.sweep_surplus, policy)
        try:
            await in_thread(work, "upkeep")
        except StoreError as error:
            log.warning("retention must wait", extra={"fields": {"error": str(error)}})
        else:
            since_s = 0.0 if is_due else since_s


def _kept(specs: SpecFeed) -> dict[str, Keep]:
    logs = {worker_id: worker.spec.logs for worker_id, worker in specs.desired.workers.items()}
    return {
        worker_id: Keep(days=one.retain_days, lines=one.retain_lines, bytes=one.retain_bytes)
        for worker_id, one in logs.items()
    }
