"""The agent's end of the keeper: ordered frames over the inherited socket, never blocking the event loop.

The supervisor sends orders and is told of frames. Bytes that the kernel does not take at once wait here in order;
`sent` is called when the last byte of a frame has left us, because only then does it survive our death (the keeper
reads to the end what a dead agent had sent).

An order is lost only with its keeper. Whatever else the kernel answers (no memory for buffers, say) passes, or is tried
again for as long as it lasts: a slot waits for its order, and nobody else would send it a second time.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable
from typing import Any, Optional

from .failpoints import failpoint
from .keeper_link import GONE
from .protocol import LENGTHS_SIZE, ProtocolError, decode, encode, lengths

RETRY_S = 0.1
_CHUNK = 262_144
_log = logging.getLogger("agent")


class Link:
    """One per agent. `on_frame` gets each header in order; `on_end` is called once, when the keeper is gone."""

    def __init__(self, descriptor: int, on_frame: Callable[[dict[str, Any]], None], on_end: Callable[[], None]) -> None:
        self._descriptor = descriptor
        self._on_frame = on_frame
        self._on_end = on_end
        self._received = bytearray()
        self._waiting: deque[tuple[memoryview, Optional[Callable[[], None]]]] = deque()
        self._loop = asyncio.get_running_loop()
        self._ended = False
        self._failure = ""
        os.set_blocking(descriptor, False)
        os.set_inheritable(descriptor, False)
        self._loop.add_reader(descriptor, self._read)

    def send(self, order: dict[str, Any], sent: Optional[Callable[[], None]] = None) -> None:
        """Send one order after all earlier ones."""
        if self._ended:
            return
        self._waiting.append((memoryview(encode(order)), sent))
        if len(self._waiting) == 1:
            self._write()

    def close(self) -> None:
        """Forget the socket; nothing is called any more."""
        if not self._ended:
            self._ended = True
            self._loop.remove_reader(self._descriptor)
            self._loop.remove_writer(self._descriptor)
            os.close(self._descriptor)

    def _write(self) -> None:
        while self._waiting and not self._ended:
            data, sent = self._waiting[0]
            try:
                failpoint("agent.before_order_written")
                written = os.write(self._descriptor, data)
            except BlockingIOError:
                self._loop.add_writer(self._descriptor, self._write)
                return
            except OSError as error:
                if error.errno not in GONE:
                    self._retry(error)
                    return
                # The reading side sees the end after all that the keeper still had to say.
                self._waiting.clear()
                break
            self._failure = ""
            if written < len(data):
                self._waiting[0] = (data[written:], sent)
                continue
            self._waiting.popleft()
            if sent is not None:
                sent()
        if not self._ended:
            self._loop.remove_writer(self._descriptor)

    def _retry(self, error: OSError) -> None:
        self._loop.remove_writer(self._descriptor)
        self._loop.call_later(RETRY_S, self._write)
        if self._failure != str(error):
            self._failure = str(error)
            _log.warning("cannot write to the keeper, %d orders wait: %s", len(self._waiting), error)

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._received += data
        try:
            self._deliver()
        except ProtocolError:
            data = b""
        if not data and not self._ended:
            self.close()
            self._on_end()

    def _deliver(self) -> None:
        buffer = self._received
        start = 0
        while len(buffer) - start >= LENGTHS_SIZE and not self._ended:
            header, payload = lengths(bytes(buffer[start : start + LENGTHS_SIZE]))
            end = start + LENGTHS_SIZE + header + payload
            if len(buffer) < end:
                break
            body = bytes(buffer[start + LENGTHS_SIZE : start + LENGTHS_SIZE + header])
            start = end
            self._on_frame(decode(body).header)
        del buffer[:start]
