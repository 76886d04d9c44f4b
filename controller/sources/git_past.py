"""Who last changed a file up to a commit, and why: asked of git once for each pair, which never changes.

Called by the desk of the past, in threads. Where git cannot be asked nothing is said.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from controller.sources.git_command import Git, GitError

MOST = 1000
_MESSAGE_MOST = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitNote:
    """One commit, as git tells of it. `at` in seconds since the epoch."""

    id: str
    author: str
    at: float
    message: str


class GitPast:
    """Remembers the newest answers."""

    def __init__(self, root: str, environment: Mapping[str, str]) -> None:
        self._root, self._environment = root, environment
        self._known: OrderedDict[tuple[str, str], CommitNote | None] = OrderedDict()

    def of(self, commit: str, file: str) -> CommitNote | None:
        """The commit that made `file` (relative to the root) as it is at `commit`."""
        key = (commit, file)
        if key not in self._known:
            self._known[key] = self._ask(commit, file)
            while len(self._known) > MOST:
                self._known.popitem(last=False)
        return self._known[key]

    def _ask(self, commit: str, file: str) -> CommitNote | None:
        if not commit.isalnum():
            return None
        try:
            git = Git(os.path.realpath(self._root), self._environment)
            told = git.text("log", "-1", "--format=%H%x00%an%x00%ct%x00%B", commit, "--", file)
        except (GitError, OSError):
            return None
        parts = told.split("\0", 3)
        if len(parts) != 4 or not parts[2].isdigit():
            return None
        return CommitNote(
            id=parts[0], author=parts[1], at=float(parts[2]),
            message=parts[3].strip()[:_MESSAGE_MOST],
        )  # fmt: skip
