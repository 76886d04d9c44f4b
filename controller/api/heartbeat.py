"""The worker's own door: `POST /api/v1/workers/{id}/heartbeat`, with the token of its run and nothing else.

The role `worker` of the table means: no principal is asked for, this handler checks the token itself. What the token
may is to tell of its own instance. A run that is over has no say any more, however well its token is made.

What it tells of its work (`records`) is answered when it is stored; its figures are kept before that, whatever happens.

A worker may be faster than the news of its start: a token that is good, of a run not heard of yet, is waited for.
"""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from controller.api.actions import Line
from controller.api.body import read_body, too_large
from controller.api.call import Call
from controller.api.followers import Woken
from controller.api.ports import Sender, StoreUnavailable, Topic, Turned
from controller.api.problem import ApiProblem
from controller.api.query import Query
from controller.api.responses import head
from controller.core.heartbeats import Beat, OwnRecord

BODY_BYTES = 16 * 1024
METRICS = 64
RECORDS = 50
DATA_CHARACTERS = 4096
NEWS_S = 2.0
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="workerctl heartbeat"'}

Count = Annotated[int, Field(ge=0, le=2**53)]
MetricName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.:-]{0,63}$")]
SourceName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{0,64}$")]
MetricValue = Annotated[float, Field(ge=-1e300, le=1e300, allow_inf_nan=False)]


def _rising(records: list[HeartbeatRecord]) -> list[HeartbeatRecord]:
    numbers = [record.seq for record in records if record.seq is not None]
    if any(later <= earlier for earlier, later in pairwise(numbers)):
        raise PydanticCustomError("not_rising", "expected each seq to be above the one before")
    return records


def _small(data: dict[str, Any] | None) -> dict[str, Any] | None:
    if data is not None and len(json.dumps(data)) > DATA_CHARACTERS:
        raise PydanticCustomError("too_large", f"expected at most {DATA_CHARACTERS} characters of JSON")
    return data


class HeartbeatRecord(BaseModel):
    """What a worker tells of its work, for its own log."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    kind: Literal["task", "error"] = Field(description="What it is about.")
    message: str = Field(min_length=1, max_length=4000, description="What happened, in words.")
    level: Literal["debug", "info", "warning", "error", "critical"] | None = Field(
        None, description="How serious it is; without, `info` of a task and `error` of an error."
    )
    data: Annotated[dict[str, Any] | None, AfterValidator(_small)] = Field(
        None, description="More of it for programs: an object, 4096 characters of JSON at most."
    )
    age_ms: Annotated[int, Field(ge=0, le=86_400_000)] = Field(0, description="How long ago it happened.")
    seq: Annotated[int, Field(ge=1, le=2**53)] | None = Field(
        None, description="Its number, which rises from record to record of a source: sent again it is stored once."
    )


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
    source: SourceName = Field("", description="Whose `seq` it is, where several processes of a run tell records.")
    records: Annotated[list[HeartbeatRecord], Field(max_length=RECORDS), AfterValidator(_rising)] = Field(
        default_factory=list, description="Records for its own log; at most 50."
    )


async def take_heartbeat(call: Call) -> web.StreamResponse:
    """`POST /api/v1/workers/{id}/heartbeat`: 204."""
    sender = await _sender(call)
    Query(call.request)
    if (call.request.content_length or 0) > BODY_BYTES:
        raise too_large(BODY_BYTES)
    body = await read_body(call, HeartbeatBody)
    figures = body.model_dump(exclude={"records", "source"})
    wait_s = call.ports.heartbeats.keep(sender, Beat(**figures))
    if wait_s > 0:
        raise ApiProblem(
            status=429,
            code="too_many_heartbeats",
            detail="this run sends more heartbeats than anybody can look at; one every few seconds is enough",
            headers={"Retry-After": str(int(wait_s) + 1)},
        )
    if body.records:
        await _stored(call, sender, body)
    headers = head("", call.request_id)
    del headers["Content-Type"]
    return web.Response(status=204, headers=headers)


async def _stored(call: Call, sender: Sender, body: HeartbeatBody) -> None:
    try:
        await call.ports.heartbeats.record(sender, body.source, [_own_record(record) for record in body.records])
    except StoreUnavailable as error:
        detail = f"the records were not stored, the figures are kept: {error}"
        raise ApiProblem(
            status=503, code="database_unavailable", detail=detail, headers={"Retry-After": "5"}
        ) from None  # fmt: skip


def _own_record(record: HeartbeatRecord) -> OwnRecord:
    return OwnRecord(
        kind=record.kind, message=record.message, level=record.level or ("error" if record.kind == "error" else "info"),
        data=record.data, age_s=record.age_ms / 1000, number=record.seq,
    )  # fmt: skip


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
