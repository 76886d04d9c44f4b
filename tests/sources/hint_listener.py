"""Somebody who listens to the hints on one directory: here, or in a process of its own that a namespace can be given.

As a program (`python -m tests.sources.hint_listener ROOT [UID]`) it prints `hint` for each hint and every
line of the log, and runs each line of its input as a shell command, in whatever namespaces it is, printing `done` then.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

import pytest

from controller.sources.watch import MOUNTINFO, Pace, hints

DEADLINE_S = 20.0
QUICK = Pace(poll_s=0.1, some_s=1.0, retry_s=0.02)


class Listening:
    """Hears hints. `hinted` waits for one."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.count = 0
        self._hint = asyncio.Event()

    async def run(self, root: Path, mountinfo: str) -> None:
        async for _ in hints(str(root), self.stop, mountinfo=mountinfo, pace=QUICK):
            self.count += 1
            self._hint.set()

    async def hinted(self, act: Callable[[], object] = lambda: None) -> None:
        """Acts once, and waits for a hint that came after it began to."""
        self._hint.clear()
        act()
        async with asyncio.timeout(DEADLINE_S):
            await self._hint.wait()

    async def until_quiet(self, seconds: float = 0.2) -> None:
        """Until no hint has come for a while."""
        async with asyncio.timeout(DEADLINE_S):
            while not await self.quiet(seconds):
                pass

    async def quiet(self, seconds: float) -> bool:
        """Whether no hint comes for a while."""
        self._hint.clear()
        try:
            await asyncio.wait_for(self._hint.wait(), seconds)
        except TimeoutError:
            return True
        return False


@asynccontextmanager
async def listening(root: Path, *, mountinfo: str = MOUNTINFO) -> AsyncIterator[Listening]:
    """Listens in this process. Where the directory is there, its watches stand when this returns."""
    listener = Listening()
    task = asyncio.create_task(listener.run(root, mountinfo))
    try:
        if await asyncio.to_thread(root.is_dir):
            await listener.hinted()
            await listener.until_quiet()
        yield listener
    finally:
        listener.stop.set()
        async with asyncio.timeout(DEADLINE_S):
            await task


class Apart:
    """A listener in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: Queue[str] = Queue()
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(line.rstrip("\n"))

    def end(self) -> None:
        """Ends the process, which must end well."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        code = self._process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        assert code == 0

    def until(self, wanted: str) -> list[str]:
        """All lines up to the first one that contains this."""
        told: list[str] = []
        end = time.monotonic() + DEADLINE_S
        while True:
            try:
                told.append(self._lines.get(timeout=max(0.0, end - time.monotonic())))
            except Empty:
                raise AssertionError(f"{wanted!r} was never told, but {told}") from None
            if wanted in told[-1]:
                return told

    def until_quiet(self, seconds: float = 0.25) -> list[str]:
        """All lines until none has come for a while."""
        told: list[str] = []
        while True:
            try:
                told.append(self._lines.get(timeout=seconds))
            except Empty:
                return told

    def do(self, command: str) -> list[str]:
        """Runs a command there, which must succeed; what was told from its beginning until all is quiet."""
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        told = self.until("done ")
        assert told.pop() == "done 0", told
        return told + self.until_quiet()

    def hinted(self, command: str) -> None:
        """The same, which must be a hint."""
        told = self.do(command)
        if "hint" not in told:
            self.until("hint")
            self.until_quiet()


def needs_namespaces(*flags: str) -> None:
    """Skips the test where the machine does not give these, unless CI demands it."""
    done = subprocess.run(["unshare", *flags, "true"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        assert not os.environ.get("CI"), f"CI must allow `unshare {' '.join(flags)}`: {done.stderr}"
        pytest.skip(f"`unshare {' '.join(flags)}` is not allowed here: {done.stderr.strip()}")


@contextmanager
def apart(root: Path, *prefix: str, uid: int | None = None) -> Iterator[Apart]:
    """Listens in a process that `prefix` starts and that becomes this user, and ends it."""
    command = [*prefix, sys.executable, "-m", "tests.sources.hint_listener", str(root)]
    command += [] if uid is None else [str(uid)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])}
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    listener = Apart(process)
    try:
        yield listener
    finally:
        listener.end()


async def _main(root: str, uids: list[int]) -> None:
    # A thread first: afterwards this Python may be out of reach.
    await asyncio.to_thread(int)
    for uid in uids:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    stop = asyncio.Event()

    async def listen() -> None:
        async for _ in hints(root, stop, pace=QUICK):
            print("hint", flush=True)

    task = asyncio.create_task(listen())
    while line := await asyncio.to_thread(sys.stdin.readline):
        done = await asyncio.to_thread(subprocess.run, ["/bin/sh", "-c", line], check=False)
        print("done", done.returncode, flush=True)
    stop.set()
    await task


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.INFO)
    asyncio.run(_main(sys.argv[1], [int(uid) for uid in sys.argv[2:]]))
