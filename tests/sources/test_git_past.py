"""Who last changed a file up to a commit: asked of a real repository, and never an error."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from controller.sources.git_past import CommitNote, GitPast

ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_GLOBAL": "/dev/null"}


def git(folder: Path, *arguments: str, at: int = 1_700_000_000) -> str:
    when = {"GIT_AUTHOR_DATE": f"{at} +0000", "GIT_COMMITTER_DATE": f"{at} +0000"}
    who = ["-c", "user.name=Ann <b>", "-c", "user.email=ann@example.org"]
    done = subprocess.run(
        ["git", *who, *arguments], cwd=folder, env={**ENVIRONMENT, **when}, check=True, capture_output=True, timeout=30
    )
    return done.stdout.decode().strip()


def committed(folder: Path, name: str, text: str, message: str, at: int) -> str:
    (folder / name).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message, at=at)
    return git(folder, "rev-parse", "HEAD")


def test_a_file_is_of_the_last_commit_that_changed_it_not_of_the_newest(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    specs = tmp_path / "specs"
    specs.mkdir()
    first = committed(tmp_path, "specs/web.yaml", "a", "One\n\nbody", 1_700_000_000)
    later = committed(tmp_path, "specs/other.yaml", "b", "Two", 1_700_000_100)
    past = GitPast(str(specs), ENVIRONMENT)
    note = CommitNote(id=first, author="Ann b", at=1_700_000_000.0, message="One\n\nbody")
    assert (past.of(later, "web.yaml"), past.of(later, "nothing.yaml")) == (note, None)
    newest = committed(tmp_path, "specs/web.yaml", "c", "Three", 1_700_000_200)
    assert [found.message for at in (later, newest) if (found := past.of(at, "web.yaml"))] == ["One\n\nbody", "Three"]


def test_where_git_cannot_be_asked_nothing_is_said(tmp_path: Path) -> None:
    past = GitPast(str(tmp_path), ENVIRONMENT)
    assert [past.of(commit, "web.yaml") for commit in ("0" * 40, "--all", "HEAD~1")] == [None, None, None]
