"""`Idempotency-Key`: a POST that is sent again is answered again, and done once.

For a client whose answer was lost: it cannot know whether its request was carried out, so it sends the same again with
the same key. Called by dispatch.py for every POST of somebody known that has one. What was granted (2xx, and 504: it
goes on) is kept and answered anew; a refusal changed nothing, so it is not kept and the request may succeed later. A
key belongs to who sent it, and to one request: method, target and body.

What holds a secret (WITHOUT) is never kept: it is shown once, and sent again it meets what it made.

Kept in memory, the newest, for a day. A restart of the controller forgets: what is sent again then may be done again,
where it is not an edit that is already there or a name that is taken.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from aiohttp import web

from controller.api.body import read_content
from controller.api.call import Call
from controller.api.problem import ApiProblem

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
KEPT_S = 86_400.0
WITHOUT = frozenset({"/api/v1/session", "/api/v1/tokens"})
"""POSTs whose answer holds a secret."""
_KEY = re.compile(r"[!-~]{1,128}")
_UNDER_WAY = 504

Handler = Callable[[Call], Awaitable[web.StreamResponse]]


@dataclass(slots=True, kw_only=True)
class _Kept:
    """One request, and its answer once there is one."""

    asked: str
    at: float
    answer: web.Response | ApiProblem | None = None


class Replays:
    """The newest answers of one server, `most` of them. Used from its event loop."""

    def __init__(self, most: int, now: Callable[[], float]) -> None:
        self._most, self._now = most, now
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()

    async def answer(self, call: Call, handler: Handler) -> web.StreamResponse:
        """The handler's answer, or the one that it gave before. Raises ApiProblem."""
        keys = call.request.headers.getall(HEADER, [])
        if not keys or call.path in WITHOUT:
            return await handler(call)
        if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
            detail = f"expected one {HEADER} of 1 to 128 printable ASCII characters"
            raise ApiProblem(status=400, code="malformed_request", detail=detail, close=True)
        call = replace(call, content=await read_content(call))
        name, asked = (call.principal.name, keys[0]), _digest(call)
        self._forget_old()
        known = self._kept.get(name)
        if known is None:
            return await self._first(call, handler, name, asked)
        return _again(call, known, asked)

    async def _first(self, call: Call, handler: Handler, name: tuple[str, str], asked: str) -> web.StreamResponse:
        kept = self._kept[name] = _Kept(asked=asked, at=self._now())
        try:
            response = await handler(call)
            if isinstance(response, web.Response):
                kept.answer = response
        except ApiProblem as problem:
            if problem.status == _UNDER_WAY:
                kept.answer = problem
            raise
        finally:
            if kept.answer is None and self._kept.get(name) is kept:
                del self._kept[name]
        return response

    def _forget_old(self) -> None:
        """Make room. One that is under way may go, too: what it keeps then is lost, and no harm is done."""
        now = self._now()
        while self._kept:
            oldest = next(iter(self._kept))
            if len(self._kept) < self._most and now - self._kept[oldest].at < KEPT_S:
                return
            del self._kept[oldest]


def _digest(call: Call) -> str:
    """What a request asks for, in short."""
    head = f"{call.request.method} {call.request.raw_path}\n".encode("utf-8", "surrogateescape")
    return hashlib.sha256(head + (call.content or b"")).hexdigest()


def _again(call: Call, known: _Kept, asked: str) -> web.StreamResponse:
    """The answer that was given. Raises ApiProblem."""
    if known.asked != asked:
        detail = f"this {HEADER} was sent with another request; take a new one for each"
        raise ApiProblem(status=422, code="key_reused", detail=detail)
    match known.answer:
        case None:
            detail = "the same request is under way; ask again for its answer"
            raise ApiProblem(status=409, code="under_way", detail=detail, headers={"Retry-After": "1"})
        case ApiProblem() as problem:
            raise replace(problem, headers={**problem.headers, REPLAYED: "true"})
        case response:
            headers = {**response.headers, "X-Request-Id": call.request_id, REPLAYED: "true"}
            headers.pop("Content-Length", None)
            return web.Response(status=response.status, body=response.body, headers=headers)
