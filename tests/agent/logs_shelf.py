"""What the tests of log files share: logs over a folder, waiting, and writing."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from controller.agent.log_state import TRUNCATED
from controller.agent.logs import Limits, Logs

CUT = TRUNCATED
LIMITS = Limits(max_bytes=64 * 1024, archives=2)


class Worker:
    """`cat`, with a log file as its output, as the keeper's child opens it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        self._process = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=descriptor)
        self.descriptor = descriptor

    def say(self, text: bytes) -> None:
        """Print; returns when it is written."""
        before = os.fstat(self.descriptor).st_size
        assert self._process.stdin is not None
        self._process.stdin.write(text)
        self._process.stdin.flush()
        deadline = time.monotonic() + 10
        while os.fstat(self.descriptor).st_size < before + len(text):
            assert time.monotonic() < deadline

    def blocks(self) -> int:
        """Bytes of the disk that its file takes, wherever that is."""
        return os.fstat(self.descriptor).st_blocks * 512

    def end(self) -> None:
        """It exits."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(10)
        os.close(self.descriptor)


class Shelf:
    """Logs over a folder; `slots` are those that exist."""

    def __init__(self, folder: Path, limits: Limits = LIMITS) -> None:
        self.folder = folder
        self.limits = limits
        self.pushes: list[dict[str, Any]] = []
        self.told: list[tuple[str, str | None]] = []
        self.slots = {"web/0"}
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        self.logs = self._open()

    def _open(self) -> Logs:
        logs = Logs(str(self.folder / "logs"), str(self.folder / "index"), self.pushes.append, self._tell)
        logs.load(lambda slot: self.limits if slot in self.slots else None)
        return logs

    def _tell(self, kind: str, _message: str, data: dict[str, Any]) -> None:
        self.told.append((kind, data.get("run")))

    def run(self, name: str, content: bytes = b"") -> Path:
        """A run begins and has written something."""
        stdout, stderr = map(Path, self.logs.open_run("web/0", name))
        for path in (stdout, stderr):
            path.write_bytes(b"")
        write(stdout, content)
        return stdout

    def worker(self, name: str) -> Worker:
        """A run begins: a process of its own that prints what it is told to."""
        stdout, stderr = map(Path, self.logs.open_run("web/0", name))
        stderr.write_bytes(b"")
        return Worker(stdout)

    def reopen(self, *live: str) -> None:
        """The agent was killed and starts again."""
        self.logs.close()
        self.logs = self._open()
        self.logs.resume([("web/0", run) for run in live])

    def read(self, run: str, offset: int = 0, limit: int = 1 << 20) -> tuple[int, bytes, dict[str, Any] | None]:
        answer, data = self.logs.read(run, "stdout", offset, limit)
        return answer["offset"], data, answer.get("gap")

    def names(self) -> list[str]:
        return sorted(str(path.relative_to(self.folder / "logs")) for path in (self.folder / "logs").rglob("*.std*"))


def write(path: Path, content: bytes) -> None:
    with path.open("ab") as file:
        file.write(content)


async def until(look: Callable[[], object]) -> None:
    deadline = asyncio.get_running_loop().time() + 10.0
    while not look():
        assert asyncio.get_running_loop().time() < deadline, "it never came about"
        await asyncio.sleep(0.005)
