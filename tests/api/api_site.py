"""A running server over a fake world, and clients for it: whole answers, raw bytes, and streams read line by line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from multidict import CIMultiDict

from controller.api.connection import Limits
from controller.api.listen import Listen, TcpListen, UnixListen, parse_listen
from controller.api.server import ApiServer
from tests.api.api_contract import breaches
from tests.fakes.api_ports import FakePorts

DEADLINE_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def media_type(self) -> str:
        return self.headers["Content-Type"]


@dataclass
class Site:
    ports: FakePorts
    server: ApiServer
    listen: Listen
    opened: list[asyncio.StreamWriter] = field(default_factory=list)

    @property
    def address(self) -> Listen:
        return parse_listen(self.server.address)

    async def ask(self, method: str, path: str, body: bytes | None = None, /, **headers: str) -> Answer:
        """One request on a connection of its own; `_` in a header's name is `-`."""
        address = self.address
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connector: aiohttp.BaseConnector
        if isinstance(address, UnixListen):
            connector, base = aiohttp.UnixConnector(address.path), "http://localhost"
        else:
            connector, base = aiohttp.TCPConnector(force_close=True), f"http://{address}"
        async with (
            aiohttp.ClientSession(connector=connector, auto_decompress=False) as session,
            session.request(method, base + path, data=body, headers=sent, skip_auto_headers=["Content-Type"]) as got,
        ):
            answer = Answer(status=got.status, headers=got.headers, body=await got.read())
        broken = breaches(method, path, answer.status, answer.headers, answer.body)
        assert not broken, broken
        return answer

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.ask("GET", path, None, **headers)

    async def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        if body is None:
            return await self.ask("POST", path, None, **headers)
        sent = {"Content_Type": "application/json", **headers}
        return await self.ask("POST", path, json.dumps(body).encode(), **sent)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        address = self.address
        if isinstance(address, TcpListen):
            reader, writer = await asyncio.open_connection(address.host, address.port)
        else:
            reader, writer = await asyncio.open_unix_connection(address.path)
        self.opened.append(writer)
        return reader, writer

    async def raw(self, data: bytes) -> Answer:
        """Bytes as they are; the answer is what comes until the server closes."""
        reader, writer = await self.connect()
        writer.write(data)
        async with asyncio.timeout(DEADLINE_S):
            return parse(await reader.read())

    @asynccontextmanager
    async def follow(self, path: str, **headers: str) -> AsyncIterator[Follower]:
        """An open stream, its head already read."""
        reader, writer = await self.connect()
        sent = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{sent}\r\n".encode())
        async with asyncio.timeout(DEADLINE_S):
            head = await reader.readuntil(b"\r\n\r\n")
        yield Follower(reader, parse(head))
        writer.close()

    async def closed(self) -> None:
        for writer in self.opened:
            writer.close()
        await self.server.stop()


class Follower:
    """Reads a chunked body piece by piece."""

    def __init__(self, reader: asyncio.StreamReader, head: Answer) -> None:
        self._reader = reader
        self.head = head

    async def chunk(self) -> bytes:
        """What the server wrote at once; empty at the end."""
        async with asyncio.timeout(DEADLINE_S):
            size = int(await self._reader.readline(), 16)
            return (await self._reader.readexactly(size + 2))[:-2]

    async def items(self) -> list[Any]:
        """One chunk of NDJSON."""
        return [json.loads(row) for row in (await self.chunk()).splitlines()]


def parse(data: bytes) -> Answer:
    head, _, body = data.partition(b"\r\n\r\n")
    first, *rows = head.decode("latin-1").split("\r\n")
    headers = CIMultiDict((name, value) for name, _, value in (row.partition(": ") for row in rows))
    return Answer(status=int(first.split()[1]), headers=headers, body=body)


def request(
    line: str = "GET /api/v1/workers HTTP/1.1", *headers: str, host: str | None = "localhost", body: bytes = b""
) -> bytes:
    """A request as bytes, that closes the connection."""
    rows = [line, *([f"Host: {host}"] if host is not None else []), "Connection: close", *headers]
    return "\r\n".join(rows).encode("latin-1") + b"\r\n\r\n" + body


def problem(status: int, code: str, detail: str, path: str | None = None, **more: Any) -> dict[str, Any]:
    """The document of an error, but for its request id."""
    titles = {
        400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
        406: "Not Acceptable", 408: "Request Timeout", 409: "Conflict", 413: "Request Entity Too Large",
        415: "Unsupported Media Type", 421: "Misdirected Request", 422: "Unprocessable Entity",
        500: "Internal Server Error", 503: "Service Unavailable", 504: "Gateway Timeout",
        505: "HTTP Version Not Supported", 507: "Insufficient Storage",
    }  # fmt: skip
    return {
        "type": f"urn:workerctl:problem:{code}",
        "title": titles[status],
        "status": status,
        "detail": detail,
        "instance": path,
        "code": code,
        "errors": [],
        **more,
    }


def fault(message: str, **more: Any) -> dict[str, Any]:
    """One entry of `errors`."""
    return {"pointer": None, "file": None, "line": None, "column": None, "message": message, "hint": None, **more}


def told(answer: Answer) -> dict[str, Any]:
    """The document of an error without its request id, which the header repeats."""
    assert answer.media_type == "application/problem+json"
    document: dict[str, Any] = answer.json
    assert document.pop("request_id") == answer.headers["X-Request-Id"]
    return document


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - any condition, not only ours
            await asyncio.sleep(0.005)


FAST = Limits(pause_s=0.001, write_s=0.3, idle_s=5.0, body_s=0.3)
