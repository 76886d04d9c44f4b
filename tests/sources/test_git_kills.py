"""A writer that is killed between any two steps: file and repository agree, and the next write works."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.sources.git_killed_writer import BODIES
from tests.sources.git_site import WorkingTree, environment, needs_git

pytestmark = needs_git
PROGRAM = Path(__file__).with_name("git_killed_writer.py")
STEPS = tuple(f"sources.git_after_{step}" for step in ("journal", "lock", "file", "branch", "index"))
FILE_STEPS = ("sources.before_write", "sources.after_temp", "sources.after_fsync", "sources.after_rename")
POINTS = [
    *(("commit", "patch", point) for point in (*STEPS, *FILE_STEPS)),
    *(("commit", "create", point) for point in (*STEPS[2:4], "sources.after_rename")),
    *(("commit", "delete", point) for point in (*STEPS[2:4], "sources.before_delete", "sources.after_delete")),
    *(("push", "patch", point) for point in STEPS),
]


def killed(tree: WorkingTree, action: str, fault: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROGRAM), str(tree.folder), tree.mode, action], capture_output=True, text=True,
        timeout=60, check=False, cwd=Path(__file__).parents[2],
        env={**environment(tree.folder / "home"), "WORKERCTL_FAIL": fault, "PYTHONPATH": str(PROGRAM.parents[2])},
    )  # fmt: skip


@pytest.mark.parametrize(("mode", "action", "point"), POINTS)
def test_after_a_kill_the_repository_is_whole_and_the_next_write_works(
    tmp_path: Path, mode: str, action: str, point: str
) -> None:
    tree = WorkingTree(tmp_path, mode)  # type: ignore[arg-type]
    if mode == "push":
        tree.with_remote()
    done = killed(tree, action, f"{point}=kill")
    assert done.returncode == -9, done.stdout + done.stderr
    tree.open()
    worker_id = BODIES[action][0]
    path = tree.root / f"{worker_id}.yaml"
    made = tree.git("log", "-1", "--format=%an", "--", f"specs/{worker_id}.yaml") == "bob"
    assert path.exists() == (made if action == "create" else not made if action == "delete" else True)
    if action == "patch":
        assert ("replicas: 5" in path.read_text()) == made
    assert [line for line in tree.status().splitlines() if not line.endswith(".workerctl")] == []
    tree.written("patch", body={"replicas": 7})
    assert tree.committed("web") == (tree.root / "web.yaml").read_text()
    assert "replicas: 7" in tree.committed("web")
    assert [line for line in tree.status().splitlines() if not line.endswith(".workerctl")] == []
    assert [name for name in tree.leftovers() if not name.endswith(".workerctl")] == []
    assert tree.git("fsck", "--strict", "--no-dangling") == ""
    if mode == "push":
        assert tree.git("rev-parse", "main") == tree.git("rev-parse", "origin/main")


@pytest.mark.parametrize("fault", ["raise", "enospc"])
@pytest.mark.parametrize("point", ["git_after_journal", "git_after_lock", "git_after_file", "after_fsync"])
def test_after_a_failure_the_file_is_back_and_the_next_write_works(tmp_path: Path, point: str, fault: str) -> None:
    tree = WorkingTree(tmp_path)
    before = tree.everything()
    done = killed(tree, "patch", f"sources.{point}={fault}")
    assert done.stdout.strip() == '"SpecRefused"', done.stderr
    assert (tree.everything(), tree.leftovers()) == (before, [])
    tree.written("patch", body={"replicas": 7})
    assert tree.status() == ""
