"""Batches on disk: `STATE/batches/ID.json`, one file each, written durably and whole at every step.

A batch is what somebody was promised with a 202, so it lives where wishes live: in files beside the intents, not in
the database, whose loss loses history only. A file that cannot be read is moved aside (`.bad`) and told; the others
count. Of the batches that are over, the newest `kept` stay.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

from controller.agent.failpoints import failpoint
from controller.core.batches import ITEM_STATES, Batch, BatchAction, BatchItem
from controller.reconcile.state import remove_leftovers, sync_directory, write_durably

FOLDER = "batches"
KEPT = 100

_BATCH_FIELDS = tuple(one.name for one in fields(Batch))
_ITEM_FIELDS = tuple(one.name for one in fields(BatchItem))

log = logging.getLogger("workerctl.batches")


class BatchFiles:
    """The batches of one state directory. Blocking; the desk has one writer at a time."""

    def __init__(self, state_dir: Path, kept: int = KEPT) -> None:
        self._folder = state_dir / FOLDER
        self.kept = kept

    def load(self) -> list[Batch]:
        """All that can be read, the oldest first."""
        if not self._folder.is_dir():
            return []
        remove_leftovers(self._folder)
        found = [batch for path in sorted(self._folder.glob("*.json")) if (batch := self._read(path)) is not None]
        return sorted(found, key=lambda batch: (batch.created_at, batch.batch_id))

    def save(self, batch: Batch) -> None:
        """Durable before it returns. Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        failpoint("controller.batch_before_write")
        write_durably(self._path(batch.batch_id), json.dumps(_document(batch), ensure_ascii=False).encode())
        failpoint("controller.batch_after_write")

    def remove(self, batch_ids: Iterable[str]) -> None:
        """These are forgotten. One that stays is read again at the next start, and goes then."""
        with contextlib.suppress(OSError):
            for batch_id in batch_ids:
                self._path(batch_id).unlink(missing_ok=True)
            sync_directory(self._folder)

    def _path(self, batch_id: str) -> Path:
        return self._folder / f"{batch_id}.json"

    def _read(self, path: Path) -> Batch | None:
        try:
            return read_batch(json.loads(path.read_bytes()), path.stem)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            log.warning("unreadable batch put aside", extra={"fields": {"file": path.name, "error": str(error)}})
            with contextlib.suppress(OSError):
                path.rename(path.with_suffix(".bad"))
            return None


def _document(batch: Batch) -> dict[str, Any]:
    """All of it; asdict, which copies deeply, takes ten times as long for a thousand items."""
    items = [{name: getattr(item, name) for name in _ITEM_FIELDS} for item in batch.items]
    return {**{name: getattr(batch, name) for name in _BATCH_FIELDS}, "items": items}


def read_batch(value: dict[str, Any], batch_id: str) -> Batch:
    """A batch as it was kept. Raises ValueError, TypeError, KeyError or AttributeError where it is none of this id."""
    items = tuple(BatchItem(**item) for item in value["items"])
    batch = Batch(**{**value, "items": items})
    texts = [getattr(batch, one.name) for one in fields(Batch) if one.type == "str"]
    texts += [getattr(item, one.name) for item in items for one in fields(BatchItem) if one.type == "str"]
    numbers = [batch.parallel, *(item.number for item in items)]
    times = [batch.created_at, *([] if batch.ended_at is None else [batch.ended_at])]
    is_well_typed = (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(number, int) for number in numbers)
        and all(isinstance(time, int | float) for time in times)
    )
    is_known = batch.action in get_args(BatchAction) and all(item.state in ITEM_STATES for item in items)
    if batch.batch_id != batch_id or batch.parallel < 1 or not (is_well_typed and is_known):
        raise ValueError("a field is wrong")
    return batch
