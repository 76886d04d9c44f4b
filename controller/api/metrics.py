"""`GET /metrics`: the figures for Prometheus. What they are is decided elsewhere; here they are only handed out."""

from __future__ import annotations

from aiohttp import web

from controller.api.call import Call
from controller.api.query import Query, negotiate
from controller.api.responses import PLAIN, body_response

OPENMETRICS = "application/openmetrics-text"


async def show_metrics(call: Call) -> web.StreamResponse:
    """`GET /metrics`, in OpenMetrics; as plain text for who takes only that, where the same lines are right as well."""
    Query(call.request)
    media_type = negotiate(call.request, [OPENMETRICS, PLAIN])
    await call.ports.snapshots.prepare()
    body = await call.ports.figures.exposition(call.ports.snapshots.workers())
    if media_type == OPENMETRICS:
        media_type += "; version=1.0.0; charset=utf-8"
    return body_response(body, media_type, call.request_id)
