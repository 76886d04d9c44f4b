"""The token by which a run proves itself at the controller's door for heartbeats: one per run, in its environment.

The key is the controller's: it comes with each `hello` and is kept in a 0600 file, so that a crash is repaired with a
good token while no controller is there. Called by orders.py at each spawn; how a token is made is protocol.py's.

Nothing depends on it: without a key (an older controller, a disk that takes nothing) a worker runs without a token.
"""

from __future__ import annotations

import contextlib
import os

from .protocol import heartbeat_token

_LONGEST = 256


class RunTokens:
    """One per agent. `folder` is the agent's own, where no worker can read."""

    def __init__(self, folder: str) -> None:
        self._path = f"{folder}/heartbeat.key"
        self._key = ""
        with contextlib.suppress(OSError, ValueError), open(self._path, encoding="ascii") as file:
            self._key = file.read(_LONGEST)

    def bring(self, key: str) -> None:
        """A controller has named its key. Tokens of runs that live are what they were: the key follows the realm."""
        if key == self._key or not key.isascii() or len(key) > _LONGEST:
            return
        self._key = key
        with contextlib.suppress(OSError):
            temporary = f"{self._path}.new"
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(key)
            os.replace(temporary, self._path)

    def of(self, slot: str, run: str) -> str:
        """The token of a run; empty where there is no key."""
        return heartbeat_token(self._key, slot, run) if self._key else ""
