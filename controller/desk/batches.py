"""The desk of batches: begins, carries out, cancels and repeats them. Implements api.ports.Batches.

What to do next is decided in core/batches.py; a worker is acted on through the desk of workers as for any request, and
the end of an item is that of its operation. One task carries one batch out, woken by the changes of operations.

Every step is in the batch's file before the next one is taken (those of several workers at once, where they come
together), so that a controller that is killed anywhere goes on where it was. In the order of one item:

1. its number is drawn and noted: the item is `running`;
2. it is asked for with that number. Killed here, it is asked for again: the number makes of both one restart, and a
   start or stop that the spec says already changes nothing;
3. the id of its operation is noted. Killed after this, it is not asked for again, unless the operation is lost (the
   database keeps those) and the worker's spec still says so: another wish of a person in between is left alone;
4. its end is noted.

What does not belong here: when a worker has restarted (reconcile/operations.py), HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import assert_never

from controller.agent.failpoints import failpoint
from controller.api.ports import (
    ENDED_OPERATIONS,
    Accepted,
    ActionWish,
    BatchAccepted,
    BatchWish,
    Document,
    NotRead,
    Refused,
    StoreUnavailable,
    Topic,
    UnknownBatch,
    UnknownWorker,
)
from controller.core import batches as core
from controller.core.batches import Batch, BatchItem
from controller.core.picture import picture_of
from controller.desk.batch_files import BatchFiles
from controller.desk.parts import Parts
from controller.desk.wishing import served
from controller.desk.workers import Desk
from controller.store.records import Event

LIVE_MOST = 50
"""So many may be under way at a time."""
LOOK_S = 30.0
"""A batch is looked at so often even where nothing wakes it."""
AGAIN_S = 1.0
"""How soon what could not be done now is tried again."""
BUSY_TRIES = 10
"""So often is a worker tried whose file others are just writing."""

log = logging.getLogger("workerctl.batches")


class BatchDesk:
    """See the header. Used from the event loop."""

    def __init__(self, parts: Parts, desk: Desk, files: BatchFiles) -> None:
        self._loop, self._wishes, self._specs = parts.loop, parts.wishes, parts.specs
        self._archive, self._clock = parts.archive, parts.clock
        self._desk, self._files = desk, files
        self._batches = {batch.batch_id: batch for batch in files.load()}
        self._documents = {name: core.batch_view(batch) for name, batch in self._batches.items()}
        self._writing = asyncio.Lock()
        self._busy: dict[tuple[str, str], int] = {}
        self._unsaved: dict[str, dict[str, BatchItem]] = {}
        self._group: asyncio.TaskGroup | None = None

    # --- ports.Batches ---

    def batches(self) -> Sequence[Document]:
        """See ports.Batches."""
        order = sorted(self._batches.values(), key=lambda batch: (batch.created_at, batch.batch_id), reverse=True)
        return [self._documents[batch.batch_id] for batch in order]

    def batch(self, batch_id: str) -> Document | None:
        """See ports.Batches."""
        return self._documents.get(batch_id)

    async def create(self, wish: BatchWish) -> BatchAccepted | Refused:
        """See ports.Batches."""
        items = tuple(self._item(worker_id) for worker_id in wish.worker_ids)
        batch = Batch(
            batch_id=secrets.token_hex(8), action=wish.action, items=items, created_at=self._clock.now(),
            actor=wish.actor, reason=wish.reason, graceful=wish.graceful, parallel=wish.parallel,
            stop_on_failure=wish.stop_on_failure, selector=wish.selector,
        )  # fmt: skip
        return await self._begin(batch)

    async def cancel(self, batch_id: str, actor: str) -> BatchAccepted | UnknownBatch | Refused:
        """See ports.Batches."""
        known = self._batches.get(batch_id)
        if known is None:
            return UnknownBatch()
        if known.is_over:
            return Refused(code="batch_over", message=f"the batch is over: {core.told(known)}")
        try:
            batch = await self._change(batch_id, lambda batch: core.cancelled(batch, actor, self._clock.now()))
        except OSError as error:
            return _unwritable(error)
        self._tell(batch, "batch_cancel_requested", actor, core.told(batch))
        return BatchAccepted(batch=self._documents[batch_id])

    async def retry(self, batch_id: str, actor: str, reason: str) -> BatchAccepted | UnknownBatch | Refused:
        """See ports.Batches."""
        known = self._batches.get(batch_id)
        if known is None:
            return UnknownBatch()
        if not known.is_over:
            hint = "wait for its end, or cancel it first"
            return Refused(code="batch_under_way", message=f"the batch is not over: {core.told(known)}", hint=hint)
        names = core.to_retry(known)
        if not names:
            return Refused(code="nothing_failed", message=f"nothing of it failed: {core.told(known)}")
        again = replace(
            known, batch_id=secrets.token_hex(8), items=tuple(self._item(name) for name in names), actor=actor,
            created_at=self._clock.now(), reason=reason or known.reason, origin=batch_id, cancelled_by="",
            ended_at=None,
        )  # fmt: skip
        return await self._begin(again)

    def _item(self, worker_id: str) -> BatchItem:
        if self._loop.desired is None:
            raise NotRead
        if self._desk.is_known(worker_id):
            return BatchItem(worker_id=worker_id)
        return BatchItem(worker_id=worker_id, state="not_found", detail="there is no such worker")

    async def _begin(self, batch: Batch) -> BatchAccepted | Refused:
        if self._loop.draining:
            return Refused(code="draining", message="the controller is stopping")
        live = sum(not one.is_over for one in self._batches.values())
        if live >= LIVE_MOST:
            hint = "`workerctl batch ls` shows them; `workerctl batch cancel ID` ends one"
            return Refused(code="too_many_batches", message=f"{live} batches are under way already", hint=hint)
        batch = core.ended(batch, batch.created_at)
        try:
            async with self._writing:
                await asyncio.to_thread(self._files.save, batch)
        except OSError as error:
            return _unwritable(error)
        self._take(batch)
        workers = "1 worker" if len(batch.items) == 1 else f"{len(batch.items)} workers"
        self._tell(batch, "batch_requested", batch.actor, f"{batch.action} of {workers} asked for")
        if batch.is_over:
            self._tell_end(batch)
        elif self._group is not None:
            self._group.create_task(self._carry_out(batch.batch_id), name=f"batch {batch.batch_id}")
        await self._forget_old()
        return BatchAccepted(batch=self._documents[batch.batch_id])

    # --- keeping ---

    async def _change(self, batch_id: str, change: Callable[[Batch], Batch]) -> Batch:
        """The batch as it is now, changed, and durable. Raises OSError, and then it is as before."""
        async with self._writing:
            before = self._batches[batch_id]
            after = change(before)
            if after != before:
                await asyncio.to_thread(self._files.save, after)
                self._take(after)
        return after

    def _take(self, batch: Batch) -> None:
        self._batches[batch.batch_id] = batch
        self._documents[batch.batch_id] = core.batch_view(batch)
        self._desk.tower.ring(Topic.BATCHES)

    async def _forget_old(self) -> None:
        over = [batch for batch in self._batches.values() if batch.is_over]
        old = sorted(over, key=lambda batch: (batch.created_at, batch.batch_id))[: -self._files.kept]
        for batch in old:
            del self._batches[batch.batch_id], self._documents[batch.batch_id]
        if old:
            await asyncio.to_thread(self._files.remove, [batch.batch_id for batch in old])

    def _tell(self, batch: Batch, kind: str, actor: str, message: str) -> None:
        data = {"batch_id": batch.batch_id}
        self._archive.keep_own(
            Event(at=self._clock.now(), type=kind, actor=actor, cause=batch.reason, message=message, data=data)
        )

    def _tell_end(self, batch: Batch) -> None:
        self._tell(batch, f"batch_{core.state_of(batch)}", "loop", core.told(batch))

    # --- carrying out ---

    async def run(self) -> None:
        """Carry out what is under way, and what will be begun, until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for batch in list(self._batches.values()):
                if not batch.is_over:
                    log.info("a batch goes on", extra={"fields": {"batch": batch.batch_id, "stands": core.told(batch)}})
                    group.create_task(self._carry_out(batch.batch_id), name=f"batch {batch.batch_id}")
            await asyncio.Event().wait()

    async def _carry_out(self, batch_id: str) -> None:
        await self._specs.over(1)
        with contextlib.closing(self._desk.subscribe(Topic.OPERATIONS)) as bell:
            is_told = False
            while not self._batches[batch_id].is_over:
                rest = LOOK_S
                try:
                    if await self._round(batch_id):
                        is_told = False
                        continue
                    is_busy = any(one == batch_id for one, _ in self._busy)
                    is_waiting = is_busy or self._loop.draining or self._loop.desired is None
                    rest = AGAIN_S if is_waiting else LOOK_S
                except (NotRead, StoreUnavailable):
                    rest = AGAIN_S
                except OSError as error:
                    fields = {"batch": batch_id, "error": str(error)}
                    log.log(
                        logging.DEBUG if is_told else logging.WARNING,
                        "a batch waits: its file cannot be written",
                        extra={"fields": fields},
                    )
                    rest, is_told = AGAIN_S, True
                except Exception:  # one batch's bug must not end the others, nor the controller
                    log.exception("internal error: a batch could not be carried on")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(rest):
                        await bell.wait()
        self._busy = {key: tries for key, tries in self._busy.items() if key[0] != batch_id}
        self._tell_end(self._batches[batch_id])

    async def _round(self, batch_id: str) -> bool:
        """Look at what is under way, ask for what is due; whether anything moved. Raises OSError and as the desk.

        What was asked for and cannot be noted is remembered, and noted before anything else is done.
        """
        before = self._batches[batch_id]
        if self._loop.desired is None or self._loop.draining:
            return False
        news = dict(self._unsaved.get(batch_id, {}))
        for item in before.of("running"):
            if item.operation_id and (found := await self._watched(before, item)) is not None:
                news[item.worker_id] = found

        def go_on(batch: Batch) -> Batch:
            moved = core.moved(batch, news, self._clock.now())
            return core.begun(moved, {worker_id: self._number(worker_id) for worker_id in core.due(moved)})

        begun = await self._change(batch_id, go_on)
        failpoint("controller.batch_begun")
        asked = self._unsaved[batch_id] = dict[str, BatchItem]()
        for item in begun.of("running"):
            # One that was given up meanwhile is not asked for.
            if item.operation_id or item not in self._batches[batch_id].items:
                continue
            if (found := await self._asked(begun, item)) is not None:
                asked[item.worker_id] = found
        await self._change(batch_id, lambda batch: core.moved(batch, asked, self._clock.now()))
        del self._unsaved[batch_id]
        return self._batches[batch_id] is not before

    def _number(self, worker_id: str) -> int:
        assert self._loop.desired is not None
        picture = picture_of(worker_id, self._loop.desired, self._loop.observed())
        return self._wishes.next_number(worker_id, self._clock.now(), served=served(picture))

    async def _watched(self, batch: Batch, item: BatchItem) -> BatchItem | None:
        """What became of an operation; None while it is under way."""
        operation = await self._desk.operation(item.operation_id)
        if operation is None:
            return self._found_again(batch, item)
        if operation["state"] not in ENDED_OPERATIONS:
            return None
        detail = str(operation["detail"] or operation["state"])
        return replace(item, state="succeeded" if operation["state"] == "succeeded" else "failed", detail=detail)

    def _found_again(self, batch: Batch, item: BatchItem) -> BatchItem:
        """Its operation is lost with the controller before us: ask again, unless the opposite is wanted by now."""
        worker = self._specs.desired.workers.get(item.worker_id)
        wanted = None if worker is None else worker.wanted
        if (batch.action == "stop" and wanted == "running") or (batch.action == "start" and wanted == "stopped"):
            return replace(item, state="failed", detail="how it ended is not known; by now its spec says otherwise")
        return replace(item, operation_id="")

    async def _asked(self, batch: Batch, item: BatchItem) -> BatchItem | None:
        """Ask the desk of workers, as for a request of its own; None where it must be asked again."""
        because = f"{batch.reason}; batch {batch.batch_id}" if batch.reason else f"batch {batch.batch_id}"
        wish = ActionWish(
            worker_id=item.worker_id, action=batch.action, actor=batch.actor, graceful=batch.graceful, reason=because,
            number=item.number, request_id=batch.batch_id,
        )  # fmt: skip
        outcome = await self._desk.act(wish)
        failpoint("controller.batch_asked")
        match outcome:
            case UnknownWorker():
                return replace(item, state="not_found", detail="it is gone")
            case Refused(code="draining"):
                return None
            case Refused(code="busy") if self._is_tried_again(batch.batch_id, item):
                return None
            case Refused(message=message, hint=hint):
                return replace(item, state="failed", detail=f"{message}; {hint}" if hint else message)
            case Accepted(operation=operation):
                self._busy.pop((batch.batch_id, item.worker_id), None)
                return replace(item, operation_id=str(operation["operation_id"]))
            case other:
                assert_never(other)

    def _is_tried_again(self, batch_id: str, item: BatchItem) -> bool:
        key = (batch_id, item.worker_id)
        self._busy[key] = self._busy.get(key, 0) + 1
        return self._busy[key] < BUSY_TRIES


def _unwritable(error: OSError) -> Refused:
    message = f"cannot write to the state directory: {error.strerror or error}"
    return Refused(code="state_unwritable", message=message)
