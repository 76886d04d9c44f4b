"""The order of a list of workers, the page of it that is asked for, and the fields of its items.

A cursor says which item was the last (its value and its name), not how many came before: what appears or goes between
two pages neither repeats nor hides another. Figures move, though, and with them a worker may move over the edge.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

from controller.api.ports import Document
from controller.api.problem import suggestion
from controller.api.query import Query
from controller.api.shapes import WORKER_FIELDS

SORTABLE = (
    "worker_id", "name", "status", "desired_state", "deployment_type", "restart_count", "error_count", "cpu_percent",
    "memory_bytes", "assigned_accounts", "active_tasks", "last_heartbeat_at",
)  # fmt: skip


class Order:
    """By one field, upwards, or downwards with a minus before it; what is not known comes last; then by name."""

    def __init__(self, query: Query) -> None:
        text = query.text("sort") or "worker_id"
        self._name = text.removeprefix("-")
        self._is_down = text.startswith("-")
        if self._name not in SORTABLE:
            hint = suggestion(self._name, SORTABLE) or f"one of {', '.join(SORTABLE)}"
            query.refuse("sort", f"expected the name of a field; {hint}")
        self._by_name = text == "worker_id"
        self._after = self._read_cursor(query)

    def page(self, items: Sequence[Document], limit: int) -> tuple[list[Document], str | None]:
        """The page after the cursor, and the cursor of the next one. `items` are in the order of their names."""
        ordered = items if self._by_name else self._sorted(items)
        left = [item for item in ordered if self._is_beyond(item)]
        return left[:limit], self._cursor(left[limit - 1]) if len(left) > limit else None

    def _sorted(self, items: Sequence[Document]) -> list[Document]:
        known = sorted(
            (item for item in items if item[self._name] is not None),
            key=lambda item: item[self._name],
            reverse=self._is_down,  # keeps the names of equals in their order
        )
        return known + [item for item in items if item[self._name] is None]

    def _is_beyond(self, item: Document) -> bool:
        if self._after is None:
            return True
        value, name = self._after
        mine = item[self._name]
        if mine == value:
            return bool(item["worker_id"] > name)
        if mine is None or value is None:
            return mine is None
        return bool(mine < value if self._is_down else mine > value)

    def _cursor(self, item: Document) -> str:
        if self._by_name:
            return str(item["worker_id"])
        return base64.urlsafe_b64encode(json.dumps([item[self._name], item["worker_id"]]).encode()).decode()

    def _read_cursor(self, query: Query) -> tuple[Any, str] | None:
        text = query.text("cursor")
        if not text:
            return None
        if self._by_name:
            return text, text
        numbers = holds_numbers(self._name)
        try:
            value, name = json.loads(base64.urlsafe_b64decode(text))
        except (ValueError, TypeError, RecursionError, binascii.Error):
            query.refuse("cursor", "expected next_cursor of the page before")
        is_fit = value is None or isinstance(value, (int, float) if numbers else str)
        if not is_fit or not isinstance(name, str):
            query.refuse("cursor", "expected next_cursor of the page before, in the same order")
        return value, name


def holds_numbers(name: str) -> bool:
    """Whether the field holds numbers, not text."""
    return name.endswith(("_count", "_percent", "_bytes", "_accounts", "_tasks"))


def chosen_fields(query: Query) -> tuple[str, ...]:
    """The fields of `fields=a,b`, in the order of the item, the name always among them; empty: all."""
    chosen = {name.strip() for text in query.many("fields") for name in text.split(",")} - {""}
    for name in sorted(chosen - set(WORKER_FIELDS)):
        query.refuse("fields", f"there is no such field; {suggestion(name, WORKER_FIELDS) or 'see the whole item'}")
    return tuple(name for name in WORKER_FIELDS if name in chosen or name == "worker_id") if chosen else ()
