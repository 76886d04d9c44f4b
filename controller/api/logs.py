"""Log lines: of one worker, running or gone, or of several or all; read from the store, followed by cursor.

`tail` asks for the newest lines, `after` for those beyond a cursor (`next_cursor` of the answer before, or the id of a
server-sent event), `limit` at a time; `before` for those before one (`prev_cursor`). `grep` is plain text that a line
holds, never a pattern: nobody can make a search expensive by its words. `next_cursor` is never null: a log has no end,
and asking again is how a program without streams follows. A search through very much ends early (`stopped_early`) and
goes on from its cursor. `download` is the whole past, in pages, so that nobody holds it in memory. Log text is text,
whatever it looks like; no answer here is ever HTML.

Of several workers: those named, those whose specs have the labels now (a follower looks again each time), or all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, cast

from aiohttp import web

from controller.api.call import Call
from controller.api.chosen import MOST
from controller.api.log_query import LogQuery, SpanWish
from controller.api.ports import Batch, Document, Removed, Topic
from controller.api.problem import unknown_worker
from controller.api.query import Query, negotiate
from controller.api.removed import leads_there, removed_document, removed_entry
from controller.api.responses import EVENTS, JSON, NDJSON, PLAIN, body_response, json_response, page
from controller.api.streams import Ndjson, RawText, ServerSentEvents, download, follow, resumed
from controller.api.workers import has_labels
from controller.core.json_lines import parsed_line
from controller.core.log_kinds import KINDS

MAX_LINES = 10_000
DEFAULT_TAIL = 100
PAGE = 500
"""Lines at a time beyond a cursor, unless `limit` says more; of every follower, always: it bounds what one can hold."""

DOWNLOAD_PAGE = 2_000
MAX_WORDS = 8
_KNOWN = (
    "tail", "limit", "after", "before", "stream", "run", "since", "until", "grep", "case", "invert", "level", "kind",
    "parsed", "follow", "download", "format",
)  # fmt: skip


async def show_logs(call: Call) -> web.StreamResponse:
    """`GET /api/v1/workers/{id}/logs`."""
    query = Query(call.request, *_KNOWN, "instance")
    name = call.params["id"]
    return await _answer(Question(call, query, {"worker_id": name, "ordinal": query.ordinal("instance", name)}), name)


async def search_logs(call: Call) -> web.StreamResponse:
    """`GET /api/v1/logs?worker=&selector=`: of several workers, or of all."""
    query = Query(call.request, *_KNOWN, "worker", "selector")
    return await _answer(await question_of_all(query, call), "logs")


async def question_of_all(query: Query, call: Call) -> Question:
    """Of the workers that `worker` and `selector` name; 404 where there is none of a name."""
    names = tuple(dict.fromkeys(name for name in query.many("worker") if name))
    if len(names) > MOST:
        query.refuse("worker", f"expected at most {MOST} of them")
    for name in names:
        if await call.ports.records.logs(LogQuery(worker_id=name, limit=0)) is None:
            raise unknown_worker(name)
    labels = tuple(part.strip() for text in query.many("selector") for part in text.split(",") if part.strip())
    return Question(call, query, {"workers": names or None}, labels)


class Question:
    """What one request asks, and of whom."""

    def __init__(self, call: Call, query: Query, whose: dict[str, Any], labels: tuple[str, ...] = ()) -> None:
        self.call, self.query = call, query
        self.wanted = _wanted(call, query, whose)
        self._names, self._labels = self.wanted.workers, labels
        self._is_parsed = query.flag("parsed")

    async def counts(self, wish: SpanWish) -> Document:
        """How many lines it is about."""
        wanted = replace(self.wanted, workers=self._workers())
        return await self.call.ports.records.log_counts(wanted, replace(wish, before=wanted.before))

    @property
    def one(self) -> str | None:
        """The only worker, where it is one by name."""
        names = self._names or ()
        return self.wanted.worker_id or (names[0] if len(names) == 1 and not self._labels else None)

    async def read(self, **more: Any) -> Batch:
        """The lines, or 404 where neither a worker nor a line of this name is known."""
        wanted = replace(self.wanted, workers=self._workers(), **more)
        batch = await self.call.ports.records.logs(wanted)
        if batch is None:
            raise unknown_worker(str(wanted.worker_id))
        if self._is_parsed:
            batch = replace(batch, entries=tuple(replace(one, item=_parsed(one.item)) for one in batch.entries))
        return batch

    async def removed(self, batch: Batch, **more: Any) -> Removed | None:
        """What was removed of that to which the answer `batch` leads."""
        wanted = replace(self.wanted, **more)
        whose = self._workers() if wanted.worker_id is None else (wanted.worker_id,)
        found = await self.call.ports.records.removed(whose)
        return found if found is not None and leads_there(wanted, batch, found) else None

    async def with_removed(self, batch: Batch, **more: Any) -> Batch:
        """The begin of a stream, with a record of that."""
        found = await self.removed(batch, **more)
        return batch if found is None else replace(batch, entries=(removed_entry(found, self.one), *batch.entries))

    def _workers(self) -> tuple[str, ...] | None:
        """Those that are named, among those that have the labels now."""
        if not self._labels:
            return self._names
        items = self.call.ports.snapshots.workers()
        found = [str(item["worker_id"]) for item in items if has_labels(item, self._labels)]
        return tuple(one for one in found if self._names is None or one in self._names)

    def notation(self, offers: Sequence[str]) -> str:
        """The one to answer in. Parsed lines have fields, for which plain text has no place."""
        return negotiate(self.call.request, [one for one in offers if one != PLAIN or not self._is_parsed])


def _parsed(item: Document) -> Document:
    """A line of JSON as its message, with the fields in `data`; any other as it is, with `data` all the same."""
    found = parsed_line(item["text"]) if item["kind"] == "line" else None
    if found is None:
        return {"data": None, **item}
    return {**item, "text": found[0], "data": found[1]}


async def _answer(question: Question, name: str) -> web.StreamResponse:
    call, query = question.call, question.query
    is_get = call.request.method == "GET"
    if query.flag("follow"):
        for parameter in ("until", "before", "download"):
            if query.text(parameter) is not None:
                query.refuse(parameter, f"a followed log has no end; leave out follow or {parameter}")
        if is_get:
            notation = question.notation([NDJSON, EVENTS, PLAIN])
            return await follow(call, _NOTATIONS[notation](), _Tail(question).read, Topic.LOGS, question.one)
    if query.flag("download"):
        for parameter in ("tail", "limit", "before"):
            if query.text(parameter) is not None:
                query.refuse(parameter, f"a download is everything that matches; leave out download or {parameter}")
        # A link of a page cannot set Accept.
        chosen = query.word("format", ("text", "ndjson"))
        notation = question.notation({"text": [PLAIN], "ndjson": [NDJSON]}.get(chosen or "", [PLAIN, NDJSON]))
        if is_get:
            file_name = f"{name}.{'log' if notation == PLAIN else 'ndjson'}"
            return await download(call, _NOTATIONS[notation](), _Past(question).read, file_name)
        return body_response(b"", notation, call.request_id)
    notation = question.notation([JSON, PLAIN, NDJSON])
    batch = await question.read()
    if notation == JSON:
        back = None if batch.start is None else str(batch.start)
        document = page([entry.item for entry in batch.entries], str(batch.cursor))
        removed = removed_document(await question.removed(batch))
        more = {"prev_cursor": back, "stopped_early": batch.is_cut, "removed": removed}
        return json_response(document | more, call.request_id)
    return body_response(_NOTATIONS[notation]().entries(batch.entries), notation, call.request_id)


_NOTATIONS: dict[str, type[Ndjson | ServerSentEvents | RawText]] = {
    NDJSON: Ndjson,
    EVENTS: ServerSentEvents,
    PLAIN: RawText,
}


def _wanted(call: Call, query: Query, whose: dict[str, Any]) -> LogQuery:
    """The query of the store. A resumed stream goes on where it was, whatever its address says."""
    after = resumed(call, query)
    before = query.cursor("before")
    if before is not None and after is not None:
        query.refuse("before", "pages go back with before or on with after, not both")
    tail = query.number("tail", low=0, high=MAX_LINES)
    limit = query.number("limit", low=1, high=MAX_LINES)
    newest = DEFAULT_TAIL if tail is None else tail
    return LogQuery(
        **whose,
        limit=newest if after is None else limit or PAGE,
        after=after,
        stream=cast("Literal['stdout', 'stderr'] | None", query.word("stream", ("stdout", "stderr"))),
        run=query.text("run"),
        since=query.moment("since"),
        until=query.moment("until"),
        before=before,
        grep=_words(query, "grep"),
        ignore_case=query.word("case", ("ignore", "exact")) == "ignore",
        invert=query.flag("invert"),
        levels=tuple(word.casefold() for word in _words(query, "level")),
        **_kinds(query),
    )


def _kinds(query: Query) -> dict[str, Any]:
    """Those asked for; without, what the worker printed and where something of it is missing, and nothing else."""
    kinds = _words(query, "kind")
    for kind in kinds:
        if kind not in KINDS:
            query.refuse("kind", f"expected some of {', '.join(KINDS)}")
    return {"kinds": kinds} if kinds else {}


def _words(query: Query, name: str) -> tuple[str, ...]:
    """The values of a repeated parameter; a few are enough, and an empty one asks for nothing."""
    words = tuple(word for word in query.many(name) if word)
    if len(words) > MAX_WORDS:
        query.refuse(name, f"expected at most {MAX_WORDS} of them")
    return words


class _Tail:
    """Where one follower of a log stands."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._more: dict[str, Any] = {}

    async def read(self) -> Batch:
        """What is new."""
        batch, is_begin = await self._question.read(**self._more), not self._more
        self._more = {"after": batch.cursor, "limit": PAGE}
        return await self._question.with_removed(batch) if is_begin else batch


class _Past:
    """Where one download stands: it ends with the newest line that there was when it began."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._after = question.wanted.after or 0
        self._last: int | None = None

    async def read(self) -> Batch:
        """The next page."""
        is_begin = self._last is None
        if self._last is None:
            self._last = (await self._question.read(limit=0, after=None)).cursor
        span = {"limit": DOWNLOAD_PAGE, "after": self._after}
        batch = await self._question.read(**span)
        self._after, last = batch.cursor, self._last
        entries = tuple(entry for entry in batch.entries if entry.cursor <= last)
        batch = replace(batch, entries=entries, more=batch.more and batch.cursor < last)
        return await self._question.with_removed(batch, **span) if is_begin else batch
