"""Removals: when a document that is not there any more is gone for certain.

Called by directory.py after each consistent scan. Pure: time is an argument, and counting scans is the only state.

A document is gone when two consistent scans, a settle window apart, agree that its file is gone or reads without it,
and when no file that cannot be read now became so since the document was last seen: it might have moved there. What
was confirmed once stays confirmed until the document is back.

Nothing is gone while more and more is absent: files that are deleted one after the other are one change, and a guard
must see it whole, not in pieces that are harmless each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A file that might hold any document. `token` is equal as long as its content is the same.

    `is_broken` is false for a file that is only being written: it will be known soon.
    """

    token: object
    is_broken: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`gone`: for certain. `obstacles`: names, each with the broken file that forbids the conclusion.

    `again_at`: when another look can tell more, or None.
    """

    gone: frozenset[str]
    obstacles: Mapping[str, str]
    again_at: float | None


class Removals:
    """The absences seen so far, by name."""

    def __init__(self, settle_s: float) -> None:
        self._settle_s = settle_s
        self._scan = 0
        self._absent: dict[str, tuple[int, float | None]] = {}
        self._latest = float("-inf")  # when the youngest absence was first seen
        self._gone: set[str] = set()
        self._suspects: dict[str, tuple[object, int]] = {}

    def step(self, absent: frozenset[str], suspects: Mapping[str, Suspect], now: float) -> Verdict:
        """One consistent scan: the names that are absent in it, and its suspect files."""
        self._scan += 1
        self._note_suspects(suspects)
        self._gone &= absent
        self._absent = {name: seen for name, seen in self._absent.items() if name in absent}
        is_growing = not absent <= self._absent.keys() | self._gone
        self._latest = now if is_growing else min(self._latest, now)
        obstacles: dict[str, str] = {}
        again: list[float] = []
        for name in sorted(absent - self._gone):
            scan, before = self._absent.get(name, (self._scan, None))
            since = now if before is None else min(before, now)
            self._absent[name] = (scan, since)
            quiet_since = max(since, self._latest)
            newer = [path for path, (_, first) in self._suspects.items() if first >= scan]
            broken = sorted(path for path in newer if suspects[path].is_broken)
            if broken:
                obstacles[name] = broken[0]
            elif newer or before is None or now < quiet_since + self._settle_s:
                again.append(max(quiet_since, now if newer else since) + self._settle_s)
            else:
                self._gone.add(name)
        return Verdict(gone=frozenset(self._gone), obstacles=obstacles, again_at=min(again, default=None))

    def interrupt(self) -> None:
        """The source could not be trusted just now: agreement starts anew.

        When an absence was first seen is kept: files that broke since then are as suspect as before.
        """
        self._absent = {name: (scan, None) for name, (scan, _) in self._absent.items()}

    def grant(self, names: Iterable[str]) -> None:
        """These were deleted through us: their absence needs no second look."""
        self._gone.update(names)

    @property
    def gone(self) -> frozenset[str]:
        """What is confirmed."""
        return frozenset(self._gone)

    def _note_suspects(self, suspects: Mapping[str, Suspect]) -> None:
        noted: dict[str, tuple[object, int]] = {}
        for path, suspect in suspects.items():
            token, scan = self._suspects.get(path, (None, 0))
            noted[path] = (suspect.token, scan if token == suspect.token else self._scan)
        self._suspects = noted
