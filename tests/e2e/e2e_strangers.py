"""Strangers on the pids of the dead: what a host that has gone on for long, or was rebooted, has in the end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.e2e_processes import eventually

PROGRAM = str(Path(__file__).with_name("stranger.py"))


@contextmanager
def strangers(pids: Iterable[int]) -> Iterator[list[int]]:
    """Processes with these pids while the block runs. The list is filled at its end: those that somebody ended."""
    harmed: list[int] = []
    wanted = list(pids)
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in wanted), told=f"{wanted} are free")
    command = [sys.executable, "-I", "-S", PROGRAM, *map(str, wanted)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n", "see the error of stranger.py"
        try:
            yield harmed
        finally:
            told, _ = process.communicate("", timeout=60)
            harmed += map(int, told.split())
