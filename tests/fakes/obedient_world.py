"""A world that does what it is told, for turns of the planner in virtual time. Not the agent: the simplest supervisor
that keeps the promises of its protocol (levels, generations, floors, run requests): the planner alone is under test.

A starting run runs one step of time later, a stopping one has ended one step later. A revision in `bad` never runs: its
starts end in `error`. Workers in `slow` are ready one step after they run; of all others nothing is said. `started`
counts runs per instance, `least_in_service` the worst count per worker since `watch`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from controller.core.desired import Desired
from controller.core.observed import HostView, Observed, ObservedInstance, Status
from controller.core.plan import Action, ActionKind, Plan
from controller.core.spec import explicit_fields
from controller.core.steps import SECRETS_MISSING

LIVE = frozenset({Status.STARTING, Status.RUNNING, Status.STOPPING})


@dataclass
class Clock:
    now: float = 1_000_000.0


class ObedientWorld:
    """One host. `reachable` may be switched off: then nothing is carried out and memories are shown."""

    def __init__(self, *, bad: frozenset[str] = frozenset(), slow: frozenset[str] = frozenset()) -> None:
        self.clock = Clock()
        self.bad, self.slow = bad, slow
        self.enforceable: frozenset[str] | None = frozenset({"nofile", "nice"})
        self.reachable = True
        self.slots: dict[str, ObservedInstance] = {}
        self.floors: dict[str, int] = {}
        self.started: Counter[str] = Counter()
        self.least_in_service: dict[str, int] = {}

    # --- what the planner sees and says ---

    def observe(self) -> Observed:
        view = HostView(
            reachable=self.reachable, instances=dict(self.slots), floors=dict(self.floors),
            enforceable=self.enforceable,
        )  # fmt: skip
        return Observed(hosts={"localhost": view})

    def execute(self, plan: Plan, desired: Desired) -> None:
        assert self.reachable or plan.actions == ()
        for action in plan.actions:
            before = self.slots.get(action.instance)
            floor = self.floors.get(action.instance, 0) if before is None else before.generation
            assert action.generation > floor, f"stale: {action}"
            if action.kind is ActionKind.REMOVE:
                assert before is not None
                self._settle(replace(before, generation=action.generation, removing=True, wanted="stopped"))
            else:
                self._apply(action, before, desired)
        self._count()

    def pass_time(self) -> None:
        """One step: what was starting runs (or fails), what was stopping has ended."""
        self.clock.now += 1.0
        for slot in list(self.slots.values()):
            if slot.status is Status.STARTING:
                ends = slot.running_revision in self.bad
                change = self._ended(slot, Status.ERROR, "GaveUp") if ends else replace(slot, status=Status.RUNNING)
                ready = False if slot.worker_id in self.slow else None
                self._put(replace(change, since=self.clock.now, ready=ready))
            elif slot.ready is False:
                self._put(replace(slot, ready=True))
            elif slot.status is Status.STOPPING:
                self._settle(self._ended(slot, Status.STOPPED, "Stopped"))
        self._count()

    # --- what people and accidents do ---

    def complete(self, instance: str) -> None:
        self._put(self._ended(self.slots[instance], Status.STOPPED, "Completed"))

    def crash(self, instance: str, status: Status = Status.CRASHED) -> None:
        self._put(self._ended(self.slots[instance], status, "Crashed"))

    def retry(self, instance: str) -> None:
        """The supervisor's own restart after a crash."""
        self._put(self._begin(self.slots[instance]))

    def reboot(self, *, with_secrets: frozenset[str] = frozenset()) -> None:
        """All processes are gone; what should run is started again, but for workers whose secrets are gone too."""
        for slot in list(self.slots.values()):
            if slot.status in LIVE:
                ended = self._ended(slot, Status.STOPPED, SECRETS_MISSING)
                self._put(ended if slot.worker_id in with_secrets else self._begin(ended))
        self._count()

    def watch(self) -> None:
        """Begin to note how few instances of each worker are in service."""
        self.least_in_service = {}
        self._count()

    def running(self) -> Mapping[str, str]:
        """Revision per running instance."""
        return {
            name: slot.running_revision or ""
            for name, slot in sorted(self.slots.items())
            if slot.status is Status.RUNNING
        }

    # --- how it obeys ---

    def _apply(self, action: Action, before: ObservedInstance | None, desired: Desired) -> None:
        worker = desired.workers[action.worker_id]
        instance = worker.instances[action.ordinal]
        old = before or ObservedInstance(
            worker_id=action.worker_id, ordinal=action.ordinal, generation=0, revision="", digest="", run_request=0,
            wanted="stopped", status=Status.STOPPED,
        )  # fmt: skip
        new = replace(
            old, generation=action.generation, revision=instance.revision, digest=instance.digest,
            run_request=action.run_request, wanted="running" if action.wanted == "running" else "stopped",
            fields=explicit_fields(worker.spec),
        )  # fmt: skip
        is_asked = new.run_request > old.run_request
        is_other = new.running_revision not in (None, new.revision)
        if old.status in LIVE and new.wanted == "running" and (is_asked or is_other):
            new = replace(new, status=Status.STOPPING)
        # Whoever gave up or ended tries again after an edit of its command, a start or a restart.
        retry = is_asked or old.revision != new.revision or old.wanted != new.wanted or old.reason == SECRETS_MISSING
        if old.status in (Status.CRASHED, Status.ERROR, Status.STOPPED) and new.wanted == "running" and retry:
            new = self._begin(new)
        self._settle(new)

    def _settle(self, slot: ObservedInstance) -> None:
        """Bring a slot in line with what is wanted of it."""
        if slot.status in (Status.STARTING, Status.RUNNING) and slot.wanted == "stopped":
            self._put(replace(slot, status=Status.STOPPING))
        elif slot.removing and slot.status not in LIVE:
            self.floors[slot.instance] = slot.generation
            self.slots.pop(slot.instance, None)
        elif slot.wanted == "stopped" and slot.status not in LIVE:
            self._put(replace(slot, status=Status.STOPPED, reason="Stopped"))
        elif slot.status is Status.STOPPED and slot.reason == "Stopped":
            self._put(self._begin(slot))
        else:
            self._put(slot)

    def _begin(self, slot: ObservedInstance) -> ObservedInstance:
        self.started[slot.instance] += 1
        number = slot.run_number + 1
        return replace(
            slot, status=Status.STARTING, reason="", ready=None, running_revision=slot.revision,
            run=f"{slot.instance}#{number}", run_number=number, pid=1000 + number, since=self.clock.now,
            started_at=self.clock.now,
        )  # fmt: skip

    def _ended(self, slot: ObservedInstance, status: Status, reason: str) -> ObservedInstance:
        return replace(
            slot, status=status, reason=reason, run=None, pid=None, started_at=None, running_revision=None,
            since=self.clock.now, ready=None,
        )  # fmt: skip

    def _put(self, slot: ObservedInstance) -> None:
        self.slots[slot.instance] = slot

    def _count(self) -> None:
        count = Counter(slot.worker_id for slot in self.slots.values() if slot.status is Status.RUNNING)
        for worker_id in {slot.worker_id for slot in self.slots.values()}:
            least = self.least_in_service.get(worker_id, count[worker_id])
            self.least_in_service[worker_id] = min(least, count[worker_id])
