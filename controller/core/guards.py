"""Guards: a change so large that it is probably a mistake waits for a person.

Called by the planner, only in a turn that would remove a worker or replace a running one: one pass over everything
observed is then worth its cost, and all other turns pay nothing. A guard looks at the whole fleet, whatever part of it
the turn is about, so a mistake does not slip through in small turns.

PruneGuard        more than half of the known workers, and more than three, would be removed.
MassRestartGuard  more than half of the running workers, and more than three, would be replaced.

Each has a digest that names exactly what is confirmed: another change needs another confirmation. What a confirmation
let through once counts no longer: a removed worker from the moment its slots are on their way out, a replaced one as
soon as one of its instances has the new revision. A confirmation is therefore followed by a full turn, which brings
all of its workers that far at once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from controller.core.desired import Desired, DesiredWorker
from controller.core.observed import Observed, ObservedInstance, Status

PRUNE = "PruneGuard"
MASS_RESTART = "MassRestartGuard"
HARMLESS = 3
"""So many workers may always be touched by one change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """One guard that stands in the way. `digest` is what `workerctl reconcile --confirm` takes."""

    reason: str
    worker_ids: frozenset[str]
    total: int
    digest: str


def prune_guard(desired: Desired, observed: Observed) -> Guard | None:
    """The guard against removing most of the workers; None where what is pending is harmless."""
    going = desired.removed.keys() - desired.workers.keys() - desired.broken.keys()
    known = {*desired.workers, *desired.broken}
    pending: set[str] = set()
    for view in observed.hosts.values():
        for seen in view.instances.values():
            known.add(seen.worker_id)
            if seen.worker_id in going and not seen.removing:
                pending.add(seen.worker_id)
    # The digest covers all that is gone from the sources, done or not, so that it lasts until the last one is done.
    proofs = {worker_id: _proof(desired, worker_id) for worker_id in going}
    return _guard(PRUNE, pending, len(known), proofs)


def mass_restart_guard(desired: Desired, observed: Observed) -> Guard | None:
    """The guard against replacing most of the running workers; None where what is pending is harmless."""
    running: set[str] = set()
    behind: set[str] = set()
    begun: set[str] = set()
    for host, view in observed.hosts.items():
        for seen in view.instances.values() if view.reachable else ():
            is_running = seen.status is Status.RUNNING
            if is_running:
                running.add(seen.worker_id)
            worker = desired.workers.get(seen.worker_id)
            if worker is None or worker.spec.host != host or seen.ordinal >= len(worker.instances):
                continue
            if seen.revision == worker.revision:
                begun.add(seen.worker_id)
            elif is_running and _goes_on(worker, seen):
                behind.add(seen.worker_id)
    pending = behind - begun
    return _guard(
        MASS_RESTART, pending, len(running), {worker_id: desired.workers[worker_id].revision for worker_id in pending}
    )


def _goes_on(worker: DesiredWorker, seen: ObservedInstance) -> bool:
    wanted = worker.spec.wanted
    return wanted == "running" or (wanted == "unless_stopped" and seen.wanted == "running")


def _proof(desired: Desired, worker_id: str) -> str:
    source = desired.removed[worker_id].source
    return f"{source}@{source.commit or ''}"


def _guard(reason: str, pending: set[str], total: int, marks: Mapping[str, str]) -> Guard | None:
    if len(pending) <= HARMLESS or len(pending) * 2 <= total:
        return None
    text = json.dumps([reason, sorted(marks.items())], separators=(",", ":"))
    digest = hashlib.sha256(text.encode("ascii")).hexdigest()[:12]
    return Guard(reason=reason, worker_ids=frozenset(pending), total=total, digest=digest)
