"""The contracts of what is about this server itself: tokens and sessions, documentation, settings. See contracts.py."""

from __future__ import annotations

from collections.abc import Mapping

from controller.api.access import TokenBody
from controller.api.contract import Answer, Body, Contract, json_of
from controller.api.docs import MARKDOWN
from controller.api.shapes import COUNT, FLAG, TEXT, TIME, Schema, listed, or_null, record

_ROLE: Schema = {"type": "string", "enum": ["viewer", "operator", "admin"]}
_WORDS: Mapping[str, Schema] = {"id": TEXT, "name": TEXT, "role": _ROLE}
_TOKEN: Mapping[str, Schema] = {
    **_WORDS, "created_at": TIME, "expires_at": or_null(TIME), "last_used_at": or_null(TIME),
}  # fmt: skip
_SESSION = record(
    **_WORDS, token_id=TEXT, begun_at=or_null(TIME), expires_at=TIME, is_own=FLAG,
)  # fmt: skip
_TOPIC: Mapping[str, Schema] = {
    "topic": TEXT, "title": TEXT, "headings": listed(record(level=COUNT, title=TEXT, anchor=TEXT)),
}  # fmt: skip
_FIELD: Schema = record(
    {"fields": listed({"type": "object", "additionalProperties": True, "description": "The same, of each below."})},
    path=TEXT, type=TEXT, required=FLAG, default=or_null(TEXT), constraints=listed(TEXT), description=TEXT,
    effect=or_null({"type": "string", "enum": ["restart", "in_place", "none"]}), change=or_null(TEXT),
    example=or_null(TEXT), supported=FLAG, comes_with=or_null(TEXT),
)  # fmt: skip
_SERVER = record(
    version=TEXT, python=TEXT, host=TEXT, user=TEXT, pid=COUNT, started_at=TIME, listen=TEXT, is_encrypted=FLAG,
    auth={"type": "string", "enum": ["peer", "required"]}, specs=TEXT, state_dir=TEXT,
    writes={"type": "string", "enum": ["file", "commit", "push", "readonly"]},
    on_exit={"type": "string", "enum": ["stop", "keep"]},
    database=record(kind={"type": "string", "enum": ["sqlite", "postgresql"]}, at=TEXT),
    retain=record(days=or_null(COUNT), lines=or_null(COUNT), bytes=or_null(COUNT)),
    forward=COUNT,
)  # fmt: skip


def _whole(schema: Schema) -> Schema:
    """A list that is never paged."""
    return record(items=listed(schema), next_cursor={"type": "null"})


OWN_CONTRACTS: Mapping[tuple[str, str], Contract] = {
    ("GET", "/api/v1/tokens"): Contract(
        summary="All tokens, without their secrets.",
        answers={200: json_of("The tokens, the oldest first.", _whole(record(**_TOKEN)))},
        problems=(400, 401, 403),
    ),
    ("POST", "/api/v1/tokens"): Contract(
        summary="Make a token. Its text is in this answer and nowhere else.",
        body=Body(schema=TokenBody),
        answers={201: json_of("Made; `token` is its text.", record(**_TOKEN, token=TEXT))},
        problems=(400, 401, 403, 409, 415, 422, 507),
    ),
    ("DELETE", "/api/v1/tokens/{id}"): Contract(
        summary="Revoke a token: it, its sessions and its open streams end at once.",
        answers={204: Answer(description="It is no more.")},
        problems=(400, 401, 403, 404, 507),
    ),
    ("GET", "/api/v1/sessions"): Contract(
        summary="Browsers that are logged in: all for an administrator, else those of your own token.",
        answers={200: json_of("The sessions.", _whole(_SESSION))},
        problems=(400, 401),
    ),
    ("DELETE", "/api/v1/sessions/{id}"): Contract(
        summary="Log a browser out.",
        answers={204: Answer(description="It is over.")},
        problems=(400, 401, 403, 404, 507),
    ),
    ("GET", "/api/v1/server"): Contract(
        summary="What this controller is, and how it was started.",
        answers={200: json_of("That is it.", _SERVER)},
        problems=(400,),
    ),
    ("GET", "/api/v1/docs"): Contract(
        summary="The topics of the documentation, with their headings.",
        answers={200: json_of("The topics.", _whole(record(**_TOPIC)))},
        problems=(400,),
    ),
    ("GET", "/api/v1/docs/{topic}"): Contract(
        summary="One topic, as `workerctl help TOPIC` shows it.",
        answers={200: json_of("The page; its text is Markdown.", record(**_TOPIC, text=TEXT), MARKDOWN)},
        problems=(400, 404, 406),
    ),
    ("GET", "/api/v1/explain"): Contract(
        summary="Every field of a spec: type, default, meaning, and what changing it does.",
        answers={200: json_of("The spec as a group; `fields` are those below.", _FIELD)},
        problems=(400,),
    ),
}
