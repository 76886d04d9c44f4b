"""The loop: take the dirty workers, snapshot, read the clock once, plan, execute, record, publish.

Level-triggered. Whatever wakes it only adds worker ids to the queue; what to do is read from the snapshots. Every
`RESYNC_S` everything is looked at, and `plan.next_wake` sets the earliest next look. No wait for health happens here:
a worker that is not up yet is a hold of the plan, and the next observation wakes the loop.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from controller.backends.base import Backend, Superseded
from controller.core.desired import Desired
from controller.core.intents import Intents, RunIntent
from controller.core.observed import Observed
from controller.core.picture import picture_of
from controller.core.plan import Hold, Plan
from controller.core.planner import plan as make_plan
from controller.core.steps import is_pending
from controller.reconcile.clock import Clock
from controller.reconcile.executor import Executor, Outcome
from controller.reconcile.queue import Batch, WorkQueue
from controller.reconcile.wishes import WishBook

RESYNC_S = 30.0
RETRY_S = 1.0
"""How soon a turn whose orders were not carried over is repeated."""

log = logging.getLogger("workerctl.loop")


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What a turn did, for those who publish it."""

    number: int
    now: float
    plan: Plan
    outcomes: tuple[Outcome, ...]
    new_holds: tuple[Hold, ...]


class Loop:
    """Owns the current Desired, the live holds, and the turn counter."""

    def __init__(
        self, *, backends: Mapping[str, Backend], wishes: WishBook, queue: WorkQueue, clock: Clock
    ) -> None:  # fmt: skip
        self.desired: Desired | None = None
        self.turns = 0
        self.last_turn_at = 0.0
        self.draining = False
        self.queue = queue
        self._backends, self._wishes, self._clock = backends, wishes, clock
        self._published: Callable[[Turn], None] = lambda _turn: None
        self._executor = Executor(backends)
        self._holds: dict[str | None, tuple[Hold, ...]] = {}
        self._resync_at = 0.0

    def publish_to(self, published: Callable[[Turn], None]) -> None:
        """Whom to tell of each turn."""
        self._published = published

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

    def all_holds(self) -> tuple[Hold, ...]:
        """All live holds, in the order of their workers."""
        return tuple(hold for key in sorted(self._holds, key=lambda key: key or "") for hold in self._holds[key])

    def plan_now(self) -> Plan:
        """What a full turn would do at this moment. Nothing is done."""
        if self.desired is None:
            return Plan(holds=(Hold(worker_id=None, reason="Starting", message="the specs have not been read yet"),))
        return make_plan(self.desired, self.observed(), self.intents(), now=self._clock.now())

    def accept(self, desired: Desired, changed: frozenset[str] | None) -> None:
        """A new Desired; `changed` are the workers that differ from the one before (None: all)."""
        self.desired = desired
        if changed is None:
            self.queue.everything()
        else:
            self.queue.add(changed)

    # --- turning ---

    async def run(self) -> None:
        """Turn until cancelled. Raises Superseded."""
        self.queue.everything()
        while True:
            now = self._clock.now()
            await self._clock.wait(self.queue.wake, max(0.0, self._next_at() - now))
            now = self._clock.now()
            if now >= self._resync_at:
                self.queue.everything()
                self._resync_at = now + RESYNC_S
            batch = self.queue.take(now)
            try:
                await self._turn(batch, now)
            except Superseded:
                raise
            except Exception:  # one turn's bug must not end the loop; the next turn looks anew
                log.exception("internal error: a turn failed")
                self._resync_at = now + RETRY_S

    def _next_at(self) -> float:
        later = self.queue.next_at()
        return self._resync_at if later is None else min(later, self._resync_at)

    async def _turn(self, batch: Batch, now: float) -> None:
        self.last_turn_at = now
        if self.desired is None or self.draining or batch.only == frozenset():
            return
        desired = self.desired
        plan = make_plan(desired, self.observed(), self.intents(), now=now, only=batch.only)
        for action in plan.actions:
            log.info("%s", action, extra={"fields": {"turn": self.turns + 1}})
        outcomes = await self._executor.execute(plan.actions, desired)
        self._retry(outcomes, now)
        new_holds = self._keep_holds(plan, batch)
        if plan.next_wake is not None:
            # The wake names no worker: what is due then is found by looking at those that hold something.
            for worker_id in {hold.worker_id for hold in plan.holds if hold.until is not None and hold.worker_id}:
                self.queue.add_later(worker_id, plan.next_wake)
        self._drop_served_wishes(plan)
        self.turns += 1
        self._published(Turn(number=self.turns, now=now, plan=plan, outcomes=tuple(outcomes), new_holds=new_holds))

    def _retry(self, outcomes: list[Outcome], now: float) -> None:
        for outcome in outcomes:
            if outcome.error in ("unavailable", "stale"):
                self.queue.add_later(outcome.action.worker_id, now + RETRY_S)
            elif outcome.error:
                self.queue.add([outcome.action.worker_id])

    def _keep_holds(self, plan: Plan, batch: Batch) -> tuple[Hold, ...]:
        before = {(hold.worker_id, hold.reason, hold.message) for holds in self._holds.values() for hold in holds}
        if batch.only is None:
            self._holds = {}
        else:
            for worker_id in (*batch.only, None):
                self._holds.pop(worker_id, None)
        for hold in plan.holds:
            if hold not in self._holds.get(hold.worker_id, ()):
                self._holds[hold.worker_id] = (*self._holds.get(hold.worker_id, ()), hold)
        return tuple(hold for hold in plan.holds if (hold.worker_id, hold.reason, hold.message) not in before)

    def _drop_served_wishes(self, plan: Plan) -> None:
        observed = self.observed()
        if all(view.reachable for view in observed.hosts.values()):
            busy = {action.worker_id for action in plan.actions} | {hold.worker_id for hold in plan.holds}
            for worker_id, intent in self.intents().runs.items():
                if worker_id not in busy and not self._is_pending(worker_id, intent, observed):
                    self._wishes.forget_run(worker_id)
        live = frozenset(hold.confirm for hold in self.all_holds() if hold.confirm)
        self._wishes.forget_confirmations(live, self._clock.now())

    def _is_pending(self, worker_id: str, intent: RunIntent, observed: Observed) -> bool:
        assert self.desired is not None
        return any(is_pending(intent, slot.seen) for slot in picture_of(worker_id, self.desired, observed).slots)
