"""The desk of specs: how they were accepted, and the wishes to create, change and delete them.

A write is durable when its method returns, and read by the loop: what a client does next finds it. What a write
brings is said beforehand by the planner that will carry it out.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from controller.agent.failpoints import failpoint
from controller.api.ports import Config, ConfigWritten, Document, NotRead
from controller.api.responses import encode
from controller.core.authorship import SpecInvalid, SpecRefused, SpecStale, SpecUnknown, SpecWish, SpecWritten
from controller.core.config_views import broken_view, config_summary, config_view
from controller.core.desired import Desired, DesiredWorker, Removal
from controller.core.problems import Problem
from controller.desk.parts import Parts
from controller.sources.directory import DirectorySource
from controller.sources.writer import SpecWriter, etag_of
from controller.store.records import Event

READ_S = 3.0
"""A write that is durable is answered after this long, read by the loop or not."""

_PAST = {"create": "created", "replace": "replaced", "patch": "changed", "delete": "deleted"}


SLICE = 20
"""So many items are made while others wait: some milliseconds of work."""

Shown = DesiredWorker | tuple[Problem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """An item of the list with its JSON, as long as what it was made of is what there is."""

    of: Shown
    commit: str | None
    item: Document
    json: bytes


class SpecDesk:
    """Implements api.ports.Configs. Used from the event loop."""

    def __init__(self, parts: Parts, source: DirectorySource, writer: SpecWriter) -> None:
        self._source, self._writer = source, writer
        self._feed, self._loop, self._archive, self._clock = parts.specs, parts.loop, parts.archive, parts.clock
        self.made = 0
        self._kept: dict[str, _Kept] = {}

    def configs(self) -> Sequence[Document]:
        """See ports.Configs."""
        self._check_read()
        for _ in self._refreshed():
            pass
        return [self._kept[worker_id].item for worker_id in sorted(self._kept)]

    async def prepare(self) -> None:
        """See ports.Configs."""
        for _ in self._refreshed():
            await asyncio.sleep(0)

    def encoded(self, item: Document) -> bytes:
        """See ports.Configs."""
        kept = self._kept.get(item["worker_id"])
        return kept.json if kept is not None and kept.item is item else encode(item)

    def _refreshed(self) -> Iterator[None]:
        """Make the items of those whose spec or problems are others than before, in slices; forget who is gone."""
        desired, since = self._feed.desired, 0
        shown: dict[str, Shown] = {name: worker for name, worker in desired.workers.items() if not worker.absent}
        shown |= desired.broken
        for name in self._kept.keys() - shown.keys():
            del self._kept[name]
        for name, of in shown.items():
            file = of.source.file if isinstance(of, DesiredWorker) else of[0].file if of else ""
            commit, kept = desired.commits.get(file), self._kept.get(name)
            if kept is not None and kept.of is of and kept.commit == commit:
                continue
            item = config_view(of, commit) if isinstance(of, DesiredWorker) else broken_view(name, of, commit)
            self._kept[name] = _Kept(of=of, commit=commit, item=item, json=encode(item))
            self.made += 1
            since += 1
            if since % SLICE == 0:
                yield

    def config(self, worker_id: str) -> Config | None:
        """See ports.Configs."""
        self._check_read()
        desired = self._feed.desired
        worker = desired.workers.get(worker_id)
        if worker is not None and not worker.absent:
            file = worker.source.file
            return Config(item=config_view(worker, desired.commits.get(file)), etag=self._etag(file))
        problems = desired.broken.get(worker_id)
        if problems is None:
            return None
        item = broken_view(worker_id, problems, desired.commits.get(problems[0].file) if problems else None)
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
        plan = self._loop.plan_for(self._with(wish, outcome), wish.worker_id)
        if outcome.is_changed and not wish.dry_run:
            self._archive.keep_own(
                Event(
                    at=self._clock.now(), type=f"spec_{_PAST[wish.action]}", worker_id=wish.worker_id, actor=wish.actor,
                    message=f"{outcome.file} written by {wish.actor}",
                    data={"request_id": wish.request_id, "etag": outcome.etag},
                )
            )  # fmt: skip
            await self._be_read()
        item = None if outcome.worker is None else config_view(outcome.worker, self._commit(outcome.worker))
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

    def _commit(self, worker: DesiredWorker) -> str | None:
        """The commit of its file, where that is known to hold this very spec."""
        desired = self._feed.desired
        known = desired.workers.get(worker.worker_id)
        return desired.commits.get(worker.source.file) if known is not None and known.spec == worker.spec else None

    def _check_read(self) -> None:
        if self._loop.desired is None:
            raise NotRead

    def _etag(self, file: str) -> str:
        content = self._source.content(file)
        return "" if content is None else etag_of(content)
