"""Workers as they are: the list, its stream, one worker's status, the fleet at a glance. All from memory.

The list is filtered here, so that every client (CLI, UI, programs) means the same by `label=`, `status=` and `q=`.
Following sends every matching item once and then each one that changed; a worker that no longer matches or is gone is
`{"worker_id": ID, "gone": true}`. `uptime_s` alone is no change: it changes always, and `started_at` says it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from aiohttp import web

from controller.api.call import Call
from controller.api.order import Order, chosen_fields
from controller.api.ports import Batch, Document, Entry, Topic
from controller.api.problem import unknown_worker
from controller.api.query import Query, negotiate
from controller.api.responses import EVENTS, JSON, NDJSON, body_response, encode, encoded_page, json_response
from controller.api.streams import Ndjson, ServerSentEvents, follow
from controller.core.observed import Status

MAX_PAGE = 1000
_SUMMED = ("restart_count", "error_count", "cpu_percent", "memory_bytes", "assigned_accounts", "active_tasks")


class Selection:
    """Which workers: all given conditions at once."""

    def __init__(self, query: Query) -> None:
        self._labels = query.many("label")
        self._statuses = frozenset(query.many("status"))
        if not self._statuses <= set(Status):
            query.refuse("status", f"expected one of {', '.join(Status)}")
        self._text = (query.text("q") or "").casefold()

    def covers(self, item: Document) -> bool:
        """Whether the item is wanted."""
        return (
            (not self._statuses or item["status"] in self._statuses)
            and (not self._labels or has_labels(item, self._labels))
            and (not self._text or self._mentions(item))
        )

    def _mentions(self, item: Document) -> bool:
        """Whether id, name or a label contains the text, whatever the case."""
        words = (item["worker_id"], item["name"], *(f"{key}={value}" for key, value in item["labels"].items()))
        return any(self._text in word.casefold() for word in words)


def has_labels(item: Document, wanted: Iterable[str]) -> bool:
    """Whether it has all of these: `k=v` compares, `k` asks whether it is there."""
    labels: Mapping[str, str] = item["labels"]
    pairs = (text.partition("=") for text in wanted)
    return all(key in labels and (not sign or labels[key] == value) for key, sign, value in pairs)


async def list_workers(call: Call) -> web.StreamResponse:
    """`GET /api/v1/workers?label=&status=&q=&sort=&fields=&limit=&cursor=`, or `follow=1`."""
    query = Query(call.request, "label", "status", "q", "sort", "fields", "limit", "cursor", "follow")
    selection = Selection(query)
    if query.flag("follow") and call.request.method == "GET":
        for name in ("sort", "fields", "limit", "cursor"):
            if query.text(name) is not None:
                query.refuse(name, f"a followed list is always whole; leave out follow or {name}")
        notation = negotiate(call.request, [NDJSON, EVENTS])
        watch = Watch(call, selection)
        return await follow(call, Ndjson() if notation == NDJSON else ServerSentEvents(), watch.read, Topic.WORKERS)
    order, fields = Order(query), chosen_fields(query)
    limit = query.number("limit", low=1, high=MAX_PAGE) or MAX_PAGE
    media_type = negotiate(call.request, [JSON, NDJSON])
    snapshots = call.ports.snapshots
    await snapshots.prepare()
    items, cursor = order.page([item for item in snapshots.workers() if selection.covers(item)], limit)
    if fields:
        encoded = [encode({name: item[name] for name in fields}) for item in items]
    else:
        encoded = [snapshots.encoded(item) for item in items]
    if media_type == NDJSON:
        return body_response(b"".join([line + b"\n" for line in encoded]), NDJSON, call.request_id)
    return body_response(encoded_page(encoded, cursor), JSON, call.request_id)


class Covers(Protocol):
    """Which workers a follower wants to see."""

    def covers(self, item: Document) -> bool:
        """Whether this one."""


class Watch:
    """What one follower has seen of the list."""

    def __init__(self, call: Call, selection: Covers) -> None:
        self._call = call
        self._selection = selection
        self._seen: dict[str, Document] = {}

    async def read(self) -> Batch:
        """The changes since the call before."""
        snapshots = self._call.ports.snapshots
        await snapshots.prepare()
        now = {item["worker_id"]: item for item in snapshots.workers() if self._selection.covers(item)}
        changed = [item for name, item in now.items() if not _alike(item, self._seen.get(name))]
        gone = [{"worker_id": name, "gone": True} for name in self._seen if name not in now]
        self._seen = now
        entries = [Entry(cursor=0, item=item, json=snapshots.encoded(item)) for item in changed]
        return Batch(entries=(*entries, *(Entry(cursor=0, item=item) for item in gone)), cursor=0)


def _alike(item: Document, seen: Document | None) -> bool:
    """Whether nothing but the uptime differs."""
    return item is seen or (seen is not None and _timeless(item) == _timeless(seen))


def _timeless(item: Document) -> dict[str, Any]:
    instances = [{**instance, "uptime_s": None} for instance in item["instances"]]
    return {**item, "instances": instances}


async def show_status(call: Call) -> web.StreamResponse:
    """`GET /api/v1/workers/{id}/status`."""
    Query(call.request)
    item = await call.ports.records.status(call.params["id"])
    if item is None:
        raise unknown_worker(call.params["id"])
    return json_response(item, call.request_id)


async def show_overview(call: Call) -> web.StreamResponse:
    """`GET /api/v1/workers/stats/overview`: sums over all workers; null where no worker reported the figure."""
    Query(call.request)
    await call.ports.snapshots.prepare()
    items = call.ports.snapshots.workers()
    by_status = {status.value: sum(item["status"] == status for item in items) for status in Status}
    counts = {
        "workers": len(items),
        "instances": sum(len(item["instances"]) for item in items),
        "with_problems": sum(bool(item["problems"]) for item in items),
        "by_status": by_status,
    }
    return json_response({**counts, **{name: _total(items, name) for name in _SUMMED}}, call.request_id)


def _total(items: Any, name: str) -> float | None:
    """The sum of the known figures."""
    known = [item[name] for item in items if item[name] is not None]
    return sum(known) if known else None
