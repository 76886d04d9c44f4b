"""One client's connection: aiohttp's protocol object, with what this server needs to know about each.

Made by server.py for every accepted socket. Three additions: the peer is asked for once and remembered with the
connection; `lost` lets a follower notice that its client is gone; and bytes that are not HTTP get the same
problem+json as every other error, without their content.

What does not belong here: any decision about a request (dispatch.py).
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import pwd
import socket
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, cast

from aiohttp import web

from controller.api.peers import Connected, peer_uid, plain_address
from controller.api.problem import ApiProblem
from controller.api.responses import problem_response

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one client can cost us. Times in seconds, sizes in bytes.

    `idle_s` cuts connections that send no complete request head; `body_s` bodies that trickle; `write_s` readers that
    do not read. `open` bounds the descriptors that clients hold, `followers` the streams among them. Of failed logins a
    peer has `failed_logins`, then one each `failed_login_s`; a token writes `write_burst` times, then `writes_per_s`.
    `recheck_s`: how soon a revoked token's running request is cut. `replays`: answers kept for who asks again.
    """

    open: int = 512
    followers: int = 200
    idle_s: float = 30.0
    body_s: float = 10.0
    body_bytes: int = 1024 * 1024
    write_s: float = 10.0
    heartbeat_s: float = 15.0
    pause_s: float = 0.05
    handshake_s: float = 5.0
    failed_logins: int = 10
    failed_login_s: float = 6.0
    write_burst: int = 500
    writes_per_s: float = 50.0
    recheck_s: float = 2.0
    replays: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The other end. `address` is an IP address, or `unix`; `uid` is vouched for by the kernel, else None."""

    address: str
    uid: int | None
    user: str

    @property
    def key(self) -> str:
        """Whom failed logins are counted for. One customer's IPv6 addresses are as many as they like: so by /64."""
        if self.uid is not None:
            return f"uid:{self.uid}"
        if ":" not in self.address:
            return self.address
        return str(ipaddress.ip_network(f"{self.address}/64", strict=False))


class ClientTooSlow(Exception):
    """The client does not take what is sent to it."""


class Connection(web.RequestHandler):
    """See the header. `connections` is the server's set of all open ones."""

    __slots__ = ("_open", "_peer", "_wire", "is_busy", "limits", "lost")

    def __init__(self, server: web.Server, limits: Limits, connections: set[Connection]) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=limits.idle_s,
            lingering_time=1.0,
            auto_decompress=False,
            access_log=None,  # type: ignore[arg-type] # aiohttp's documented way to have none
        )
        self.limits = limits
        self.lost = asyncio.Event()
        self.is_busy = False  # a request of somebody known is answered
        self._open = connections
        self._peer: Peer | None = None
        self._wire: asyncio.Transport  # for the connection's whole life, where aiohttp's own goes early

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it. How many there are is bounded by who accepts them (listen.py)."""
        super().connection_made(transport)
        self._wire = cast("asyncio.Transport", transport)
        self._open.add(self)
        bound_unread_writes(transport.get_extra_info("socket"), self.limits.idle_s)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell the follower, if one is here."""
        self.lost.set()
        self._open.discard(self)
        super().connection_lost(exc)

    @property
    def descriptor(self) -> int:
        """Its socket's."""
        return int(self._wire.get_extra_info("socket").fileno())

    @property
    def gone(self) -> bool:
        """Whether nobody is there to be answered."""
        return self.lost.is_set() or self._wire.is_closing()

    def abort(self) -> None:
        """Cut it now; what was not read is lost."""
        self._wire.abort()

    def hang_up(self, grace_s: float) -> None:
        """Close it, and cut it when what was written last is not read within the grace."""
        self.force_close()
        asyncio.get_running_loop().call_later(grace_s, self.abort)

    async def patiently(self, writing: Coroutine[Any, Any, None], seconds: float) -> None:
        """Await a write, but not for ever. Raises ClientTooSlow, ConnectionError.

        The write is given up, not cancelled: aiohttp keeps the future that it waits on, and a cancelled one would
        cancel whatever is written next. Its bytes are in the buffer by then, so chunks stay whole.
        """
        task = asyncio.ensure_future(writing)
        task.add_done_callback(_seen)
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if not done:
            raise ClientTooSlow
        task.result()

    async def peer(self) -> Peer:
        """Who is at the other end. Asked once per connection, in a thread."""
        if self._peer is None:
            self._peer = await asyncio.to_thread(_identify, self._wire.get_extra_info("socket"))
        return self._peer

    @property
    def is_secure(self) -> bool:
        """Whether it is TLS."""
        return self._wire.get_extra_info("ssl_object") is not None

    @property
    def own_name(self) -> str:
        """The address that the client reached us at, as a Host header has it. Empty for a Unix socket."""
        ours = self._wire.get_extra_info("sockname")
        if not isinstance(ours, tuple):
            return ""
        host = plain_address(ours[0])
        return f"[{host}]" if ":" in host else host

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Called by aiohttp for bytes that are no HTTP request, and when a response could not be sent.

        `message` quotes the client's bytes, so it is not passed on. dispatch.py answers everything else.
        """
        del message
        if request.writer.output_size > 0 or isinstance(exc, ConnectionError):
            raise ConnectionError("the client went, or has half a response; nothing can be added to it")
        log.debug("malformed request", exc_info=exc)
        problem = ApiProblem(
            status=status, code="malformed_request", detail="this is not a valid HTTP request", close=True
        )
        return problem_response(problem, instance=None, request_id=os.urandom(8).hex())


def _seen(task: asyncio.Task[None]) -> bool:
    """Whether it failed. Whoever gave a write up does not ask, and asyncio complains of an error that nobody saw."""
    return not task.cancelled() and task.exception() is not None


def bound_unread_writes(wire: socket.socket, seconds: float) -> None:
    """Let the kernel cut a TCP client that reads nothing, also after we have closed our side."""
    if wire.family != socket.AF_UNIX:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))


def _identify(wire: Connected) -> Peer:
    """Who is at the other end of a socket. Blocking."""
    uid = peer_uid(wire)
    try:
        address = "unix" if wire.family == socket.AF_UNIX else plain_address(wire.getpeername()[0])
    except OSError:
        address = "gone"
    return Peer(address=address, uid=uid, user="" if uid is None else user_name(uid))


def user_name(uid: int) -> str:
    """The user's name, or `uid:N` where the system knows none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid:{uid}"
