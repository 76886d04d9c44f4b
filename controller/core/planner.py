"""What to do next: desired, observed and wishes in, a plan out. Pure, synchronous, the same input the same plan.

Called by the loop each turn (with `only`: the workers that somebody looked at), by `workerctl plan`, by the API and by
the tests. The executor adds nothing to an action and leaves nothing out.

Rules of this file:
- Unknown is not absent. On a host that cannot be asked, or has told nothing yet, nothing is planned.
- A slot goes for two reasons only: it is beyond `replicas` of a known spec, or its worker is in `desired.removed`.
  A slot without a readable spec is held until a person says that it may go; while the source cannot be trusted
  (`hold_reason`), nothing goes at all.
- All that is not done, and why, is a hold. `next_wake` is when the first of them ends by time; all others end by an
  event, which wakes the loop anyway.

What one slot needs is decided in steps.py, which of those steps are taken now in rollout.py, what is too much at once
in guards.py.

Order of actions: removals (highest ordinal first) and stops, which free ports and memory; updates, which cost nothing;
replacements and restarts; then starts and new slots. Within a kind by worker and ordinal. Holds follow, those of the
whole source and of hosts first.

Generations: one more than the slot's; a new slot's is one above the floor that its host names for a former slot of that
name, else 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from controller.core.desired import Desired, DesiredWorker
from controller.core.effects import Effect
from controller.core.guards import NO_SPEC, Guard, lost_guard, mass_restart_guard, prune_guard
from controller.core.intents import Intents, RunIntent
from controller.core.keeps import with_keeps
from controller.core.observed import Observed, ObservedInstance, Status
from controller.core.picture import Picture, Slot, picture_of, pictures
from controller.core.plan import Action, ActionKind, FieldChange, Hold, Plan
from controller.core.problems import Problem
from controller.core.rollout import decide
from controller.core.spec import explicit_fields
from controller.core.steps import Step, brought_fields

_ORDER = {
    ActionKind.REMOVE: 0,
    ActionKind.STOP: 1,
    ActionKind.UPDATE: 2,
    ActionKind.REPLACE: 3,
    ActionKind.RESTART: 4,
    ActionKind.START: 5,
    ActionKind.CREATE: 6,
}
_LIVE = frozenset({Status.STARTING, Status.RUNNING, Status.STOPPING})


def plan(
    desired: Desired, observed: Observed, intents: Intents, *, now: float, only: frozenset[str] | None = None
) -> Plan:
    """What to do now. `now` in seconds since the epoch; `only` limits the turn to these workers.

    With `only` the result is the part of the whole plan that concerns them, and costs accordingly.
    """
    kept = with_keeps(desired, intents, now)
    turn = _Turn(kept, observed, intents, now)
    for picture in pictures(kept, observed, only):
        turn.look_at(picture)
    return turn.plan()


class _Turn:
    """One plan in the making. What only some turns need of the whole fleet is computed when first asked for."""

    def __init__(self, desired: Desired, observed: Observed, intents: Intents, now: float) -> None:
        self._desired, self._observed, self._intents, self._now = desired, observed, intents, now
        self._actions: list[Action] = []
        self._holds: list[Hold] = []
        self._silent_hosts: set[str] = set()
        self._others: dict[str, Picture] = {}
        confirmed = bool(desired.hold_digest) and desired.hold_digest in intents.confirmed
        self._is_source_held = bool(desired.hold_reason) and not confirmed

    # --- surroundings, as rollout.py asks for them ---

    @property
    def now(self) -> float:
        return self._now

    def wish_for(self, worker_id: str) -> RunIntent | None:
        return self._intents.runs.get(worker_id)

    def unconfirmed_restarts(self) -> Guard | None:
        return self._mass_restart_guard

    def port_holder(self, host: str, port: int) -> str | None:
        return self._ports.get((host, port))

    def picture_of(self, worker_id: str) -> Picture:
        if worker_id not in self._others:
            worker = self._desired.workers.get(worker_id)
            count = 1 if worker is None else len(worker.instances)
            self._others[worker_id] = picture_of(worker_id, self._desired, self._observed, below=count)
        return self._others[worker_id]

    @cached_property
    def _mass_restart_guard(self) -> Guard | None:
        return self._unconfirmed(mass_restart_guard(self._desired, self._observed))

    @cached_property
    def _prune_guard(self) -> Guard | None:
        return self._unconfirmed(prune_guard(self._desired, self._observed))

    @cached_property
    def _lost_guard(self) -> Guard | None:
        return self._unconfirmed(lost_guard(self._desired, self._observed))

    def _unconfirmed(self, guard: Guard | None) -> Guard | None:
        return guard if guard is not None and guard.digest not in self._intents.confirmed else None

    @cached_property
    def _ports(self) -> Mapping[tuple[str, int], str]:
        """Which live process has which port. One that is being replaced has another than its record says: left out."""
        found: dict[tuple[str, int], str] = {}
        for host, view in self._observed.hosts.items():
            for name, seen in view.instances.items():
                base = seen.fields.get("port")
                is_current = seen.running_revision in (None, seen.revision)
                if isinstance(base, int) and seen.status in _LIVE and is_current:
                    key = (host, base + seen.ordinal)
                    found[key] = min(name, found.get(key, name))
        return found

    # --- one worker ---

    def look_at(self, picture: Picture) -> None:
        """Add what is to be done and to be held for one worker."""
        self._silent_hosts.update(slot.host for slot in picture.slots if not slot.reachable)
        if picture.desired is not None:
            self._look_at_wanted(picture, picture.desired)
        elif picture.broken is not None:
            self._hold(picture.worker_id, "SpecInvalid", f"no good spec is known: {_first(picture.broken)}")
        elif picture.removal is not None:
            self._remove_worker(picture, picture.removal.proof)
        elif picture.slots:
            self._look_at_lost(picture)

    def _look_at_wanted(self, picture: Picture, worker: DesiredWorker) -> None:
        host = worker.spec.host
        if worker.stale:
            self._hold(worker.worker_id, "SpecInvalid", f"the last good spec goes on: {_first(worker.problems)}")
        if picture.strayed:
            where = picture.strayed[0].host
            self._hold(worker.worker_id, "HostChanged", f"lives on {where}, the spec says {host}; it is not moved")
            return
        if not picture.is_reachable:
            self._silent_hosts.add(host)
            return
        verdict = decide(picture, worker, self)
        if worker.absent:
            # Known from before only. To begin anything of it would bring a removed worker back for a moment.
            if verdict.steps:
                message = f"{worker.absent}: nothing of it is begun until it is certain whether it was removed"
                self._hold(worker.worker_id, "SpecAbsent", message)
            return
        self._holds += verdict.holds
        if verdict.steps:
            fields = explicit_fields(worker.spec)
            self._actions += [self._action(worker, step, fields) for step in verdict.steps]
        count = len(worker.instances)
        surplus = [slot for ordinal, slot in picture.own_slots.items() if ordinal >= count]
        self._remove(worker.worker_id, surplus, f"replicas {len(picture.own_slots)} -> {count}")

    def _remove_worker(self, picture: Picture, proof: str) -> None:
        guard = self._prune_guard if picture.slots else None
        if guard is not None and picture.worker_id in guard.worker_ids:
            message = f"one change would remove {len(guard.worker_ids)} of {guard.total} workers ({proof})"
            self._hold(picture.worker_id, guard.reason, message, guard.digest)
            return
        self._remove(picture.worker_id, picture.slots, f"spec removed: {proof}")

    def _look_at_lost(self, picture: Picture) -> None:
        """Nobody knows its spec: a person brings the file back, or says that the worker may go."""
        guard = self._lost_guard
        if guard is None and not self._desired.hold_reason:
            self._remove(picture.worker_id, picture.slots, "no spec is known, and its removal was confirmed")
            return
        names = ", ".join(slot.seen.instance for slot in picture.slots[:3])
        message = f"no spec is known, and no proof that it was removed: {names} stay"
        unread = next((one.file for one in self._desired.problems if one.worker_id is None), None)
        message += f"; it may be in {unread}, which cannot be understood now" if unread else ""
        self._hold(picture.worker_id, NO_SPEC, message, "" if guard is None else guard.digest)

    def _remove(self, worker_id: str, slots: Iterable[Slot], cause: str) -> None:
        pending = [slot for slot in slots if slot.reachable and not slot.seen.removing]
        known = [slot for slot in pending if slot.status is not Status.UNKNOWN]
        for slot in pending:
            if slot.status is Status.UNKNOWN:
                self._hold(worker_id, "StateUnknown", f"{slot.seen.instance} is not removed: its state is not known")
        if known and self._is_source_held:
            names = ", ".join(slot.seen.instance for slot in known)
            self._hold(worker_id, "SourceHeld", f"{names} stay: {self._desired.hold_reason}")
            return
        self._actions += [
            Action(
                worker_id=worker_id, ordinal=slot.seen.ordinal, host=slot.host, kind=ActionKind.REMOVE, cause=cause,
                generation=slot.seen.generation + 1, wanted="stopped", run_request=slot.seen.run_request,
            )
            for slot in known
        ]  # fmt: skip

    def _action(self, worker: DesiredWorker, step: Step, fields: Mapping[str, Any]) -> Action:
        seen = None if step.slot is None else step.slot.seen
        changed = brought_fields(step, fields)
        return Action(
            worker_id=worker.worker_id,
            ordinal=step.instance.ordinal,
            host=worker.spec.host,
            kind=step.kind,
            cause=_cause(worker, step, changed),
            generation=self._new_generation(worker, step) if seen is None else seen.generation + 1,
            wanted=step.wanted,
            run_request=self._run_request(worker.worker_id, step, seen),
            fields=changed,
            at_once=self._is_at_once(worker.worker_id, step),
        )

    def _run_request(self, worker_id: str, step: Step, seen: ObservedInstance | None) -> int:
        """The wish that this action serves; otherwise the number that the slot has, which changes nothing."""
        served = 0 if seen is None else seen.run_request
        wish = self.wish_for(worker_id)
        return max(served, wish.number) if wish is not None and step.serves else served

    def _is_at_once(self, worker_id: str, step: Step) -> bool:
        wish = self.wish_for(worker_id)
        return wish is not None and wish.at_once and step.serves

    def _new_generation(self, worker: DesiredWorker, step: Step) -> int:
        floors = self._observed.hosts[worker.spec.host].floors
        return floors.get(f"{worker.worker_id}/{step.instance.ordinal}", 0) + 1

    def _hold(self, worker_id: str | None, reason: str, message: str, confirm: str = "") -> None:
        self._holds.append(Hold(worker_id=worker_id, reason=reason, message=message, confirm=confirm))

    # --- the whole ---

    def plan(self) -> Plan:
        """All that was found, in its order."""
        if self._is_source_held:
            message = f"{self._desired.hold_reason}; nothing is removed meanwhile"
            self._hold(None, "SourceHeld", message, self._desired.hold_digest)
        for host in self._silent_hosts:
            view = self._observed.hosts.get(host)
            text = "has told nothing yet" if view is None else f"cannot be asked: {view.message or 'no answer'}"
            self._hold(None, "HostUnknown" if view is None else "HostUnreachable", f"{host} {text}")
        ends = [hold.until for hold in self._holds if hold.until is not None and hold.until > self._now]
        return Plan(
            actions=tuple(sorted(self._actions, key=_action_order)),
            holds=tuple(sorted(self._holds, key=lambda hold: (hold.worker_id or "", hold.reason, hold.message))),
            next_wake=min(ends, default=None),
        )


def _action_order(action: Action) -> tuple[int, str, int]:
    is_removal = action.kind is ActionKind.REMOVE
    return _ORDER[action.kind], action.worker_id, -action.ordinal if is_removal else action.ordinal


def _cause(worker: DesiredWorker, step: Step, changed: tuple[FieldChange, ...]) -> str:
    """The step's cause; where the spec reads as before, what else is behind another revision or digest."""
    seen = None if step.slot is None else step.slot.seen
    if step.cause != "spec changed" or seen is None or not seen.fields:
        return step.cause
    if seen.revision == step.instance.revision:
        return step.cause if changed else "values from outside the spec changed"
    if any(change.effect == Effect.RESTART for change in changed):
        return step.cause
    outside = ["contents of env_files"] if worker.spec.env_files else []
    outside += ["values of secrets"] if step.instance.secrets else []
    return f"{' or '.join(outside)} changed" if outside else f"revision {seen.revision} -> {worker.revision}"


def _first(problems: tuple[Problem, ...]) -> str:
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{problems[0]}{more}" if problems else "its file cannot be read"
