"""Where the server listens: `HOST:PORT`, or `unix:PATH`. Parsing, what others may reach, and opening the socket safely.

A Unix socket is created with mode 0600 from its first moment (the mode of the descriptor before `bind` is the mode of
the file), and nobody can connect before `listen`. A socket file that is already there is removed only when it is a
socket, ours, and nobody answers on it. Two controllers of one state directory are kept apart by its lock, not here.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import re
import socket
import stat
import weakref
from collections.abc import Callable, Collection
from dataclasses import dataclass

_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})")
_MAX_UNIX_PATH = 107
_BACKLOG = 128


class ListenError(Exception):
    """Cannot listen there. The message is for people: it says why, and what to do where that is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpListen:
    """An IP address. Port 0: any free one."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return ipaddress.ip_address(self.host).is_loopback

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnixListen:
    """A socket file; absolute or relative to the working directory."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


Listen = TcpListen | UnixListen
Busy = Callable[[], Collection[int]]
"""The descriptors of the connections that are answered right now."""


def parse_listen(text: str) -> Listen:
    """`127.0.0.1:3000`, `[::1]:3000`, `localhost:3000` (which is 127.0.0.1) or `unix:PATH`. Raises ListenError."""
    if text.startswith("unix:"):
        return _parse_unix(text)
    match = _HOST_PORT.fullmatch(text)
    if match is None or int(match[2]) > 65_535:
        raise ListenError(f"Cannot listen on {text!r}: expected HOST:PORT, such as 127.0.0.1:3000, or unix:PATH")
    host = "127.0.0.1" if match[1].lower() == "localhost" else match[1].strip("[]")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise ListenError(f"Cannot listen on {text}: {host} is no IP address; give one, or localhost") from None
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        raise ListenError(f"Cannot listen on {text}: write {mapped} as {mapped}:{match[2]}")
    return TcpListen(host=str(address), port=int(match[2]))


def check_exposure(where: Listen, *, has_tls: bool, insecure_http: bool) -> None:
    """Refuse to send tokens in the clear over a network, unless somebody says so. Raises ListenError."""
    if isinstance(where, UnixListen):
        if has_tls:
            raise ListenError(f"Cannot listen on {where} with TLS: a Unix socket has none; leave --tls-cert out")
        return
    if not (where.is_loopback or has_tls or insecure_http):
        raise ListenError(
            f"Cannot listen on {where} without TLS: others can reach it, and would read every token; give --tls-cert "
            "and --tls-key, or listen on 127.0.0.1 (--insecure-http allows it on a network that is yours alone)"
        )


def _parse_unix(text: str) -> UnixListen:
    path = text.removeprefix("unix:")
    if not path or "\0" in path:
        raise ListenError(f"Cannot listen on {text!r}: expected unix:PATH")
    if len(os.fsencode(path)) > _MAX_UNIX_PATH:
        raise ListenError(f"Cannot listen on {text}: the path of a socket may have {_MAX_UNIX_PATH} bytes")
    return UnixListen(path=path)


class _Bounded(socket.socket):
    """A listening socket with about `most` open connections, also counting those within a TLS handshake.

    Beyond that, whoever waits longest makes room: not the newcomer, or a few hundred sockets that say nothing would
    keep everybody out. Those that are `busy` are spared. Who makes room is shut down, not closed: the descriptor is its
    transport's, which takes it for a client that went away.
    """

    def __init__(self, family: int, most: int, busy: Busy) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        self._most, self._busy = most, busy
        self._accepted: dict[int, weakref.ref[socket.socket]] = {}

    def accept(self) -> tuple[socket.socket, object]:
        """As socket.socket has it. Raises ConnectionAbortedError, which asyncio takes for a client that went away."""
        connection, address = super().accept()
        if len(self._accepted) >= self._most:
            self._accepted = {fd: one for fd, one in self._accepted.items() if _is_open(one, fd)}
        if len(self._accepted) >= self._most and not self._make_room():
            connection.close()
            raise ConnectionAbortedError
        self._accepted.pop(connection.fileno(), None)  # of one that is gone; the newest stands last
        self._accepted[connection.fileno()] = weakref.ref(connection)
        return connection, address

    def _make_room(self) -> bool:
        """Shut down who waits longest; False where nobody waits."""
        busy = self._busy()
        for fd, found in self._accepted.items():
            waiting = found()
            if waiting is not None and fd not in busy:
                del self._accepted[fd]
                with contextlib.suppress(OSError):
                    waiting.shutdown(socket.SHUT_RDWR)
                return True
        return False


def _is_open(found: weakref.ref[socket.socket], fd: int) -> bool:
    connection = found()
    return connection is not None and connection.fileno() == fd


def open_tcp(where: TcpListen, *, most: int, busy: Busy = tuple) -> socket.socket:
    """A listening socket, for about `most` connections at a time. Raises ListenError."""
    listener = _Bounded(socket.AF_INET6 if ":" in where.host else socket.AF_INET, most, busy)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return _start(listener, (where.host, where.port), where)


def open_unix(where: UnixListen, *, most: int = 512, busy: Busy = tuple) -> socket.socket:
    """A listening socket whose file has mode 0600. Raises ListenError."""
    try:
        _clear_stale(where)
    except OSError as error:
        raise _failure(where, error) from error
    listener = _Bounded(socket.AF_UNIX, most, busy)
    os.fchmod(listener.fileno(), 0o600)
    return _start(listener, where.path, where)


def file_identity(path: str) -> tuple[int, int] | None:
    """Device and inode of what stands at the path, or None where nothing does."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def remove_own(path: str, identity: tuple[int, int] | None) -> None:
    """Remove the socket file, unless another one has taken its place."""
    if identity is not None and file_identity(path) == identity:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _start(listener: socket.socket, address: object, where: Listen) -> socket.socket:
    """Bind and listen, or close and explain."""
    try:
        listener.setblocking(False)
        listener.bind(address)  # type: ignore[arg-type] # the family decides which
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise _failure(where, error) from error
    return listener


def _failure(where: Listen, error: OSError) -> ListenError:
    return ListenError(f"Cannot listen on {where}: {os.strerror(error.errno or 0).lower()}")


def _clear_stale(where: UnixListen) -> None:
    """Remove what a server that was killed left behind. Raises ListenError when it is anything else."""
    try:
        found = os.lstat(where.path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise ListenError(f"Cannot listen on {where}: a file that is no socket stands there")
    if found.st_uid != os.geteuid():
        raise ListenError(f"Cannot listen on {where}: a socket of another user stands there")
    if _answers(where.path):
        raise ListenError(f"Cannot listen on {where}: another server answers there")
    os.unlink(where.path)


def _answers(path: str) -> bool:
    """Whether somebody listens on the socket file. Only a refusal says no; a full queue is a yes."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        return probe.connect_ex(path) != errno.ECONNREFUSED
