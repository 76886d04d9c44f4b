"""Which workers a command means, by name, label and status. Used by `get` and its watching."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from controller.cli.client import Item
from controller.cli.wording import failed_first


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which workers are meant: all of the names, labels and one of the statuses. Empty means any."""

    names: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    statuses: tuple[str, ...] = ()

    def of(self, items: Iterable[Item]) -> list[Item]:
        """The chosen ones, failed first."""
        return failed_first([item for item in items if self._chosen(item)])

    def missing(self, items: Iterable[Item]) -> list[str]:
        """The names that no worker has."""
        known = {item["worker_id"] for item in items}
        return [name for name in self.names if name not in known]

    def _chosen(self, item: Item) -> bool:
        labels = item.get("labels") or {}
        return (
            (not self.names or item["worker_id"] in self.names)
            and (not self.statuses or item["status"] in self.statuses)
            and all(labels.get(name) == value for name, value in self.labels)
        )
