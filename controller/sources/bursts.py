"""Bursts: many files that are changed one after the other are one change.

Called by files.py with each look at all files. Pure: time is an argument. `sed -i` over a fleet settles file by file; a
guard must see it whole, not in pieces that are harmless each. So where more than a few known files change in short
order, none of these changes counts before that has ended. A file adds to a burst only once: one that is written again
and again holds up nobody else.
"""

from __future__ import annotations

FEW = 3
"""So many files may change in short order without waiting for each other: a guard lets as many workers pass."""
PAUSE_S = 1.0
"""Files that change within this time of each other belong together."""
LONGEST_S = 30.0
"""What goes on for longer counts in pieces."""


class Burst:
    """The files that are being changed in one go, and when that is over."""

    def __init__(self) -> None:
        self._changed: frozenset[str] = frozenset()
        self._joined: dict[str, float] = {}
        self._is_large = False
        self._since = self._latest = float("-inf")

    def step(self, changed: frozenset[str], now: float, *, is_whole: bool = False) -> None:
        """One look: the known files whose content is not the one that counts. `is_whole`: these waited for nobody."""
        self._since, self._latest = min(self._since, now), min(self._latest, now)  # the clock may be set back
        if is_whole or (self._is_large and now >= self._over_at):
            self._is_large, self._joined = False, {}
        elif not self._is_large:
            self._joined = {path: at for path, at in self._joined.items() if 0 <= now - at < PAUSE_S}
        more = frozenset() if is_whole else changed - self._changed - self._joined.keys()
        self._changed = changed
        if more:
            self._joined.update(dict.fromkeys(more, now))
            self._latest = now
            if not self._is_large and len(self._joined) > FEW:
                self._is_large, self._since = True, now

    def counts_at(self, path: str) -> float:
        """When a change of this file may count, should no further file change."""
        return self._over_at if self._is_large and path in self._joined else float("-inf")

    @property
    def _over_at(self) -> float:
        return min(self._latest + PAUSE_S, self._since + LONGEST_S)
