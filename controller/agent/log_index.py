"""When which bytes of a log file were written: a sparse index, and its memory across a restart of the agent.

A point (offset, at) says: the bytes from `offset` up to the next point were written at about `at` (epoch seconds). At
most ten points a second and a bounded number per file; when there are too many, every other old one goes, so an old
line's time grows coarse before a new one's does. Points and stored marks are appended to one small file in the
runtime folder (void in another boot: times of old lines are then unknown, nothing else is lost).
"""

from __future__ import annotations

import contextlib
import os
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Optional

from .log_files import Key

POINT_EVERY_S = 0.1
POINTS_KEPT = 4096
POINTS_ANSWERED = 2000
MEMORY_LIMIT = 4 * 1024 * 1024
LINE_BYTES = 80
"""About what one point takes in the memory."""
POINTS_LEAST = 8


class TimeIndex:
    """The points of one file, in the order of their offsets."""

    __slots__ = ("_offsets", "_times")

    def __init__(self) -> None:
        self._offsets = array("d")
        self._times = array("d")

    def add(self, offset: int, at: float) -> bool:
        """Add a point; False where one is near enough."""
        if self._offsets and (offset <= self._offsets[-1] or 0 <= at - self._times[-1] < POINT_EVERY_S):
            return False
        if len(self._offsets) >= POINTS_KEPT:
            half = len(self._offsets) // 2
            self._offsets = self._offsets[:half:2] + self._offsets[half:]
            self._times = self._times[:half:2] + self._times[half:]
        self._offsets.append(offset)
        self._times.append(at)
        return True

    def between(self, start: int, end: int) -> list[tuple[int, float]]:
        """The points that tell of the bytes from `start` to before `end`."""
        first = max(0, bisect_right(self._offsets, start) - 1)
        last = bisect_right(self._offsets, end - 1)
        step = max(1, -(-(last - first) // POINTS_ANSWERED))
        return [(int(self._offsets[at]), self._times[at]) for at in range(first, last, step)]

    def forget_below(self, offset: int) -> None:
        """Nobody asks for the bytes below any more."""
        keep = bisect_right(self._offsets, offset) - 1
        if keep > 0:
            del self._offsets[:keep]
            del self._times[:keep]

    def points(self, most: int = POINTS_KEPT) -> Iterator[tuple[int, float]]:
        """All of them, or `most` that lie evenly among them, and the last."""
        count = len(self._offsets)
        step = max(1, -(-count // max(1, most)))
        return (
            (int(self._offsets[at]), self._times[at]) for at in range((count - 1) % step if count else 0, count, step)
        )


class IndexFile:
    """The memory: lines `p slot run stream offset at` and `s slot run stream offset`. Without it nothing breaks."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lines: list[str] = []
        self._size = 0
        self._size_anew = 0
        self._descriptor: Optional[int] = None

    @property
    def is_large(self) -> bool:
        """Whether it should be written anew."""
        return self._size > max(MEMORY_LIMIT, 2 * self._size_anew)

    def load(self) -> Iterator[tuple[Key, int, Optional[float]]]:
        """What was remembered: a point, or a stored mark (its time is None)."""
        with contextlib.suppress(OSError), open(self._path, encoding="ascii", errors="replace") as file:
            for line in file:
                words = line.split()
                with contextlib.suppress(ValueError):
                    if len(words) == 6 and words[0] == "p":
                        yield Key(words[1], words[2], words[3]), int(words[4]), float(words[5])
                    elif len(words) == 5 and words[0] == "s":
                        yield Key(words[1], words[2], words[3]), int(words[4]), None

    def point(self, key: Key, offset: int, at: float) -> None:
        """Remember a point at the next `flush`."""
        self._lines.append(f"p {key.slot} {key.run} {key.stream} {offset} {at:.3f}\n")

    def stored(self, key: Key, offset: int) -> None:
        """Remember a stored mark at the next `flush`."""
        self._lines.append(f"s {key.slot} {key.run} {key.stream} {offset}\n")

    def flush(self) -> None:
        """Append what has gathered."""
        if not self._lines:
            return
        data = "".join(self._lines).encode()
        self._lines.clear()
        with contextlib.suppress(OSError):
            if self._descriptor is None:
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
                self._descriptor = os.open(self._path, flags, 0o600)
            os.write(self._descriptor, data)
            self._size += len(data)

    def rewrite(self, files: Iterable[tuple[Key, int, TimeIndex]]) -> None:
        """Write it anew with what still counts: key, stored mark, points; fewer of these where files are many."""
        kept = list(files)
        most = max(POINTS_LEAST, MEMORY_LIMIT // (LINE_BYTES * max(1, len(kept))))
        self.close()
        self._lines.clear()
        self._size = 0
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        for key, stored, index in kept:
            if stored:
                self.stored(key, stored)
            for offset, at in index.points(most):
                self.point(key, offset, at)
        self.flush()
        self._size_anew = self._size

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
