"""Tokens: what one is, how it is written, and whether a text is it. Pure, but for the randomness of `mint`.

    wctl_1f0c9a2e_Jx0...        prefix, id, secret

The prefix lets scanners of leaked secrets find it; the id names it where people and logs must (it is no secret); the
secret has 256 bits of chance. So a plain SHA-256 of it is kept: what cannot be guessed needs no slow hash, and whoever
reads the file cannot use what stands there. Compared in constant time.

What does not belong here: files (desk/tokens.py), who may try how often (doorkeeper.py).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Literal, Protocol

TokenRole = Literal["viewer", "operator", "admin"]

PREFIX = "wctl"
ID = re.compile(r"[0-9a-f]{8}")
NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?")
_TEXT = re.compile(rf"{PREFIX}_([0-9a-f]{{8}})_([A-Za-z0-9_-]{{43}})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is kept of a token. `digest`: SHA-256 of the secret, in hexadecimal. Times in seconds since the epoch."""

    token_id: str
    name: str
    role: TokenRole
    digest: str
    created_at: float
    expires_at: float | None = None

    def is_alive(self, now: float) -> bool:
        """Whether its time is not over."""
        return self.expires_at is None or now < self.expires_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """A text that has the form of a token. Its secret is never printed, not even by a traceback's repr."""

    token_id: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A token, and when it was last used."""

    token: Token
    last_used_at: float | None


class TokenError(Exception):
    """The tokens cannot be read or written. The message is for people."""


class Tokens(Protocol):
    """Where tokens are kept. Synchronous: small local files at most."""

    def find(self, token_id: str) -> Token | None:
        """The token as it stands now, or None. Never cached: a revoked token is gone at once. Reads a file."""

    def used(self, token_id: str) -> None:
        """Note that it was used. Cheap, and coarse."""

    def all(self) -> list[Listed]:
        """All of them, the oldest first."""

    def create(self, name: str, role: TokenRole, lifetime_s: float | None = None) -> tuple[Token, str]:
        """A new token and its text. Durable when this returns. Raises TokenError."""

    def revoke(self, token_id: str) -> bool:
        """Remove it, for good when this returns; False where there is none. Raises TokenError."""


class NoTokens:
    """For a server that has none."""

    def find(self, token_id: str) -> Token | None:  # noqa: ARG002 - as Tokens has it
        """None."""
        return None

    def used(self, token_id: str) -> None:
        """Nothing."""

    def all(self) -> list[Listed]:
        """None."""
        return []

    def create(self, name: str, role: TokenRole, lifetime_s: float | None = None) -> tuple[Token, str]:  # noqa: ARG002 - as Tokens has it
        """It cannot be."""
        raise TokenError("Cannot make a token: this server keeps none")

    def revoke(self, token_id: str) -> bool:  # noqa: ARG002 - as Tokens has it
        """There is none."""
        return False


def mint(name: str, role: TokenRole, now: float, lifetime_s: float | None = None) -> tuple[Token, str]:
    """A new token, and its text, which nobody can make again."""
    token_id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    expires_at = None if lifetime_s is None else now + lifetime_s
    token = Token(
        token_id=token_id, name=name, role=role, digest=_digest(secret), created_at=now, expires_at=expires_at
    )
    return token, f"{PREFIX}_{token_id}_{secret}"


def read(text: str) -> Presented | None:
    """What a text claims to be, or None where it has not the form of a token."""
    match = _TEXT.fullmatch(text)
    return Presented(token_id=match[1], digest=_digest(match[2])) if match else None


def is_proved(presented: Presented, token: Token | None) -> bool:
    """Whether this is the token, alive or not. A token that does not exist takes as long as a wrong secret."""
    kept = token.digest if token is not None else "0" * 64
    return hmac.compare_digest(presented.digest, kept) and token is not None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("ascii")).hexdigest()
