"""The shelf: stored records in the shapes of the API. Blocking reads run in threads.

The half of the desk that knows the store; `is_known` is the other half's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from controller.api.log_query import LogQuery, SpanWish
from controller.api.ports import Batch, Document, Entry, EventQuery, Removed, StoreUnavailable
from controller.core.log_kinds import PRINTED
from controller.core.views import rfc3339
from controller.desk.log_counts import count_lines
from controller.desk.log_search import filter_of, find_lines, meant_runs
from controller.store import Reader, Store, StoreError
from controller.store.records import OperationRow, StoredEvent, StoredLine

PAGE = 1000


class Shelf(ABC):
    """Answers from the store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    @abstractmethod
    def is_known(self, worker_id: str) -> bool:
        """Whether there is a spec or a slot of this name."""

    @abstractmethod
    def live_runs(self, worker_id: str | None) -> Mapping[str, str | None]:
        """The newest run of each instance as its host told it; of one worker or of all. None: it has none."""

    async def logs(self, query: LogQuery) -> Batch | None:
        """See ports.Records."""
        # The head is read first: what is stored in between is found again from there, never skipped.
        head = (await self._read(self.store.reader.heads)).log_id
        found = await find_lines(self._read, self.store.reader, query, await self._runs(query))
        if not found.lines and query.after is None and not await self._is_heard_of(query.worker_id):
            return None
        entries = tuple(Entry(cursor=line.id, item=log_item(line)) for line in found.lines)
        last = entries[-1].cursor if entries else 0  # may be newer than the head
        if query.after is None:
            return Batch(entries=entries, cursor=max(head, last), start=found.edge, is_cut=found.is_cut)
        if found.edge is not None and found.edge < head:
            return Batch(entries=entries, cursor=found.edge, more=True, is_cut=found.is_cut)
        return Batch(entries=entries, cursor=max(head, last, query.after, found.edge or 0))

    async def log_counts(self, query: LogQuery, wish: SpanWish) -> Document:
        """See log_query.LogCounting. What comes meanwhile is for those who follow from `next_cursor`."""
        head = (await self._read(self.store.reader.heads)).log_id
        wanted = filter_of(query, await self._runs(query))
        whole = replace(wish, before=head + 1 if wish.before is None else wish.before)
        return {**await count_lines(self._read, self.store.reader, wanted, whole), "next_cursor": str(head)}

    async def removed(self, workers: tuple[str, ...] | None) -> Removed | None:
        """See ports.Records."""
        totals = [one for one in await self._read(self.store.reader.log_totals, workers) if one.removed_lines]
        if not totals:
            return None
        return Removed(
            lines=sum(one.removed_lines for one in totals),
            to=max(one.removed_to for one in totals),
            until=max(one.removed_until or 0.0 for one in totals),
        )

    async def _is_heard_of(self, worker_id: str | None) -> bool:
        """Whether it is known now, or was so long that something of it is stored."""
        if worker_id is None or self.is_known(worker_id):
            return True
        return bool(await self._read(self.store.reader.log_totals, (worker_id,)))

    async def _runs(self, query: LogQuery) -> tuple[str, ...] | None:
        if query.run not in {"current", "previous"}:
            return None if query.run is None else (query.run,)
        stored = await self._read(self.store.reader.latest_runs, query.worker_id)
        return meant_runs(query.run, self.live_runs(query.worker_id), stored)

    async def log_feed(self, after: int | None, limit: int) -> Batch:
        """See ports.Records."""
        head, found = await self._read(self._feed, after, limit)
        entries = tuple(Entry(cursor=line.id, item=log_item(line)) for line in found)
        last = entries[-1].cursor if entries else 0
        is_more = 0 < last < head
        return Batch(entries=entries, cursor=last if is_more else max(head, last, after or 0), more=is_more)

    def _feed(self, after: int | None, limit: int) -> tuple[int, Sequence[StoredLine]]:
        head = self.store.reader.heads().log_id
        return head, () if after is None else self.store.reader.log_feed(after_id=after, limit=limit)

    async def events(self, query: EventQuery) -> Batch:
        """See ports.Records."""
        head, found = await self._read(self._events, query)
        entries = tuple(Entry(cursor=event.seq, item=event_item(event)) for event in found)
        more = query.after is not None and len(entries) >= query.limit > 0
        last = entries[-1].cursor if entries else 0
        return Batch(entries=entries, cursor=last if more else max(head, last, query.after or 0), more=more)

    async def stored_operation(self, operation_id: str) -> Document | None:
        """One that memory has forgotten."""
        row = await self._read(self.store.reader.operation, operation_id)
        if row is None:
            return None
        return {
            "operation_id": row.operation_id,
            "worker_id": row.worker_id,
            "action": row.action,
            "state": row.state,
            "detail": row.detail,
        }

    async def stored_operations(self) -> Sequence[OperationRow]:
        """The newest ones, of all workers; none where the database cannot be read now."""
        try:
            return tuple(reversed(await self._read(lambda: self.store.reader.operations(limit=200))))
        except StoreUnavailable:
            return ()

    def _events(self, query: EventQuery) -> tuple[int, list[StoredEvent]]:
        reader = self.store.reader
        head = reader.heads().event_seq
        if query.limit == 0:
            return head, []
        if not query.types and not query.actors:
            found = reader.events(
                worker_id=query.worker_id, after_seq=query.after, before_seq=query.before, limit=query.limit
            )
            return head, list(found)
        return head, _searched(reader, query)

    async def _read(self, question: Any, *arguments: Any) -> Any:
        try:
            return await self.store.ask(partial(question, *arguments))
        except StoreError as error:
            raise StoreUnavailable(str(error)) from None


def _searched(reader: Reader, query: EventQuery) -> list[StoredEvent]:
    """Events of some types or actors, which no index knows: page by page from where the query begins."""
    found: list[StoredEvent] = []
    after, before = query.after, query.before
    while len(found) < query.limit:
        page = reader.events(worker_id=query.worker_id, after_seq=after, before_seq=before, limit=PAGE)
        wanted = [event for event in page if _is_wanted(event, query)]
        if query.after is not None:
            found += wanted
            after = page[-1].seq if page else after
        else:
            found = wanted + found
            before = page[0].seq if page else before
        if len(page) < PAGE:
            break
    return found[: query.limit] if query.after is not None else found[-query.limit :]


def _is_wanted(event: StoredEvent, query: EventQuery) -> bool:
    if query.types and event.type not in query.types:
        return False
    return not query.actors or event.actor in query.actors


def log_item(line: StoredLine) -> Document:
    """A log line as API.md has it; beside what was not printed stands its `data`."""
    beside = {} if line.kind in PRINTED else {"data": line.data}
    return {
        "id": line.id, "at": rfc3339(line.at), "approximate": line.approximate, "worker_id": line.worker_id,
        "instance": line.instance, "run": line.run or None, "stream": line.stream or None, "kind": line.kind,
        "seq": line.seq, "level": line.level, "text": line.text, "partial": line.partial, **beside,
    }  # fmt: skip


def event_item(event: StoredEvent) -> Document:
    """An event as API.md has it."""
    return {
        "seq": event.seq, "at": rfc3339(event.at), "type": event.type, "worker_id": event.worker_id,
        "instance": event.instance, "run": event.run, "actor": event.actor, "cause": event.cause,
        "message": event.message, "data": dict(event.data),
    }  # fmt: skip
