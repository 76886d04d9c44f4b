"""The desk of the past: what became of specs, the files they stand in, and workers that are gone.

What became of a spec is made of the events that are stored; who committed it and why is asked of git. Nothing is ever
decided from any of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from controller.api.past_ports import Document
from controller.api.ports import NotRead, StoreUnavailable
from controller.core.views import rfc3339
from controller.desk.parts import Parts
from controller.desk.spec_history import TYPES, revisions
from controller.sources.directory import DirectorySource
from controller.sources.git_past import GitPast
from controller.sources.spec_text import shown_text
from controller.sources.writer import etag_of
from controller.store import StoreError

MOST_EVENTS = 1000

T = TypeVar("T")


class PastDesk:
    """Implements api.ports.Past. `is_known`: whether a spec or a slot of this name exists now."""

    def __init__(
        self, parts: Parts, source: DirectorySource, environment: Mapping[str, str], is_known: Callable[[str], bool]
    ) -> None:
        self._store, self._feed, self._loop = parts.store, parts.specs, parts.loop
        self._source, self._is_known = source, is_known
        self._git = GitPast(source.root, environment)

    # --- revisions ---

    async def revisions(self, worker_id: str, before: int | None, limit: int) -> Document | None:
        """See ports.Past."""
        ask = partial(
            self._store.reader.events_of, worker_id, types=TYPES, before_seq=before, limit=MOST_EVENTS
        )  # fmt: skip
        events = await self._asked(ask)
        if not events and not self._is_known(worker_id):
            return None
        found = revisions(events)
        page = found[-limit:]
        if before is not None:
            for one in page:
                one["is_current"] = False
        await asyncio.to_thread(self._add_commits, page)
        more = len(found) > limit or len(events) == MOST_EVENTS
        page.reverse()
        return {"items": page, "next_cursor": str(page[-1]["seq"]) if more and page else None}

    def _add_commits(self, page: Sequence[dict[str, Any]]) -> None:
        for one in page:
            commit, file = one["source"]["commit"], one["source"]["file"]
            note = self._git.of(commit, file) if commit and file else None
            if note is not None:
                one["commit"] = {
                    "id": note.id, "author": note.author, "at": rfc3339(note.at), "message": note.message,
                }  # fmt: skip

    # --- gone workers ---

    async def gone_workers(self, limit: int, after: tuple[float, str] | None) -> Document:
        """See ports.Past."""
        rows = await self._asked(partial(self._store.reader.gone_configs, after=after, limit=limit + 1))
        items = [
            {
                "worker_id": row.worker_id, "name": row.name, "labels": dict(row.labels), "revision": row.revision,
                "source": {"file": row.source_file or None, "line": row.source_line, "commit": None},
                "gone_at": rfc3339(row.deleted_at),
            }
            for row in rows[:limit]
            if not self._is_known(row.worker_id)
        ]  # fmt: skip
        last = rows[limit - 1] if len(rows) > limit else None
        return {"items": items, "next_cursor": None if last is None else f"{last.deleted_at:.9f}/{last.worker_id}"}

    # --- files ---

    async def spec_text(self, worker_id: str) -> Document | None:
        """See ports.Past."""
        if self._loop.desired is None:
            raise NotRead
        home = self._source.home(worker_id)
        if home is None:
            return None
        return await asyncio.to_thread(self._text, worker_id, home.file)

    def _text(self, worker_id: str, name: str) -> Document | None:
        files = self._source.files
        file = files.get(name)
        shown = None if file is None else shown_text(worker_id, file, files)
        if shown is None or file is None or file.content is None:
            return None
        return {
            "worker_id": worker_id,
            "file": name,
            "etag": etag_of(file.content),
            "text": shown.text,
            "line": shown.line,
            "last_line": shown.last_line,
            "origins": {path: {"file": one.file, "line": one.line} for path, one in shown.origins.items()},
        }

    async def _asked(self, question: Callable[[], T]) -> T:
        try:
            return await self._store.ask(question)
        except StoreError as error:
            raise StoreUnavailable(str(error)) from error
