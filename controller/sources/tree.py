"""The specs directory as a tree of files: listing and reading that no link, race or odd file can lead astray.

Called by directory.py once per scan and by offline.py. All IO on spec files is here.

Rules. The root is resolved once per scan and everything is opened beneath its descriptor, component by component, with
O_NOFOLLOW: a flip of a link in mid-scan cannot mix two versions, and no path leads out. A link inside is followed only
to a target under the resolved root (a mounted ConfigMap's `web.yaml -> ..data/web.yaml` is one). Only `*.yaml` and
`*.yml` count; names with a leading dot and editors' temporary files do not. What is no regular file is never opened
for good: O_NONBLOCK and a look at the open descriptor keep a FIFO or a device from hanging the scan.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from controller.core.problems import Problem
from controller.sources.birth import born_ns
from controller.sources.strict_yaml import MAX_BYTES

SUFFIXES = (".yaml", ".yml")
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
MAX_DIRECTORIES = 10_000


class Identity(NamedTuple):
    """What a file's content hangs on, as far as `stat` tells."""

    dev: int
    ino: int
    size: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A regular file. `path` is its name, `real` where it is opened: both relative to the root."""

    path: str
    real: str
    identity: Identity


@dataclass(slots=True, kw_only=True)
class Listing:
    """All spec files, sorted; what cannot be read, by path: `files` that could hold a spec, and whole `folders`."""

    found: list[Found] = field(default_factory=list)
    files: dict[str, Problem] = field(default_factory=dict)
    folders: dict[str, Problem] = field(default_factory=dict)


class Vanished(Exception):
    """The file was replaced, changed or removed between two looks: look again."""


class Unreadable(Exception):
    """The file cannot be read; the text says why and never quotes its content."""


def identity_of(status: os.stat_result) -> Identity:
    """The identity in a stat result."""
    return Identity(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def is_ignored(name: str) -> bool:
    """Dot files and what editors leave beside a file while they work on it."""
    return name.startswith((".", "#")) or name.endswith(("~", "#"))


def is_spec_name(name: str) -> bool:
    """Whether a file of this name is read as a spec."""
    return name.endswith(SUFFIXES) and not is_ignored(name)


def unreadable(path: str, why: str, hint: str = "") -> Problem:
    """A problem without a place: the file's content is not known."""
    return Problem(file=path, message=f"cannot be read: {why}", hint=hint, code="unreadable")


def printable_name(name: str) -> str:
    """A file name that may hold bytes which are no UTF-8, for people and JSON."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


class Tree:
    """The open root of one scan. `real_root` is absolute, without links."""

    def __init__(self, descriptor: int, real_root: str) -> None:
        self._descriptor = descriptor
        self.real_root = real_root
        self.status = os.fstat(descriptor)
        self.born_ns = born_ns(descriptor)

    def listing(self) -> Listing:
        """Walks the tree. Directories behind links come last, and each directory is listed once."""
        listing = Listing()
        visited: set[tuple[int, int]] = set()
        links: list[str] = []
        waiting = [("", "")]
        while waiting or links:
            if not waiting:
                path = links.pop(0)
                real = self._resolve(path)
                waiting.append((path, real) if isinstance(real, str) else (path, path))
            path, real = waiting.pop(0)
            if len(visited) >= MAX_DIRECTORIES:
                listing.folders[path] = unreadable(path, f"more than {MAX_DIRECTORIES} directories")
                continue
            below, linked = self._list_folder(path, real, listing, visited)
            waiting += below
            links += linked
        listing.found.sort(key=lambda found: found.path)
        return listing

    def _list_folder(
        self, path: str, real: str, listing: Listing, visited: set[tuple[int, int]]
    ) -> tuple[list[tuple[str, str]], list[str]]:
        """Lists one directory; returns the directories below it, and the links to directories in it."""
        below: list[tuple[str, str]] = []
        linked: list[str] = []
        try:
            with self._opened(real, _OPEN_DIRECTORY) as descriptor:
                status = os.fstat(descriptor)
                if (status.st_dev, status.st_ino) in visited:
                    return below, linked
                visited.add((status.st_dev, status.st_ino))
                with os.scandir(descriptor) as entries:
                    for entry in sorted(entries, key=lambda entry: entry.name):
                        self._list_entry(entry, path, real, listing, (below, linked))
        except OSError as error:
            listing.folders[path] = unreadable(path or ".", error.strerror or "unknown error")
        return below, linked

    def _list_entry(
        self,
        entry: os.DirEntry[str],
        folder: str,
        real_folder: str,
        listing: Listing,
        folders: tuple[list[tuple[str, str]], list[str]],
    ) -> None:
        name = entry.name
        if is_ignored(name):
            return
        path = f"{folder}/{name}" if folder else name
        real = f"{real_folder}/{name}" if real_folder else name
        below, linked = folders
        if entry.is_symlink():
            if self._is_folder_behind(path):
                linked.append(path)
            elif is_spec_name(name):
                self._list_link(path, listing)
        elif entry.is_dir(follow_symlinks=False):
            below.append((path, real))
        elif is_spec_name(name):
            self._list_file(entry, path, real, listing)

    def _list_file(self, entry: os.DirEntry[str], path: str, real: str, listing: Listing) -> None:
        shown = printable_name(path)
        if shown != path:
            listing.files[shown] = unreadable(shown, "its name is not UTF-8", "rename it")
            return
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return  # gone since the directory was read
        except OSError as error:
            listing.files[path] = unreadable(path, error.strerror or "unknown error")
            return
        if stat.S_ISREG(status.st_mode):
            listing.found.append(Found(path=path, real=real, identity=identity_of(status)))
        else:
            listing.files[path] = unreadable(path, "it is no regular file", "specs are regular files")

    def _list_link(self, path: str, listing: Listing) -> None:
        found = self.find(path)
        if isinstance(found, Problem):
            listing.files[found.file] = found
        else:
            listing.found.append(found)

    def _is_folder_behind(self, path: str) -> bool:
        real = self._resolve(path)
        try:
            return isinstance(real, str) and stat.S_ISDIR(os.stat(os.path.join(self.real_root, real)).st_mode)
        except OSError:
            return False

    def _resolve(self, path: str) -> str | Problem:
        """The path without links, relative to the root, or why it must not be followed."""
        shown = printable_name(path)
        try:
            target = os.path.realpath(os.path.join(self.real_root, path), strict=True)
        except OSError as error:
            why = "the link is a loop" if error.errno == errno.ELOOP else error.strerror or "unknown error"
            return unreadable(shown, why)
        prefix = self.real_root.rstrip("/") + "/"
        if not target.startswith(prefix):
            return unreadable(shown, "it leads out of the specs directory", "links must stay inside it")
        return target.removeprefix(prefix)

    def find(self, path: str) -> Found | Problem:
        """A regular file by its path beneath the root, links resolved."""
        real = self._resolve(path)
        if isinstance(real, Problem):
            return real
        try:
            with self._opened(os.path.dirname(real), _OPEN_DIRECTORY) as folder:
                status = os.stat(os.path.basename(real), dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            return unreadable(path, error.strerror or "unknown error")
        if not stat.S_ISREG(status.st_mode):
            return unreadable(path, "it is no regular file")
        return Found(path=path, real=real, identity=identity_of(status))

    def folder_device(self, path: str) -> int:
        """The device of the nearest directory above `path` that exists."""
        while path:
            path = os.path.dirname(path)
            try:
                with self._opened(path, _OPEN_DIRECTORY) as descriptor:
                    return os.fstat(descriptor).st_dev
            except OSError:
                continue
        return self.status.st_dev

    def read(self, found: Found) -> bytes:
        """The whole content. Raises Unreadable, and Vanished when it is not the file that was found."""
        try:
            with self._opened(found.real, _OPEN_FILE) as descriptor:
                if identity_of(os.fstat(descriptor)) != found.identity:
                    raise Vanished
                if found.identity.size > MAX_BYTES:
                    raise Unreadable(f"it is larger than {MAX_BYTES // 1024} KiB")
                content = _read_up_to(descriptor, MAX_BYTES + 1)
                if identity_of(os.fstat(descriptor)) != found.identity or len(content) != found.identity.size:
                    raise Vanished
                return content
        except FileNotFoundError:
            raise Vanished from None
        except OSError as error:
            raise Unreadable(error.strerror or "unknown error") from None

    @contextmanager
    def _opened(self, real: str, flags: int) -> Iterator[int]:
        """A descriptor of what lies at `real`, opened beneath the root without following anything."""
        descriptor = os.dup(self._descriptor)
        try:
            parts = [part for part in real.split("/") if part]
            for position, part in enumerate(parts):
                last = position == len(parts) - 1
                inner = os.open(part, flags if last else _OPEN_DIRECTORY, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)


def _read_up_to(descriptor: int, limit: int) -> bytes:
    parts: list[bytes] = []
    left = limit
    while left > 0:
        part = os.read(descriptor, min(left, 1 << 17))
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


@contextmanager
def opened_tree(root: str) -> Iterator[Tree]:
    """The tree at `root`, which may be a link itself. Raises OSError when it is missing or no directory."""
    real_root = os.path.realpath(root, strict=True)
    descriptor = os.open(real_root, _OPEN_DIRECTORY)
    try:
        yield Tree(descriptor, real_root)
    finally:
        os.close(descriptor)
