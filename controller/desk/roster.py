"""The roster: every worker's conditions and list item, kept until something about the worker changes.

To look at a thousand workers costs a tenth of a second, to find out who changed a fraction of a millisecond: all facts
are values that are never changed in place, so a look compares objects by identity, and only a worker with another fact
is looked at again. That happens once for each change, whoever asks and however many do: the conditions when the change
is noticed, the item and its JSON when somebody first wants to read them. Both go in slices, between which others run.

`uptime_s` is the exception, for it changes always: it is written into the kept item at every asking, and into the kept
JSON where a mark, unknown to anybody else, holds its place.

Called by the desk, in the event loop's thread. An item must be read before the next await.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from controller.api.responses import encode
from controller.core.desired import Desired
from controller.core.observed import HostView, Observed
from controller.core.picture import Album, Picture
from controller.core.plan import Hold
from controller.core.status import conditions
from controller.core.views import Beside, source_of, worker_view

LOOKS, SLICE = 200, 50
"""So many workers are looked at, and so many items made, while others wait: some milliseconds of work."""

Item = dict[str, Any]
Holds = Mapping[str | None, tuple[Hold, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that is shown, as it is at one moment.

    `holds` by worker. `told` names workers whose heartbeats are others than at the facts before; `reported` reads the
    figures of one of them.
    """

    desired: Desired = field(default_factory=Desired)
    observed: Observed = field(default_factory=Observed)
    holds: Holds = field(default_factory=dict)
    told: Iterable[str] = ()
    reported: Callable[[str], Mapping[str, Any]] = lambda _worker_id: {}


@dataclass(slots=True, kw_only=True)
class _Row:
    """One worker: its facts, and what was made of them: conditions; item, running instances with start; JSON."""

    facts: tuple[Any, ...]
    picture: Picture
    also: Beside
    item: Item | None = None
    running: list[tuple[Item, float]] = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list)


class Roster:
    """See the header. `looks` and `made_items` count the work that was done."""

    def __init__(self) -> None:
        self.looks = self.made_items = 0
        self._rows: dict[str, _Row] = {}
        self._order: list[_Row] | None = None
        self._facts = Facts()
        self._album = Album(self._facts.desired, self._facts.observed)
        self._stale: dict[str, None] = {}
        self._unmade: dict[str, None] = {}
        self._news: set[str] = set()
        self._mark = secrets.token_hex(16)
        self._split = encode(self._mark)

    # --- who changed ---

    def notice(self, facts: Facts) -> None:
        """Note whom to look at again."""
        before, self._facts = self._facts, facts
        found = _differing(before.desired.workers, facts.desired.workers)
        found |= _differing(before.desired.removed, facts.desired.removed)
        found |= _differing(before.desired.broken, facts.desired.broken)
        found |= {worker_id for worker_id in _differing(before.holds, facts.holds) if worker_id is not None}
        found.update(facts.told)
        if files := _differing(before.desired.commits, facts.desired.commits):
            found |= {name for name, worker in facts.desired.workers.items() if worker.source.file in files}
            found |= facts.desired.broken.keys()
        is_moved, seen = _differing_slots(before.observed, facts.observed)
        if seen or is_moved or found:
            self._album = Album(facts.desired, facts.observed)
        found |= self._album.names() | self._rows.keys() if is_moved else seen
        self._stale.update(dict.fromkeys(sorted(found)))

    def refreshed(self, facts: Facts, now: float) -> Iterator[None]:
        """Look at all that changed; yields after each slice, so that a caller may let others run."""
        self.notice(facts)
        while self._stale:
            for worker_id in _first(self._stale, LOOKS):
                self._look(worker_id, now)
            if self._stale:
                yield

    def news(self) -> set[str]:
        """The workers that look otherwise than when this was last asked."""
        news, self._news = self._news, set()
        return news

    def _look(self, worker_id: str, now: float) -> None:
        self._stale.pop(worker_id, None)
        picture, before = self._album.of(worker_id), self._rows.get(worker_id)
        if picture.is_gone:
            if before is not None:
                del self._rows[worker_id]
                self._order = None
                self._unmade.pop(worker_id, None)
                self._news.add(worker_id)
            return
        holds, reported = self._facts.holds.get(worker_id, ()), self._facts.reported(worker_id)
        source = source_of(picture)
        commit = None if source is None else self._facts.desired.commits.get(source.file)
        facts = (*_facts(picture), holds, reported, commit)
        if before is not None and before.facts == facts:
            before.picture = picture  # What no item shows may differ.
            return
        self.looks += 1
        previous = None if before is None else {one.type: one for one in before.also.conditions or ()}
        found = conditions(picture, holds, now=now, previous=previous)
        also = Beside(holds=holds, conditions=found, reported=reported, commit=commit)
        if before is None:
            self._rows[worker_id], self._order = _Row(facts=facts, picture=picture, also=also), None
        else:
            before.facts, before.picture, before.also, before.item = facts, picture, also, None
        self._unmade[worker_id] = None
        self._news.add(worker_id)

    def one(self, worker_id: str, facts: Facts, now: float) -> tuple[Picture, Beside] | None:
        """One worker as it is now, None where nothing is left to tell of it."""
        self.notice(facts)
        if worker_id in self._stale:
            self._look(worker_id, now)
        row = self._rows.get(worker_id)
        return None if row is None else (row.picture, row.also)

    # --- what is read ---

    def items(self, facts: Facts, now: float) -> Sequence[Item]:
        """All items as they are now, by worker_id."""
        for _ in self.made(facts, now):
            pass
        if self._order is None:
            self._order = [self._rows[worker_id] for worker_id in sorted(self._rows)]
        for row in self._order:
            for instance, started_at in row.running:
                instance["uptime_s"] = round(max(0.0, now - started_at), 1)
        return [row.item for row in self._order if row.item is not None]

    def made(self, facts: Facts, now: float) -> Iterator[None]:
        """Make what `items` wants that is not made yet; yields after each slice."""
        yield from self.refreshed(facts, now)
        while self._unmade:
            for worker_id in _first(self._unmade, SLICE):
                self._make(self._rows[worker_id], now)
                del self._unmade[worker_id]
            if self._unmade:
                yield
                yield from self.refreshed(self._facts, now)

    def _make(self, row: _Row, now: float) -> None:
        row.item = worker_view(row.picture, row.also, now=now)
        row.running = _running(row.picture, row.item)
        row.pieces = self._pieces(row)
        self.made_items += 1

    def encoded(self, item: Mapping[str, Any]) -> bytes:
        """The JSON of an item of `items`, from memory where it is known."""
        row = self._rows.get(item["worker_id"])
        if row is None or row.item is not item:
            return encode(item)
        filled = [row.pieces[0]]
        for (instance, _), piece in zip(row.running, row.pieces[1:], strict=True):
            filled += (b"%.1f" % instance["uptime_s"], piece)
        return b"".join(filled)

    def _pieces(self, row: _Row) -> list[bytes]:
        uptimes = [instance["uptime_s"] for instance, _ in row.running]
        for instance, _ in row.running:
            instance["uptime_s"] = self._mark
        pieces = encode(row.item).split(self._split)
        for (instance, _), uptime in zip(row.running, uptimes, strict=True):
            instance["uptime_s"] = uptime
        return pieces


def _first(waiting: Mapping[str, None], count: int) -> list[str]:
    return [worker_id for worker_id, _ in zip(waiting, range(count), strict=False)]


def _differing(before: Mapping[Any, Any], after: Mapping[Any, Any]) -> set[Any]:
    """The keys of what came, went or was replaced. A new object may be an equal one: `_look` finds that out."""
    if before is after:
        return set()
    return {key for key, value in after.items() if before.get(key) is not value} | (before.keys() - after.keys())


def _differing_slots(before: Observed, after: Observed) -> tuple[bool, set[str]]:
    """Whether a host is in another state, which concerns all; and the workers of the slots that differ."""
    found: set[str] = set()
    is_moved = before.hosts.keys() != after.hosts.keys()
    for host, view in after.hosts.items():
        was = before.hosts.get(host, HostView(reachable=False))
        is_moved = is_moved or (was.reachable, was.message) != (view.reachable, view.message)
        found |= _differing(was.instances, view.instances) | _differing(was.refusals, view.refusals)
    return is_moved, {name.rpartition("/")[0] for name in found}


def _facts(picture: Picture) -> tuple[Any, ...]:
    """Everything of a picture that an item is made from. What is the same object is compared at once."""
    view = picture.view
    host = None if view is None else (view.reachable, view.message)
    slots = tuple((slot.host, slot.reachable, slot.seen, slot.refusal) for slot in picture.slots)
    return (picture.desired, picture.removal, picture.broken, host, slots)


def _running(picture: Picture, item: Item) -> list[tuple[Item, float]]:
    """The instances with an uptime, in the order of the item, each with its start."""
    starts = {(slot.host, slot.seen.ordinal): slot.seen.started_at for slot in picture.slots}
    return [
        (instance, starts[instance["host"], instance["ordinal"]] or 0.0)
        for instance in item["instances"]
        if instance["uptime_s"] is not None
    ]
