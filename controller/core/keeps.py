"""What is desired, with what people keep stopped or running for a while laid over it; and how long a while lasts.

`with_keeps` is called by the planner and by whoever shows workers, so that all speak of the same. A keep whose time is
over counts no more, whether or not its file is there still.

A keep is asked for as a length of time, and shown with its end on the wall clock. That clock may be set; the one that
counts since boot may not, so that one decides within a boot: a wall clock set forth ends nothing early, one set back
lets nothing last longer, and the end that is shown moves along. Over a reboot only the wall clock goes on. Where it
stands before the moment at which the keep was made, it tells nothing, and the whole length begins again: rather stopped
for longer than started while somebody works on it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from controller.core.desired import Desired
from controller.core.intents import Intents, Keep

SLACK_S = 2.0
"""So far the clocks may drift apart before it counts as a clock that was set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """One reading: the wall clock (seconds since the epoch), and the seconds since this boot, sleep included.

    `boot_id` is empty where it cannot be told; then the wall clock is all there is.
    """

    wall: float
    boot_id: str
    boot_s: float


def bound(keep: Keep, clocks: Clocks) -> Keep:
    """The keep with its end also on the clock that nobody sets."""
    boot_until = clocks.boot_s + keep.until - clocks.wall if clocks.boot_id else 0.0
    return replace(keep, boot_id=clocks.boot_id, boot_until=boot_until)


def followed(keep: Keep, clocks: Clocks) -> Keep:
    """The keep with its end as the wall clock tells it now; the very same where that was not set."""
    length = keep.until - keep.at
    if keep.boot_id and keep.boot_id == clocks.boot_id:
        until = clocks.wall + min(keep.boot_until - clocks.boot_s, length)
        return keep if abs(until - keep.until) <= SLACK_S else replace(keep, until=until, at=until - length)
    if clocks.wall < keep.at - SLACK_S:
        keep = replace(keep, until=clocks.wall + length, at=clocks.wall)
    return bound(keep, clocks)


def with_keeps(desired: Desired, intents: Intents, now: float) -> Desired:
    """`desired`, each worker with the keep that holds for it now."""
    live = {worker_id: keep for worker_id, keep in intents.keeps.items() if keep.until > now}
    kept = {
        worker_id: replace(desired.workers[worker_id], keep=keep)
        for worker_id, keep in live.items()
        if worker_id in desired.workers
    }
    return replace(desired, workers={**desired.workers, **kept}) if kept else desired
