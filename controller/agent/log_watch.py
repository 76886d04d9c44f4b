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
_NAMES = 0x40 | 0x80 | 0x100 | 0x200
"""A name came or went: moved from, moved to, created, deleted."""
_ONLYDIR, _DONT_FOLLOW = 0x01000000, 0x02000000
_EVENT = struct.Struct("iIII")
_LIBC = ctypes.CDLL(None, use_errno=True)


class LogWatch:
    """`changed(slot, file)` for each file with new bytes, `changed("", "")` when any may have some; then `done()`."""

    def __init__(self, changed: Callable[[str, str], None], done: Callable[[], None]) -> None:
        self._changed = changed
        self._done = done
        self._loop = asyncio.get_running_loop()
        self._slots: dict[int, tuple[str, str]] = {}
        self._watches: dict[str, set[int]] = {}
        self._unwatched: set[str] = set()
        self._resting: set[str] = set()
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
        return "some log folders cannot be watched: their files are polled" if self._unwatched else ""

    def add(self, slot: str, path: str) -> None:
        """Watch the folder of a slot, also where it is another than before."""
        self._resting.discard(slot)
        watch = -1
        if self._descriptor >= 0:
            mask = ctypes.c_uint32(_MODIFY | _NAMES | _ONLYDIR | _DONT_FOLLOW)
            watch = int(_LIBC.inotify_add_watch(self._descriptor, os.fsencode(path), mask))
        if watch < 0:
            self._poll_instead(slot)
            return
        self._unwatched.discard(slot)
        self._watches.setdefault(slot, set()).add(watch)
        self._slots[watch] = slot, ""

    def add_file(self, slot: str, name: str, descriptor: int) -> None:
        """Watch one file of a slot, wherever it is: its folder may say nothing of it any more."""
        if slot in self._watches or slot in self._unwatched:
            watch = -1
            if self._descriptor >= 0:
                path = f"/proc/self/fd/{descriptor}".encode()
                watch = int(_LIBC.inotify_add_watch(self._descriptor, path, ctypes.c_uint32(_MODIFY)))
            if watch < 0:
                self._poll_instead(slot)
                return
            self._watches.setdefault(slot, set()).add(watch)
            self._slots[watch] = slot, name

    def _poll_instead(self, slot: str) -> None:
        self._unwatched.add(slot)
        if self._handle is None:
            self._handle = self._loop.call_later(POLL_S, self._poll)

    def rest(self, slot: str) -> None:
        """Nobody writes there until it is added again. Its folder stays watched: the kernel waits to remove a watch."""
        self._unwatched.discard(slot)
        self._resting.add(slot)
        for watch in [watch for watch in self._watches.get(slot, ()) if self._slots[watch][1]]:
            self._watches[slot].discard(watch)
            self._remove(watch)

    def remove(self, slot: str) -> None:
        """Watch it no longer."""
        self._unwatched.discard(slot)
        self._resting.discard(slot)
        for watch in self._watches.pop(slot, ()):
            self._remove(watch)

    def _remove(self, watch: int) -> None:
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
                self._went(watch)
            elif watch in self._slots:
                slot, file = self._slots[watch]
                if slot not in self._resting:
                    seen.add((slot, file or os.fsdecode(name)))

    def _went(self, watch: int) -> None:
        """Somebody removed a folder. The files in it may still be written to; the next run gets a new folder."""
        slot, file = self._slots.pop(watch, ("", ""))
        if slot in self._watches:
            self._watches[slot].discard(watch)
            if not file and slot not in self._resting:
                self._poll_instead(slot)

    def _poll(self) -> None:
        self._handle = None
        if self._unwatched:
            self._changed("", "")
            self._done()
            self._handle = self._loop.call_later(POLL_S, self._poll)
