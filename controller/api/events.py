"""Events: what happened, oldest first; the newest ones without `after`. Followed by cursor like logs (see logs.py)."""

from __future__ import annotations

from dataclasses import replace

from aiohttp import web

from controller.api.call import Call
from controller.api.ports import Batch, EventQuery, Topic
from controller.api.query import Query, negotiate
from controller.api.responses import EVENTS, JSON, NDJSON, body_response, json_response, lines, page
from controller.api.streams import Ndjson, ServerSentEvents, follow, resumed

MAX_EVENTS = 1000
DEFAULT_EVENTS = 100


async def list_events(call: Call) -> web.StreamResponse:
    """`GET /api/v1/events?after=&before=&worker_id=&type=&actor=&limit=`, or `follow=1`. Words may be repeated."""
    query = Query(call.request, "after", "before", "worker_id", "type", "actor", "limit", "follow")
    limit = query.number("limit", low=0, high=MAX_EVENTS)
    wanted = EventQuery(
        limit=DEFAULT_EVENTS if limit is None else limit,
        after=resumed(call, query),
        worker_id=query.text("worker_id"),
        types=query.many("type"),
        before=query.number("before", low=0, high=2**63 - 1),
        actors=query.many("actor"),
    )
    if wanted.before is not None and (query.flag("follow") or wanted.after is not None):
        query.refuse("before", "expected neither `after` nor `follow` with it")
    if query.flag("follow") and call.request.method == "GET":
        notation = Ndjson() if negotiate(call.request, [NDJSON, EVENTS]) == NDJSON else ServerSentEvents()
        return await follow(call, notation, _Tail(call, wanted).read, Topic.EVENTS, wanted.worker_id)
    batch = await call.ports.records.events(wanted)
    items = [entry.item for entry in batch.entries]
    if negotiate(call.request, [JSON, NDJSON]) == NDJSON:
        return body_response(lines(items), NDJSON, call.request_id)
    return json_response(page(items, str(batch.cursor)), call.request_id)


class _Tail:
    """Where one follower of events stands."""

    def __init__(self, call: Call, wanted: EventQuery) -> None:
        self._call = call
        self._wanted = wanted

    async def read(self) -> Batch:
        """What is new."""
        batch = await self._call.ports.records.events(self._wanted)
        self._wanted = replace(self._wanted, after=batch.cursor, limit=MAX_EVENTS)
        return batch
