"""The plan: what the loop would do now, as JSON or as the text that everything else prints."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from controller.api.call import Call
from controller.api.query import Query, negotiate
from controller.api.responses import JSON, PLAIN, body_response, json_response
from controller.core.plan import Action, Hold, Plan
from controller.core.views import change_view


async def show_plan(call: Call) -> web.StreamResponse:
    """`GET /api/v1/plan`. As text/plain: one line per entry, nothing when there is nothing to do."""
    Query(call.request)
    media_type = negotiate(call.request, [JSON, PLAIN])
    plan = await call.ports.records.plan()
    if media_type == PLAIN:
        text = f"{plan}\n" if plan.actions or plan.holds else ""
        return body_response(text.encode("utf-8", "backslashreplace"), PLAIN, call.request_id)
    return json_response(plan_document(plan), call.request_id)


def plan_document(plan: Plan) -> dict[str, Any]:
    """A plan as API.md has it; a hold also tells the digest that confirms it, or null, and the fields that wait."""
    return {
        "actions": [_action(action) for action in plan.actions],
        "holds": [_hold(hold) for hold in plan.holds],
        "next_wake": _time(plan.next_wake),
    }


def _action(action: Action) -> dict[str, Any]:
    return {
        "worker_id": action.worker_id,
        "instance": action.instance,
        "action": action.kind.value,
        "cause": action.cause,
        "fields": [change_view(change) for change in action.fields],
    }


def _hold(hold: Hold) -> dict[str, Any]:
    return {
        "worker_id": hold.worker_id,
        "reason": hold.reason,
        "message": hold.message,
        "until": _time(hold.until),
        "confirm": hold.confirm or None,
        "fields": [change_view(change) for change in hold.fields],
    }


def _time(at: float | None) -> str | None:
    """RFC 3339 in UTC, in milliseconds."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
