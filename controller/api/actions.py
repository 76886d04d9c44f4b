"""Wishes: start, stop, restart, reconcile; and the operations that they become.

A wish is granted (202, an operation), refused (see problem.py; a broken file with its places) or about nothing
(404). With `?wait_s=N` the answer comes when the operation has ended (200, however it ended: `state` says), or after N
seconds (504, with where it stands). Nothing here starts or stops anything: the loop does.
"""

from __future__ import annotations

from typing import Annotated, Literal, assert_never

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from controller.api.body import read_body
from controller.api.call import Call
from controller.api.ports import ENDED_OPERATIONS, Accepted, ActionWish, Document, Refused, Topic, UnknownWorker
from controller.api.problem import ApiProblem, refused, unknown_worker
from controller.api.query import Query
from controller.api.responses import json_response
from controller.api.waiting import until, wait_s
from controller.core.spec import DAY_MS

# One reason is one line of one event: no control characters.
Line = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$")]


class ActionBody(BaseModel):
    """The body of start, stop and restart."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    graceful: bool = Field(True, description="false: kill at once instead of asking first.")
    reason: Line = Field("", description="Why, for the event. One line.")
    for_ms: int | None = Field(
        None, ge=1000, le=365 * DAY_MS, description="Only for this long: an intent instead of an edit of the file."
    )


class ResumeBody(BaseModel):
    """The body of resume."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    reason: Line = Field("", description="Why, for the event. One line.")


class ReconcileBody(BaseModel):
    """The body of reconcile."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    confirm: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,128}$")] | None = Field(
        None, description="The digest of the hold that may now happen."
    )


async def start(call: Call) -> web.StreamResponse:
    """`POST /api/v1/workers/{id}/start`."""
    return await _act(call, "start")


async def stop(call: Call) -> web.StreamResponse:
    """`POST /api/v1/workers/{id}/stop`."""
    return await _act(call, "stop")


async def restart(call: Call) -> web.StreamResponse:
    """`POST /api/v1/workers/{id}/restart`."""
    return await _act(call, "restart")


async def _act(call: Call, action: Literal["start", "stop", "restart"]) -> web.StreamResponse:
    seconds = wait_s(call)
    body = await read_body(call, ActionBody)
    wish = ActionWish(
        worker_id=call.params["id"],
        action=action,
        actor=call.principal.name,
        graceful=body.graceful,
        reason=body.reason,
        for_ms=body.for_ms,
        request_id=call.request_id,
    )
    return await _answer(call, wish.worker_id, await call.ports.wishes.act(wish), seconds)


async def resume(call: Call) -> web.StreamResponse:
    """`POST /api/v1/workers/{id}/resume`."""
    seconds, worker_id = wait_s(call), call.params["id"]
    body = await read_body(call, ResumeBody)
    outcome = await call.ports.wishes.resume(worker_id, call.principal.name, body.reason)
    return await _answer(call, worker_id, outcome, seconds)


async def _answer(
    call: Call, worker_id: str, outcome: Accepted | UnknownWorker | Refused, seconds: float | None
) -> web.StreamResponse:
    match outcome:
        case UnknownWorker():
            raise unknown_worker(worker_id)
        case Refused() as refusal:
            raise _refused(refusal)
        case Accepted(operation=operation):
            return await _operation_response(call, operation, seconds)
        case other:
            assert_never(other)


async def reconcile(call: Call) -> web.StreamResponse:
    """`POST /api/v1/reconcile`."""
    seconds = wait_s(call)
    body = await read_body(call, ReconcileBody)
    match await call.ports.wishes.reconcile(body.confirm, call.principal.name):
        case Refused() as refusal:
            raise _refused(refusal)
        case Accepted(operation=operation):
            return await _operation_response(call, operation, seconds)
        case other:
            assert_never(other)


async def show_operation(call: Call) -> web.StreamResponse:
    """`GET /api/v1/operations/{id}`."""
    Query(call.request)
    operation = await call.ports.records.operation(call.params["id"])
    if operation is None:
        raise ApiProblem(status=404, code="unknown_operation", detail=f"there is no operation {call.params['id']}")
    return json_response(operation, call.request_id)


def _refused(refusal: Refused) -> ApiProblem:
    return refused(
        refusal.code,
        refusal.message,
        hint=refusal.hint,
        problems=refusal.problems,
        retry_after_s=refusal.retry_after_s,
    )


async def _operation_response(call: Call, operation: Document, seconds: float | None) -> web.Response:
    """202; or, when asked to wait, 200 at its end and 504 after the time."""
    headers = {"Location": f"/api/v1/operations/{operation['operation_id']}"}
    if seconds is None:
        return json_response(operation, call.request_id, status=202, headers=headers)

    async def look() -> tuple[Document, bool]:
        latest = await call.ports.records.operation(operation["operation_id"]) or operation
        return latest, latest["state"] in ENDED_OPERATIONS

    latest = await until(call, Topic.OPERATIONS, look, seconds)
    if latest["state"] in ENDED_OPERATIONS:
        return json_response(latest, call.request_id, headers=headers)
    raise ApiProblem(
        status=504,
        code="still_under_way",
        detail=f"the operation is {latest['state']} and goes on"
        + (f": {latest['detail']}" if latest["detail"] else ""),
        headers=headers,
        extra={"operation": dict(latest)},
    )
