"""The order in which workers that depend on each other stop and start, where no controller is there to keep it.

When everything stops, a slot is asked to end when nothing that depends on its worker is left; so late that its own
grace would be cut short, it is asked anyway. After a boot, and after a claim that ends such a stop, a slot starts when
the workers of this host that it depends on have started. A worker that is not on this host is not waited for: the
controller's planner knows it, this file does not. Cycles are refused with the spec; one that is met here stops at once.

Called by fleet.py. Reads phases and launches; what a slot does about it is the machine's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Optional

from .decisions import hooks_of, seconds
from .states import Adjourned, Heard, Phase, Resumed, Slot, Waiting

_UP = (Phase.STARTING, Phase.RUNNING)
_STARTED = (Phase.RUNNING, Phase.COMPLETED)


def worker_of(slot: str) -> str:
    """The worker that a slot is an instance of."""
    return slot.rpartition("/")[0]


def dependencies(slot: Slot) -> list[str]:
    """The workers that a slot depends on, other than its own."""
    return [name for name in slot.wish.launch.get("depends_on") or () if name != worker_of(slot.name)]


def free_to_stop(waiting: Collection[str], busy: Collection[str], slots: Mapping[str, Slot]) -> list[str]:
    """Those of `waiting` that nothing among `busy` depends on; all of them where only a cycle is left."""
    needed = {worker for name in busy if name in slots for worker in dependencies(slots[name])}
    free = [name for name in waiting if worker_of(name) not in needed]
    return sorted(free or (waiting if set(busy) <= set(waiting) else ()))


def awaited(names: Iterable[str], slots: Mapping[str, Slot]) -> dict[str, list[str]]:
    """For each of `names` that cannot start yet: the workers that have not started."""
    down: set[str] = set()
    for slot in slots.values():
        is_meant_to_run = slot.wish.wanted == "running" and not slot.wish.removed
        if is_meant_to_run and slot.phase not in _STARTED:
            down.add(worker_of(slot.name))
    found = {name: sorted(down.intersection(dependencies(slots[name]))) for name in names if name in slots}
    return {name: workers for name, workers in found.items() if workers}


class Sequence:
    """Who waits. `feed` tells a slot; `until` is when everything is to have stopped, None while nothing is."""

    def __init__(self, slots: Mapping[str, Slot], busy: Collection[str], feed: Callable[[str, Heard], None]) -> None:
        self._slots = slots
        self._busy = busy
        self._feed = feed
        self._stopping: set[str] = set()
        self._starting: set[str] = set()
        self._until = 0.0
        self._look: Optional[asyncio.Handle] = None

    def stop_all(self, until: float, now: float) -> None:
        """Everything is to stop by `until` (mono): what others need after them."""
        self._starting.clear()
        self._until = until
        up = [name for name in self._busy if self._slots[name].phase in _UP]
        self._stopping = set(up).difference(free_to_stop(up, self._busy, self._slots))
        for name in list(self._slots):
            asks_at = self._asks_at(self._slots[name], now) if name in self._stopping else None
            self._feed(name, Adjourned(until, asks_at))

    def _asks_at(self, slot: Slot, now: float) -> float:
        needs = seconds(slot, "stop_grace_ms")
        if "pre_stop" in hooks_of(slot):
            needs += hooks_of(slot)["pre_stop"]["timeout_ms"] / 1000.0
        return self._until - min(needs, max(0.0, self._until - now) / 2)

    def hurry(self) -> None:
        """Nobody waits for others any more."""
        self._stopping.clear()

    def start_all(self) -> None:
        """What was held may start: what depends on others after them."""
        self._stopping.clear()
        resting = [name for name, slot in self._slots.items() if slot.phase is Phase.IDLE]
        waits = awaited(resting, self._slots)
        self._starting = set(waits)
        for name in list(self._slots):
            if name in waits:
                self._feed(name, Waiting(_sentence(waits[name])))
            else:
                self._feed(name, Resumed())

    def hold(self, names: Iterable[str]) -> None:
        """Before the wishes of a former life are acted upon: hold back the starts that have to wait."""
        waits = awaited((name for name in names if self._slots[name].phase is Phase.IDLE), self._slots)
        self._starting.update(waits)
        for name, workers in waits.items():
            self._feed(name, Waiting(_sentence(workers)))

    def release(self, name: str) -> None:
        """Somebody who knows more has spoken: this slot waits no longer."""
        if name in self._starting:
            self._starting.discard(name)
            self._feed(name, Resumed())

    def changed(self) -> None:
        """A slot has changed: whose turn is it now? Looked at once per turn of the loop."""
        if (self._stopping or self._starting) and self._look is None:
            self._look = asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        self._look = None
        self._stopping.intersection_update(self._busy)
        for name in free_to_stop(self._stopping, self._busy, self._slots):
            self._stopping.discard(name)
            self._feed(name, Adjourned(self._until))
        self._starting.intersection_update(self._slots)
        waits = awaited(self._starting, self._slots)
        for name in sorted(self._starting.difference(waits)):
            self._starting.discard(name)
            self._feed(name, Resumed())


def _sentence(workers: list[str]) -> str:
    return f"waits for {', '.join(workers)} to have started"
