"""The HTTP client of the command line: JSON requests and event streams over TCP or a Unix socket.

`http.client` alone, because it costs little to import. An answer of 4xx or 5xx becomes the `CliError` with the right
exit code; a server that cannot be reached says what was tried and how to start one. Nothing is retried here: a verb
that follows decides for itself when to come back.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from controller.cli.errors import CliError, Exit, from_problem

DEFAULT_SERVER = "http://127.0.0.1:3000"
DEFAULT_PORT = 3000
CONNECT_S = 5.0
ANSWER_S = 30.0
# A stream that says nothing, not even a comment, for this long is taken for lost and resumed.
SILENCE_S = 60.0

Item = dict[str, Any]  # an object as the API sends it
Query = Mapping[str, str | int | tuple[str, ...] | None]
"""Parameters by name; several values of one in a tuple."""


class AddressError(ValueError):
    """The text names no server."""


class ConnectionLost(Exception):
    """The server was reached once and is not any more, or ended the stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A server: as given, where that came from, and the socket's path or host and port. `secure`: TLS."""

    text: str
    origin: str
    path: str = ""
    host: str = ""
    port: int = 0
    secure: bool = False


def parse_address(text: str, origin: str) -> Address:
    """`http://HOST:PORT`, `https://HOST:PORT`, `HOST:PORT`, `HOST` or `unix:PATH`. Raises AddressError."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:").removeprefix("//")
        if not path:
            raise AddressError(f'"{text}" names no socket; expected unix:PATH')
        return Address(text=text, origin=origin, path=path)
    parts = urlsplit(text if "://" in text else f"http://{text}")
    if parts.scheme not in {"http", "https"}:
        raise AddressError(f'"{text}": expected http://HOST:PORT, https://HOST:PORT or unix:PATH')
    try:
        host, port = parts.hostname, parts.port or DEFAULT_PORT
    except ValueError as error:
        raise AddressError(f'"{text}": {error}') from None
    if not host:
        raise AddressError(f'"{text}" names no host; expected http://HOST:PORT or unix:PATH')
    return Address(text=text, origin=origin, host=host, port=port, secure=parts.scheme == "https")


def token_from(file: str | None, env: Mapping[str, str]) -> str:
    """The token to send: of the file, or WORKERCTL_TOKEN; empty for none. Never an argument: others see those.

    Raises CliError.
    """
    path = file or ("" if env.get("WORKERCTL_TOKEN") else env.get("WORKERCTL_TOKEN_FILE", ""))
    text = env.get("WORKERCTL_TOKEN", "")
    try:
        if path:
            text = Path(path).read_text("ascii")
    except (OSError, UnicodeError) as error:
        cause = getattr(error, "strerror", None) or "it holds no token"
        raise CliError(f"Cannot read the token in {path}: {cause}", Exit.USAGE) from None
    token = text.strip()
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise CliError(f"{path or 'WORKERCTL_TOKEN'} holds no token", Exit.USAGE)
    return token


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket. `localhost` stands in the Host header."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Status, document and etag of an answer. A document that is no object stands under `value`."""

    status: int
    document: Item
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamItem:
    """One event of a stream: its id (empty where the server gave none) and its document."""

    id: str
    document: Item


OPENED = StreamItem(id="", document={})
"""Comes first in a stream, before any event: the server has accepted it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request. `patience_s`: how much longer than usual its answer may take."""

    method: str
    path: str
    query: Query | None = None
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    patience_s: float = 0.0


class Client:
    """Talks to one server; one connection per request. `token`: None is that of the environment."""

    def __init__(self, address: Address, token: str | None = None) -> None:
        self.address = address
        self._token = token_from(None, os.environ) if token is None else token

    def get(self, path: str, query: Query | None = None, *, doing: str) -> Item:
        """The document at `path`. Raises CliError; `doing` completes "Cannot ..."."""
        answer = self.ask("GET", path, query=query)
        if answer.status >= 400:
            raise from_problem(answer.status, answer.document, doing=doing)
        return answer.document

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Mapping[str, Any] | None = None,
        patience_s: float = 0.0,
    ) -> Answer:
        """One request, whatever its status. `patience_s`: how much longer than usual the answer may take."""
        return self.send(Request(method=method, path=path, query=query, body=body, patience_s=patience_s))

    def send(self, request: Request) -> Answer:
        """One request with headers of its own, whatever its status."""
        connection = self._connect()
        try:
            response = self._send(connection, request)
            if connection.sock is not None:
                connection.sock.settimeout(ANSWER_S + request.patience_s)
            data = response.read()
        except TimeoutError:
            raise CliError(f"{self.address.text} did not answer in time", Exit.TIMED_OUT) from None
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from None
        finally:
            connection.close()
        return Answer(
            status=response.status, document=self._document(response, data), etag=response.getheader("ETag") or ""
        )

    def stream(self, path: str, query: Query | None = None, *, doing: str) -> Iterator[StreamItem]:
        """OPENED, then a stream of server-sent events, until the server ends it or is lost: then raises ConnectionLost.

        CliError when it cannot be reached at all, or refuses.
        """
        connection = self._connect()
        try:
            accept = {"Accept": "text/event-stream"}
            response = self._send(connection, Request(method="GET", path=path, query=query, headers=accept))
            self._refuse(response, doing)
            if connection.sock is not None:
                connection.sock.settimeout(SILENCE_S)
            yield OPENED
            yield from _events(response)
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionLost(str(error)) from None
        finally:
            connection.close()
        raise ConnectionLost("the controller ended the stream")

    def _connect(self) -> http.client.HTTPConnection:
        connection = self._made()
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise self._unreachable(error) from None
        assert connection.sock is not None
        connection.sock.settimeout(ANSWER_S)
        return connection

    def _made(self) -> http.client.HTTPConnection:
        if self.address.path:
            return _UnixConnection(self.address.path, CONNECT_S)
        made = http.client.HTTPSConnection if self.address.secure else http.client.HTTPConnection
        return made(self.address.host, self.address.port, timeout=CONNECT_S)

    def _send(self, connection: http.client.HTTPConnection, request: Request) -> http.client.HTTPResponse:
        headers = {"Accept": "application/json", "User-Agent": "workerctl", **request.headers}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        payload = None
        if request.body is not None:
            payload = json.dumps(request.body, ensure_ascii=False).encode()
            headers["Content-Type"] = "application/json"
        connection.request(request.method, _target(request.path, request.query), body=payload, headers=headers)
        return connection.getresponse()

    def _refuse(self, response: http.client.HTTPResponse, doing: str) -> None:
        if response.status >= 400:
            raise from_problem(response.status, self._document(response, response.read()), doing=doing)

    def _document(self, response: http.client.HTTPResponse, data: bytes) -> Item:
        if not data.strip():
            return {}
        try:
            value = json.loads(data)
        except ValueError:
            raise CliError(
                f"{self.address.text} answered {response.status} but not as a workerctl controller does",
                Exit.FAILED,
                hints=["another program listens there; name the right server with --server or WORKERCTL_SERVER"],
            ) from None
        return value if isinstance(value, dict) else {"value": value}

    def _unreachable(self, error: Exception) -> CliError:
        cause = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return CliError(
            f"Cannot reach the controller at {self.address.text}: {cause}",
            Exit.UNREACHABLE,
            details=[f"tried: {self.address.text} ({self.address.origin})"],
            hints=[
                "start one:         workerctl serve specs",
                "or name another:   workerctl --server http://HOST:PORT ...  (or unix:PATH, or WORKERCTL_SERVER)",
            ],
        )


def _target(path: str, query: Query | None) -> str:
    given = {name: value for name, value in (query or {}).items() if value is not None}
    return f"{path}?{urlencode(given, doseq=True)}" if given else path


def _events(response: http.client.HTTPResponse) -> Iterator[StreamItem]:
    """Server-sent events. The server's last word on a stream that it ends is an event `error`: ConnectionLost."""
    last_id, kind, data = "", "", list[str]()
    while raw := response.readline():
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        if not line:
            if data:
                yield StreamItem(id=last_id, document=_sent("\n".join(data), kind))
            kind, data = "", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name == "id":
            last_id = value
        elif name == "event":
            kind = value


def _sent(text: str, kind: str = "") -> Item:
    """One record. Raises ConnectionLost where it is the server's last word, or cut off."""
    try:
        value = json.loads(text)
    except ValueError:
        raise ConnectionLost("the stream was cut") from None
    record = value if isinstance(value, dict) else {"value": value}
    problem = record if kind == "error" else record.get("error") if len(record) == 1 else None
    if isinstance(problem, dict):
        raise ConnectionLost(str(problem.get("detail") or problem.get("title") or "the controller ended the stream"))
    return record
