"""Guards: a change so large that it is probably a mistake waits for a person.

Called by the planner, only in a turn that would remove a worker or give one another revision: one pass over everything
observed is then worth its cost. A guard looks at the whole fleet, whatever part of it the turn is about, so a mistake
does not slip through in small turns. Guards remember nothing: the same input gives the same guard.

PruneGuard        more than half of the known workers, and more than three, would be removed.
MassRestartGuard  more than half of the workers in use, and more than three, would get another revision.
NoSpec            workers that nothing is known of, neither a spec nor that it was removed: without a person they stay.

What is counted must not shrink by itself while a guard holds. So a worker counts by the revision that its slots were
given, whether they run, crashed, wait, or live on a host that is silent now; and one that was stopped meanwhile (which
gave it the newest spec) still counts where its spec has the very values that another one waits for. A worker with an
instance that was let on to the new revision no longer counts: its rollout was allowed, and goes on.

A digest names the fleet that a confirmation lets be: all workers with their revisions for a restart, the workers that
remain for a removal. It is the same from the first step to the last, and void after any further edit of that. What is
confirmed is gone with the guard that it was for: a later one with the same digest is another change.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controller.core.desired import Desired, DesiredWorker
from controller.core.effects import Effect, effect_of, flatten
from controller.core.observed import Observed, ObservedInstance
from controller.core.spec import explicit_fields

PRUNE = "PruneGuard"
MASS_RESTART = "MassRestartGuard"
NO_SPEC = "NoSpec"
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
    going = {worker_id for worker_id, removal in desired.removed.items() if not removal.asked}
    going -= desired.workers.keys() | desired.broken.keys()
    known = {*desired.workers, *desired.broken}
    pending: set[str] = set()
    for view in observed.hosts.values():
        for seen in view.instances.values():
            known.add(seen.worker_id)
            if seen.worker_id in going and not seen.removing:
                pending.add(seen.worker_id)
    # Not of what goes: that is forgotten worker by worker while it is carried out.
    remaining = sorted({*desired.workers, *desired.broken})
    return _guard(PRUNE, pending, len(known), remaining)


def mass_restart_guard(desired: Desired, observed: Observed) -> Guard | None:
    """The guard against replacing most of the workers; None where what is pending is harmless.

    `desired` has the keeps laid over, as the planner has it. The guard stands only while at least one process, running
    or to be started again, would be replaced.
    """
    slots = list(_wanted_slots(desired, observed))
    behind: dict[str, ObservedInstance] = {}
    for worker, seen in slots:
        if seen.revision != worker.revision:
            behind.setdefault(worker.worker_id, seen)
    begun: set[str] = set()
    replaced: set[str] = set()
    for worker, seen in slots if behind else ():
        if worker.worker_id in behind and _goes_on(worker, seen):
            (begun if seen.revision == worker.revision else replaced).add(worker.worker_id)
    if not replaced - begun:
        return None
    waiting = {worker_id: seen for worker_id, seen in behind.items() if worker_id not in begun}
    pending = {*waiting, *_stopped_meanwhile(desired, slots, waiting)}
    if len(pending) <= HARMLESS:
        return None  # as most changes are: the rest of the fleet need not be counted
    in_use = {worker.worker_id for worker, seen in slots if _goes_on(worker, seen)}
    fleet = sorted((worker_id, worker.revision) for worker_id, worker in desired.workers.items())
    return _guard(MASS_RESTART, pending, len(in_use | pending), fleet)


def lost_guard(desired: Desired, observed: Observed) -> Guard | None:
    """What stands before the removal of workers that no spec is known of; None where there are none to remove.

    Its digest names each of their slots: nobody has seen a spec that says more.
    """
    known = desired.workers.keys() | desired.broken.keys() | desired.removed.keys()
    lost = [
        (host, seen)
        for host, view in observed.hosts.items()
        for seen in view.instances.values()
        if seen.worker_id not in known
    ]
    pending = frozenset(seen.worker_id for _, seen in lost if not seen.removing)
    if not pending or desired.hold_reason:
        return None
    names = sorted((host, seen.instance) for host, seen in lost)
    return Guard(reason=NO_SPEC, worker_ids=pending, total=len(pending), digest=_digest(NO_SPEC, names))


def standing(desired: Desired, observed: Observed) -> frozenset[str]:
    """The digests of all guards that stand, confirmed or not."""
    guards = (prune_guard(desired, observed), mass_restart_guard(desired, observed), lost_guard(desired, observed))
    return frozenset(guard.digest for guard in guards if guard is not None)


def _wanted_slots(desired: Desired, observed: Observed) -> Iterator[tuple[DesiredWorker, ObservedInstance]]:
    """All slots that the specs ask for, also those that are only remembered of a host that is silent now."""
    for host, view in observed.hosts.items():
        for seen in view.instances.values():
            worker = desired.workers.get(seen.worker_id)
            if worker is not None and worker.spec.host == host and seen.ordinal < len(worker.instances):
                yield worker, seen


def _goes_on(worker: DesiredWorker, seen: ObservedInstance) -> bool:
    """A process is there, or its supervisor will start one, and none of it is to end for good."""
    return seen.wanted == "running" and not _is_stopped(worker, seen)


def _is_stopped(worker: DesiredWorker, seen: ObservedInstance) -> bool:
    """What is kept stopped for a while is stopped too, and what is kept running is not, whatever its spec says."""
    return worker.wanted == "stopped" or (worker.wanted == "unless_stopped" and seen.wanted == "stopped")


def _stopped_meanwhile(
    desired: Desired, slots: Sequence[tuple[DesiredWorker, ObservedInstance]], waiting: Mapping[str, ObservedInstance]
) -> set[str]:
    """Workers that are stopped for good and have all new values that one of the waiting ones is to get."""
    bundles = {
        tuple(sorted((path, repr(value)) for path, value in _new_values(desired.workers[worker_id], seen).items()))
        for worker_id, seen in waiting.items()
    } - {()}
    found: set[str] = set()
    for worker, seen in slots if bundles else ():
        if worker.worker_id in waiting or worker.worker_id in found or not _is_stopped(worker, seen):
            continue
        has = {(path, repr(value)) for path, value in flatten(explicit_fields(worker.spec)).items()}
        if any(has.issuperset(bundle) for bundle in bundles):
            found.add(worker.worker_id)
    return found


def _new_values(worker: DesiredWorker, seen: ObservedInstance) -> dict[str, Any]:
    """What the spec sets now, and did not when the slot was given its revision, of all that is worth a restart."""
    before, after = flatten(seen.fields), flatten(explicit_fields(worker.spec))
    return {
        path: value
        for path, value in after.items()
        if effect_of(path) == Effect.RESTART and (path not in before or before[path] != value)
    }


def _guard(reason: str, pending: set[str], total: int, identity: Sequence[object]) -> Guard | None:
    if len(pending) <= HARMLESS or len(pending) * 2 <= total:
        return None
    return Guard(reason=reason, worker_ids=frozenset(pending), total=total, digest=_digest(reason, identity))


def _digest(reason: str, identity: Sequence[object]) -> str:
    text = json.dumps([reason, identity], separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:12]
