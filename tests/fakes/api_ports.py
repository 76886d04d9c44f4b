"""A whole small world behind the API: workers, lines, events, operations in memory. Stands in for the application.

Tests build the world, change it while a request is under way, and ring the bells through the same methods that the
application uses. `broken` makes reading fail with the given error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from controller.api.changes import BellTower, EventBell
from controller.api.draft_ports import DraftWish
from controller.api.log_query import LogQuery
from controller.api.past_ports import HistoryWish
from controller.api.ports import (
    Accepted,
    ActionWish,
    Batch,
    BatchAccepted,
    BatchWish,
    Config,
    Entry,
    EventQuery,
    Health,
    Ports,
    Refused,
    Removed,
    Sender,
    Topic,
    Turned,
    UnknownBatch,
    UnknownWorker,
)
from controller.api.responses import encode
from controller.core.authorship import SpecUnknown, SpecWish
from controller.core.heartbeats import Beat, OwnRecord
from controller.core.plan import Plan
from tests.fakes.api_log_counts import FakeLogCounts

Json = dict[str, Any]


def worker(worker_id: str, **more: Any) -> Json:
    """A list item as API.md has it."""
    item = {
        "worker_id": worker_id,
        "name": "",
        "status": "running",
        "desired_state": "running",
        "desired_replicas": 1,
        "revision": "1-0000000001",
        "deployment_type": "local",
        "labels": {},
        "depends_on": {},
        "source": {"file": f"{worker_id}.yaml", "line": 1, "commit": None},
        "conditions": [],
        "restart_count": 0,
        "error_count": None,
        "cpu_percent": None,
        "memory_bytes": None,
        "assigned_accounts": None,
        "active_tasks": None,
        "last_heartbeat_at": None,
        "problems": [],
        "instances": [instance(f"{worker_id}/0")],
    }
    return {**item, **more}


def status_of(item: Json) -> Json:
    """The status of a worker as API.md has it, from its list item."""
    more = {
        "message": "", "since": None, "run_number": 1, "cpu_seconds": None, "ready": None, "notify_status": "",
        "heartbeat": None,
    }  # fmt: skip
    lead = item["instances"][0] if item["instances"] else dict.fromkeys(("host", "pid", "started_at", "uptime_s"))
    return {
        **item,
        **{key: lead[key] for key in ("host", "pid", "started_at", "uptime_s")},
        "instances": [{**one, **more} for one in item["instances"]],
        "description": "",
        "why": "it is wanted",
        "next": "nothing",
        "holds": [],
        "last_exit": None,
        "next_retry_at": None,
        "operations": [],
        "metrics": {},
    }


def config_item(worker_id: str, **more: Any) -> Json:
    """An item of `GET /api/v1/worker-configs` as API.md has it."""
    return {
        "worker_id": worker_id,
        "spec": {},
        "explicit": [],
        "revision": "1-0000000001",
        "source": {"file": f"{worker_id}.yaml", "line": 1, "commit": None},
        "valid": True,
        "problems": [],
        **more,
    }


def instance(name: str, **more: Any) -> Json:
    """An instance within a list item."""
    return {
        "instance": name,
        "ordinal": int(name.rpartition("/")[2]),
        "status": "running",
        "reason": "",
        "pid": 4242,
        "host": "localhost",
        "run": "run1",
        "revision": "1-0000000001",
        "started_at": "2026-01-31T12:00:00.000Z",
        "uptime_s": 10,
        "restart_count": 0,
        "cpu_percent": None,
        "memory_bytes": None,
        "error_count": None,
        "assigned_accounts": None,
        "active_tasks": None,
        "last_heartbeat_at": None,
        "last_exit": None,
        "next_retry_at": None,
        **more,
    }


def line(text: str, **more: Any) -> Json:
    """A log line as API.md has it."""
    return {
        "at": "2026-01-31T12:00:00.000Z",
        "approximate": False,
        "worker_id": "web",
        "instance": "web/0",
        "run": "run1",
        "stream": "stdout",
        "kind": "line",
        "seq": 1,
        "level": None,
        "text": text,
        "partial": False,
        **more,
    }


def event(seq: int, kind: str = "started", **more: Any) -> Json:
    """An event as API.md has it."""
    return {
        "seq": seq,
        "at": "2026-01-31T12:00:00.000Z",
        "type": kind,
        "worker_id": "web",
        "instance": "web/0",
        "run": "run1",
        "actor": "loop",
        "cause": "spec",
        "message": "",
        "data": {},
        **more,
    }


def batch(batch_id: str, *worker_ids: str, states: Sequence[str] = (), **more: Any) -> Json:
    """A batch as API.md has it. `states`: of the workers; those that it does not reach are pending."""
    found = [*states, *["pending"] * len(worker_ids)][: len(worker_ids)]
    results = [
        {
            "worker_id": worker_id, "state": state, "operation_id": None,
            "detail": "there is no such worker" if state == "not_found" else "",
        }
        for worker_id, state in zip(worker_ids, found, strict=True)
    ]  # fmt: skip
    kinds = ("pending", "running", "succeeded", "failed", "not_found", "skipped", "cancelled")
    return {
        "batch_id": batch_id,
        "action": "restart",
        "state": "running",
        "detail": "",
        "options": {"graceful": True, "parallel": 4, "stop_on_failure": False},
        "selector": None,
        "origin": None,
        "actor": "ann",
        "reason": "",
        "created_at": f"2026-01-31T12:00:00.{int(batch_id, 16):03}Z",
        "ended_at": None,
        "total": len(results),
        "counts": {kind: found.count(kind) for kind in kinds},
        "results": results,
        **more,
    }


def healthy(**more: Any) -> Health:
    """A ready controller."""
    values: Json = {
        "ticking": True,
        "first_turn": True,
        "agent": True,
        "draining": False,
        "database": True,
        "workers": 3,
        "problems": 2,
        "holds": 1,
    }
    return Health(**{**values, **more})


def about(**more: Any) -> Json:
    """What a server says of itself."""
    values = {
        "version": "1.0", "python": "3.11.2", "host": "box", "user": "ann", "pid": 7,
        "started_at": "2026-01-31T12:00:00.000Z", "listen": "127.0.0.1:3000", "is_encrypted": False, "auth": "peer",
        "specs": "/srv/specs", "state_dir": "/srv/state", "writes": "file", "on_exit": "stop",
        "database": {"kind": "sqlite", "at": "/srv/state/workerctl.db"},
        "retain": {"days": None, "lines": None, "bytes": 4096}, "forward": 0,
    }  # fmt: skip
    return {**values, **more}


class FakePorts(FakeLogCounts):
    """See the header."""

    def __init__(self, *workers: Json) -> None:
        self.items = {item["worker_id"]: item for item in workers}
        self.lines: list[Entry] = []
        self.is_cut = False
        self.lost: Removed | None = None
        self.happened: list[Entry] = []
        self.operations: dict[str, Json] = {}
        self.state = healthy()
        self.next_plan = Plan()
        self.refusal: Refused | None = None
        self.broken: Exception | None = None
        self.history_wishes: list[HistoryWish] = []
        self.drawn: Json = {
            "worker_id": "web", "since": "2026-01-31T12:00:00Z", "until": "2026-01-31T13:00:00Z", "step_s": 10,
            "times": [], "series": [], "annotations": [],
        }  # fmt: skip
        self.wishes: list[ActionWish | tuple[str | None, str]] = []
        self.queries: list[LogQuery | EventQuery] = []
        self.past: dict[str, list[Json]] = {}
        self.texts: dict[str, Json] = {}
        self.gone: list[Json] = []
        self.gone_asked: list[tuple[int, tuple[float, str] | None]] = []
        self.tower = BellTower()
        self.specs: dict[str, Config] = {}
        self.spec_wishes: list[SpecWish] = []
        self.spec_outcome: Any = SpecUnknown()
        self.draft_wishes: list[DraftWish] = []
        self.judged: Any = SpecUnknown()
        self.admitted: dict[tuple[str, str], Sender | Turned] = {}
        self.beats: list[tuple[Sender, Beat]] = []
        self.told_records: list[tuple[Sender, str, OwnRecord]] = []
        self.wait_s = 0.0
        self.begun: dict[str, Json] = {}
        self.reads: Counter[str] = Counter()
        self.batch_wishes: list[BatchWish | tuple[str, ...]] = []
        self.ports = Ports(
            snapshots=self, records=self, wishes=self, configs=self, changes=self, heartbeats=self, batches=self,
            figures=self, history=self, server=self, past=self, drafts=self,
        )  # fmt: skip

    # --- the past ---------------------------------------------------------------------------------------------

    async def revisions(self, worker_id: str, before: int | None, limit: int) -> Json | None:
        """See ports.Past."""
        self._check()
        items = [one for one in self.past.get(worker_id, []) if before is None or one["seq"] < before]
        more = str(items[limit - 1]["seq"]) if len(items) > limit else None
        return {"items": items[:limit], "next_cursor": more} if worker_id in self.past else None

    async def spec_text(self, worker_id: str) -> Json | None:
        """See ports.Past."""
        return self.texts.get(worker_id)

    async def gone_workers(self, limit: int, after: tuple[float, str] | None) -> Json:
        """See ports.Past."""
        self._check()
        self.gone_asked.append((limit, after))
        return {"items": self.gone[:limit], "next_cursor": None}

    async def history(self, wish: HistoryWish) -> Json | None:
        """See ports.History."""
        self._check()
        self.history_wishes.append(wish)
        return self.drawn if wish.worker_id is None or wish.worker_id in self.items else None

    def about(self) -> Json:
        """See ports.Server."""
        return about()

    async def exposition(self, items: Sequence[Mapping[str, Any]]) -> bytes:
        """See ports.Figures."""
        return f"workers {len(items)}\n# EOF\n".encode()

    # --- batches: `begun` by id, in the order of their beginnings -----------------------------------------------

    def batches(self) -> Sequence[Json]:
        """See ports.Batches."""
        return list(reversed(self.begun.values()))

    def batch(self, batch_id: str) -> Json | None:
        """See ports.Batches."""
        return self.begun.get(batch_id)

    async def create(self, wish: BatchWish) -> BatchAccepted | Refused:
        """See ports.Batches."""
        self.batch_wishes.append(wish)
        if self.refusal is not None:
            return self.refusal
        unknown = [("pending" if name in self.items else "not_found") for name in wish.worker_ids]
        return BatchAccepted(batch=self.begin(batch(f"b{len(self.begun) + 1}", *wish.worker_ids, states=unknown)))

    async def cancel(self, batch_id: str, actor: str) -> BatchAccepted | UnknownBatch | Refused:
        """See ports.Batches."""
        self.batch_wishes.append(("cancel", batch_id, actor))
        found = self.begun.get(batch_id)
        return self.refusal or (UnknownBatch() if found is None else BatchAccepted(batch=found))

    async def retry(self, batch_id: str, actor: str, reason: str) -> BatchAccepted | UnknownBatch | Refused:
        """See ports.Batches."""
        self.batch_wishes.append(("retry", batch_id, actor, reason))
        if self.refusal is not None or batch_id not in self.begun:
            return self.refusal or UnknownBatch()
        return BatchAccepted(batch=self.begin(batch(f"b{len(self.begun) + 1}", "web", origin=batch_id)))

    def begin(self, item: Json) -> Json:
        """A batch begins, or changes."""
        self.begun[item["batch_id"]] = item
        self.tower.ring(Topic.BATCHES)
        return item

    # --- specs ------------------------------------------------------------------------------------------------

    def configs(self) -> list[Json]:
        """See ports.Configs."""
        return [self.specs[name].item for name in sorted(self.specs)]  # type: ignore[misc]

    def config(self, worker_id: str) -> Config | None:
        """See ports.Configs."""
        return self.specs.get(worker_id)

    def summary(self) -> Json:
        """See ports.Configs."""
        return {"total": len(self.specs)}

    async def write(self, wish: SpecWish) -> Any:
        """See ports.Configs: whatever `spec_outcome` makes of the wish."""
        self.spec_wishes.append(wish)
        return self.spec_outcome

    async def draft(self, wish: DraftWish) -> Any:
        """See draft_ports.Drafts: whatever `judged` makes of the wish."""
        self.draft_wishes.append(wish)
        return self.judged

    # --- heartbeats: `admitted` by worker and token; `beats` are what was kept ---------------------------------

    def admit(self, worker_id: str, token: str) -> Sender | Turned:
        """See ports.Heartbeats."""
        return self.admitted.get((worker_id, token), Turned.FORGED)

    def keep(self, sender: Sender, beat: Beat) -> float:
        """See ports.Heartbeats."""
        if self.wait_s == 0:
            self.beats.append((sender, beat))
        return self.wait_s

    async def record(self, sender: Sender, source: str, records: Sequence[OwnRecord]) -> None:
        """See ports.Heartbeats."""
        self._check()
        self.told_records.extend((sender, source, record) for record in records)

    # --- the world changes ------------------------------------------------------------------------------------

    def put(self, item: Json) -> None:
        """A worker appears or changes."""
        self.items[item["worker_id"]] = item
        self.tower.ring(Topic.WORKERS, item["worker_id"])

    def drop(self, worker_id: str) -> None:
        """A worker is gone."""
        del self.items[worker_id]
        self.tower.ring(Topic.WORKERS, worker_id)

    def say(self, *items: Json) -> None:
        """Lines are stored."""
        for item in items:
            self.lines.append(Entry(cursor=len(self.lines) + 1, item=item))
            self.tower.ring(Topic.LOGS, item["worker_id"])

    def happen(self, *items: Json) -> None:
        """Events are stored."""
        for item in items:
            self.happened.append(Entry(cursor=item["seq"], item=item))
            self.tower.ring(Topic.EVENTS, item["worker_id"])

    def move(self, operation_id: str, state: str, detail: str = "") -> None:
        """An operation goes on."""
        self.operations[operation_id] |= {"state": state, "detail": detail}
        self.tower.ring(Topic.OPERATIONS)

    # --- ports.Ports ------------------------------------------------------------------------------------------

    def workers(self) -> Sequence[Json]:
        self._check()
        self.reads["workers"] += 1
        return [item for _, item in sorted(self.items.items())]

    async def prepare(self) -> None:
        """See ports.Snapshots."""

    def encoded(self, item: Mapping[str, Any]) -> bytes:
        """See ports.Snapshots."""
        return encode(item)

    def known_operations(self) -> Sequence[Json]:
        """See ports.Snapshots."""
        return list(self.operations.values())

    def health(self) -> Health:
        return self.state

    async def status(self, worker_id: str) -> Json | None:
        self._check()
        item = self.items.get(worker_id)
        return None if item is None else status_of(item)

    async def recent_plan(self) -> Plan:
        """See ports.Records."""
        self.reads["plan"] += 1
        return self.next_plan

    async def plan(self) -> Plan:
        self._check()
        return self.next_plan

    async def logs(self, query: LogQuery) -> Batch | None:
        self._check()
        self.queries.append(query)
        known = query.worker_id is None or (
            query.worker_id in self.items or any(e.item["worker_id"] == query.worker_id for e in self.lines)
        )
        wanted = {"worker_id": query.worker_id, "stream": query.stream, "run": query.run}
        lines = [
            entry
            for entry in self.lines
            if _holds(entry.item["text"], query)
            and entry.item["kind"] in query.kinds
            and (query.workers is None or entry.item["worker_id"] in query.workers)
            and (not query.levels or entry.item["level"] in query.levels)
            and (query.before is None or entry.cursor < query.before)
        ]
        batch = _select(lines, query.after, query.limit, wanted)
        start = batch.entries[0].cursor if batch.entries and query.after is None else None
        newest = self.lines[-1].cursor if self.lines else 0
        cursor = batch.cursor if batch.more else newest
        return replace(batch, start=start, cursor=cursor, is_cut=self.is_cut) if known else None

    async def removed(self, workers: tuple[str, ...] | None) -> Removed | None:
        """See ports.Records."""
        self._check()
        return self.lost

    async def log_feed(self, after: int | None, limit: int) -> Batch:
        """See ports.Records."""
        self._check()
        self.reads["logs"] += 1
        wanted = [entry for entry in self.lines if after is not None and entry.cursor > after]
        cursor = wanted[limit - 1].cursor if len(wanted) > limit else len(self.lines)
        return Batch(entries=tuple(wanted[:limit]), cursor=cursor, more=len(wanted) > limit)

    async def events(self, query: EventQuery) -> Batch:
        self.reads["events"] += 1
        self._check()
        self.queries.append(query)
        matching = [
            entry
            for entry in self.happened
            if (not query.types or entry.item["type"] in query.types)
            and (not query.actors or entry.item["actor"] in query.actors)
            and (query.before is None or entry.cursor < query.before)
        ]
        return _select(matching, query.after, query.limit, {"worker_id": query.worker_id})

    async def operation(self, operation_id: str) -> Json | None:
        self._check()
        found = self.operations.get(operation_id)
        return None if found is None else dict(found)

    async def act(self, wish: ActionWish) -> Accepted | UnknownWorker | Refused:
        self._check()
        if wish.worker_id not in self.items:
            return UnknownWorker()
        self.wishes.append(wish)
        return self.refusal or self._accept(wish.worker_id, wish.action)

    async def resume(self, worker_id: str, actor: str, reason: str) -> Accepted | UnknownWorker | Refused:
        self._check()
        if worker_id not in self.items:
            return UnknownWorker()
        self.wishes.append((worker_id, actor))
        return self.refusal or self._accept(worker_id, "start")

    async def reconcile(self, confirm: str | None, actor: str) -> Accepted | Refused:
        self._check()
        self.wishes.append((confirm, actor))
        return self.refusal or self._accept(None, "reconcile")

    def subscribe(self, topic: Topic, worker_id: str | None = None) -> EventBell:
        return self.tower.subscribe(topic, worker_id)

    def _accept(self, worker_id: str | None, action: str) -> Accepted:
        operation_id = f"op{len(self.operations) + 1}"
        operation = {"worker_id": worker_id, "action": action, "state": "accepted", "detail": ""}
        self.operations[operation_id] = {"operation_id": operation_id, **operation}
        return Accepted(operation=dict(self.operations[operation_id]))

    def _check(self) -> None:
        if self.broken is not None:
            raise self.broken


def _holds(text: str, query: LogQuery) -> bool:
    """Whether the line is searched for by its words."""
    text, words = (text.casefold(), [one.casefold() for one in query.grep]) if query.ignore_case else (text, query.grep)
    return not any(one in text for one in words) if query.invert else all(one in text for one in words)


def _select(entries: Sequence[Entry], after: int | None, limit: int, wanted: Mapping[str, Any]) -> Batch:
    newest = entries[-1].cursor if entries else 0
    matching = [
        entry for entry in entries if all(value is None or entry.item[key] == value for key, value in wanted.items())
    ]
    if after is None:
        return Batch(entries=tuple(matching[-limit:] if limit else ()), cursor=newest)
    beyond = [entry for entry in matching if entry.cursor > after]
    if len(beyond) > limit:
        return Batch(entries=tuple(beyond[:limit]), cursor=beyond[limit - 1].cursor, more=True)
    return Batch(entries=tuple(beyond), cursor=max(newest, after))
