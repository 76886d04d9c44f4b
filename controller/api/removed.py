"""Lines that are not there any more: what is said where an answer leads to what retention has removed.

Called by logs.py. A page of JSON has it in `removed`; a stream and a download begin with a record of the kind `gap`,
as for anything else that is missing.
"""

from __future__ import annotations

from controller.api.log_query import LogQuery
from controller.api.ports import Batch, Document, Entry, Removed
from controller.core.views import rfc3339


def leads_there(wanted: LogQuery, batch: Batch, removed: Removed) -> bool:
    """Whether lines that `wanted` asks for may be among those removed. `batch` is the answer."""
    if wanted.limit == 0 or "line" not in wanted.kinds or (wanted.since or 0.0) > removed.until:
        return False
    return batch.start is None if wanted.after is None else wanted.after < removed.to


def removed_document(removed: Removed | None) -> Document | None:
    """As a page of lines has it."""
    if removed is None:
        return None
    return {"lines": removed.lines, "until": rfc3339(removed.until)}


def removed_entry(removed: Removed, worker_id: str | None) -> Entry:
    """As a record at the begin of a stream: one that has no cursor, for it is about none."""
    until = rfc3339(removed.until)
    name = worker_id or ""
    text = f"{removed.lines} older lines, printed until {until}, were removed: more than are kept, or too old"
    item = {
        "at": until, "approximate": True, "worker_id": name, "instance": name, "run": None, "stream": None,
        "kind": "gap", "seq": 0, "level": None, "text": text, "partial": False,
    }  # fmt: skip
    return Entry(cursor=0, item=item)
