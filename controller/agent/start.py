"""How keeper and agent are started: their command lines, detaching, and the locks that keep the keeper single.

The controller calls `start_keeper`; an agent whose keeper is gone calls `become_keeper`. The command line of both
roles is `python -I -m controller.agent ROLE STATE_AGENT_DIR`: isolated, so no folder or variable of a caller decides
which code runs.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import socket
import struct
import time
from typing import TYPE_CHECKING, NoReturn

from . import build, procfs
from .paths import sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .paths import AgentPaths

LOCK_WAIT_S = 5.0
STARTER_VARIABLE = "WORKERCTL_STARTED_BY"

_HANDED_ON = frozenset({
    "HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER", "XDG_RUNTIME_DIR",
})  # fmt: skip
_HANDED_ON_TOO = ("LC_", "WORKERCTL_FAIL")
_LOCK_RETRY_S = 0.05
_HOLDER = 64
_PEER = struct.Struct("3i")


def role_argv(role: str, state: str, *more: str) -> list[str]:
    """The command line of a role (`keeper` or `agent`) over the state folder of an agent."""
    return [*build.program(), role, state, *more]


def start_keeper(paths: AgentPaths) -> None:
    """Start a keeper that outlives the caller; harmless where one runs. Blocks for some 50 ms; threads are fine.

    Raises PathsError when the folders are not usable, OSError when no process can be started.
    """
    paths.prepare()
    argv = role_argv("keeper", paths.state, "--detach")
    own = os.getpid()
    environ = {**_handed_on(os.environ), STARTER_VARIABLE: f"{own}:{procfs.start_time(own)}"}
    pid = os.posix_spawn(argv[0], argv, environ)
    _, status = os.waitpid(pid, 0)
    if status:
        raise OSError(
            f"Cannot start the keeper: exit status {os.waitstatus_to_exitcode(status)}; see {paths.keeper_log}"
        )


def _handed_on(environ: Mapping[str, str]) -> dict[str, str]:
    """What keeper and agent need of the controller's environment: its secrets stay with it, and end with it."""
    return {name: value for name, value in environ.items() if name in _HANDED_ON or name.startswith(_HANDED_ON_TOO)}


def is_relative(pid: int) -> bool:
    """Whether it is the controller that started our keeper, or another keeper of its, which will find ours."""
    mark = os.environ.get(STARTER_VARIABLE, "")
    own, _, start_time = mark.partition(":")
    if not (own.isdecimal() and start_time.isdecimal()):
        return False
    if pid == int(own):
        return procfs.is_alive(procfs.Identity(pid, int(start_time)))
    return procfs.environ_value(pid, STARTER_VARIABLE.encode()) == mark.encode()


def become_keeper(paths: AgentPaths) -> NoReturn:
    """Replace this process by a fresh keeper. For an agent whose keeper is gone; descriptors must be close-on-exec."""
    argv = role_argv("keeper", paths.state)
    os.execv(argv[0], argv)  # noqa: S606 - no shell is the point


def detach(paths: AgentPaths) -> None:
    """Leave the caller's session, terminal and descriptors. The first process exits 0; the grandchild returns."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        log = open_log(paths)
    except OSError:
        log = null  # Without room for a log there is none.
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.chdir("/")


def open_log(paths: AgentPaths) -> int:
    """The log for appending."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(paths.keeper_log, flags, 0o600)


def take_locks(find_paths: Callable[[], AgentPaths], wait_s: float) -> tuple[AgentPaths, list[int]]:
    """The paths with all keeper locks held, for as long as this process lives. Raises BlockingIOError after `wait_s`.

    Two are files, of which both may be removed while a keeper holds them: before them comes a name in the kernel. The
    paths are found anew under the first file: a keeper that held it may have published another runtime folder.
    """
    deadline = time.monotonic() + wait_s
    paths = find_paths()
    paths.prepare()
    name = _take_name(paths.state, deadline)
    first = _lock(paths.keeper_locks[0], deadline)
    paths = find_paths()
    paths.prepare()
    second = _lock(paths.keeper_locks[1], deadline)
    # systemd-tmpfiles leaves a folder alone while somebody holds a lock on it.
    folder = os.open(paths.runtime, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with contextlib.suppress(OSError):
        fcntl.flock(folder, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return paths, [*name, first, second, folder]


def lock_holder(paths: AgentPaths) -> procfs.Identity | None:
    """Who last took the keeper's lock. It holds it still only if it is alive. None also for a copy of the file."""
    try:
        with open(paths.keeper_locks[0], encoding="ascii") as file:
            pid, start_time, *inode = map(int, file.read(100).split())
            if inode not in ([], [os.fstat(file.fileno()).st_ino]):
                return None
    except (OSError, ValueError):
        return None
    return procfs.Identity(pid, start_time)


def has_runs(paths: AgentPaths) -> bool:
    """Whether there is a record of any run, live or not yet reaped."""
    try:
        return any(name.endswith(".json") for name in os.listdir(paths.runs))
    except OSError:
        return False


def is_over(paths: AgentPaths) -> bool:
    """Whether everything was told to stop, and has."""
    return os.path.exists(f"{paths.state}/adjourned") and not has_runs(paths)


def _take_name(state: str, deadline: float) -> list[int]:
    """Hold the abstract socket of this state folder. Another user who sits on the name is not waited for."""
    name = f"\0workerctl-keeper-{sha256(os.fsencode(state))[:32]}"
    while True:
        holding = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            holding.bind(name)
            holding.listen(1)
        except OSError as error:
            holding.close()
            if error.errno != errno.EADDRINUSE or _holder_uid(name) not in (None, os.geteuid()):
                return []
            if time.monotonic() >= deadline:
                raise BlockingIOError(errno.EAGAIN, "another keeper lives") from None
        else:
            return [holding.detach()]
        select.select([], [], [], _LOCK_RETRY_S)


def _holder_uid(name: str) -> int | None:
    """Whose process holds the name; None where it cannot be asked, or has just gone."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        try:
            asking.connect(name)
        except OSError:
            return None
        return int(_PEER.unpack(asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))[1])


def _lock(path: str, deadline: float) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever removed or replaced the file meanwhile made this lock worthless.
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                # Over what is there, which takes no room. A lock counts without it: it is for messages.
                with contextlib.suppress(OSError):
                    holder = f"{os.getpid()} {procfs.start_time(os.getpid())} {os.fstat(descriptor).st_ino}\n"
                    os.pwrite(descriptor, holder.ljust(_HOLDER).encode(), 0)
                return descriptor
        except (BlockingIOError, FileNotFoundError):
            if time.monotonic() >= deadline:
                os.close(descriptor)
                raise
        os.close(descriptor)
        select.select([], [], [], _LOCK_RETRY_S)
