"""Intents: runtime wishes that are no part of a spec. Small fsynced files in the state directory keep them.

A wish carries a number that only grows (milliseconds since the epoch when it was made). A supervisor serves a
number once, so a wish repeated after a crash of ours restarts nothing twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class RunIntent:
    """`restart`: give every instance one new run. `start`: give those that are down one, with a fresh budget.

    `stop`: end what the spec (or a keep) wants stopped, now. `at_once`: what it ends is killed without being asked.
    """

    worker_id: str
    kind: Literal["restart", "start", "stop"]
    number: int
    at: float
    actor: str = "unknown"
    reason: str = ""
    at_once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """A worker is kept stopped, or running, until a time, whatever its spec says. It ends by itself.

    `at` and `until` are seconds since the epoch; `boot_until` is the end in seconds since the boot `boot_id`, see
    keeps.py. Nothing of these but `until` is shown.
    """

    worker_id: str
    wanted: Literal["running", "stopped"]
    until: float
    at: float
    actor: str = "unknown"
    reason: str = ""
    boot_id: str = ""
    boot_until: float = 0.0

    def __str__(self) -> str:
        until = datetime.fromtimestamp(self.until, tz=UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        why = f"{self.reason}, by {self.actor}" if self.reason else f"by {self.actor}"
        return f"kept {self.wanted} until {until} ({why})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intents:
    """All live wishes: at most one run intent and one keep per worker, and the digests of confirmed guards."""

    runs: Mapping[str, RunIntent] = field(default_factory=dict)
    keeps: Mapping[str, Keep] = field(default_factory=dict)
    confirmed: frozenset[str] = frozenset()
