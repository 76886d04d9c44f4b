"""Dependencies between workers: what a start waits for, whom a change concerns, and circles, which nobody may write.

Called by the planner (what is awaited), by the loop (whom to look at when a worker changes) and by the sources (a
circle is a fault of every spec in it). Only direct dependencies are looked at: what `database` itself waits for shows
in its state. So a circle, should one get here in spite of all checks, can make workers wait, and nothing worse.

`started`  every instance of it is running or has completed. One that is still starting may yet fail: not enough.
`ready`    every instance of it is running, and none says that it is not ready.

What counts is what is seen now, whatever revision it has. A dependency holds back starts only: what runs already goes
on, whatever becomes of the others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from controller.core.desired import Desired, DesiredWorker
from controller.core.observed import Status
from controller.core.picture import Picture, Slot
from controller.core.problems import Fault
from controller.core.spec import WorkerSpec
from controller.core.status import is_completed, slots_to_run, summary

LONGEST = 10
"""So many names of a circle are shown."""

# --- what a start waits for ---------------------------------------------------------------------------------------


def why_awaited(picture: Picture, awaited: str) -> str:
    """Why the worker in `picture` is not yet `awaited` (`started`, `ready`), in a few words; empty where it is."""
    down = why_down(picture)
    if down:
        return f"it {down}"
    if not picture.is_reachable:
        return "its host cannot be asked"
    for ordinal in range(len(picture.desired.instances) if picture.desired is not None else 0):
        slot = picture.own_slots.get(ordinal)
        why = f"{picture.worker_id}/{ordinal} is not there yet" if slot is None else _why_slot(slot, awaited)
        if why:
            return why
    return ""


def why_down(picture: Picture) -> str:
    """Why the worker will not come up by itself, in words that follow its name; empty where it may, or is up."""
    worker = picture.desired
    if worker is None:
        if picture.broken is not None:
            return f"has no valid spec: {summary(picture.broken)}"
        return "is removed" if picture.removal is not None else "is not known: no spec has that name"
    if not worker.instances:
        return "has no instance: its spec says replicas: 0"
    if worker.wanted == "stopped" and worker.keep is not None:
        return f"is {worker.keep}"
    if worker.wanted == "stopped":
        return "is stopped: its spec says desired_state: stopped"
    if worker.wanted == "unless_stopped" and not slots_to_run(picture):
        return "is stopped: its spec says auto_start: false"
    return "is in error" if any(slot.status is Status.ERROR for slot in picture.wanted_slots) else ""


def _why_slot(slot: Slot, awaited: str) -> str:
    name = slot.seen.instance
    if is_completed(slot):
        return f"{name} has completed" if awaited == "ready" else ""
    if slot.status is not Status.RUNNING:
        return f"{name} is {'not known' if slot.status is Status.UNKNOWN else slot.status.value}"
    return f"{name} is running but not ready" if awaited == "ready" and slot.seen.ready is False else ""


# --- whom a change concerns ---------------------------------------------------------------------------------------


def dependents_by_worker(desired: Desired) -> dict[str, frozenset[str]]:
    """For each worker that others depend on, known or not: those who do. One pass over all specs."""
    found: dict[str, set[str]] = {}
    for worker_id, worker in desired.workers.items():
        for needed in worker.spec.depends_on:
            found.setdefault(needed, set()).add(worker_id)
    return {needed: frozenset(by) for needed, by in found.items()}


def dependents(desired: Desired, worker_id: str) -> frozenset[str]:
    """Who depends on this worker: they are to be looked at when it changes."""
    return frozenset(name for name, worker in desired.workers.items() if worker_id in worker.spec.depends_on)


def dependencies(worker: DesiredWorker) -> list[tuple[str, str]]:
    """What the worker waits for: (worker_id, `started` or `ready`), by worker_id."""
    return sorted(worker.spec.depends_on.items())


# --- circles ------------------------------------------------------------------------------------------------------


def circular_dependencies(specs: Iterable[WorkerSpec]) -> Mapping[str, Fault]:
    """A fault for each worker that depends on itself, directly or through others, by worker_id, sorted.

    Each names a shortest circle through its worker: `a -> b -> a`. Workers that merely depend on a circle have none.
    """
    edges = {spec.worker_id: sorted(spec.depends_on) for spec in specs if spec.depends_on}
    circles: dict[str, tuple[str, ...]] = {}
    for worker_id in sorted(_near_circles(edges)):
        if worker_id not in circles:
            circle = _shortest_circle(worker_id, edges)
            for index, name in enumerate(circle):
                circles.setdefault(name, circle[index:] + circle[:index])
    return {
        worker_id: Fault(
            pointer=f"/depends_on/{(*circle, worker_id)[1]}",
            message=f"depends on itself: {_drawn(circle)}",
            hint="take one of these dependencies out",
        )
        for worker_id, circle in sorted(circles.items())
    }


def _drawn(circle: tuple[str, ...]) -> str:
    names = [*circle, circle[0]]
    if len(names) > LONGEST:
        names[LONGEST - 2 : -1] = [f"{len(names) - LONGEST + 1} more"]
    return " -> ".join(names)


def _near_circles(edges: Mapping[str, list[str]]) -> set[str]:
    """All that lie on circles, or between two: the rest either leads nowhere or is led to by nobody."""
    backwards: dict[str, list[str]] = {}
    for name, needed in edges.items():
        for other in needed:
            backwards.setdefault(other, []).append(name)
    left = _without_ends(set(edges), edges, backwards)
    return _without_ends(left, backwards, edges)


def _without_ends(
    names: set[str], forwards: Mapping[str, list[str]], backwards: Mapping[str, list[str]]
) -> set[str]:  # fmt: skip
    """`names` without those from which every way along `forwards` ends."""
    left = set(names)
    ways = {name: sum(other in left for other in forwards.get(name, ())) for name in left}
    ended = deque(name for name, count in ways.items() if count == 0)
    while ended:
        name = ended.popleft()
        left.discard(name)
        for other in backwards.get(name, ()):
            if other in left:
                ways[other] -= 1
                if ways[other] == 0:
                    ended.append(other)
    return left


def _shortest_circle(start: str, edges: Mapping[str, list[str]]) -> tuple[str, ...]:
    """`start` and those between it and itself; empty where no way leads back."""
    came_from: dict[str, str] = {}
    waiting = deque([start])
    while waiting:
        name = waiting.popleft()
        for needed in edges.get(name, ()):
            if needed == start:
                return (start, *reversed([*_way_back(name, start, came_from)]))
            if needed not in came_from:
                came_from[needed] = name
                waiting.append(needed)
    return ()


def _way_back(name: str, start: str, came_from: Mapping[str, str]) -> Iterator[str]:
    while name != start:
        yield name
        name = came_from[name]
