"""A specs directory in a work tree of the real git: what is in the middle of something is not read, what is done is.

Git is run for real, stopped where it waits for a person (a merge, a rebase, a cherry-pick with conflicts), and its
commands are run between scans.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.sources.specs_builder import SpecsDirectory, states, told, worker

pytestmark = pytest.mark.skipif(
    shutil.which("git") is None and not os.environ.get("CI"), reason="git is not installed"
)  # fmt: skip

LONG_AFTER = 4_000_000_000.0
"""What git writes, at the time it is, has settled long ago."""
ENVIRONMENT = {
    "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": "test@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


class Repository(SpecsDirectory):
    """Three workers on main; on the branch `other` b has two replicas, c is gone, and d is new."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.now = LONG_AFTER
        self.git("init", "-q", "-b", "main")
        for name in "abc":
            self.write(f"{name}.yaml", worker(name))
        self.commit("three")
        self.git("checkout", "-q", "-b", "other")
        self.write("b.yaml", worker("b", "replicas: 2\n"))
        self.write("d.yaml", worker("d"))
        self.remove("c.yaml")
        self.commit("two replicas")
        self.git("checkout", "-q", "main")

    def git(self, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=30
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def commit(self, message: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)

    def diverge(self) -> None:
        """Main changes the same line as `other` did."""
        self.write("b.yaml", worker("b", "replicas: 3\n"))
        self.commit("three replicas")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


THREE = {"a": "good", "b": "good", "c": "good"}


def test_a_checkout_of_another_branch_is_one_change(repository: Repository) -> None:
    assert states(repository.scan()) == THREE
    repository.git("checkout", "-q", "other")
    assert states(repository.later().settled()) == {"a": "good", "b": "good", "c": "removed", "d": "good"}
    repository.git("checkout", "-q", "main")
    assert states(repository.later().settled()) == {**THREE, "d": "removed"}


def test_a_linked_work_tree_is_one_too(repository: Repository, tmp_path: Path) -> None:
    repository.git("worktree", "add", "-q", str(tmp_path / "linked"), "other")
    linked = SpecsDirectory.__new__(SpecsDirectory)
    linked.root, linked.state, linked.now, linked.surroundings = (
        tmp_path / "linked", tmp_path / "linked-state", repository.now, repository.surroundings,
    )  # fmt: skip
    linked.start()
    assert states(linked.scan()) == {"a": "good", "b": "good", "d": "good"}
    (tmp_path / "specs/.git/worktrees/linked/index.lock").touch()
    assert linked.scan().hold_reason == "git is at work in the specs directory (index.lock exists)"
    assert repository.scan().hold_reason == ""


@pytest.mark.parametrize(
    ("begin", "sign", "give_up"),
    [
        (("merge", "-q", "other"), "MERGE_HEAD", ("merge", "--abort")),
        (("rebase", "-q", "other"), "rebase-merge", ("rebase", "--abort")),
        (("rebase", "-q", "--apply", "other"), "rebase-apply", ("rebase", "--abort")),
        (("cherry-pick", "other"), "CHERRY_PICK_HEAD", ("cherry-pick", "--abort")),
        (("revert", "--no-edit", "HEAD~1"), "REVERT_HEAD", ("revert", "--abort")),
    ],
)
def test_in_the_middle_of_a_conflict_nothing_is_read_and_giving_up_changes_nothing(
    repository: Repository, begin: tuple[str, ...], sign: str, give_up: tuple[str, ...]
) -> None:
    repository.diverge()
    if begin[0] == "revert":
        repository.write("b.yaml", worker("b", "replicas: 4\n"))
        repository.commit("four")
    before = repository.later().scan()
    repository.git(*begin, code=1)
    for _ in range(3):
        held = repository.later(60).scan()
        assert held.hold_reason == f"git is at work in the specs directory ({sign} exists)"
        assert (held.workers, held.hold_digest, dict(held.removed)) == (before.workers, "", {})
    repository.git(*give_up)
    after = repository.later().settled()
    assert (after.hold_reason, after.workers) == ("", before.workers)


def test_a_merge_that_is_resolved_counts_once_it_is_committed(repository: Repository) -> None:
    repository.diverge()
    repository.scan()
    repository.git("merge", "-q", "other", code=1)
    repository.write("b.yaml", worker("b", "replicas: 5\n"))
    assert repository.later().settled().workers["b"].spec.replicas == 3
    repository.git("add", "b.yaml")
    assert repository.later().settled().workers["b"].spec.replicas == 3
    repository.git("commit", "-q", "-m", "five")
    desired = repository.later().settled()
    assert states(desired) == {"a": "good", "b": "good", "c": "removed", "d": "good"}
    assert desired.workers["b"].spec.replicas == 5


def test_conflict_markers_that_were_committed_hurt_their_file_alone(repository: Repository) -> None:
    repository.diverge()
    repository.scan()
    repository.git("merge", "-q", "other", code=1)
    repository.git("commit", "-q", "-a", "-m", "not resolved")
    desired = repository.later().settled()
    assert states(desired) == {"a": "good", "b": "stale", "c": "stale", "d": "good"}  # c might be in b.yaml now
    assert desired.workers["b"].spec.replicas == 3
    assert told(desired)[0] == (
        "b.yaml:3:1: unresolved merge conflict (resolve the conflict: keep one side and remove the "
        "<<<<<<<, ======= and >>>>>>> lines)"
    )
    repository.write("a.yaml", worker("a", "replicas: 2\n"))
    assert repository.later().scan().workers["a"].spec.replicas == 2
    repository.write("b.yaml", worker("b", "replicas: 6\n"))
    desired = repository.later().settled()
    assert (states(desired), desired.workers["b"].spec.replicas) == (
        {"a": "good", "b": "good", "c": "removed", "d": "good"},
        6,
    )


def test_a_stash_and_a_hard_reset_are_edits(repository: Repository) -> None:
    repository.write("b.yaml", worker("b", "replicas: 7\n"))
    assert repository.scan().workers["b"].spec.replicas == 7
    repository.git("stash", "-q")
    assert repository.later().settled().workers["b"].spec.replicas == 1
    repository.git("stash", "pop", "-q")
    assert repository.later().settled().workers["b"].spec.replicas == 7
    repository.git("reset", "-q", "--hard", "other")
    assert states(repository.later().settled()) == {"a": "good", "b": "good", "c": "removed", "d": "good"}


def test_a_git_sync_flip_of_the_link_is_one_change_and_restarts_nothing_by_itself(
    repository: Repository, tmp_path: Path
) -> None:
    """As git-sync does it: each commit in a work tree of its own, one link that is moved over the former."""
    link, trees = tmp_path / "current", tmp_path / "worktrees"
    trees.mkdir()

    def publish(branch: str) -> None:
        repository.git("worktree", "add", "-q", "--detach", str(trees / branch), branch)
        (tmp_path / "tmp-link").symlink_to(trees / branch)
        (tmp_path / "tmp-link").rename(link)

    publish("main")
    synced = SpecsDirectory.__new__(SpecsDirectory)
    synced.root, synced.state, synced.now, synced.surroundings = (
        link, tmp_path / "synced-state", repository.now, repository.surroundings,
    )  # fmt: skip
    synced.start()
    before = synced.scan()
    publish("other")
    shutil.rmtree(trees / "main")
    after = synced.later().settled()
    assert states(after) == {"a": "good", "b": "good", "c": "removed", "d": "good"}
    assert (after.hold_reason, after.workers["a"].instances) == ("", before.workers["a"].instances)
