"""Git work trees of all shapes: where their git directory is, and what tells that HEAD moved."""

from __future__ import annotations

from pathlib import Path

from controller.sources.worktree import WorkTree, look_at_worktree


def git_folder(root: Path, head: str = "ref: refs/heads/main\n") -> Path:
    git = root / ".git"
    git.mkdir(parents=True)
    (git / "HEAD").write_text(head)
    return git


def test_a_directory_outside_git_is_never_busy(tmp_path: Path) -> None:
    assert look_at_worktree(str(tmp_path)) == WorkTree()


def test_the_stamp_follows_the_branch_and_a_detached_head(tmp_path: Path) -> None:
    git = git_folder(tmp_path)
    (tmp_path / "specs").mkdir()
    stamps = [look_at_worktree(str(tmp_path / "specs")).stamp]
    (git / "packed-refs").write_text("abc refs/heads/main\n")
    stamps.append(look_at_worktree(str(tmp_path / "specs")).stamp)
    (git / "refs/heads").mkdir(parents=True)
    (git / "refs/heads/main").write_text("abc\n")
    stamps.append(look_at_worktree(str(tmp_path / "specs")).stamp)
    (git / "refs/heads/main").write_text("def\n")
    stamps.append(look_at_worktree(str(tmp_path / "specs")).stamp)
    (git / "HEAD").write_text("0123\n")
    stamps.append(look_at_worktree(str(tmp_path / "specs")).stamp)
    assert len(set(stamps)) == 5
    assert look_at_worktree(str(tmp_path)) == look_at_worktree(str(tmp_path))


def test_a_linked_work_tree_has_its_git_directory_elsewhere(tmp_path: Path) -> None:
    main = git_folder(tmp_path / "main")
    own = main / "worktrees" / "linked"
    own.mkdir(parents=True)
    (own / "HEAD").write_text("ref: refs/heads/topic\n")
    (own / "commondir").write_text("../..\n")
    (main / "refs/heads").mkdir(parents=True)
    (main / "refs/heads/topic").write_text("abc\n")
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / ".git").write_text(f"gitdir: {own}\n")
    assert look_at_worktree(str(linked)) == WorkTree(stamp="ref: refs/heads/topic abc")
    (own / "rebase-merge").mkdir()
    assert look_at_worktree(str(linked)).busy == "rebase-merge"
    assert look_at_worktree(str(tmp_path / "main")).busy == ""
