"""Batches: one wish for many workers. Begun, listed, shown, cancelled, tried again.

Who is meant is fixed when a batch is begun: the names that were given, or who has the labels at that moment. A worker
that does not exist is a result of the batch (`not_found`), not an error. With `?wait_s=N` the answer comes when the
batch is over (200, however it ended), or after N seconds (504, with where it stands).
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, assert_never

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from controller.api.actions import Line, ResumeBody
from controller.api.body import read_body
from controller.api.call import Call
from controller.api.ports import ENDED_BATCHES, BatchAccepted, BatchWish, Document, Refused, Topic, UnknownBatch
from controller.api.problem import ApiProblem, Fault, refused
from controller.api.query import Query
from controller.api.responses import json_response, page
from controller.api.waiting import until, wait_s
from controller.api.workers import has_labels

MAX_WORKERS = 1000
MAX_PARALLEL = 100
PARALLEL = 4
MAX_PAGE = 1000
_CURSOR = re.compile(r"[0-9TZ:.-]{1,32},[0-9a-f]{1,32}")
_LABEL = re.compile(r"[^=,\s]+(?:=[^,\x00-\x1f\x7f]*)?")

WorkerName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]


class BatchOptions(BaseModel):
    """How a batch is carried out."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    graceful: bool = Field(True, description="false: kill at once instead of asking first.")
    parallel: int = Field(PARALLEL, ge=1, le=MAX_PARALLEL, description="How many workers at a time.")
    stop_on_failure: bool = Field(False, description="Once a worker failed, begin no further one.")


class BatchBody(BaseModel):
    """The body of a batch. Either `worker_ids` or `selector` says who is meant."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    action: Literal["start", "stop", "restart"] = Field(description="What to do.")
    worker_ids: Annotated[list[WorkerName], Field(max_length=MAX_WORKERS)] | None = Field(
        None, description="Who is meant, in this order."
    )
    selector: Line | None = Field(None, description="Who is meant: labels, `key=value` or `key`, with commas between.")
    options: BatchOptions = Field(default_factory=BatchOptions, description="How it is carried out.")
    reason: Line = Field("", description="Why, for the events. One line.")


def _schema() -> dict[str, object]:
    """The body's JSON Schema with the options in their place."""
    schema = BatchBody.model_json_schema()
    (options,) = schema.pop("$defs").values()
    schema["properties"]["options"] = options
    return schema


BATCH_SCHEMA = _schema()


async def create_batch(call: Call) -> web.StreamResponse:
    """`POST /api/v1/workers/batch`."""
    seconds = wait_s(call)
    body = await read_body(call, BatchBody)
    wish = BatchWish(
        action=body.action,
        actor=call.principal.name,
        worker_ids=_meant(call, body),
        graceful=body.options.graceful,
        parallel=body.options.parallel,
        stop_on_failure=body.options.stop_on_failure,
        reason=body.reason,
        selector=body.selector or "",
    )
    return await _answer(call, await call.ports.batches.create(wish), seconds)


async def list_batches(call: Call) -> web.StreamResponse:
    """`GET /api/v1/batches?limit=&cursor=`: the newest first, without their results."""
    query = Query(call.request, "limit", "cursor")
    limit, after = query.number("limit", low=1, high=MAX_PAGE) or MAX_PAGE, query.text("cursor")
    if after and not _CURSOR.fullmatch(after):
        query.refuse("cursor", "expected next_cursor of the page before")
    left = [one for one in call.ports.batches.batches() if not after or _place(one) < after]
    items = [{name: value for name, value in one.items() if name != "results"} for one in left[:limit]]
    return json_response(page(items, _place(left[limit - 1]) if len(left) > limit else None), call.request_id)


async def show_batch(call: Call) -> web.StreamResponse:
    """`GET /api/v1/batches/{id}`."""
    Query(call.request)
    batch = call.ports.batches.batch(call.params["id"])
    if batch is None:
        raise _unknown(call)
    return json_response(batch, call.request_id)


async def cancel_batch(call: Call) -> web.StreamResponse:
    """`POST /api/v1/batches/{id}/cancel`."""
    seconds = wait_s(call)
    await read_body(call, ResumeBody)
    return await _answer(call, await call.ports.batches.cancel(call.params["id"], call.principal.name), seconds)


async def retry_batch(call: Call) -> web.StreamResponse:
    """`POST /api/v1/batches/{id}/retry`."""
    seconds = wait_s(call)
    body = await read_body(call, ResumeBody)
    outcome = await call.ports.batches.retry(call.params["id"], call.principal.name, body.reason)
    return await _answer(call, outcome, seconds)


def _meant(call: Call, body: BatchBody) -> tuple[str, ...]:
    """The workers, each once. Raises ApiProblem."""
    if (body.worker_ids is None) == (body.selector is None):
        raise _wrong("/worker_ids", "expected either worker_ids or selector")
    if body.worker_ids is not None:
        if not body.worker_ids:
            raise _wrong("/worker_ids", "expected at least one worker")
        return tuple(dict.fromkeys(body.worker_ids))
    labels = [part.strip() for part in (body.selector or "").split(",")]
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise _wrong("/selector", "expected labels, key=value or key, with commas between")
    found = tuple(str(item["worker_id"]) for item in call.ports.snapshots.workers() if has_labels(item, labels))
    if not found:
        raise _wrong("/selector", "no worker has these labels")
    if len(found) > MAX_WORKERS:
        raise _wrong("/selector", f"{len(found)} workers have these labels; a batch takes {MAX_WORKERS} at most")
    return found


async def _answer(
    call: Call, outcome: BatchAccepted | UnknownBatch | Refused, seconds: float | None
) -> web.StreamResponse:
    match outcome:
        case UnknownBatch():
            raise _unknown(call)
        case Refused():
            raise refused(outcome.code, outcome.message, hint=outcome.hint, retry_after_s=outcome.retry_after_s)
        case BatchAccepted(batch=batch):
            return await _response(call, batch, seconds)
        case other:
            assert_never(other)


async def _response(call: Call, batch: Document, seconds: float | None) -> web.Response:
    """202; or, when asked to wait, 200 at its end and 504 after the time."""
    batch_id = str(batch["batch_id"])
    headers = {"Location": f"/api/v1/batches/{batch_id}"}
    if seconds is None:
        return json_response(batch, call.request_id, status=202, headers=headers)

    async def look() -> tuple[Document, bool]:
        latest = call.ports.batches.batch(batch_id) or batch
        return latest, latest["state"] in ENDED_BATCHES

    latest = await until(call, Topic.BATCHES, look, seconds)
    if latest["state"] in ENDED_BATCHES:
        return json_response(latest, call.request_id, headers=headers)
    raise ApiProblem(
        status=504,
        code="still_under_way",
        detail="the batch goes on" + (f": {latest['detail']}" if latest["detail"] else ""),
        headers=headers,
        extra={"batch": dict(latest)},
    )


def _place(batch: Document) -> str:
    """Where it stands in the list: by its time, then its id."""
    return f"{batch['created_at']},{batch['batch_id']}"


def _unknown(call: Call) -> ApiProblem:
    return ApiProblem(status=404, code="unknown_batch", detail=f"there is no batch {call.params['id']}")


def _wrong(pointer: str, message: str) -> ApiProblem:
    fault = Fault(message=message, pointer=pointer)
    detail = "the body is JSON but not what is expected here"
    return ApiProblem(status=422, code="invalid_body", detail=detail, errors=(fault,))
