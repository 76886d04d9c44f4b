"""Who still has a log file open that has lost its name: found in /proc, opened anew through that process's descriptor.

A worker's own user decides what its descriptors are, and we may be root. So a file is taken only when it is the very
inode that we knew, or, where we knew none yet, one without any name on the file system of the logs, whose last name
was the right one. Called by log_looks.py, seldom: it looks through all processes.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from typing import Optional

from .log_files import Inode, inode_of

_DELETED = " (deleted)"
_FLAGS = os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def open_inode(inode: Inode) -> Optional[int]:
    """A descriptor of a file that we have seen; None when no process writes to it."""
    return _first(lambda _link, found: inode_of(found) == inode)


def open_deleted(path: str, device: int) -> Optional[int]:
    """A descriptor of a file that went before we saw it. `device` is that of its folder."""

    def is_it(link: str, found: os.stat_result) -> bool:
        return found.st_nlink == 0 and found.st_dev == device and os.readlink(link) == path + _DELETED

    return _first(is_it)


def deleted_paths(root: str) -> set[str]:
    """The files below `root` that have lost their names and are still open as somebody's output."""
    found = set()
    for link in _links():
        with contextlib.suppress(OSError):
            target = os.readlink(link)
            if target.startswith(f"{root}/") and target.endswith(_DELETED):
                found.add(target[: -len(_DELETED)])
    return found


def _first(is_it: Callable[[str, os.stat_result], bool]) -> Optional[int]:
    for link in _links():
        with contextlib.suppress(OSError):
            found = os.stat(link)
            if not stat.S_ISREG(found.st_mode) or not is_it(link, found):
                continue
            descriptor = os.open(link, _FLAGS)
            if inode_of(os.fstat(descriptor)) == inode_of(found):
                return descriptor
            os.close(descriptor)
    return None


def _links() -> Iterator[str]:
    own = str(os.getpid())
    for pid in os.listdir("/proc"):
        if pid.isdigit() and pid != own:
            yield f"/proc/{pid}/fd/1"
            yield f"/proc/{pid}/fd/2"
