"""The sessions of one state directory: a file each, `STATE/sessions/ID.json`, 0600, written durably and whole.

Files, so that nobody has to log in anew because the controller was upgraded; and not rows, because who may act must not
depend on the database. They hold the digest of a secret, never the secret.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from controller.api.sessions import ID, Session, superfluous
from controller.reconcile.state import read_small, remove_durably, write_durably

FOLDER = "sessions"


class SessionFiles:
    """Implements api.sessions.Sessions over a state directory."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir / FOLDER

    def keep(self, session: Session, now: float) -> None:
        """See Sessions."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        for old in superfluous(self.all(), session.token_id, now):
            self.end(old.session_id)
        document = {
            "id": session.session_id, "token": session.token_id, "sha256": session.digest,
            "expires_at": session.expires_at, "begun_at": session.begun_at,
        }  # fmt: skip
        write_durably(self._path(session.session_id), json.dumps(document).encode() + b"\n")

    def find(self, session_id: str) -> Session | None:
        """See Sessions. A file that cannot be read proves nothing, so it lets nobody in."""
        if not ID.fullmatch(session_id):
            return None
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            return _read(self._path(session_id), session_id)
        return None

    def end(self, session_id: str) -> None:
        """See Sessions."""
        path = self._path(session_id)
        if ID.fullmatch(session_id) and path.exists():
            remove_durably(path)

    def all(self) -> list[Session]:
        """See Sessions."""
        names: list[str] = []
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            names = [name.removesuffix(".json") for name in os.listdir(self._folder) if name.endswith(".json")]
        return [session for session in map(self.find, sorted(names)) if session is not None]

    def _path(self, session_id: str) -> Path:
        return self._folder / f"{session_id}.json"


def _read(path: Path, session_id: str) -> Session:
    """Raises OSError, ValueError, TypeError or KeyError where it is no session of this id."""
    values: dict[str, Any] = json.loads(read_small(path))
    texts = [values[key] for key in ("id", "token", "sha256")]
    if values["id"] != session_id or not all(isinstance(text, str) for text in texts) or len(values["sha256"]) != 64:
        raise ValueError("no session")
    begun_at = values.get("begun_at")
    return Session(
        session_id=session_id, token_id=values["token"], digest=values["sha256"],
        expires_at=float(values["expires_at"]), begun_at=None if begun_at is None else float(begun_at),
    )  # fmt: skip
