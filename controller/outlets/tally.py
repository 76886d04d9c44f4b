"""Counters of workers, made of what their instances count: CPU seconds of runs, restarts of slots. Pure.

Fed by metrics.py at a scrape, and with the figures as hosts tell them. A counter of a scrape may begin anew, at 0, and
must never otherwise fall: whoever reads it takes each fall for a beginning, and all that is left for new. The sum over
the instances that are there would fall with every instance that goes, and with every run that ends. So what is added
here is what each instance has counted since it was last heard of, and what goes takes nothing with it.

CPU seconds begin with this controller: what a run had used before a host first told of it here is not known to be new.
Restarts go on from what the controller before had counted (tally_file.py keeps it), or begin with what the slots have:
those that happened while no controller was there are told, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Slot = tuple[str, str]
"""Host and instance: a slot that moves is two, each with a count of its own."""
Kept = Mapping[str, tuple[int, Sequence[tuple[str, str, int]]]]
"""Restarts by worker: the total, and what its slots (host, instance) had counted by then."""


@dataclass
class Tally:
    """The counters of all workers. Used from one thread."""

    _cpu_s: dict[str, float] = field(default_factory=dict)
    _runs: dict[Slot, tuple[str, float]] = field(default_factory=dict)
    _hosts: set[str] = field(default_factory=set)
    _restarts: dict[str, int] = field(default_factory=dict)
    _counts: dict[Slot, int] = field(default_factory=dict)

    def metered(self, host: str, used: Mapping[str, tuple[str, float]]) -> None:
        """What the live runs of a host have used since their start: by instance, the run and its seconds."""
        is_first = host not in self._hosts
        self._hosts.add(host)
        for instance, (run, seconds) in used.items():
            before_run, before = self._runs.get((host, instance), ("", 0.0))
            self._runs[host, instance] = (run, seconds)
            new = max(0.0, seconds - before) if run == before_run else seconds
            since = 0.0 if is_first else new
            worker_id = instance.rpartition("/")[0]
            self._cpu_s[worker_id] = self._cpu_s.get(worker_id, 0.0) + since

    def cpu_seconds(self, worker_id: str) -> float | None:
        """Of all its runs that were heard of; None before any was."""
        found = self._cpu_s.get(worker_id)
        return None if found is None else round(found, 3)

    def restarts(self, worker_id: str, instances: Iterable[Mapping[str, Any]]) -> int | None:
        """Of all its slots, also of those that went; None while no slot was seen. `instances`: those of its item."""
        for instance in instances:
            if instance["revision"] is None:
                continue  # No slot was seen: it may have counted, or never been there.
            slot, count = (instance["host"], instance["instance"]), instance["restart_count"]
            before = self._counts.get(slot, 0)
            self._counts[slot] = count
            # A slot that counts less is one that went and came again.
            since = count - before if count >= before else count
            self._restarts[worker_id] = self._restarts.get(worker_id, 0) + since
        return self._restarts.get(worker_id)

    def kept(self) -> Kept:
        """What another one has to know of restarts to go on from here."""
        slots: dict[str, list[tuple[str, str, int]]] = {name: [] for name in sorted(self._restarts)}
        for (host, instance), count in sorted(self._counts.items()):
            slots[instance.rpartition("/")[0]].append((host, instance, count))
        return {name: (self._restarts[name], own) for name, own in slots.items()}

    def restore(self, kept: Kept) -> None:
        """Go on from there."""
        for name, (total, slots) in kept.items():
            self._restarts[name] = total
            self._counts.update({(host, instance): count for host, instance, count in slots})

    def forget_others(self, worker_ids: Collection[str]) -> None:
        """These are all the workers there are; one that comes again begins anew."""
        for counters in (self._cpu_s, self._restarts):
            for gone in counters.keys() - worker_ids:
                del counters[gone]
        for slots in (self._runs, self._counts):
            for slot in [slot for slot in slots if slot[1].rpartition("/")[0] not in worker_ids]:
                del slots[slot]
