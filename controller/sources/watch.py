"""Hints that the specs directory may have changed. Hints only: what changed, a scan finds out.

The application runs `hints` beside its loop and scans after each one; it scans every 30 s anyway, because a watcher may
lose events without a word. Beside the directory itself, the places are watched where a link on the way to it may be
flipped and where it may be replaced: inotify follows inodes, not names. A network file system reports nothing of what
others do, so it is polled. Any error of a watcher, and there are many, is a hint and a restart.

File names that a scan ignores give no hints: our own temporary files and lock files of git are among them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import AsyncIterator
from contextlib import suppress

from watchfiles import Change, awatch
from watchfiles._rust_notify import WatchfilesRustInternalError

from controller.sources.tree import is_ignored

logger = logging.getLogger(__name__)

DEBOUNCE_MS = 50
STEP_MS = 20
POLL_MS = 1000
FIRST_RETRY_S = 0.2
MAX_RETRY_S = 10.0
ERRORS_UNTIL_POLLING = 3

_NETWORK = re.compile(
    r"nfs\d?|cifs|smb\w*|9p|virtiofs|fuse(\..+)?|ceph|lustre|afs|gfs2|ocfs2|glusterfs|beegfs|gpfs|vboxsf|prl_fs|vmhgfs"
)


def file_system_type(path: str, mountinfo: str) -> str:
    """The type of the file system that `path` (absolute, without links) lies on, from the text of mountinfo."""
    best, found = "", ""
    for line in mountinfo.splitlines():
        before, separator, after = line.partition(" - ")
        fields = before.split(" ")
        if not separator or len(fields) < 5:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[4])
        is_above = path == point or path.startswith(point.rstrip("/") + "/")
        # Later mounts cover earlier ones at the same place.
        if is_above and len(point) >= len(best):
            best, found = point, after.split(" ")[0]
    return found


def must_poll(path: str, mountinfo: str) -> bool:
    """Whether changes at `path` by others are not reported by the kernel."""
    return _NETWORK.fullmatch(file_system_type(path, mountinfo)) is not None


def crossings(path: str) -> tuple[tuple[str, str], ...]:
    """(directory, name) of each place on the way to `path` where another directory could be put: links, and the end."""
    found: list[tuple[str, str]] = []
    folder = "/"
    parts = [part for part in os.path.abspath(path).split("/") if part]
    for position, part in enumerate(parts):
        if position == len(parts) - 1 or os.path.islink(os.path.join(folder, part)):
            found.append((os.path.realpath(folder), part))
        folder = os.path.join(folder, part)
    return tuple(found)


async def hints(root: str, stop: asyncio.Event) -> AsyncIterator[None]:
    """Yields once whenever the directory may have changed, until `stop` is set. `root` need not exist yet.

    Changes while the caller is busy give one hint. Watchers end before the generator does.
    """
    watcher = _Watcher(root, stop)
    task = asyncio.create_task(watcher.run())
    try:
        while await watcher.changed(task):
            yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class _Watcher:
    """Watches one root over all its lives."""

    def __init__(self, root: str, stop: asyncio.Event) -> None:
        self._root = os.path.abspath(root)
        self._stop = stop
        self._dirty = asyncio.Event()
        self._errors = 0

    async def changed(self, running: asyncio.Task[None]) -> bool:
        """Waits for a change; false when it is time to stop, or when `running` ended with a fault of ours."""
        waits = [asyncio.ensure_future(self._dirty.wait()), asyncio.ensure_future(self._stop.wait())]
        try:
            await asyncio.wait([*waits, running], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        self._dirty.clear()
        return not self._stop.is_set() and not running.done()

    async def run(self) -> None:
        """Watches until cancelled; each life ends when the root may be another directory, or with an error."""
        while not self._stop.is_set():
            exists = _is_directory(self._root)
            pause = await self._live_once() if exists else FIRST_RETRY_S
            if pause:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), pause)
            if not exists and _is_directory(self._root):
                self._dirty.set()

    async def _live_once(self) -> float:
        """Watches the root as it is now. Returns how long to wait before the next life, in seconds."""
        ended = asyncio.Event()
        watches = [asyncio.create_task(self._watch_inside(ended))]
        watches += [asyncio.create_task(self._watch_crossing(*place, ended)) for place in crossings(self._root)]
        try:
            done, _ = await asyncio.wait(watches, return_when=asyncio.FIRST_COMPLETED)
            error = next((task.exception() for task in done if task.exception() is not None), None)
        finally:
            ended.set()
            for task in watches:
                task.cancel()
            await asyncio.gather(*watches, return_exceptions=True)
        self._dirty.set()
        if error is None:
            self._errors = 0
            return 0.0
        if not _is_of_a_watcher(error):
            raise error
        self._errors += 1
        pause = min(MAX_RETRY_S, FIRST_RETRY_S * (1 << min(self._errors, 10)))
        logger.warning("watching the specs directory failed", extra={"error": str(error), "retry_s": pause})
        return pause

    async def _watch_inside(self, ended: asyncio.Event) -> None:
        real, polls = _target(self._root)
        async for _ in awatch(
            real,
            watch_filter=_is_of_interest,
            debounce=DEBOUNCE_MS,
            step=STEP_MS,
            stop_event=ended,
            force_polling=polls or self._errors >= ERRORS_UNTIL_POLLING,
            poll_delay_ms=POLL_MS,
        ):
            self._errors = 0
            self._dirty.set()

    async def _watch_crossing(self, folder: str, name: str, ended: asyncio.Event) -> None:
        """Ends when `name` in `folder` became another thing."""
        place = f"{folder.rstrip('/')}/{name}"
        before = _what_is(place)
        async for _ in awatch(
            folder,
            watch_filter=lambda _, path: path == place,
            debounce=DEBOUNCE_MS,
            step=STEP_MS,
            stop_event=ended,
            recursive=False,
            force_polling=_target(folder)[1],
            poll_delay_ms=POLL_MS,
        ):
            if _what_is(place) != before:
                return


def _is_of_a_watcher(error: BaseException) -> bool:
    """Whether a new watch may help; watchfiles wraps what its thread raises in a group."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_of_a_watcher(inner) for inner in error.exceptions)
    return isinstance(error, OSError | WatchfilesRustInternalError)


def _is_directory(path: str) -> bool:
    return os.path.isdir(path)


def _target(path: str) -> tuple[str, bool]:
    """The directory itself, links resolved, and whether it must be polled."""
    real = os.path.realpath(path)
    return real, must_poll(real, _mountinfo())


def _what_is(path: str) -> tuple[int, int, str]:
    try:
        status = os.lstat(path)
        return status.st_dev, status.st_ino, os.readlink(path) if os.path.islink(path) else ""
    except OSError:
        return 0, 0, ""


def _is_of_interest(_change: Change, path: str) -> bool:
    """Every file that a scan or an env file could need; a ConfigMap's `..data` is what flips in one."""
    name = os.path.basename(path)
    return name == "..data" or not is_ignored(name)


def _mountinfo() -> str:
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""
