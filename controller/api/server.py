"""The API's server: one listening address, from start to a prompt end. Constructed by the composition root.

    server = ApiServer(ports, parse_listen("127.0.0.1:3000"), allowed_hosts=["box.local"])
    await server.start()        # raises ListenError
    ...                         # server.url
    await server.stop()         # idempotent; takes about a second at most

Built on aiohttp's low-level server, not on its Application: every byte that leaves is then ours (no HTML error pages,
no route that is not in the table, no answer before the checks).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from typing import assert_never

from aiohttp import web

from controller.api.connection import Connection, Limits
from controller.api.dispatch import Dispatcher
from controller.api.doorkeeper import Access, Doorkeeper
from controller.api.followers import Followers
from controller.api.listen import Listen, TcpListen, UnixListen, file_identity, open_tcp, open_unix, remove_own
from controller.api.ports import Ports
from controller.api.replays import Replays

_GRACE_S = 1.0
_FLUSH_S = 0.5


class ApiServer:
    """See the header. `allowed_hosts`: further names in the Host header that are us (without port).

    `access` says how people are let in; without it, only our own user and root are. TLS is for TCP only.
    """

    def __init__(
        self,
        ports: Ports,
        listen: Listen,
        *,
        allowed_hosts: Iterable[str] = (),
        limits: Limits | None = None,
        access: Access | None = None,
    ) -> None:
        self._ports = ports
        self._listen = listen
        self._hosts = frozenset(host.lower() for host in allowed_hosts)
        self._limits = limits or Limits()
        self._access = access or Access()
        self._certificate = self._access.certificate if isinstance(listen, TcpListen) else None
        self._connections: set[Connection] = set()
        self._followers = Followers(self._limits.followers)
        self._web: web.Server | None = None
        self._server: asyncio.Server | None = None
        self._identity: tuple[int, int] | None = None

    @property
    def address(self) -> str:
        """Where it listens, with the real port once started: `127.0.0.1:3000` or `unix:PATH`."""
        return str(self._listen)

    @property
    def url(self) -> str:
        """As clients take it: `http://127.0.0.1:3000`, `https://...` or `unix:PATH`."""
        if isinstance(self._listen, UnixListen):
            return self.address
        return f"{'http' if self._certificate is None else 'https'}://{self.address}"

    @property
    def follower_count(self) -> int:
        """How many streams are open."""
        return len(self._followers)

    @property
    def connection_count(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    async def start(self) -> None:
        """Listen. Raises ListenError."""
        loop = asyncio.get_running_loop()
        match self._listen:
            case TcpListen(host=host):
                listener = open_tcp(self._listen, most=self._limits.open, busy=self._busy)
                self._listen = TcpListen(host=host, port=listener.getsockname()[1])
                names = {f"[{host}]" if ":" in host else host}
            case UnixListen(path=path):
                listener = open_unix(self._listen, most=self._limits.open, busy=self._busy)
                self._identity = file_identity(path)
                names = set()
            case other:
                assert_never(other)
        door = Doorkeeper(self._access, self._limits)
        replays = Replays(self._limits.replays, self._access.now)
        dispatcher = Dispatcher(self._ports, self._followers, self._hosts | names, door, replays)
        self._web = web.Server(dispatcher)
        if listener.family == socket.AF_UNIX:
            self._server = await loop.create_unix_server(self._connect, sock=listener)
        elif self._certificate is None:
            self._server = await loop.create_server(self._connect, sock=listener)
        else:
            self._server = await loop.create_server(
                self._connect, sock=listener, ssl=self._certificate.context,
                ssl_handshake_timeout=self._limits.handshake_s, ssl_shutdown_timeout=_FLUSH_S,
            )  # fmt: skip

    def _connect(self) -> Connection:
        """The protocol of a new connection. Called before its TLS handshake, which takes the renewed certificate."""
        assert self._web is not None
        if self._certificate is not None:
            self._certificate.renew()
        return Connection(self._web, self._limits, self._connections)

    def _busy(self) -> frozenset[int]:
        return frozenset(connection.descriptor for connection in self._connections if connection.is_busy)

    async def stop(self) -> None:
        """Accept no more, end all streams with their final record, let running requests end, cut what is left."""
        if self._server is None or self._web is None:
            return
        server, handlers = self._server, self._web
        self._server = self._web = None
        server.close()
        if isinstance(self._listen, UnixListen):
            remove_own(self._listen.path, self._identity)
        self._followers.end_all()
        handlers.pre_shutdown()
        await handlers.shutdown(_GRACE_S)
        await self._all_lost()
        for connection in list(self._connections):
            connection.abort()
        await self._all_lost()

    async def _all_lost(self) -> None:
        """Until no connection is left, or the time for last bytes is over."""
        try:
            async with asyncio.timeout(_FLUSH_S):
                for connection in list(self._connections):
                    await connection.lost.wait()
        except TimeoutError:
            pass
