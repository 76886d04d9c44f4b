"""What workers tell of themselves by heartbeat, and what that makes of a worker: sums over its instances. Pure.

Made by the desk of heartbeats, shown by views.py. A figure that no instance told is None, never 0: nobody said so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

COUNTS = ("error_count", "assigned_accounts", "active_tasks")
"""The figures that every worker may tell; others are metrics, by names of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """One heartbeat as it was sent. `status` is one line in the worker's own words."""

    error_count: int | None = None
    assigned_accounts: int | None = None
    active_tasks: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    status: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRecord:
    """A record for its own log, told with a heartbeat: kind `task` or `error`. `age_s`: how long ago it happened.

    `number`: its own, from its source, which counts upwards; None: it gave none.
    """

    kind: str
    message: str
    level: str
    data: Mapping[str, Any] | None = None
    age_s: float = 0.0
    number: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The newest heartbeat of an instance's run. `at` in seconds since the epoch."""

    instance: str
    run: str
    at: float
    beat: Beat


def reported(told: Iterable[Told]) -> dict[str, Any]:
    """The figures of one worker from those of its instances, for `Beside.reported`; empty where none told anything."""
    all_told = sorted(told, key=lambda entry: entry.instance)
    if not all_told:
        return {}
    names = sorted({name for entry in all_told for name in entry.beat.metrics})
    return {
        **{name: _sum(getattr(entry.beat, name) for entry in all_told) for name in COUNTS},
        "last_heartbeat_at": max(entry.at for entry in all_told),
        "metrics": {name: _sum(entry.beat.metrics.get(name) for entry in all_told) for name in names},
        "told": {entry.instance: entry for entry in all_told},
    }


def _sum(values: Iterable[Any]) -> Any:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
