"""Bringing a commit of ours to the branch's upstream before the work tree has it. Never by force.

Called by git_writes.py with `--writes push`. So a remote that cannot be reached costs nothing: nothing here changed.
Where upstream has moved, the work tree follows it as `git pull --ff-only` would, and the caller begins anew: the edit
is made again, on what the file is by then. What a person has committed here and not pushed is not pushed by us.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass

from controller.sources.atomic import Conflict
from controller.sources.git_command import REMOTE_LIMIT_S, Git, GitError
from controller.sources.git_repository import Blocked, Built

_RETRY_S = 30
_RACES = re.compile(r"fetch first|non-fast-forward|cannot lock ref|failed to update ref|stale info|needs force")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Upstream:
    remote: str
    ref: str
    tracking: str


def publish(git: Git, built: Built) -> None:
    """Pushes the commit. Raises Conflict where the work tree followed upstream instead, or Blocked."""
    upstream = _upstream(git, built.ref)
    seen = git.perhaps("rev-parse", "-q", "--verify", upstream.tracking)
    if not seen or (built.old and not _is_ancestor(git, built.old, seen)):
        _fetch(git, upstream)
        seen = git.perhaps("rev-parse", "-q", "--verify", upstream.tracking)
    if seen != built.old:
        _follow(git, upstream, built)
    try:
        git.run(
            ["push", "--porcelain", "--no-verify", "--no-signed", "--no-follow-tags", "--recurse-submodules=no",
             upstream.remote, f"{built.commit}:{upstream.ref}"],
            extra=git.over_network(), limit_s=REMOTE_LIMIT_S,
        )  # fmt: skip
    except GitError as error:
        _judge(git, upstream, built, error)


def _judge(git: Git, upstream: _Upstream, built: Built, error: GitError) -> None:
    """Why it was not pushed, and whether it was not."""
    refusals = [line for line in error.output.decode(errors="replace").splitlines() if line.startswith("!")]
    if refusals and not _RACES.search(refusals[0]):
        reason = refusals[0].rpartition("\t")[2]
        message = f"{upstream.remote} refused the commit: {reason}; nothing was changed here"
        raise Blocked("push_refused", message, hint="let the controller's user push to this branch")
    try:
        _fetch(git, upstream)
    except Blocked as blocked:
        if not error.timed_out:
            raise
        message = f"{blocked}; whether the commit arrived there is not known. If so, git pull brings it here"
        raise Blocked("not_pushed", message, hint=blocked.hint, retry_after_s=_RETRY_S) from None
    if git.perhaps("rev-parse", "-q", "--verify", upstream.tracking) == built.commit:
        return  # It had arrived, only the answer had not.
    if not refusals:
        raise Blocked("not_pushed", f"the commit was not pushed: {error}", retry_after_s=_RETRY_S)
    _follow(git, upstream, built)


def _upstream(git: Git, branch: str) -> _Upstream:
    form = "--format=%(upstream:remotename)%00%(upstream:remoteref)%00%(upstream)"
    remote, _, rest = git.text("for-each-ref", form, branch).partition("\0")
    ref, _, tracking = rest.partition("\0")
    if not remote or not ref or not tracking:
        name = branch.removeprefix("refs/heads/")
        raise Blocked("no_upstream", f"the branch {name} has no upstream", hint=f"git push -u origin {name}")
    return _Upstream(remote=remote, ref=ref, tracking=tracking)


def _fetch(git: Git, upstream: _Upstream) -> None:
    try:
        git.run(
            ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-auto-maintenance",
             "--no-write-fetch-head", upstream.remote, f"+{upstream.ref}:{upstream.tracking}"],
            extra=git.over_network(), limit_s=REMOTE_LIMIT_S,
        )  # fmt: skip
    except GitError as error:
        message = f"{upstream.remote} cannot be reached: {error}; nothing was changed here"
        raise Blocked("not_pushed", message, hint="try again when it can", retry_after_s=_RETRY_S) from None


def _follow(git: Git, upstream: _Upstream, built: Built) -> None:
    """Brings the work tree to upstream, where it is merely behind. Always raises."""
    name = upstream.tracking.removeprefix("refs/remotes/")
    if built.old and not _is_ancestor(git, built.old, upstream.tracking):
        message = f"the branch has commits that {name} does not have; they are not pushed by us"
        raise Blocked("unpushed_commits", message, hint="git pull --rebase, then git push")
    try:
        git.text("merge", "--quiet", "--ff-only", "--no-autostash", upstream.tracking)
    except GitError as error:
        with suppress(OSError):
            if os.path.lexists(os.path.join(git.folder, git.text("rev-parse", "--git-path", "index.lock"))):
                raise Blocked("busy", "git is at work in the specs directory", retry_after_s=2) from None
        message = f"the work tree cannot follow {name}: {error}"
        hint = "commit your changes, or take them back, then git pull"
        raise Blocked("uncommitted_changes", message, hint=hint) from None
    raise Conflict(f"{name} has moved")


def _is_ancestor(git: Git, one: str, other: str) -> bool:
    try:
        git.text("merge-base", "--is-ancestor", one, other)
    except GitError as error:
        if str(error):
            raise
        return False
    return True
