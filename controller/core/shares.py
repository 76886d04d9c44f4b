"""How much each may have, so that all together stay within one budget. Pure; called by ingest and by retention."""

from __future__ import annotations

from collections.abc import Iterable


def fair_most(demands: Iterable[int], budget: int) -> int | None:
    """The most that each may have; None while there is enough for all.

    Beyond the budget all get the same most, and who wants less than that is not limited: a few that want very much
    share what the modest ones leave.
    """
    ordered = sorted(demands)
    rest = budget
    for position, demand in enumerate(ordered):
        share = rest // (len(ordered) - position)
        if demand > share:
            return max(1, share)
        rest -= demand
    return None
