"""Tokens and sessions over HTTP: who has one, one more, and one less. What they are: tokens.py, sessions.py.

A token's text is in one answer only, the one that makes it, and it is kept nowhere (replays.py leaves it out, too). No
list, no log and no audit has it: they name it by its id. What is revoked or ended holds no more at once, also for what
is open. Tokens are an administrator's; sessions are also theirs whose token they are of.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from controller.api.body import read_body
from controller.api.call import Call
from controller.api.problem import ApiProblem, Fault, suggestion
from controller.api.query import Query
from controller.api.responses import JSON, head, json_response
from controller.api.sessions import Session
from controller.api.tokens import NAME, Token, TokenError, TokenRole
from controller.core.views import rfc3339

LONGEST_S = 10 * 365 * 86_400
_EXPECTED = "expected a-z, 0-9, and . _ - within, at most 63 of them"


class TokenBody(BaseModel):
    """A token that is wished for. Without `expires_in_s` it lives until it is revoked."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    name: str = Field(min_length=1, max_length=63, json_schema_extra={"pattern": f"^{NAME.pattern}$"})
    role: TokenRole = "viewer"
    expires_in_s: int | None = Field(default=None, ge=1, le=LONGEST_S)


async def list_tokens(call: Call) -> web.StreamResponse:
    """`GET /api/v1/tokens`."""
    Query(call.request)
    items = [_token(one.token, one.last_used_at) for one in call.tokens.all()]
    return json_response({"items": items, "next_cursor": None}, call.request_id)


async def create_token(call: Call) -> web.StreamResponse:
    """`POST /api/v1/tokens`."""
    Query(call.request)
    body = await read_body(call, TokenBody)
    if not NAME.fullmatch(body.name):
        fault = Fault(message=_EXPECTED, pointer="/name")
        raise ApiProblem(status=422, code="invalid_body", detail="this cannot name a token", errors=(fault,))
    if any(one.token.name == body.name for one in call.tokens.all()):
        fault = Fault(message="the name is taken", pointer="/name", hint="revoke that one first, or take another name")
        detail = f"there is a token named {body.name}"
        raise ApiProblem(status=409, code="exists", detail=detail, errors=(fault,))
    try:
        token, text = call.tokens.create(body.name, body.role, body.expires_in_s)
    except TokenError as error:
        raise ApiProblem(status=507, code="token_not_kept", detail=str(error)) from None
    return json_response({**_token(token, None), "token": text}, call.request_id, status=201)


async def revoke_token(call: Call) -> web.StreamResponse:
    """`DELETE /api/v1/tokens/{id}`. Its sessions end with it."""
    Query(call.request)
    token_id = call.params["id"]
    try:
        is_gone = call.tokens.revoke(token_id)
    except TokenError as error:
        raise ApiProblem(status=507, code="token_not_kept", detail=str(error)) from None
    if not is_gone:
        hint = suggestion(token_id, [one.token.token_id for one in call.tokens.all()])
        faults = () if hint is None else (Fault(message="no token has this id", hint=hint),)
        raise ApiProblem(status=404, code="unknown_token", detail="there is no token of this id", errors=faults)
    return _done(call)


async def list_sessions(call: Call) -> web.StreamResponse:
    """`GET /api/v1/sessions`."""
    Query(call.request)
    items = [_session(call, session, token) for session, token in _sessions(call)]
    return json_response({"items": items, "next_cursor": None}, call.request_id)


async def end_session(call: Call) -> web.StreamResponse:
    """`DELETE /api/v1/sessions/{id}`. One that is not yours is as none, unless you are an administrator."""
    Query(call.request)
    for session, _token_of_it in _sessions(call):
        if session.session_id == call.params["id"]:
            try:
                call.sessions.end(session)
            except OSError as error:
                detail = f"the session cannot be ended: {error.strerror or 'the state directory cannot be written'}"
                raise ApiProblem(status=507, code="session_not_kept", detail=detail) from None
            return _done(call)
    raise ApiProblem(status=404, code="unknown_session", detail="there is no session of this id, or not any more")


def _sessions(call: Call) -> list[tuple[Session, Token]]:
    """Those that this person may know of, each with its token, which lives."""
    own = None if call.principal.token is None else call.principal.token.token_id
    may_all, found = call.principal.may("admin"), []
    living = {one.token.token_id: one.token for one in call.tokens.all()}
    for session in call.sessions.open():
        token = living.get(session.token_id)
        if token is not None and (may_all or session.token_id == own):
            found.append((session, token))
    return found


def _token(token: Token, last_used_at: float | None) -> dict[str, Any]:
    """As `workerctl token ls -o json` has it."""
    return {
        "id": token.token_id,
        "name": token.name,
        "role": token.role,
        "created_at": rfc3339(token.created_at),
        "expires_at": rfc3339(token.expires_at),
        "last_used_at": rfc3339(last_used_at),
    }


def _session(call: Call, session: Session, token: Token) -> dict[str, Any]:
    own = call.principal.session
    return {
        "id": session.session_id,
        "token_id": token.token_id,
        "name": token.name,
        "role": token.role,
        "begun_at": rfc3339(session.begun_at),
        "expires_at": rfc3339(session.expires_at),
        "is_own": own is not None and own.session_id == session.session_id,
    }


def _done(call: Call) -> web.Response:
    return web.Response(status=204, headers=head(JSON, call.request_id))
