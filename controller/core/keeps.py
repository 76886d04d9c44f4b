"""What is desired, with what people keep stopped or running for a while laid over it.

Called by the planner and by whoever shows workers, so that all speak of the same. A keep whose time is over counts no
more, whether or not its file is there still.
"""

from __future__ import annotations

from dataclasses import replace

from controller.core.desired import Desired
from controller.core.intents import Intents


def with_keeps(desired: Desired, intents: Intents, now: float) -> Desired:
    """`desired`, each worker with the keep that holds for it now."""
    live = {worker_id: keep for worker_id, keep in intents.keeps.items() if keep.until > now}
    kept = {
        worker_id: replace(desired.workers[worker_id], keep=keep)
        for worker_id, keep in live.items()
        if worker_id in desired.workers
    }
    return replace(desired, workers={**desired.workers, **kept}) if kept else desired
