"""One stream of everything: server-sent events of the chosen topics, on one connection, resumable.

Stateless: the id of each event holds the cursors of all topics that have one (`events:12,logs:7`), so a client that
comes back with it (`Last-Event-ID`, or `after`) goes on where it was, also at a controller that was started meanwhile.
Events and logs come once each, from the connection on when there is no id. Workers, operations, batches and the plan
are states: they come whole at the beginning (of operations and batches those under way; all that are remembered where
the client comes back), then what changes. The first event is always `hello`, so that there is an id to come back with.

A topic is read when its bell rang, not whenever any did; the plan, which costs a look at all workers, at most every
`PLAN_S`, and by all clients together. How a stream is followed, bounded and ended: streams.py.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web

from controller.api.bells import Bells, PacedBell
from controller.api.call import Call
from controller.api.chosen import Chosen
from controller.api.log_query import LogQuery
from controller.api.plan import plan_document
from controller.api.ports import (
    ENDED_BATCHES,
    ENDED_OPERATIONS,
    Batch,
    Bell,
    Document,
    Entry,
    EventQuery,
    Topic,
)
from controller.api.problem import suggestion, unknown_worker
from controller.api.query import Query, negotiate
from controller.api.responses import EVENTS
from controller.api.streams import ServerSentEvents, encoded, follow_bell
from controller.api.workers import Watch
from controller.core.plan import Plan

TOPICS = ("events", "logs", "workers", "operations", "batches", "plan")
"""In the order of reading: those with cursors first, so that every id that is sent tells where all of them stand."""
WITH_CURSORS = TOPICS[:2]
DEFAULT = ("events", "workers")
PAGE = 500
PLAN_S = 2.0
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
            f"id: {entry.place}\nevent: {entry.topic}\ndata: ".encode() + encoded(entry) + b"\n\n"
            for entry in entries
            if isinstance(entry, TopicEntry)
        )


async def show_stream(call: Call) -> web.StreamResponse:
    """`GET /api/v1/stream?topics=workers,events,logs,operations,batches,plan&worker=&label=&after=`."""
    query = Query(call.request, "topics", "worker", "label", "after")
    topics, chosen = _topics(query), Chosen(call, query)
    negotiate(call.request, [EVENTS])
    cursors = _cursors(call, query)
    bells = Bells({topic: _bell(call, topic, chosen.one) for topic in topics})
    return await follow_bell(call, TopicEvents(), _Everything(call, bells, chosen, cursors, topics).read, bells)


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


def _bell(call: Call, topic: str, worker_id: str | None) -> Bell:
    """What wakes a topic. The plan may change whenever a worker does."""
    subscribe = call.ports.changes.subscribe
    if topic == "plan":
        return PacedBell(subscribe(Topic.WORKERS), PLAN_S)
    return subscribe(Topic(topic), None if topic in ("operations", "batches") else worker_id)


class _Everything:
    """Where one client of the stream stands."""

    def __init__(
        self, call: Call, bells: Bells, chosen: Chosen, cursors: dict[str, int], topics: Sequence[str]
    ) -> None:  # fmt: skip
        self._call, self._bells, self._chosen, self._cursors = call, bells, chosen, cursors
        self._is_resumed = bool(cursors)
        self._watch = Watch(call, chosen)
        self._unread: set[str] = set()
        self._operations: dict[str, Document] | None = None
        self._batches: dict[str, Document] | None = None
        self._plan: Any = None
        self._shown: Plan | None = None
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
        """What is new in the topics whose bells rang, and where more was left."""
        wanted, self._unread = self._bells.rung() | self._unread, set()
        found: list[TopicEntry] = []
        for topic, source in self._sources.items():
            if topic not in wanted:
                continue
            await asyncio.sleep(0)
            batch = await source()
            if batch.more:
                self._unread.add(topic)
            found += self._placed(topic, batch)
        if self._start is not None:
            start = {**self._cursors, **self._start}
            self._start = None
            hello = {
                "topics": list(self._sources), "worker_id": self._chosen.one,
                "worker_ids": list(self._chosen.names), "labels": list(self._chosen.labels),
            }  # fmt: skip
            found.insert(0, TopicEntry(cursor=0, item=hello, topic="hello", place=_place(start)))
        return Batch(entries=tuple(found), cursor=0, more=bool(self._unread))

    def _placed(self, topic: str, batch: Batch) -> Iterator[TopicEntry]:
        """The entries of a topic, each with where the whole stream stands after it."""
        place = _place(self._cursors)
        for entry in batch.entries:
            if entry.cursor:
                self._cursors[topic] = entry.cursor
                place = _place(self._cursors)
            yield TopicEntry(cursor=0, item=entry.item, json=entry.json, topic=topic, place=place)
        if topic in WITH_CURSORS:  # also 0, of an empty store: what is stored first is not to be passed over
            self._cursors[topic] = batch.cursor

    async def _read_events(self) -> Batch:
        after = self._cursors.get("events")
        query = EventQuery(limit=0 if after is None else PAGE, after=after, worker_id=self._chosen.one)
        return self._only_chosen(await self._call.ports.records.events(query))

    async def _read_logs(self) -> Batch:
        records, after = self._call.ports.records, self._cursors.get("logs")
        limit = 0 if after is None else PAGE
        if self._start is not None:
            for name in self._chosen.names:
                if await records.logs(LogQuery(worker_id=name, limit=0)) is None:
                    raise unknown_worker(name)
        if self._chosen.one is None:
            return self._only_chosen(await records.log_feed(after, limit))
        batch = await records.logs(LogQuery(worker_id=self._chosen.one, limit=limit, after=after))
        if batch is None:
            raise unknown_worker(self._chosen.one)
        return batch

    def _only_chosen(self, batch: Batch) -> Batch:
        wanted = self._chosen.ids()
        if wanted is None:
            return batch
        return replace(batch, entries=tuple(one for one in batch.entries if one.item["worker_id"] in wanted))

    async def _read_operations(self) -> Batch:
        wanted = self._chosen.ids()
        now = {
            str(operation["operation_id"]): operation
            for operation in self._call.ports.snapshots.known_operations()
            if wanted is None or operation["worker_id"] in wanted
        }
        seen, self._operations = self._operations, now
        if seen is None:
            live = [one for one in now.values() if self._is_resumed or one["state"] not in ENDED_OPERATIONS]
            return _batch(live)
        return _batch([one for name, one in now.items() if seen.get(name) != one])

    async def _read_batches(self) -> Batch:
        wanted = self._chosen.ids()
        now = {
            str(batch["batch_id"]): batch
            for batch in reversed(self._call.ports.batches.batches())
            if wanted is None or any(one["worker_id"] in wanted for one in batch["results"])
        }
        seen, self._batches = self._batches, now
        if seen is None:
            return _batch([one for one in now.values() if self._is_resumed or one["state"] not in ENDED_BATCHES])
        return _batch([one for name, one in now.items() if seen.get(name) is not one])

    async def _read_plan(self) -> Batch:
        plan = await self._call.ports.records.recent_plan()
        if plan is self._shown:
            return _batch([])
        self._shown = plan
        document, wanted = plan_document(plan), self._chosen.ids()
        if wanted is not None:
            for part in ("actions", "holds"):
                document[part] = [one for one in document[part] if one["worker_id"] in wanted]
        essence = (document["actions"], document["holds"])
        if essence == self._plan:
            return _batch([])
        self._plan = essence
        return _batch([document])


def _place(cursors: Mapping[str, int]) -> str:
    return ",".join(f"{name}:{cursor}" for name, cursor in sorted(cursors.items()))


def _batch(items: Sequence[Document]) -> Batch:
    return Batch(entries=tuple(Entry(cursor=0, item=item) for item in items), cursor=0)
