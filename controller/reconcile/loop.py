"""The loop: take the dirty workers, snapshot, read the clock once, plan, execute, record, publish.

Level-triggered. Whatever wakes it only adds worker ids to the queue; what to do is read from the snapshots. Every
`RESYNC_S` everything is looked at, and `plan.next_wake` sets the earliest next look. No wait for health happens here:
a worker that is not up yet is a hold of the plan, and the next observation wakes the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from controller.backends.base import Backend, Superseded, Unavailable
from controller.core import guards
from controller.core.dependencies import dependents_by_worker
from controller.core.desired import Desired
from controller.core.intents import Intents, RunIntent
from controller.core.keeps import with_keeps
from controller.core.observed import Observed
from controller.core.picture import picture_of
from controller.core.plan import Action, Hold, Plan
from controller.core.planner import plan as make_plan
from controller.core.steps import is_pending
from controller.reconcile.clock import Clock
from controller.reconcile.executor import Executor, Outcome
from controller.reconcile.queue import Batch, WorkQueue
from controller.reconcile.threads import in_thread
from controller.reconcile.wishes import WishBook

RESYNC_S = 30.0
RETRY_S = 1.0
"""How soon a worker whose orders were not carried over is looked at again; then twice as late each time."""
STOP_WISH_S = 60.0
"""So long a wish to stop at once waits for the spec to say so: the file is written first, and read soon after."""
ORDERS = 100
"""So many orders are written down and sent at a time: some milliseconds, between which requests are answered."""
PLANNED_HERE = 50
"""A plan of more workers is made in a thread. Below that it is too short to be worth it: some milliseconds."""
_TELLING = ("SpecInvalid", "KeptStopped", "KeptRunning")
"""Reasons of holds that hold up no wish."""

log = logging.getLogger("workerctl.loop")


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What a turn did, for those who publish it. `took_s`: seconds from the look at the processes to the last order."""

    number: int
    now: float
    took_s: float
    plan: Plan
    outcomes: tuple[Outcome, ...]
    new_holds: tuple[Hold, ...]


class Loop:
    """Owns the current Desired, the live holds, and the turn counter."""

    def __init__(
        self, *, backends: Mapping[str, Backend], wishes: WishBook, queue: WorkQueue, clock: Clock
    ) -> None:  # fmt: skip
        self.desired: Desired | None = None
        self._dependents: Mapping[str, frozenset[str]] = {}
        self.turns = 0
        self.last_turn_at = 0.0
        self.draining = False
        self.queue = queue
        self._backends, self._wishes, self._clock = backends, wishes, clock
        self._published: Callable[[Turn], None] = lambda _turn: None
        self._carried: Callable[[Sequence[Outcome], float], None] = lambda _outcomes, _now: None
        self._executor = Executor(backends)
        self._holds: dict[str | None, tuple[Hold, ...]] = {}
        self._resync_at = 0.0
        self._may_start = False
        self._failures: dict[str, int] = {}
        self._refused: dict[str, str] = {}
        self._unread = ""

    def publish_to(
        self, published: Callable[[Turn], None], carried: Callable[[Sequence[Outcome], float], None] | None = None
    ) -> None:  # fmt: skip
        """Whom to tell of each turn, and (`carried`) of what became of some orders of it, as soon as it is known."""
        self._published = published
        self._carried = carried or self._carried

    # --- what others read ---

    def observed(self) -> Observed:
        """What all hosts last told."""
        return Observed(hosts={host: backend.view() for host, backend in self._backends.items()})

    def intents(self) -> Intents:
        """The live wishes."""
        return self._wishes.intents

    def holds(self, worker_id: str | None) -> tuple[Hold, ...]:
        """What is held for this worker (None: for no worker in particular)."""
        return self._holds.get(worker_id, ())

    def held(self) -> Mapping[str | None, tuple[Hold, ...]]:
        """All live holds by worker (None: of no worker in particular), as they are now."""
        return dict(self._holds)

    def all_holds(self) -> tuple[Hold, ...]:
        """All live holds, in the order of their workers."""
        return tuple(hold for key in sorted(self._holds, key=lambda key: key or "") for hold in self._holds[key])

    def plan_now(self) -> Plan:
        """What a full turn would do at this moment. Nothing is done."""
        if self.desired is None:
            message = "the specs have not been read yet" + (f": {self._unread}" if self._unread else "")
            return Plan(holds=(Hold(worker_id=None, reason="Starting", message=message),))
        return make_plan(self.desired, self.observed(), self.intents(), now=self._clock.now())

    async def planned(self) -> Plan:
        """The same, beside the event loop where it takes long."""
        if self.desired is None:
            return self.plan_now()
        work = partial(make_plan, self.desired, self.observed(), self.intents(), now=self._clock.now())
        return await _made(work, len(self.desired.workers))

    def plan_for(self, desired: Desired, worker_id: str) -> Plan:
        """What a turn would do for one worker, were this what is desired. Nothing is done."""
        only = frozenset([worker_id])
        return make_plan(desired, self.observed(), self.intents(), now=self._clock.now(), only=only)

    def cannot_read(self, why: str) -> None:
        """Why the specs cannot be read, or nothing: while none ever were, the plan says it."""
        self._unread = why

    def accept(self, desired: Desired, changed: frozenset[str] | None) -> None:
        """A new Desired; `changed` are the workers that differ from the one before (None: all)."""
        self.desired = desired
        self._dependents = dependents_by_worker(desired)
        if changed is None:
            self._failures.clear()
            self.queue.everything()
        else:
            for worker_id in changed:
                self._failures.pop(worker_id, None)
            self.queue.add(changed)

    # --- turning ---

    async def run(self) -> None:
        """Turn until cancelled. Raises Superseded."""
        self.queue.everything()
        broken = 0
        while True:
            # At most a resync away: the clock may have been set back since the time was noted.
            await self._clock.wait(self.queue.wake, min(RESYNC_S, max(0.0, self._next_at() - self._clock.now())))
            now = self._clock.now()
            if now >= self._resync_at or self._resync_at - now > RESYNC_S:
                self.queue.everything()
                self._resync_at = now + RESYNC_S
            batch = self._with_dependents(self.queue.take(now))
            try:
                await self._turn(batch, now)
            except Superseded:
                raise
            except Exception:  # one turn's bug must not end the loop; the next turn looks anew
                log.exception("internal error: a turn failed")
                broken += 1
                self._resync_at = now + _pause(broken)
            else:
                broken = 0

    def _with_dependents(self, batch: Batch) -> Batch:
        """What became of a worker may be what others wait for."""
        if batch.only is None:
            return batch
        return Batch(batch.only.union(*(self._dependents.get(worker_id, ()) for worker_id in batch.only)))

    def _next_at(self) -> float:
        later = self.queue.next_at()
        return self._resync_at if later is None else min(later, self._resync_at)

    async def _turn(self, batch: Batch, now: float) -> None:
        self.last_turn_at = now
        if self.desired is None or self.draining or batch.only == frozenset():
            return
        began = time.monotonic()
        self._wishes.follow_clocks()
        desired, intents = self.desired, self.intents()
        observed = self.observed()
        many = len(desired.workers) if batch.only is None else len(batch.only)
        plan = await _made(partial(make_plan, desired, observed, intents, now=now, only=batch.only), many)
        outcomes = await self._carry_out(plan.actions, desired, now)
        for outcome in outcomes:
            self._refused.pop(outcome.action.instance, None)
            if outcome.error == "refused":
                self._refused[outcome.action.instance] = str(outcome.action)
        self._retry(outcomes, now)
        new_holds = self._keep_holds(plan, batch)
        for hold in plan.holds:
            if hold.worker_id is not None and hold.until is not None and hold.until > now:
                self.queue.add_later(hold.worker_id, hold.until)
        self._drop_served_wishes(plan, batch, intents)
        await self._resume(batch, observed, outcomes)
        self.turns += 1
        took_s = time.monotonic() - began
        self._published(
            Turn(
                number=self.turns, now=now, took_s=took_s, plan=plan, outcomes=tuple(outcomes), new_holds=new_holds
            )
        )  # fmt: skip

    async def _carry_out(self, actions: Sequence[Action], desired: Desired, now: float) -> list[Outcome]:
        """In slices; what is left when the controller begins to end is not begun any more."""
        outcomes: list[Outcome] = []
        for start in range(0, len(actions), ORDERS):
            await asyncio.sleep(0)
            if self.draining:
                break
            some = actions[start : start + ORDERS]
            self._tell(some)
            found = await self._executor.execute(some, desired)
            self._carried(found, now)
            outcomes += found
        return outcomes

    def let_start(self) -> None:
        """The specs are as sure as they will be: what was stopped as a whole may start, once a turn has seen to it."""
        if not self._may_start:
            self._may_start = True
            self.queue.everything()

    async def _resume(self, batch: Batch, observed: Observed, outcomes: Sequence[Outcome]) -> None:
        """Hosts where all was stopped start again when all of it was brought in line with the specs, never before."""
        is_open = any(outcome.error in ("unavailable", "stale") for outcome in outcomes)
        if not self._may_start or batch.only is not None or is_open or self.draining:
            return
        for host, view in observed.hosts.items():
            if view.reachable and view.suspended:
                with contextlib.suppress(Unavailable):
                    await self._backends[host].resume()
                self.queue.everything()

    def _tell(self, actions: Sequence[Action]) -> None:
        """One line per action; a refused one that is only tried again was told before."""
        for action in actions:
            level = logging.DEBUG if self._refused.get(action.instance) == str(action) else logging.INFO
            log.log(level, "%s", action, extra={"fields": {"turn": self.turns + 1}})

    def _retry(self, outcomes: list[Outcome], now: float) -> None:
        failed = {outcome.action.worker_id: outcome for outcome in outcomes if outcome.error}
        for worker_id in {outcome.action.worker_id for outcome in outcomes} - failed.keys():
            self._failures.pop(worker_id, None)
        for worker_id, outcome in failed.items():
            # The resync comes by anyway; a host that says no each time must not keep the loop turning.
            count = self._failures[worker_id] = self._failures.get(worker_id, 0) + 1
            if outcome.error == "refused" and count == 1:
                self.queue.add([worker_id])  # The refusal is in the view by now: the next plan holds it.
                continue
            self.queue.add_later(worker_id, now + _pause(count))

    def _keep_holds(self, plan: Plan, batch: Batch) -> tuple[Hold, ...]:
        """Replace the holds of the workers that were looked at; those that were not held so before.

        What concerns no worker (the source, a host) is known to a full turn only; its changes bring one about.
        """
        looked_at = self._holds.keys() if batch.only is None else batch.only
        before = {worker_id: self._holds.pop(worker_id, ()) for worker_id in list(looked_at)}
        known = {(hold.worker_id, hold.reason, hold.message) for holds in before.values() for hold in holds}
        concerned = [hold for hold in plan.holds if batch.only is None or hold.worker_id in batch.only]
        for hold in concerned:
            if hold not in self._holds.get(hold.worker_id, ()):
                self._holds[hold.worker_id] = (*self._holds.get(hold.worker_id, ()), hold)
        return tuple(hold for hold in concerned if (hold.worker_id, hold.reason, hold.message) not in known)

    def _drop_served_wishes(self, plan: Plan, batch: Batch, intents: Intents) -> None:
        """Forget the wishes that this turn has seen and found served. One that came meanwhile is the next turn's."""
        observed = self.observed()
        is_complete = all(view.reachable for view in observed.hosts.values())
        if is_complete:
            busy = {action.worker_id for action in plan.actions} | {
                hold.worker_id for hold in plan.holds if hold.reason not in _TELLING
            }
            seen = intents.runs.keys() if batch.only is None else intents.runs.keys() & batch.only
            for worker_id in seen - busy:
                intent = intents.runs[worker_id]
                if not self._is_pending(worker_id, intent, observed):
                    self._wishes.forget_run(worker_id, intent.number)
        if intents.confirmed and self.desired is not None:
            # What was confirmed is done, or is no longer what waits: either way the next such change is asked about.
            is_certain = is_complete and not self.desired.hold_reason
            kept = with_keeps(self.desired, intents, self._clock.now())
            standing = guards.standing(kept, observed)
            self._wishes.forget_confirmations(intents.confirmed, standing, None if is_certain else self._clock.now())

    def _is_pending(self, worker_id: str, intent: RunIntent, observed: Observed) -> bool:
        assert self.desired is not None
        worker = with_keeps(self.desired, self.intents(), self._clock.now()).workers.get(worker_id)
        is_wanted = worker is not None and worker.wanted != "stopped"
        if intent.kind == "stop" and is_wanted and abs(self._clock.now() - intent.at) > STOP_WISH_S:
            return False  # Its spec was changed by somebody else: a later stop must not inherit the kill.
        return any(is_pending(intent, slot.seen) for slot in picture_of(worker_id, self.desired, observed).slots)


async def _made(plan: Callable[[], Plan], many: int) -> Plan:
    """A plan of so many workers, from snapshots alone."""
    return plan() if many <= PLANNED_HERE else await in_thread(plan, "plan")


def _pause(failures: int) -> float:
    return min(RESYNC_S, RETRY_S * 2.0 ** min(failures - 1, 10))
