"""Log ingest: from the hosts' files into the database, exactly once and in order per file.

The cursor of a file is stored in the transaction that stores its lines, so a death of anything in between repeats a
read and never a line. Bytes that cannot be had, and lines above `store_rate` or above a fair share of what the
database takes of all workers (fair_share.py), become gap records. A file that is far behind is skipped forward with a
record: a flood costs its own lines, nobody else's time. One that prints more than it may store is read less often.

A few readers share the files that have news; a file is read by one reader at a time, one chunk a turn, so that a
busy file cannot starve a quiet one. When the writer has no room, nothing is read: the bytes are safe in their files.
What an error interrupts is taken up again: with the next connection, which lists all files, else a little later.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from controller.agent.failpoints import failpoint
from controller.backends.base import Backend, Gone, LogFile, Superseded, Unavailable
from controller.reconcile.fair_share import FairShare
from controller.reconcile.harvest import Harvest, Pace, Position, Rate, gone, harvest, refused
from controller.store import Store, StoreError
from controller.store.records import Conflict, LogBatch, Outcome, Rejected, Stored

CHUNK = 256 * 1024
READERS = 4
FAR_BEHIND = 16 * 1024 * 1024
"""A file with more unread bytes than this is skipped forward to its last `CATCH_UP` bytes."""
CATCH_UP = 1024 * 1024
MARK_S = 1.0
"""How often hosts are told what is stored."""
REST_S = 0.05
"""Between two reads of a live file that prints more than it may store."""
BUDGET = 20_000
"""Lines per second of all files that go to the database."""
RETRY_S = 1.0
BUG_RETRY_S = 30.0
ASKED_AT_ONCE = 500
FINISHED_KEPT = 20_000

log = logging.getLogger("workerctl.logs")

Key = tuple[str, str]


@dataclass(eq=False)
class _File:
    """One file being followed. `offset` is what is stored; None until the store was asked."""

    host: str
    file: LogFile
    offset: int | None = None
    busy: bool = False
    news: bool = False
    pace: Pace = field(default_factory=Pace)

    @property
    def key(self) -> Key:
        return self.file.run, self.file.stream


@dataclass
class LogIngest:
    """Follows all files that it is told of. `store_rate(instance)`: lines per second that go to the database.

    `stored_lines` and `stored_gaps` count what went there since the start.
    """

    store: Store
    backends: Mapping[str, Backend]
    now: Callable[[], float]
    store_rate: Callable[[str], int]
    mark_s: float = MARK_S
    retry_s: float = RETRY_S
    share: FairShare = field(default_factory=lambda: FairShare(BUDGET))
    stored_lines: int = 0
    stored_gaps: int = 0
    _files: dict[Key, _File] = field(default_factory=dict)
    _unasked: dict[Key, _File] = field(default_factory=dict)
    _finished: dict[Key, int] = field(default_factory=dict)
    _due: asyncio.Queue[_File] = field(default_factory=asyncio.Queue)
    _marks: dict[str, dict[Key, int]] = field(default_factory=dict)
    _busy: int = 0
    _idle: asyncio.Event = field(default_factory=asyncio.Event)

    def grew(self, host: str, file: LogFile) -> None:
        """There may be something to read."""
        key = (file.run, file.stream)
        finished = self._finished.get(key)
        if finished is not None and file.size <= finished:
            if file.stored < finished:
                self._mark(host, key, finished)
            return
        known = self._files.get(key)
        if known is None:
            known = self._files[key] = self._unasked[key] = _File(host, file)
        else:
            known.file = replace(file, ended=file.ended or known.file.ended)
        self._want(known)

    def begin_anew(self) -> None:
        """The database was made anew: files that were done with are read again when they are listed."""
        self._finished.clear()

    async def run(self) -> None:
        """Read until cancelled. Raises Superseded."""
        async with asyncio.TaskGroup() as group:
            for _ in range(READERS):
                group.create_task(self._read_due())
            group.create_task(self._tell_marks())

    async def caught_up(self) -> None:
        """Wait until all that was told so far is stored, but for what an error makes wait."""
        if self._busy:
            await self._idle.wait()

    # --- reading ---

    def _want(self, file: _File) -> None:
        if file.busy:
            file.news = True
        else:
            file.busy = True
            self._busy += 1
            self._idle.clear()
            self._due.put_nowait(file)

    async def _read_due(self) -> None:
        while True:
            file = await self._due.get()
            file.news = False
            again = False
            try:
                again = await self._read_once(file)
            except Gone as error:
                await self._record_gone(file, str(error))
            except Unavailable:
                self.share.leave(file.key)
                # A new connection lists all files anew. Where there is one still, the host had another reason.
                if self.backends[file.host].view().reachable:
                    self._want_later(file, self.retry_s)
            except StoreError as error:
                log.debug("a log file must wait", extra={"fields": {"run": file.file.run, "error": str(error)}})
                self._want_later(file, self.retry_s)
            except Superseded:
                raise
            except Exception:  # one file's trouble must not stop the others
                log.exception("internal error: cannot read a log file")
                self._want_later(file, BUG_RETRY_S)
            file.busy = False
            self._busy -= 1
            if (again or file.news) and self._files.get(file.key) is file:
                self._want(file)
            if not self._busy:
                self._idle.set()

    def _want_later(self, file: _File, delay_s: float) -> None:
        asyncio.get_running_loop().call_later(delay_s, self._want, file)

    def _forget(self, file: _File) -> None:
        if self._files.get(file.key) is file:
            del self._files[file.key]
            self.share.leave(file.key)
        self._unasked.pop(file.key, None)

    async def _read_once(self, file: _File) -> bool:
        """One chunk; whether there is more to do now."""
        await self._room()
        if file.offset is None:
            file.offset = await self._stored_offset(file)
        failpoint("controller.before_log_read")
        known, before = file.file, file.offset
        if known.ended and before == known.size:
            self._finish(file, before)
            return False
        start = known.size - CATCH_UP if known.size - before > FAR_BEHIND else before
        chunk = await self.backends[file.host].read_log(known, start, CHUNK)
        rate = self._rate(known.instance)
        found = harvest(chunk, Position(offset=before, start=start, pace=file.pace, rate=rate), self.now())
        if found.end != before:
            failpoint("controller.before_log_batch")
            file.offset = await self._stored(file, before, found)
            failpoint("controller.after_log_batch")
            if file.offset != found.end:
                return True  # The database knows better where we are.
            file.pace = found.pace
            demand = min(found.pace.demand, self.store_rate(known.instance))
            self.share.ask(file.key, demand, self.now(), waits=found.end < chunk.size)
            self._mark(file.host, file.key, found.end)
        if chunk.ended and found.end == chunk.size:
            self._finish(file, found.end)
            return False
        has_more = found.end != before and found.end < chunk.size
        if has_more and found.is_over and not chunk.ended:
            self._want_later(file, REST_S)
            return False
        return has_more

    def _rate(self, instance: str) -> Rate:
        own, most = self.store_rate(instance), self.share.most(self.now())
        if most is None or own <= most:
            return Rate(own)
        return Rate(most, f"more than its share of the {self.share.budget} a second of all workers")

    async def _record_gone(self, file: _File, why: str) -> None:
        """The host has it no more: what was told of it and not stored is a gap."""
        end = file.file.size
        if file.offset is not None and file.offset < end:
            row = gone(file.offset, end, self.now(), why)
            try:
                await self._stored(file, file.offset, Harvest([row], end, file.pace))
            except StoreError:
                self._want_later(file, self.retry_s)
                return
        self._forget(file)

    def _finish(self, file: _File, end: int) -> None:
        """All of it is stored, and no more will come."""
        self._mark(file.host, file.key, end)
        self._forget(file)
        self._finished[file.key] = end
        while len(self._finished) > FINISHED_KEPT:
            del self._finished[next(iter(self._finished))]

    # --- storing ---

    async def _stored_offset(self, file: _File) -> int:
        """How far it is stored. Asks for many files at once: after a start all of them are listed."""
        self._unasked.pop(file.key, None)
        others = list(itertools.islice(self._unasked.values(), ASKED_AT_ONCE))
        for other in others:
            del self._unasked[other.key]
        asked = [file, *others]
        cursors = await self.store.ask(partial(self.store.reader.log_cursors, [one.file.run for one in asked]))
        for other in others:
            if other.offset is None:
                found = cursors.get(other.key)
                other.offset = found.byte_offset if found else 0
        stored = cursors.get(file.key)
        return stored.byte_offset if stored else 0

    async def _stored(self, file: _File, offset: int, found: Harvest) -> int:
        """Store what was found from `offset` on; where the stored bytes end now. Raises StoreError."""
        batch = LogBatch(
            run=file.file.run, stream=file.file.stream, slot=file.file.instance, from_offset=offset,
            to_offset=found.end, lines=found.rows,
        )  # fmt: skip
        outcome = await self._submitted(batch)
        if isinstance(outcome, Rejected):
            why = outcome.message
            log.error("log lines were refused", extra={"fields": {"run": batch.run, "error": why}})
            outcome = await self._submitted(replace(batch, lines=refused(found.rows, offset, self.now(), why)))
        match outcome:
            case Conflict(offset=other):
                return other
            case Rejected(message=message):
                raise StoreError(message)
            case Stored():
                gaps = sum(row.kind == "gap" for row in found.rows)
                self.stored_gaps += gaps
                self.stored_lines += len(found.rows) - gaps
        return found.end

    async def _submitted(self, batch: LogBatch) -> Outcome:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Outcome] = loop.create_future()

        def settle(outcome: Outcome) -> None:
            with contextlib.suppress(RuntimeError):  # The loop has ended; the cursor knows at the next start.
                loop.call_soon_threadsafe(_resolve, done, outcome)

        while not self.store.writer.submit(batch, settle):
            await self._room()
        return await done

    async def _room(self) -> None:
        """Wait until the writer welcomes lines: until then the bytes stay in their files."""
        loop, room = asyncio.get_running_loop(), asyncio.Event()

        def ring() -> None:
            with contextlib.suppress(RuntimeError):  # The loop has ended.
                loop.call_soon_threadsafe(room.set)

        self.store.writer.when_room(ring)
        await room.wait()

    # --- marks ---

    def _mark(self, host: str, key: Key, offset: int) -> None:
        """`offset` is stored, and the host is to know it."""
        if offset:
            self._marks.setdefault(host, {})[key] = offset

    async def _tell_marks(self) -> None:
        while True:
            await asyncio.sleep(self.mark_s)
            for host in list(self._marks):
                marks = self._marks.pop(host)
                try:
                    await self.backends[host].stored([(run, stream, end) for (run, stream), end in marks.items()])
                except Unavailable:
                    waiting = self._marks.setdefault(host, {})
                    for key, end in marks.items():
                        waiting.setdefault(key, end)


def _resolve(done: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not done.done():
        done.set_result(outcome)
