"""Log lines: of a running worker or of one that is gone; read from the store, followed by cursor.

`tail` asks for the newest lines, `after` for those beyond a cursor (`next_cursor` of the answer before, or the id of a
server-sent event), `limit` at a time; `before` for those before one (`prev_cursor`). `grep` is plain text that a line
holds, never a pattern: nobody can make a search expensive by its words. `next_cursor` is never null: a log has no end,
and asking again is how a program without streams follows. Log text is text, whatever it looks like; no answer here is
ever HTML.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, cast

from aiohttp import web

from controller.api.call import Call
from controller.api.ports import Batch, LogQuery, Topic
from controller.api.problem import ApiProblem
from controller.api.query import Query, negotiate
from controller.api.responses import EVENTS, JSON, NDJSON, PLAIN, body_response, json_response, page
from controller.api.streams import Ndjson, RawText, ServerSentEvents, follow, resumed

MAX_LINES = 10_000
DEFAULT_TAIL = 100
PAGE = 500
"""Lines at a time beyond a cursor, unless `limit` says more; of every follower, always: it bounds what one can hold."""

MAX_WORDS = 8
_KNOWN = (
    "tail", "limit", "after", "before", "stream", "instance", "run", "since", "until", "grep", "level", "follow",
)  # fmt: skip


async def show_logs(call: Call) -> web.StreamResponse:
    """`GET /api/v1/workers/{id}/logs`."""
    query = Query(call.request, *_KNOWN)
    wanted = _wanted(call, query)
    if query.flag("follow") and call.request.method == "GET":
        for name in ("until", "before"):
            if getattr(wanted, name) is not None:
                query.refuse(name, f"a followed log has no end; leave out follow or {name}")
        notation = negotiate(call.request, [NDJSON, EVENTS, PLAIN])
        return await follow(call, _NOTATIONS[notation](), _Tail(call, wanted).read, Topic.LOGS, wanted.worker_id)
    notation = negotiate(call.request, [JSON, PLAIN, NDJSON])
    batch = await _read(call, wanted)
    if notation == JSON:
        back = None if batch.start is None else str(batch.start)
        document = page([entry.item for entry in batch.entries], str(batch.cursor)) | {"prev_cursor": back}
        return json_response(document, call.request_id)
    return body_response(_NOTATIONS[notation]().entries(batch.entries), notation, call.request_id)


_NOTATIONS: dict[str, type[Ndjson | ServerSentEvents | RawText]] = {
    NDJSON: Ndjson,
    EVENTS: ServerSentEvents,
    PLAIN: RawText,
}


def _wanted(call: Call, query: Query) -> LogQuery:
    """The query of the store. A resumed stream goes on where it was, whatever its address says."""
    after = resumed(call, query)
    before = query.cursor("before")
    if before is not None and after is not None:
        query.refuse("before", "pages go back with before or on with after, not both")
    tail = query.number("tail", low=0, high=MAX_LINES)
    limit = query.number("limit", low=1, high=MAX_LINES)
    newest = DEFAULT_TAIL if tail is None else tail
    return LogQuery(
        worker_id=call.params["id"],
        limit=newest if after is None else limit or PAGE,
        after=after,
        stream=cast("Literal['stdout', 'stderr'] | None", query.word("stream", ("stdout", "stderr"))),
        ordinal=_ordinal(call, query),
        run=query.text("run"),
        since=query.moment("since"),
        until=query.moment("until"),
        before=before,
        grep=_words(query, "grep"),
        levels=tuple(word.casefold() for word in _words(query, "level")),
    )


def _words(query: Query, name: str) -> tuple[str, ...]:
    """The values of a repeated parameter; a few are enough, and an empty one asks for nothing."""
    words = tuple(word for word in query.many(name) if word)
    if len(words) > MAX_WORDS:
        query.refuse(name, f"expected at most {MAX_WORDS} of them")
    return words


def _ordinal(call: Call, query: Query) -> int | None:
    """`web/0` or `0` as 0."""
    text = query.text("instance")
    if text is None:
        return None
    ordinal = text.removeprefix(f"{call.params['id']}/")
    if not (ordinal.isascii() and ordinal.isdigit() and len(ordinal) < 7):
        query.refuse("instance", f"expected {call.params['id']}/N or N")
    return int(ordinal)


async def _read(call: Call, wanted: LogQuery) -> Batch:
    """The lines, or 404 where neither a worker nor a line of this name is known."""
    batch = await call.ports.records.logs(wanted)
    if batch is None:
        raise ApiProblem(status=404, code="unknown_worker", detail=f"there is no worker {wanted.worker_id}")
    return batch


class _Tail:
    """Where one follower of a log stands."""

    def __init__(self, call: Call, wanted: LogQuery) -> None:
        self._call = call
        self._wanted = wanted

    async def read(self) -> Batch:
        """What is new."""
        batch = await _read(self._call, self._wanted)
        self._wanted = replace(self._wanted, after=batch.cursor, limit=PAGE)
        return batch
