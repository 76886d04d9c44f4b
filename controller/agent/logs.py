"""The log files of all runs: where they are written, how they are read, when their bytes may go.

Workers write straight to the files (the keeper's child opens them); this file never stands between a worker and its
output. A cursor is (run, stream, offset), and an offset only grows: the punched head of a file keeps its offsets, and
where a writer truncated its file, the new content goes on where the old one had got to (`base`). What was not read
before it went is a gap with its reason, in the answer to the next read; never silence, never a byte twice.

Space: a file over its cap loses its head, bytes that are stored elsewhere first; unstored ones only at twice the cap.
Ended runs are kept in number (`log_archives`, of the worker itself and of its hooks apart), and longer while they are
not stored, up to twice the number. Those that are stored, or are not the newest, are compressed (log_archive.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, Optional

from . import log_archive
from .log_archive import PACK_FROM, PACK_TO, Archive, ArchiveReader, is_hook
from .log_files import BLOCK, Key, LogFiles, first_data, punch
from .log_index import IndexFile, TimeIndex
from .log_watch import LogWatch
from .protocol import STREAMS

READ_LIMIT = 1024 * 1024
ORPHAN_S = 600.0
OVER_CAP = "over the cap"
TRUNCATED = "truncated by the writer"


class Limits(NamedTuple):
    """What a slot's launch says: bytes per file, ended runs per slot."""

    max_bytes: int
    archives: int


@dataclass
class _File:
    """One file. `size`, `head` (end of the punched part) are physical; `base + physical` is an offset.

    `archive` is the name of the compressed file that it has become; empty while it is none.
    """

    key: Key
    changed: float
    size: int = 0
    head: int = 0
    base: int = 0
    stored: int = 0
    has_ended: bool = False
    gone_at: Optional[float] = None
    archive: str = ""
    index: TimeIndex = field(default_factory=TimeIndex)

    @property
    def end(self) -> int:
        return self.base + self.size


class ReadError(Exception):
    """There is no such log."""


class Logs:
    """One per agent, in the event loop's thread. Knows nothing before `load`."""

    def __init__(
        self,
        root: str,
        memory: str,
        push: Callable[[dict[str, Any]], None],
        tell: Callable[[str, str, dict[str, Any]], None],
    ) -> None:
        self._files = LogFiles(root)
        self._reader = ArchiveReader(self._files)
        self._memory = IndexFile(memory)
        self._limits: Callable[[str], Optional[Limits]] = lambda _slot: None
        self._push = push
        self._tell = tell
        self.on_new: Callable[[str], None] = lambda _run: None
        self._watch = LogWatch(self._noticed, self._memory.flush)
        self._known: dict[tuple[str, str], _File] = {}
        self._live: dict[str, dict[str, None]] = {}

    @property
    def degraded(self) -> str:
        """What works less well than it could here."""
        return self._watch.degraded

    # --- the life of a run's files ---

    def load(self, limits: Callable[[str], Optional[Limits]]) -> None:
        """Find the files that are there. `limits` answers None for a slot that is gone."""
        self._limits = limits
        for key, found in self._files.scan():
            file = _File(key, found.st_mtime, size=found.st_size, base=self._files.read_base(key))
            if found.st_blocks * 512 < found.st_size:
                with contextlib.suppress(OSError), self._files.opened(key) as descriptor:
                    file.head = first_data(descriptor)
            self._known[key.run, key.stream] = file
        for archive in list(log_archive.scan(self._files)):
            # One that has its plain file still beside it is whole: we died before that was removed.
            self._take_archive(archive)
        for slot in self._files.slots():
            if self._limits(slot) is None:
                self._files.remove_folder(slot)
        for key, offset, at in self._memory.load():
            remembered = self._known.get((key.run, key.stream))
            if remembered is None:
                continue
            if at is not None:
                remembered.index.add(offset, at)
            else:
                remembered.stored = max(remembered.stored, offset)
        for file in self._known.values():
            self._mend(file)
        self._memory.rewrite((file.key, file.stored, file.index) for file in self._known.values())

    def _mend(self, file: _File) -> None:
        """More is stored than there is: it was truncated while nobody looked."""
        if file.stored > file.end and not file.archive:
            self._rebase(file, file.stored)
            with contextlib.suppress(OSError):
                self._measure(file)

    def open_run(self, slot: str, run: str) -> tuple[str, str]:
        """Make room for a run that is about to start: the paths of its two files. Raises OSError."""
        folder = self._files.make_folder(slot)
        self._watch.add(slot, folder)
        self._live.setdefault(slot, {})[run] = None
        for stream in STREAMS:
            self._known[run, stream] = _File(Key(slot, run, stream), time.time())
        return f"{folder}/{run}.{STREAMS[0]}", f"{folder}/{run}.{STREAMS[1]}"

    def close_run(self, slot: str, run: str) -> None:
        """Nothing more will come."""
        runs = self._live.get(slot, {})
        runs.pop(run, None)
        if not runs:
            self._live.pop(slot, None)
            self._watch.remove(slot)
        for stream in STREAMS:
            file = self._known.get((run, stream))
            if file is not None:
                self._look(file)
                file.has_ended = True
                # Said once more, so that a reader who waits learns that there is no more.
                self._say(file)
        self._memory.flush()

    def resume(self, live: Iterable[tuple[str, str]]) -> None:
        """After a start of ours: (slot, run) of all runs that may still write; all others have ended."""
        for slot, run in sorted(live):
            with contextlib.suppress(OSError):
                self._watch.add(slot, self._files.make_folder(slot))
            self._live.setdefault(slot, {})[run] = None
        for (run, _stream), file in self._known.items():
            file.has_ended = run not in self._live.get(file.key.slot, {})
            if not file.has_ended:
                self._look(file)
        self._memory.flush()

    def drop_slot(self, slot: str) -> None:
        """The slot is gone. Its files stay until they are stored, or for some minutes."""
        for file in self._known.values():
            if file.key.slot == slot:
                file.gone_at = time.time()
        self.tidy(slot)

    # --- reading ---

    def read(self, run: str, stream: str, offset: int, limit: int) -> tuple[dict[str, Any], bytes]:
        """Bytes from `offset` on: the answer of `read_log` and its payload. Raises ReadError."""
        file = self._known.get((run, stream))
        if file is None:
            raise ReadError(f"there is no {stream} of run {run}")
        try:
            if not file.has_ended:
                self._measure(file)
            if offset > file.end and not file.archive:
                # More was read than there is: it was truncated while nobody looked. All that is there is new.
                self._rebase(file, offset)
                self._measure(file)
            start = max(offset, file.base + file.head)
            data = self._read(file, start, min(limit, READ_LIMIT, file.end - start))
        except OSError as error:
            raise ReadError(f"cannot read the {stream} of run {run}: {error.strerror}") from None
        answer: dict[str, Any] = {
            "offset": start,
            "size": file.end,
            "ended": file.has_ended,
            "times": file.index.between(start, start + len(data)) if data else [],
        }
        if start > offset:
            reason = TRUNCATED if offset < file.base and not file.archive else OVER_CAP
            answer["gap"] = {"from": offset, "to": start, "reason": reason}
        return answer, data

    def _read(self, file: _File, start: int, count: int) -> bytes:
        if count <= 0:
            return b""
        if file.archive:
            return self._reader.read(file.key.slot, file.archive, start - file.base, count)
        with self._files.opened(file.key) as descriptor:
            return os.pread(descriptor, count, start - file.base)

    def is_archived(self, run: str, stream: str) -> bool:
        """Whether reading it may take a while: to be done in a thread."""
        file = self._known.get((run, stream))
        return file is not None and bool(file.archive)

    def stored(self, run: str, stream: str, offset: int) -> None:
        """All bytes below are safe elsewhere."""
        file = self._known.get((run, stream))
        if file is None or offset <= file.stored:
            return
        file.stored = min(offset, file.end)
        file.index.forget_below(file.stored)
        self._memory.stored(file.key, file.stored)
        if file.gone_at is not None:
            self.tidy(file.key.slot)

    def listing(self) -> list[dict[str, Any]]:
        """All files that are there."""
        return [
            {
                "run": file.key.run,
                "slot": file.key.slot,
                "stream": file.key.stream,
                "size": file.end,
                "ended": file.has_ended,
                "stored": file.stored,
            }
            for file in self._known.values()
        ]

    # --- space ---

    def tidy(self, only: Optional[str] = None) -> None:
        """Remove what need not be kept; now and then, or for one slot that went."""
        by_slot: dict[str, list[_File]] = {}
        for file in self._known.values():
            if file.has_ended and only in (None, file.key.slot):
                by_slot.setdefault(file.key.slot, []).append(file)
        for slot, files in by_slot.items():
            limits = self._limits(slot)
            if limits is None:
                self._tidy_gone(files)
            else:
                self._tidy_archives(files, limits.archives)
        self._memory.flush()
        if only is None and self._memory.is_large:
            self._memory.rewrite((file.key, file.stored, file.index) for file in self._known.values())

    async def pack(self) -> None:
        """Compress what has ended and is not likely to be read soon; one file after the other, in a thread."""
        for file in [file for file in self._known.values() if self._is_to_pack(file)]:
            work = partial(log_archive.pack, self._files, file.key, file.base, file.head)
            with contextlib.suppress(OSError):
                archive = await asyncio.get_running_loop().run_in_executor(None, work)
                if self._known.get((file.key.run, file.key.stream)) is file:
                    self._take_archive(archive)
                else:
                    self._files.remove(file.key, archive.name)

    def _is_to_pack(self, file: _File) -> bool:
        if not file.has_ended or file.archive or not PACK_FROM <= file.size - file.head < PACK_TO:
            return False
        if file.stored >= file.end:
            return True
        slot, run = file.key.slot, file.key.run
        others = (other for other in self._known.values() if other.key.slot == slot and other.key.run != run)
        return any(is_hook(other.key.run) == is_hook(run) and other.changed > file.changed for other in others)

    def _take_archive(self, archive: Archive) -> None:
        """The file is compressed from now on."""
        key = archive.key
        known = self._known.get((key.run, key.stream))
        file = known or _File(key, archive.changed, has_ended=True)
        file.base, file.head, file.size, file.archive = archive.start, 0, archive.size, archive.name
        self._known[key.run, key.stream] = file
        self._files.remove(key)

    def close(self) -> None:
        """Let go of everything; files stay."""
        self._reader.close()
        self._memory.flush()
        self._memory.close()
        self._watch.close()
        self._files.close()

    def _tidy_gone(self, files: list[_File]) -> None:
        now = time.time()
        for file in files:
            if file.gone_at is None:
                file.gone_at = now
            if file.stored >= file.end or now - file.gone_at > ORPHAN_S:
                self._drop(file)
        slot = files[0].key.slot
        if slot not in self._live:
            self._files.remove_folder(slot)

    def _tidy_archives(self, files: list[_File], archives: int) -> None:
        for kind in (False, True):
            self._tidy_kind([file for file in files if is_hook(file.key.run) is kind], archives)

    def _tidy_kind(self, files: list[_File], archives: int) -> None:
        changed: dict[str, float] = {}
        for file in files:
            file.gone_at = None
            changed[file.key.run] = max(file.changed, changed.get(file.key.run, 0.0))
        newest_first = sorted(changed, key=lambda run: (changed[run], run), reverse=True)
        old, too_many = set(newest_first[archives:]), set(newest_first[max(2 * archives, 2) :])
        for file in files:
            if file.key.run in too_many or (file.key.run in old and file.stored >= file.end):
                self._drop(file)

    def _drop(self, file: _File) -> None:
        self._files.remove(file.key, file.archive)
        del self._known[file.key.run, file.key.stream]
        if file.stored < file.end:
            message = f"{file.end - file.stored} bytes of {file.key.stream} of run {file.key.run} were dropped unread"
            data = {"run": file.key.run, "stream": file.key.stream, "from": file.stored, "to": file.end}
            self._tell("logs_dropped", message, {"slot": file.key.slot, **data})

    def _cap(self, file: _File) -> None:
        """Punch the head where the file is over its cap. In steps, so that a flood does not punch at each look."""
        limits = self._limits(file.key.slot)
        if limits is None or file.size - file.head <= limits.max_bytes + limits.max_bytes // 8:
            return
        end = file.size - limits.max_bytes
        if file.size - file.head <= 2 * limits.max_bytes:
            end = min(end, file.stored - file.base)
        end -= end % BLOCK
        if end <= file.head:
            return
        with contextlib.suppress(OSError), self._files.opened(file.key, os.O_RDWR) as descriptor:
            if punch(descriptor, end):
                file.head = end

    # --- looking ---

    def _noticed(self, slot: str, name: str) -> None:
        if not slot:
            for live, runs in list(self._live.items()):
                for run in list(runs):
                    for stream in STREAMS:
                        self._noticed(live, f"{run}.{stream}")
            return
        run, _, stream = name.rpartition(".")
        file = self._known.get((run, stream))
        if file is not None and file.key.slot == slot and self._look(file):
            self._say(file)
            self._cap(file)

    def _say(self, file: _File) -> None:
        key = file.key
        self._push({"push": "log", "run": key.run, "stream": key.stream, "slot": key.slot, "size": file.end})
        self.on_new(key.run)

    def _look(self, file: _File) -> bool:
        """Learn the size of a file that may still grow; True when it has changed. One that cannot be read has not."""
        with contextlib.suppress(OSError):
            return not file.has_ended and self._measure(file)
        return False

    def _measure(self, file: _File) -> bool:
        try:
            with self._files.opened(file.key) as descriptor:
                found = os.fstat(descriptor)
        except FileNotFoundError:
            if file.size == 0:
                return False  # not yet opened by the keeper's child
            raise
        if found.st_size < file.size:
            self._rebase(file, file.end)
        elif found.st_size == file.size:
            return False
        at = min(found.st_mtime, time.time())
        if found.st_size > file.size and file.index.add(file.end, at):
            self._memory.point(file.key, file.end, at)
        file.size, file.changed = found.st_size, found.st_mtime
        return True

    def _rebase(self, file: _File, base: int) -> None:
        """Its writer truncated it: what is there now has the offsets from `base` on. To be measured next."""
        file.base, file.head, file.size = base, 0, 0
        with contextlib.suppress(OSError):
            self._files.write_base(file.key, base)
