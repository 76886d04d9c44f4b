"""Inotify, the kernel's word on changes in directories: one descriptor, watches on single directories.

Called by watch.py. The standard library has no binding; libraries that have one lose the two things that matter here:
that the queue overflowed, and why a watch could not be had.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

MODIFY, ATTRIB, CLOSE_WRITE = 0x2, 0x4, 0x8
MOVED_FROM, MOVED_TO, CREATE, DELETE = 0x40, 0x80, 0x100, 0x200
DELETE_SELF, MOVE_SELF, UNMOUNT = 0x400, 0x800, 0x2000
OVERFLOW, IGNORED, ISDIR = 0x4000, 0x8000, 0x4000_0000
_ONLYDIR, _EXCL_UNLINK, _MASK_ADD = 0x0100_0000, 0x0400_0000, 0x2000_0000
_CHANGES = MODIFY | ATTRIB | CLOSE_WRITE | MOVED_FROM | MOVED_TO | CREATE | DELETE | DELETE_SELF | MOVE_SELF
_EVENT = struct.Struct("iIII")
_READ = 65_536
_LIBC = ctypes.CDLL(None, use_errno=True)


class Event(NamedTuple):
    """What the kernel says of one name in a watched directory; of the directory itself where the name is empty."""

    watch: int
    mask: int
    name: str


class Inotify:
    """One descriptor. Raises OSError with the kernel's own number: EMFILE without instances, ENOSPC without watches."""

    def __init__(self) -> None:
        self.descriptor = _checked(_LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def add(self, folder: str) -> int:
        """Watches one directory, not what lies deeper; a directory that is watched already keeps its number."""
        mask = ctypes.c_uint32(_CHANGES | _ONLYDIR | _EXCL_UNLINK | _MASK_ADD)
        return _checked(_LIBC.inotify_add_watch(self.descriptor, os.fsencode(folder), mask), folder)

    def read(self) -> Iterator[Event]:
        """What has come so far, up to some thousand events; the descriptor stays readable when there is more."""
        data = b""
        with suppress(BlockingIOError):
            data = os.read(self.descriptor, _READ)
        at = 0
        while at + _EVENT.size <= len(data):
            watch, mask, _cookie, length = _EVENT.unpack_from(data, at)
            name = data[at + _EVENT.size : at + _EVENT.size + length].split(b"\0", 1)[0]
            at += _EVENT.size + length
            yield Event(watch, mask, os.fsdecode(name))

    def close(self) -> None:
        """Ends all watches."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def _checked(result: int, path: str | None = None) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return result
