"""What a person's wish becomes: a refusal, an operation, a keep, and the events that tell of them. Values only.

Called by the desk of workers, which does the writing.
"""

from __future__ import annotations

import secrets

from controller.api.ports import ActionWish, Refused
from controller.core.authorship import SpecInvalid, SpecRefused, SpecStale, SpecUnknown, SpecWish
from controller.core.intents import Keep
from controller.core.picture import Picture
from controller.reconcile.operations import Operation
from controller.store.records import Event

STATES = {"start": "running", "stop": "stopped"}


def keep_for(wish: ActionWish, for_ms: int, now: float) -> Keep:
    """What is to hold for so long."""
    return Keep(
        worker_id=wish.worker_id,
        wanted="running" if wish.action == "start" else "stopped",
        until=now + for_ms / 1000.0,
        at=now,
        actor=wish.actor,
        reason=wish.reason,
    )


def keep_ended(keep: Keep, actor: str, reason: str, now: float) -> Event:
    """By its time (`loop`) or by a person."""
    message = f"its time is over: it was {keep}" if actor == "loop" else f"ended by {actor}: it was {keep}"
    return Event(
        at=now, type="keep_ended", worker_id=keep.worker_id, actor=actor, cause=reason,
        message=f"{message}; its spec decides again",
    )  # fmt: skip


def refusal_of(wish: ActionWish, picture: Picture) -> Refused | None:
    """Why it cannot be asked for as things are, or None."""
    if wish.for_ms is not None and wish.action == "restart":
        return Refused(code="not_supported", message="a restart takes no for_ms", hint="leave it out")
    worker = picture.desired
    problems = worker.problems if worker is not None else picture.broken or ()
    if worker is None or (problems and wish.action != "restart" and wish.for_ms is None):
        message = "its file must be corrected first" if problems else "it has no spec any more"
        hint = f"correct {problems[0].file}, then try again" if problems else ""
        hint += "; or pass for_ms: what is wanted for a while needs no file" if problems and worker else ""
        return Refused(code="broken_file", message=message, hint=hint, problems=problems)
    if wish.action == "restart" and worker.keep is not None and worker.keep.wanted == "stopped":
        return Refused(code="stopped", message=f"it is {worker.keep}", hint=f"workerctl resume {wish.worker_id}")
    if wish.action == "restart" and worker.wanted == "stopped":
        return Refused(code="stopped", message="it is stopped by its spec", hint=f"workerctl start {wish.worker_id}")
    return None


def operation_for(wish: ActionWish, number: int, now: float) -> Operation:
    """The operation that watches it."""
    return Operation(
        operation_id=secrets.token_hex(8), worker_id=wish.worker_id, action=wish.action, state="accepted",
        detail="", actor=wish.actor, reason=wish.reason, number=number, created_at=now,
    )  # fmt: skip


def requested(wish: ActionWish, operation: Operation, etag: str = "") -> Event:
    """Who asked for what, and why. `etag`: of the file that was written for it."""
    how = "" if wish.graceful or wish.action == "start" else " at once"
    because = f": {wish.reason}" if wish.reason else ""
    return Event(
        at=operation.created_at, type=f"{wish.action}_requested", worker_id=wish.worker_id, actor=wish.actor,
        cause=wish.reason, message=f"{wish.action}{how} asked for by {wish.actor}{because}",
        data={
            "operation_id": operation.operation_id, "request_id": wish.request_id, **({"etag": etag} if etag else {}),
        },
    )  # fmt: skip


def state_wish(wish: ActionWish) -> SpecWish:
    """What is to be written for a start or a stop."""
    return SpecWish(
        action="state", worker_id=wish.worker_id, actor=wish.actor, request_id=wish.request_id,
        body={"desired_state": STATES[wish.action]},
    )  # fmt: skip


def unwritten(outcome: SpecRefused | SpecInvalid | SpecUnknown | SpecStale) -> Refused:
    """Why the file does not ask for the state now, in the words of a write of a spec."""
    match outcome:
        case SpecRefused() as refusal:
            return Refused(
                code=refusal.reason, message=refusal.message, hint=refusal.hint, problems=refusal.problems,
                retry_after_s=refusal.retry_after_s,
            )  # fmt: skip
        case SpecInvalid(problems=problems):
            return Refused(code="broken_file", message="its file must be corrected first", problems=problems)
        case SpecUnknown() | SpecStale():
            message = "its file is being changed by others"
            return Refused(code="busy", message=message, hint="try again", retry_after_s=1)


def served(picture: Picture) -> int:
    """The highest number that any slot has served: a new wish must be above it, whatever the clock says."""
    return max((slot.seen.run_request for slot in picture.slots), default=0)
