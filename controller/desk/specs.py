"""The desk of specs: how they were accepted, and the wishes to create, change and delete them.

A write is durable when its method returns, and read by the loop: what a client does next finds it. What a write
brings is said beforehand by the planner that will carry it out.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace

from controller.agent.failpoints import failpoint
from controller.api.ports import Config, ConfigWritten, Document, NotRead
from controller.core.authorship import SpecInvalid, SpecRefused, SpecStale, SpecUnknown, SpecWish, SpecWritten
from controller.core.config_views import broken_view, config_summary, config_view
from controller.core.desired import Desired, Removal
from controller.desk.parts import Parts
from controller.sources.directory import DirectorySource
from controller.sources.writer import SpecWriter, etag_of
from controller.store.records import Event

READ_S = 3.0
"""A write that is durable is answered after this long, read by the loop or not."""

_PAST = {"create": "created", "replace": "replaced", "patch": "changed", "delete": "deleted"}


class SpecDesk:
    """Implements api.ports.Configs. Used from the event loop."""

    def __init__(self, parts: Parts, source: DirectorySource, writer: SpecWriter) -> None:
        self._source, self._writer = source, writer
        self._feed, self._loop, self._archive, self._clock = parts.specs, parts.loop, parts.archive, parts.clock

    def configs(self) -> Sequence[Document]:
        """See ports.Configs."""
        self._check_read()
        desired = self._feed.desired
        items = {worker_id: config_view(worker) for worker_id, worker in desired.workers.items() if not worker.absent}
        items |= {worker_id: broken_view(worker_id, problems) for worker_id, problems in desired.broken.items()}
        return [items[worker_id] for worker_id in sorted(items)]

    def config(self, worker_id: str) -> Config | None:
        """See ports.Configs."""
        self._check_read()
        desired = self._feed.desired
        worker = desired.workers.get(worker_id)
        if worker is not None and not worker.absent:
            return Config(item=config_view(worker), etag=self._etag(worker.source.file))
        problems = desired.broken.get(worker_id)
        if problems is None:
            return None
        item = broken_view(worker_id, problems)
        return Config(item=item, etag=self._etag(item["source"]["file"] or ""))

    def summary(self) -> Document:
        """See ports.Configs."""
        return config_summary(self._feed.desired)

    async def write(self, wish: SpecWish) -> ConfigWritten | SpecUnknown | SpecStale | SpecInvalid | SpecRefused:
        """See ports.Configs."""
        self._check_read()
        if self._loop.draining:
            return SpecRefused(reason="draining", message="the controller is stopping")
        outcome = await asyncio.to_thread(self._writer.write, wish)
        if not isinstance(outcome, SpecWritten):
            return outcome
        failpoint("controller.after_config_write")
        item = None if outcome.worker is None else config_view(outcome.worker)
        plan = self._loop.plan_for(self._with(wish, outcome), wish.worker_id)
        if outcome.is_changed and not wish.dry_run:
            self._archive.keep_own(
                Event(
                    at=self._clock.now(), type=f"spec_{_PAST[wish.action]}", worker_id=wish.worker_id, actor=wish.actor,
                    message=f"{outcome.file} written by {wish.actor}", data={"request_id": wish.request_id},
                )
            )  # fmt: skip
            await self._be_read()
        return ConfigWritten(item=item, etag=outcome.etag, is_changed=outcome.is_changed, plan=plan)

    async def _be_read(self) -> None:
        """What was written is known to whoever asks next; a directory that does not answer is not waited for long."""
        ticket = self._feed.ticket()
        self._feed.look()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READ_S):
                await self._feed.over(ticket)

    def _with(self, wish: SpecWish, outcome: SpecWritten) -> Desired:
        """What is desired once the write is read."""
        desired = self._feed.desired
        workers, removed = dict(desired.workers), dict(desired.removed)
        before = workers.pop(wish.worker_id, None)
        if outcome.worker is not None:
            workers[wish.worker_id] = outcome.worker
            removed.pop(wish.worker_id, None)
        elif before is not None:
            removed[wish.worker_id] = Removal(
                worker_id=wish.worker_id, proof="deleted", source=before.source, asked=True
            )
        broken = {worker_id: one for worker_id, one in desired.broken.items() if worker_id != wish.worker_id}
        return replace(desired, workers=dict(sorted(workers.items())), removed=removed, broken=broken)

    def _check_read(self) -> None:
        if self._loop.desired is None:
            raise NotRead

    def _etag(self, file: str) -> str:
        content = self._source.content(file)
        return "" if content is None else etag_of(content)
