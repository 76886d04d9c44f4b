"""Durable files, off the path: what is handed over is on the disk when `flushed` returns, not before.

Used for records, marks and the journal. One thread writes and fsyncs in groups: while one group is on its way, the
next one gathers, so a burst of a thousand changes costs few waits. A file is replaced as a whole (temporary file,
fsync, rename, fsync of the directory): after a power cut there is the old content or the new one, never a torn one.

A disk that is full or broken does not stop supervision: the group is kept and tried again, those who wait for it get
the error, `failure` says so to people. Newest content wins, so the backlog is bounded by the number of files.

A folder that was removed under us is made anew, and `on_lost` is called: who remembers what else was in it writes it
again (footing.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Optional

RETRY_S = 1.0


@dataclass
class _Group:
    """What is to become durable together. A `None` content removes the file."""

    contents: dict[str, Optional[bytes]] = field(default_factory=dict)
    appended: dict[str, None] = field(default_factory=dict)
    callbacks: list[Callable[[], None]] = field(default_factory=list)
    waiters: list[asyncio.Future[None]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.contents or self.appended or self.callbacks)


class Flusher:
    """One per agent. All methods are called in the event loop's thread."""

    def __init__(self) -> None:
        self.failure = ""
        self.on_lost: Callable[[], None] = lambda: None
        self._pending = _Group()
        self._flying: Optional[_Group] = None
        self._task: Optional[asyncio.Task[None]] = None
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="flusher")

    def replace(self, path: str, content: bytes) -> None:
        """`path` will hold `content`."""
        self._pending.contents[path] = content
        self._start()

    def remove(self, path: str) -> None:
        """`path` will be gone."""
        self._pending.contents[path] = None
        self._start()

    def sync(self, path: str, callback: Callable[[], None]) -> None:
        """What was appended to `path` will be durable; then, or when that failed, `callback` is called."""
        self._pending.appended[path] = None
        self._pending.callbacks.append(callback)
        self._start()

    async def flushed(self) -> None:
        """Return when everything handed over so far is durable. Raises OSError where it cannot be now."""
        group = self._pending or self._flying
        if group is None:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        group.waiters.append(waiter)
        await waiter

    async def close(self) -> None:
        """Flush what is left, once, and end the thread."""
        with contextlib.suppress(OSError):
            await self.flushed()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._pool.shutdown(wait=True)

    def _start(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._pending:
            group, self._pending = self._pending, _Group()
            self._flying = group
            done = await loop.run_in_executor(self._pool, _write, dict(group.contents), tuple(group.appended))
            failed, has_lost = done
            self._flying = None
            if has_lost:
                self.on_lost()
            self._settle(group, failed)
            if failed:
                # Due again, together with what came meanwhile; a newer content of the same file wins.
                for path in failed:
                    self._pending.contents.setdefault(path, group.contents[path])
                await asyncio.sleep(RETRY_S)

    def _settle(self, group: _Group, failed: dict[str, OSError]) -> None:
        error = next(iter(failed.values()), None)
        self.failure = f"cannot write {next(iter(failed))}: {error}" if error is not None else ""
        for waiter in group.waiters:
            if waiter.done():
                continue
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(OSError(error.errno, self.failure))
        for callback in group.callbacks:
            callback()


def _write(
    contents: dict[str, Optional[bytes]], appended: tuple[str, ...]
) -> tuple[dict[str, OSError], bool]:  # fmt: skip
    """In the thread. The files that could not be replaced (appended ones are only tried), and if a folder was gone."""
    failed: dict[str, OSError] = {}
    folders: dict[str, list[str]] = {}
    lost = {folder for folder in map(os.path.dirname, contents) if not os.path.isdir(folder)}
    for path, content in contents.items():
        try:
            if os.path.dirname(path) in lost:
                os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            if content is None:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
            else:
                replace_file(path, content, sync=True)
            folders.setdefault(os.path.dirname(path), []).append(path)
        except OSError as error:
            failed[path] = error
    for path in appended:
        with contextlib.suppress(OSError):
            _sync(path)
    for folder, paths in folders.items():
        try:
            _sync(folder)
        except OSError as error:
            failed.update(dict.fromkeys(paths, error))
    return failed, bool(lost)


def replace_file(path: str, content: bytes, *, sync: bool) -> None:
    """Replace a file as a whole; without `sync` it survives our death, not that of the host."""
    temporary = path + ".tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, path)


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
