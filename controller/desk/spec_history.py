"""What became of a worker's spec, made of its events: what was accepted, by whom, and what came of it. Pure.

Called by the desk of the past. An accepted spec has the ETag of its file with it, and so has the event of who wrote
that file through us: that is how the two are known to belong together. What nobody wrote through us was edited in the
file, and git may know by whom.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from controller.core.effects import changes
from controller.core.plan import ActionKind
from controller.core.views import change_view, rfc3339
from controller.store.records import StoredEvent

WRITES = ("spec_created", "spec_replaced", "spec_changed", "start_requested", "stop_requested")
KINDS = {"spec_accepted": "accepted", "spec_rejected": "rejected", "spec_removed": "removed"}
ORDERS = {f"{kind.value}_ordered": kind.value for kind in ActionKind}
TYPES = (*KINDS, *WRITES, "spec_deleted", *ORDERS, "gave_up")

Revision = dict[str, Any]


def revisions(events: Sequence[StoredEvent]) -> list[Revision]:
    """All that is told of by these events of one worker, given and returned the oldest first."""
    found: list[Revision] = []
    known: dict[str, Any] | None = None
    for event in events:
        if event.type in KINDS:
            one = _revision(event, _writer(event, events), known)
            if event.type != "spec_rejected":
                known = one["spec"]
            found.append(one)
        elif found and event.instance is not None and found[-1]["kind"] != "rejected":
            _add_outcome(found[-1], event)
    accepted = [one for one in found if one["kind"] != "rejected"]
    if accepted and accepted[-1]["kind"] == "accepted":
        accepted[-1]["is_current"] = True
    return found


def _revision(event: StoredEvent, writer: StoredEvent | None, before: dict[str, Any] | None) -> Revision:
    spec = event.data.get("spec")
    return {
        "seq": event.seq,
        "at": rfc3339(event.at),
        "kind": KINDS[event.type],
        "revision": event.data.get("revision"),
        "actor": None if writer is None else writer.actor,
        "reason": "" if writer is None else writer.cause,
        "message": event.message,
        "source": {name: event.data.get(name) for name in ("file", "line", "commit")},
        "commit": None,
        "spec": spec,
        "fields": _changes(before, spec),
        "orders": {},
        "gave_up": [],
        "is_current": False,
    }


def _changes(before: dict[str, Any] | None, after: dict[str, Any] | None) -> list[dict[str, Any]] | None:
    """None where one of them is not known."""
    return None if before is None or after is None else [change_view(one) for one in changes(before, after)]


def _writer(event: StoredEvent, events: Iterable[StoredEvent]) -> StoredEvent | None:
    """The event of who wrote this through us. A file may become the same again: each write is of the nearest one."""
    if event.type == "spec_removed":
        found = [one for one in events if one.type == "spec_deleted" and abs(one.at - event.at) < _SAME_S]
    else:
        etag = str(event.data.get("etag") or "")
        found = [one for one in events if etag and one.type in WRITES and one.data.get("etag") == etag]
        found = [one for one in found if _nearest(one, _accepted_as(etag, events)) is event]
    return _nearest(event, found)


def _accepted_as(etag: str, events: Iterable[StoredEvent]) -> list[StoredEvent]:
    return [one for one in events if one.type == "spec_accepted" and one.data.get("etag") == etag]


def _nearest(event: StoredEvent, others: Iterable[StoredEvent]) -> StoredEvent | None:
    return min(others, key=lambda one: abs(one.seq - event.seq), default=None)


_SAME_S = 30.0
"""A deletion that was asked for is seen within this."""


def _add_outcome(revision: Revision, event: StoredEvent) -> None:
    if event.type == "gave_up":
        names = revision["gave_up"]
    elif event.type in ORDERS:
        names = revision["orders"].setdefault(ORDERS[event.type], [])
    else:
        return
    if event.instance not in names:
        names.append(event.instance)
