"""The keeper's runs, and their records in the runtime folder.

A record exists from before the worker's first instruction until the run is reaped. It is what a next keeper adopts
by, when this one is killed: boot id, pid, start time. Records are written by temporary file and rename, without
fsync: they are void in another boot. The exit is written over room that was kept for it, which needs no space on the
disk. A record that cannot be understood is moved to `bad/`, and the others go on.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from . import procfs
from .failpoints import failpoint
from .request import SpawnRequest, is_run_id
from .spawn import HEADROOM, descriptor_limit

if TYPE_CHECKING:
    from collections.abc import Iterable

_RECORD_LIMIT = 65_536
_EXIT_ROOM = 96


class Exit(NamedTuple):
    """How a leader ended. `known` False: nobody of ours was its parent; code and signal are None then."""

    code: int | None
    signal: int | None
    core: bool
    at: float
    known: bool


class Run:
    """One run. Its leader is ours (`owned`: we are the parent, it stays a zombie until reaped) or adopted.

    `uid` is whom its processes belong to, `cgroup` its own control group (empty: it has none).
    `pidfd` is open while the leader lives (-1: watched by polling, or dead). `errors` is the child's error pipe and
    `request` what was asked for, both until exec is decided. `killing`: whatever is found of the group is killed;
    `killed` are the members that had the last kill, `storming` says that others came since. `reaper` is who inherited
    an adopted leader when its keeper died (0: not known).
    """

    __slots__ = (
        "cgroup", "errors", "exit_at", "exited", "group_empty", "group_looks", "identity", "kill_rounds", "killed",
        "killing", "member_signals", "owned", "pidfd", "quiet_scans", "reaper", "request", "run", "slot", "spawned_at",
        "stderr", "stdout", "storming", "uid",
    )  # fmt: skip

    def __init__(self, run: str, slot: str, identity: procfs.Identity, *, spawned_at: float, owned: bool) -> None:
        self.run = run
        self.slot = slot
        self.identity = identity
        self.spawned_at = spawned_at
        self.owned = owned
        self.stdout = ""
        self.stderr = ""
        self.uid = os.geteuid()
        self.cgroup = ""
        self.exit_at = -1  # where in its record the exit is to be written; -1: not known
        self.pidfd = -1
        self.errors = -1
        self.request: SpawnRequest | None = None
        self.exited: Exit | None = None
        self.group_empty = False
        self.killing = False
        self.member_signals: list[int] = []
        self.quiet_scans = 0
        self.kill_rounds = 0
        self.killed: frozenset[procfs.Identity] = frozenset()
        self.storming = False
        self.group_looks = 0
        self.reaper = 0

    @property
    def pid(self) -> int:
        """The leader's."""
        return self.identity.pid

    def view(self) -> dict[str, Any]:
        """One item of a `runs` event."""
        exited = None
        if self.exited is not None:
            exited = self.exited._asdict()
        return {
            "run": self.run,
            "slot": self.slot,
            "pid": self.pid,
            "start_time": self.identity.start_time,
            "spawned_at": self.spawned_at,
            "adopted": not self.owned,
            "spawning": self.errors >= 0,
            "exited": exited,
            "group_empty": self.group_empty,
        }

    def close(self) -> None:
        """Close what is open."""
        for descriptor in (self.pidfd, self.errors):
            if descriptor >= 0:
                os.close(descriptor)
        self.pidfd = self.errors = -1


class Records:
    """The folder of records. `boot_id` is that of now."""

    def __init__(self, folder: str, boot_id: str) -> None:
        self._path = folder
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._boot_id = boot_id

    def write(self, run: Run) -> None:
        """Make the record. Raises OSError; the old one is whole then, or there is none."""
        value = {
            "run": run.run,
            "slot": run.slot,
            "pid": run.pid,
            "start_time": run.identity.start_time,
            "boot_id": self._boot_id,
            "spawned_at": run.spawned_at,
            "stdout": run.stdout,
            "stderr": run.stderr,
            "uid": run.uid,
            "cgroup": run.cgroup,
        }
        data = json.dumps(value).encode()[:-1] + b', "exited": '
        run.exit_at = len(data)
        temporary = f".{run.run}"
        try:
            self._put(temporary, data + _exit_text(run) + b"}", os.O_CREAT | os.O_TRUNC)
            failpoint("keeper.record_written")
            os.rename(temporary, f"{run.run}.json", src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=self._folder)
            raise

    def write_exit(self, run: Run) -> None:
        """Add how it ended. Raises OSError; what was there before is whole then."""
        if run.exit_at < 0:
            self.write(run)
        else:
            self._put(f"{run.run}.json", _exit_text(run), 0, run.exit_at)

    def restore(self, runs: Iterable[Run]) -> None:
        """Write the records anew that were removed under us, be it with their folder. Raises OSError."""
        folder = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        os.close(self._folder)
        self._folder = folder
        present = self.names()
        for run in runs:
            if run.run not in present:
                self.write(run)

    def names(self) -> set[str]:
        """The runs that have a record, good or bad."""
        return {name[: -len(".json")] for name in os.listdir(self._folder) if name.endswith(".json")}

    def remove(self, run: str) -> None:
        """Forget it. Raises OSError where even that fails."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{run}.json", dir_fd=self._folder)

    def _put(self, name: str, data: bytes, flags: int, at: int = 0) -> None:
        flags |= os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, 0o600, dir_fd=self._folder)
        try:
            if os.pwrite(descriptor, data, at) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(descriptor)

    def load(self) -> tuple[list[Run], list[str]]:
        """The runs of this boot in the order of their names, not yet adopted; and a line for each bad record."""
        runs: list[Run] = []
        complaints: list[str] = []
        for name in sorted(os.listdir(self._folder)):
            stem, dot, kind = name.rpartition(".")
            if not stem and dot:
                os.unlink(name, dir_fd=self._folder)  # a temporary file: its process was never told to go on
            elif kind == "json":
                try:
                    run = self._parse(stem, self._read(name))
                except (OSError, ValueError, TypeError, KeyError) as error:
                    complaints.append(f"record {name} moved to bad/: {type(error).__name__}: {error}")
                    self._set_aside(name)
                    continue
                if run is None:
                    os.unlink(name, dir_fd=self._folder)
                else:
                    runs.append(run)
        return runs, complaints

    def _read(self, name: str) -> bytes:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._folder)
        try:
            return os.read(descriptor, _RECORD_LIMIT)
        finally:
            os.close(descriptor)

    def _parse(self, stem: str, data: bytes) -> Run | None:
        """The run that a record tells of; None for one of another boot. Raises for anything else."""
        value = json.loads(data)
        pid, start_time = value["pid"], value["start_time"]
        if value["boot_id"] != self._boot_id:
            return None
        if type(pid) is not int or type(start_time) is not int or pid <= 1 or start_time < 0:
            raise ValueError("pid or start_time is out of range")
        if value["run"] != stem or not is_run_id(stem) or not isinstance(value["slot"], str):
            raise ValueError("run or slot is not what it must be")
        identity = procfs.Identity(pid, start_time)
        run = Run(stem, value["slot"], identity, spawned_at=float(value["spawned_at"]), owned=False)
        run.stdout, run.stderr = str(value["stdout"]), str(value["stderr"])
        run.uid, run.cgroup = int(value.get("uid", run.uid)), str(value.get("cgroup", ""))
        if value["exited"] is not None:
            run.exited = Exit(*value["exited"])
        return run

    def _set_aside(self, name: str) -> None:
        # Without room for the folder it stays where it is, and is complained of again.
        with contextlib.suppress(OSError):
            os.mkdir("bad", 0o700, dir_fd=self._folder)
        with contextlib.suppress(OSError):
            os.rename(name, f"bad/{name}", src_dir_fd=self._folder, dst_dir_fd=self._folder)


def _exit_text(run: Run) -> bytes:
    exited = None if run.exited is None else list(run.exited)
    return json.dumps(exited).encode().ljust(_EXIT_ROOM)


def new_run(request: SpawnRequest, pid: int) -> Run:
    """A child that waits to be told to go on. Raises OSError."""
    start_time = procfs.start_time(pid)
    if start_time is None:
        raise OSError(errno.EIO, "its start time cannot be read")
    run = Run(request.run, request.slot, procfs.Identity(pid, start_time), spawned_at=time.time(), owned=True)
    run.stdout, run.stderr = os.fsdecode(request.stdout), os.fsdecode(request.stderr)
    run.cgroup = request.cgroup
    if request.credentials is not None:
        run.uid = request.credentials.uid
    return run


def adopt(run: Run) -> None:
    """Find the leader again: by pidfd first, then by what /proc says of the process that the pidfd holds.

    A leader whose parent we are (a keeper that replaced itself) is owned. A leader that is gone gets an unknown exit.
    One that cannot be looked at stays as it is and is polled.
    """
    stat = procfs.read_stat(run.pid)
    run.owned = stat is not None and stat.identity == run.identity and stat.ppid == os.getpid()
    if run.exited is not None:
        return
    pidfd = -1
    try:
        pidfd = os.pidfd_open(run.pid)
    except ProcessLookupError:
        run.exited = unknown_exit()
        return
    except OSError:
        pass
    state = procfs.liveness(run.identity)
    stat = procfs.read_stat(run.pid)
    run.owned = stat is not None and stat.identity == run.identity and stat.ppid == os.getpid()
    if stat is not None and stat.identity == run.identity and not run.owned:
        run.reaper = stat.ppid
    if state == procfs.GONE or (state == procfs.ZOMBIE and not run.owned):
        run.exited = unknown_exit()
    elif state != procfs.UNKNOWN and pidfd < descriptor_limit() - HEADROOM:
        run.pidfd, pidfd = pidfd, -1
    if pidfd >= 0:
        os.close(pidfd)


def unknown_exit() -> Exit:
    """It ended, and nobody of ours saw how."""
    return Exit(None, None, False, time.time(), False)


def leader_exit(run: Run) -> Exit | None:
    """How the leader ended, without reaping it; None while it has not (or cannot be told)."""
    if not run.owned:
        state = procfs.liveness(run.identity)
        return unknown_exit() if state in (procfs.GONE, procfs.ZOMBIE) else None
    try:
        found = os.waitid(os.P_PID, run.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return unknown_exit()
    if found is None:
        return None
    if found.si_code == os.CLD_EXITED:
        return Exit(found.si_status, None, False, time.time(), True)
    return Exit(None, found.si_status, found.si_code == os.CLD_DUMPED, time.time(), True)
