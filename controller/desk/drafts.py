"""The desk of drafts: what a spec that somebody is writing says, what is wrong with it, and what it would bring.

It is judged by a dry run of the very write that would follow, so what is told here is what will happen.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any

from controller.api.draft_ports import Draft, DraftWish
from controller.api.ports import ConfigWritten, NotRead
from controller.core.authorship import SpecInvalid, SpecRefused, SpecStale, SpecUnknown, SpecWish
from controller.core.problems import Problem
from controller.core.spec import is_worker_id
from controller.desk.parts import Parts
from controller.desk.specs import SpecDesk
from controller.sources.directory import DirectorySource
from controller.sources.surgery import EditRefused
from controller.sources.worker_text import WorkerText, read_text, restated, shown_own_text
from controller.sources.writer import etag_of

_NAME = "expected a name of a-z, 0-9 and '-', at most 63 characters"
_UNKNOWN = SpecRefused(reason="unknown_worker", message="its spec is gone meanwhile", hint="create it anew")


class DraftDesk:
    """Implements api.draft_ports.Drafts. Used from the event loop."""

    def __init__(self, parts: Parts, source: DirectorySource, configs: SpecDesk) -> None:
        self._loop, self._source, self._configs = parts.loop, source, configs

    async def draft(self, wish: DraftWish) -> Draft | SpecUnknown | SpecRefused:
        """See draft_ports.Drafts."""
        if self._loop.desired is None:
            raise NotRead
        try:
            text, file, etag = await asyncio.to_thread(self._begun, wish)
        except EditRefused as error:
            return SpecRefused(reason="broken_file", message=str(error), hint="correct the file itself, then try again")
        if text is None:
            return SpecUnknown()
        found, is_rewritten = await asyncio.to_thread(_said, text, wish.document)
        if not isinstance(found, WorkerText):
            return Draft(text=text, problems=found, file=file, etag=etag)
        judged = await self._judged(wish, found)
        return Draft(
            text=found.text, document=found.data, is_rewritten=is_rewritten, file=file, etag=etag, **judged
        )  # fmt: skip

    def _begun(self, wish: DraftWish) -> tuple[str | None, str, str]:
        """The text to begin with, its file and etag."""
        if wish.worker_id is None:
            return wish.text or "", "", ""
        home = self._source.home(wish.worker_id)
        content = None if home is None else self._source.content(home.file)
        if home is None or content is None:
            return wish.text, "", ""
        text = wish.text if wish.text is not None else shown_own_text(content, wish.worker_id)
        return text, home.file, etag_of(content)

    async def _judged(self, wish: DraftWish, found: WorkerText) -> dict[str, Any]:
        """What the write would answer."""
        if wish.worker_id is not None:
            return self._told(await self._try(wish, "replace", wish.worker_id, text=found.text))
        name = found.data.get("worker_id")
        if isinstance(name, str) and is_worker_id(name):
            return self._told(await self._try(wish, "create", name, text=found.text))
        # All that is wrong with the rest, by a name that nobody has.
        body = {key: value for key, value in found.data.items() if key != "worker_id"}
        told = self._told(await self._try(wish, "create", f"unnamed-{secrets.token_hex(8)}", body=body))
        return {"problems": (Problem(file="", pointer="/worker_id", message=_NAME), *told.get("problems", ()))}

    async def _try(
        self, wish: DraftWish, action: Any, worker_id: str, *, text: str | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        return await self._configs.write(
            SpecWish(action=action, worker_id=worker_id, actor=wish.actor, text=text, body=body or {}, dry_run=True)
        )

    def _told(self, outcome: ConfigWritten | SpecUnknown | SpecStale | SpecInvalid | SpecRefused) -> dict[str, Any]:
        match outcome:
            case ConfigWritten():
                return {"config": outcome.item, "plan": outcome.plan, "is_changed": outcome.is_changed}
            case SpecInvalid(problems=problems):
                return {"problems": problems}
            case SpecRefused(reason="exists"):
                taken = Problem(file="", pointer="/worker_id", message=outcome.message, hint="choose another name")
                return {"problems": (taken,)}
            case SpecRefused():
                return {"refusal": outcome}
            case _:
                return {"refusal": _UNKNOWN}


def _said(text: str, want: Mapping[str, Any] | None) -> tuple[WorkerText | tuple[Problem, ...], bool]:
    """The text, saying `want` where that is asked, or what is wrong with it; and whether comments went."""
    is_rewritten = False
    if want is not None:
        try:
            text, is_rewritten = restated(text, want)
        except EditRefused as error:
            found = read_text(text)
            return ((Problem(file="", message=str(error)),) if isinstance(found, WorkerText) else found), False
    return read_text(text), is_rewritten
