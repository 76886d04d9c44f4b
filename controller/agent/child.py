"""A worker's process before it is one: everything between fork and exec. `spawn` calls `become` in the child.

Plain calls only: no cleanup of the keeper's (always `os._exit`), no exception that leaves `become`. Files are opened
while we are still ourselves; the working directory is entered and the command executed as the worker's user. The code
is short on purpose: each page of memory that either side writes to before exec is copied.

What a worker must not inherit is what the keeper is: `prepare_keeper` changes the one, `ChildSetup` takes it back.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import resource
import signal
from typing import TYPE_CHECKING, NamedTuple, Optional

from . import build, cgroups, credentials
from .credentials import LIBC
from .failpoints import failpoint
from .keeper_log import log

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .request import SpawnRequest

NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.ENODEV, errno.ETIMEDOUT)
LAST_DESCRIPTOR = 2**31 - 1

_CLOSE_RANGE = 436  # the same numbers on every architecture
_OPENAT2 = 437
_RESOLVE_NO_SYMLINKS = 0x04
_SIG_SETMASK = 2
_NO_SIGNALS = bytes(128)  # an empty sigset_t, of every libc's size
_PR_SET_CHILD_SUBREAPER = 36
_OOM_SCORE = "/proc/self/oom_score_adj"
_LOOK_ON = (*NOT_THERE, errno.EACCES)


NOFILE_VARIABLE = "WORKERCTL_NOFILE"
"""RLIMIT_NOFILE as the first keeper found it, `soft:hard`: an agent that becomes a keeper may have raised its own."""

IGNORED = (
    *(signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM),
    *(signal.SIGPIPE, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU),
)
"""Stopping is the controller's decision, through the agent. A stray signal must not cost the workers their parent."""


class ChildSetup(NamedTuple):
    """What children get back that the keeper changed: signals to reset, RLIMIT_NOFILE as it was. And our own build.

    `is_spared`: the kernel is told to kill others before us when memory is short (a unit's OOMScoreAdjust). That is for
    us, not for workers: they are to be killed before the rest of the host.
    """

    signals: tuple[int, ...]
    nofile: tuple[int, int]
    build: str = ""
    is_spared: bool = False


def close_from(lowest: int) -> None:
    """Close all descriptors from `lowest` on."""
    _close_range(lowest, LAST_DESCRIPTOR)


def become_subreaper() -> bool:
    """Get orphaned descendants as own children. False where the kernel refuses."""
    return bool(LIBC.prctl(_PR_SET_CHILD_SUBREAPER, *map(ctypes.c_ulong, (1, 0, 0, 0))) == 0)


def reset_signals(signals: Iterable[int]) -> None:
    """Default action for `signals`, and none blocked."""
    # By libc: the signal module's own functions go through enums, in a child whose every touch is a copied page.
    for number in signals:
        LIBC.signal(int(number), None)
    LIBC.sigprocmask(_SIG_SETMASK, _NO_SIGNALS, None)


def prepare_keeper() -> ChildSetup:
    """Make this process fit to keep: standard descriptors, signals, limits, subreaper. What children get back."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < 3:
        os.set_inheritable(descriptor, True)
    close_from(3)
    os.umask(0o077)
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, noticed)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    changed = [number for number in signal.valid_signals() if signal.getsignal(number) is not signal.SIG_DFL]
    signals = tuple(signal.Signals(number) for number in changed if number not in (signal.SIGKILL, signal.SIGSTOP))
    nofile = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = os.environ.pop(NOFILE_VARIABLE, "").partition(":")
    with contextlib.suppress(ValueError):
        nofile = (int(before[0]), int(before[2]))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if not become_subreaper():
        log("degraded: this kernel gives us no subreaper; children that outlive their leader are not found")
    return ChildSetup(signals, nofile, build.fingerprint(), is_spared=_oom_score() < 0)


def _oom_score() -> int:
    try:
        with open(_OOM_SCORE, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0


def noticed(_number: int, _frame: object) -> None:
    """SIGCHLD: the wake-up descriptor says it."""


class _Setup:
    """What the child does before it waits. `stage` is the step it is in."""

    __slots__ = ("request", "setup", "stage")

    def __init__(self, request: SpawnRequest, setup: ChildSetup) -> None:
        self.request = request
        self.setup = setup
        self.stage = "session"

    def run(self, go: int, errors: int) -> None:
        """All of it, in the one order in which it works."""
        request = self.request
        os.setsid()
        self.stage = "stdin"
        os.dup2(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC), 0)
        self.stage = "stdout"
        os.dup2(_output(request.stdout, request.credentials), 1)
        self.stage = "stderr"
        os.dup2(_output(request.stderr, request.credentials), 2)
        self.stage = "cgroup"
        if request.cgroup:
            cgroups.join(request.cgroup)
        self.stage = "descriptors"
        _close_all_but(go, errors)
        self.stage = "signals"
        reset_signals(self.setup.signals)
        self.stage = "limits"
        _limit_files(self.setup.nofile)
        self.stage = "nofile"
        if request.nofile is not None:
            _limit_files((request.nofile, request.nofile))
        if self.setup.is_spared:
            with contextlib.suppress(OSError):
                _write(_OOM_SCORE, b"0")
        self.stage = "nice"
        if request.nice is not None:
            os.setpriority(os.PRIO_PROCESS, 0, request.nice)
        os.umask(request.umask)
        if request.credentials is not None:
            for self.stage, step in credentials.STEPS:
                step(request.credentials)


def become(request: SpawnRequest, setup: ChildSetup, go: int, errors: int) -> None:
    """The child's whole life until exec. Never returns."""
    steps, path = _Setup(request, setup), ""
    try:
        steps.run(go, errors)
        failpoint("keeper.child_before_wait")
        if not os.read(go, 1):
            os._exit(0)
        steps.stage = "cwd"
        os.chdir(request.cwd)
        steps.stage = "exec"
        failpoint("keeper.child_before_exec")
        _execute(request)
    except _ExecError as error:
        path = os.fsdecode(error.path)
        _report(errors, steps.stage, error.number, path)
    except BaseException as error:
        # Whatever it is, it must not run the keeper's code in the child.
        _report(errors, steps.stage, getattr(error, "errno", None) or errno.EINVAL, path)
    finally:
        os._exit(127)


def _report(errors: int, stage: str, number: int, path: str) -> None:
    data = json.dumps({"stage": stage, "errno": number, "path": path[:500]}).encode()
    # A reader that is gone means a keeper that is gone.
    with contextlib.suppress(OSError):
        os.write(errors, data)


def _write(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)


def _limit_files(limits: tuple[int, int]) -> None:
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    except ValueError:
        # Python's word for it.
        raise OSError(errno.EPERM, os.strerror(errno.EPERM)) from None


def _output(path: bytes, owner: Optional[credentials.Credentials]) -> int:
    """A new file. For a worker of another user it is given to that user, in a folder that this user cannot change."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY
    if owner is None:
        return os.open(path, flags, 0o600)
    folder, name = os.path.split(path)
    above = _own_folder(folder)
    try:
        descriptor = os.open(name, flags, 0o600, dir_fd=above)
    finally:
        os.close(above)
    os.fchown(descriptor, owner.uid, owner.gid)
    return descriptor


def _own_folder(path: bytes) -> int:
    """The folder, reached through no symbolic link. Raises OSError EPERM where others own it or may write to it."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    how = (ctypes.c_uint64 * 3)(flags, 0, _RESOLVE_NO_SYMLINKS)
    folder = LIBC.syscall(*map(ctypes.c_long, (_OPENAT2, -100)), path, how, ctypes.c_long(ctypes.sizeof(how)))
    if folder < 0:
        number = ctypes.get_errno()
        if number not in (errno.ENOSYS, errno.EPERM):
            raise OSError(number, os.strerror(number))
        folder = os.open(path, flags)  # before Linux 5.6, or under an old seccomp filter
    found = os.fstat(folder)
    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
        os.close(folder)
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))
    return int(folder)


class _ExecError(Exception):
    def __init__(self, path: bytes, number: int) -> None:
        super().__init__(path, number)
        self.path = path
        self.number = number


def _execute(request: SpawnRequest) -> None:
    """Execve, along the PATH of the new environment. Raises _ExecError; its path is empty where nothing was found."""
    name = request.argv[0]
    if b"/" in name:
        raise _refused(name, request)
    places = request.env.get(b"PATH", os.fsencode(os.defpath)).split(b":")
    kept = _ExecError(b"", errno.ENOENT)
    for place in places:
        refused = _refused(os.path.join(place, name), request)
        if refused.number not in _LOOK_ON:
            raise refused
        # The first file that was there is the reason, where no later directory has a better one; like every shell.
        if refused.path and (not kept.path or (refused.number == errno.EACCES != kept.number)):
            kept = refused
    raise kept


def _refused(path: bytes, request: SpawnRequest) -> _ExecError:
    """Execve; returns only when the kernel refused. The path is kept when a file is there."""
    try:
        os.execve(path, request.argv, request.env)  # noqa: S606 - no shell is the point
    except OSError as error:
        number = error.errno or errno.EIO
        # A script whose interpreter is missing is there, and still ENOENT.
        is_there = number not in NOT_THERE or os.path.isfile(path)
        return _ExecError(path if is_there else b"", number)


def _close_all_but(*kept: int) -> None:
    lowest = 3
    for descriptor in sorted(kept):
        _close_range(lowest, descriptor - 1)
        lowest = descriptor + 1
    _close_range(lowest, LAST_DESCRIPTOR)


def _close_range(first: int, last: int) -> None:
    """close_range(2), or one by one before Linux 5.9."""
    if first > last or LIBC.syscall(*map(ctypes.c_long, (_CLOSE_RANGE, first, last, 0))) == 0:
        return
    for name in os.listdir("/proc/self/fd"):
        if first <= int(name) <= last:
            with contextlib.suppress(OSError):
                os.close(int(name))
