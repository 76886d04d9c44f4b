"""Intents: runtime wishes that are no part of a spec. Small fsynced files in the state directory keep them.

A wish carries a number that only grows (milliseconds since the epoch when it was made). A supervisor serves a
number once, so a wish repeated after a crash of ours restarts nothing twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
class Intents:
    """All live wishes: at most one run intent per worker, and the digests of confirmed guards."""

    runs: Mapping[str, RunIntent] = field(default_factory=dict)
    confirmed: frozenset[str] = frozenset()
