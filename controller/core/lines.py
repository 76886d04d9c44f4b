r"""Bytes of output to lines: where each begins, when it was written, whether it is whole. Pure.

A line ends at "\n" (a "\r" before it goes with it). One longer than `LINE_CAP` is cut into pieces, all but the last
marked partial. What follows the last newline is left for the next look, unless the file has ended. Bytes that are
not UTF-8 are escaped as \xNN.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

LINE_CAP = 16_384
"""Bytes of one stored line, as in containerd and journald's order of size."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line: first byte in its file and the one after its end, seconds since the epoch, text, and two marks.

    `approximate`: no point of the time index covers it, so `at` is later than the truth. `partial`: the next line
    goes on where this one was cut.
    """

    offset: int
    end: int
    at: float
    approximate: bool
    text: str
    partial: bool


@dataclass(frozen=True, slots=True)
class Passed:
    """Lines that nobody wanted to see: how many ended, up to which byte, and when the last of them was written."""

    count: int
    end: int
    at: float


class Lines:
    """The lines of `data`, which begins at `offset`. Nobody need take them all: `end` says where it stands.

    `times` are (offset, time) points, ascending: bytes from that offset on were there by then. A line's time is that
    of the last point at or before its first byte; before all points it is `fallback`, marked approximate.
    """

    def __init__(
        self, data: bytes, offset: int, *, ended: bool, times: Sequence[tuple[int, float]], fallback: float
    ) -> None:
        """`ended`: what follows the last newline is a line, too."""
        self._data, self._offset, self._ended = data, offset, ended
        self._times, self._fallback = times, fallback
        self._starts = [point[0] for point in times]
        self._at = 0

    @property
    def end(self) -> int:
        """The byte after the last line that was taken or passed."""
        return self._offset + self._at

    def __iter__(self) -> Iterator[Line]:
        """Itself."""
        return self

    def __next__(self) -> Line:
        """The next line."""
        data, at, offset = self._data, self._at, self._offset
        newline = data.find(b"\n", at, at + LINE_CAP + 1)
        if at >= len(data) or (newline < 0 and len(data) - at <= LINE_CAP and not self._ended):
            raise StopIteration
        end = newline if newline >= 0 else min(at + LINE_CAP, len(data))
        partial = newline < 0 and end < len(data)
        if partial:
            end = _whole_characters(data, at, end)
        text = data[at:end]
        if newline >= 0 and text.endswith(b"\r"):
            text = text[:-1]
        point = bisect.bisect_right(self._starts, offset + at) - 1
        when = self._times[point][1] if point >= 0 else self._fallback
        self._at = newline + 1 if newline >= 0 else end
        readable = text.decode("utf-8", "backslashreplace")
        return Line(offset + at, offset + self._at, when, point < 0, readable, partial)

    def pass_second(self, second: int) -> Passed | None:
        """Pass the next lines, as long as they were written in this second, without looking at them.

        Counted are their ends: a line above the cap is one here. None where there is no such line.
        """
        last = bisect.bisect_right(self._starts, self.end) - 1
        if last < 0 or int(self._times[last][1]) != second:
            return None
        while last + 1 < len(self._times) and int(self._times[last + 1][1]) == second:
            last += 1
        # A line belongs to the time of its first byte, so the last of them may end behind the next point.
        edge = self._starts[last + 1] - self._offset if last + 1 < len(self._starts) else len(self._data)
        newline = self._data.find(b"\n", max(edge - 1, self._at))
        newline = newline if newline >= 0 else self._data.rfind(b"\n", self._at)
        if newline < 0:
            return None
        count = self._data.count(b"\n", self._at, newline + 1)
        self._at = newline + 1
        return Passed(count, self.end, self._times[last][1])


def _whole_characters(data: bytes, start: int, end: int) -> int:
    """`end`, moved back so that it does not cut a UTF-8 character; unchanged where the bytes are none."""
    for back in range(1, min(4, end - start)):
        byte = data[end - back]
        if byte & 0xC0 == 0xC0:  # the lead byte of the last character
            return end - back if back < _width(byte) else end
        if byte & 0x80 == 0:
            break
    return end


def _width(lead: int) -> int:
    if lead >= 0xF0:
        return 4
    return 3 if lead >= 0xE0 else 2
