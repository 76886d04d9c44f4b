"""One stream of everything: server-sent events of the chosen topics, on one connection, resumable.

Stateless: the id of each event holds the cursors of all topics that have one (`events:12,logs:7`), so a client that
comes back with it (`Last-Event-ID`, or `after`) goes on where it was, also at a controller that was started meanwhile.
Events and logs come once each, from the connection on when there is no id. Workers, operations, batches and the plan
are states: they come whole at the beginning (of operations and batches those under way; all that are remembered where
the client comes back), then what changes. The first event is always `hello`, so that there is an id to come back with.

How it is followed, bounded and ended: streams.py.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from controller.api.call import Call
from controller.api.plan import plan_document
from controller.api.ports import (
    ENDED_BATCHES,
    ENDED_OPERATIONS,
    Batch,
    Bell,
    Document,
    Entry,
    EventQuery,
    LogQuery,
    Topic,
)
from controller.api.problem import suggestion, unknown_worker
from controller.api.query import Query, negotiate
from controller.api.responses import EVENTS, encode
from controller.api.streams import ServerSentEvents, follow_bell
from controller.api.workers import Watch

TOPICS = ("events", "logs", "workers", "operations", "batches", "plan")
"""In the order of reading: those with cursors first, so that every id that is sent tells where all of them stand."""
DEFAULT = ("events", "workers")
PAGE = 500
_CURSORS = re.compile(r"(?:(?:events|logs):[0-9]{1,18}(?:,|$))*")


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicEntry(Entry):
    """An entry of one topic, with where the whole stream stands after it."""

    topic: str
    place: str


class TopicEvents(ServerSentEvents):
    """The event's type is the topic."""

    def entries(self, entries: Sequence[Entry]) -> bytes:
        """See ServerSentEvents."""
        return b"".join(
            f"id: {entry.place}\nevent: {entry.topic}\ndata: ".encode() + encode(entry.item) + b"\n\n"
            for entry in entries
            if isinstance(entry, TopicEntry)
        )


async def show_stream(call: Call) -> web.StreamResponse:
    """`GET /api/v1/stream?topics=workers,events,logs,operations,batches,plan&worker=&after=`."""
    query = Query(call.request, "topics", "worker", "after")
    topics, worker_id = _topics(query), query.text("worker")
    if "logs" in topics and worker_id is None:
        query.refuse("worker", "logs are followed of one worker: name it, or leave the topic out")
    negotiate(call.request, [EVENTS])
    cursors = _cursors(call, query)
    bell = _Bells([call.ports.changes.subscribe(*_bell_of(topic, worker_id)) for topic in topics])
    return await follow_bell(call, TopicEvents(), _Everything(call, topics, worker_id, cursors).read, bell)


def _topics(query: Query) -> tuple[str, ...]:
    """The topics asked for, in our order."""
    asked = {name.strip() for text in query.many("topics") for name in text.split(",")} - {""}
    for name in sorted(asked - set(TOPICS)):
        query.refuse("topics", f"expected some of {', '.join(TOPICS)}; {suggestion(name, TOPICS) or 'with commas'}")
    return tuple(topic for topic in TOPICS if topic in (asked or DEFAULT))


def _cursors(call: Call, query: Query) -> dict[str, int]:
    """Where to go on. A header that is no id of ours starts anew, as with any server; a parameter is refused."""
    asked = query.text("after") or ""
    if not _CURSORS.fullmatch(asked):
        query.refuse("after", "expected the id of an event of this stream")
    last = call.request.headers.get("Last-Event-ID", "")
    text = last if last and _CURSORS.fullmatch(last) else asked
    pairs = (part.partition(":") for part in text.split(",") if part)
    return {topic: int(cursor) for topic, _, cursor in pairs}


def _bell_of(topic: str, worker_id: str | None) -> tuple[Topic, str | None]:
    """What wakes a topic. The plan may change whenever a worker does."""
    if topic == "plan":
        return Topic.WORKERS, None
    return Topic(topic), None if topic in ("operations", "batches") else worker_id


class _Bells:
    """Several bells as one. The follower looks at every topic, whichever rang."""

    def __init__(self, bells: Sequence[Bell]) -> None:
        self._bells = bells

    async def wait(self) -> None:
        """See ports.Bell. A bell whose wait is cancelled keeps its ring."""
        waits = [asyncio.ensure_future(bell.wait()) for bell in self._bells]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    def close(self) -> None:
        """Give all back."""
        for bell in self._bells:
            bell.close()


class _One:
    """Covers one worker, or all."""

    def __init__(self, worker_id: str | None) -> None:
        self._worker_id = worker_id

    def covers(self, item: Document) -> bool:
        """See workers.Selection."""
        return self._worker_id in {None, item["worker_id"]}


class _Everything:
    """Where one client of the stream stands."""

    def __init__(self, call: Call, topics: Sequence[str], worker_id: str | None, cursors: dict[str, int]) -> None:
        self._call, self._worker_id, self._cursors = call, worker_id, cursors
        self._is_resumed = bool(cursors)
        self._watch = Watch(call, _One(worker_id))
        self._operations: dict[str, Document] | None = None
        self._batches: dict[str, Document] | None = None
        self._plan: Any = None
        sources: Mapping[str, Callable[[], Awaitable[Batch]]] = {
            "workers": self._watch.read,
            "events": self._read_events,
            "logs": self._read_logs,
            "operations": self._read_operations,
            "batches": self._read_batches,
            "plan": self._read_plan,
        }
        self._sources = {topic: sources[topic] for topic in topics}
        self._start: dict[str, int] | None = dict(cursors)

    async def read(self) -> Batch:
        """What is new in any topic."""
        found: list[TopicEntry] = []
        more = False
        for topic, source in self._sources.items():
            batch = await source()
            more = more or batch.more
            for entry in batch.entries:
                if entry.cursor:
                    self._cursors[topic] = entry.cursor
                found.append(_told(topic, entry.item, self._cursors))
            if batch.cursor:
                self._cursors[topic] = batch.cursor
        if self._start is not None:
            start = {**self._cursors, **self._start}
            self._start = None
            hello = {"topics": list(self._sources), "worker_id": self._worker_id}
            found.insert(0, _told("hello", hello, start))
        return Batch(entries=tuple(found), cursor=0, more=more)

    async def _read_events(self) -> Batch:
        after = self._cursors.get("events")
        query = EventQuery(limit=0 if after is None else PAGE, after=after, worker_id=self._worker_id)
        return await self._call.ports.records.events(query)

    async def _read_logs(self) -> Batch:
        assert self._worker_id is not None
        after = self._cursors.get("logs")
        query = LogQuery(worker_id=self._worker_id, limit=0 if after is None else PAGE, after=after)
        batch = await self._call.ports.records.logs(query)
        if batch is None:
            raise unknown_worker(self._worker_id)
        return batch

    async def _read_operations(self) -> Batch:
        now = {
            str(operation["operation_id"]): operation
            for operation in self._call.ports.snapshots.known_operations()
            if self._worker_id in {None, operation["worker_id"]}
        }
        seen, self._operations = self._operations, now
        if seen is None:
            live = [one for one in now.values() if self._is_resumed or one["state"] not in ENDED_OPERATIONS]
            return _batch(live)
        return _batch([one for name, one in now.items() if seen.get(name) != one])

    async def _read_batches(self) -> Batch:
        now = {
            str(batch["batch_id"]): batch
            for batch in reversed(self._call.ports.batches.batches())
            if self._worker_id is None or any(one["worker_id"] == self._worker_id for one in batch["results"])
        }
        seen, self._batches = self._batches, now
        if seen is None:
            return _batch([one for one in now.values() if self._is_resumed or one["state"] not in ENDED_BATCHES])
        return _batch([one for name, one in now.items() if seen.get(name) is not one])

    async def _read_plan(self) -> Batch:
        document = plan_document(await self._call.ports.records.plan())
        if self._worker_id is not None:
            for part in ("actions", "holds"):
                document[part] = [one for one in document[part] if one["worker_id"] == self._worker_id]
        essence = (document["actions"], document["holds"])
        if essence == self._plan:
            return _batch([])
        self._plan = essence
        return _batch([document])


def _told(topic: str, item: Document, cursors: Mapping[str, int]) -> TopicEntry:
    place = ",".join(f"{name}:{cursor}" for name, cursor in sorted(cursors.items()))
    return TopicEntry(cursor=0, item=item, topic=topic, place=place)


def _batch(items: Sequence[Document]) -> Batch:
    return Batch(entries=tuple(Entry(cursor=0, item=item) for item in items), cursor=0)
