"""Runs that live and whose record is gone: their runtime folder was cleaned away. Called by a keeper before it adopts.

Without a record nobody would know such a process, and a second one would be started beside it. What it is still known
by: it leads a session, its environment names run and instance, and its output is the log file of that very run under
our own STATE/logs, of which its user is the owner. The kernel keeps that path, also of a file that was deleted. So
neither a stranger nor a process of a copy of our state folder is taken for ours, and no user for another. Who has
replaced both of its outputs is not found again. The oldest of several is the leader: the others were started by it.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from . import procfs
from .protocol import STREAMS
from .request import is_run_id
from .runs import Run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .runs import Records

_DELETED = " (deleted)"
_OUTPUTS = tuple(enumerate(STREAMS, start=1))


class _Found(NamedTuple):
    """Older ones first."""

    start_time: int
    pid: int
    run: str
    slot: str
    uid: int


def record_anew(records: Records, logs: str) -> list[str]:
    """Write the missing records; a line for each. `logs` is STATE/logs. Only with the keeper's locks held."""
    lines: list[str] = []
    for found in _oldest(_unrecorded(logs, records.names())):
        run = Run(found.run, found.slot, procfs.Identity(found.pid, found.start_time), spawned_at=0.0, owned=False)
        run.spawned_at, run.uid = _wall(found.start_time), found.uid
        folder = f"{logs}/{found.slot.partition('#')[0]}"
        run.stdout, run.stderr = (f"{folder}/{found.run}.{stream}" for stream in STREAMS)
        try:
            records.write(run)
        except OSError as error:
            lines.append(f"run {found.run} of {found.slot}, pid {found.pid}, has no record, and gets none: {error}")
        else:
            lines.append(f"run {found.run} of {found.slot}, pid {found.pid}, had lost its record: written anew")
    return lines


def _unrecorded(logs: str, recorded: set[str]) -> Iterator[_Found]:
    for stat in (procfs.scan() or {}).values():
        if stat.session != stat.pid or stat.is_dead:
            continue
        run = _text(stat.pid, b"WORKER_RUN")
        if run in recorded or not is_run_id(run):
            continue
        slot = _text(stat.pid, b"WORKER_INSTANCE")
        uid = procfs.real_uid(stat.pid)
        if uid is None or not _writes_to(stat.pid, f"{logs}/{slot}/{run}", uid):
            continue
        # Hooks and probes are known to the keeper by a name of their own (errands.py).
        name = f"{slot}#{run}" if _text(stat.pid, b"HOOK") else slot
        yield _Found(stat.start_time, stat.pid, run, name, uid)


def _oldest(found: Iterable[_Found]) -> Iterator[_Found]:
    seen: set[str] = set()
    for one in sorted(found):
        if one.run not in seen:
            seen.add(one.run)
            yield one


def _text(pid: int, name: bytes) -> str:
    return (procfs.environ_value(pid, name) or b"").decode("utf-8", "replace")


def _writes_to(pid: int, path: str, uid: int) -> bool:
    """Whether one of its outputs is the file that we opened for it."""
    for descriptor, stream in _OUTPUTS:
        link = f"/proc/{pid}/fd/{descriptor}"
        try:
            target = os.readlink(link)
            owner = os.stat(link).st_uid
        except OSError:
            continue
        if target in (f"{path}.{stream}", f"{path}.{stream}{_DELETED}") and owner == uid:
            return True
    return False


def _wall(start_time: int) -> float:
    """When a process that started so many ticks after boot did so, in seconds since the epoch."""
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - start_time / os.sysconf("SC_CLK_TCK")
    return time.time() - age
