"""How many lines a second each log file may store, so that all together stay within one budget. Pure; called by ingest.

As long as all files together print less than the budget, nobody is limited. Beyond that, all get the same most, and
who prints less than that is not limited: a few that flood share what the quiet ones leave.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, field

from controller.core.shares import fair_most

FORGET_S = 2.0
"""A file that was read to its end, and had no more lines for so long, asks for nothing."""


@dataclass
class FairShare:
    """What the files asked for lately.

    That is lines of one second of their own time: an old backlog asks for no more than was printed in each second.
    """

    budget: int
    _demands: dict[Hashable, tuple[float, int]] = field(default_factory=dict)

    def ask(self, file: Hashable, demand: int, now: float, *, waits: bool = False) -> None:
        """What a file prints in a second, or would have stored of it. `waits`: there is more of it to be read.

        Such a file asks until its turn comes again, however long a round takes: many of them make rounds long.
        """
        self._demands[file] = math.inf if waits else now, demand

    def leave(self, file: Hashable) -> None:
        """Nobody reads it any more."""
        self._demands.pop(file, None)

    def most(self, now: float) -> int | None:
        """The most that each may store in a second; None while there is enough for all."""
        silent = [file for file, (at, _) in self._demands.items() if at != math.inf and not 0 <= now - at <= FORGET_S]
        for file in silent:
            del self._demands[file]
        demands = [demand for _, demand in self._demands.values()]
        return fair_most(demands, self.budget) if sum(demands) > self.budget else None
