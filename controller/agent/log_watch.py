"""Who wrote something: inotify on the folders of live runs, looked at no more than every 50 ms.

Called by logs.py. Bytes are never read here; a notice says *look*. Between two looks the kernel keeps the notices (and
merges equal ones), so a worker that floods costs us twenty wake-ups a second, not one per write. When the kernel's
queue overflows, or where there is no inotify, all live files are looked at.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import struct
from collections.abc import Callable
from typing import Optional

QUIET_S = 0.05
POLL_S = 0.25

_MODIFY, _OVERFLOW, _IGNORED = 0x2, 0x4000, 0x8000
_ONLYDIR, _DONT_FOLLOW = 0x01000000, 0x02000000
_EVENT = struct.Struct("iIII")
_LIBC = ctypes.CDLL(None, use_errno=True)


class LogWatch:
    """`changed(slot, file)` for each file with new bytes, `changed("", "")` when any may have some; then `done()`."""

    def __init__(self, changed: Callable[[str, str], None], done: Callable[[], None]) -> None:
        self._changed = changed
        self._done = done
        self._loop = asyncio.get_running_loop()
        self._slots: dict[int, str] = {}
        self._watches: dict[str, int] = {}
        self._unwatched: set[str] = set()
        self._handle: Optional[asyncio.TimerHandle] = None
        flags = os.O_NONBLOCK | os.O_CLOEXEC
        self._descriptor = int(_LIBC.inotify_init1(flags))
        if self._descriptor >= 0:
            self._loop.add_reader(self._descriptor, self._look)

    @property
    def degraded(self) -> str:
        """Why new log bytes are noticed later than they could be; empty when they are not."""
        if self._descriptor < 0:
            return "no inotify: log files are polled"
        return "out of inotify watches: some log files are polled" if self._unwatched else ""

    def add(self, slot: str, path: str) -> None:
        """Watch the folder of a slot."""
        if slot in self._watches or slot in self._unwatched:
            return
        watch = -1
        if self._descriptor >= 0:
            mask = ctypes.c_uint32(_MODIFY | _ONLYDIR | _DONT_FOLLOW)
            watch = int(_LIBC.inotify_add_watch(self._descriptor, os.fsencode(path), mask))
        if watch < 0:
            self._unwatched.add(slot)
            if self._handle is None:
                self._handle = self._loop.call_later(POLL_S, self._poll)
            return
        self._watches[slot] = watch
        self._slots[watch] = slot

    def remove(self, slot: str) -> None:
        """Watch it no longer."""
        self._unwatched.discard(slot)
        watch = self._watches.pop(slot, None)
        if watch is not None:
            self._slots.pop(watch, None)
            _LIBC.inotify_rm_watch(self._descriptor, watch)

    def close(self) -> None:
        """No notice any more."""
        if self._handle is not None:
            self._handle.cancel()
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _look(self) -> None:
        seen: set[tuple[str, str]] = set()
        with contextlib.suppress(BlockingIOError):
            while True:
                data = os.read(self._descriptor, 65_536)
                self._collect(data, seen)
        self._loop.remove_reader(self._descriptor)
        for slot, name in sorted(seen):
            self._changed(slot, name)
        if seen:
            self._done()
        self._loop.call_later(QUIET_S, self._listen)

    def _listen(self) -> None:
        if self._descriptor >= 0:
            self._loop.add_reader(self._descriptor, self._look)

    def _collect(self, data: bytes, seen: set[tuple[str, str]]) -> None:
        at = 0
        while at + _EVENT.size <= len(data):
            watch, mask, _cookie, length = _EVENT.unpack_from(data, at)
            name = data[at + _EVENT.size : at + _EVENT.size + length].split(b"\0", 1)[0]
            at += _EVENT.size + length
            if mask & _OVERFLOW:
                seen.add(("", ""))
            elif mask & _IGNORED:
                self._slots.pop(watch, None)
            elif watch in self._slots:
                seen.add((self._slots[watch], os.fsdecode(name)))

    def _poll(self) -> None:
        self._handle = None
        if self._unwatched:
            self._changed("", "")
            self._done()
            self._handle = self._loop.call_later(POLL_S, self._poll)
