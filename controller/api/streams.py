"""Following: one loop for every stream, in three notations (NDJSON, server-sent events, plain text).

Level-based: a follower keeps a cursor and no queue. Woken by its bell, it reads what lies beyond its cursor, writes it,
and waits again. So what a slow client costs is bounded by one batch, of which a piece at a time is written; a client
that does not take a piece within the limit is dropped. A stream that ends by our side ends with one final record that
says why (`{"error": PROBLEM}`), so that a client can tell the end from a cut; records are items otherwise. Server-sent
events carry the cursor as their id, and a browser resumes with Last-Event-ID. A download is a stream without a bell:
it ends, without a final record, where there is no more.

The first reading happens before the response starts, so that its errors are real statuses.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from aiohttp import web

from controller.api.call import Call
from controller.api.connection import ClientTooSlow
from controller.api.followers import Woken
from controller.api.ports import Batch, Bell, Document, Entry, StoreUnavailable, Topic
from controller.api.problem import ApiProblem, internal_error, store_unavailable
from controller.api.query import Query
from controller.api.responses import EVENTS, NDJSON, PLAIN, encode, head, lines

log = logging.getLogger(__name__)

Reading = Callable[[], Awaitable[Batch]]
"""Reads what is new since the call before. It keeps the cursor."""


PIECE = 100
"""So many entries are written at a time, and taken by the client before the next ones."""


def encoded(entry: Entry) -> bytes:
    """The JSON of an item, from whoever has it already."""
    return encode(entry.item) if entry.json is None else entry.json


class Notation(Protocol):
    """How entries are written."""

    media_type: str

    def entries(self, entries: Sequence[Entry]) -> bytes:
        """Entries."""

    def sign_of_life(self) -> bytes:
        """What keeps an idle connection open, or nothing."""

    def end(self, problem: Document) -> bytes:
        """The final record."""


class Ndjson:
    """One JSON object a line."""

    media_type = NDJSON

    def entries(self, entries: Sequence[Entry]) -> bytes:
        """Items as they are."""
        return b"".join(encoded(entry) + b"\n" for entry in entries)

    def sign_of_life(self) -> bytes:
        """None is needed: no proxy cuts what programs follow."""
        return b""

    def end(self, problem: Document) -> bytes:
        """An object whose only key is `error`."""
        return lines([{"error": problem}])


class ServerSentEvents:
    """For browsers. An entry without a cursor (0) has no id."""

    media_type = EVENTS

    def entries(self, entries: Sequence[Entry]) -> bytes:
        """`data` is the item; JSON on one line holds no line end that could break the frame."""
        return b"".join(
            (b"id: %d\n" % entry.cursor if entry.cursor else b"") + b"data: " + encoded(entry) + b"\n\n"
            for entry in entries
        )

    def sign_of_life(self) -> bytes:
        """A comment."""
        return b":\n\n"

    def end(self, problem: Document) -> bytes:
        """An event of the type `error`."""
        return b"event: error\ndata: " + encode(problem) + b"\n\n"


class RawText:
    """Log lines as the worker wrote them. A piece of a long line ends without a line end when its rest follows."""

    media_type = PLAIN

    def __init__(self) -> None:
        self._open: tuple[object, object] | None = None

    def entries(self, entries: Sequence[Entry]) -> bytes:
        """The text; records that were not printed, as of lines that are missing, stand in brackets."""
        return "".join(self._one(entry.item) for entry in entries).encode("utf-8", "backslashreplace")

    def _one(self, item: Document) -> str:
        whence = (item["run"], item["stream"])
        before = "\n" if self._open not in {None, whence} else ""
        if item["kind"] != "line":
            before = "\n" if self._open is not None else ""
            self._open = None
            return f"{before}[{item['text']}]\n"
        self._open = whence if item["partial"] else None
        return f"{before}{item['text']}{'' if item['partial'] else chr(10)}"

    def sign_of_life(self) -> bytes:
        """None."""
        return b""

    def end(self, problem: Document) -> bytes:
        """In brackets, on a line of its own."""
        return f"{'' if self._open is None else chr(10)}[{problem['detail']}]\n".encode()


async def follow(
    call: Call, notation: Notation, read: Reading, topic: Topic, worker_id: str | None = None
) -> web.StreamResponse:
    """Stream until the client goes, the server ends, or reading fails. Raises ApiProblem before the response starts.

    `topic` and `worker_id` choose the bell. It is subscribed before the first reading, so nothing falls between them.
    """
    return await follow_bell(call, notation, read, call.ports.changes.subscribe(topic, worker_id))


async def follow_bell(call: Call, notation: Notation, read: Reading, bell: Bell) -> web.StreamResponse:
    """The same, woken by a bell of the caller's, which is given back here."""
    try:
        with call.followers.place():
            return await _Stream(call, notation, read, bell).run()
    finally:
        bell.close()


async def download(call: Call, notation: Notation, read: Reading, file_name: str) -> web.StreamResponse:
    """Stream until there is no more, for a file of this name: plain ASCII without quotes."""
    with call.followers.place():
        stream = _Stream(call, notation, read, None)
        stream.response.headers["Content-Disposition"] = f'attachment; filename="{file_name}"'
        return await stream.run()


class _Stream:
    """One stream while it is open. Without a bell it ends where there is no more."""

    def __init__(self, call: Call, notation: Notation, read: Reading, bell: Bell | None) -> None:
        self._call = call
        self._notation = notation
        self._read = read
        self._bell = bell
        self._limits = call.connection.limits
        self.response = web.StreamResponse(headers=head(notation.media_type, call.request_id))
        self.response.force_close()

    async def run(self) -> web.StreamResponse:
        """From the first reading to the final record."""
        batch = await self._read()
        await self.response.prepare(self._call.request)
        problem = await self._relay(batch)
        if problem is not None:
            document = problem.document(instance=self._call.path, request_id=self._call.request_id)
            await self._finish(self._notation.end(document))
        return self.response

    async def _relay(self, batch: Batch) -> ApiProblem | None:
        """The loop. What it returns ends the stream: None when nobody is there to hear it."""
        try:
            while True:
                for start in range(0, len(batch.entries), PIECE):
                    await self._write(self._notation.entries(batch.entries[start : start + PIECE]))
                match await self._next_look(more=batch.more):
                    case Woken.GONE:
                        return None
                    case Woken.DRAINING:
                        return ApiProblem(status=503, code="draining", detail="the controller ends")
                batch = await self._read()
        except ClientTooSlow:
            return ApiProblem(status=503, code="slow_follower", detail="this stream was not read fast enough")
        except StoreUnavailable as error:
            return store_unavailable(str(error))
        except ApiProblem as problem:
            return problem  # The worker that is followed is gone, say.
        except Exception as error:
            if isinstance(error, ConnectionError) and self._call.connection.gone:
                return None
            log.exception("internal error in a stream", extra={"request_id": self._call.request_id})
            return internal_error(self._call.request_id)

    async def _next_look(self, *, more: bool) -> Woken:
        """When to read again: at once while there is more, else at the bell, but never in a tight loop."""
        followers, lost = self._call.followers, self._call.connection.lost
        if self._bell is None and not more:
            return Woken.GONE  # A download is over; nobody waits for more.
        woken = await followers.wait(None, lost, 0 if more else self._limits.pause_s)
        if more or woken is not Woken.QUIET:
            return woken
        while (woken := await followers.wait(self._bell, lost, self._limits.heartbeat_s)) is Woken.QUIET:
            await self._write(self._notation.sign_of_life())
        return woken

    async def _write(self, data: bytes) -> None:
        """Write, and wait until the client has taken all but a buffer of it. Raises ClientTooSlow, ConnectionError."""
        if data:
            await self._call.connection.patiently(self._written(data), self._limits.write_s)

    async def _written(self, data: bytes) -> None:
        await self.response.write(data)
        await self._call.request.writer.drain()

    async def _finish(self, data: bytes) -> None:
        """Leave the final record in the buffer. It arrives if the client reads within the limit; then it is cut."""
        connection = self._call.connection
        try:
            await connection.patiently(self.response.write_eof(data), self._limits.write_s / 10)
        except ConnectionError:
            pass  # nobody is there
        except ClientTooSlow:
            connection.hang_up(self._limits.write_s)


def resumed(call: Call, query: Query) -> int | None:
    """The cursor to go on after: of `after`, or of a browser that reconnects (Last-Event-ID), which knows better."""
    last = call.request.headers.get("Last-Event-ID", "")
    asked = query.cursor("after")
    return int(last) if last.isascii() and last.isdigit() and len(last) < 19 else asked
