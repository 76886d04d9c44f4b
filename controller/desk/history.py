"""The figures of workers over time: sampled every ten seconds, answered as series that can be drawn as they are.

Sampling costs the event loop a pass over what is in memory; writing, rolling up and reading happen in the store's
threads. A sample that the database has no room for is left out: history has holes where the database was away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from controller.api.past_ports import HistoryWish
from controller.api.ports import Document, StoreUnavailable
from controller.core.heartbeats import Beat, Told
from controller.core.observed import ObservedInstance
from controller.core.views import rfc3339
from controller.desk.parts import Parts
from controller.store import StoreError
from controller.store.chores import RollUp, Sample, Samples
from controller.store.history import HistoryQuery, Span
from controller.store.records import StoredEvent

EVERY_S = 10
MARKED = (
    "started", "exited", "killed", "gave_up", "completed", "spec_accepted", "spec_removed", "start_requested",
    "stop_requested", "restart_requested",
)  # fmt: skip
"""Events that explain a curve: starts and ends, changes of the spec, what a person asked for."""
MOST_MARKS = 500
MOST_SPANS = 200_000
"""Of all workers: two minutes of fifteen thousand."""
_STEPS = ((10, 7200), (60, 2 * 86_400), (600, 60 * 86_400))
"""Seconds of a span, and how far back such spans are kept (retention.Policy) and asked for by themselves."""
_ROLLED = ((60, _STEPS[0][1]), (600, _STEPS[1][1]))
"""Spans that are made of finer ones, and how far back those go."""
_LATE_SPANS = 3
"""So many spans back a roll-up begins: what came late is taken in."""


class HistoryDesk:
    """Implements ports.History."""

    def __init__(self, parts: Parts, is_known: Callable[[str], bool]) -> None:
        """`is_known(worker_id)`: whether there is a spec or a slot of this name."""
        self._is_known = is_known
        self._loop, self._heartbeats = parts.loop, parts.heartbeats
        self._store, self._clock, self._archive = parts.store, parts.clock, parts.archive

    # --- sampling ---

    async def run(self) -> None:
        """Sample until cancelled, at whole tens of seconds; roll up each span as it is over, at first all there are."""
        at = self._now()
        for step, kept_s in _ROLLED:
            self._store.writer.submit(RollUp(step=step, since=at - kept_s, until=at))
        while True:
            pause = EVERY_S - self._clock.now() % EVERY_S
            await self._clock.wait(asyncio.Event(), pause)
            before, at = at, self._now()
            self._store.writer.submit(Samples(at=at, rows=self._samples()))
            self._keep_heartbeats(before)
            for step, _ in _ROLLED:
                if before // step != at // step:
                    self._store.writer.submit(RollUp(step=step, since=at - _LATE_SPANS * step, until=at))

    def _now(self) -> int:
        return int(self._clock.now()) // EVERY_S * EVERY_S

    def _samples(self) -> list[Sample]:
        found: list[Sample] = []
        for _, seen, told in self._live():
            beat = Beat() if told is None else told.beat
            found.append(
                Sample(
                    instance=seen.instance,
                    cpu_percent=seen.cpu_percent,
                    memory_bytes=seen.memory_bytes,
                    active_tasks=beat.active_tasks,
                    assigned_accounts=beat.assigned_accounts,
                    error_count=beat.error_count,
                    restart_count=seen.restart_count,
                )
            )
        return found

    def _keep_heartbeats(self, since: float) -> None:
        """What was told since then goes into the rows of instances, too, which are written for other reasons only."""
        beating: dict[str, list[ObservedInstance]] = {}
        for host, seen, told in self._live():
            if told is not None and told.at >= since:
                beating.setdefault(host, []).append(seen)
        for host, instances in beating.items():
            self._archive.keep_instances(host, instances, [])

    def _live(self) -> Iterator[tuple[str, ObservedInstance, Told | None]]:
        """The instances that have a process, with their hosts and newest heartbeats."""
        for host, view in self._loop.observed().hosts.items():
            for seen in view.instances.values() if view.reachable else ():  # What it told before it went is a memory.
                if seen.pid is not None:
                    yield host, seen, self._heartbeats.told_of(seen.instance)

    # --- answering ---

    async def history(self, wish: HistoryWish) -> Document | None:
        """See ports.History."""
        step = wish.step or _step(wish.since, wish.until, self._clock.now())
        query = HistoryQuery(
            worker_id=wish.worker_id, step=step, since=int(wish.since) // step * step, until=int(wish.until),
            instance=wish.instance, summed=wish.instance is None and not wish.by_instance,
        )  # fmt: skip
        if wish.worker_id is None:
            query = replace(query, limit=MOST_SPANS)
        try:
            lines, events = await self._store.ask(partial(self._read, query, wish.metrics))
        except StoreError as error:
            raise StoreUnavailable(str(error)) from error
        if wish.worker_id is not None and not lines["times"] and not self._is_known(wish.worker_id):
            return None
        return {
            "worker_id": wish.worker_id,
            "since": rfc3339(wish.since),
            "until": rfc3339(wish.until),
            "step_s": step,
            **lines,
            "annotations": [_mark(event) for event in events],
        }

    def _read(self, query: HistoryQuery, metrics: Sequence[str]) -> tuple[dict[str, Any], Sequence[StoredEvent]]:
        reader, worker_id = self._store.reader, query.worker_id
        lines = drawn(reader.history(query), metrics, query.step)
        if worker_id is None:
            return lines, ()
        events = reader.events_between(worker_id, query.since, query.until, types=MARKED, limit=MOST_MARKS)
        return lines, [one for one in events if query.instance is None or one.instance in (None, query.instance)]


def _step(since: float, until: float, now: float) -> int:
    """The finest spans that are kept for so long and are not too many for one drawing."""
    needed = max(until - since, now - since)
    return next((step for step, kept_s in _STEPS if needed <= kept_s), _STEPS[-1][0])


def drawn(spans: Sequence[Span], metrics: Sequence[str], step: int) -> dict[str, Any]:
    """`times` in whole seconds at even distances, and `series` with one value for each; null where unknown."""
    if not spans:
        return {"times": [], "series": []}
    first, last = min(span.at for span in spans), max(span.at for span in spans)
    times = range(first, last + 1, step)
    series: list[dict[str, Any]] = []
    for (worker_id, instance), own in _by_instance(spans).items():
        for metric in metrics:
            values = [None if (span := own.get(at)) is None else span.figures[metric] for at in times]
            if any(value is not None for value in values):
                series.append({"worker_id": worker_id, "instance": instance, "metric": metric, "values": values})
    return {"times": list(times), "series": series}


def _by_instance(spans: Iterable[Span]) -> Mapping[tuple[str, str | None], Mapping[int, Span]]:
    found: dict[tuple[str, str | None], dict[int, Span]] = {}
    for span in spans:
        found.setdefault((span.worker_id, span.instance), {})[span.at] = span
    return dict(sorted(found.items(), key=lambda entry: _in_order(*entry[0])))


def _in_order(worker_id: str, instance: str | None) -> tuple[str, int]:
    _, _, ordinal = (instance or "").rpartition("/")
    return worker_id, int(ordinal) if ordinal.isdecimal() else 0


def _mark(event: StoredEvent) -> Document:
    return {
        "at": rfc3339(event.at), "type": event.type, "instance": event.instance, "actor": event.actor,
        "message": event.message,
    }  # fmt: skip
