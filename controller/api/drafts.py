"""Specs that are being written, for editors: a text as it is now, judged, with the plan that it would bring.

Nothing is written or kept. It takes an operator, as writing does: the text has the comments of the file.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from controller.api.body import read_body
from controller.api.call import Call
from controller.api.draft_ports import Draft, DraftWish
from controller.api.plan import plan_document
from controller.api.problem import ApiProblem, from_problem, refused
from controller.api.query import Query
from controller.api.responses import json_response
from controller.core.authorship import SpecRefused, SpecUnknown
from controller.core.schema import editor_schema
from controller.core.spec_model import DNS_LABEL


class DraftBody(BaseModel):
    """See DraftWish."""

    model_config = ConfigDict(extra="forbid", strict=True)

    worker_id: str | None = Field(None, pattern=DNS_LABEL, description="Whose spec; none for a new worker.")
    text: str | None = Field(None, description="YAML; without: as the spec stands, secrets hidden.")
    document: dict[str, Any] | None = Field(None, description="What the text is to say, as a form has it.")


async def show_schema(call: Call) -> web.StreamResponse:
    """`GET /api/v1/schema`: what `workerctl schema` prints."""
    Query(call.request)
    return json_response(editor_schema(), call.request_id)


async def judge_draft(call: Call) -> web.StreamResponse:
    """`POST /api/v1/drafts`."""
    Query(call.request)
    body = await read_body(call, DraftBody)
    wish = DraftWish(actor=call.principal.name, worker_id=body.worker_id, text=body.text, document=body.document)
    match await call.ports.drafts.draft(wish):
        case SpecUnknown():
            raise ApiProblem(status=404, code="unknown_worker", detail=f"there is no spec of {wish.worker_id}")
        case SpecRefused() as refusal:
            raise refused(refusal.reason, refusal.message, hint=refusal.hint, problems=refusal.problems)
        case Draft() as draft:
            return json_response(_document(draft), call.request_id)


def _document(draft: Draft) -> dict[str, Any]:
    why = draft.refusal
    refusal = None if why is None else {"code": why.reason, "message": why.message, "hint": why.hint or None}
    return {
        "text": draft.text,
        "document": draft.document,
        "problems": [from_problem(one).document() for one in draft.problems],
        "rewritten": draft.is_rewritten,
        "changed": draft.is_changed,
        "config": draft.config,
        "plan": None if draft.plan is None else plan_document(draft.plan),
        "refusal": refusal,
        "file": draft.file or None,
        "etag": draft.etag or None,
    }
