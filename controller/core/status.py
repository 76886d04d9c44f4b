"""The status of a worker, and its conditions: from a picture to the words of the reference and the detail behind them.

Called by views.py and explain.py. The six states of the reference, and `unknown`, are all there is of a status; what
else there is to say stands in conditions. Nothing here decides anything.

Conditions, in this order:

Valid        its file now holds a spec that is accepted
Ready        every instance that should run does, and none says that it is not ready
Progressing  something is on its way by itself
Stalled      something will not go on by itself, or waits for what nobody here can foresee
Suspended    it is meant not to run
Drifted      what is there differs from what the spec asks for
Completed    only when it stands: every instance that should run has ended cleanly at this revision
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from controller.core.desired import DesiredWorker
from controller.core.observed import ObservedInstance, Status
from controller.core.picture import Picture, Slot
from controller.core.plan import Hold
from controller.core.problems import Problem

WORST_FIRST = (
    Status.UNKNOWN,
    Status.ERROR,
    Status.CRASHED,
    Status.STOPPING,
    Status.STARTING,
    Status.RUNNING,
    Status.STOPPED,
)
COMPLETED = "Completed"
"""The reason that a supervisor gives for a slot whose run ended cleanly."""

STALLING = (
    "HostChanged",
    "CannotStart",
    "LimitUnsupported",
    "RolloutStalled",
    "PruneGuard",
    "MassRestartGuard",
    "SourceHeld",
    "PortBusy",
    "WaitsFor",
    "NoSpec",
)
"""Reasons of holds that no event we wait for is sure to end, the most telling first."""

Truth = Literal["True", "False", "Unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One aspect of a worker. `since` in seconds since the epoch, None where nobody saw it change."""

    type: str
    status: Truth
    reason: str
    message: str = ""
    since: float | None = None
    observed_revision: str | None = None


class Aspect(NamedTuple):
    """What a condition says, without its history."""

    type: str
    status: Truth
    reason: str
    message: str = ""


def worker_status(picture: Picture) -> Status:
    """The worst status of its instances that are wanted or not yet gone; `stopped` without any.

    While the host that the spec names cannot be asked, nothing is known, whatever else was seen.
    """
    if picture.desired is not None and not picture.is_reachable:
        return Status.UNKNOWN
    return min((slot.status for slot in picture.slots), key=WORST_FIRST.index, default=Status.STOPPED)


def worst_slot(slots: Sequence[Slot]) -> Slot | None:
    """The slot with the worst status, the lowest ordinal among equals."""
    return min(slots, key=lambda slot: (WORST_FIRST.index(slot.status), slot.seen.ordinal), default=None)


def slots_to_run(picture: Picture) -> tuple[Slot, ...]:
    """The wanted slots that should run now: all, none, or those that were left running."""
    wanted = "stopped" if picture.desired is None else picture.desired.wanted
    if wanted == "unless_stopped":
        return tuple(slot for slot in picture.wanted_slots if slot.seen.wanted == "running")
    return picture.wanted_slots if wanted == "running" else ()


def is_completed(slot: Slot) -> bool:
    """Whether the slot's last run ended cleanly and none is due."""
    return slot.status is Status.STOPPED and slot.seen.wanted == "running" and slot.seen.reason == COMPLETED


def has_completed(picture: Picture) -> bool:
    """Whether every instance that should run has ended cleanly."""
    slots = slots_to_run(picture)
    return bool(slots) and not picture.missing and all(is_completed(slot) for slot in slots)


def stalling_hold(holds: Sequence[Hold]) -> Hold | None:
    """The most telling of the holds that stall a worker."""
    stalling = [hold for hold in holds if hold.reason in STALLING]
    return min(stalling, key=lambda hold: (STALLING.index(hold.reason), hold.message), default=None)


def conditions(
    picture: Picture, holds: Sequence[Hold], *, now: float, previous: Mapping[str, Condition] | None = None
) -> tuple[Condition, ...]:
    """All conditions of one worker. `holds`: the plan's, of this worker only.

    `previous` are those of the last look by type: a condition whose status stays keeps its `since`, one that changes
    gets `now`. Without it, `since` is the time of the last change that the instances tell of, or None.
    """
    found = [_valid(picture), *_known_or_not(picture, holds)]
    if has_completed(picture):
        found.append(Aspect(type="Completed", status="True", reason=COMPLETED))
    revision = None if picture.desired is None else picture.desired.revision
    if previous is None:
        changed = max((slot.seen.since for slot in picture.slots), default=0.0) or None
        return tuple(
            _condition(aspect, None if aspect.type in ("Valid", "Suspended") else changed, revision) for aspect in found
        )
    return tuple(_followed(aspect, previous.get(aspect.type), now, revision) for aspect in found)


def _followed(aspect: Aspect, before: Condition | None, now: float, revision: str | None) -> Condition:
    """The condition after the one before: the very same where nothing about it is new."""
    if before is None or before.status != aspect.status:
        return _condition(aspect, now, revision)
    if (before.reason, before.message, before.observed_revision) == (aspect.reason, aspect.message, revision):
        return before
    return _condition(aspect, before.since, revision)


def _condition(aspect: Aspect, since: float | None, revision: str | None) -> Condition:
    kind, status, reason, message = aspect
    return Condition(
        type=kind, status=status, reason=reason, message=message, since=since, observed_revision=revision
    )  # fmt: skip


def _known_or_not(picture: Picture, holds: Sequence[Hold]) -> Iterator[Aspect]:
    if picture.desired is not None and not picture.is_reachable:
        view = picture.view
        reason = "HostUnknown" if view is None else "HostUnreachable"
        message = "" if view is None else view.message
        for kind in ("Ready", "Progressing", "Stalled"):
            yield Aspect(type=kind, status="Unknown", reason=reason, message=message)
        yield _suspended(picture)
        yield Aspect(type="Drifted", status="Unknown", reason=reason, message=message)
        return
    drifted = _drifted(picture)
    yield _ready(picture)
    yield _progressing(picture, holds, drifted)
    yield _stalled(picture, holds)
    yield _suspended(picture)
    yield drifted


def _valid(picture: Picture) -> Aspect:
    worker = picture.desired
    if worker is not None and not worker.problems:
        return Aspect(type="Valid", status="True", reason="Accepted")
    if worker is not None:
        message = f"{summary(worker.problems)}; the last good spec goes on"
        return Aspect(type="Valid", status="False", reason="InvalidSpec", message=message)
    if picture.broken is not None:
        return Aspect(type="Valid", status="False", reason="InvalidSpec", message=summary(picture.broken))
    if picture.removal is not None:
        return Aspect(type="Valid", status="False", reason="SpecRemoved", message=picture.removal.proof)
    return Aspect(type="Valid", status="Unknown", reason="NoSpec", message="no spec of it is known")


def summary(problems: Sequence[Problem]) -> str:
    """The first problem, and how many more there are."""
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{problems[0]}{more}" if problems else "its file cannot be read"


def _ready(picture: Picture) -> Aspect:
    due = slots_to_run(picture)
    worst = worst_slot(due)
    awaited = picture.desired is not None and picture.desired.wanted == "running"
    missing = picture.missing if awaited else ()
    if worst is None and not missing:
        return Aspect(type="Ready", status="False", reason="NotWanted", message=_why_not_wanted(picture.desired))
    running = sum(1 for slot in due if slot.status is Status.RUNNING)
    count = f"{running} of {len(due) + len(missing)} running"
    if worst is not None and worst.status is Status.UNKNOWN:
        return Aspect(type="Ready", status="Unknown", reason="StateUnknown", message=count)
    if missing:
        return Aspect(type="Ready", status="False", reason="NotThereYet", message=count)
    if running == len(due):
        return _all_run(due, count)
    if all(slot.status is Status.RUNNING or is_completed(slot) for slot in due):
        return Aspect(type="Ready", status="False", reason=COMPLETED, message=count)
    assert worst is not None
    text = f"{count}; {worst.seen.instance} is in {worst.status}"
    return Aspect(type="Ready", status="False", reason="NotRunning", message=text)


def _all_run(due: Sequence[Slot], count: str) -> Aspect:
    unready = [slot for slot in due if is_unready(slot)]
    if not unready:
        return Aspect(type="Ready", status="True", reason="Running", message=count)
    text = f"{len(due) - len(unready)} of {len(due)} ready; {unready[0].seen.instance} is running but not ready"
    return Aspect(type="Ready", status="False", reason="NotReady", message=text + said_of(unready[0].seen))


def is_unready(slot: Slot) -> bool:
    """Whether it runs and says, or its probe says, that it cannot do its work now."""
    return slot.status is Status.RUNNING and slot.seen.ready is False


def said_of(seen: ObservedInstance) -> str:
    """`: ` and what its supervisor says of it, else what it says of itself; empty without either."""
    said = seen.message or seen.notify_status
    return f": {said}" if said else ""


def _why_not_wanted(worker: DesiredWorker | None) -> str:
    if worker is None:
        return "no spec asks for it"
    if not worker.instances:
        return "replicas: 0"
    if worker.keep is not None:
        return str(worker.keep)
    return f"desired_state: {worker.spec.desired_state}" if worker.spec.desired_state else "auto_start: false"


def _progressing(picture: Picture, holds: Sequence[Hold], drifted: Aspect) -> Aspect:
    for status, reason in (
        (Status.STOPPING, "Stopping"),
        (Status.STARTING, "Starting"),
        (Status.CRASHED, "WaitingToRestart"),
    ):
        names = [slot.seen.instance for slot in picture.slots if slot.status is status]
        if names:
            return Aspect(type="Progressing", status="True", reason=reason, message=", ".join(names))
    paced = next((hold for hold in holds if hold.reason == "RolloutPaced"), None)
    if paced is not None:
        return Aspect(type="Progressing", status="True", reason=paced.reason, message=paced.message)
    if stalling_hold(holds) is None and picture.desired is not None and drifted.status == "True":
        return Aspect(type="Progressing", status="True", reason="Reconciling")
    return Aspect(type="Progressing", status="False", reason="Settled")


def _stalled(picture: Picture, holds: Sequence[Hold]) -> Aspect:
    hold = stalling_hold(holds)
    if hold is not None:
        return Aspect(type="Stalled", status="True", reason=hold.reason, message=hold.message)
    failed = worst_slot([slot for slot in picture.slots if slot.status is Status.ERROR])
    if failed is not None:
        message = f"{failed.seen.instance}: {failed.seen.message or 'gave up'}"
        return Aspect(type="Stalled", status="True", reason=failed.seen.reason or "GaveUp", message=message)
    return Aspect(type="Stalled", status="False", reason="NotStalled")


def _suspended(picture: Picture) -> Aspect:
    worker = picture.desired
    if worker is not None and worker.keep is not None and worker.keep.wanted == "running":
        return Aspect(type="Suspended", status="False", reason="KeptRunning", message=str(worker.keep))
    if worker is not None and worker.wanted != "running" and not slots_to_run(picture):
        reason = "DesiredStopped" if worker.spec.desired_state else "AutoStartOff"
        reason = reason if worker.keep is None else "KeptStopped"
        return Aspect(type="Suspended", status="True", reason=reason, message=_why_not_wanted(worker))
    return Aspect(type="Suspended", status="False", reason="Active")


def _drifted(picture: Picture) -> Aspect:
    worker = picture.desired
    if worker is None:
        status: Truth = "True" if picture.slots else "False"
        return Aspect(type="Drifted", status=status, reason="NoSpec" if picture.slots else "InSync")
    names = [f"{worker.worker_id}/{ordinal}" for ordinal in picture.missing]
    names += [slot.seen.instance for slot in picture.slots if _differs(worker, slot)]
    if names:
        return Aspect(type="Drifted", status="True", reason="OutOfSync", message=", ".join(names))
    return Aspect(type="Drifted", status="False", reason="InSync")


def _differs(worker: DesiredWorker, slot: Slot) -> bool:
    seen = slot.seen
    if slot.host != worker.spec.host or seen.ordinal >= len(worker.instances) or seen.removing:
        return True
    instance = worker.instances[seen.ordinal]
    is_same = seen.revision == instance.revision and seen.digest == instance.digest
    return not is_same or worker.wanted not in (seen.wanted, "unless_stopped")
