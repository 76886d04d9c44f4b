"""The roster: every worker's list item, kept until something about the worker changes, and its JSON with it.

To look at a thousand workers costs a tenth of a second, to compare what they were made from a few milliseconds. So an
item is made anew only when one of the facts that it is made from is another one; all of them are values that are never
changed in place. `uptime_s` is the exception, for it changes always: it is written into the kept item at every asking,
and into the kept JSON where a mark, unknown to anybody else, holds its place.

Called by the desk, in the event loop's thread. An item must be read before the next await.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from controller.api.responses import encode
from controller.core.desired import Desired
from controller.core.observed import Observed
from controller.core.picture import Picture, pictures
from controller.core.views import Beside, worker_view

SLICE = 50
"""So many items are made at a time while others may run."""

Item = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class _Row:
    """One worker: the facts, the item made from them, the instances that run with their start, and the JSON."""

    facts: tuple[Any, ...]
    item: Item
    running: list[tuple[Item, float]]
    pieces: list[bytes] = field(default_factory=list)


class Roster:
    """See the header."""

    def __init__(self) -> None:
        self._rows: dict[str, _Row] = {}
        self._whole: tuple[Any, ...] = ()
        self._mark = secrets.token_hex(16)
        self._split = encode(self._mark)

    def items(self, desired: Desired, observed: Observed, around: Mapping[str, Beside], now: float) -> Sequence[Item]:
        """All items as they are now, by worker_id."""
        for _ in self.refreshed(desired, observed, around, now):
            pass
        for row in self._rows.values():
            for instance, started_at in row.running:
                instance["uptime_s"] = round(max(0.0, now - started_at), 1)
        return [row.item for row in self._rows.values()]

    def refreshed(
        self, desired: Desired, observed: Observed, around: Mapping[str, Beside], now: float
    ) -> Iterator[None]:
        """Make anew what has changed; yields after each slice, so that a caller may let others run."""
        whole = (desired, _hosts(observed), {worker_id: _beside_facts(also) for worker_id, also in around.items()})
        if whole == self._whole:
            return
        nothing, rows, made = Beside(), {}, 0
        for picture in pictures(desired, observed):
            if picture.is_gone:
                continue
            also = around.get(picture.worker_id, nothing)
            facts = (*_facts(picture), *_beside_facts(also))
            row = self._rows.get(picture.worker_id)
            if row is None or row.facts != facts:
                item = worker_view(picture, also, now=now)
                row = self._rows[picture.worker_id] = _Row(facts=facts, item=item, running=_running(picture, item))
                made += 1
                if made % SLICE == 0:
                    yield
            rows[picture.worker_id] = row
        self._rows, self._whole = rows, whole

    def encoded(self, item: Mapping[str, Any]) -> bytes:
        """The JSON of an item of `items`, from memory where it is known."""
        row = self._rows.get(item["worker_id"])
        if row is None or row.item is not item:
            return encode(item)
        if not row.pieces:
            row.pieces = self._pieces(row)
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


def _hosts(observed: Observed) -> tuple[Any, ...]:
    return tuple(
        (host, view.reachable, view.message, view.instances, view.refusals) for host, view in observed.hosts.items()
    )


def _facts(picture: Picture) -> tuple[Any, ...]:
    """Everything of a picture that an item is made from. What is the same object is compared at once."""
    view = picture.view
    host = None if view is None else (view.reachable, view.message)
    slots = tuple((slot.host, slot.reachable, slot.seen, slot.refusal) for slot in picture.slots)
    return (picture.desired, picture.removal, picture.broken, host, slots)


def _beside_facts(also: Beside) -> tuple[Any, ...]:
    """The same of what stands beside it; `reported` is copied, for it may be a live book."""
    return (tuple(also.holds), also.previous, dict(also.reported))


def _running(picture: Picture, item: Item) -> list[tuple[Item, float]]:
    """The instances with an uptime, in the order of the item, each with its start."""
    starts = {(slot.host, slot.seen.ordinal): slot.seen.started_at for slot in picture.slots}
    return [
        (instance, starts[instance["host"], instance["ordinal"]] or 0.0)
        for instance in item["instances"]
        if instance["uptime_s"] is not None
    ]
