"""One child: forked, set up, and held back until its record exists. The keeper calls this; nobody else forks workers.

`fork_waiting` returns a child that has done all its setup and waits on its go-pipe. Only `release` lets it exec. When
the keeper dies first, the pipe ends and the child exits without having been anything: so a process that runs a
worker's code always has a record. The child tells a failed step through a close-on-exec pipe; the end of that pipe
without a word means that exec succeeded.

Between fork and exec the child runs plain calls only: no cleanup of the keeper's (always `os._exit`), no exception
that leaves `_become`. What a worker gets: session of its own, descriptors 0-2, default signals, empty mask, the
limits that the keeper was started with.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import re
import resource
import signal
from typing import TYPE_CHECKING, Any, NamedTuple

from .failpoints import failpoint

if TYPE_CHECKING:
    from collections.abc import Callable

HEADROOM = 16
"""Descriptors that are never given to long-lived use: a table that is full could not even stop a worker."""

MAX_RUN_ID = 64

_RUN_ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{MAX_RUN_ID - 1}}}")
_CLOSE_RANGE = 436  # the same number on every architecture
_PR_SET_CHILD_SUBREAPER = 36
_SHOWN = 300
_REPORT_LIMIT = 4096  # one atomic write to a pipe
_LAST_DESCRIPTOR = 2**31 - 1
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.ENODEV, errno.ETIMEDOUT)
_LOOK_ON = (*_NOT_THERE, errno.EACCES)
_LIBC = ctypes.CDLL(None, use_errno=True)

_VERBS = {
    "request": "Cannot read the request",
    "slot": "Cannot start",
    "fork": "Cannot fork",
    "record": "Cannot record the new process",
    "session": "Cannot start a new session",
    "stdin": "Cannot open /dev/null",
    "stdout": "Cannot open the output file {stdout}",
    "stderr": "Cannot open the error output file {stderr}",
    "descriptors": "Cannot close descriptors",
    "signals": "Cannot reset signals",
    "limits": "Cannot restore limits",
    "cwd": "Cannot change to directory {cwd}",
    "exec": "Cannot execute {argv0}",
}


class SpawnError(Exception):
    """A run that never ran its command. `stage` is a word of `_VERBS`."""

    def __init__(self, stage: str, number: int, message: str) -> None:
        super().__init__(message)
        self.stage = stage
        self.number = number
        self.message = message


class SpawnRequest(NamedTuple):
    """A checked `spawn`. Bytes are what the kernel gets: text was UTF-8 with escaped bytes, whatever the locale."""

    run: str
    slot: str
    argv: tuple[bytes, ...]
    env: dict[bytes, bytes]
    cwd: bytes
    umask: int
    stdout: bytes
    stderr: bytes

    @classmethod
    def parse(cls, header: dict[str, Any]) -> SpawnRequest:
        """Raises SpawnError (stage request) for anything that could not be executed as it stands."""
        try:
            run, slot, umask = header["run"], header["slot"], header["umask"]
            argv = tuple(map(_bytes, header["argv"]))
            env = {_bytes(name): _bytes(value) for name, value in header["env"].items()}
            cwd, stdout, stderr = (_bytes(header[name]) for name in ("cwd", "stdout", "stderr"))
            good = (
                argv
                and argv[0]
                and isinstance(slot, str)
                and type(umask) is int
                and 0 <= umask <= 0o777
                and is_run_id(run)
            )
            good = good and all(path.startswith(b"/") for path in (cwd, stdout, stderr))
            good = good and not any(b"=" in name or not name for name in env)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise failure("request", errno.EINVAL, f"{type(error).__name__} {error}") from None
        if not good:
            raise failure("request", errno.EINVAL, "a field is empty, not absolute or out of range")
        # The token by which stray descendants are known is ours to set.
        env[b"WORKER_RUN"] = run.encode()
        return cls(run, slot, argv, env, cwd, umask, stdout, stderr)


class ChildSetup(NamedTuple):
    """What children get back that the keeper changed: signals to reset, RLIMIT_NOFILE as it was."""

    signals: tuple[signal.Signals, ...]
    nofile: tuple[int, int]


class Child(NamedTuple):
    """A forked child that waits. `go` and `errors` are the keeper's pipe ends, `errors` without blocking."""

    pid: int
    pidfd: int
    go: int
    errors: int


def is_run_id(text: object) -> bool:
    """Whether it may name a run: it becomes a file name and a variable's value."""
    return isinstance(text, str) and _RUN_ID.fullmatch(text) is not None


def failure(stage: str, number: int, detail: str = "", **names: object) -> SpawnError:
    """A SpawnError whose message says what could not be done and why."""
    # A command may be megabytes long; what says that it failed need not be.
    shown = {name: str(value)[:_SHOWN] for name, value in names.items()}
    verb = _VERBS.get(stage, f"Cannot pass step {stage}").format_map(_Named(shown))
    return SpawnError(stage, number, f"{verb}: {detail or os.strerror(number)}")


def fork_waiting(request: SpawnRequest, setup: ChildSetup) -> Child:
    """Fork a child that sets itself up and waits. Raises SpawnError (stage fork) without leaving anything behind."""
    with contextlib.ExitStack() as undo:
        try:
            go_read, go_write = _pipe(undo)
            errors_read, errors_write = _pipe(undo)
            pid = os.fork()
        except OSError as error:
            raise failure("fork", error.errno or errno.EIO) from None
        if pid == 0:
            _become(request, setup, go_read, errors_write)
        for descriptor in (go_read, errors_write):
            os.close(descriptor)
        undo.pop_all()
    # The two ends just closed leave room for the pidfd; only a table that is full system-wide can refuse it.
    pidfd = -1
    try:
        os.set_blocking(errors_read, False)
        pidfd = os.pidfd_open(pid)
        refused = 0 if pidfd < descriptor_limit() - HEADROOM else errno.EMFILE
    except OSError as error:
        refused = error.errno or errno.EIO
    child = Child(pid, pidfd, go_write, errors_read)
    if refused:
        abandon(child)
        raise failure("fork", refused)
    return child


def descriptor_limit() -> int:
    """How many descriptors this process may have now."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return _LAST_DESCRIPTOR if soft == resource.RLIM_INFINITY else soft


def release(child: Child) -> None:
    """Let it exec. A child that failed in its setup is gone already: its report says so."""
    try:
        os.write(child.go, b"\n")
    except BrokenPipeError:
        pass
    finally:
        os.close(child.go)


def abandon(child: Child) -> None:
    """Give up a child that was never released. It is killed; the sweep of strays reaps it. Never blocks."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(child.pid, signal.SIGKILL)  # unreaped, so the pid is its own
    for descriptor in (child.go, child.errors, child.pidfd):
        if descriptor >= 0:
            os.close(descriptor)


def read_report(errors: int, request: SpawnRequest) -> SpawnError | None:
    """What the child's error pipe says: None at its end (exec succeeded). Raises BlockingIOError while undecided."""
    data = os.read(errors, _REPORT_LIMIT)
    if not data:
        return None
    report = json.loads(data)
    path, number, stage = report["path"], report["errno"], report["stage"]
    names = {name: os.fsdecode(getattr(request, name)) for name in ("cwd", "stdout", "stderr")}
    detail = ""
    if stage == "exec" and number == errno.ENOENT:
        detail = f"{path} is there, but the interpreter it names is not" if path else "command not found"
    return failure(stage, number, detail, argv0=path or os.fsdecode(request.argv[0]), **names)


def close_from(lowest: int) -> None:
    """Close all descriptors from `lowest` on."""
    _close_range(lowest, _LAST_DESCRIPTOR)


def become_subreaper() -> bool:
    """Get orphaned descendants as own children. False where the kernel refuses."""
    return bool(_LIBC.prctl(_PR_SET_CHILD_SUBREAPER, *map(ctypes.c_ulong, (1, 0, 0, 0))) == 0)


def reset_signals(signals: tuple[signal.Signals, ...]) -> None:
    """Default action for `signals`, and none blocked."""
    for number in signals:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


class _Named(dict[str, object]):
    def __missing__(self, key: str) -> str:
        return key


def _bytes(text: str) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    if b"\0" in data:
        raise ValueError("holds a zero byte")
    return data


def _pipe(undo: contextlib.ExitStack) -> tuple[int, int]:
    ends = os.pipe()
    for descriptor in ends:
        undo.callback(os.close, descriptor)
    return ends


def _become(request: SpawnRequest, setup: ChildSetup, go: int, errors: int) -> None:
    """The child's whole life until exec. Never returns."""
    stage, path = "session", ""
    try:
        steps: tuple[tuple[str, Callable[[], object]], ...] = (
            ("session", os.setsid),
            ("stdin", lambda: os.dup2(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC), 0)),
            ("stdout", lambda: os.dup2(_output(request.stdout), 1)),
            ("stderr", lambda: os.dup2(_output(request.stderr), 2)),
            ("descriptors", lambda: _close_all_but(go, errors)),
            ("signals", lambda: reset_signals(setup.signals)),
            ("limits", lambda: resource.setrlimit(resource.RLIMIT_NOFILE, setup.nofile)),
        )
        for name, step in steps:
            stage = name
            step()
        os.umask(request.umask)
        failpoint("keeper.child_before_wait")
        if not os.read(go, 1):
            os._exit(0)
        stage = "cwd"
        os.chdir(request.cwd)
        stage = "exec"
        failpoint("keeper.child_before_exec")
        _execute(request)
    except _ExecError as error:
        path = os.fsdecode(error.path)
        _report(errors, stage, error.number, path)
    except BaseException as error:
        # Whatever it is, it must not run the keeper's code in the child.
        _report(errors, stage, getattr(error, "errno", None) or errno.EINVAL, path)
    finally:
        os._exit(127)


def _report(errors: int, stage: str, number: int, path: str) -> None:
    data = json.dumps({"stage": stage, "errno": number, "path": path[:500]}).encode()
    # A reader that is gone means a keeper that is gone.
    with contextlib.suppress(OSError):
        os.write(errors, data)


def _output(path: bytes) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY
    return os.open(path, flags, 0o600)


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
        is_there = number not in _NOT_THERE or os.path.isfile(path)
        return _ExecError(path if is_there else b"", number)


def _close_all_but(*kept: int) -> None:
    lowest = 3
    for descriptor in sorted(kept):
        _close_range(lowest, descriptor - 1)
        lowest = descriptor + 1
    _close_range(lowest, _LAST_DESCRIPTOR)


def _close_range(first: int, last: int) -> None:
    """close_range(2), or one by one before Linux 5.9."""
    if first > last or _LIBC.syscall(*map(ctypes.c_long, (_CLOSE_RANGE, first, last, 0))) == 0:
        return
    for name in os.listdir("/proc/self/fd"):
        if first <= int(name) <= last:
            with contextlib.suppress(OSError):
                os.close(int(name))
