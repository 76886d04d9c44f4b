"""Which steps of one worker are taken now: guards, refusals, free ports, and one at a time.

Called by the planner for each worker whose spec is known and whose host can be asked. In: the picture of the worker and
its surroundings. Out: the steps to take, and a hold for everything that is deliberately not done.

What is in service is replaced or restarted one instance at a time, in ordinal order, the next one only when nothing of
the worker is on its way and nothing has failed at the new revision. What is out of service (stopped, starting,
stopping, crashed, error) is brought to the new revision at once: there is nothing to protect, and it shows early
whether the new revision works. Under a guard nothing is: what is out of service now and then would undo the guard.
A slot that is not known is left alone, and nothing in service is touched beside it.

What is new or was stopped also waits for the workers that it depends on. What runs, and what replaces it, never does: a
dependency that goes away takes nobody with it. Nothing begins under a limit that its host cannot enforce.

When every port is shifted by one, instance 0 wants the port that instance 1 still has. The first instance in order
whose port is free goes first, so such a rollout runs from the other end instead of stalling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

from controller.core.dependencies import dependencies, why_awaited, why_down
from controller.core.desired import DesiredWorker
from controller.core.guards import Guard
from controller.core.intents import RunIntent
from controller.core.observed import Status
from controller.core.picture import Picture, Slot
from controller.core.plan import ActionKind, FieldChange, Hold
from controller.core.spec import explicit_fields
from controller.core.steps import THEN_ITS_SPEC, Step, brought_fields, is_pending, step_for

REFUSAL_S = 30.0
"""A launch that the supervisor refused is offered again after this long: a missing file may have come."""

PORT_LOOK_S = 1.0
"""A worker that waits for another one's port looks again after this long: the other's end wakes only the other."""

_FAILED = frozenset({Status.CRASHED, Status.ERROR})
_MOVING = frozenset({Status.STARTING, Status.STOPPING})
_UP = frozenset({Status.STARTING, Status.RUNNING})


class Surroundings(Protocol):
    """What a worker's steps depend on beside the worker itself."""

    @property
    def now(self) -> float:
        """Seconds since the epoch, read once per turn."""

    def wish_for(self, worker_id: str) -> RunIntent | None:
        """The live run intent of a worker."""

    def unconfirmed_restarts(self) -> Guard | None:
        """The guard against a mass restart, where it stands and nobody has confirmed it."""

    def port_holder(self, host: str, port: int) -> str | None:
        """The instance whose live process has that port there."""

    def picture_of(self, worker_id: str) -> Picture:
        """Another worker, as far as its spec asks for it; `is_gone` where none is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What to do now with the wanted slots of one worker, and what not, and why."""

    steps: tuple[Step, ...]
    holds: tuple[Hold, ...]


def decide(picture: Picture, worker: DesiredWorker, around: Surroundings) -> Verdict:
    """The verdict on `worker`, whose host can be asked and which has no slot elsewhere."""
    return _Decision(picture, worker, around).verdict()


class _Decision:
    """One worker's steps on their way through the gates; each gate may take some out and say why."""

    def __init__(self, picture: Picture, worker: DesiredWorker, around: Surroundings) -> None:
        self._worker, self._around, self._view = worker, around, picture.view
        self._slots = picture.own_slots
        self._wish = around.wish_for(worker.worker_id)
        self._holds: list[Hold] = []
        self._is_refused = False

    def verdict(self) -> Verdict:
        """All gates in their order."""
        steps = self._needed()
        for gate in (self._guarded, self._accepted, self._limited, self._awaited, self._ported, self._paced):
            if steps:
                steps = gate(steps)
        self._tell_of_keep()
        self._tell_of_lost_dependencies()
        self._tell_of_ignored_limits()
        return Verdict(steps=tuple(steps), holds=tuple(self._holds))

    def _hold(self, reason: str, message: str, waiting: Sequence[Step] = (), **more: Any) -> None:
        """`waiting`: the steps that are not taken; the hold tells what they would have brought."""
        hold = Hold(worker_id=self._worker.worker_id, reason=reason, message=message, fields=self._fields(waiting))
        self._holds.append(replace(hold, **more))

    def _fields(self, waiting: Sequence[Step]) -> tuple[FieldChange, ...]:
        """Each change once; not what is brought in place meanwhile, which an action tells."""
        found: list[FieldChange] = []
        for step in waiting:
            if step.slot is not None and step.is_edit and not _in_place(step):
                found += [one for one in brought_fields(step, self._explicit) if one not in found]
        return tuple(sorted(found, key=lambda one: (one.path, repr(one.before))))

    @cached_property
    def _explicit(self) -> dict[str, Any]:
        return explicit_fields(self._worker.spec)

    def _needed(self) -> list[Step]:
        steps: list[Step] = []
        unserved: list[str] = []
        for instance in self._worker.instances:
            slot = self._slots.get(instance.ordinal)
            if slot is not None and slot.status is Status.UNKNOWN:
                self._hold("StateUnknown", f"{slot.seen.instance} is left alone: {slot.seen.message or 'not known'}")
            elif slot is not None and slot.seen.removing:
                self._hold("Removing", f"{slot.seen.instance} is still being removed")
            else:
                step = step_for(self._worker, instance, slot, self._wish)
                steps += [] if step is None else [self._with_origin(step)]
                if slot is not None and self._is_in_vain(slot):
                    unserved.append(slot.seen.instance)
        if unserved and self._wish is not None:
            why = str(self._worker.keep or "desired_state is stopped")
            self._hold("WantedStopped", f"no {self._wish.kind} of {_names(unserved)}: {why}")
        return steps

    def _tell_of_keep(self) -> None:
        """While somebody keeps it, its spec does not decide; when that is over, the next look is due."""
        keep = self._worker.keep
        if keep is not None:
            reason = "KeptStopped" if keep.wanted == "stopped" else "KeptRunning"
            self._hold(reason, f"{keep}{THEN_ITS_SPEC}", until=keep.until)

    def _is_in_vain(self, slot: Slot) -> bool:
        """A wish for a new run of what is to be stopped."""
        is_for_a_run = self._wish is not None and self._wish.kind != "stop"
        return is_for_a_run and self._worker.wanted == "stopped" and is_pending(self._wish, slot.seen)

    def _with_origin(self, step: Step) -> Step:
        """A new slot after a complete row of others comes from a higher count of replicas, and says so."""
        count = len(self._slots)
        is_row = 0 < count <= step.instance.ordinal and all(ordinal in self._slots for ordinal in range(count))
        if step.kind is not ActionKind.CREATE or not is_row:
            return step
        counts = f"replicas {count} -> {len(self._worker.instances)}"
        return replace(step, cause=step.cause.replace("not there yet", counts))

    def _guarded(self, steps: list[Step]) -> list[Step]:
        """Without a confirmation nothing brings the new revision of a guarded worker, whatever state it is in.

        What crashed is started again by its supervisor, as it was. A stop is never held up; it replaces nothing.
        """
        bringing = [step for step in steps if step.brings_revision]
        # Where nothing is there yet, nothing can be replaced.
        guard = self._around.unconfirmed_restarts() if bringing and self._slots else None
        if guard is None or self._worker.worker_id not in guard.worker_ids:
            return steps
        message = f"one change would give {len(guard.worker_ids)} of {guard.total} workers another revision"
        message += " and restart what runs; all of them stay as they are until it is confirmed or undone"
        self._hold(guard.reason, message, bringing, confirm=guard.digest)
        return [step for step in steps if not step.brings_revision]

    def _accepted(self, steps: list[Step]) -> list[Step]:
        """What the supervisor's preflight refused is not offered again for a while."""
        accepted: list[Step] = []
        for step in steps:
            refusal = step.slot.refusal if step.slot and step.kind in (ActionKind.REPLACE, ActionKind.RESTART) else None
            # A clock that was set back, or differs on the other host, may only shorten the wait.
            is_fresh = refusal is not None and abs(self._around.now - refusal.at) < REFUSAL_S
            if refusal is None or refusal.digest != step.instance.digest or not is_fresh:
                accepted.append(step)
                continue
            self._is_refused = True
            message = f"{self._name(step)} stays as it is: {refusal.message}"
            self._hold("CannotStart", message, [step], until=refusal.at + REFUSAL_S)
            accepted += _in_place(step)
        return accepted

    def _limited(self, steps: list[Step]) -> list[Step]:
        """Nothing begins without a limit that its spec insists on; what runs already goes on as it is."""
        limits = self._worker.spec.limits
        starting = [step for step in steps if step.starts]
        if limits is None or limits.enforce == "best_effort" or not starting:
            return steps
        able, lacking = self._enforced()
        if able is not None and not lacking:
            return steps
        names, host = self._listed(starting), self._worker.spec.host
        why = f"{host} cannot enforce {', '.join(lacking)}" if lacking else f"{host} has not said which it can enforce"
        self._hold("LimitUnsupported", f"{names} not started: {why}", starting)
        return [late for step in steps for late in (_in_place(step) if step.starts else [step])]

    def _enforced(self) -> tuple[frozenset[str] | None, list[str]]:
        """What the host can enforce (None: it has not said), and what the spec asks for beyond that."""
        able, limits = None if self._view is None else self._view.enforceable, self._worker.spec.limits
        asked = () if able is None or limits is None else limits.names
        return able, [f"limits.{name}" for name in asked if able is not None and name not in able]

    def _tell_of_ignored_limits(self) -> None:
        """Best effort starts without; whoever looks at it must not believe that it is limited."""
        limits, (_, lacking) = self._worker.spec.limits, self._enforced()
        is_lax = limits is not None and limits.enforce == "best_effort"
        if is_lax and lacking and any(slot.status in _UP for slot in self._slots.values()):
            self._hold("LimitIgnored", f"without {', '.join(lacking)}, which {self._worker.spec.host} cannot enforce")

    def _awaited(self, steps: list[Step]) -> list[Step]:
        """What is new or was stopped waits for the workers that it depends on."""
        waiting = [step for step in steps if step.starts and step.kind in (ActionKind.CREATE, ActionKind.START)]
        if not waiting:
            return steps
        reasons = [
            f"for {other} to be {awaited} ({why})"
            for other, awaited in dependencies(self._worker)
            if (why := why_awaited(self._around.picture_of(other), awaited))
        ]
        if not reasons:
            return steps
        who = "" if len(waiting) == len(self._worker.instances) else f"{self._listed(waiting)} "
        self._hold("WaitsFor", f"{who}waits {' and '.join(reasons)}", waiting)
        return [step for step in steps if step not in waiting]

    def _tell_of_lost_dependencies(self) -> None:
        """A dependency that will not come back by itself stops nobody, but it may be why things go wrong."""
        if not any(slot.status in _UP for slot in self._slots.values()):
            return
        for other, _ in dependencies(self._worker):
            why = why_down(self._around.picture_of(other))
            if why:
                self._hold("DependencyDown", f"{other}, which it depends on, {why}")

    def _ported(self, steps: list[Step]) -> list[Step]:
        """What is new or was stopped waits while another instance has its port: it could only crash.

        Replacements do not wait: two workers that exchange their ports would wait for each other.
        """
        allowed: list[Step] = []
        for step in steps:
            is_new = step.starts and step.kind in (ActionKind.CREATE, ActionKind.START)
            holder = self._holder(step) if is_new else None
            if holder is None:
                allowed.append(step)
            else:
                message = f"{self._name(step)} waits: {holder} has port {step.instance.launch.port}"
                self._hold("PortBusy", message, [step], until=self._around.now + PORT_LOOK_S)
        return allowed

    def _paced(self, steps: list[Step]) -> list[Step]:
        disturbing = [step for step in steps if step.disturbs]
        if not disturbing:
            return steps
        calm = [step for step in steps if not step.disturbs]
        if self._has_failed(steps) or self._is_refused:
            return calm + [step for waiting in disturbing for step in _in_place(waiting)]
        moving = self._moving(steps)
        first = None if moving else next((step for step in disturbing if self._holder(step) is None), disturbing[0])
        waiting = [step for step in disturbing if step is not first]
        if waiting:
            before = moving if first is None else [self._name(first)]
            message = f"one at a time: {self._listed(waiting)} after {_names(before)}"
            self._hold("RolloutPaced", message, waiting)
        return calm + ([] if first is None else [first]) + [step for late in waiting for step in _in_place(late)]

    def _has_failed(self, steps: Sequence[Step]) -> bool:
        """Whether an instance failed as it now should be. Says so; the others are then better left as they are."""
        stepping = {step.instance.ordinal for step in steps if step.starts}
        failed = [slot for slot in self._settled(stepping) if slot.status in _FAILED]
        for slot in failed[:1]:
            text = f"{slot.seen.instance} is in {slot.status} at {slot.seen.revision}"
            text += f": {slot.seen.message}" if slot.seen.message else ""
            rest = [step for step in steps if step.disturbs]
            self._hold("RolloutStalled", f"{text}; not touched meanwhile: {self._listed(rest)}", rest)
        return bool(failed)

    def _moving(self, steps: Sequence[Step]) -> list[str]:
        """Instances that are on their way, are sent on it by a step that disturbs nothing, or are not known."""
        moving = {step.instance.ordinal for step in steps if step.starts and not step.disturbs}
        for slot in self._settled({step.instance.ordinal for step in steps if step.starts}):
            is_between = slot.status is Status.RUNNING and slot.seen.running_revision not in (None, slot.seen.revision)
            if slot.status in _MOVING or slot.status is Status.UNKNOWN or slot.seen.removing or is_between:
                moving.add(slot.seen.ordinal)
        return [f"{self._worker.worker_id}/{ordinal}" for ordinal in sorted(moving)]

    def _settled(self, stepping: set[int]) -> list[Slot]:
        """The wanted slots without those in `stepping`."""
        wanted = (self._slots.get(instance.ordinal) for instance in self._worker.instances)
        return [slot for slot in wanted if slot is not None and slot.seen.ordinal not in stepping]

    def _holder(self, step: Step) -> str | None:
        port = step.instance.launch.port
        holder = None if port is None else self._around.port_holder(self._worker.spec.host, port)
        return None if holder == self._name(step) else holder

    def _name(self, step: Step) -> str:
        return f"{self._worker.worker_id}/{step.instance.ordinal}"

    def _listed(self, steps: Sequence[Step]) -> str:
        return _names([self._name(step) for step in steps])


def _in_place(step: Step) -> list[Step]:
    """What may be done at once for a slot whose restart has to wait: new settings, where the revision is the same."""
    is_same = step.slot is not None and step.slot.seen.revision == step.instance.revision
    if not (step.is_edit and is_same):
        return []
    return [replace(step, kind=ActionKind.UPDATE, cause="spec changed", serves=False)]


def _names(names: Sequence[str]) -> str:
    """`web/0, web/1, web/2 and 7 more`."""
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
