"""Hints that the specs directory may have changed. Hints only: what changed, a scan finds out.

The application runs `hints` beside its loop and scans after each one; it scans every 30 s anyway. The kernel is asked
to tell (watched_tree.py), and while it has nothing to tell, nothing runs here. It also tells when something is mounted
on the way or taken away, which inotify alone would sleep through. Where the kernel does not know of changes, on network
file systems, or has no watches left to give, the directory is looked at every second, less often where that takes
long. When its queue overflowed, or when anything failed, all watches are made anew; both are hints.

A name that may be an env file may as well be what a worker writes all day: such names give a hint at once, and then one
in five seconds at most.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import select
import stat
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

from controller.sources.mounts import Mount, concerning, silent_type
from controller.sources.watched_tree import Interest, News, Thing, WatchedTree, crossings, folders_of, what_is

logger = logging.getLogger(__name__)

POLL_SHARE = 20.0
"""A look that takes 0.2 s is not taken more often than every 4 s."""
POLL_AGAIN_S = 300.0
"""How long the lack of watches is believed."""
MISSING_S = 0.2
BETWEEN_S = 0.02
MAX_RETRY_S = 10.0
ERRORS_UNTIL_POLLING = 3
MOUNTINFO = "/proc/self/mountinfo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """`poll_s`: between two looks. `some_s`: between two hints on names that may be anything. `retry_s`: the first."""

    poll_s: float = 1.0
    some_s: float = 5.0
    retry_s: float = 0.2


_LIMITS = {
    errno.ENOSPC: "no inotify watch is left to have (raise fs.inotify.max_user_watches)",
    errno.EMFILE: "no inotify instance is left to have (raise fs.inotify.max_user_instances or the open files limit)",
    errno.ENFILE: "the system has no file descriptors left",
    errno.ENOSYS: "this kernel has no inotify",
}

Picture = tuple[tuple[Thing, ...], dict[str, tuple[int, ...]]]
"""What the places on the way are, and the identity of each file by its path."""


async def hints(
    root: str, stop: asyncio.Event, *, mountinfo: str = MOUNTINFO, pace: Pace = Pace()
) -> AsyncIterator[None]:
    """Yields once whenever the directory may have changed, until `stop` is set. `root` need not exist yet.

    Changes while the caller is busy give one hint. All watches end before the generator does. `mountinfo`: the kernel's
    table of mounts.
    """
    watcher = _Watcher(root, stop, mountinfo, pace)
    task = asyncio.create_task(watcher.run())
    try:
        while await watcher.changed():
            yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class _Watcher:
    """Watches one root over all its lives."""

    def __init__(self, root: str, stop: asyncio.Event, mountinfo: str, pace: Pace) -> None:
        self._root = os.path.abspath(root)
        self._stop = stop
        self._mountinfo = mountinfo
        self._pace = pace
        self._dirty = asyncio.Event()
        self._errors = 0
        self._polls_until = 0.0
        self._told = ""
        self._some_at = 0.0
        self._is_some_due = False

    async def changed(self) -> bool:
        """Waits for a change; false when it is time to stop."""
        waits = [asyncio.ensure_future(self._dirty.wait()), asyncio.ensure_future(self._stop.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        self._dirty.clear()
        return not self._stop.is_set()

    async def run(self) -> None:
        """Watches until cancelled; each life ends when the watches may stand on another directory, or with an error."""
        while not self._stop.is_set():
            pause = BETWEEN_S
            try:
                await self._live_once()
            except OSError as error:
                pause = self._failed(error)
            except Exception as error:  # whatever it is, the next life may see more, and a scan looks anyway
                logger.exception("internal error: watching the specs directory failed")
                pause = self._failed(error)
            self._dirty.set()
            await self._rest(pause)

    def _failed(self, error: Exception) -> float:
        """Notes why a life ended; how long to wait before the next one, in seconds."""
        now = asyncio.get_running_loop().time()
        why = _LIMITS.get(error.errno or 0) if isinstance(error, OSError) else None
        if why is not None:
            self._polls_until = now + POLL_AGAIN_S
            self._tell(why)
            return BETWEEN_S
        self._errors += 1
        pause = min(MAX_RETRY_S, self._pace.retry_s * (1 << min(self._errors, 10)))
        logger.warning("watching the specs directory failed", extra={"fields": {"error": str(error), "retry_s": pause}})
        if self._errors >= ERRORS_UNTIL_POLLING:
            self._polls_until = now + POLL_AGAIN_S
            self._tell("watching failed again and again")
        return pause

    def _tell(self, why: str) -> None:
        """Says once why the directory is looked at; and once when it no longer has to be."""
        if why and why != self._told:
            logger.warning("the specs directory is looked at every %g s: %s", self._pace.poll_s, why)
        elif self._told and not why:
            logger.info("the specs directory is watched again")
        self._told = why

    async def _live_once(self) -> None:
        """Watches, or looks at, the root as it is now."""
        place = await self._place()
        if place is None:
            while await self._place() is None and not self._stop.is_set():
                await self._rest(MISSING_S)
        elif place.silent:
            self._tell(f"it is on {place.silent}, where changes by others are not reported")
            await self._look_on(float("inf"))
        elif self._polls_until > asyncio.get_running_loop().time():
            await self._look_on(self._polls_until)
        else:
            await self._listen(place)

    async def _place(self) -> _Place | None:
        return await asyncio.to_thread(_place, self._root, self._mountinfo)

    async def _rest(self, seconds: float) -> None:
        """Waits, but no longer than until it is time to stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()

    async def _listen(self, place: _Place) -> None:
        """Until the watches have to be made anew."""
        ear = _Ear(WatchedTree(self._root), self._mountinfo)
        try:
            await asyncio.to_thread(ear.tree.cover_all)
            self._tell("")
            self._dirty.set()  # what changed before the watches stood
            while await self._is_whole(ear.tree, await ear.heard(), place):
                self._errors = 0
        finally:
            ear.close()

    async def _is_whole(self, tree: WatchedTree, news: News, place: _Place) -> bool:
        """Deals with news; false when the watches no longer stand on all there is."""
        if news.mounted:
            news.again |= await self._place() != place
        for folder in sorted(news.folders):
            await asyncio.to_thread(tree.cover, folder)
        if news.worth is Interest.ALL:
            self._dirty.set()
        elif news.worth is Interest.SOME:
            self._hint_some()
        return not news.again

    def _hint_some(self) -> None:
        """At once, or as soon as the last such hint is old enough."""
        loop = asyncio.get_running_loop()
        if loop.time() >= self._some_at:
            self._some_at = loop.time() + self._pace.some_s
            self._dirty.set()
        elif not self._is_some_due:
            self._is_some_due = True
            loop.call_at(self._some_at, self._some_is_due)

    def _some_is_due(self) -> None:
        self._is_some_due = False
        self._some_at = asyncio.get_running_loop().time() + self._pace.some_s
        self._dirty.set()

    async def _look_on(self, until: float) -> None:
        """Looks again and again, until a time of the event loop, or until the root is another directory."""
        loop = asyncio.get_running_loop()
        before = await asyncio.to_thread(_picture, self._root)
        self._dirty.set()
        pause = self._pace.poll_s
        while loop.time() < until and not self._stop.is_set():
            await self._rest(min(pause, max(0.0, until - loop.time())))
            begun = loop.time()
            now = await asyncio.to_thread(_picture, self._root)
            pause = max(self._pace.poll_s, POLL_SHARE * (loop.time() - begun))
            if now != before:
                self._dirty.set()
            if now[0] != before[0]:
                return
            before = now


class _Ear:
    """Hears the kernel, and gives what it said since the last time. Takes the tree over, also where that fails."""

    def __init__(self, tree: WatchedTree, mountinfo: str) -> None:
        self.tree = tree
        try:
            self._mounts = _Mounts(mountinfo)
        except OSError:
            tree.close()
            raise
        self._rings = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(tree.descriptor, self._on_events)
        self._loop.add_reader(self._mounts.descriptor, self._on_mount)
        self._news = News()
        self._on_mount()  # there may have been one before this line

    async def heard(self) -> News:
        """Waits for news."""
        await self._rings.wait()
        self._rings.clear()
        news, self._news = self._news, News()
        return news

    def close(self) -> None:
        """Ends the watches too."""
        self._loop.remove_reader(self.tree.descriptor)
        self._loop.remove_reader(self._mounts.descriptor)
        self.tree.close()
        self._mounts.close()

    def _on_events(self) -> None:
        self.tree.read_into(self._news)
        self._rings.set()

    def _on_mount(self) -> None:
        self._mounts.reset()
        self._news.mounted = True
        self._rings.set()


class _Mounts:
    """The kernel's table of mounts, whose file says when it changes. `descriptor` is readable then.

    Where the table cannot be had it never is: a rescan finds a mount, too.
    """

    def __init__(self, mountinfo: str) -> None:
        self._file = -1
        # Of its own, because the file is readable all the time: only the urgent mark tells of a change.
        self._epoll = select.epoll()
        self.descriptor = self._epoll.fileno()
        try:
            with suppress(PermissionError, FileNotFoundError):  # no /proc, not permitted, or an ordinary file
                self._file = os.open(mountinfo, os.O_RDONLY | os.O_CLOEXEC)
                self._epoll.register(self._file, select.EPOLLPRI)
        except OSError:
            self.close()
            raise

    def reset(self) -> None:
        """Takes the mark away."""
        self._epoll.poll(0)

    def close(self) -> None:
        """Closes both."""
        self._epoll.close()
        if self._file >= 0:
            os.close(self._file)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the root is: equal as long as the same directory lies there. `silent`: see mounts.silent_type."""

    real: str
    identity: Thing
    mounted: tuple[Mount, ...]
    silent: str


def _place(root: str, mountinfo: str) -> _Place | None:
    """None where there is no directory. Blocking."""
    real = os.path.realpath(root)
    if not os.path.isdir(real):
        return None
    table = _text(mountinfo)
    return _Place(real, what_is(real, ""), concerning(real, table), silent_type(real, table))


def _picture(root: str) -> Picture:
    """The directory as a look without reading finds it. Blocking."""
    real = os.path.realpath(root)
    places = [what_is(folder, name) for folder, name in crossings(root)]
    files: dict[str, tuple[int, ...]] = {}
    for folder in folders_of(real):
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    found = entry.stat(follow_symlinks=False)
                    is_folder = stat.S_ISDIR(found.st_mode)
                    times = () if is_folder else (found.st_size, found.st_mtime_ns)
                    files[entry.path] = (found.st_dev, found.st_ino, found.st_ctime_ns, *times)
        except OSError as error:
            files[folder] = (-1, error.errno or 0)  # gone, or not permitted
    return (*places, what_is(real, "")), files


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""
