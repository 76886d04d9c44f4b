"""Which bytes of log files may go: beyond their caps, beyond the number of ended runs, and when the disk is full.

A file over its cap loses its head, bytes that are stored elsewhere first; unstored ones only at twice the cap. Ended
runs are kept in number (`log_archives`, of the worker itself and of its hooks apart), and longer while they are not
stored, up to twice the number. On a full disk the oldest bytes go first, of ended runs and of live ones, stored ones
before others, until there is room again: a worker's output must not end because of what it printed before.

What goes unread leaves a record: a gap for its reader, an event where there is nobody left to read. Called by logs.py.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Optional

from .failpoints import failpoint
from .log_archive import is_hook
from .log_files import BLOCK, LogFiles, punch
from .log_looks import LogLooks
from .log_state import DISK_FULL, OVER_CAP, LogState

ORPHAN_S = 600.0
LOW_SHARE = 32
LOW_MOST = 64 * 1024 * 1024
"""A disk is full when less than this, and less than this share of it, is left for workers."""
KEPT = 64 * 1024
"""The newest bytes of a live file stay, however full the disk is."""
TOLD_EVERY_S = 60.0
PACKED = 8
"""How much smaller an archive is than its content, by experience."""

_CANNOT = "the file system of the logs cannot punch holes: a log file grows until its run ends"
_FULL = "the disk of the logs is full and no log bytes are left to give up"


class Limits(NamedTuple):
    """What a slot's launch says: bytes per file, ended runs per slot."""

    max_bytes: int
    archives: int


NO_SLOT = Limits(52_428_800, 5)
"""Of a run that outlives its slot."""

Limiter = Callable[[str], Optional[Limits]]


class LogSpace:
    """Decides and gives up. `files` are the states of all; `limits` answers None for a slot that is gone."""

    def __init__(self, files: LogFiles, looks: LogLooks, tell: Callable[[str, str, dict[str, Any]], None]) -> None:
        self.limits: Limiter = lambda _slot: None
        self._files = files
        self._looks = looks
        self._tell = tell
        self._told_at = float("-inf")
        self._cannot = False
        self._is_full = False

    @property
    def degraded(self) -> str:
        """What cannot be kept in bounds here; empty when all can."""
        return _FULL if self._is_full else _CANNOT if self._cannot else ""

    # --- the cap of a file ---

    def cap(self, file: LogState) -> None:
        """Punch the head where the file is over its cap. In steps, so that a flood does not punch at each look."""
        most = (self.limits(file.key.slot) or NO_SLOT).max_bytes
        if file.archive:
            return
        if file.size - file.head <= most + most // 8:
            return
        end = file.size - most
        if file.size - file.head <= 2 * most:
            end = min(end, file.stored - file.base)
        self._punch(file, end, OVER_CAP)

    def _punch(self, file: LogState, end: int, why: str) -> int:
        """Give up the bytes below the physical `end`; about how many blocks came free."""
        end -= end % BLOCK
        if end <= file.head:
            return 0
        try:
            with self._looks.opened(file, os.O_RDWR) as descriptor:
                if not punch(descriptor, end):
                    self._cannot = True
                    return 0
        except OSError:
            return 0  # The next look says what became of it.
        freed, file.head, file.head_why = end - file.head, end, why
        return freed

    # --- ended runs ---

    def dispensable(self, slot: str, ended: list[LogState]) -> list[LogState]:
        """Those of a slot's ended files that need not be kept."""
        limits = self.limits(slot)
        if limits is None:
            return [file for file in ended if self._is_done_without_slot(file)]
        for file in ended:
            file.gone_at = None
        found: list[LogState] = []
        for kind in (False, True):
            found += _beyond([file for file in ended if is_hook(file.key.run) is kind], limits.archives)
        return found

    @staticmethod
    def _is_done_without_slot(file: LogState) -> bool:
        now = time.time()
        if file.gone_at is None:
            file.gone_at = now
        return file.is_stored or now - file.gone_at > ORPHAN_S

    def drop(self, file: LogState) -> None:
        """Remove an ended file, with an event where bytes of it were not stored."""
        failpoint("agent.log_before_drop")
        self._files.remove(file.key, file.archive)
        self.let_go(file)
        if not file.is_stored:
            message = f"{file.end - file.stored} bytes of {file.key.stream} of run {file.key.run} were dropped unread"
            data = {"run": file.key.run, "stream": file.key.stream, "from": file.stored, "to": file.end}
            self._tell("logs_dropped", message, {"slot": file.key.slot, **data})

    @staticmethod
    def let_go(file: LogState) -> None:
        """Close what is held of it."""
        if file.held is not None:
            os.close(file.held)
            file.held = None

    # --- a full disk ---

    def relieve(self, files: Iterable[LogState]) -> list[LogState]:
        """Make room on a full disk; the ended files that were given up for it."""
        missing = self._missing()
        self._is_full = missing > 0
        if not missing:
            return []
        asked, known, dropped = missing, list(files), []
        for must_be_stored in (True, False):
            for file in sorted(known, key=lambda file: (not file.has_ended, file.changed)):
                if missing > 0 and file.has_ended and file.size and (file.is_stored or not must_be_stored):
                    self.drop(file)
                    dropped.append(file)
                    known.remove(file)
                    missing -= (file.size - file.head) // (PACKED if file.archive else 1)
                elif missing > 0 and not file.has_ended:
                    end = min(file.size - KEPT, file.head + missing + BLOCK)
                    end = min(end, file.stored - file.base) if must_be_stored else end
                    missing -= self._punch(file, end, DISK_FULL)
        if missing < asked:
            self._say(asked - missing)
            self._is_full = self._missing() > 0
        return dropped

    def _missing(self) -> int:
        try:
            free, total = self._files.room()
        except OSError:
            return 0
        low = min(total // LOW_SHARE, LOW_MOST)
        return 2 * low - free if free < low else 0

    def _say(self, freed: int) -> None:
        now = time.monotonic()
        if now - self._told_at > TOLD_EVERY_S:
            message = f"the disk of the logs is full: {freed} of the oldest log bytes were given up; workers that wrote"
            self._tell("log_disk_full", f"{message} meanwhile may have lost output", {"slot": None, "bytes": freed})
            self._told_at = now


def _beyond(files: list[LogState], archives: int) -> list[LogState]:
    changed: dict[str, float] = {}
    for file in files:
        changed[file.key.run] = max(file.changed, changed.get(file.key.run, 0.0))
    newest_first = sorted(changed, key=lambda run: (changed[run], run), reverse=True)
    old, too_many = set(newest_first[archives:]), set(newest_first[max(2 * archives, 2) :])
    return [file for file in files if file.key.run in too_many or (file.key.run in old and file.is_stored)]
