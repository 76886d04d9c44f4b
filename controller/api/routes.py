"""The one table of routes: method, path, handler, role. What is not here does not exist; nothing is open by default.

dispatch.py finds every handler through `find`, so no route can be registered elsewhere. Paths are compared as they were
sent, without decoding: `%2e%2e`, `//` and friends match nothing. A part in braces is one plain segment.

To add a route: one row here, its contract in contracts.py, and one row in the test that prints this table.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from controller.api import (
    access,
    actions,
    batches,
    configs,
    docs,
    drafts,
    events,
    health,
    heartbeat,
    history,
    log_histogram,
    logs,
    metrics,
    past,
    plan,
    server_info,
    session,
    stream,
    worker_health,
    workers,
)
from controller.api.admission import Role
from controller.api.call import Call
from controller.api.openapi import document
from controller.api.query import Query
from controller.api.responses import json_response

Handler = Callable[[Call], Awaitable[web.StreamResponse]]

_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One row. HEAD is answered where GET is. `asks`: it changes nothing, though it is no GET; so it is not audited."""

    method: str
    path: str
    handler: Handler
    role: Role
    asks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What lives at a path: the route, unless the method is another (`allow` lists those there are)."""

    route: Route | None
    params: Mapping[str, str]
    allow: tuple[str, ...]


def _route(method: str, path: str, handler: Handler, role: Role) -> Route:
    return Route(method=method, path=path, handler=handler, role=role)


async def show_openapi(call: Call) -> web.StreamResponse:
    """`GET /api/v1/openapi.json`. Here, because it shows this table."""
    Query(call.request)
    return json_response(document(TABLE), call.request_id)


TABLE: tuple[Route, ...] = (
    _route("GET", "/healthz", health.healthz, "public"),
    _route("GET", "/readyz", health.readyz, "public"),
    _route("GET", "/metrics", metrics.show_metrics, "viewer"),
    _route("GET", "/api/v1/worker-configs", configs.list_configs, "viewer"),
    _route("POST", "/api/v1/worker-configs", configs.create_config, "operator"),
    _route("GET", "/api/v1/worker-configs/stats/summary", configs.show_summary, "viewer"),
    _route("GET", "/api/v1/worker-configs/{id}", configs.show_config, "viewer"),
    _route("GET", "/api/v1/worker-configs/{id}/history", past.show_revisions, "viewer"),
    _route("GET", "/api/v1/worker-configs/{id}/text", past.show_text, "viewer"),
    _route("GET", "/api/v1/gone-workers", past.list_gone, "viewer"),
    _route("PUT", "/api/v1/worker-configs/{id}", configs.replace_config, "operator"),
    _route("PATCH", "/api/v1/worker-configs/{id}", configs.patch_config, "operator"),
    _route("DELETE", "/api/v1/worker-configs/{id}", configs.delete_config, "operator"),
    _route("GET", "/api/v1/schema", drafts.show_schema, "viewer"),
    Route(method="POST", path="/api/v1/drafts", handler=drafts.judge_draft, role="operator", asks=True),
    _route("GET", "/api/v1/workers", workers.list_workers, "viewer"),
    _route("GET", "/api/v1/workers/stats/overview", workers.show_overview, "viewer"),
    _route("GET", "/api/v1/workers/{id}/status", workers.show_status, "viewer"),
    _route("GET", "/api/v1/workers/{id}/logs", logs.show_logs, "viewer"),
    _route("GET", "/api/v1/workers/{id}/health", worker_health.show_health, "viewer"),
    _route("POST", "/api/v1/workers/{id}/heartbeat", heartbeat.take_heartbeat, "worker"),
    _route("POST", "/api/v1/workers/{id}/start", actions.start, "operator"),
    _route("POST", "/api/v1/workers/{id}/stop", actions.stop, "operator"),
    _route("POST", "/api/v1/workers/{id}/restart", actions.restart, "operator"),
    _route("POST", "/api/v1/workers/{id}/resume", actions.resume, "operator"),
    _route("POST", "/api/v1/workers/batch", batches.create_batch, "operator"),
    _route("GET", "/api/v1/batches", batches.list_batches, "viewer"),
    _route("GET", "/api/v1/batches/{id}", batches.show_batch, "viewer"),
    _route("POST", "/api/v1/batches/{id}/cancel", batches.cancel_batch, "operator"),
    _route("POST", "/api/v1/batches/{id}/retry", batches.retry_batch, "operator"),
    _route("GET", "/api/v1/operations/{id}", actions.show_operation, "viewer"),
    _route("GET", "/api/v1/metrics-history", history.show_history, "viewer"),
    _route("GET", "/api/v1/logs", logs.search_logs, "viewer"),
    _route("GET", "/api/v1/logs/histogram", log_histogram.show_histogram, "viewer"),
    _route("GET", "/api/v1/events", events.list_events, "viewer"),
    _route("GET", "/api/v1/stream", stream.show_stream, "viewer"),
    _route("GET", "/api/v1/plan", plan.show_plan, "viewer"),
    _route("POST", "/api/v1/reconcile", actions.reconcile, "operator"),
    _route("POST", "/api/v1/session", session.open_session, "viewer"),
    _route("DELETE", "/api/v1/session", session.close_session, "viewer"),
    _route("GET", "/api/v1/whoami", session.show_whoami, "viewer"),
    _route("GET", "/api/v1/sessions", access.list_sessions, "viewer"),
    _route("DELETE", "/api/v1/sessions/{id}", access.end_session, "viewer"),
    _route("GET", "/api/v1/tokens", access.list_tokens, "admin"),
    _route("POST", "/api/v1/tokens", access.create_token, "admin"),
    _route("DELETE", "/api/v1/tokens/{id}", access.revoke_token, "admin"),
    _route("GET", "/api/v1/server", server_info.show_server, "viewer"),
    _route("GET", "/api/v1/docs", docs.list_topics, "viewer"),
    _route("GET", "/api/v1/docs/{topic}", docs.show_topic, "viewer"),
    _route("GET", "/api/v1/explain", docs.show_fields, "viewer"),
    _route("GET", "/api/v1/openapi.json", show_openapi, "viewer"),
)


def find(method: str, path: str) -> Found | None:
    """What lives at `path` (raw, without query), or None."""
    wanted = "GET" if method == "HEAD" else method
    params: Mapping[str, str] | None = None
    allow: set[str] = set()
    for route in TABLE:
        match = _match(route.path, path)
        if match is None:
            continue
        if route.method == wanted:
            return Found(route=route, params=match, allow=())
        params = match
        allow |= {"GET", "HEAD"} if route.method == "GET" else {route.method}
    return None if params is None else Found(route=None, params=params, allow=tuple(sorted(allow)))


def _match(pattern: str, path: str) -> dict[str, str] | None:
    """The named parts of `path`, or None where it is another path."""
    expected, given = pattern.split("/"), path.split("/")
    if len(expected) != len(given):
        return None
    params = {}
    for name, segment in zip(expected, given, strict=True):
        if name.startswith("{"):
            if not _SEGMENT.fullmatch(segment):
                return None
            params[name[1:-1]] = segment
        elif name != segment:
            return None
    return params
