"""The keeper's side of the socket to its agent: frames in, frames out, never blocking, bounded both ways.

When the agent does not read, what waits for it is bounded: past the limit all unsent events are dropped and the next
thing the agent hears is `runs`, which holds everything that matters (level, not edge). Only an agent that is gone makes
us drop what waits: any other error of the kernel passes, and the poller has us try again.
"""

from __future__ import annotations

import errno
import socket
from collections import deque
from typing import Any

from .failpoints import failpoint
from .protocol import LENGTHS_SIZE, ProtocolError, decode, encode, lengths

GONE = frozenset({errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.ESHUTDOWN, errno.EBADF})
"""What a write answers where nobody reads any more; all other errors pass."""

BACKLOG_LIMIT = 4 * 1024 * 1024
_CHUNK = 262_144
_READS_PER_TURN = 16


class Link:
    """One connected socket. After `closed` nothing is received or sent any more."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        self._socket = connected
        self._inbox = bytearray()
        self._outbox: deque[bytes] = deque()
        self._waiting = 0
        self._sent = 0  # of the first frame in the outbox
        self.closed = False
        self.overflowed = False
        """Events were dropped: send `runs` as soon as the outbox is empty, then clear this."""

    def fileno(self) -> int:
        """For the selector."""
        return self._socket.fileno()

    @property
    def has_output(self) -> bool:
        """Whether to call `flush` when the socket can be written to."""
        return bool(self._outbox)

    def receive(self, *, drain: bool = False) -> list[dict[str, Any]]:
        """All whole frames that are there now (bounded, unless `drain`). Raises ProtocolError for what is none."""
        reads = 0
        while not self.closed and (drain or reads < _READS_PER_TURN):
            reads += 1
            try:
                data = self._socket.recv(_CHUNK)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                self.closed = True
            self._inbox += data
        return self._frames()

    def send(self, header: dict[str, Any]) -> None:
        """Queue one frame and send what can be sent."""
        if self.closed or self.overflowed:
            return
        frame = encode(header)
        if self._waiting + len(frame) > BACKLOG_LIMIT and self._outbox:
            self._overflow()
            return
        self._outbox.append(frame)
        self._waiting += len(frame)
        self.flush()

    def flush(self) -> None:
        """Send until the socket is full."""
        while self._outbox and not self.closed:
            frame = self._outbox[0]
            try:
                failpoint("keeper.before_frame_sent")
                count = self._socket.send(memoryview(frame)[self._sent :], socket.MSG_NOSIGNAL)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno not in GONE:
                    return
                # Its end is read as usual: what it had sent before still counts.
                self._outbox.clear()
                self._waiting = self._sent = 0
                return
            self._sent += count
            if self._sent == len(frame):
                self._outbox.popleft()
                self._waiting -= len(frame)
                self._sent = 0

    def close(self) -> None:
        """No more."""
        self.closed = True
        self._socket.close()

    def _overflow(self) -> None:
        """Keep only the frame that is half sent: the stream must stay whole."""
        half = self._outbox[0] if self._sent else b""
        self._outbox.clear()
        if half:
            self._outbox.append(half)
        self._waiting = len(half)
        self.overflowed = True

    def _frames(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        start = 0
        while len(self._inbox) - start >= LENGTHS_SIZE:
            header, payload = lengths(bytes(self._inbox[start : start + LENGTHS_SIZE]))
            if payload:
                raise ProtocolError("a frame to the keeper has no payload")
            end = start + LENGTHS_SIZE + header
            if len(self._inbox) < end:
                break
            found.append(decode(bytes(self._inbox[start + LENGTHS_SIZE : end])).header)
            start = end
        del self._inbox[:start]
        return found
