"""What is deleted, and when: a sweep over the whole database in small slices.

Called by the shell once in a while (hourly is plenty), in a thread of its own: a sweep waits for the writer between
its slices. Each slice is one bounded delete in a transaction of the writer's, so lines and events go on being stored
at their pace during a sweep over a hundred million rows. A sweep that is cut off anywhere is simply made again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from controller.store.queries import Reader
from controller.store.records import (
    Outcome,
    Reclaim,
    Stored,
    Trim,
    TrimCursors,
    TrimEvents,
    TrimLogs,
    TrimOperations,
    TrimSamples,
    TrimSeries,
)
from controller.store.writer import Writer

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How long what stays. `retain_days` per worker as its spec says, `default_days` for workers without a spec.

    `known_runs`: all runs that any agent still knows, None when not every agent could be asked. Unknown is not
    absent: then no log cursor is deleted, because a file may still be there to be read from.
    """

    retain_days: Mapping[str, float] = field(default_factory=dict)
    default_days: float = 7
    events_days: float = 90
    events_rows: int = 1_000_000
    operations_days: float = 30
    cursors_days: float = 7
    samples_s: Mapping[int, float] = field(default_factory=lambda: {10: 7200, 60: 2 * DAY_S, 600: 60 * DAY_S})
    known_runs: frozenset[str] | None = None
    slice_rows: int = 5_000
    slice_wait_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """How much one sweep deleted. `complete` is False where the database did not keep up; the next sweep goes on."""

    lines: int = 0
    events: int = 0
    operations: int = 0
    cursors: int = 0
    samples: int = 0
    pages: int = 0
    complete: bool = True


def sweep(writer: Writer, reader: Reader, policy: Policy, now: float) -> Swept:
    """Delete what `policy` no longer keeps at `now`. Blocks. Raises StoreUnavailable where it cannot be read."""
    swept = Swept()
    for kind, chore in _chores(reader, policy, now):
        limit = chore.pages if isinstance(chore, Reclaim) else chore.limit
        count: int | None = limit
        while count == limit:
            count = _do(writer, chore, policy.slice_wait_s)
            if count is None:
                return replace(swept, complete=False)
            swept = replace(swept, **{kind: getattr(swept, kind) + count})
    return swept


def _chores(
    reader: Reader, policy: Policy, now: float
) -> Iterator[tuple[Literal["lines", "events", "operations", "cursors", "samples", "pages"], Trim | Reclaim]]:
    limit = policy.slice_rows
    for worker_id in reader.log_workers():
        before = now - policy.retain_days.get(worker_id, policy.default_days) * DAY_S
        yield "lines", TrimLogs(worker_id=worker_id, before=before, limit=limit)
    yield "events", TrimEvents(before=now - policy.events_days * DAY_S, keep=policy.events_rows, limit=limit)
    yield "operations", TrimOperations(before=now - policy.operations_days * DAY_S, limit=limit)
    if policy.known_runs is not None:
        before = now - policy.cursors_days * DAY_S
        yield "cursors", TrimCursors(known_runs=policy.known_runs, before=before, limit=limit)
    for step, seconds in policy.samples_s.items():
        yield "samples", TrimSamples(step=step, before=int(now - seconds), limit=limit)
    yield "samples", TrimSeries(limit=limit)
    yield "pages", Reclaim(pages=limit)


def _do(writer: Writer, chore: Trim | Reclaim, wait_s: float) -> int | None:
    """How many rows one slice deleted; None when it was not done in time, not taken, or rejected."""
    finished = threading.Event()
    outcomes: list[Outcome] = []

    def done(outcome: Outcome) -> None:
        outcomes.append(outcome)
        finished.set()

    if not writer.submit(chore, done) or not finished.wait(wait_s):
        return None
    (outcome,) = outcomes
    return outcome.rows if isinstance(outcome, Stored) else None
