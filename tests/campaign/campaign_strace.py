"""One system call of one thread of ours, failed or killed: strace, attached from readiness on.

`injected` attaches to one thread and says afterwards whether the N-th call of the set was reached. Calls that change
files count, wherever the file is: those under the state directory are among them, and a kill at the others is a fault
as well. Threads are taken one by one, since strace counts per thread; the keeper's children are not followed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.e2e_processes import eventually

MUTATING = (
    "write", "pwrite64", "writev", "pwritev", "rename", "renameat", "renameat2", "unlink", "unlinkat", "fsync",
    "fdatasync", "ftruncate", "fallocate", "mkdir", "mkdirat", "rmdir", "link", "linkat", "symlink", "chmod", "fchmod",
)  # fmt: skip


@dataclass
class Injection:
    """What is to happen at the N-th call of a thread. `was_hit` is known after the context has ended."""

    thread: int
    number: int
    what: str
    was_hit: bool = False

    @property
    def rule(self) -> str:
        return f"inject={','.join(MUTATING)}:{self.what}:when={self.number}"


def threads(pid: int) -> list[int]:
    """All threads, the first one first."""
    return sorted(int(name) for name in os.listdir(f"/proc/{pid}/task"))


def traced_by(thread: int) -> int:
    """The pid of its tracer, 0 for none."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{thread}/status").read_text().splitlines():
            if line.startswith("TracerPid:"):
                return int(line.split()[1])
    return 0


@contextmanager
def counted(pid: int, log: Path) -> Iterator[dict[int, int]]:
    """How many such calls each thread makes while the block runs, by its place; filled in at the end."""
    found: dict[int, int] = {}
    there = threads(pid)
    chosen = [argument for thread in there for argument in ("-p", str(thread))]
    command = ["strace", "-qq", "-f", "-o", str(log), "-e", f"trace={','.join(MUTATING)}", *chosen]
    tracer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: all(traced_by(thread) == tracer.pid for thread in there), 20, told="strace is on")
        yield found
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(20)
    calls = Counter(int(line.split()[0]) for line in log.read_text(errors="replace").splitlines())
    found |= {place: calls[thread] for place, thread in enumerate(there) if calls[thread]}


@contextmanager
def injected(injection: Injection, log: Path) -> Iterator[None]:
    """Trace while the block runs."""
    command = ["strace", "-qq", "-o", str(log), "-p", str(injection.thread)]
    rules = ["-e", f"trace={','.join(MUTATING)}", "-e", injection.rule]
    tracer = subprocess.Popen([*command, *rules], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        eventually(
            lambda: traced_by(injection.thread) == tracer.pid or tracer.poll() is not None,
            20,
            told="strace is attached",
        )
        yield
    finally:
        if tracer.poll() is None:
            tracer.send_signal(signal.SIGINT)
        _, told = tracer.communicate(timeout=20)
        calls = log.read_text(errors="replace").splitlines() if log.exists() else []
        injection.was_hit = any("INJECTED" in line or "killed by SIGKILL" in line for line in calls)
        assert injection.was_hit or tracer.returncode in (0, -signal.SIGINT, 130), told.decode(errors="replace")
