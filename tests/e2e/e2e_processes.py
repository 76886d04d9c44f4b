"""What /proc and the canaries' journals say: the truth that the tests hold the program's words against.

Read-only but for `end`, which kills by pid, and only what names the folder of the test that asks.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

PATIENCE_S = 30.0
T = TypeVar("T")


def pause(seconds: float) -> None:
    """Let others run, inside a wait with a deadline."""
    one, other = socket.socketpair()
    with one, other:
        select.select([one], [], [], seconds)


def eventually(look: Callable[[], T | None], patience_s: float = PATIENCE_S, *, told: str = "") -> T:
    """What `look` returns, once it is true. AssertionError at the deadline, with the last thing seen."""
    deadline = time.monotonic() + patience_s
    rest = 0.01
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {patience_s:g} s: {told or look}; last seen: {found!r}"
        pause(rest)
        rest = min(0.1, rest * 1.3)


@dataclass(frozen=True, slots=True, order=True)
class Process:
    """A live process: who it is beyond its pid, and what it runs."""

    pid: int
    start_time: int
    parent: int
    session: int
    command: str
    environ: str

    @property
    def is_alive(self) -> bool:
        now = process(self.pid)
        return now is not None and now.start_time == self.start_time


def process(pid: int) -> Process | None:
    """None for what is gone, a zombie, or not readable."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        environ = Path(f"/proc/{pid}/environ").read_bytes().replace(b"\0", b"\n").decode(errors="replace")
    except OSError:
        return None
    if stat[0] in (b"Z", b"X"):
        return None
    return Process(pid, int(stat[19]), int(stat[1]), int(stat[3]), command, environ)


def processes_of(folder: str) -> list[Process]:
    """All live processes whose command line or environment names `folder`."""
    found = []
    for name in os.listdir("/proc"):
        one = process(int(name)) if name.isdigit() and int(name) != os.getpid() else None
        if one is not None and (folder in one.command or folder in one.environ):
            found.append(one)
    return sorted(found)


def end(one: Process) -> None:
    """Kill it for good, if it still is who it was."""
    if one.is_alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one.pid, signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Start:
    """One life of a canary. `at` in CLOCK_MONOTONIC seconds, as all times here."""

    at: float
    pid: int
    start_time: int
    mark: str
    run: str

    @property
    def is_alive(self) -> bool:
        now = process(self.pid)
        return now is not None and now.start_time == self.start_time


@dataclass(frozen=True, slots=True)
class Journal:
    """What a slot's canaries wrote: their lives, what reached them, and whether two met."""

    starts: tuple[Start, ...] = ()
    signals: tuple[tuple[float, int], ...] = ()
    exits: tuple[tuple[float, int], ...] = ()
    children: tuple[int, ...] = ()
    doubles: int = 0

    @property
    def marks(self) -> list[str]:
        return [start.mark for start in self.starts]

    @property
    def pids(self) -> list[int]:
        return [start.pid for start in self.starts]


def journal(path: Path) -> Journal:
    """The journal as far as it is written; empty where there is none yet."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return Journal()
    rows = [line.split(" ") for line in text.split("\n")[:-1]]
    return Journal(
        starts=tuple(Start(float(r[0]), int(r[2]), int(r[3]), r[4], r[5]) for r in rows if r[1] == "start"),
        signals=tuple((float(row[0]), int(row[2])) for row in rows if row[1] == "signal"),
        exits=tuple((float(row[0]), int(row[2])) for row in rows if row[1] == "exit"),
        children=tuple(int(row[2]) for row in rows if row[1] == "child"),
        doubles=sum(row[1] == "double" for row in rows),
    )
