"""Log ingest: from the hosts' files into the database, exactly once and in order per file.

The cursor of a file is stored in the transaction that stores its lines, so a death of anything in between repeats a
read and never a line. Bytes that cannot be had, and lines above `store_rate`, become gap records. A file that is far
behind is skipped forward with a record: a flood costs its own lines, nobody else's time.

A few readers share the files that have news; a file is read by one reader at a time, one chunk a turn, so that a
busy file cannot starve a quiet one. When the writer has no room, nothing is read: the bytes are safe in their files.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from controller.agent.failpoints import failpoint
from controller.backends.base import Backend, BackendError, LogChunk, LogFile
from controller.core.lines import Line, split_lines
from controller.store import Store
from controller.store.records import Conflict, LogBatch, Outcome, Rejected
from controller.store.records import Line as StoredLine

CHUNK = 256 * 1024
READERS = 4
FAR_BEHIND = 16 * 1024 * 1024
"""A file with more unread bytes than this is skipped forward to its last `CATCH_UP` bytes."""
CATCH_UP = 1024 * 1024
MARK_S = 1.0
"""How often hosts are told what is stored."""

log = logging.getLogger("workerctl.logs")


@dataclass
class _File:
    """One file being followed. `offset` is what is stored; None until the store was asked."""

    host: str
    file: LogFile
    offset: int | None = None
    busy: bool = False
    news: bool = False
    second: int = 0
    in_second: int = 0
    dropped: int = 0


@dataclass
class LogIngest:
    """Follows all files that it is told of. `store_rate(instance)`: lines per second that go to the database."""

    store: Store
    backends: Mapping[str, Backend]
    now: Callable[[], float]
    store_rate: Callable[[str], int]
    _files: dict[tuple[str, str], _File] = field(default_factory=dict)
    _due: asyncio.Queue[_File] = field(default_factory=asyncio.Queue)
    _marks: dict[str, dict[tuple[str, str], int]] = field(default_factory=dict)

    def grew(self, host: str, file: LogFile) -> None:
        """There may be something to read."""
        known = self._files.get((file.run, file.stream))
        if known is None:
            known = self._files[file.run, file.stream] = _File(host, file)
        else:
            known.file = replace(file, ended=file.ended or known.file.ended)
        self._want(known)

    async def run(self) -> None:
        """Read until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(READERS):
                group.create_task(self._read_due())
            group.create_task(self._tell_marks())

    @property
    def behind(self) -> int:
        """Files with news that are not read yet."""
        return sum(1 for file in self._files.values() if file.busy or file.news)

    def _want(self, file: _File) -> None:
        if file.busy:
            file.news = True
        else:
            file.busy = True
            self._due.put_nowait(file)

    async def _read_due(self) -> None:
        while True:
            file = await self._due.get()
            file.news = False
            again = False
            try:
                again = await self._read_once(file)
            except LookupError:
                self._files.pop((file.file.run, file.file.stream), None)
            except BackendError:
                pass  # The next connection lists all files anew.
            except Exception:  # one file's trouble must not stop the others
                log.exception("internal error: cannot read a log file")
            file.busy = False
            if again or file.news:
                self._want(file)

    async def _read_once(self, file: _File) -> bool:
        """One chunk; whether there is more to do now."""
        await self._room()
        if file.offset is None:
            file.offset = await self._stored_offset(file)
        start = self._skip_forward(file)
        chunk = await self.backends[file.host].read_log(file.file, start, CHUNK)
        rows, end = self._rows(file, chunk, start)
        failpoint("controller.before_log_batch")
        if end != file.offset:
            await self._store_rows(file, rows, end)
            failpoint("controller.after_log_batch")
            self._mark(file)
        if chunk.ended and file.offset >= chunk.size and file.offset == end:
            self._mark(file)
            del self._files[file.file.run, file.file.stream]
            return False
        return end < chunk.size and (end != start or chunk.gap is not None)

    async def _stored_offset(self, file: _File) -> int:
        cursors = await asyncio.to_thread(self.store.reader.log_cursors, [file.file.run])
        stored = cursors.get((file.file.run, file.file.stream))
        return stored.byte_offset if stored else 0

    def _skip_forward(self, file: _File) -> int:
        assert file.offset is not None
        behind = file.file.size - file.offset
        return file.file.size - CATCH_UP if behind > FAR_BEHIND else file.offset

    def _rows(self, file: _File, chunk: LogChunk, start: int) -> tuple[list[StoredLine], int]:
        """The rows of a chunk with the gaps before it, and the offset that is stored when they are."""
        assert file.offset is not None
        rows: list[StoredLine] = []
        if start > file.offset:
            text = (
                f"{start - file.offset} bytes were not stored: written faster than they could be; they are in the file"
            )
            rows.append(self._gap(file.offset, text))
        if chunk.gap is not None:
            rows.append(self._gap(chunk.gap[0], f"{chunk.gap[1] - chunk.gap[0]} bytes are missing: {chunk.gap[2]}"))
        lines, used = split_lines(chunk.data, chunk.offset, ended=chunk.ended, times=chunk.times, fallback=self.now())
        if start > file.offset and lines and chunk.gap is None:
            del lines[0]  # it begins in the middle
        rows += self._within_rate(file, lines)
        return rows, chunk.offset + used

    def _within_rate(self, file: _File, lines: list[Line]) -> list[StoredLine]:
        """Lines up to `store_rate` in each second of their own time, then one record with the number left out."""
        rate = self.store_rate(file.file.instance)
        rows: list[StoredLine] = []
        for line in lines:
            second = int(line.at)
            if second != file.second:
                rows += self._dropped(file, line)
                file.second, file.in_second = second, 0
            file.in_second += 1
            if file.in_second > rate:
                file.dropped += 1
                continue
            rows.append(
                StoredLine(
                    at=line.at, text=line.text, byte_offset=line.offset, approximate=line.approximate,
                    partial=line.partial,
                )
            )  # fmt: skip
        if lines and file.dropped:
            rows += self._dropped(file, lines[-1])
        return rows

    def _dropped(self, file: _File, line: Line) -> list[StoredLine]:
        if not file.dropped:
            return []
        text = f"{file.dropped} lines were not stored: more than store_rate in one second; they are in the file"
        file.dropped = 0
        return [self._gap(line.offset, text)]

    def _gap(self, offset: int, text: str) -> StoredLine:
        return StoredLine(at=self.now(), text=text, byte_offset=offset, kind="gap")

    async def _store_rows(self, file: _File, rows: list[StoredLine], end: int) -> None:
        assert file.offset is not None
        batch = LogBatch(
            run=file.file.run, stream=file.file.stream, slot=file.file.instance, from_offset=file.offset,
            to_offset=end, lines=rows,
        )  # fmt: skip
        outcome = await self._submitted(batch)
        match outcome:
            case Conflict(offset=offset):
                file.offset = offset
            case Rejected(message=message):
                log.error("log lines were refused", extra={"fields": {"run": file.file.run, "error": message}})
                await self._submitted(
                    replace(batch, lines=[self._gap(file.offset, f"lines could not be stored: {message}")])
                )
                file.offset = end
            case _:
                file.offset = end

    async def _submitted(self, batch: LogBatch) -> Outcome:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Outcome] = loop.create_future()

        def settle(outcome: Outcome) -> None:
            loop.call_soon_threadsafe(_resolve, done, outcome)

        while not self.store.writer.submit(batch, settle):
            await self._room()
        return await done

    async def _room(self) -> None:
        """Wait until the writer welcomes lines: until then the bytes stay in their files."""
        loop, room = asyncio.get_running_loop(), asyncio.Event()

        def ring() -> None:
            loop.call_soon_threadsafe(room.set)

        self.store.writer.when_room(ring)
        await room.wait()

    def _mark(self, file: _File) -> None:
        if file.offset:
            self._marks.setdefault(file.host, {})[file.file.run, file.file.stream] = file.offset

    async def _tell_marks(self) -> None:
        while True:
            await asyncio.sleep(MARK_S)
            for host, marks in list(self._marks.items()):
                try:
                    await self.backends[host].stored([(run, stream, end) for (run, stream), end in marks.items()])
                except BackendError:
                    continue
                self._marks.pop(host, None)


def _resolve(done: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not done.done():
        done.set_result(outcome)
