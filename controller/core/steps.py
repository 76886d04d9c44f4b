"""What one slot needs, seen alone: the planner's smallest decision.

Called by rollout.py for every slot of a worker whose facts are known. Whether the step may be taken now (unknown hosts,
guards, pacing, refusals) is not asked here. First match wins:

1. no slot                        CREATE
2. running is wanted, was not     START      with the newest spec and wish, all in one
   stopped is wanted, was not     STOP       serves no wish: a person's later start must still count
3. another revision               REPLACE    where a process is wanted; without one UPDATE, as nothing is replaced
4. a wish of a person             RESTART, or START for one that is down, or STOP for one that takes its time to stop
5. its secrets are missing        START      an order brings them: a supervisor keeps them in memory only
6. another digest                 UPDATE     in place

A wish is pending while the slot has served only lower numbers. A wish to start is for those that are down, and were so
when it was made (or moments after, as a crash may come between the key press and this): without that bound a wish that
nobody took away would, much later, restart a worker that gave up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from controller.core.desired import DesiredInstance, DesiredWorker
from controller.core.effects import Effect, changes
from controller.core.intents import RunIntent
from controller.core.observed import ObservedInstance, Status
from controller.core.picture import Slot
from controller.core.plan import ActionKind, FieldChange

START_WISH_S = 5.0
THEN_ITS_SPEC = "; then its spec decides again"
"""What follows on a keep, wherever one is told."""
SECRETS_MISSING = "SecretsMissing"
"""The reason that a supervisor gives for a slot whose secret values it does not have."""

DOWN = frozenset({Status.STOPPED, Status.CRASHED, Status.ERROR})
LIVE = frozenset({Status.STARTING, Status.RUNNING, Status.STOPPING})
_KINDS = {"restart": ActionKind.RESTART, "start": ActionKind.START, "stop": ActionKind.STOP}

Wanted = Literal["running", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step for one slot. `serves`: it is a new run that fulfils the wish. `is_edit`: it brings another spec."""

    kind: ActionKind
    instance: DesiredInstance
    slot: Slot | None
    wanted: Wanted
    cause: str
    serves: bool = False
    is_edit: bool = False

    @property
    def disturbs(self) -> bool:
        """It ends a process that is in service: what pacing and guards protect."""
        in_service = self.slot is not None and self.slot.status is Status.RUNNING
        return in_service and self.kind in (ActionKind.REPLACE, ActionKind.RESTART)

    @property
    def brings_revision(self) -> bool:
        """Its slot gets a revision that it does not have, for a process now or later. A stop is for none."""
        is_new = self.slot is None or self.slot.seen.revision != self.instance.revision
        return is_new and self.kind is not ActionKind.STOP

    @property
    def starts(self) -> bool:
        """A new run comes out of it."""
        return self.wanted == "running" and self.kind not in (ActionKind.UPDATE, ActionKind.STOP)


def step_for(
    worker: DesiredWorker, instance: DesiredInstance, slot: Slot | None, wish: RunIntent | None
) -> Step | None:
    """What the slot of `instance` needs, or None where it is as it should be. `slot` None: it does not exist."""
    if slot is None:
        return _creation(worker, instance, wish)
    seen = slot.seen
    pending = is_pending(wish, seen)
    wanted = _wanted(worker, seen.wanted, wish if pending else None)
    is_edit = seen.digest != instance.digest or seen.revision != instance.revision
    serves = pending and wish is not None and (wanted == "stopped") == (wish.kind == "stop")

    def step(kind: ActionKind, cause: str) -> Step:
        return Step(
            kind=kind, instance=instance, slot=slot, wanted=wanted, cause=cause, serves=serves, is_edit=is_edit
        )  # fmt: skip

    if wanted != seen.wanted:
        kind = ActionKind.START if wanted == "running" else ActionKind.STOP
        return step(kind, _why_wanted(worker, wish if serves else None))
    if seen.revision != instance.revision:
        return step(ActionKind.REPLACE if wanted == "running" else ActionKind.UPDATE, "spec changed")
    if wish is not None and serves:
        return step(_KINDS[wish.kind], asked_for(wish))
    if lacks_secrets(seen) and instance.secrets and wanted == "running":
        return step(ActionKind.START, "brings the secrets that its host does not have")
    if is_edit:
        return step(ActionKind.UPDATE, "spec changed")
    return None


def brought_fields(step: Step, fields: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    """Which of the spec's explicit `fields` the step brings to its instance, of those that an instance notices.

    Without a record of the former ones there is nothing to compare with.
    """
    if step.slot is None or not step.is_edit or not step.slot.seen.fields:
        return ()
    return tuple(change for change in changes(step.slot.seen.fields, fields) if change.effect != Effect.NONE)


def lacks_secrets(seen: ObservedInstance) -> bool:
    """Whether the slot waits for values that its supervisor has lost, after a reboot as a rule."""
    return seen.status is Status.STOPPED and seen.reason == SECRETS_MISSING


def is_pending(wish: RunIntent | None, seen: ObservedInstance) -> bool:
    """Whether a person's wish concerns this slot and is not served yet."""
    if wish is None or seen.run_request >= wish.number:
        return False
    if wish.kind == "stop":
        return seen.status in LIVE
    return wish.kind == "restart" or (seen.status in DOWN and seen.since <= wish.at + START_WISH_S)


def asked_for(wish: RunIntent) -> str:
    """A person's wish as the cause of an action."""
    how = " at once" if wish.at_once else ""
    return f"{wish.kind}{how} asked for by {wish.actor}" + (f": {wish.reason}" if wish.reason else "")


def _creation(worker: DesiredWorker, instance: DesiredInstance, wish: RunIntent | None) -> Step:
    # An old wish to restart starts nothing that is new; a wish to start does, where the spec leaves it open.
    start = wish if wish is not None and wish.kind == "start" else None
    wanted = _wanted(worker, "stopped", start)
    return Step(
        kind=ActionKind.CREATE,
        instance=instance,
        slot=None,
        wanted=wanted,
        cause="not there yet" if wanted == "running" else f"not there yet, stopped by {_why_wanted(worker, None)}",
        serves=True,
    )


def _wanted(worker: DesiredWorker, now: Wanted, wish: RunIntent | None) -> Wanted:
    if worker.wanted != "unless_stopped":
        return worker.wanted
    return now if wish is None or wish.kind == "stop" else "running"


def _why_wanted(worker: DesiredWorker, wish: RunIntent | None) -> str:
    if wish is not None:
        return asked_for(wish)
    if worker.keep is not None:
        return str(worker.keep)
    if worker.spec.desired_state is not None:
        return f"desired_state: {worker.spec.desired_state}"
    return f"auto_start: {'true' if worker.spec.auto_start else 'false'}"
