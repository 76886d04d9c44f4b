"""Why a worker is in its state, and what happens next and when: one clause each, for people.

Called by views.py for `status` and `describe`. The words come from the same picture and the same holds that the planner
made, so the explanation can never tell another story than the plan. Clauses begin in lower case and end without a full
stop: they stand behind `why:` and `next:`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import assert_never

from controller.agent import protocol
from controller.core.desired import DesiredWorker
from controller.core.observed import LastExit, ObservedInstance, Status
from controller.core.picture import Picture, Slot
from controller.core.plan import Hold
from controller.core.spec import WorkerSpec
from controller.core.status import (
    has_completed,
    is_unready,
    said_of,
    slots_to_run,
    stalling_hold,
    summary,
    worst_slot,
)
from controller.core.steps import THEN_ITS_SPEC, lacks_secrets

_UNTIL_EDITED = "nothing by itself until the spec is edited"
_TOLD_BESIDE = (
    "RolloutPaced",
    "Removing",
    "WantedStopped",
    "DependencyDown",
    "LimitIgnored",
    "KeptStopped",
    "KeptRunning",
)
"""Holds that stall nothing and are told behind the state."""

_AFTER_HOLDS: Mapping[str, str] = MappingProxyType(
    {
        "RolloutStalled": "the others stay as they are until it runs; an edit starts the rollout anew",
        "PortBusy": "it starts when the port is free",
        "WaitsFor": "it starts as soon as that is so; to start it alone, take the dependency out of its spec",
        "LimitUnsupported": "it starts once the host can, or, without the limit, with `limits.enforce: best_effort`",
        "HostChanged": f"{_UNTIL_EDITED}: set `host` back, or remove the worker first",
        "SourceHeld": "nothing is removed until the specs can be read again",
    }
)
"""What comes next where a hold stands in the way."""

_CAUSES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        protocol.CAUSE_START_TIMEOUT: ("did not start in time", "its startup probe did not succeed"),
        protocol.CAUSE_LIVENESS: ("was ended by its supervisor", "its liveness probe failed"),
        protocol.CAUSE_HOOK: ("did not start", "its pre_start hook failed"),
        protocol.CAUSE_OOM: ("was killed by the kernel", "its memory reached limits.memory_bytes"),
    }
)
"""How a run ended, where the cause says more than an exit code or a signal; and why, where nobody says more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """`why` is never empty; `next` is empty where nothing is due and nothing need be done."""

    why: str
    next: str = ""


def explain(picture: Picture, holds: Sequence[Hold], *, now: float) -> Explanation:
    """The explanation of one worker. `holds`: the plan's, of this worker only; `now` in seconds since the epoch."""
    told = _explain_wanted(picture, picture.desired, now) if picture.desired is not None else _explain_unwanted(picture)
    hold = stalling_hold(holds)
    if hold is not None:
        told = Explanation(why=f"{told.why}; {_message_of(hold, picture)}", next=_next_of_hold(hold, told.next, now))
    else:
        paced = next((entry for entry in holds if entry.reason in _TOLD_BESIDE and not _is_told(entry, told)), None)
        if paced is not None:
            told = Explanation(why=f"{told.why}; {paced.message}", next=told.next)
    worker = picture.desired
    if worker is None or not worker.problems:
        return told
    stale = f"its file has a problem and the last good spec goes on: {summary(worker.problems)}"
    fix = f"correct {worker.problems[0].file}; it is read again when it changes"
    return Explanation(why=f"{told.why}; {stale}", next=f"{told.next}; {fix}" if told.next else fix)


def _is_told(hold: Hold, told: Explanation) -> bool:
    """A keep is what a stopped worker's state is explained with."""
    return hold.reason == "KeptStopped" and hold.message.removesuffix(THEN_ITS_SPEC) in told.why


# --- without a spec, or without a host to ask ---------------------------------------------------------------------


def _explain_wanted(picture: Picture, worker: DesiredWorker, now: float) -> Explanation:
    if not picture.is_reachable:
        return _explain_silence(picture, worker)
    return _explain_state(picture, worker, now)


def _explain_unwanted(picture: Picture) -> Explanation:
    if picture.broken is not None:
        file = picture.broken[0].file if picture.broken else "its file"
        stays = "; what runs goes on as it is" if picture.slots else ""
        return Explanation(
            why=f"its spec is not valid and no good one is known: {summary(picture.broken)}{stays}",
            next=f"correct {file}; it is read again when it changes",
        )
    if picture.removal is not None:
        why = f"its spec is gone ({picture.removal.proof})"
        return Explanation(why=why, next="it is forgotten when its last process has ended" if picture.slots else "")
    if picture.slots:
        return Explanation(
            why="its processes are there, but no spec of it is known, and no proof that it was removed",
            next="nothing is done to it until a spec of that name is there again, or its removal is certain",
        )
    return Explanation(why="nothing is known of a worker of this name")


def _explain_silence(picture: Picture, worker: DesiredWorker) -> Explanation:
    view, host = picture.view, worker.spec.host
    if view is None:
        return Explanation(why=f"{host} has told nothing yet", next="nothing is done until it does")
    said = f": {view.message}" if view.message else ""
    memory = "; what is shown was known before" if picture.slots else ""
    return Explanation(
        why=f"{host} cannot be asked{said}{memory}",
        next=f"nothing is done on {host} until it answers; what runs there goes on",
    )


# --- by state -----------------------------------------------------------------------------------------------------


def _explain_state(picture: Picture, worker: DesiredWorker, now: float) -> Explanation:
    slot = worst_slot(picture.slots)
    if slot is None:
        return _explain_stopped(picture, worker)
    seen = slot.seen
    match slot.status:
        case Status.STOPPED:
            return _explain_waiting(seen) or _explain_stopped(picture, worker)
        case Status.RUNNING:
            return _explain_running(picture)
        case Status.UNKNOWN:
            why = f"the state of {seen.instance} on {slot.host} is not known{_said(seen)}"
            return Explanation(why=why, next="nothing is done to it until it is")
        case Status.ERROR:
            return _explain_error(seen)
        case Status.CRASHED:
            why = f"{seen.instance} {_died(seen.last_exit, seen.message)}"
            return Explanation(why=why, next=f"it is started again {_when(seen.next_retry_at, now)}")
        case Status.STOPPING:
            return Explanation(why=f"{seen.instance} was asked to end{_because(seen)}", next=_after_stop(seen))
        case Status.STARTING:
            why = f"{seen.instance} is starting{_because(seen)}"
            return Explanation(why=why, next=f"it counts as running when {_end_of_start(worker.spec)}")
        case _:
            assert_never(slot.status)


def _end_of_start(spec: WorkerSpec) -> str:
    if spec.startup is not None:
        return "its startup probe succeeds"
    if spec.readiness is not None:
        return "its readiness probe succeeds for the first time"
    return "it has been alive for its start grace"


def _explain_waiting(seen: ObservedInstance) -> Explanation | None:
    """Of a slot that is stopped because its supervisor waits for something; None for all others."""
    if lacks_secrets(seen):
        why = f"{seen.instance} waits for its secrets, which its host keeps in memory only{_said(seen)}"
        return Explanation(why=why, next="the controller brings them in its next order, and it is started")
    if seen.reason == "WaitingForDependency":
        why = f"{seen.instance} waits for what it depends on{_said(seen)}"
        return Explanation(why=why, next="its host starts it as soon as that runs")
    return None


def _explain_running(picture: Picture) -> Explanation:
    unready = [slot for slot in picture.slots if is_unready(slot)]
    if not unready:
        return Explanation(why=_running(picture))
    more = f" (and {len(unready) - 1} more)" if len(unready) > 1 else ""
    return Explanation(
        why=f"{unready[0].seen.instance} is running but not ready{said_of(unready[0].seen)}{more}",
        next="its process is left alone; it is ready again when it says so, or its readiness probe succeeds",
    )


def _running(picture: Picture) -> str:
    running = sum(1 for slot in picture.slots if slot.status is Status.RUNNING)
    due = len(slots_to_run(picture)) + len(picture.missing)
    former = sum(1 for slot in slots_to_run(picture) if _is_former(slot, picture.desired))
    if running < due:
        return f"{running} of {due} instances run"
    if former:
        return (
            "it runs at its former revision" if due == 1 else f"all {due} instances run, {former} at a former revision"
        )
    is_kept = picture.desired is not None and picture.desired.keep is not None
    as_asked = "" if is_kept else " as the spec asks"
    return f"it runs{as_asked}" if running == 1 else f"all {running} instances run{as_asked}"


def _is_former(slot: Slot, worker: DesiredWorker | None) -> bool:
    """Whether a revision is wanted of it that it does not have."""
    instances = () if worker is None else worker.instances
    ordinal = slot.seen.ordinal
    return ordinal < len(instances) and slot.seen.revision != instances[ordinal].revision


def _explain_stopped(picture: Picture, worker: DesiredWorker) -> Explanation:
    name = worker.worker_id
    if not worker.instances:
        return Explanation(why="its spec asks for no instance (replicas: 0)")
    if worker.keep is not None and worker.keep.wanted == "stopped":
        return Explanation(
            why=f"it is {worker.keep}", next=f"its spec decides again then, or at `workerctl resume {name}`"
        )
    if worker.wanted == "stopped":
        return Explanation(why="its spec asks for it to be stopped (desired_state: stopped)", next=_start(name))
    if has_completed(picture):
        return Explanation(
            why="it has completed: its process ended cleanly",
            next=f"nothing, unless the spec changes or `workerctl restart {name}` runs it again",
        )
    if not slots_to_run(picture) and worker.wanted == "unless_stopped":
        return Explanation(why="it was not started, because its spec says auto_start: false", next=_start(name))
    return Explanation(why="it should run and is not there yet", next="it is started in the next turn of the loop")


def _start(worker_id: str) -> str:
    return f"`workerctl start {worker_id}` starts it"


def _explain_error(seen: ObservedInstance) -> Explanation:
    name = seen.worker_id
    match seen.reason:
        case "CannotStart":
            why = f"{seen.instance} cannot start{_said(seen)}"
            return Explanation(why=why, next=f"{_UNTIL_EDITED}, or `workerctl restart {name}` tries again")
        case "NotRestarted":
            why = f"{seen.instance} ended and its spec says not to start it again{_said(seen)}"
        case _:
            why = f"{seen.instance} {_died(seen.last_exit, seen.message)}; no further try is made"
    return Explanation(
        why=why, next=f"{_UNTIL_EDITED}; see `workerctl logs {name}`, `workerctl restart {name}` tries again"
    )


def _said(seen: ObservedInstance) -> str:
    return f": {seen.message}" if seen.message else ""


def _because(seen: ObservedInstance) -> str:
    return f" ({seen.message or seen.reason})" if seen.message or seen.reason else ""


def _after_stop(seen: ObservedInstance) -> str:
    then = "it is started again" if seen.wanted == "running" and not seen.removing else "nothing follows"
    if seen.reason == "Unkillable":
        return f"it is killed again now and then; {then} once it has ended"
    return f"it is killed when its grace is over; {then} once it has ended"


def _died(last_exit: LastExit | None, message: str) -> str:
    """The cause, where it tells more than the rest; the supervisor's own words; else those of the last exit."""
    cause = None if last_exit is None else _CAUSES.get(last_exit.cause)
    if cause is not None:
        return f"{cause[0]}: {message or cause[1]}"
    if message:
        return f"died: {message}"
    if last_exit is None:
        return "died"
    if last_exit.signal is not None:
        return f"was killed by {last_exit.signal}"
    if last_exit.code is not None:
        return f"exited with code {last_exit.code}"
    return f"ended ({last_exit.cause})"


def _when(at: float | None, now: float) -> str:
    if at is None:
        return "soon"
    left = at - now
    if left <= 0:
        return "now"
    return f"in {left:.0f} s" if left >= 1 else "within a second"


def _message_of(hold: Hold, picture: Picture) -> str:
    """What a hold says, behind the state. That a refused edit leaves the process alone, the state has told already."""
    if hold.reason != "CannotStart":
        return hold.message
    refusals = [slot.refusal.message for slot in picture.slots if slot.refusal is not None]
    why = next((message for message in refusals if hold.message.endswith(message)), hold.message)
    what = "the edit" if any(_is_former(slot, picture.desired) for slot in picture.slots) else "the restart"
    return f"{what} cannot be carried out: {why}"


def _next_of_hold(hold: Hold, otherwise: str, now: float) -> str:
    if hold.confirm:
        return f"nothing until a person confirms it: `workerctl reconcile --confirm {hold.confirm}`"
    if hold.reason == "CannotStart":
        return f"it is tried again {_when(hold.until, now)}; an edit is tried at once"
    return _AFTER_HOLDS.get(hold.reason, otherwise)
