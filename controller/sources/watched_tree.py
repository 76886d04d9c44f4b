"""The watched tree: every directory of the specs on one inotify descriptor, and what its events mean.

Called by watch.py. Beside the directory itself the places are watched where a link on the way to it may be flipped and
where it may be replaced: inotify follows inodes, not names. A directory that appears is covered with all below it
before anybody is told, so that a look which follows sees what came before the watch, and the watch what comes after.

Not watched is what git keeps for itself (`.git`): thousands of directories in which no spec can be.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from controller.sources import inotify
from controller.sources.tree import is_ignored, is_spec_name

OWN_SUFFIX = ".workerctl"
Thing = tuple[int, int, str]
"""Device, inode, and where a link leads: zeros where nothing is."""

_APPEARED = inotify.CREATE | inotify.MOVED_TO | inotify.ATTRIB
_LOST_ITSELF = inotify.DELETE_SELF | inotify.MOVE_SELF | inotify.UNMOUNT


class Interest(IntEnum):
    """How soon a change of a name is worth a look. `SOME`: it may be an env file, or what a worker writes all day."""

    NONE = 0
    SOME = 1
    ALL = 2


def interest(name: str) -> Interest:
    """What a change of this file name is worth. A ConfigMap's `..data` is what flips in one."""
    if is_spec_name(name) or name == "..data" or ".env" in name:
        return Interest.ALL
    is_editors = is_ignored(name) and not name.startswith(".")
    return Interest.NONE if is_editors or name.endswith(OWN_SUFFIX) or name.startswith(".#") else Interest.SOME


@dataclass(slots=True)
class News:
    """What came since the last look. `again`: the watches may not be whole any more, or may be on other directories.

    `folders` have appeared and are not covered yet; `mounted` says that the table of mounts has changed.
    """

    worth: Interest = Interest.NONE
    again: bool = False
    mounted: bool = False
    folders: set[str] = field(default_factory=set)


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


def what_is(folder: str, name: str) -> Thing:
    """What lies there, links not followed."""
    path = os.path.join(folder, name)
    try:
        status = os.lstat(path)
        return status.st_dev, status.st_ino, os.readlink(path) if os.path.islink(path) else ""
    except OSError:
        return 0, 0, ""


def folders_of(top: str) -> Iterator[str]:
    """All directories at and below `top` that may hold specs; links are not followed, for their targets lie below."""
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        yield folder
        try:
            with os.scandir(folder) as entries:
                inner = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError:
            continue  # gone, or not permitted: a scan tells
        waiting += [path for path in inner if os.path.basename(path) != ".git"]


class WatchedTree:
    """The watches of one life, on the directory that `root` is now. Closed by its maker; raises OSError."""

    def __init__(self, root: str) -> None:
        self._inotify = inotify.Inotify()
        self._folders: dict[int, str] = {}
        self._crossings: dict[tuple[int, str], tuple[str, Thing]] = {}
        self._guard = threading.Lock()
        self._root = root
        self._real = ""
        self.descriptor = self._inotify.descriptor

    def cover_all(self) -> None:
        """Watches everything. Blocking, one system call per directory."""
        for folder, name in crossings(self._root):
            watch = self._add(folder)
            if watch is not None:
                self._crossings[watch, name] = (folder, what_is(folder, name))
        self._real = os.path.realpath(self._root)
        self.cover(self._real)

    def cover(self, top: str) -> None:
        """Watches a directory and all below it; what is gone or not permitted is passed over."""
        for folder in folders_of(top):
            watch = self._add(folder)
            if watch is not None:
                self._folders[watch] = folder

    def read_into(self, news: News) -> None:
        """Adds what the kernel has told since the last call."""
        for event in self._inotify.read():
            self._sort(event, news)

    def close(self) -> None:
        """Ends all watches, also while another thread is adding some."""
        with self._guard:
            self._inotify.close()

    def _add(self, folder: str) -> int | None:
        with self._guard:
            if self._inotify.descriptor < 0:
                return None
            try:
                return self._inotify.add(folder)
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                return None

    def _sort(self, event: inotify.Event, news: News) -> None:
        if event.mask & (inotify.OVERFLOW | inotify.UNMOUNT):
            news.again = True  # events are lost, and with them directories that appeared
        crossing = self._crossings.get((event.watch, event.name))
        if crossing is not None and (
            event.mask & inotify.ATTRIB or what_is(crossing[0], event.name) != crossing[1]
        ):  # another thing, or one that may be entered now and could not before
            news.again = True
        folder = self._folders.get(event.watch)
        if folder is None:
            return
        if event.mask & inotify.IGNORED:
            del self._folders[event.watch]
        elif event.mask & inotify.ISDIR or not event.name:
            self._sort_folder(event, folder, news)
        else:
            news.worth = max(news.worth, interest(event.name))

    def _sort_folder(self, event: inotify.Event, folder: str, news: News) -> None:
        """A directory came, went, or may be entered now and could not before."""
        if event.name == ".git":
            return
        news.worth = Interest.ALL
        if event.mask & _APPEARED:
            news.folders.add(os.path.join(folder, event.name) if event.name else folder)
        if not event.name and event.mask & _LOST_ITSELF and folder == self._real:
            news.again = True
