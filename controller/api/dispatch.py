"""From a request to a response: the one way in, the one place where errors become answers.

Order of the checks: version, target and Host (who was meant), Origin (who sent the browser), the files of the web UI,
which are everybody's, then token, session or peer (who asks), rate of writes and role, then route and method, encoding
and size (what follows), handler. A stranger learns nothing about routes, and a body is read only after everything else
has passed. Every write of somebody known is audited, but not those beyond the rate: there is no end to them. Every
response is sent within a time: a client that does not read costs little.

What does not belong here: what a check means (admission.py), what a route does (its handler).
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Collection
from dataclasses import dataclass

from aiohttp import HttpVersion10, HttpVersion11, web

from controller.api import admission
from controller.api.body import too_large
from controller.api.call import Call
from controller.api.connection import Connection, Peer
from controller.api.doorkeeper import Doorkeeper, Write
from controller.api.followers import Followers
from controller.api.ports import NotRead, Ports, StoreUnavailable
from controller.api.problem import ApiProblem, internal_error, not_read, store_unavailable, unknown_route
from controller.api.replays import Replays
from controller.api.responses import problem_response
from controller.api.routes import Found, Route, find
from controller.web.pages import shipped

log = logging.getLogger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


_EFFECTLESS = frozenset({"GET", "HEAD"})
_TOO_MANY = 429
_VERSIONS = frozenset({HttpVersion10, HttpVersion11})
_ONCE = ("Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Transfer-Encoding")


@dataclass(slots=True, kw_only=True)
class _Visit:
    """One request, as far as it came."""

    method: str
    path: str
    request_id: str
    principal: admission.Principal = admission.NOBODY
    peer: Peer | None = None
    route: Route | None = None


class Dispatcher:
    """Answers every request of one server. `hosts`: further names it goes by, in lower case."""

    def __init__(
        self, ports: Ports, followers: Followers, hosts: Collection[str], door: Doorkeeper, replays: Replays
    ) -> None:
        self._pages = shipped()
        self._ports = ports
        self._followers = followers
        self._hosts = frozenset(hosts)
        self._door = door
        self._replays = replays

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Called by aiohttp for each request, one at a time per connection."""
        visit = _Visit(method=request.method, path=request.raw_path.partition("?")[0], request_id=_request_id(request))
        response = None
        try:
            response = await self._outcome(request, visit)
        finally:
            self._audit(visit, None if response is None else response.status)
        sent = await _send(request, response)
        _connection(request).is_busy = False
        return sent

    async def _outcome(self, request: web.BaseRequest, visit: _Visit) -> web.StreamResponse:
        """The answer, or the problem in its place."""
        request_id = visit.request_id
        try:
            return await self._answer(request, visit)
        except ApiProblem as raised:
            problem = raised
        except NotRead:
            problem = not_read()
        except StoreUnavailable as error:
            problem = store_unavailable(str(error))
        except Exception as error:
            if isinstance(error, ConnectionError) and _connection(request).gone:
                raise  # nobody is there to be answered; aiohttp closes
            log.exception("internal error", extra={"request_id": request_id})
            problem = internal_error(request_id)
        return problem_response(problem, instance=visit.path, request_id=request_id)

    async def _answer(self, request: web.BaseRequest, visit: _Visit) -> web.StreamResponse:
        """Admit, find, call."""
        connection = _connection(request)
        self._check_sender(request)
        found = find(request.method, visit.path)
        page = self._page(request, visit) if found is None else None
        if page is not None:
            return page
        role = found.route.role if found is not None and found.route is not None else "viewer"
        visit.route = None if found is None else found.route
        if role not in admission.OPEN:
            visit.peer = await connection.peer()
            visit.principal = self._door.principal(
                request.headers.getall("Authorization", []), request.headers.getall("Cookie", []), visit.peer
            )
        if visit.route is not None and visit.route.method not in _EFFECTLESS:
            self._door.check_rate(visit.principal)
            if visit.principal.session is not None:
                admission.check_own_page(request.headers)
        admission.require(visit.principal, role)
        route = _existing(found)
        _check_payload(request, route, connection.limits.body_bytes)
        call = Call(
            request=request,
            connection=connection,
            ports=self._ports,
            followers=self._followers,
            principal=visit.principal,
            sessions=self._door.sessions,
            tokens=self._door.tokens,
            request_id=visit.request_id,
            params=found.params if found is not None else {},
        )
        connection.is_busy = visit.principal is not admission.NOBODY
        async with self._door.watch(connection, visit.principal):
            if route.method == "POST" and route.role not in admission.OPEN:
                return await self._replays.answer(call, route.handler)
            return await route.handler(call)

    def _page(self, request: web.BaseRequest, visit: _Visit) -> web.Response | None:
        """The web UI's file at this path. It is the same for everybody, so nobody is asked who they are."""
        if visit.method not in _EFFECTLESS or request.body_exists:
            return None
        page = self._pages.find(visit.path, wants_page="text/html" in request.headers.get("Accept", ""))
        if page is None:
            return None
        headers, body = page.answer(accepts_gzip="gzip" in request.headers.get("Accept-Encoding", ""))
        return web.Response(status=page.status, headers={**headers, "X-Request-Id": visit.request_id}, body=body)

    def _audit(self, visit: _Visit, status: int | None) -> None:
        """One record per write of somebody known. Strangers get none: they could fill the store with them."""
        if visit.route is None or visit.route.asks or visit.route.method in _EFFECTLESS or visit.peer is None:
            return
        if visit.principal is not admission.NOBODY and status != _TOO_MANY:
            self._door.keep(
                Write(
                    principal=visit.principal, peer=visit.peer, method=visit.method, path=visit.path, status=status,
                    request_id=visit.request_id,
                )
            )  # fmt: skip

    def _check_sender(self, request: web.BaseRequest) -> None:
        """Who was meant, and who sends. What two programs on the way could read in two ways is refused."""
        if request.version not in _VERSIONS:
            raise ApiProblem(status=505, code="wrong_version", detail="this server speaks HTTP/1.1", close=True)
        for name in _ONCE:
            if len(request.headers.getall(name, [])) > 1:
                raise ApiProblem(status=400, code="malformed_request", detail=f"more than one {name}", close=True)
        if not request.raw_path.startswith("/"):
            raise ApiProblem(status=400, code="malformed_request", detail="the target must be a path", close=True)
        connection = _connection(request)
        admission.check_host(request.headers.getall("Host", []), self._hosts | {connection.own_name})
        admission.check_origin(request.method, request.headers, secure=connection.is_secure)


def _connection(request: web.BaseRequest) -> Connection:
    """The request's connection, which server.py made."""
    assert isinstance(request.protocol, Connection)
    return request.protocol


def _existing(found: Found | None) -> Route:
    """The route, or 404, or 405."""
    if found is None:
        raise unknown_route()
    if found.route is None:
        allow = ", ".join(found.allow)
        raise ApiProblem(
            status=405, code="wrong_method", detail=f"this path answers to {allow}", headers={"Allow": allow}
        )
    return found.route


def _check_payload(request: web.BaseRequest, route: Route, limit: int) -> None:
    """Refuse bodies by their heads."""
    admission.check_encoding(request.headers, can_be_chunked=request.version == HttpVersion11)
    if not request.body_exists:
        return
    if route.method == "GET":
        raise ApiProblem(status=400, code="unexpected_body", detail="this request takes no body", close=True)
    if (request.content_length or 0) > limit:
        raise too_large(limit)


def _request_id(request: web.BaseRequest) -> str:
    """The client's own id, where it is harmless in a log; else a new one."""
    given = request.headers.get("X-Request-Id", "")
    return given if _REQUEST_ID.fullmatch(given) else os.urandom(8).hex()


async def _send(request: web.BaseRequest, response: web.StreamResponse) -> web.StreamResponse:
    """Send it here rather than in aiohttp, which would wait for ever for a client that does not read."""
    connection = _connection(request)
    if "Upgrade" in request.headers:
        response.force_close()  # to the parser, what follows is of another protocol, and never read
    try:
        async with asyncio.timeout(connection.limits.write_s):
            await response.prepare(request)
            await response.write_eof()
    except TimeoutError:
        connection.abort()
        raise ConnectionError("the client does not read") from None
    return response
