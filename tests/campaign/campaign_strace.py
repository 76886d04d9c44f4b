"""One system call of a process of ours, failed or killed: strace, attached to all its threads from readiness on.

`injected` says afterwards whether the N-th call of a kind was reached. strace counts per thread, so that is the first
thread to make its N-th such call. Calls that change files count, wherever the file is: those under the state directory
are among them, and a kill at the others is a fault as well. New threads are followed; the keeper's children are not.
"""

from __future__ import annotations

import contextlib
import os
import re
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


CALL = re.compile(r"(?P<thread>\d+) +(?P<name>\w+)\(")


@dataclass
class Injection:
    """What is to happen at the N-th call of a kind. `was_hit` is known after the context has ended."""

    role: str
    call: str
    number: int
    what: str
    was_hit: bool = False

    def __str__(self) -> str:
        return f"{self.what} at {self.call} number {self.number} of the {self.role}"


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
def _traced(role: str, pid: int, log: Path, *rules: str) -> Iterator[None]:
    there = threads(pid)
    chosen = [argument for thread in there for argument in ("-p", str(thread))]
    follow = [] if role == "keeper" else ["-f"]
    command = ["strace", "-qq", *follow, "-o", str(log), *rules, *chosen]
    log.unlink(missing_ok=True)
    tracer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        eventually(lambda: tracer.poll() is not None or _is_traced(there, tracer.pid), 20, told="strace is on")
        yield
    finally:
        if tracer.poll() is None:
            tracer.send_signal(signal.SIGINT)
        try:
            _, told = tracer.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            tracer.kill()  # it waits for threads of a process that was killed under it
            _, told = tracer.communicate(timeout=20)
    assert (log.exists() and log.stat().st_size) or tracer.returncode in (0, -2, -9, 130), told.decode()


def _is_traced(there: list[int], tracer: int) -> bool:
    return all(traced_by(thread) == tracer for thread in there if Path(f"/proc/{thread}").exists())


@contextmanager
def counted(role: str, pid: int, log: Path) -> Iterator[dict[str, int]]:
    """How often each such call is made by one thread at most while the block runs; filled in at the end."""
    found: dict[str, int] = {}
    with _traced(role, pid, log, "-e", f"trace={','.join(MUTATING)}"):
        yield found
    per_thread: Counter[tuple[str, str]] = Counter()
    for line in log.read_text(errors="replace").splitlines():
        call = CALL.match(line) or CALL.match(f"0 {line}")  # without -f there is no thread in front
        if call is not None:
            per_thread[call["thread"], call["name"]] += 1
    for (_, name), count in per_thread.items():
        found[name] = max(count, found.get(name, 0))


@contextmanager
def injected(injection: Injection, pid: int, log: Path) -> Iterator[None]:
    """Trace while the block runs."""
    rule = f"inject={injection.call}:{injection.what}:when={injection.number}"
    try:
        with _traced(injection.role, pid, log, "-e", f"trace={injection.call}", "-e", rule):
            yield
    finally:
        told = log.read_text(errors="replace") if log.exists() else ""
        injection.was_hit = "INJECTED" in told or "killed by SIGKILL" in told
