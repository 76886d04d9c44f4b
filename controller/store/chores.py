"""What the writer does beside what it is told to store: deleting in slices, giving space back, figures. Typed records.

Each is one bounded piece of work in the transaction of a group, so that lines and events never wait for long. Made by
retention and by whoever keeps figures; done by apply. Times are seconds since the epoch, sizes bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ROW_BYTES = 160
"""What a stored line takes in the database beside its text, roughly, indexes included. Limits in bytes count it."""

SLICE_S = 0.05
"""A slice ends after about so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrimLogs:
    """Delete up to `limit` lines of one worker: its oldest beyond the limits, and those written before `before`.

    `keep_bytes` counts texts and ROW_BYTES a line. None: no such limit.
    """

    worker_id: str
    limit: int
    before: float | None = None
    keep_lines: int | None = None
    keep_bytes: int | None = None
    within_s: float = SLICE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class TrimTotals:
    """Forget what was removed of up to `limit` workers that have no lines, and lost none since `before`."""

    before: float
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrimEvents:
    """Delete up to `limit` of the oldest events: those before `before`, and those beyond the newest `keep`."""

    before: float
    keep: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrimOperations:
    """Delete up to `limit` of the oldest operations, where they last changed before `before`."""

    before: float
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrimCursors:
    """Delete up to `limit` log cursors that last moved before `before` and whose run is none of `known_runs`.

    A cursor that is deleted too early would store the lines of its run a second time: `known_runs` must be complete.
    """

    known_runs: frozenset[str]
    before: float
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reclaim:
    """Give up to `pages` free pages of the file back to the file system, where the database can, and `keep` the others.

    Free pages are used again by what comes in; to give back and take anew what goes round would be work for nothing.
    """

    pages: int
    keep: int = 0
    within_s: float = SLICE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The figures of one instance at one moment; None where not known."""

    instance: str
    cpu_percent: float | None = None
    memory_bytes: float | None = None
    active_tasks: float | None = None
    assigned_accounts: float | None = None
    error_count: float | None = None
    restart_count: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """The samples of all instances in the ten seconds from `at` (seconds since the epoch, a multiple of 10)."""

    at: int
    rows: Sequence[Sample]


@dataclass(frozen=True, slots=True, kw_only=True)
class RollUp:
    """Make the spans of `step` seconds between `since` and `until` from those of the next finer table, anew."""

    step: int
    since: int
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrimSamples:
    """Delete up to `limit` spans of `step` seconds that began before `before`."""

    step: int
    before: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrimSeries:
    """Forget up to `limit` instances of which no sample is kept any more."""

    limit: int


Figures = Samples | RollUp | TrimSamples | TrimSeries
Trim = TrimLogs | TrimTotals | TrimEvents | TrimOperations | TrimCursors | TrimSamples | TrimSeries
Chore = Trim | Reclaim | Samples | RollUp
