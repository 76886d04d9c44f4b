"""The tree of log files, STATE/logs/<worker>/<ordinal>/<run>.<stream>, and the few system calls it needs.

Everything goes through directory descriptors and never through a symbolic link: a worker that runs as another user
must not be able to make us read, punch or unlink anything but its own output. Called by logs.py; knows no slot's life.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
from collections.abc import Callable, Iterator
from typing import NamedTuple

from .failpoints import failpoint
from .protocol import STREAMS
from .shapes import RUN_ID, SLOT_NAME

BLOCK = 4096
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_KEEP_SIZE, _PUNCH_HOLE = 1, 2
_LIBC = ctypes.CDLL(None, use_errno=True)

Inode = tuple[int, int]
"""Which file it is, whatever its name: device and number."""


def inode_of(found: os.stat_result) -> Inode:
    """The inode that was asked."""
    return found.st_dev, found.st_ino


class Key(NamedTuple):
    """One log file: output and error output of a run are two."""

    slot: str
    run: str
    stream: str

    @property
    def file(self) -> str:
        """Its name in the folder of its slot."""
        return f"{self.run}.{self.stream}"


class LogFiles:
    """The tree below `root`, which exists."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._descriptor = os.open(root, _FOLDER)

    @property
    def device(self) -> int:
        """Of the file system that the tree is on."""
        return os.fstat(self._descriptor).st_dev

    def room(self) -> tuple[int, int]:
        """Bytes of the file system: those that a worker may still fill, and all. Raises OSError."""
        found = os.fstatvfs(self._descriptor)
        return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize

    def make_folder(self, slot: str) -> str:
        """The folder of a slot, 0700, created where it is missing. Raises OSError."""
        if not os.fstat(self._descriptor).st_nlink:
            self._begin_anew()
        with contextlib.ExitStack() as stack:
            above = self._descriptor
            for name in slot.split("/"):
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=above)
                above = os.open(name, _FOLDER, dir_fd=above)
                stack.callback(os.close, above)
        return f"{self.root}/{slot}"

    def _begin_anew(self) -> None:
        """The whole tree was removed under us. Raises OSError."""
        os.makedirs(self.root, 0o700, exist_ok=True)
        descriptor = os.open(self.root, _FOLDER)
        os.close(self._descriptor)
        self._descriptor = descriptor

    @contextlib.contextmanager
    def folder(self, slot: str) -> Iterator[int]:
        """A descriptor of the slot's folder. Raises OSError."""
        worker, _, ordinal = slot.partition("/")
        above = os.open(worker, _FOLDER, dir_fd=self._descriptor)
        try:
            found = os.open(ordinal, _FOLDER, dir_fd=above)
        finally:
            os.close(above)
        try:
            yield found
        finally:
            os.close(found)

    @contextlib.contextmanager
    def opened(self, key: Key, flags: int = os.O_RDONLY) -> Iterator[int]:
        """A descriptor of a log file. Raises OSError, also for what is no regular file."""
        with self.folder(key.slot) as folder:
            descriptor = os.open(key.file, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY, dir_fd=folder)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, f"{key.slot}/{key.file} is no regular file")
            yield descriptor
        finally:
            os.close(descriptor)

    def scan(self) -> Iterator[tuple[Key, os.stat_result]]:
        """All log files that are there; what carries another name is left alone."""
        for worker in self._names(self._descriptor):
            for slot in self._slots(worker):
                with contextlib.suppress(OSError), self.folder(slot) as folder:
                    for name in self._names(folder):
                        run, _, stream = name.rpartition(".")
                        if stream in STREAMS and RUN_ID.fullmatch(run):
                            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
                            if stat.S_ISREG(found.st_mode):
                                yield Key(slot, run, stream), found

    def slots(self) -> list[str]:
        """The slots that have a folder."""
        return [slot for worker in self._names(self._descriptor) for slot in self._slots(worker)]

    def remove(self, key: Key, archive: str = "") -> None:
        """Unlink one file and what we keep beside it; `archive` names what it was compressed to."""
        with contextlib.suppress(OSError), self.folder(key.slot) as folder:
            for name in filter(None, (key.file, f"{key.file}.base", archive)):
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=folder)
                failpoint("agent.log_removed")

    def remove_folder(self, slot: str) -> None:
        """Remove a slot's folder, and its worker's, where nothing is left in them."""
        worker, _, ordinal = slot.partition("/")
        with contextlib.suppress(OSError):
            above = os.open(worker, _FOLDER, dir_fd=self._descriptor)
            try:
                os.rmdir(ordinal, dir_fd=above)
            finally:
                os.close(above)
            os.rmdir(worker, dir_fd=self._descriptor)

    def remove_strays(self, is_known: Callable[[str, str], bool]) -> None:
        """Unlink what lies beside log files (run, stream) that are no more: we died while we removed them."""
        for slot in self.slots():
            with contextlib.suppress(OSError), self.folder(slot) as folder:
                for name in self._names(folder):
                    run, _, stream = name.partition(".base")[0].rpartition(".")
                    if name.endswith((".base", ".base.tmp")) and not is_known(run, stream):
                        os.unlink(name, dir_fd=folder)

    def read_base(self, key: Key) -> int:
        """Where the file's content begins since its writer truncated it; 0 for one that was not."""
        with contextlib.suppress(OSError, ValueError), self.folder(key.slot) as folder:
            descriptor = os.open(f"{key.file}.base", os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder)
            with os.fdopen(descriptor) as file:
                return max(0, int(file.read(32)))
        return 0

    def write_base(self, key: Key, base: int) -> None:
        """Remember `read_base`. Raises OSError."""
        with self.folder(key.slot) as folder:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
            descriptor = os.open(f"{key.file}.base.tmp", flags, 0o600, dir_fd=folder)
            with os.fdopen(descriptor, "w") as file:
                file.write(str(base))
            os.replace(f"{key.file}.base.tmp", f"{key.file}.base", src_dir_fd=folder, dst_dir_fd=folder)

    def close(self) -> None:
        """Let go of the tree."""
        os.close(self._descriptor)

    def _slots(self, worker: str) -> list[str]:
        try:
            descriptor = os.open(worker, _FOLDER, dir_fd=self._descriptor)
        except OSError:
            return []
        try:
            names = self._names(descriptor)
        finally:
            os.close(descriptor)
        return [f"{worker}/{name}" for name in names if SLOT_NAME.fullmatch(f"{worker}/{name}")]

    @staticmethod
    def _names(descriptor: int) -> list[str]:
        return sorted(os.listdir(descriptor))


def first_data(descriptor: int) -> int:
    """Where the punched head of a file ends."""
    try:
        return os.lseek(descriptor, 0, os.SEEK_DATA)
    except OSError as error:
        # Nothing but a hole: all of it was punched. Without support every byte counts as there.
        return os.fstat(descriptor).st_size if error.errno == errno.ENXIO else 0


def punch(descriptor: int, end: int) -> bool:
    """Give back the blocks below `end`; sizes and offsets stay. False where the file system cannot."""
    failpoint("agent.log_before_punch")
    result = _LIBC.fallocate(
        ctypes.c_int(descriptor), ctypes.c_int(_PUNCH_HOLE | _KEEP_SIZE), ctypes.c_int64(0), ctypes.c_int64(end)
    )
    failpoint("agent.log_punched")
    return bool(result == 0)
