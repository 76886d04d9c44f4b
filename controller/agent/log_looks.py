"""Looks at log files that still grow: how long they are, whether they were cut off, and where they are when gone.

A file that has lost its name (deleted, moved, replaced by a link, a device, a folder, another file) is read on through
the descriptor of whoever writes to it; when nobody does, what was not read of it is a gap. Whatever stands under the
name instead is never followed and never waited for. Called by logs.py, in the event loop's thread.

A cut is seen by its size, or, where the file was written anew beyond its old size, by the bytes that we knew last.
A small one that was rewritten with the very same bytes is known by its time. Not seen is a cut during which no
agent ran, when the file has grown beyond what was stored; and one that leaves the last bytes that we knew in place.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from . import log_writers
from .failpoints import failpoint
from .log_files import LogFiles, first_data, inode_of
from .log_index import IndexFile
from .log_state import DELETED, TRUNCATED, LogState

TAIL = 64
SMALL = 4096
"""A file up to this size that has a new time and the same size was written anew. A larger one was only touched."""
DOUBT_S = 2.0
"""For so long, though: the kernel changes a file's time a moment before its size."""
SEEK_S = 5.0
"""A file is sought no more often: that is a look at all processes."""

LOST = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL, errno.ENXIO, errno.EISDIR, errno.ESTALE)
"""Errors that say that another thing, or nothing, stands where the file was. All others may pass."""

Tell = Callable[[str, str, dict[str, Any]], None]


class LogLooks:
    """One per agent. Remembers nothing but in the files' states. `on_held` is told of each file that it holds."""

    def __init__(self, files: LogFiles, memory: IndexFile, tell: Tell) -> None:
        self._files = files
        self._memory = memory
        self._tell = tell
        self.on_held: Callable[[LogState, int], None] = lambda _file, _descriptor: None

    @contextlib.contextmanager
    def opened(self, file: LogState, flags: int = os.O_RDONLY) -> Iterator[int]:
        """A descriptor of the file, wherever it is. Raises OSError."""
        if file.held is not None:
            yield file.held
            return
        with self._files.opened(file.key, flags) as descriptor:
            if file.inode not in (None, inode_of(os.fstat(descriptor))):
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
            yield descriptor

    def measure(self, file: LogState) -> bool:
        """Learn the size of a file; True when there is something new to say. Raises OSError for what may pass."""
        try:
            with self.opened(file) as descriptor:
                return self._take(file, descriptor)
        except OSError as error:
            if error.errno not in LOST:
                raise
        if file.is_lost:
            return self._take_other(file)
        if self.find(file):
            return self.measure(file)
        # Before a run has begun there is no file yet.
        return file.inode is not None and self.lose(file)

    def find(self, file: LogState) -> bool:
        """Hold a file that has lost its name by the descriptor of its writer. False when nobody has it open."""
        now = time.monotonic()
        if now - file.sought_at < SEEK_S:
            return False
        file.sought_at = now
        if file.inode is not None:
            held = log_writers.open_inode(file.inode)
        else:
            held = log_writers.open_deleted(f"{self._files.root}/{file.key.slot}/{file.key.file}", self._files.device)
        if held is None:
            return False
        found = os.fstat(held)
        file.held, file.inode, file.is_lost = held, inode_of(found), False
        if found.st_blocks * 512 < found.st_size:
            file.head = max(file.head, first_data(held))
        self.on_held(file, held)
        message = f"the file of {file.key.stream} of run {file.key.run} was deleted or replaced; it is read on"
        self._say("log_file_replaced", file, message)
        return True

    def lose(self, file: LogState) -> bool:
        """Nobody can read it any more."""
        unread = max(0, file.end - file.stored)
        self.rebase(file, file.end + 1, DELETED)
        file.is_lost, file.inode = True, None
        message = f"{unread} bytes or more of {file.key.stream} of run {file.key.run} are lost: {DELETED}"
        self._say("log_file_lost", file, message)
        return True

    def rebase(self, file: LogState, base: int, why: str) -> None:
        """All that was there is gone: what is there now has the offsets from `base` on. To be measured next."""
        failpoint("agent.log_before_rebase")
        file.base, file.base_why = base, why
        file.head, file.size, file.tail, file.doubted_at = 0, 0, b"", None
        with contextlib.suppress(OSError):
            self._files.write_base(file.key, base)
        failpoint("agent.log_after_rebase")

    def _take_other(self, file: LogState) -> bool:
        """What stands in the place of a lost file, once it is a file."""
        with contextlib.suppress(OSError), self.opened(file) as descriptor:
            file.is_lost = False
            return self._take(file, descriptor)
        return False

    def _take(self, file: LogState, descriptor: int) -> bool:
        found = os.fstat(descriptor)
        file.inode = inode_of(found)
        is_cut = self._is_cut(file, found, descriptor)
        if is_cut:
            self.rebase(file, file.end + 1, TRUNCATED)
        elif found.st_size == file.size and file.tail:
            return False
        if found.st_size > file.size:
            at = min(found.st_mtime, time.time())
            if file.index.add(file.end, at):
                self._memory.point(file.key, file.end, at)
        if is_cut and found.st_blocks * 512 < found.st_size:
            # Written by somebody who does not append: the hole before it is none of its output.
            file.head, file.head_why = min(first_data(descriptor), found.st_size), TRUNCATED
        has_news = is_cut or found.st_size != file.size
        file.size, file.changed = found.st_size, found.st_mtime
        count = min(TAIL, file.size - file.head)
        file.tail = os.pread(descriptor, count, file.size - count)
        return has_news

    @staticmethod
    def _is_cut(file: LogState, found: os.stat_result, descriptor: int) -> bool:
        if found.st_size < file.size:
            return True
        if not file.tail:
            return False
        if os.pread(descriptor, len(file.tail), file.size - len(file.tail)) != file.tail:
            return True
        if not (found.st_size == file.size <= SMALL and found.st_mtime != file.changed):
            file.doubted_at = None
            return False
        now = time.monotonic()
        file.doubted_at = file.doubted_at or now
        return now - file.doubted_at > DOUBT_S

    def _say(self, kind: str, file: LogState, message: str) -> None:
        data = {"slot": file.key.slot, "run": file.key.run, "stream": file.key.stream}
        self._tell(kind, message, data)
