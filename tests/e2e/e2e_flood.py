"""A writer at full speed, and the accounting of what became of its lines.

The writer is flood.c where there is a compiler, else the same in Python and slower. Each of its lines has 64 bytes and
tells its number, so it can be said of every byte what became of it: a line that is stored, or part of a gap.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.e2e.e2e_installation import Installation
from tests.e2e.e2e_processes import eventually, pause, processes_of

LINE = 64
FACTOR = 0x9E3779B97F4A7C15
SOURCE = Path(__file__).with_name("flood.c")

SLOW_WRITER = """
import os, sys, time
report, total, hold = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
number = written = failed = 0
longest, begin = 0.0, time.monotonic()
while written < total:
    block = b"".join(b"%016x %016x" % (n, n * 0x9E3779B97F4A7C15 % 2**64) + b"." * 30 + b"\\n"
                     for n in range(number, number + 1024))
    number += 1024
    at = 0
    while at < len(block):
        before = time.monotonic()
        try:
            at += os.write(1, block[at:])
        except OSError:
            failed += 1
            time.sleep(0.001)
        longest = max(longest, time.monotonic() - before)
    written += len(block)
with open(report + ".tmp", "w") as file:
    file.write(f"{written} {time.monotonic() - begin:.6f} {longest:.6f} {failed}\\n")
os.rename(report + ".tmp", report)
time.sleep(hold)
"""


@dataclass(frozen=True, slots=True)
class Report:
    """What a writer says of itself at its end, which was at `end` (seconds since the epoch)."""

    written: int
    seconds: float
    longest_write_s: float
    failed_writes: int
    end: float


def writer(folder: Path) -> list[str]:
    """The command of a writer, without its arguments REPORT TOTAL_BYTES HOLD_S."""
    compiler = shutil.which("cc")
    if compiler is None:
        return [sys.executable, "-c", SLOW_WRITER]
    program = folder / "flood"
    if not program.exists():
        subprocess.run([compiler, "-O2", "-o", str(program), str(SOURCE)], check=True, timeout=60)
    return [str(program)]


def report(path: Path, patience_s: float = 100) -> Report:
    """Wait for a writer to be done."""
    eventually(path.exists, patience_s, told=f"{path.name} is written")
    written, seconds, longest, failed = path.read_text().split()
    return Report(int(written), float(seconds), float(longest), int(failed), path.stat().st_mtime)


def database(state: Path) -> sqlite3.Connection:
    """The installation's, to read."""
    return sqlite3.connect(f"file:{state}/workerctl.db?mode=ro", uri=True, timeout=20)


def until_stored(state: Path, run: str, size: int, patience_s: float = 100) -> None:
    """Wait until a run's output is stored or recorded as missing up to `size`."""

    def offset() -> int:
        with database(state) as connection:
            query = "SELECT byte_offset FROM log_cursors WHERE run = ? AND stream = 'stdout'"
            found = connection.execute(query, (run,)).fetchone()
        connection.close()
        return int(found[0]) if found else 0

    eventually(lambda: offset() >= size, patience_s, told=f"{run} is stored up to {size}")


@dataclass(slots=True)
class Account:
    """What became of a run's bytes. `gaps`: bytes that are not stored, by reason."""

    lines: int = 0
    size: int = 0
    gaps: dict[str, int] = field(default_factory=dict)


def account(state: Path, run: str, *, unknown: str = "") -> Account:
    """Go through all rows of a run: each byte is in one line, or in one gap. AssertionError where that is not so.

    After a gap whose reason contains `unknown` nothing is held against the numbers of the lines.
    """
    told, shift = Account(), 0
    with database(state) as connection:
        query = "SELECT byte_offset, kind, text FROM worker_logs WHERE run = ? AND stream = 'stdout' ORDER BY id"
        rows = connection.execute(query, (run,)).fetchall()
    connection.close()
    for offset, kind, text in rows:
        if kind == "gap":
            found = re.match(
                r"(\d+) (bytes|lines) [a-z ]+: ([^;]*)(?:; they are bytes (\d+) to (\d+) of the file)?", text
            )
            assert found is not None, text
            size = int(found[1]) * (LINE if found[2] == "lines" else 1)
            assert found[4] is None or (int(found[4]), int(found[5])) == (offset, offset + size), (offset, text)
            told.gaps[found[3]] = told.gaps.get(found[3], 0) + size
            told.size += size
            shift = -1 if unknown and unknown in text else shift
            continue
        assert offset == told.size, f"{offset} after {told.size}: {text}"
        number = int(text[:16], 16)
        assert int(text[17:33], 16) == number * FACTOR % 2**64
        assert shift < 0 or number * LINE == offset
        told.lines += 1
        told.size += LINE
    return told


class Mounted(Installation):
    """Its log files are on a file system of their own, in a mount namespace that goes with its processes."""

    def __init__(self, options: str) -> None:
        super().__init__()
        self._options = options
        (self.state / "logs").mkdir(mode=0o700, parents=True)
        self.state.chmod(0o700)

    def serve_command(self, *flags: str) -> list[str]:
        script = f'mount {self._options} "$0" && chmod 0700 "$0" && exec "$@"'
        return [*UNSHARE, "sh", "-c", script, str(self.state / "logs"), *super().serve_command(*flags)]

    @property
    def logs(self) -> Path:
        """The folder, as the program sees it."""
        return Path(f"/proc/{self.pid_of('controller')}/root{self.state}/logs")


UNSHARE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]


def can_mount() -> bool:
    """Whether a tmpfs can be mounted here without harm to anybody."""
    command = [*UNSHARE, "mount", "-t", "tmpfs", "none", "/mnt"]
    try:
        return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode == 0
    except OSError:
        return False


ROLES = {"agent": "controller.agent agent", "controller": " serve "}


class Witness:
    """Looks on while others flood: how late a quiet worker's lines are stored, how large files and our processes get.

    The quiet worker prints the time, again and again. `logs` are the folders of those who flood. `read`: when its lines
    were printed, and when they could be read from the API.
    """

    QUIET = "import time\nwhile True:\n    print(repr(time.time()))\n    time.sleep(0.05)"

    def __init__(self, site: Installation, quiet: str, logs: list[Path]) -> None:
        self.late: list[float] = []
        self.read: list[tuple[float, float]] = []
        self.blocks = 0
        self.resident: dict[str, int] = {}
        self._site, self._quiet, self._logs = site, quiet, logs
        self._cursor = ""
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look_on)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _look_on(self) -> None:
        connection, last = database(self._site.state), 0
        rounds = 0
        while not self._is_over.is_set():
            pause(0.02)
            query = "SELECT id, text FROM worker_logs WHERE worker_id = ? AND kind = 'line' AND id > ? ORDER BY id"
            for row, text in connection.execute(query, (self._quiet, last)).fetchall():
                last = row
                self.late.append(time.time() - float(text))
            for path in (path for folder in self._logs for path in folder.glob("*/*.stdout")):
                with contextlib.suppress(OSError):
                    self.blocks = max(self.blocks, path.stat().st_blocks * 512)
            rounds += 1
            if rounds % 10 == 1:
                self._weigh()
            if rounds % 5 == 1:
                self._read()
        connection.close()

    def _read(self) -> None:
        """Ask the API as a follower without streams does."""
        after = f"after={self._cursor}" if self._cursor else "tail=1"
        with contextlib.suppress(OSError, http.client.HTTPException):
            answer = self._site.ask(f"/api/v1/workers/{self._quiet}/logs?{after}")
            if answer.status == 200:
                self._cursor = answer.body["next_cursor"]
                self.read += [
                    (float(one["text"]), time.time()) for one in answer.body["items"] if one["kind"] == "line"
                ]

    def _weigh(self) -> None:
        for one in processes_of(str(self._site.state)):
            role = next((role for role, words in ROLES.items() if words in one.command), "others")
            with contextlib.suppress(OSError):
                pages = int(Path(f"/proc/{one.pid}/statm").read_text().split()[1])
                self.resident[role] = max(self.resident.get(role, 0), pages * 4096)
