"""Who is at the other end of a connection: the uid that the kernel vouches for, or None.

Loopback alone proves nothing: every user of the machine, and every process that can be made to connect (a browser, a
proxy), reaches 127.0.0.1. So a TCP peer counts only when the kernel's own table says who owns the peer's socket, and a
Unix peer by SO_PEERCRED. Called once per connection, never cached across connections: a port number is soon another
process's.

Rules of the table (`/proc/net/tcp`, `tcp6`), each of which closes a hole:
  - The row looked for is the peer's: its local address is our peer, its remote address is ours.
  - Only ESTABLISHED counts. A closing socket has no owner any more and is listed with uid 0, which is not root.
  - A row without an inode has no owner for the same reason, and counts for nobody.
  - An IPv4 peer may own an IPv6 socket (mapped address), so both tables are read.
  - A row may be missed while the table changes under the reader, so absence is believed only after a few readings. A
    row that names somebody else is believed at once.

What does not belong here: whom to let in (admission.py).
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

_ESTABLISHED = b"01"
_READINGS = 3
_MAPPED = b"\x00" * 10 + b"\xff\xff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One end of a TCP connection."""

    host: str
    port: int


class Connected(Protocol):
    """What this file needs of a connected socket; asyncio's TransportSocket and socket.socket have it."""

    @property
    def family(self) -> int:
        """AF_INET, AF_INET6 or AF_UNIX."""

    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes:
        """As socket.socket has it."""

    def getpeername(self) -> tuple[str, int]:
        """As socket.socket has it; more than two parts for IPv6."""

    def getsockname(self) -> tuple[str, int]:
        """As socket.socket has it."""


def peer_uid(connection: Connected, *, tables: str = "/proc/net") -> int | None:
    """The uid that owns the other end, or None where nobody vouches for it. Reads files: call it in a thread."""
    try:
        if connection.family == socket.AF_UNIX:
            return _unix_peer(connection)
        peer, ours = connection.getpeername(), connection.getsockname()
    except OSError:
        return None  # it went away meanwhile
    ends = [Endpoint(host=plain_address(end[0]), port=end[1]) for end in (peer, ours)]
    return tcp_peer_uid(ends[0], ends[1], tables=tables)


def plain_address(host: str) -> str:
    """The address without a zone; an IPv4 address that came to an IPv6 socket as what it is."""
    address = ipaddress.ip_address(host.partition("%")[0])
    return str(getattr(address, "ipv4_mapped", None) or address)


def tcp_peer_uid(peer: Endpoint, ours: Endpoint, *, tables: str = "/proc/net") -> int | None:
    """The owner of the peer's socket by the kernel's tables in the folder `tables`, or None."""
    if not ipaddress.ip_address(peer.host).is_loopback:
        return None
    for _ in range(_READINGS):
        for table in ("tcp", "tcp6"):
            uid = _read(f"{tables}/{table}", peer, ours)
            if uid is not None:
                return uid
    return None


def owner(rows: Iterable[bytes], peer: Endpoint, ours: Endpoint) -> int | None:
    """The uid of the established socket from `peer` to `ours` among the rows of a kernel table, or None."""
    wanted = {(_encode(peer, mapped=mapped), _encode(ours, mapped=mapped)) for mapped in (False, True)}
    for row in rows:
        # sl local_address rem_address st queues timer retransmits uid timeout inode ...
        columns = row.split(None, 10)
        if len(columns) < 10 or (columns[1], columns[2]) not in wanted:
            continue
        if columns[3] == _ESTABLISHED and columns[9] != b"0":
            return int(columns[7])
    return None


def _read(path: str, peer: Endpoint, ours: Endpoint) -> int | None:
    """One reading of one table. A host without IPv6 has no tcp6."""
    try:
        with open(path, "rb") as table:
            return owner(table, peer, ours)
    except FileNotFoundError:
        return None


def _encode(endpoint: Endpoint, *, mapped: bool) -> bytes:
    """An endpoint as the kernel prints it: each 32-bit word of the address in host byte order, in hexadecimal."""
    packed = ipaddress.ip_address(endpoint.host).packed
    if mapped and len(packed) == 4:
        packed = _MAPPED + packed
    words = (int.from_bytes(packed[start : start + 4], sys.byteorder) for start in range(0, len(packed), 4))
    return ("".join(f"{word:08X}" for word in words) + f":{endpoint.port:04X}").encode()


def _unix_peer(connection: Connected) -> int:
    """The uid that connected, as the kernel recorded it at that moment."""
    size = struct.calcsize("3i")
    _pid, uid, _gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return int(uid)


def trusted_uids() -> frozenset[int]:
    """Whose connections need no token: ours and root's."""
    return frozenset({os.geteuid(), 0})
