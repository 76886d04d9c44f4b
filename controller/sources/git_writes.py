"""How a write reaches the specs directory: `--writes file|commit|push|readonly`.

Called by writer.py, one write at a time. `begin` does what can be done before the file is written and says why it
cannot be; `finish` writes the file and what goes with it, or changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Literal, Protocol

from controller.sources.atomic import Conflict, FileChange
from controller.sources.git_command import GitError
from controller.sources.git_repository import Blocked, Built, Note, Repository
from controller.sources.git_upstream import publish
from controller.sources.worktree import git_dir_of

Mode = Literal["file", "commit", "push", "readonly"]


class Writes(Protocol):
    """One way. `is_slow`: `begin` talks to a remote, so nobody should wait for it."""

    is_slow: bool

    def mend(self) -> None:
        """Ends what a killed writer had begun."""

    def check(self, change: FileChange, note: Note) -> None:
        """Raises Blocked where the change could not be made; changes nothing that anybody sees."""

    def begin(self, change: FileChange, note: Note) -> None:
        """Raises Blocked, or Conflict: read again and begin anew."""

    def finish(self, change: FileChange) -> None:
        """Makes what `begin` began durable. Raises the same, or OSError."""


def writes(mode: Mode, root: str, environment: Mapping[str, str]) -> Writes:
    """The way of this mode, for the specs directory `root`."""
    if mode == "readonly":
        return ReadOnly()
    if mode == "file":
        return PlainFiles()
    return Commits(root, environment, is_slow=mode == "push")


class PlainFiles:
    """The file, nothing else; committing is left to people."""

    is_slow = False

    def mend(self) -> None:
        """Nothing is left behind."""

    def check(self, change: FileChange, note: Note) -> None:
        """Any change."""

    def begin(self, change: FileChange, note: Note) -> None:
        """Nothing goes before."""

    def finish(self, change: FileChange) -> None:
        """See Writes."""
        change.apply()


class ReadOnly:
    """Specs come from elsewhere, and nobody changes them here."""

    is_slow = False

    def mend(self) -> None:
        """Nothing is ever begun."""

    def check(self, change: FileChange, note: Note) -> None:
        """See Writes."""
        self.begin(change, note)

    def begin(self, change: FileChange, note: Note) -> None:  # noqa: ARG002 - see Writes
        """See Writes."""
        self.finish(change)

    def finish(self, change: FileChange) -> None:
        """See Writes."""
        name = os.path.basename(change.path)
        raise Blocked(
            "read_only_source",
            "this controller writes no specs (--writes readonly); nothing was written",
            hint=f"change {name} where it comes from, in git for example, or serve with --writes file, commit or push;"
            " for a while, stop and start take for_ms",
        )


class Commits:
    """The file and a commit of it; pushed first where `is_slow`."""

    def __init__(self, root: str, environment: Mapping[str, str], *, is_slow: bool) -> None:
        self.is_slow = is_slow
        self._root = root
        self._environment = environment
        self._repository: Repository | None = None
        self._built: Built | None = None

    def mend(self) -> None:
        """See Writes. Where git cannot be asked now, the next write tries again and says so."""
        git_dir = git_dir_of(os.path.realpath(self._root))
        if git_dir is None or not os.path.lexists(os.path.join(git_dir, "workerctl.pending")):
            return
        with suppress(Blocked, GitError, Conflict, OSError):
            repository = self._open()
            with repository.alone():
                repository.mend()

    def check(self, change: FileChange, note: Note) -> None:
        """See Writes."""
        self._build(change, note)

    def begin(self, change: FileChange, note: Note) -> None:
        """See Writes."""
        built = self._build(change, note)
        if self.is_slow:
            with _git_said():
                publish(self._open().git, built)
        self._built = built

    def finish(self, change: FileChange) -> None:
        """See Writes."""
        built, repository = self._built, self._open()
        assert built is not None
        try:
            with _git_said(), repository.alone():
                repository.finish(built, change)
        except (Conflict, Blocked, OSError) as error:
            if not self.is_slow:
                raise
            message = f"{built.commit[:12]} was pushed, but the work tree here could not follow: {error}"
            raise Blocked("not_pulled", message, hint="git pull brings it here") from None

    def _build(self, change: FileChange, note: Note) -> Built:
        with _git_said():
            repository = self._repository = Repository(os.path.realpath(self._root), self._environment)
            with repository.alone():
                repository.mend()
                return repository.build(change, note)

    def _open(self) -> Repository:
        if self._repository is None:
            self._repository = Repository(os.path.realpath(self._root), self._environment)
        return self._repository


@contextmanager
def _git_said() -> Iterator[None]:
    """What git says no to is told as git said it."""
    try:
        yield
    except GitError as error:
        raise Blocked("git_failed", f"git refused: {str(error) or 'without a word'}; nothing was written") from None
