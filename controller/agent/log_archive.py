"""Ended log files, compressed: `<run>.<stream>.<start>.gz`, where `start` is the offset of the first byte in it.

The name says where the content begins, so that one rename makes an archive what it is; whoever finds a plain file
beside its archive knows that we died before we removed it. Blocks: called by logs.py in a thread.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import os
import re
import shutil
import threading
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, Optional

from .failpoints import failpoint
from .log_files import Key, LogFiles

PACK_FROM = 64 * 1024
"""A smaller file is worth no second one."""
PACK_TO = 2**31
"""The format tells sizes modulo 4 GiB."""

_NAME = re.compile(r"(?P<run>[A-Za-z0-9][-A-Za-z0-9_]{0,63})\.(?P<stream>stdout|stderr)\.(?P<start>[0-9]{1,18})\.gz")
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Archive(NamedTuple):
    """One compressed file. `start` is the offset of its first byte, `size` that of its content."""

    key: Key
    name: str
    start: int
    size: int
    changed: float


def is_hook(run: str) -> bool:
    """Whether a run was a hook's: those are named after it. Hooks have archives of their own."""
    return "-" in run


def scan(files: LogFiles) -> Iterator[Archive]:
    """All archives that are there. What a dead agent had begun is removed."""
    for slot in files.slots():
        with contextlib.suppress(OSError), files.folder(slot) as folder:
            for name in sorted(os.listdir(folder)):
                if name.endswith(".gz.tmp"):
                    os.unlink(name, dir_fd=folder)
                    continue
                found = _NAME.fullmatch(name)
                if found is not None:
                    key = Key(slot, found["run"], found["stream"])
                    size, changed = _measure(folder, name)
                    yield Archive(key, name, int(found["start"]), size, changed)


def _measure(folder: int, name: str) -> tuple[int, float]:
    descriptor = os.open(name, _FLAGS, dir_fd=folder)
    try:
        found = os.fstat(descriptor)
        return int.from_bytes(os.pread(descriptor, 4, found.st_size - 4), "little"), found.st_mtime
    finally:
        os.close(descriptor)


def pack(files: LogFiles, key: Key, base: int, head: int) -> Archive:
    """Compress an ended file without its punched head. The plain one stays. Raises OSError, and leaves nothing then."""
    name = f"{key.file}.{base + head}.gz"
    temporary = f"{name}.tmp"
    with files.opened(key) as source, files.folder(key.slot) as folder:
        found = os.fstat(source)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(temporary, flags, 0o600, dir_fd=folder), "wb") as target:
                with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=target, mtime=0) as packed:
                    os.lseek(source, head, os.SEEK_SET)
                    with os.fdopen(os.dup(source), "rb") as plain:
                        shutil.copyfileobj(plain, packed, 256 * 1024)
                target.flush()
                failpoint("agent.log_pack_written")
                os.fsync(target.fileno())
            os.utime(temporary, (found.st_atime, found.st_mtime), dir_fd=folder)
            failpoint("agent.log_pack_before_rename")
            os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            failpoint("agent.log_packed")
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise
    return Archive(key, name, base + head, found.st_size - head, found.st_mtime)


class ArchiveReader:
    """Reads pieces of archives. The one that was read last stays open: reading on costs no new beginning."""

    def __init__(self, files: LogFiles) -> None:
        self._files = files
        self._lock = threading.Lock()
        self._open: Optional[tuple[tuple[str, str], BinaryIO, gzip.GzipFile]] = None

    def read(self, slot: str, name: str, at: int, count: int) -> bytes:
        """`count` bytes of the content from `at` on, fewer at its end. Raises OSError."""
        with self._lock:
            if self._open is None or self._open[0] != (slot, name):
                self._close()
                with self._files.folder(slot) as folder:
                    file = os.fdopen(os.open(name, _FLAGS, dir_fd=folder), "rb")
                self._open = ((slot, name), file, gzip.GzipFile(fileobj=file))
            try:
                self._open[2].seek(at)
                return self._open[2].read(count)
            except (EOFError, zlib.error) as error:
                raise OSError(errno.EIO, f"{name} is damaged: {error}") from None

    def close(self) -> None:
        """Let go of what is open."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._open is not None:
            self._open[2].close()
            self._open[1].close()
            self._open = None
