"""What a person does between the making of a commit and the moment it is put in place wins."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.sources.atomic import Conflict, FileChange
from controller.sources.git_repository import Blocked, Note
from controller.sources.git_writes import Writes, writes
from tests.sources.git_site import WEB, WorkingTree, environment, needs_git

pytestmark = needs_git
NOTE = Note(message="web: tried", author=("ann", "ann@localhost"))


def begun(tree: WorkingTree) -> tuple[Writes, FileChange]:
    path = tree.root / "web.yaml"
    change = FileChange(path=str(path), before=path.read_bytes(), after=(WEB + "# ours\n").encode())
    way = writes(tree.mode, str(tree.root), environment(tree.folder / "home"))
    way.begin(change, NOTE)
    return way, change


def test_a_lock_that_git_took_meanwhile_is_respected(tmp_path: Path) -> None:
    tree = WorkingTree(tmp_path)
    way, change = begun(tree)
    lock = tree.folder / ".git" / "index.lock"
    lock.write_text("theirs")
    with pytest.raises(Blocked, match="git is at work"):
        way.finish(change)
    assert (lock.read_text(), (tree.root / "web.yaml").read_text()) == ("theirs", WEB)
    assert tree.git("log", "-1", "--format=%s") == "two workers"


@pytest.mark.parametrize("act", [["commit", "-q", "--allow-empty", "-m", "x"], ["checkout", "-q", "-b", "other"]])
def test_a_commit_or_another_branch_meanwhile_is_a_conflict(tmp_path: Path, act: list[str]) -> None:
    tree = WorkingTree(tmp_path)
    way, change = begun(tree)
    tree.git(*act)
    before = tree.everything()
    with pytest.raises(Conflict):
        way.finish(change)
    assert (tree.everything(), tree.leftovers()) == (before, [])


def test_what_is_pushed_and_cannot_be_put_in_place_is_said(tmp_path: Path) -> None:
    tree = WorkingTree(tmp_path, "push").with_remote()
    way, change = begun(tree)
    tree.write("web.yaml", WEB + "# mine\n")
    with pytest.raises(Blocked, match="was pushed, but the work tree here could not follow") as blocked:
        way.finish(change)
    assert blocked.value.reason == "not_pulled"
    assert (tree.root / "web.yaml").read_text() == WEB + "# mine\n"
    assert tree.committed("web", "origin/main") == WEB + "# ours\n"
    assert (tree.git("log", "-1", "--format=%s"), tree.leftovers()) == ("two workers", [])
