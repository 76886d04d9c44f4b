"""The picture of one worker: what is wanted of it, and what was seen of it, side by side.

Called by the planner, and by status, conditions, views and explain, so that all of them look at the same facts.
Nothing is decided here; every observed slot of the worker is in the picture, on whatever host it was seen.

`picture_of` looks the slots of one worker up by name. Whoever wants many makes an `Album` of the moment: the names of
all observed slots are grouped in one pass, at the first look, and each picture costs what is in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from controller.core.desired import Desired, DesiredWorker, Removal
from controller.core.observed import HostView, Observed, ObservedInstance, Refusal, Status
from controller.core.problems import Problem

MAX_ORDINALS = 1000
"""`replicas` is at most this; slots are looked up by name below it."""
LOOKUPS_WORTHWHILE = 2
"""More workers than this are served faster by one pass over everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One observed slot, where it was seen, and whether that host can be asked now."""

    host: str
    reachable: bool
    seen: ObservedInstance
    refusal: Refusal | None = None

    @property
    def status(self) -> Status:
        """What may honestly be said of it now: a memory of an unreachable host is unknown."""
        return self.seen.status if self.reachable else Status.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One worker. At most one of `desired`, `removal` is set; `broken` is None unless no good spec is known.

    `view` is that of the host which the spec names, None while that host has told nothing yet (or without a spec).
    `slots` are all that were seen, sorted by ordinal, then host. With a spec they are also told apart: `own_slots` on
    its host, by ordinal; `wanted_slots`, those of them that are not beyond `replicas`, in ordinal order; `strayed` on
    another host; `missing`, the ordinals that should have a slot and have none.
    """

    worker_id: str
    desired: DesiredWorker | None = None
    removal: Removal | None = None
    broken: tuple[Problem, ...] | None = None
    view: HostView | None = None
    slots: tuple[Slot, ...] = ()
    own_slots: Mapping[int, Slot] = field(default_factory=dict)
    wanted_slots: tuple[Slot, ...] = ()
    strayed: tuple[Slot, ...] = ()
    missing: tuple[int, ...] = ()

    @property
    def is_gone(self) -> bool:
        """No spec, no problem, no slot: nothing is left to tell."""
        return self.desired is None and self.broken is None and not self.slots

    @property
    def is_reachable(self) -> bool:
        """The host that the spec names can be asked now."""
        return self.view is not None and self.view.reachable


class Album:
    """The pictures of one moment, each made when it is asked for."""

    def __init__(self, desired: Desired, observed: Observed) -> None:
        self._desired, self._observed = desired, observed
        self._slots: dict[str, list[tuple[str, str]]] | None = None

    def names(self) -> set[str]:
        """Of every worker of which there is something to tell."""
        desired = self._desired
        return desired.workers.keys() | desired.removed.keys() | desired.broken.keys() | self._places().keys()

    def of(self, worker_id: str) -> Picture:
        """That of one worker, known or not."""
        hosts = self._observed.hosts
        slots = [
            _slot(host, hosts[host], name, hosts[host].instances[name])
            for host, name in self._places().get(worker_id, ())
        ]
        return _picture(worker_id, self._desired, self._observed, slots)

    def _places(self) -> Mapping[str, list[tuple[str, str]]]:
        """Host and name of all slots by worker."""
        if self._slots is None:
            self._slots = {}
            for host, view in self._observed.hosts.items():
                for name, seen in view.instances.items():
                    self._slots.setdefault(seen.worker_id, []).append((host, name))
        return self._slots


def pictures(desired: Desired, observed: Observed, only: frozenset[str] | None = None) -> Iterator[Picture]:
    """The picture of every known worker, or of those in `only` (which may name unknown ones), by worker_id."""
    if only is not None and len(only) <= LOOKUPS_WORTHWHILE:
        for worker_id in sorted(only):
            yield picture_of(worker_id, desired, observed)
        return
    album = Album(desired, observed)
    for worker_id in sorted(album.names() if only is None else album.names() & only):
        yield album.of(worker_id)


def picture_of(worker_id: str, desired: Desired, observed: Observed, *, below: int = MAX_ORDINALS) -> Picture:
    """The picture of one worker; `is_gone` where nothing is known of it. Slots from ordinal `below` on are left out."""
    slots = [
        _slot(host, view, name, view.instances[name])
        for host, view in observed.hosts.items()
        for name in (f"{worker_id}/{ordinal}" for ordinal in range(below))
        if name in view.instances
    ]
    return _picture(worker_id, desired, observed, slots)


def _slot(host: str, view: HostView, name: str, seen: ObservedInstance) -> Slot:
    return Slot(host=host, reachable=view.reachable, seen=seen, refusal=view.refusals.get(name))


def _picture(worker_id: str, desired: Desired, observed: Observed, slots: list[Slot]) -> Picture:
    ordered = tuple(sorted(slots, key=lambda slot: (slot.seen.ordinal, slot.host)))
    worker = desired.workers.get(worker_id)
    if worker is None:
        broken = desired.broken.get(worker_id)
        removal = desired.removed.get(worker_id) if broken is None else None
        return Picture(worker_id=worker_id, broken=broken, removal=removal, slots=ordered)
    host, count = worker.spec.host, len(worker.instances)
    own = {slot.seen.ordinal: slot for slot in ordered if slot.host == host}
    return Picture(
        worker_id=worker_id,
        desired=worker,
        view=observed.hosts.get(host),
        slots=ordered,
        own_slots=own,
        wanted_slots=tuple(slot for ordinal, slot in own.items() if ordinal < count),
        strayed=() if len(own) == len(ordered) else tuple(slot for slot in ordered if slot.host != host),
        missing=tuple(instance.ordinal for instance in worker.instances if instance.ordinal not in own),
    )
