"""Which probes of a slot are due, and when a series of successes or failures is a verdict. Pure.

Called by probes.py. While there is a startup probe and it has not succeeded, it is the only one. A run that must beat
may have been told another time than the launch has by now, or said one itself: that is the one which counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from .states import Phase, Slot

Probe = Mapping[str, Any]


@dataclass(frozen=True)
class Tally:
    """How often in a row a probe has succeeded, or failed; one of the two is 0."""

    successes: int = 0
    failures: int = 0

    def counted(self, *, ok: bool) -> Tally:
        """One more result."""
        return Tally(self.successes + 1, 0) if ok else Tally(0, self.failures + 1)

    def verdict(self, probe: Probe) -> Optional[bool]:
        """True where the probe has passed, False where it has failed, None while neither can be said."""
        if self.successes >= probe["successes"]:
            return True
        return False if self.failures >= probe["failures"] else None


def due_probes(slot: Optional[Slot]) -> list[Probe]:
    """The probes that are to be made while the slot is as it is."""
    if slot is None or slot.phase not in (Phase.STARTING, Phase.RUNNING) or slot.run is None:
        return []
    probes: list[Probe] = list(slot.wish.launch.get("probes") or ())
    startup = [probe for probe in probes if probe["kind"] == "startup"]
    if startup and slot.phase is Phase.STARTING:
        return startup
    return [_as_told(probe, slot) for probe in probes if probe["kind"] != "startup" and not _is_off(probe, slot)]


def heartbeat_limit(slot: Slot) -> Optional[int]:
    """How many ms the slot's run may be silent; None where it need not beat."""
    probe = next((probe for probe in slot.wish.launch.get("probes") or () if probe["check"] == "heartbeat"), None)
    if probe is None or _is_off(probe, slot):
        return None
    return int(_as_told(probe, slot)["timeout_ms"])


def _is_off(probe: Probe, slot: Slot) -> bool:
    return probe["check"] == "heartbeat" and slot.watchdog_ms == 0


def _as_told(probe: Probe, slot: Slot) -> Probe:
    if probe["check"] != "heartbeat" or slot.watchdog_ms is None:
        return probe
    return {**probe, "timeout_ms": slot.watchdog_ms}
