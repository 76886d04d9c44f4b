"""Sessions of browsers: what a token is exchanged for, so that a page need not keep it where scripts could read it.

    wcs_1f0c9a2e1f0c9a2e_Jx0...     prefix, id, secret; the value of the cookie

A session is as good as its token: the same name and role, gone when the token is revoked or expires, and at the latest
after LIFETIME_S. It is not the token: whoever steals the cookie has it for days and not for ever, and `DELETE` ends it
everywhere at once. Only the SHA-256 of its secret is kept.

The cookie is HttpOnly (no script reads it) and SameSite=Strict (no other site sends it). Cookies do not know ports, so
another service under the same name is sent it, too: serve under a name of its own where that matters.

What does not belong here: files (desk/sessions.py), who is let in (doorkeeper.py).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from controller.api.tokens import Token

COOKIE = "workerctl_session"
LIFETIME_S = 14 * 86_400.0
MOST_PER_TOKEN = 50
"""More than that, and the oldest goes."""
ID = re.compile(r"[0-9a-f]{16}")
_TEXT = re.compile(r"wcs_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
_MOST_COOKIES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What is kept of a session. Times in seconds since the epoch; nobody noted when the first ones began."""

    session_id: str
    token_id: str
    digest: str
    expires_at: float
    begun_at: float | None = None


class Sessions(Protocol):
    """Where sessions are kept. Synchronous: one small local file at most."""

    def keep(self, session: Session, now: float) -> None:
        """Keep a new one, and forget what is over. Durable when it returns. Raises OSError."""

    def find(self, session_id: str) -> Session | None:
        """The session as it stands now, or None."""

    def all(self) -> list[Session]:
        """All that are kept, also those that are over, in any order."""

    def end(self, session_id: str) -> None:
        """Forget it. Idempotent. Raises OSError."""


class MemorySessions:
    """For a server without a state directory: a restart ends them."""

    def __init__(self) -> None:
        self._kept: dict[str, Session] = {}

    def keep(self, session: Session, now: float) -> None:
        """See Sessions."""
        for old in superfluous(self._kept.values(), session.token_id, now):
            self.end(old.session_id)
        self._kept[session.session_id] = session

    def find(self, session_id: str) -> Session | None:
        """See Sessions."""
        return self._kept.get(session_id)

    def all(self) -> list[Session]:
        """See Sessions."""
        return list(self._kept.values())

    def end(self, session_id: str) -> None:
        """See Sessions."""
        self._kept.pop(session_id, None)


class SessionBook:
    """The sessions of one server. `now` in seconds since the epoch."""

    def __init__(self, sessions: Sessions, now: Callable[[], float]) -> None:
        self._sessions, self._now = sessions, now

    def begin(self, token: Token, *, secure: bool) -> tuple[Session, str]:
        """A new session of a token, and the Set-Cookie header that holds it. Raises OSError."""
        now, session_id, secret = self._now(), secrets.token_hex(8), secrets.token_urlsafe(32)
        expires_at = now + LIFETIME_S if token.expires_at is None else min(now + LIFETIME_S, token.expires_at)
        session = Session(
            session_id=session_id, token_id=token.token_id, digest=_digest(secret), expires_at=expires_at, begun_at=now
        )  # fmt: skip
        self._sessions.keep(session, now)
        return session, set_cookie(f"wcs_{session_id}_{secret}", int(expires_at - now), secure=secure)

    def proved(self, cookies: Iterable[str]) -> Session | None:
        """The session that one of the Cookie headers proves, and that is not over; None without.

        A cookie of a session that is over is as none: browsers send it until they are told otherwise, so it is no
        attempt at anything, and whoever needs no token gets in without it.
        """
        for session_id, secret in _presented(cookies):
            session = self._sessions.find(session_id)
            kept = session.digest if session is not None else "0" * 64
            if hmac.compare_digest(_digest(secret), kept) and session is not None and self.goes_on(session):
                return session
        return None

    def goes_on(self, session: Session) -> bool:
        """Whether it was not ended and its time is not over."""
        return self._sessions.find(session.session_id) == session and self._now() < session.expires_at

    def open(self) -> list[Session]:
        """All whose time is not over, the oldest first. Their tokens may be gone."""
        now = self._now()
        return sorted((one for one in self._sessions.all() if now < one.expires_at), key=_by_age)

    def end(self, session: Session) -> None:
        """End it, wherever it is open. Raises OSError."""
        self._sessions.end(session.session_id)


def set_cookie(text: str, age_s: int, *, secure: bool) -> str:
    """The Set-Cookie header; an age of 0 takes the cookie away."""
    return f"{COOKIE}={text}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Strict{'; Secure' if secure else ''}"


def superfluous(kept: Iterable[Session], token_id: str, now: float) -> list[Session]:
    """What need not be kept any more when one more of `token_id` comes."""
    everything = list(kept)
    over = [one for one in everything if one.expires_at <= now]
    own = sorted((one for one in everything if one.token_id == token_id and one not in over), key=_by_age)
    return over + own[: max(0, len(own) + 1 - MOST_PER_TOKEN)]


def _by_age(session: Session) -> tuple[float, str]:
    return session.expires_at, session.session_id


def _presented(cookies: Iterable[str]) -> Iterator[tuple[str, str]]:
    """What the headers hold that has the form of a session: id and secret. Few, whatever is sent."""
    pairs = (pair.strip().partition("=") for header in cookies for pair in header.split(";"))
    matches = (_TEXT.fullmatch(value) for name, _, value in pairs if name == COOKIE)
    for _, match in zip(range(_MOST_COOKIES), (match for match in matches if match), strict=False):
        yield match[1], match[2]


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("ascii")).hexdigest()
