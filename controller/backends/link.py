"""One connection to an agent: numbered requests, their answers, and pushes in between.

Used by agent.py alone. A link that broke, was closed, or had no answer in time is over: `is_open` is false from that
moment on, before anybody who waits on it goes on, and every request on it raises Unavailable at once.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

from controller.agent import protocol
from controller.backends.base import Unavailable

ANSWER_TIMEOUT_S = 60.0


class Link:
    """Made over an open connection; `pump` must run for answers to arrive."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answer_timeout_s: float = ANSWER_TIMEOUT_S
    ) -> None:
        self.is_open = True
        self._reader, self._writer = reader, writer
        self._answer_timeout_s = answer_timeout_s
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[protocol.Frame]] = {}

    async def ask(self, op: str, **fields: Any) -> protocol.Frame:
        """One request and its answer. Raises Unavailable when the connection breaks or no answer comes."""
        if not self.is_open:
            raise Unavailable(f"{op}: the connection to the agent broke")
        number = next(self._ids)
        answer: asyncio.Future[protocol.Frame] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            async with asyncio.timeout(self._answer_timeout_s):
                self._writer.write(protocol.encode({"id": number, "op": op, **fields}))
                await self._writer.drain()
                return await answer
        except TimeoutError:
            # Nobody knows what it is doing. The next connection lists everything anew.
            self.close()
            raise Unavailable(f"{op}: no answer within {self._answer_timeout_s:.0f} s") from None
        except OSError as error:
            self.close()
            raise Unavailable(f"{op}: {error}") from None
        finally:
            del self._waiting[number]
            if not answer.cancel() and not answer.cancelled():
                answer.exception()  # Perhaps nobody else looks.

    async def expect(self, op: str, **fields: Any) -> dict[str, Any]:
        """A request of the greeting: anything but a yes is an error of the connection."""
        header = (await self.ask(op, **fields)).header
        if header.get("ok") is not True:
            raise Unavailable(f"{op}: {header.get('message') or header.get('error')}")
        return header

    async def pump(self, pushed: Callable[[dict[str, Any]], None]) -> None:
        """Read frames until the link is over, then raise why: Unavailable or ProtocolError."""
        try:
            while self.is_open:
                frame = await self._read()
                number = frame.header.get("id")
                if "push" in frame.header:
                    pushed(frame.header)
                elif isinstance(number, int) and (waiter := self._waiting.get(number)) and not waiter.done():
                    waiter.set_result(frame)
            raise Unavailable("the connection was given up")
        except (asyncio.IncompleteReadError, ConnectionError):
            raise Unavailable("the agent closed the connection") from None
        finally:
            self.close()
            for waiter in self._waiting.values():
                if not waiter.done():
                    waiter.set_exception(Unavailable("the connection to the agent broke"))

    async def _read(self) -> protocol.Frame:
        header_size, payload_size = protocol.lengths(await self._reader.readexactly(protocol.LENGTHS_SIZE))
        header = await self._reader.readexactly(header_size)
        payload = await self._reader.readexactly(payload_size) if payload_size else b""
        return protocol.decode(header, payload)

    def close(self) -> None:
        """It is over, both ways. What was not looked at yet is dropped: the next connection is told it again."""
        self.is_open = False
        self._writer.transport.abort()
