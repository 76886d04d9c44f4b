"""The socket that controllers connect to: peers checked, frames in and out, pushes bounded. No operation stands here.

0600 in a 0700 folder, and the peer's uid must be ours or root's. Several connections may be open; the epoch says who
commands. Requests of one connection begin in their order and may end in another (an `apply` waits for the disk while
a `read_log` is answered). A client that sends nonsense, or does not read what it asked to be told, is dropped; it
connects again with its cursor and has lost nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import struct
from typing import Any, Optional

from .commands import Commands, RequestError, Session
from .journal import Event, Journal
from .protocol import LENGTHS_SIZE, Frame, ProtocolError, decode, encode, lengths

BUFFER_LIMIT = 8 * 1024 * 1024
REQUESTS_AT_ONCE = 16
REPLAY = 500
_PEER = struct.Struct("3i")
_log = logging.getLogger("agent")


class Server:
    """Accepts and keeps connections. `broadcast` and `publish` reach those that watch."""

    def __init__(self, commands: Commands, journal: Journal) -> None:
        self._commands = commands
        self._journal = journal
        self._connections: dict[_Connection, None] = {}
        self._server: Optional[asyncio.AbstractServer] = None

    async def listen(self, path: str) -> None:
        """Serve at `path`; what a dead agent left there is replaced. The caller holds the agent's lock.

        Called again where the path was removed: who is connected stays.
        """
        if self._server is not None:
            self._server.close()
        temporary = path + ".new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.bind(temporary)
        os.chmod(temporary, 0o600)
        os.replace(temporary, path)
        listening.setblocking(False)
        self._server = await asyncio.start_unix_server(self._serve, sock=listening)

    async def close(self) -> None:
        """Say what is left to say, then hang up."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            await connection.finish()

    def broadcast(self, push: dict[str, Any]) -> None:
        """A push to all that watch."""
        if self._connections:
            data = encode(push)
            for connection in list(self._connections):
                if connection.is_watching:
                    connection.offer(data)

    def publish(self, event: Event) -> None:
        """A new event to all that have heard the ones before."""
        if self._connections:
            data = encode({"push": "event", "event": event})
            for connection in list(self._connections):
                if connection.is_live:
                    connection.offer(data)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected: socket.socket = writer.get_extra_info("socket")
        _pid, uid, _gid = _PEER.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        if uid not in (0, os.geteuid()):
            _log.warning("a peer of uid %d was turned away", uid)
            writer.close()
            return
        connection = _Connection(self._commands, self._journal, reader, writer)
        self._connections[connection] = None
        try:
            await connection.serve()
        finally:
            del self._connections[connection]


class _Connection:
    """One client."""

    def __init__(
        self, commands: Commands, journal: Journal, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.is_watching = False
        self.is_live = False
        self._commands = commands
        self._journal = journal
        self._reader = reader
        self._writer = writer
        self._session = Session()
        self._slots = asyncio.Semaphore(REQUESTS_AT_ONCE)
        self._sending = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def offer(self, data: bytes) -> None:
        """Send without waiting; a client that does not read is dropped."""
        if self._writer.is_closing():
            return
        self._writer.write(data)
        if self._writer.transport.get_write_buffer_size() > BUFFER_LIMIT:
            _log.warning("a client does not read and was dropped")
            self._writer.transport.abort()

    async def serve(self) -> None:
        """Read requests until the client goes."""
        try:
            while True:
                await self._slots.acquire()
                frame = await self._receive()
                self._begin(self._answer(frame.header), releases=True)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except ProtocolError as error:
            _log.warning("a client was dropped: %s", error)
        finally:
            for task in list(self._tasks):
                task.cancel()
            self._writer.transport.abort()

    async def finish(self) -> None:
        """Let what was written leave, as far as it goes within a moment."""
        self._writer.close()
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            await asyncio.wait_for(self._writer.wait_closed(), 1.0)

    def _begin(self, work: Any, *, releases: bool) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if releases:
            task.add_done_callback(lambda _task: self._slots.release())

    async def _receive(self) -> Frame:
        header, payload = lengths(await self._reader.readexactly(LENGTHS_SIZE))
        text = await self._reader.readexactly(header)
        return decode(text, await self._reader.readexactly(payload))

    async def _answer(self, request: dict[str, Any]) -> None:
        number = request.get("id")
        try:
            if request.get("op") == "watch" and self._session.is_greeted:
                self._writer.write(encode({"id": number, "ok": True}))
                self._watch(request)
                return
            fields, payload = await self._commands.run(self._session, request)
            data = encode({"id": number, "ok": True, **fields}, payload)
        except RequestError as error:
            data = _refusal(number, error.code, str(error), **error.fields)
        except ValueError as error:
            data = _refusal(number, "invalid", str(error))
        except OSError as error:
            data = _refusal(number, "unavailable", str(error))
        except Exception as error:
            _log.exception("internal error: request %s", request.get("op"))
            data = _refusal(number, "internal", f"internal error: {type(error).__name__}: {error}")
        # One answer after the other: what waits for a slow reader must not look like one that does not read.
        async with self._sending:
            self._writer.write(data)
            with contextlib.suppress(ConnectionError):
                await self._writer.drain()

    def _watch(self, request: dict[str, Any]) -> None:
        if self.is_watching:
            return
        self.is_watching = True
        journal_id, seq = request.get("journal_id"), request.get("seq")
        known = isinstance(journal_id, str) and isinstance(seq, int)
        self._begin(self._replay(journal_id if known else None, seq if known else 0), releases=False)

    async def _replay(self, journal_id: Optional[str], seq: Any) -> None:
        """Old events in portions, as fast as the client reads; then it is told of each new one."""
        with contextlib.suppress(ConnectionError):
            while True:
                events = self._journal.read(journal_id, seq, REPLAY)
                if not events:
                    # Nothing is awaited between this look and the flag: no event falls between.
                    self.is_live = True
                    return
                for event in events:
                    self._writer.write(encode({"push": "event", "event": event}))
                journal_id, seq = events[-1]["journal_id"], events[-1]["seq"]
                await self._writer.drain()


def _refusal(number: Any, code: str, message: str, **fields: object) -> bytes:
    return encode({"id": number, "ok": False, "error": code, "message": message, **fields})
