"""Logging in and out of the web UI, and who one is.

A token is sent once, as `Authorization: Bearer`, to `POST /api/v1/session`: so it is proved, counted and refused where
every token is (doorkeeper.py). The answer sets the cookie of a session. Who needs no token, or came with a session, is
answered the same and gets none.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from controller.api.admission import Principal
from controller.api.body import read_body
from controller.api.call import Call
from controller.api.problem import ApiProblem
from controller.api.query import Query
from controller.api.responses import JSON, head, json_response
from controller.api.sessions import Session, set_cookie


class SessionBody(BaseModel):
    """The body of a login has nothing in it: the token stands in the header."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


async def open_session(call: Call) -> web.StreamResponse:
    """`POST /api/v1/session`."""
    Query(call.request)
    await read_body(call, SessionBody)
    principal = call.principal
    if principal.token is None or principal.session is not None:
        return json_response(whoami(principal, principal.session), call.request_id)
    try:
        session, cookie = call.sessions.begin(principal.token, secure=call.connection.is_secure)
    except OSError as error:
        raise _not_kept(error) from None
    headers = {"Set-Cookie": cookie}
    return json_response(whoami(principal, session), call.request_id, status=201, headers=headers)


async def close_session(call: Call) -> web.StreamResponse:
    """`DELETE /api/v1/session`."""
    Query(call.request)
    if call.principal.session is not None:
        try:
            call.sessions.end(call.principal.session)
        except OSError as error:
            raise _not_kept(error) from None
    headers = {"Set-Cookie": set_cookie("", 0, secure=call.connection.is_secure)}
    return web.Response(status=204, headers=head(JSON, call.request_id, headers))


async def show_whoami(call: Call) -> web.StreamResponse:
    """`GET /api/v1/whoami`."""
    Query(call.request)
    return json_response(whoami(call.principal, call.principal.session), call.request_id)


def whoami(principal: Principal, session: Session | None) -> dict[str, Any]:
    """Who somebody is, by what, and until when."""
    token = principal.token
    return {
        "name": principal.name,
        "role": principal.role,
        "via": "session" if session is not None else "peer" if token is None else "token",
        "token_id": None if token is None else token.token_id,
        "expires_at": _time(session.expires_at if session is not None else None if token is None else token.expires_at),
    }


def _time(at: float | None) -> str | None:
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _not_kept(error: OSError) -> ApiProblem:
    detail = f"the session cannot be kept: {error.strerror or 'the state directory cannot be written'}"
    return ApiProblem(status=507, code="session_not_kept", detail=detail)
