"""The worker's own door: `POST /api/v1/workers/{id}/heartbeat`, with the token of its run and nothing else.

The role `worker` of the table means: no principal is asked for, this handler checks the token itself. What the token
may is to tell of its own instance. A run that is over has no say any more, however well its token is made.

A worker may be faster than the news of its start: a token that is good, of a run not heard of yet, is waited for.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from controller.api.actions import Line
from controller.api.body import read_body, too_large
from controller.api.call import Call
from controller.api.followers import Woken
from controller.api.ports import Sender, Topic, Turned
from controller.api.problem import ApiProblem
from controller.api.query import Query
from controller.api.responses import head
from controller.core.heartbeats import Beat

BODY_BYTES = 16 * 1024
METRICS = 64
NEWS_S = 2.0
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="workerctl heartbeat"'}

Count = Annotated[int, Field(ge=0, le=2**53)]
MetricName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.:-]{0,63}$")]
MetricValue = Annotated[float, Field(ge=-1e300, le=1e300, allow_inf_nan=False)]


class HeartbeatBody(BaseModel):
    """The body of a heartbeat. All of it may be left out: to be there is enough."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    active_tasks: Count | None = Field(None, description="What it works on now.")
    assigned_accounts: Count | None = Field(None, description="How many accounts it takes care of.")
    error_count: Count | None = Field(None, description="Errors since its start.")
    metrics: Annotated[dict[MetricName, MetricValue], Field(max_length=METRICS)] = Field(
        default_factory=dict, description="Figures by names of its own; numbers, at most 64."
    )
    status: Annotated[Line, Field(max_length=200)] = Field("", description="One line in its own words.")


async def take_heartbeat(call: Call) -> web.StreamResponse:
    """`POST /api/v1/workers/{id}/heartbeat`: 204."""
    sender = await _sender(call)
    Query(call.request)
    if (call.request.content_length or 0) > BODY_BYTES:
        raise too_large(BODY_BYTES)
    body = await read_body(call, HeartbeatBody)
    wait_s = call.ports.heartbeats.keep(sender, Beat(**body.model_dump()))
    if wait_s > 0:
        raise ApiProblem(
            status=429,
            code="too_many_heartbeats",
            detail="this run sends more heartbeats than anybody can look at; one every few seconds is enough",
            headers={"Retry-After": str(int(wait_s) + 1)},
        )
    headers = head("", call.request_id)
    del headers["Content-Type"]
    return web.Response(status=204, headers=headers)


async def _sender(call: Call) -> Sender:
    """Whose token it is. Raises ApiProblem."""
    scheme, _, token = call.request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token or len(call.request.headers.getall("Authorization")) > 1:
        raise _refused(401, "not_authenticated", "send Authorization: Bearer $WORKERCTL_HEARTBEAT_TOKEN")
    worker_id = call.params["id"]
    found = call.ports.heartbeats.admit(worker_id, token.strip())
    if found is Turned.NOT_LIVE:
        found = await _when_heard_of(call, worker_id, token.strip())
    match found:
        case Turned.FORGED:
            raise _refused(401, "wrong_token", "this is no token of a run")
        case Turned.FOREIGN:
            raise _refused(403, "not_authorised", "this token is another worker's")
        case Turned.NOT_LIVE:
            raise _refused(401, "run_over", "the run of this token is over, or its host cannot be asked yet")
        case _:
            return found


async def _when_heard_of(call: Call, worker_id: str, token: str) -> Sender | Turned:
    """The same, once its start is known; as it is after a moment."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + NEWS_S
    bell = call.ports.changes.subscribe(Topic.WORKERS, worker_id)
    try:
        while True:
            found = call.ports.heartbeats.admit(worker_id, token)
            left = deadline - loop.time()
            if found is not Turned.NOT_LIVE or left <= 0:
                return found
            if await call.followers.wait(bell, call.connection.lost, left) in (Woken.GONE, Woken.DRAINING):
                return found
    finally:
        bell.close()


def _refused(status: int, code: str, detail: str) -> ApiProblem:
    headers = _CHALLENGE if status == 401 else {}
    return ApiProblem(status=status, code=code, detail=detail, headers=headers, close=True)
