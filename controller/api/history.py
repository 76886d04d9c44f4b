"""`GET /api/v1/metrics-history`: figures over time, as series that a chart takes as they are.

`times` are seconds since the epoch at even distances; each of `series` has one value for each of them. Annotations say
what happened meanwhile: starts and ends, changes of the spec, what a person asked for. Without `worker` it is the sums
of each worker over the last minutes, for small marks beside a list: one request, whose answer is bounded by its time.
"""

from __future__ import annotations

import time

from aiohttp import web

from controller.api.call import Call
from controller.api.past_ports import HistoryWish
from controller.api.problem import unknown_worker
from controller.api.query import Query
from controller.api.responses import json_response

METRICS = (
    "cpu_percent", "cpu_max", "memory_bytes", "memory_max", "active_tasks", "assigned_accounts", "error_count",
    "restart_count",
)  # fmt: skip
USUAL = ("cpu_percent", "memory_bytes", "active_tasks", "assigned_accounts", "error_count", "restart_count")
STEPS = (10, 60, 600)
_HOUR_S = 3600
MOST_OF_ALL_S = 120
"""So far back go the figures of all workers."""


async def show_history(call: Call) -> web.StreamResponse:
    """`GET /api/v1/metrics-history?worker=&instance=&metric=&since=&until=&step=&by=`. Without times: the last hour."""
    query = Query(call.request, "worker", "instance", "metric", "since", "until", "step", "by")
    worker_id = query.text("worker")
    until = query.moment("until")
    until = time.time() if until is None else until
    since = query.moment("since")
    since = until - (MOST_OF_ALL_S if worker_id is None else _HOUR_S) if since is None else since
    if since > until:
        query.refuse("since", "expected a time before `until`")
    if worker_id is None:
        _refuse_much(query, until - since)
    ordinal = None if worker_id is None else query.ordinal("instance", worker_id)
    step = query.word("step", [str(step) for step in STEPS])
    wish = HistoryWish(
        worker_id=worker_id, instance=None if ordinal is None else f"{worker_id}/{ordinal}", since=since, until=until,
        step=None if step is None else int(step), by_instance=query.word("by", ("worker", "instance")) == "instance",
        metrics=_metrics(query),
    )  # fmt: skip
    found = await call.ports.history.history(wish)
    if found is None:
        raise unknown_worker(worker_id or "")
    return json_response(found, call.request_id)


def _refuse_much(query: Query, seconds: float) -> None:
    """What is only answered of one worker."""
    for name in ("instance", "by"):
        if query.text(name) is not None:
            query.refuse(name, "expected a `worker` with it")
    if seconds > MOST_OF_ALL_S:
        query.refuse("since", f"expected a `worker`; without one, at most {MOST_OF_ALL_S} seconds before `until`")


def _metrics(query: Query) -> tuple[str, ...]:
    chosen = query.many("metric") or USUAL
    for name in chosen:
        if name not in METRICS:
            query.refuse("metric", f"expected one of {', '.join(METRICS)}")
    return tuple(dict.fromkeys(chosen))
