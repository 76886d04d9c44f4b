"""What is deleted, and when: a sweep over the whole database in small slices.

Called by the shell, in a thread of its own: a sweep waits for the writer between its slices. Each slice is one delete,
bounded in rows and in time, in a transaction of the writer's, with what comes in before and behind it; so lines and
events go on being stored at their pace during a sweep over a hundred million rows. A sweep that is cut off anywhere is
simply made again.

Log lines have three limits: their age, their number, and their bytes; of each worker as its spec says, and of all
together. Where all together are too many, the most that each may have is lowered until they are not: who prints much
loses its own past, never that of a quiet worker. How much there is stands in `log_totals`; nothing is counted.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

from controller.core.shares import fair_most
from controller.store.chores import (
    SLICE_S,
    Reclaim,
    Trim,
    TrimCursors,
    TrimEvents,
    TrimLogs,
    TrimOperations,
    TrimSamples,
    TrimSeries,
    TrimTotals,
)
from controller.store.queries import Reader
from controller.store.records import LogTotal, Outcome, Stored
from controller.store.writer import Writer

DAY_S = 86_400.0

T = TypeVar("T", int, float)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Which log lines stay: for so many days, so many, so many bytes (ROW_BYTES of each included). None: no limit."""

    days: float | None = None
    lines: int | None = None
    bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How long what stays. `logs` by worker as its spec says, `other_logs` for workers without a spec.

    `all_logs`: of all workers together, and no line of any is older.

    `known_runs`: all runs that any agent still knows, None when not every agent could be asked. Unknown is not
    absent: then no log cursor is deleted, because a file may still be there to be read from.
    """

    logs: Mapping[str, Keep] = field(default_factory=dict)
    other_logs: Keep = Keep(days=7)
    all_logs: Keep = Keep()
    events_days: float = 90
    events_rows: int = 1_000_000
    operations_days: float = 30
    cursors_days: float = 7
    samples_s: Mapping[int, float] = field(default_factory=lambda: {10: 7200, 60: 2 * DAY_S, 600: 60 * DAY_S})
    known_runs: frozenset[str] | None = None
    totals_days: float = 90
    slice_rows: int = 5_000
    slice_s: float = SLICE_S
    slice_wait_s: float = 60.0
    rest_s: float = 0.01
    free_pages: int = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """How much one sweep deleted. `complete` is False where the database did not keep up; the next sweep goes on."""

    lines: int = 0
    events: int = 0
    operations: int = 0
    cursors: int = 0
    samples: int = 0
    totals: int = 0
    pages: int = 0
    complete: bool = True


def sweep(writer: Writer, reader: Reader, policy: Policy, now: float) -> Swept:
    """Delete what `policy` no longer keeps at `now`. Blocks. Raises StoreUnavailable where it cannot be read."""
    return _do_all(writer, policy, itertools.chain(_lines(reader, policy, now), _others(policy, now)))


def sweep_surplus(writer: Writer, reader: Reader, policy: Policy) -> Swept:
    """Delete only the log lines that are too many, which costs next to nothing where there are none; as above."""
    return _do_all(writer, policy, _lines(reader, policy, None))


Kind = Literal["lines", "events", "operations", "cursors", "samples", "pages", "totals"]


def _do_all(writer: Writer, policy: Policy, chores: Iterable[tuple[Kind, Trim | Reclaim]]) -> Swept:
    swept = Swept()
    rest = threading.Event()
    for kind, chore in chores:
        has_more = True
        while has_more:
            done = _do(writer, chore, policy.slice_wait_s)
            if done is None:
                return replace(swept, complete=False)
            swept = replace(swept, **{kind: getattr(swept, kind) + done.rows})
            has_more = done.more
            if has_more:
                # What waits goes first; a group of lines is between two slices in any case.
                rest.wait(policy.rest_s)
    return swept


def _lines(reader: Reader, policy: Policy, now: float | None) -> Iterator[tuple[Kind, Trim]]:
    totals = reader.log_totals()
    limits = log_limits(totals, policy)
    for total in totals:
        keep = limits[total.worker_id]
        chore = TrimLogs(
            worker_id=total.worker_id,
            before=None if now is None or keep.days is None else now - keep.days * DAY_S,
            keep_lines=keep.lines,
            keep_bytes=keep.bytes,
            limit=policy.slice_rows,
            within_s=policy.slice_s,
        )
        if chore.before is not None or is_over(total, keep):
            yield "lines", chore


def is_over(total: LogTotal, keep: Keep) -> bool:
    """Whether there are more lines than are kept, whatever their age."""
    too_many = keep.lines is not None and total.lines > keep.lines
    return too_many or (keep.bytes is not None and total.lines > 0 and total.size > keep.bytes)


def log_limits(totals: Sequence[LogTotal], policy: Policy) -> dict[str, Keep]:
    """What each worker may keep, so that all together keep no more than they may."""
    own = {total.worker_id: policy.logs.get(total.worker_id, policy.other_logs) for total in totals}
    lines = _share([_least(total.lines, own[total.worker_id].lines) for total in totals], policy.all_logs.lines)
    size = _share([_least(total.size, own[total.worker_id].bytes) for total in totals], policy.all_logs.bytes)
    days = policy.all_logs.days
    return {
        worker_id: Keep(
            days=keep.days if days is None else _least(days, keep.days),
            lines=keep.lines if lines is None else _least(lines, keep.lines),
            bytes=keep.bytes if size is None else _least(size, keep.bytes),
        )
        for worker_id, keep in own.items()
    }


def _share(wanted: Sequence[int], budget: int | None) -> int | None:
    return None if budget is None else fair_most(wanted, budget)


def _least(value: T, limit: T | None) -> T:
    return value if limit is None else min(value, limit)


def _others(policy: Policy, now: float) -> Iterator[tuple[Kind, Trim | Reclaim]]:
    limit = policy.slice_rows
    yield "totals", TrimTotals(before=now - policy.totals_days * DAY_S, limit=limit)
    yield "events", TrimEvents(before=now - policy.events_days * DAY_S, keep=policy.events_rows, limit=limit)
    yield "operations", TrimOperations(before=now - policy.operations_days * DAY_S, limit=limit)
    if policy.known_runs is not None:
        before = now - policy.cursors_days * DAY_S
        yield "cursors", TrimCursors(known_runs=policy.known_runs, before=before, limit=limit)
    for step, seconds in policy.samples_s.items():
        yield "samples", TrimSamples(step=step, before=int(now - seconds), limit=limit)
    yield "samples", TrimSeries(limit=limit)
    yield "pages", Reclaim(pages=limit, keep=policy.free_pages, within_s=policy.slice_s)


def _do(writer: Writer, chore: Trim | Reclaim, wait_s: float) -> Stored | None:
    """What one slice did; None when it was not done in time, not taken, or rejected."""
    finished = threading.Event()
    outcomes: list[Outcome] = []

    def done(outcome: Outcome) -> None:
        outcomes.append(outcome)
        finished.set()

    if not writer.submit(chore, done) or not finished.wait(wait_s):
        return None
    (outcome,) = outcomes
    return outcome if isinstance(outcome, Stored) else None
