"""The log files of all runs: where they are written, how they are read, when their bytes may go.

Workers write straight to the files (the keeper's child opens them); this file never stands between a worker and its
output. A cursor is (run, stream, offset), and an offset only grows: the punched head of a file keeps its offsets, and
where a writer truncated its file, the new content goes on behind where the old one had got to (`base`). What was not
read before it went is a gap with its reason, in the answer to the next read; never silence, never a byte twice.

How a file is looked at, also one that was deleted or replaced: log_looks.py. What may go, and when: log_space.py.
Ended files that are stored, or are not the newest, are compressed: log_archive.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Optional

from . import log_archive, log_writers
from .log_archive import PACK_FROM, PACK_TO, Archive, ArchiveReader, is_hook
from .log_files import Key, LogFiles, first_data, inode_of
from .log_index import IndexFile
from .log_looks import LOST, LogLooks
from .log_space import Limits, LogSpace
from .log_state import TRUNCATED, LogState
from .log_watch import LogWatch
from .protocol import STREAMS

__all__ = ["Limits", "Logs", "ReadError"]

READ_LIMIT = 1024 * 1024


class ReadError(LookupError):
    """There is no such log; or, with `may_pass`, it cannot be read now."""

    may_pass = False


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
        self._looks = LogLooks(self._files, self._memory, tell)
        self._space = LogSpace(self._files, self._looks, tell)
        self._push = push
        self.on_new: Callable[[str], None] = lambda _run: None
        self._watch = LogWatch(self._noticed, self._after_notices)
        self._looks.on_held = lambda file, held: self._watch.add_file(file.key.slot, file.key.file, held)
        self._known: dict[tuple[str, str], LogState] = {}
        self._live: dict[str, dict[str, None]] = {}

    @property
    def degraded(self) -> str:
        """What works less well than it could here."""
        return "; ".join(filter(None, (self._watch.degraded, self._space.degraded)))

    # --- the life of a run's files ---

    def load(self, limits: Callable[[str], Optional[Limits]]) -> None:
        """Find the files that are there. `limits` answers None for a slot that is gone."""
        self._space.limits = limits
        for key, found in self._files.scan():
            file = LogState(key, found.st_mtime, size=found.st_size, base=self._files.read_base(key))
            file.inode = inode_of(found)
            if found.st_blocks * 512 < found.st_size:
                with contextlib.suppress(OSError), self._files.opened(key) as descriptor:
                    file.head = first_data(descriptor)
            self._known[key.run, key.stream] = file
        for archive in list(log_archive.scan(self._files)):
            # One that has its plain file still beside it is whole: we died before that was removed.
            self._take_archive(archive)
        for slot in self._files.slots():
            if limits(slot) is None:
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

    def _mend(self, file: LogState) -> None:
        """More is stored than there is: it was truncated while nobody looked."""
        if file.stored > file.end and not file.archive:
            self._looks.rebase(file, file.stored + 1, TRUNCATED)
            with contextlib.suppress(OSError):
                self._looks.measure(file)

    def open_run(self, slot: str, run: str) -> tuple[str, str]:
        """Make room for a run that is about to start: the paths of its two files. Raises OSError."""
        folder = self._files.make_folder(slot)
        self._watch.add(slot, folder)
        self._live.setdefault(slot, {})[run] = None
        for stream in STREAMS:
            self._known[run, stream] = LogState(Key(slot, run, stream), time.time())
        return f"{folder}/{run}.{STREAMS[0]}", f"{folder}/{run}.{STREAMS[1]}"

    def close_run(self, slot: str, run: str) -> None:
        """Nothing more will come."""
        runs = self._live.get(slot, {})
        runs.pop(run, None)
        if not runs:
            self._live.pop(slot, None)
            self._unwatch(slot)
        for stream in STREAMS:
            file = self._known.get((run, stream))
            if file is not None:
                self._look(file)
                self._space.cap(file)
                file.has_ended = True
                # Said once more, so that a reader who waits learns that there is no more.
                self._say(file)
        self.tidy(slot)

    def resume(self, live: Iterable[tuple[str, str]]) -> None:
        """After a start of ours: (slot, run) of all runs that may still write; all others have ended."""
        for slot, run in sorted(live):
            with contextlib.suppress(OSError):
                self._watch.add(slot, self._files.make_folder(slot))
            self._live.setdefault(slot, {})[run] = None
            for stream in STREAMS:
                if (run, stream) not in self._known:
                    key = Key(slot, run, stream)
                    self._known[run, stream] = LogState(key, time.time(), base=self._files.read_base(key))
        nameless = log_writers.deleted_paths(self._files.root)
        for (run, _stream), file in self._known.items():
            file.has_ended = run not in self._live.get(file.key.slot, {})
            if file.has_ended:
                self._space.cap(file)
                continue
            if f"{self._files.root}/{file.key.slot}/{file.key.file}" in nameless:
                # What stands there now, if anything, is not its output.
                file.inode, file.size, file.head = None, 0, 0
                self._looks.find(file)
                self._mend(file)
            self._look(file)
            self._space.cap(file)
        self._files.remove_strays(lambda run, stream: (run, stream) in self._known)
        self._memory.flush()

    def drop_slot(self, slot: str) -> None:
        """The slot is gone. Its files stay until they are stored, or for some minutes."""
        for file in self._known.values():
            if file.key.slot == slot:
                file.gone_at = time.time()
        if slot not in self._live:
            self._unwatch(slot)
        self.tidy(slot)

    def _unwatch(self, slot: str) -> None:
        """No run of it writes. Its next one finds its folder watched; a slot that is gone has none."""
        if self._space.limits(slot) is None:
            self._watch.remove(slot)
        else:
            self._watch.rest(slot)

    # --- reading ---

    def read(self, run: str, stream: str, offset: int, limit: int) -> tuple[dict[str, Any], bytes]:
        """Bytes from `offset` on: the answer of `read_log` and its payload. Raises ReadError."""
        file = self._known.get((run, stream))
        if file is None:
            raise ReadError(f"there is no {stream} of run {run}")
        try:
            start, data = self._read(file, offset, limit)
        except OSError as error:
            if error.errno not in LOST or file.archive:
                unreadable = ReadError(f"cannot read the {stream} of run {run}: {error.strerror}")
                unreadable.may_pass = error.errno not in (*LOST, errno.EIO)
                raise unreadable from None
            if not file.is_lost and self._looks.find(file):
                return self.read(run, stream, offset, limit)
            if not file.is_lost:
                self._looks.lose(file)
            start, data = max(offset, file.base), b""
        answer: dict[str, Any] = {
            "offset": start,
            "size": file.end,
            "ended": file.has_ended,
            "times": file.index.between(start, start + len(data)) if data else [],
        }
        if start > offset:
            reason = file.base_why if offset < file.base and not file.archive else file.head_why
            answer["gap"] = {"from": offset, "to": start, "reason": reason}
        return answer, data

    def _read(self, file: LogState, offset: int, limit: int) -> tuple[int, bytes]:
        while True:
            if not file.has_ended:
                self._looks.measure(file)
            if offset > file.end and not file.archive:
                # More was read than there is: it was truncated while nobody looked. All that is there is new.
                self._looks.rebase(file, offset + 1, TRUNCATED)
                self._looks.measure(file)
            base, start = file.base, max(offset, file.base + file.head)
            count = min(limit, READ_LIMIT, file.end - start)
            if count <= 0:
                return start, b""
            if file.archive:
                return start, self._reader.read(file.key.slot, file.archive, start - base, count)
            with self._looks.opened(file) as descriptor:
                data = os.pread(descriptor, count, start - base)
            if not file.has_ended:
                # Cut off meanwhile, these may be bytes that have other offsets by now.
                self._looks.measure(file)
            if file.base == base:
                return start, data

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
        self._space.cap(file)
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
        for slot, files in self._ended(only).items():
            for file in self._space.dispensable(slot, files):
                self._forget(file)
                self._space.drop(file)
            if slot not in self._live and self._space.limits(slot) is None:
                self._files.remove_folder(slot)
        if only is None:
            # What is in doubt, and a full disk: nobody writes, so nobody tells us to look.
            for file in [file for file in self._known.values() if file.doubted_at is not None and self._look(file)]:
                self._say(file)
            self._after_notices()
        self._memory.flush()
        if only is None and self._memory.is_large:
            self._memory.rewrite((file.key, file.stored, file.index) for file in self._known.values())

    def _ended(self, only: Optional[str]) -> dict[str, list[LogState]]:
        by_slot: dict[str, list[LogState]] = {}
        for file in self._known.values():
            if file.has_ended and only in (None, file.key.slot):
                by_slot.setdefault(file.key.slot, []).append(file)
        return by_slot

    async def pack(self) -> None:
        """Compress what has ended and is not likely to be read soon; one file after the other, in a thread."""
        for files in self._ended(None).values():
            for file in [file for file in files if self._is_to_pack(file, files)]:
                work = partial(log_archive.pack, self._files, file.key, file.base, file.head)
                with contextlib.suppress(OSError):
                    archive = await asyncio.get_running_loop().run_in_executor(None, work)
                    if self._known.get((file.key.run, file.key.stream)) is file and not file.is_lost:
                        self._take_archive(archive)
                    else:
                        self._files.remove(file.key, archive.name)

    @staticmethod
    def _is_to_pack(file: LogState, ended: list[LogState]) -> bool:
        if file.archive or file.held is not None or not PACK_FROM <= file.size - file.head < PACK_TO:
            return False
        kind = is_hook(file.key.run)
        others = (other for other in ended if other.key.run != file.key.run and is_hook(other.key.run) is kind)
        return file.is_stored or any(other.changed > file.changed for other in others)

    def _take_archive(self, archive: Archive) -> None:
        """The file is compressed from now on."""
        key = archive.key
        known = self._known.get((key.run, key.stream))
        file = known or LogState(key, archive.changed, has_ended=True)
        file.base, file.head, file.size, file.archive = archive.start, 0, archive.size, archive.name
        self._known[key.run, key.stream] = file
        self._files.remove(key)

    def _forget(self, file: LogState) -> None:
        del self._known[file.key.run, file.key.stream]

    def close(self) -> None:
        """Let go of everything; files stay."""
        self._reader.close()
        self._memory.flush()
        self._memory.close()
        self._watch.close()
        for file in self._known.values():
            self._space.let_go(file)
        self._files.close()

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
            self._space.cap(file)

    def _after_notices(self) -> None:
        for file in self._space.relieve(self._known.values()):
            self._forget(file)
        self._memory.flush()

    def _say(self, file: LogState) -> None:
        key = file.key
        self._push({"push": "log", "run": key.run, "stream": key.stream, "slot": key.slot, "size": file.end})
        self.on_new(key.run)

    def _look(self, file: LogState) -> bool:
        """Learn the size of a file that may still grow; True when it has changed. One that cannot be read has not."""
        with contextlib.suppress(OSError):
            return not file.has_ended and self._looks.measure(file)
        return False
