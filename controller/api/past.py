"""Specs as they were, their files, and workers that are gone. All of it is read; what brings an old spec back is PUT.

A page of revisions goes on with the `seq` of its last one, a page of gone workers with when its last one went, and its
name.
"""

from __future__ import annotations

import re

from aiohttp import web

from controller.api.call import Call
from controller.api.problem import unknown_worker
from controller.api.query import Query
from controller.api.responses import json_response

MOST_REVISIONS = 100
USUAL_REVISIONS = 25
MOST_GONE = 1000
USUAL_GONE = 200
_CURSOR = re.compile(r"(\d{1,12}\.\d{1,9})/([a-z0-9-]{1,63})", re.ASCII)


async def show_revisions(call: Call) -> web.StreamResponse:
    """`GET /api/v1/worker-configs/{id}/history?limit=&cursor=`."""
    query = Query(call.request, "limit", "cursor")
    limit = query.number("limit", low=1, high=MOST_REVISIONS) or USUAL_REVISIONS
    found = await call.ports.past.revisions(call.params["id"], query.cursor("cursor"), limit)
    if found is None:
        raise unknown_worker(call.params["id"])
    return json_response(found, call.request_id)


async def show_text(call: Call) -> web.StreamResponse:
    """`GET /api/v1/worker-configs/{id}/text`."""
    Query(call.request)
    found = await call.ports.past.spec_text(call.params["id"])
    if found is None:
        raise unknown_worker(call.params["id"])
    return json_response(found, call.request_id)


async def list_gone(call: Call) -> web.StreamResponse:
    """`GET /api/v1/gone-workers?limit=&cursor=`."""
    query = Query(call.request, "limit", "cursor")
    limit = query.number("limit", low=1, high=MOST_GONE) or USUAL_GONE
    return json_response(await call.ports.past.gone_workers(limit, _place(query)), call.request_id)


def _place(query: Query) -> tuple[float, str] | None:
    text = query.text("cursor")
    if text is None:
        return None
    found = _CURSOR.fullmatch(text)
    if found is None:
        query.refuse("cursor", "expected `next_cursor` of the page before")
    return float(found[1]), found[2]
