"""Runs of slots that nobody of this state folder has asked for: the folder was removed, its runtime folder was not.

Such a run is adopted, so that the controller sees it: its slot is `unclaimed`, goes on as it is, and is gone when its
run is. It is never started again and never stopped, unless the controller claims it by an order or removes it, or
everything stops. A leftover without a live run is dropped with its file: nothing is started because of it.

Called by adoption.py with what the keeper says. Nothing of an unclaimed slot is ever made durable.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, Optional

from .fleet import Fleet
from .states import Found, Slot

REASON = "Unclaimed"
MESSAGE = "found running, though nothing of this state folder asked for it: apply it or remove it"


class Orphans:
    """The leftovers that are not yet decided on. `clear(slot)` removes the runtime half of a slot."""

    def __init__(self, fleet: Fleet, clear: Callable[[str], None]) -> None:
        self._fleet = fleet
        self._clear = clear
        self._leftovers: dict[str, Slot] = {}

    def load(self, leftovers: Mapping[str, Slot]) -> None:
        """What records.py has found."""
        self._leftovers = dict(leftovers)

    def forget(self, name: str) -> None:
        """The slot has been applied: what it is to be is known."""
        self._leftovers.pop(name, None)

    def adopt(self, info: Mapping[str, Any], revision: Optional[str]) -> bool:
        """Make the slot of a live run that has none, at the revision that it runs at. False: there is no leftover."""
        slot = self._leftovers.pop(info["slot"], None)
        if slot is None:
            return False
        fleet = self._fleet
        tombstone = fleet.tombstones.pop(slot.name, None)
        found = revision or slot.running_revision or slot.wish.revision
        wish = replace(
            slot.wish, generation=0 if tombstone is None else tombstone.generation, revision=found, wanted="running",
            digest="",  # nobody's: whoever wants the slot has to say so
            launch={**slot.wish.launch, "probes": (), "hooks": {}}, removed=False, unclaimed=True,
        )  # fmt: skip
        fleet.slots[slot.name] = Slot(
            name=slot.name, wish=wish, run_number=slot.run_number, restart_count=slot.restart_count,
            suspended=fleet.adjourned_until is not None, reason=REASON, message=MESSAGE,
        )  # fmt: skip
        fleet.feed(slot.name, Found(info["run"], info["pid"], found, info["spawned_at"]))
        return True

    def leaves_children(self, name: str) -> bool:
        """Whether what is left of the slot is known to want its leader ended alone (`stop.kill: main`)."""
        slot = self._leftovers.get(name)
        return slot is not None and slot.wish.launch["stop_kill"] == "main"

    def drop(self, living: Collection[str]) -> None:
        """Drop the leftovers of slots that are not among `living`."""
        for name in self._leftovers.keys() - set(living):
            del self._leftovers[name]
            if name not in self._fleet.slots:
                self._clear(name)
