"""The one table: everything that exists, with its role; nothing else answers."""

from __future__ import annotations

import inspect

import pytest

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
    routes,
    server_info,
    session,
    stream,
    worker_health,
    workers,
)
from controller.api.call import Call
from controller.api.routes import TABLE, find
from tests.api.api_site import Site, problem, request, told

PRINTED = """
public   GET  /healthz
public   GET  /readyz
viewer   GET  /metrics
viewer   GET  /api/v1/worker-configs
operator POST /api/v1/worker-configs
viewer   GET  /api/v1/worker-configs/stats/summary
viewer   GET  /api/v1/worker-configs/{id}
viewer   GET  /api/v1/worker-configs/{id}/history
viewer   GET  /api/v1/worker-configs/{id}/text
viewer   GET  /api/v1/gone-workers
operator PUT  /api/v1/worker-configs/{id}
operator PATCH /api/v1/worker-configs/{id}
operator DELETE /api/v1/worker-configs/{id}
viewer   GET  /api/v1/schema
operator POST /api/v1/drafts
viewer   GET  /api/v1/workers
viewer   GET  /api/v1/workers/stats/overview
viewer   GET  /api/v1/workers/{id}/status
viewer   GET  /api/v1/workers/{id}/logs
viewer   GET  /api/v1/workers/{id}/health
worker   POST /api/v1/workers/{id}/heartbeat
operator POST /api/v1/workers/{id}/start
operator POST /api/v1/workers/{id}/stop
operator POST /api/v1/workers/{id}/restart
operator POST /api/v1/workers/{id}/resume
operator POST /api/v1/workers/batch
viewer   GET  /api/v1/batches
viewer   GET  /api/v1/batches/{id}
operator POST /api/v1/batches/{id}/cancel
operator POST /api/v1/batches/{id}/retry
viewer   GET  /api/v1/operations/{id}
viewer   GET  /api/v1/metrics-history
viewer   GET  /api/v1/logs
viewer   GET  /api/v1/logs/histogram
viewer   GET  /api/v1/events
viewer   GET  /api/v1/stream
viewer   GET  /api/v1/plan
operator POST /api/v1/reconcile
viewer   POST /api/v1/session
viewer   DELETE /api/v1/session
viewer   GET  /api/v1/whoami
viewer   GET  /api/v1/sessions
viewer   DELETE /api/v1/sessions/{id}
admin    GET  /api/v1/tokens
admin    POST /api/v1/tokens
admin    DELETE /api/v1/tokens/{id}
viewer   GET  /api/v1/server
viewer   GET  /api/v1/docs
viewer   GET  /api/v1/docs/{topic}
viewer   GET  /api/v1/explain
viewer   GET  /api/v1/openapi.json
"""


def test_the_table_is_this_one() -> None:
    assert "\n".join(f"{route.role:<8} {route.method:<4} {route.path}" for route in TABLE) == PRINTED.strip()


def test_every_public_coroutine_of_the_resources_is_in_the_table_once() -> None:
    handlers = [
        function
        for module in (
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
            routes,
            server_info,
            session,
            stream,
            worker_health,
            workers,
        )
        for name, function in vars(module).items()
        if inspect.iscoroutinefunction(function)
        and function.__module__ == module.__name__
        and not name.startswith("_")
        and next(iter(inspect.signature(function, eval_str=True).parameters.values())).annotation is Call
    ]

    assert sorted(route.handler.__qualname__ for route in TABLE) == sorted(handler.__qualname__ for handler in handlers)


def test_only_the_probes_are_public_and_nothing_with_an_effect_is_for_viewers() -> None:
    assert [route.path for route in TABLE if route.role == "public"] == ["/healthz", "/readyz"]
    own = {"/api/v1/session", "/api/v1/sessions/{id}"}  # a login and a logout are of one's own token's sessions alone
    roles = {route.role for route in TABLE if route.method != "GET" and route.path not in own}
    assert roles == {"operator", "worker", "admin"}
    assert {route.path for route in TABLE if route.role == "admin"} == {"/api/v1/tokens", "/api/v1/tokens/{id}"}


async def test_every_route_of_the_table_is_reachable(site: Site) -> None:
    await site.post("/api/v1/reconcile")
    for route in TABLE:
        if "worker-configs" in route.path or route.role == "worker":
            continue  # test_api_configs.py, test_api_heartbeat.py
        if route.path == "/api/v1/drafts":
            continue  # test_api_drafts.py
        if "batch" in route.path:
            continue  # test_api_batches.py
        if route.path == "/api/v1/stream" or "/session" in route.path or "/tokens" in route.path:
            continue  # test_api_stream.py: it has no end; test_api_sessions.py, test_api_access.py
        path = route.path.replace("workers/{id}", "workers/web").replace("operations/{id}", "operations/op1")
        path = path.replace("{topic}", "specs") + ("?worker=web" if "history" in path else "")
        assert (await site.ask(route.method, path)).status in {200, 202}, route


@pytest.mark.parametrize(
    "target",
    [
        "/static", "/api/", "/api/v1", "/api/v1/workers/", "//api/v1/workers", "/api//v1/workers", "/api/v1/./workers",
        "/api/v1/x/../workers", "/api/v1/%77orkers", "/api/v1/workers/%2e%2e/status", "/api/v1/workers/../status",
        "/api/v1/workers/a%2Fb/status", "/api/v1/workers/-rf/status", "/api/v1/workers/web%00/status",
        "/api/v1/workers//status", "/api/v1/workers/.git/status", "/api/v1/workers/" + "a" * 129 + "/status",
        "/api/v1/worker-configs/", "/api/v1/workers;x", "/metrics/",
        "/API/V1/WORKERS", "/healthz/", "/api/v1/workers/web", "/api/v1/workers/bulk", "/api/v1/batches/",
    ],
)  # fmt: skip
async def test_everything_else_is_404(site: Site, target: str) -> None:
    answer = await site.raw(request(f"GET {target} HTTP/1.1"))

    assert told(answer) == problem(404, "unknown_route", "nothing lives at this path", target)


async def test_a_name_that_is_no_worker_name_is_just_unknown(site: Site) -> None:
    for name in ("CON", "a..b", "WEB", "web_1"):
        assert (await site.get(f"/api/v1/workers/{name}/status")).json["code"] == "unknown_worker"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/api/v1/workers", "GET, HEAD"),
        ("GET", "/api/v1/workers/web/start", "POST"),
        ("GET", "/api/v1/workers/batch", "POST"),
        ("HEAD", "/api/v1/reconcile", "POST"),
        ("TRACE", "/healthz", "GET, HEAD"),
    ],
)
async def test_another_method_is_405_with_those_there_are(site: Site, method: str, path: str, allow: str) -> None:
    answer = await site.raw(request(f"{method} {path} HTTP/1.1", "X-HTTP-Method-Override: GET"))

    assert (answer.status, answer.headers.get("Allow")) == (405, allow)
    if method != "HEAD":
        assert told(answer) == problem(405, "wrong_method", f"this path answers to {allow}", path)


def test_a_path_with_several_methods_names_them_all() -> None:
    found = find("PATCH", "/api/v1/plan")

    assert found is not None
    assert (found.route, found.allow) == (None, ("GET", "HEAD"))


def test_a_part_in_braces_is_no_name_for_itself() -> None:
    assert find("GET", "/api/v1/workers/{id}/status") is None
    assert find("GET", "/api/v1/docs/{topic}") is None
