"""The desk of workers: how they are, what is planned, and the wishes to start, stop and restart them.

A wish is durable when its method returns: start and stop are written into the person's file, restart (and the second
half of start: another try for what gave up) into an intent. The loop does the rest; an operation only watches it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from controller.agent.failpoints import failpoint
from controller.api.changes import BellTower
from controller.api.ports import Accepted, ActionWish, Bell, Document, Health, NotRead, Refused, Topic, UnknownWorker
from controller.core.authorship import SpecWritten
from controller.core.desired import DesiredWorker
from controller.core.intents import RunIntent
from controller.core.picture import Album, Picture
from controller.core.plan import Hold, Plan
from controller.core.views import status_view
from controller.desk import wishing
from controller.desk.lookout import Lookout
from controller.desk.parts import Parts
from controller.desk.shelf import Shelf
from controller.reconcile.executor import Outcome
from controller.reconcile.loop import Turn
from controller.reconcile.operations import ENDED, Operation, OperationBook, judge, read_operation
from controller.sources.writer import SpecWriter
from controller.store.records import Event

LATE_S = 75.0
"""The loop turns at least every 30 s; later than this it does not tick."""

_NOTHING = (0, "")
"""Of a wish for which no file was asked: no scan to wait for, no ETag of what was written."""

log = logging.getLogger("workerctl.loop")


class Desk(Shelf):
    """Everything an ApiServer is given. Used from the event loop."""

    def __init__(self, parts: Parts, writer: SpecWriter) -> None:
        super().__init__(parts.store)
        self.tower = BellTower()
        self._writer = writer
        self._loop, self._specs, self._wishes = parts.loop, parts.specs, parts.wishes
        self._archive, self._clock = parts.archive, parts.clock
        self._operations = OperationBook()
        self._lookout = Lookout(parts, self.tower, self._judge)
        self._tickets: dict[str, int] = {}
        self._recent: tuple[tuple[int, int], asyncio.Future[Plan]] | None = None

    async def take_up(self) -> None:
        """Go on watching the operations that a controller before us did not see the end of."""
        for row in await self.stored_operations():
            known = self._operations.get(row.operation_id)
            if known is None and row.state not in ENDED and row.action in ("start", "stop", "restart"):
                self._operations.put(read_operation(row))

    # --- what changes ---

    def subscribe(self, topic: Topic, worker_id: str | None = None) -> Bell:
        """See ports.Changes."""
        return self.tower.subscribe(topic, worker_id)

    def changed(self, worker_ids: Iterable[str] | None) -> None:
        """Something about these workers (None: any) is new."""
        self._lookout.changed(worker_ids)

    def carried(self, outcomes: Sequence[Outcome], now: float) -> None:
        """Orders of the loop were carried over, or not."""
        for outcome in outcomes:
            action = outcome.action
            if not outcome.error:
                data = {"fields": [str(change) for change in action.fields], "generation": action.generation}
                self._archive.keep_own(
                    Event(
                        at=now, type=f"{action.kind.value}_ordered", worker_id=action.worker_id,
                        instance=action.instance, actor="loop", cause=action.cause,
                        message=" ".join(str(action).split()), data=data,
                    )
                )  # fmt: skip

    def published(self, turn: Turn) -> None:
        """A turn of the loop is over."""
        for hold in turn.new_holds:
            self._tell_hold(hold, turn.now)
        self._end_keeps(turn.now)
        held = {hold.worker_id for hold in turn.plan.holds if hold.worker_id}
        self.changed(held | {outcome.action.worker_id for outcome in turn.outcomes})
        self._judge(None)

    def _end_keeps(self, now: float) -> None:
        """Forget the keeps whose time is over or whose worker is."""
        for worker_id, keep in self._wishes.intents.keeps.items():
            picture = self._picture(worker_id)
            is_removed = picture.is_gone and picture.removal is not None
            if (keep.until <= now or is_removed) and self._wishes.end_keep(worker_id, keep):
                self._archive.keep_own(wishing.keep_ended(keep, "loop", "", now))

    def _tell_hold(self, hold: Hold, now: float) -> None:
        """A new hold, as a line and an event. Not what the spec feed told already, nor that a host is still silent."""
        if hold.reason in ("SpecInvalid", "SourceHeld", "HostUnknown") or (
            self._loop.turns <= 1 and hold.worker_id is None
        ):
            return
        log.info("%s", hold)
        self._archive.keep_own(
            Event(
                at=now, type="held", worker_id=hold.worker_id, actor="loop", cause=hold.reason, message=hold.message
            )
        )  # fmt: skip

    def _judge(self, worker_ids: Iterable[str] | None) -> None:
        due = None if worker_ids is None else set(worker_ids)
        if self._loop.desired is None:
            return  # Of what a controller before us was asked for, nothing can be said yet.
        album = Album(self._lookout.desired(), self._loop.observed())
        for operation in self._operations.live():
            if due is not None and operation.worker_id not in due:
                continue
            picture = album.of(operation.worker_id)
            worker = picture.desired
            if not picture.slots and self.has_slots(operation.worker_id):
                continue  # Its host has told nothing yet.
            if worker is None and operation.action != "stop":
                self._put(replace(operation, state="failed", detail="its spec is gone"))
                continue
            judged = judge(
                operation,
                [slot.seen if slot.reachable else replace(slot.seen, status=slot.status) for slot in picture.slots],
                self._loop.holds(operation.worker_id),
                replicas=0 if worker is None else worker.spec.replicas,
                pending=self._is_pending(operation, worker),
            )
            if judged != operation:
                self._put(judged)

    def _is_pending(self, operation: Operation, worker: DesiredWorker | None) -> bool:
        """Whether the loop has yet to see the wish: in the spec, and in the intent."""
        if worker is None:
            return False
        wanted = worker.wanted
        if self._specs.settled < self._tickets.get(operation.operation_id, 0):
            return True  # What the file says now has not been read, or not twice.
        if operation.action == "stop":
            return wanted == "running"
        intent = self._wishes.intents.runs.get(operation.worker_id)
        is_unserved = intent is not None and intent.number == operation.number
        return is_unserved or (operation.action == "start" and wanted == "stopped")

    def specs_read(self) -> None:
        """A scan is over, whatever it found: what waited for it may be done, and others than before may be shown."""
        self._lookout.changed(())
        self._judge(None)

    def _put(self, operation: Operation) -> None:
        if operation.state in ENDED:
            self._tickets.pop(operation.operation_id, None)
        self._operations.put(operation)
        self._archive.keep_operation(operation)
        self.tower.ring(Topic.OPERATIONS)

    # --- snapshots ---

    def workers(self) -> Sequence[Document]:
        """See ports.Snapshots."""
        self._check_read()
        return self._lookout.workers()

    async def prepare(self) -> None:
        """See ports.Snapshots."""
        await self._lookout.prepare()

    def encoded(self, item: Document) -> bytes:
        """See ports.Snapshots."""
        return self._lookout.roster.encoded(item)

    def known_operations(self) -> Sequence[Document]:
        """See ports.Snapshots."""
        return [operation.document() for operation in self._operations.all()]

    def health(self) -> Health:
        """See ports.Snapshots."""
        now, desired = self._clock.now(), self._specs.desired
        views = self._loop.observed().hosts.values()
        return Health(
            ticking=now - self._loop.last_turn_at < LATE_S,
            first_turn=self._loop.turns > 0,
            agent=all(view.reachable for view in views),
            draining=self._loop.draining,
            database=self.store.writer.healthy,
            database_trouble=self.store.writer.trouble,
            workers=len(desired.workers.keys() | desired.broken.keys()),
            problems=len(desired.problems),
            holds=len(self._loop.all_holds()),
        )

    async def status(self, worker_id: str) -> Document | None:
        """See ports.Records."""
        self._check_read()
        found = self._lookout.one(worker_id)
        if found is None:
            return None
        operations = [operation.document() for operation in self._operations.of_worker(worker_id)[-10:]]
        return {**status_view(*found, now=self._clock.now()), "operations": operations}

    async def plan(self) -> Plan:
        """See ports.Records."""
        return await self._loop.planned()

    async def recent_plan(self) -> Plan:
        """See ports.Records."""
        state = (self._lookout.looks, self._loop.turns)
        if self._recent is None or self._recent[0] != state:
            self._recent = (state, asyncio.ensure_future(self._loop.planned()))
        return await asyncio.shield(self._recent[1])

    async def operation(self, operation_id: str) -> Document | None:
        """See ports.Records."""
        operation = self._operations.get(operation_id)
        return operation.document() if operation else await self.stored_operation(operation_id)

    def is_known(self, worker_id: str) -> bool:
        """Whether there is a spec or a slot of this name."""
        return not self._picture(worker_id).is_gone

    def live_runs(self, worker_id: str | None) -> Mapping[str, str | None]:
        """See Shelf."""
        if worker_id is not None:
            return {slot.seen.instance: slot.seen.run for slot in self._picture(worker_id).slots}
        instances = [instance for item in self._lookout.workers() for instance in item["instances"]]
        return {str(instance["instance"]): instance["run"] for instance in instances}

    def _check_read(self) -> None:
        """Before the specs are read nobody can say that a worker does not exist."""
        if self._loop.desired is None:
            raise NotRead

    def has_slots(self, worker_id: str) -> bool:
        """Whether any supervisor still has a slot of it, or might."""
        return not self.without_slots([worker_id])

    def without_slots(self, worker_ids: Iterable[str]) -> list[str]:
        """Those of which no supervisor has a slot, or might."""
        observed = self._loop.observed()
        if not all(view.reachable for view in observed.hosts.values()):
            return []
        album = Album(self._specs.desired, observed)
        return [worker_id for worker_id in worker_ids if not album.of(worker_id).slots]

    def _picture(self, worker_id: str) -> Picture:
        return self._lookout.picture(worker_id)

    # --- wishes ---

    async def act(self, wish: ActionWish) -> Accepted | UnknownWorker | Refused:
        """See ports.Wishes."""
        self._check_read()
        picture = self._picture(wish.worker_id)
        if picture.is_gone:
            return UnknownWorker()
        if self._loop.draining:
            return Refused(code="draining", message="the controller is stopping")
        if refused := wishing.refusal_of(wish, picture):
            return refused
        now = self._clock.now()
        number, written, is_edited = 0, _NOTHING, False  # the number of the intent, where one is made
        if wish.action != "restart" and wish.for_ms is None:
            edited = await self._write_state(wish)
            if isinstance(edited, Refused):
                return edited
            # Before anything is awaited: the next scan is the one.
            is_edited, written = bool(edited), (self._specs.ticket(), edited)
            failpoint("controller.after_spec_write")
        try:
            if wish.action != "restart":
                is_edited |= await self._keep(wish, picture, now)
            # An edit is the wish itself: what it starts begins with a fresh budget. A kill is no part of a spec.
            if (wish.action == "stop" and wish.graceful) or (wish.action == "start" and is_edited):
                await asyncio.to_thread(self._wishes.forget_run, wish.worker_id)
            else:
                number = await self._record(wish, now, wishing.served(picture))
        except OSError as error:
            return Refused(code="state_unwritable", message=f"cannot write to the state directory: {error.strerror}")
        operation = self._enter(wish, number, now, written)
        self._loop.queue.add([wish.worker_id])
        return Accepted(operation=operation.document())

    async def _keep(self, wish: ActionWish, picture: Picture, now: float) -> bool:
        """Have the worker kept as is asked for, or its spec decide again; whether that changes what is wanted."""
        wanted = None if picture.desired is None else picture.desired.wanted
        if wish.for_ms is None:
            await asyncio.to_thread(self._wishes.end_keep, wish.worker_id)
            return wanted != wishing.STATES[wish.action]
        keep = wishing.keep_for(wish, wish.for_ms, now)
        await asyncio.to_thread(self._wishes.keep, keep)
        return wanted != keep.wanted

    async def resume(self, worker_id: str, actor: str, reason: str) -> Accepted | UnknownWorker | Refused:
        """See ports.Wishes."""
        self._check_read()
        picture = self._picture(worker_id)
        if picture.is_gone:
            return UnknownWorker()
        if self._loop.draining:
            return Refused(code="draining", message="the controller is stopping")
        try:
            keep = await asyncio.to_thread(self._wishes.end_keep, worker_id)
        except OSError as error:
            return Refused(code="state_unwritable", message=f"cannot write to the state directory: {error.strerror}")
        if keep is None:
            return Refused(code="not_kept", message="nobody keeps it stopped or running: its spec decides already")
        worker = self._picture(worker_id).desired
        wanted = keep.wanted if worker is None or worker.wanted == "unless_stopped" else worker.wanted
        now = self._clock.now()
        self._archive.keep_own(wishing.keep_ended(keep, actor, reason, now))
        wish = ActionWish(
            worker_id=worker_id, action="start" if wanted == "running" else "stop", actor=actor, reason=reason, for_ms=0
        )
        operation = self._enter(wish, 0, now)
        self._loop.queue.add([worker_id])
        return Accepted(operation=operation.document())

    async def _record(self, wish: ActionWish, now: float, served: int) -> int:
        """Make an intent of the wish; its number."""
        number = wish.number or self._wishes.next_number(wish.worker_id, now, served=served)
        intent = RunIntent(
            worker_id=wish.worker_id, kind=wish.action, number=number, at=now, actor=wish.actor, reason=wish.reason,
            at_once=not wish.graceful and wish.action != "start",
        )  # fmt: skip
        await asyncio.to_thread(self._wishes.wish, intent)
        return number

    def _enter(self, wish: ActionWish, number: int, now: float, written: tuple[int, str] = _NOTHING) -> Operation:
        operation, (ticket, etag) = wishing.operation_for(wish, number, now), written
        if ticket:
            self._tickets[operation.operation_id] = ticket
        for changed in (*self._operations.add(operation), operation):
            self._archive.keep_operation(changed)
        self._archive.keep_own(wishing.requested(wish, operation, etag))
        return operation

    async def _write_state(self, wish: ActionWish) -> Refused | str:
        """Have the person's file ask for the state; its ETag where it had to be edited. What the file says now counts.

        The accepted spec may be older than the file: an edit of a moment ago, a person's or ours, is not read yet.
        """
        outcome = await asyncio.to_thread(self._writer.write, wishing.state_wish(wish))
        if isinstance(outcome, SpecWritten):
            self._specs.look()
            return outcome.etag if outcome.is_changed else ""
        return wishing.unwritten(outcome)

    async def reconcile(self, confirm: str | None, actor: str) -> Accepted | Refused:
        """See ports.Wishes."""
        if self._loop.draining:
            return Refused(code="draining", message="the controller is stopping")
        now = self._clock.now()
        if confirm is not None:
            if confirm == self._specs.desired.hold_digest:
                self._specs.source.confirm(confirm)
            elif confirm in {hold.confirm for hold in self._loop.all_holds() if hold.confirm}:
                await asyncio.to_thread(self._wishes.confirm, confirm, now)
            else:
                return Refused(
                    code="stale_plan", message=f"nothing waits for {confirm}", hint="workerctl plan shows what waits"
                )
            self._archive.keep_own(
                Event(at=now, type="confirmed", actor=actor, message=f"{confirm} confirmed by {actor}")
            )
        self._specs.look()
        self._loop.queue.everything()
        document = {
            "operation_id": secrets.token_hex(8), "worker_id": None, "action": "reconcile", "state": "succeeded",
            "detail": "looking now",
        }  # fmt: skip
        return Accepted(operation=document)
