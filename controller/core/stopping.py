"""How long stopping everything may take: each worker's own time, one after the other where they depend on each other.

Used at the end of `serve`, to say it and to know when an agent has stopped answering. Nothing is decided by it: every
stop has its own deadline at the agent.
"""

from __future__ import annotations

from collections.abc import Iterable

from controller.core.spec import WorkerSpec


def own_stop_seconds(spec: WorkerSpec) -> float:
    """From the wish to the last process's end: the hook before, the grace, the hook after."""
    hooks = () if spec.hooks is None else (spec.hooks.pre_stop, spec.hooks.post_stop)
    return (spec.stop.grace_ms + sum(hook.timeout_ms for hook in hooks if hook is not None)) / 1000


def stop_seconds(specs: Iterable[WorkerSpec]) -> float:
    """For all of these at once: the longest chain, dependents first. 0 for none."""
    known = {spec.worker_id: spec for spec in specs}
    dependents: dict[str, list[str]] = {}
    for spec in known.values():
        for needed in spec.depends_on:
            dependents.setdefault(needed, []).append(spec.worker_id)
    times: dict[str, float] = {}

    def time_of(worker_id: str, above: frozenset[str]) -> float:
        if worker_id not in times:
            later = [name for name in dependents.get(worker_id, ()) if name not in above]
            before = max((time_of(name, above | {worker_id}) for name in later), default=0.0)
            times[worker_id] = own_stop_seconds(known[worker_id]) + before
        return times[worker_id]

    return max((time_of(worker_id, frozenset()) for worker_id in sorted(known)), default=0.0)
