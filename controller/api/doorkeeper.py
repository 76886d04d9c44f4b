"""Who asks, and how often they may: proof by token or by the kernel's word, failed logins, writes, and the audit.

Called by dispatch.py for every request that is not public. A token that is sent decides alone: a wrong one is refused
also where the peer would be trusted without, so that nobody takes a token for valid that is not. Tokens are read anew
for every request, and while a request of a token runs (a stream may run for days) it is looked at again and again.

Failed logins are counted in memory, and a restart forgets them. It may: a token has 256 bits of chance, so what the
limit spares is our time and the log, not the secret; who can make us restart has the state directory or our uid; and a
file of failures would be one that strangers fill. Ten attempts more for each start are nothing.

Reading a token is one small local file, done without awaiting: so between counting failed logins and counting one more
nothing else runs, and ten thousand attempts at once get no further than ten.

What does not belong here: what a token is (tokens.py), which role a route needs (routes.py).
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from controller.api.admission import NOBODY, Principal, principal_of
from controller.api.connection import Connection, Limits, Peer
from controller.api.peers import trusted_uids
from controller.api.problem import ApiProblem
from controller.api.sessions import MemorySessions, SessionBook, Sessions
from controller.api.throttle import Throttle
from controller.api.tls import Certificate
from controller.api.tokens import NoTokens, Token, Tokens, is_proved, read

log = logging.getLogger(__name__)

_WARNED_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A request that would change something, and what became of it. `status` is None where it was cut off."""

    principal: Principal
    peer: Peer
    method: str
    path: str
    status: int | None
    request_id: str


def _unheard(_write: Write) -> None:
    """An audit that nobody keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How one server lets people in. `trusts_peers`: our own uid and root need no token, over loopback."""

    tokens: Tokens = field(default_factory=NoTokens)
    sessions: Sessions = field(default_factory=MemorySessions)
    trusts_peers: bool = True
    certificate: Certificate | None = None
    audit: Callable[[Write], None] = _unheard
    now: Callable[[], float] = time.time


class Doorkeeper:
    """The door of one server. Used from its event loop."""

    def __init__(self, access: Access, limits: Limits) -> None:
        self._access, self._limits = access, limits
        self._failures = Throttle(burst=limits.failed_logins, per_s=1 / limits.failed_login_s)
        self._writes = Throttle(burst=limits.write_burst, per_s=limits.writes_per_s)
        self._warnings = Throttle(burst=1, per_s=1 / _WARNED_S)
        self.keep = access.audit
        self.tokens = access.tokens
        self.sessions = SessionBook(access.sessions, access.now)

    def principal(self, authorization: Sequence[str], cookies: Sequence[str], peer: Peer) -> Principal:
        """Who it is: by all the Authorization headers, else by a session, else by the peer. Raises ApiProblem."""
        if authorization:
            return self._by_token(authorization, peer)
        by_session = self._by_session(cookies)
        if by_session is not None:
            return by_session
        if not self._access.trusts_peers:
            return NOBODY
        return principal_of(peer.uid, peer.user, trusted_uids())

    def _by_token(self, authorization: Sequence[str], peer: Peer) -> Principal:
        now = asyncio.get_running_loop().time()
        wait_s = self._failures.wait_s(peer.key, now)
        if wait_s > 0:
            raise _too_many("failed_logins", "too many failed logins from here; try again later", wait_s)
        scheme, _, text = authorization[0].partition(" ")
        presented = read(text.strip()) if len(authorization) == 1 and scheme.lower() == "bearer" else None
        token = self._access.tokens.find(presented.token_id) if presented is not None else None
        if presented is not None and is_proved(presented, token) and token is not None:
            if token.is_alive(self._access.now()):
                self._access.tokens.used(token.token_id)
                return Principal(name=f"token:{token.name}", role=token.role, token=token)
            problem = _unauthenticated("expired_token", f"the token {token.token_id} has expired")
        else:
            problem = _unauthenticated("bad_token", "this token does not exist, or was revoked")
        self._failures.take(peer.key, now)
        if self._failures.wait_s(peer.key, now) > 0:
            self._warn("too many failed logins", peer.key, {"peer": peer.address, "uid": peer.uid})
        raise problem

    def _by_session(self, cookies: Sequence[str]) -> Principal | None:
        """Who has a session, as long as its token is there."""
        session = self.sessions.proved(cookies)
        token = None if session is None else self._access.tokens.find(session.token_id)
        if token is None or not token.is_alive(self._access.now()):
            return None
        self._access.tokens.used(token.token_id)
        return Principal(name=f"token:{token.name}", role=token.role, token=token, session=session)

    def check_rate(self, principal: Principal) -> None:
        """Count one write of a token. Raises ApiProblem (429). Who needs no token may write the files themselves."""
        if principal.token is None:
            return
        key, now = principal.token.token_id, asyncio.get_running_loop().time()
        wait_s = self._writes.wait_s(key, now)
        if wait_s > 0:
            detail = f"this token may write {self._limits.writes_per_s:g} times a second, and has"
            raise _too_many("too_many_writes", detail, wait_s)
        self._writes.take(key, now)
        if self._writes.wait_s(key, now) > 0:
            self._warn("too many writes", key, {"token": key, "name": principal.token.name})

    def _warn(self, message: str, key: str, fields: Mapping[str, Any]) -> None:
        """Tell the log that a limit is reached, but not each time: whoever goes on would fill it."""
        now = asyncio.get_running_loop().time()
        if self._warnings.wait_s(key, now) == 0:
            self._warnings.take(key, now)
            log.warning(message, extra={"fields": dict(fields)})

    @asynccontextmanager
    async def watch(self, connection: Connection, principal: Principal) -> AsyncIterator[None]:
        """Cut the connection when the token is revoked or expires, or the session ends, while the body runs."""
        if principal.token is None:
            yield
            return
        watching = asyncio.create_task(self._cut_when_revoked(connection, principal, principal.token))
        try:
            yield
        finally:
            watching.cancel()

    async def _cut_when_revoked(self, connection: Connection, principal: Principal, token: Token) -> None:
        while not connection.lost.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._limits.recheck_s):
                    await connection.lost.wait()
            is_over = principal.session is not None and not self.sessions.goes_on(principal.session)
            if is_over or self._access.tokens.find(token.token_id) != token or not token.is_alive(self._access.now()):
                connection.abort()


def _unauthenticated(code: str, detail: str) -> ApiProblem:
    """401 for a token that is no good."""
    challenge = 'Bearer realm="workerctl", error="invalid_token"'
    return ApiProblem(status=401, code=code, detail=detail, headers={"WWW-Authenticate": challenge}, close=True)


def _too_many(code: str, detail: str, wait_s: float) -> ApiProblem:
    """429 that says when to come back."""
    retry = {"Retry-After": str(max(1, math.ceil(wait_s)))}
    return ApiProblem(status=429, code=code, detail=detail, headers=retry, close=True)
