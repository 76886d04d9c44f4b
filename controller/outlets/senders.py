"""Sends log lines to one target, and says what became of a batch. Waiting and trying again is forward's.

`Away` is over by itself some time (refused connections, time-outs, 429, 5xx); `Refused` is not: the same lines would be
refused for ever. What is neither is a bug and propagates.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import aiohttp

from controller.outlets.log_forms import loki_push, otlp_logs, syslog_message
from controller.outlets.targets import Target
from controller.store.records import StoredLine

TIMEOUT_S = 10.0
_ANSWER_SHOWN = 200
_ANSWER_READ = 65_536
_AGAIN = frozenset({401, 403, 404, 408, 425, 429})
"""Client errors that a person mends over there, or that pass; losing lines meanwhile would help nobody."""


class Away(Exception):
    """It does not take lines now. The message says why; `retry_after_s` when it says so itself."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Refused(Exception):
    """It does not take these lines, now or later. The message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unwanted:
    """So many of the lines the target has left out, it does not say which; the others it has."""

    count: int
    why: str


class Sender(Protocol):
    """One open way to a target."""

    async def send(self, lines: Sequence[StoredLine]) -> Unwanted | None:
        """All of them, in this order. Raises Away and Refused; then none or some or all have arrived."""

    async def close(self) -> None:
        """Give the way back."""


def sender_for(target: Target, host: str) -> Sender:
    """The sender of `target`. `host` is how this machine is called there."""
    if target.kind == "syslog+udp":
        return _Datagrams(target, host)
    if target.kind.startswith("syslog"):
        return _SyslogStream(target, host)
    return _Http(target, host)


class _Http:
    def __init__(self, target: Target, host: str) -> None:
        self._target, self._host = target, host
        self._session: aiohttp.ClientSession | None = None

    async def send(self, lines: Sequence[StoredLine]) -> Unwanted | None:
        form = loki_push if self._target.kind.startswith("loki") else otlp_logs
        headers = {"Content-Type": "application/json"} | self._credentials()
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
        try:
            # A redirect would send lines and token somewhere that nobody has named.
            async with self._session.post(
                self._target.url, data=io.BytesIO(form(lines, self._host)), headers=headers, allow_redirects=False
            ) as answer:
                said = (await _begin_of(answer.content)).decode("utf-8", "replace").strip()
                status, after = answer.status, answer.headers.get("Retry-After", "")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Away(str(error) or type(error).__name__) from error
        if status < 300:
            return _unwanted(said) if self._target.kind.startswith("otlp") else None
        message = f"it answered {status}" + (f": {said[:_ANSWER_SHOWN]}" if said else "")
        if 400 <= status < 500 and status not in _AGAIN:
            raise Refused(message)
        raise Away(message, float(after) if after.isdecimal() else None)

    def _credentials(self) -> dict[str, str]:
        """Read each time: a token file may be renewed."""
        found: dict[str, str] = {}
        if self._target.login is not None:
            found["Authorization"] = aiohttp.encode_basic_auth(*self._target.login)
        if self._target.token_file:
            try:
                found["Authorization"] = f"Bearer {Path(self._target.token_file).read_text('ascii').strip()}"
            except (OSError, ValueError) as error:
                raise Away(f"cannot read the token file {self._target.token_file}: {error}") from error
        if self._target.tenant:
            found["X-Scope-OrgID"] = self._target.tenant
        return found

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


async def _begin_of(answer: aiohttp.StreamReader) -> bytes:
    found = b""
    while len(found) < _ANSWER_READ and (piece := await answer.read(_ANSWER_READ - len(found))):
        found += piece
    return found


def _unwanted(said: str) -> Unwanted | None:
    """What an answer of OTLP tells of lines that were left out (partialSuccess); most tell nothing."""
    try:
        partly = json.loads(said)["partialSuccess"]
        count, why = int(partly.get("rejectedLogRecords", 0)), str(partly.get("errorMessage", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return Unwanted(count=count, why=why[:_ANSWER_SHOWN]) if count > 0 else None


class _SyslogStream:
    """TCP, or TLS.

    Nothing answers: what was written to a connection that broke may be lost on the way. So a batch counts as sent only
    where the connection still stands after it.
    """

    def __init__(self, target: Target, host: str) -> None:
        self._target, self._host = target, host
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def send(self, lines: Sequence[StoredLine]) -> None:
        messages = [syslog_message(line, self._host) for line in lines]
        try:
            async with asyncio.timeout(TIMEOUT_S):
                reader, writer = await self._connected()
                writer.write(b"".join(b"%d %b" % (len(message), message) for message in messages))
                await writer.drain()
        except (OSError, TimeoutError, ssl.SSLError) as error:
            await self.close()
            raise Away(str(error) or type(error).__name__) from error
        if reader.at_eof():
            await self.close()
            raise Away("it closed the connection")

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._reader is not None and self._writer is not None:
            if not self._reader.at_eof():
                return self._reader, self._writer
            await self.close()
        context = ssl.create_default_context() if self._target.kind == "syslog+tls" else None
        self._reader, self._writer = await asyncio.open_connection(self._target.host, self._target.port, ssl=context)
        return self._reader, self._writer

    async def close(self) -> None:
        writer, self._writer, self._reader = self._writer, None, None
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(TIMEOUT_S):
                    await writer.wait_closed()


class _Datagrams:
    def __init__(self, target: Target, host: str) -> None:
        self._target, self._host = target, host

    async def send(self, lines: Sequence[StoredLine]) -> None:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self._target.host, self._target.port, type=socket.SOCK_DGRAM)
            family, kind, protocol, _, address = found[0]
            with socket.socket(family, kind, protocol) as way:
                way.setblocking(False)
                way.connect(address)
                for line in lines:
                    await loop.sock_sendall(way, syslog_message(line, self._host))
        except OSError as error:
            raise Away(str(error)) from error

    async def close(self) -> None:
        pass
