"""From a chunk of a log file to the rows that are stored for it. Pure; called by ingest.py.

The answer covers the bytes from what is stored (`offset`) to `end`: as lines, or as gap records that say what is
missing and why. Nothing is remembered here: what was harvested and could not be stored is harvested again.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from controller.backends.base import LogChunk
from controller.core.levels import level_of
from controller.core.lines import Line, Lines, Passed
from controller.store.records import Line as StoredLine

LINES_MOST = 4096
"""Lines of one batch. More than the writer's half-full backlog takes at once would never get in."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How many lines the newest second of a file has had so far, and the one before it."""

    second: int = 0
    count: int = 0
    before: int = 0

    @property
    def demand(self) -> int:
        """Lines a second, by what is known."""
        return max(self.count, self.before)


@dataclass(frozen=True, slots=True)
class Rate:
    """Lines per second that are stored, and what is said of the others."""

    most: int
    why: str = "more than store_rate in one second"


@dataclass(frozen=True, slots=True)
class Harvest:
    """`rows` for all bytes up to `end`, and the pace to go on with once they are stored.

    `is_over`: the file prints more than is stored of it.
    """

    rows: list[StoredLine]
    end: int
    pace: Pace
    is_over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a file stands: bytes below `offset` are stored; the chunk was asked for at `start`.

    `start` lies further on after a skip.
    """

    offset: int
    start: int
    pace: Pace
    rate: Rate


def harvest(chunk: LogChunk, at: Position, now: float) -> Harvest:
    """The rows of `chunk`. `end` equals `at.offset` when there is nothing to store yet."""
    is_whole = chunk.ended and chunk.offset + len(chunk.data) >= chunk.size
    found = Lines(chunk.data, chunk.offset, ended=is_whole, times=chunk.times, fallback=now)
    begin = at.start
    if at.start > at.offset and chunk.offset == at.start:
        # It was skipped to, so it begins in the middle of a line; that line is among what is not stored.
        for line in found:
            begin = line.end
            if not line.partial:
                break
    rows: list[StoredLine] = []
    if at.start > at.offset:
        reason = f"written faster than they could be; {_place(at.offset, begin)}"
        rows.append(_gap(at.offset, now, f"{begin - at.offset} bytes were not stored: {reason}"))
    if chunk.offset > at.start:
        reason = chunk.gap[2] if chunk.gap else "the host does not say why"
        rows.append(_gap(at.start, now, f"{chunk.offset - at.start} bytes are missing: {reason}"))
    stored, pace = within_rate(itertools.islice(found, LINES_MOST), at.pace, at.rate, found.pass_second)
    return Harvest(rows + stored, found.end, pace, pace.count > at.rate.most)


@dataclass(slots=True)
class _LeftOut:
    """Lines one after the other that are not stored."""

    offset: int
    count: int = 0
    end: int = 0
    at: float = 0.0

    def add(self, count: int, end: int, at: float) -> None:
        self.count, self.end, self.at = self.count + count, end, at


def _look_at_all(_second: int) -> Passed | None:
    return None


def within_rate(
    lines: Iterable[Line], pace: Pace, rate: Rate, pass_second: Callable[[int], Passed | None] = _look_at_all
) -> tuple[list[StoredLine], Pace]:
    """Lines up to `rate` in each second of their own time, and a record with the number of each run left out.

    A line whose time is not known is not counted: it cannot be said to have come too fast. Once a second has had its
    lines, `pass_second` passes the others of that second: a flood costs its reading, not a look at each line.
    """
    rows: list[StoredLine] = []
    second, count, before = pace.second, pace.count, pace.before
    dropped: _LeftOut | None = None
    for line in lines:
        if not line.approximate:
            if int(line.at) != second:
                second, count, before = int(line.at), 0, count
            count += 1
            if count > rate.most:
                dropped = dropped or _LeftOut(line.offset)
                dropped.add(1, line.end, line.at)
                if passed := pass_second(second):
                    dropped.add(passed.count, passed.end, passed.at)
                    count += passed.count
                continue
        if dropped:
            rows.append(_dropped(dropped, rate.why))
            dropped = None
        rows.append(
            StoredLine(
                at=line.at,
                text=line.text,
                byte_offset=line.offset,
                approximate=line.approximate,
                partial=line.partial,
                level=level_of(line.text),
            )
        )
    if dropped:
        rows.append(_dropped(dropped, rate.why))
    return rows, Pace(second, count, before)


def gone(offset: int, end: int, now: float, why: str) -> StoredLine:
    """What is stored for bytes that the host cannot give any more."""
    return _gap(offset, now, f"{end - offset} bytes are missing: {why}")


def refused(rows: Sequence[StoredLine], offset: int, now: float, why: str) -> list[StoredLine]:
    """What is stored in place of rows that the database does not take."""
    return [_gap(offset, now, f"{len(rows)} lines could not be stored: {why}")]


def _dropped(lines: _LeftOut, why: str) -> StoredLine:
    text = f"{lines.count} lines were not stored: {why}; {_place(lines.offset, lines.end)}"
    return _gap(lines.offset, lines.at, text)


def _place(begin: int, end: int) -> str:
    """Where a person finds them: from byte `begin` on, and not from `end` on."""
    return f"they are bytes {begin} to {end} of the file"


def _gap(offset: int, at: float, text: str) -> StoredLine:
    return StoredLine(at=at, text=text, byte_offset=offset, kind="gap")
