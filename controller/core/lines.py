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


def split_lines(
    data: bytes, offset: int, *, ended: bool, times: Sequence[tuple[int, float]], fallback: float
) -> Iterator[Line]:
    """The lines of `data`, which begins at `offset`. Nobody need take them all: each says where it ends.

    `times` are (offset, time) points, ascending: bytes from that offset on were there by then. A line's time is that
    of the last point at or before its first byte; before all points it is `fallback`, marked approximate.
    """
    starts = [point[0] for point in times]
    at = 0
    while at < len(data):
        newline = data.find(b"\n", at, at + LINE_CAP + 1)
        if newline < 0 and len(data) - at <= LINE_CAP and not ended:
            break
        end = newline if newline >= 0 else min(at + LINE_CAP, len(data))
        partial = newline < 0 and end < len(data)
        if partial:
            end = _whole_characters(data, at, end)
        text = data[at:end]
        if newline >= 0 and text.endswith(b"\r"):
            text = text[:-1]
        point = bisect.bisect_right(starts, offset + at) - 1
        when = times[point][1] if point >= 0 else fallback
        after = newline + 1 if newline >= 0 else end
        readable = text.decode("utf-8", "backslashreplace")
        yield Line(offset + at, offset + after, when, point < 0, readable, partial)
        at = after


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
