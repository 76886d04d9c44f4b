"""Git work trees: whether git is changing the specs directory right now, and at which commit it is.

Called by directory.py before and after reading, and by git_repository.py before a commit. A checkout removes and
rewrites files one by one; while it does, a file that is missing is not gone. Only the files that git itself uses are
looked at; git is never run.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

# Present while git, or a person in the middle of a merge, has the work tree in pieces.
_BUSY_SIGNS = (
    "index.lock",
    "MERGE_HEAD",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "rebase-merge",
    "rebase-apply",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkTree:
    """One look. `busy` names what git is doing, or is empty; `stamp` changes with HEAD; both empty without git."""

    busy: str = ""
    stamp: str = ""


def look_at_worktree(real_root: str) -> WorkTree:
    """Looks at the git directory that the specs directory belongs to, if any."""
    git_dir = git_dir_of(real_root)
    if git_dir is None:
        return WorkTree()
    for sign in _BUSY_SIGNS:
        if os.path.lexists(os.path.join(git_dir, sign)):
            return WorkTree(busy=sign, stamp=_stamp(git_dir))
    return WorkTree(stamp=_stamp(git_dir))


def git_dir_of(folder: str) -> str | None:
    """The git directory of the nearest work tree at or above `folder`; linked ones name theirs in a file."""
    while True:
        candidate = os.path.join(folder, ".git")
        if os.path.isdir(candidate):
            return candidate
        pointed = _text(candidate)
        if pointed.startswith("gitdir:"):
            return os.path.normpath(os.path.join(folder, pointed.removeprefix("gitdir:").strip()))
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above


def _stamp(git_dir: str) -> str:
    head = _text(os.path.join(git_dir, "HEAD"))
    if not head.startswith("ref:"):
        return head
    common = os.path.normpath(os.path.join(git_dir, _text(os.path.join(git_dir, "commondir")) or "."))
    loose = _text(os.path.join(common, head.removeprefix("ref:").strip()))
    return f"{head} {loose}" if loose else f"{head} {_packed(common)}"


def _packed(common: str) -> str:
    try:
        status = os.stat(os.path.join(common, "packed-refs"))
    except OSError:
        return ""
    return f"{status.st_mtime_ns} {status.st_size} {status.st_ino}"


def _text(path: str) -> str:
    """A small file of git's, or an empty text."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(4096).strip()
    except OSError:
        return ""
