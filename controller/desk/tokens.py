"""The tokens of one state directory: a file each, `STATE/tokens/ID.json`, 0600, written durably and whole.

Used by a running controller and, at the same time, by `workerctl token` of the owner, without either knowing of the
other: a token is created by a rename and revoked by an unlink, so there is no lock, no lost update, and nothing to be
told: whoever asks for a token reads its file. They are files and not rows because who may act must not depend on the
database, and must not be lost with it.

When a token was last used is its file's time of modification (0: never), noted at most once a minute. Setting it
cannot bring back a token that is being revoked, as writing could.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from controller.api.tokens import ID, Listed, Token, TokenError, TokenRole, mint
from controller.reconcile.state import read_small, remove_durably, write_durably

FOLDER = "tokens"
BOOTSTRAP_FILE = "bootstrap-token"
BOOTSTRAP_NAME = "bootstrap"
_USE_NOTED_S = 60.0

__all__ = ["TokenError", "TokenFiles"]


class TokenFiles:
    """Implements api.tokens.Tokens over a state directory."""

    def __init__(self, state_dir: Path, now: Callable[[], float] = time.time) -> None:
        self._state_dir, self._now = state_dir, now
        self._folder = state_dir / FOLDER
        self._noted: dict[str, float] = {}

    def find(self, token_id: str) -> Token | None:
        """See Tokens. A file that cannot be read proves nothing, so it lets nobody in."""
        if not ID.fullmatch(token_id):
            return None
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            return _read(self._path(token_id), token_id)
        return None

    def used(self, token_id: str) -> None:
        """See Tokens."""
        now = self._now()
        if now - self._noted.get(token_id, 0.0) < _USE_NOTED_S:
            return
        self._noted[token_id] = now
        with contextlib.suppress(OSError):  # revoked meanwhile, or a full disk: it is only a hint for people
            os.utime(self._path(token_id), (now, now), follow_symlinks=False)

    def all(self) -> list[Listed]:
        """See Tokens. Files that are none are passed over."""
        found = []
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            for name in os.listdir(self._folder):
                token = self.find(name.removesuffix(".json")) if name.endswith(".json") else None
                if token is not None:
                    found.append(Listed(token=token, last_used_at=self._last_used(token.token_id)))
        return sorted(found, key=lambda one: (one.token.created_at, one.token.token_id))

    def create(self, name: str, role: TokenRole, lifetime_s: float | None = None) -> tuple[Token, str]:
        """See Tokens."""
        token, text = mint(name, role, self._now(), lifetime_s)
        path = self._path(token.token_id)
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            write_durably(path, json.dumps(_document(token)).encode() + b"\n")
            os.utime(path, (0, 0))
        except OSError as error:
            raise TokenError(f"Cannot write {path}: {error.strerror or error}") from None
        return token, text

    def revoke(self, token_id: str) -> bool:
        """See Tokens."""
        path = self._path(token_id)
        if not ID.fullmatch(token_id) or not path.exists():
            return False
        try:
            remove_durably(path)
        except OSError as error:
            raise TokenError(f"Cannot remove {path}: {error.strerror or error}") from None
        return True

    def bootstrap(self) -> Path | None:
        """Where no living token is an administrator's, make one and write it into a file of ours (0600): its path.

        So there is no moment in which whoever comes first becomes the administrator. Raises TokenError.
        """
        now = self._now()
        if any(one.token.role == "admin" and one.token.is_alive(now) for one in self.all()):
            return None
        _token, text = self.create(BOOTSTRAP_NAME, "admin")
        path = self._state_dir / BOOTSTRAP_FILE
        try:
            write_durably(path, text.encode() + b"\n")
        except OSError as error:
            raise TokenError(f"Cannot write {path}: {error.strerror or error}") from None
        return path

    def _path(self, token_id: str) -> Path:
        return self._folder / f"{token_id}.json"

    def _last_used(self, token_id: str) -> float | None:
        with contextlib.suppress(OSError):
            return self._path(token_id).lstat().st_mtime or None
        return None


def _read(path: Path, token_id: str) -> Token:
    """Raises OSError, ValueError, TypeError or KeyError where it is no token of this id."""
    values: dict[str, Any] = json.loads(read_small(path))
    texts = [values[key] for key in ("id", "name", "sha256")]
    is_ours = values["id"] == token_id and values["role"] in {"viewer", "operator", "admin"}
    if not is_ours or not all(isinstance(text, str) for text in texts) or len(values["sha256"]) != 64:
        raise ValueError("no token")
    return Token(
        token_id=token_id, name=values["name"], role=values["role"], digest=values["sha256"],
        created_at=float(values["created_at"]),
        expires_at=None if values["expires_at"] is None else float(values["expires_at"]),
    )  # fmt: skip


def _document(token: Token) -> dict[str, Any]:
    return {
        "id": token.token_id,
        "name": token.name,
        "role": token.role,
        "sha256": token.digest,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
    }
