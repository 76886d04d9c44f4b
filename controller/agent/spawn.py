"""One child: forked, set up, and held back until its record exists. The keeper calls this; nobody else forks workers.

`fork_waiting` returns a child that has done all its setup and waits on its go-pipe. Only `release` lets it exec. When
the keeper dies first, the pipe ends and the child exits without having been anything: so a process that runs a
worker's code always has a record. The child tells a failed step through a close-on-exec pipe; the end of that pipe
without a word means that exec succeeded.

The child's side is `child`; what a worker's user takes, `credentials`.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import signal
from typing import NamedTuple

from .child import LAST_DESCRIPTOR, ChildSetup, become
from .request import SpawnError, SpawnRequest, failure

HEADROOM = 16
"""Descriptors that are never given to long-lived use: a table that is full could not even stop a worker."""

_REPORT_LIMIT = 4096  # one atomic write to a pipe


class Child(NamedTuple):
    """A forked child that waits. `go` and `errors` are the keeper's pipe ends, `errors` without blocking."""

    pid: int
    pidfd: int
    go: int
    errors: int


def fork_waiting(request: SpawnRequest, setup: ChildSetup) -> Child:
    """Fork a child that sets itself up and waits. Raises SpawnError (stage fork) without leaving anything behind."""
    ends: list[int] = []
    try:
        ends += os.pipe()
        ends += os.pipe()
        go_read, go_write, errors_read, errors_write = ends
        pid = os.fork()
    except OSError as error:
        for descriptor in ends:
            os.close(descriptor)
        raise failure("fork", error.errno or errno.EIO) from None
    if pid == 0:
        become(request, setup, go_read, errors_write)
    os.close(go_read)
    os.close(errors_write)
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
    return LAST_DESCRIPTOR if soft == resource.RLIM_INFINITY else soft


def release(child: Child) -> None:
    """Let it exec. A child that failed in its setup is gone already: its report says so.

    Raises OSError where the kernel cannot take the word now. The child waits on, and is to be abandoned: at the end of
    its pipe it would leave with 0, as if it had run.
    """
    with contextlib.suppress(BrokenPipeError):
        os.write(child.go, b"\n")
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
    names: dict[str, object] = {name: os.fsdecode(getattr(request, name)) for name in ("cwd", "stdout", "stderr")}
    names.update(cgroup=request.cgroup, nofile=request.nofile, nice=request.nice)
    if request.credentials is not None:
        names.update(uid=request.credentials.uid, gid=request.credentials.gid)
    detail = ""
    if stage == "exec" and number == errno.ENOENT:
        detail = f"{path} is there, but the interpreter it names is not" if path else "command not found"
    return failure(stage, number, detail, argv0=path or os.fsdecode(request.argv[0]), **names)
