"""Whom a client of the stream wants to hear of: workers by name, workers by label, or all.

Names are what they are; labels are those that the specs give when something is told, so a worker comes and goes with
its labels. With both, a worker must be named and have them all.
"""

from __future__ import annotations

from controller.api.call import Call
from controller.api.ports import Document
from controller.api.query import Query
from controller.api.workers import has_labels

MOST = 100


class Chosen:
    """See the header. Read from `worker=` and `label=`, each of which may be repeated."""

    def __init__(self, call: Call, query: Query) -> None:
        self._call = call
        self.names = tuple(dict.fromkeys(name for name in query.many("worker") if name))
        self.labels = query.many("label")
        for parameter, values in (("worker", self.names), ("label", self.labels)):
            if len(values) > MOST:
                query.refuse(parameter, f"expected at most {MOST} of them")

    @property
    def one(self) -> str | None:
        """The only worker, where it is one by name."""
        return self.names[0] if len(self.names) == 1 and not self.labels else None

    def covers(self, item: Document) -> bool:
        """Whether this list item is wanted."""
        return (not self.names or item["worker_id"] in self.names) and has_labels(item, self.labels)

    def ids(self) -> frozenset[str] | None:
        """The workers wanted now; None: all, and what concerns none."""
        if not self.labels:
            return frozenset(self.names) or None
        return frozenset(item["worker_id"] for item in self._call.ports.snapshots.workers() if self.covers(item))
