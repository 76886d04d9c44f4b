"""Specs: the list, one of them, and writing. Thin over the doors; what a write does to a file is not decided here.

An etag is that of the file's bytes: two workers in one file share it. PUT replaces the whole spec and needs If-Match
(or, to create, `If-None-Match: *`), and takes YAML too: the document as a person wrote it, which is what the file will
hold. PATCH and DELETE honour it. With `dry_run=1` nothing is written and the answer says
what would be, with the plan that it brings.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any, Literal, NoReturn, assert_never

from aiohttp import web

from controller.api.body import read_object, read_text
from controller.api.call import Call
from controller.api.plan import plan_document
from controller.api.ports import ConfigWritten, Document
from controller.api.problem import ApiProblem, Fault, from_problem, refused
from controller.api.query import Query
from controller.api.responses import JSON, body_response, encoded_page, head, json_response
from controller.core.authorship import SpecInvalid, SpecRefused, SpecStale, SpecUnknown, SpecWish
from controller.core.spec import is_worker_id

MERGE_PATCH = "application/merge-patch+json"
YAML = "application/yaml"
MAX_PAGE = 1000
_NAME_EXPECTED = "expected a name of a-z, 0-9 and '-', at most 63 characters"
_ETAG = re.compile(r'\s*(?:(\*)|(?:W/)?("[\x21\x23-\x7e\x80-\xff]*"))\s*(?:,|$)')

Action = Literal["create", "replace", "patch", "delete"]


async def list_configs(call: Call) -> web.StreamResponse:
    """`GET /api/v1/worker-configs?label=&valid=&desired_state=&q=&limit=&cursor=`."""
    query = Query(call.request, "label", "valid", "desired_state", "q", "limit", "cursor")
    labels = [text.partition("=") for text in query.many("label")]
    valid = query.word("valid", ("true", "false"))
    state = query.word("desired_state", ("running", "stopped"))
    text = (query.text("q") or "").casefold()
    limit = query.number("limit", low=1, high=MAX_PAGE) or MAX_PAGE
    start = query.text("cursor") or ""

    def covers(item: Document) -> bool:
        spec: Mapping[str, Any] = item["spec"] or {}
        own: Mapping[str, str] = spec.get("labels", {})
        words = (item["worker_id"], spec.get("name", ""), spec.get("description", ""))
        return (
            (valid is None or item["valid"] is (valid == "true"))
            and (state is None or _state(spec) == state)
            and all(key in own and (not sign or own[key] == value) for key, sign, value in labels)
            and any(text in word.casefold() for word in words)
        )

    configs = call.ports.configs
    await configs.prepare()
    matching = [item for item in configs.configs() if item["worker_id"] > start and covers(item)]
    items = matching[:limit]
    more = len(matching) > limit
    cursor = items[-1]["worker_id"] if more else None
    return body_response(encoded_page([configs.encoded(item) for item in items], cursor), JSON, call.request_id)


def _state(spec: Mapping[str, Any]) -> str | None:
    if not spec:
        return None
    own: str | None = spec["desired_state"]
    return own or ("running" if spec["auto_start"] else "stopped")


async def show_summary(call: Call) -> web.StreamResponse:
    """`GET /api/v1/worker-configs/stats/summary`."""
    Query(call.request)
    return json_response(call.ports.configs.summary(), call.request_id)


async def show_config(call: Call) -> web.StreamResponse:
    """`GET /api/v1/worker-configs/{id}`; 304 for an etag that the client has."""
    Query(call.request)
    found = call.ports.configs.config(call.params["id"])
    if found is None:
        raise _unknown(call.params["id"])
    headers = {"ETag": found.etag} if found.etag else {}
    known = _etags(call, "If-None-Match")
    if known is not None and found.etag and (found.etag in known or "*" in known):
        return web.Response(status=304, headers=head(JSON, call.request_id, headers))
    return json_response(found.item, call.request_id, headers=headers)


async def create_config(call: Call) -> web.StreamResponse:
    """`POST /api/v1/worker-configs`."""
    options = _Options(call)
    body = await read_object(call, JSON)
    worker_id = body.pop("worker_id", None)
    if not isinstance(worker_id, str) or not is_worker_id(worker_id):
        raise await _misnamed(call, body)
    return await _write(call, "create", worker_id, body, options)


async def replace_config(call: Call) -> web.StreamResponse:
    """`PUT /api/v1/worker-configs/{id}`."""
    options = _Options(call)
    worker_id = call.params["id"]
    is_new = _etags(call, "If-None-Match") == frozenset("*")
    if options.if_match is None and not is_new:
        raise ApiProblem(
            status=428,
            code="precondition_required",
            detail="PUT replaces the whole spec: send the ETag of what you have seen as If-Match, or use PATCH",
        )
    body = dict[str, Any]()
    if call.request.content_type == YAML:
        options.text = await read_text(call)
    else:
        body = await read_object(call, JSON, YAML)
    if body.pop("worker_id", worker_id) != worker_id:
        _refuse_id("a worker keeps its name: expected that of the path, or none")
    if is_new and not is_worker_id(worker_id):
        _refuse_id(_NAME_EXPECTED)
    return await _write(call, "create" if is_new else "replace", worker_id, body, options)


async def patch_config(call: Call) -> web.StreamResponse:
    """`PATCH /api/v1/worker-configs/{id}`: a JSON merge patch of what stands in the file."""
    options = _Options(call)
    body = await read_object(call, MERGE_PATCH, JSON)
    if body.pop("worker_id", call.params["id"]) != call.params["id"]:
        _refuse_id("a worker keeps its name: leave it out")
    return await _write(call, "patch", call.params["id"], body, options)


async def delete_config(call: Call) -> web.StreamResponse:
    """`DELETE /api/v1/worker-configs/{id}`."""
    return await _write(call, "delete", call.params["id"], {}, _Options(call))


class _Options:
    """What the query and the headers of a write say; `text`: its body, where that is YAML."""

    def __init__(self, call: Call) -> None:
        query = Query(call.request, "dry_run", "rewrite")
        self.dry_run = query.flag("dry_run")
        self.rewrite = query.flag("rewrite")
        self.if_match = _etags(call, "If-Match")
        self.text: str | None = None


async def _write(
    call: Call, action: Action, worker_id: str, body: Mapping[str, Any], options: _Options
) -> web.StreamResponse:
    wish = SpecWish(
        action=action,
        worker_id=worker_id,
        actor=call.principal.name,
        request_id=call.request_id,
        body=body,
        text=options.text,
        if_match=options.if_match,
        rewrite=options.rewrite,
        dry_run=options.dry_run,
    )
    match await call.ports.configs.write(wish):
        case ConfigWritten() as written:
            return _written(call, wish, written)
        case SpecUnknown():
            raise _unknown(worker_id)
        case SpecStale(etag=etag):
            raise ApiProblem(
                status=412, code="stale", detail="the file was changed since; read it again", headers={"ETag": etag}
            )
        case SpecInvalid(problems=problems):
            raise _invalid(*map(from_problem, problems))
        case SpecRefused() as refusal:
            raise refused(
                refusal.reason,
                refusal.message,
                hint=refusal.hint,
                problems=refusal.problems,
                retry_after_s=refusal.retry_after_s,
            )
        case other:
            assert_never(other)


def _written(call: Call, wish: SpecWish, written: ConfigWritten) -> web.StreamResponse:
    headers = {"ETag": written.etag} if written.etag else {}
    if wish.dry_run:
        answer = {"changed": written.is_changed, "config": written.item, "plan": plan_document(written.plan)}
        return json_response(answer, call.request_id, headers=headers)
    if wish.action == "create":
        headers["Location"] = f"/api/v1/worker-configs/{wish.worker_id}"
        return json_response(written.item, call.request_id, status=201, headers=headers)
    if wish.action == "delete":
        return web.Response(status=204, headers=head(JSON, call.request_id))
    return json_response(written.item, call.request_id, headers=headers)


def _etags(call: Call, name: str) -> frozenset[str] | None:
    """The etags of a header, `*` among them; None where it is not there. Weak ones never match."""
    values = call.request.headers.getall(name, [])
    if not values:
        return None
    text, found, place = ",".join(values), set(), 0
    while place < len(text):
        match = _ETAG.match(text, place)
        if match is None:
            raise ApiProblem(status=400, code="malformed_request", detail=f"{name} holds no etags")
        if match[1] or not match[0].lstrip().startswith("W/"):
            found.add(match[1] or match[2])
        place = match.end()
    return frozenset(found)


def _unknown(worker_id: str) -> ApiProblem:
    return ApiProblem(status=404, code="unknown_worker", detail=f"there is no spec of {worker_id}")


def _refuse_id(message: str) -> NoReturn:
    raise _invalid(Fault(message=message, pointer="/worker_id"))


async def _misnamed(call: Call, body: Mapping[str, Any]) -> ApiProblem:
    """All that is wrong with a new spec whose name is none: the rest is judged by a name that nobody has."""
    wish = SpecWish(
        action="create",
        worker_id=f"unnamed-{secrets.token_hex(8)}",
        actor=call.principal.name,
        request_id=call.request_id,
        body=body,
        dry_run=True,
    )
    outcome = await call.ports.configs.write(wish)
    others = outcome.problems if isinstance(outcome, SpecInvalid) else ()
    return _invalid(Fault(message=_NAME_EXPECTED, pointer="/worker_id"), *map(from_problem, others))


def _invalid(*faults: Fault) -> ApiProblem:
    """422."""
    detail = "this is no valid spec; nothing was written"
    return ApiProblem(status=422, code="invalid_spec", detail=detail, errors=faults)
