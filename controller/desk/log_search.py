"""Log lines from the store, searched where the question has words in it: slice after slice, each a question of its own.

Between two slices others ask, so a search through everything delays nobody. One answer searches for PATIENCE_S; it
then says how far it came, and asking again from there goes on. What is not searched for, only shown, is found with the
first slice.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from controller.api.log_query import LogQuery
from controller.store.log_search import SLICE, LogFilter, Place
from controller.store.queries import Reader
from controller.store.records import LogSlice, StoredLine

PATIENCE_S = 1.0
FIRST = 1_000
"""Lines in the first slice, at least: most questions are about the newest lines."""

Ask = Callable[[Callable[[], LogSlice]], Awaitable[LogSlice]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Lines, oldest first. `edge`: the last line that was considered, in the question's direction; None: all were.

    `is_cut`: it stopped because it took long, not because there were enough.
    """

    lines: tuple[StoredLine, ...]
    edge: int | None
    is_cut: bool = False


async def find_lines(
    ask: Ask, reader: Reader, query: LogQuery, runs: tuple[str, ...] | None, patience_s: float = PATIENCE_S
) -> Lines:
    """The lines that `query` asks for; `runs` are those that its `run` means. `ask` puts one question to `reader`."""
    if query.limit == 0:
        return Lines(lines=(), edge=None)
    wanted, forward = filter_of(query, runs), query.after is not None
    until = time.monotonic() + patience_s
    found: list[StoredLine] = []
    edge, size = (query.after if forward else query.before), max(FIRST, query.limit)
    while True:
        place = Place(after=edge, size=size) if forward else Place(before=edge, size=size)
        left = query.limit - len(found)
        part = await ask(lambda place=place, left=left: reader.log_slice(wanted, place, left))  # type: ignore[misc]
        found = [*found, *part.lines] if forward else [*part.lines, *found]
        edge, size = part.edge, SLICE
        if edge is None or len(found) >= query.limit:
            return Lines(lines=tuple(found), edge=edge)
        if time.monotonic() >= until:
            return Lines(lines=tuple(found), edge=edge, is_cut=True)


def meant_runs(
    word: str, live: Mapping[str, str | None], stored: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:  # fmt: skip
    """The runs that `current` or `previous` means, of each instance. `stored`: those with lines, the newest first.

    The current run is the one that its host tells of, whether it has printed anything or not; of an instance without,
    the newest that printed. The previous one is the newest other. Runs of hooks (named ID-HOOK) are neither.
    """
    found: list[str] = []
    for instance in sorted({*live, *stored}):
        runs = [run for run in stored.get(instance, ()) if "-" not in run]
        current = live.get(instance) or (runs[0] if runs else None)
        chosen = [current] if word == "current" else [run for run in runs if run != current][:1]
        found += [run for run in chosen if run is not None]
    return tuple(found)


def filter_of(query: LogQuery, runs: tuple[str, ...] | None) -> LogFilter:
    """The same for the store; `runs` are those that its `run` means."""
    return LogFilter(
        workers=query.workers if query.worker_id is None else (query.worker_id,),
        instance=None if query.ordinal is None else f"{query.worker_id}/{query.ordinal}",
        stream=query.stream,
        runs=runs,
        kinds=query.kinds,
        levels=query.levels,
        since=query.since,
        until=query.until,
        grep=query.grep,
        ignore_case=query.ignore_case,
        invert=query.invert,
    )
