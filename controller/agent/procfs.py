"""What /proc says about processes. The keeper and the agent read it; nothing here writes, signals or raises.

Identity is pid and start time (within one boot): a pid alone names whoever has it now. A process that cannot be read
is not the same as one that is gone: `liveness` and `scan` say so, and callers must not act on it.
"""

from __future__ import annotations

import errno
import os
from typing import NamedTuple

ENVIRON_LIMIT = 1024 * 1024
_CHUNK = 65_536
_GONE = (errno.ENOENT, errno.ESRCH)

ALIVE = "alive"
ZOMBIE = "zombie"
GONE = "gone"
UNKNOWN = "unknown"


class Identity(NamedTuple):
    """A process of this boot. `start_time` in clock ticks since boot."""

    pid: int
    start_time: int


class Stat(NamedTuple):
    """One line of the process table. `state` is the kernel's letter."""

    pid: int
    state: str
    ppid: int
    pgrp: int
    session: int
    start_time: int
    threads: int = 1

    @property
    def identity(self) -> Identity:
        """Who this is, beyond the pid."""
        return Identity(self.pid, self.start_time)

    @property
    def is_dead(self) -> bool:
        """It runs no more code. A zombie with threads is not dead: its main thread ended, the others go on."""
        return self.state in ("Z", "X", "x") and self.threads <= 1


class Usage(NamedTuple):
    """What one process has used. Of its start on, `started` in clock ticks since boot; `memory` is what is resident.

    `ended_s` is what its children used that have ended and were waited for, and theirs.
    """

    pid: int
    parent: int
    session: int
    started: int
    cpu_s: float
    ended_s: float
    memory: int


def parse_stat(data: bytes) -> Stat | None:
    """A /proc/PID/stat line. The command may hold spaces, parentheses and newlines: fields follow the last ')'."""
    head, found, tail = data.rpartition(b")")
    fields = tail.split(None, 20)
    if not found or len(fields) < 20:
        return None
    try:
        pid = int(head.split(None, 1)[0])
        numbers = [int(fields[at]) for at in (1, 2, 3, 19, 17)]
        return Stat(pid, fields[0].decode("ascii"), *numbers)
    except (ValueError, IndexError):
        return None


def read_stat(pid: int) -> Stat | None:
    """The process with this pid now, or None where it is gone or cannot be read."""
    try:
        return parse_stat(_read(f"/proc/{pid}/stat"))
    except OSError:
        return None


def start_time(pid: int) -> int | None:
    """Clock ticks from boot to the start of the process that has this pid now."""
    # Asked between a fork and its exec, when each object that is made may be a page to copy: no more than needed.
    try:
        return int(_read(f"/proc/{pid}/stat").rpartition(b")")[2].split(None, 20)[19])
    except (OSError, IndexError, ValueError):
        return None


def liveness(identity: Identity) -> str:
    """ALIVE, ZOMBIE (dead, not yet reaped), GONE (also: the pid is another's now), or UNKNOWN (cannot be read)."""
    try:
        stat = parse_stat(_read(f"/proc/{identity.pid}/stat"))
    except OSError as error:
        return GONE if error.errno in _GONE else UNKNOWN
    if stat is None:
        return UNKNOWN
    if stat.start_time != identity.start_time:
        return GONE
    return ZOMBIE if stat.is_dead else ALIVE


def is_alive(identity: Identity) -> bool:
    """Whether this very process certainly runs. False for a zombie, and where it cannot be read."""
    return liveness(identity) == ALIVE


def session(pid: int) -> int | None:
    """The session that the process with this pid is in."""
    stat = read_stat(pid)
    return None if stat is None else stat.session


def real_uid(pid: int) -> int | None:
    """The user that started the process, which a set-user-id program does not change."""
    try:
        status = _read(f"/proc/{pid}/status")
    except OSError:
        return None
    _, found, after = status.partition(b"\nUid:")
    return int(after.split(None, 1)[0]) if found else None


def boot_id() -> str | None:
    """The kernel's random id of this boot."""
    try:
        return _read("/proc/sys/kernel/random/boot_id").decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None


def children(pid: int) -> list[int] | None:
    """Direct children (zombies too), in the order they came. None where the kernel cannot tell.

    Exact for the caller's own children while it reaps none; for others a child that exits meanwhile may hide one.
    """
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            found.extend(map(int, _read(f"/proc/{pid}/task/{task}/children").split()))
    except (OSError, ValueError):
        return None
    return found


def usages() -> dict[int, Usage]:
    """Of all processes that can be read, by pid."""
    second, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    found: dict[int, Usage] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = _read(f"/proc/{name}/stat").rpartition(b")")[2].split(None, 22)
            own, ended = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
            pid, parent, session, started = int(name), int(fields[1]), int(fields[3]), int(fields[19])
            found[pid] = Usage(pid, parent, session, started, own / second, ended / second, int(fields[21]) * page)
        except (OSError, ValueError, IndexError):
            continue
    return found


def scan() -> dict[int, Stat] | None:
    """The whole process table by pid, or None where it could not be read to its end.

    A process that lives through the whole scan is always in it. One that hides (hidepid) is not.
    """
    table: dict[int, Stat] = {}
    try:
        for name in os.listdir("/proc"):
            if not name[0].isdigit():
                continue
            try:
                stat = parse_stat(_read(f"/proc/{name}/stat"))
            except OSError as error:
                if error.errno in _GONE or isinstance(error, PermissionError):
                    continue
                return None
            if stat is not None:
                table[stat.pid] = stat
    except OSError:
        return None
    return table


def environ_value(pid: int, name: bytes) -> bytes | None:
    """One variable of the environment that the process was started with, from its first MiB; None without it."""
    wanted = b"\0" + name + b"="
    try:
        descriptor = os.open(f"/proc/{pid}/environ", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return _find(descriptor, wanted)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _find(descriptor: int, wanted: bytes) -> bytes | None:
    """The value after `wanted` up to the next zero. Only the part that may still hold a match is kept."""
    rest = b"\0"
    left = ENVIRON_LIMIT
    while True:
        data = os.read(descriptor, min(_CHUNK, left)) if left else b""
        left -= len(data)
        rest += data
        at = rest.find(wanted)
        if at >= 0:
            value, end, _ = rest[at + len(wanted) :].partition(b"\0")
            if end or not data:
                return value
            rest = rest[at:]
        elif not data:
            return None
        else:
            rest = rest[-len(wanted) :]


def _read(path: str) -> bytes:
    """A small file of /proc, whole."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.read(descriptor, _CHUNK)
        # A short read is the end for all files here but `children`, whose pieces end at page borders.
        piece = data
        while piece and path.endswith("children"):
            piece = os.read(descriptor, _CHUNK)
            data += piece
        return data
    finally:
        os.close(descriptor)
