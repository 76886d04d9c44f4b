"""`--writes push`: upstream has it before the work tree; upstream that moved is followed, never forced."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from controller.core.authorship import SpecRefused, SpecStale
from tests.sources.git_site import WEB, WorkingTree, needs_git

pytestmark = needs_git


@pytest.fixture
def tree(tmp_path: Path) -> WorkingTree:
    return WorkingTree(tmp_path, "push").with_remote()


def elsewhere(tree: WorkingTree, name: str, text: str) -> None:
    """A second person changes a file in the other clone and pushes it."""
    tree.git("pull", "-q", "--ff-only", cwd=tree.other)
    (tree.other / "specs" / f"{name}.yaml").write_text(text)
    tree.save(f"{name} elsewhere", cwd=tree.other)
    tree.git("push", "-q", cwd=tree.other)


def heads(tree: WorkingTree) -> set[str]:
    """Of the branch, of what is known of its upstream, and of the upstream."""
    remote = tree.git("--git-dir", str(tree.folder / "remote.git"), "rev-parse", "main")
    return {tree.git("rev-parse", "main"), tree.git("rev-parse", "origin/main"), remote}


def test_a_write_is_at_the_remote_when_it_is_answered(tree: WorkingTree) -> None:
    tree.written("patch", body={"replicas": 2})
    tree.written("create", "new", {"command": ["true"]})
    assert len(heads(tree)) == 1
    assert tree.git("log", "-2", "--format=%s").splitlines() == ["new: created", "web: replicas 1 -> 2"]
    assert (tree.status(), tree.leftovers()) == ("", [])


def test_the_edit_is_made_again_on_what_upstream_made_of_the_file(tree: WorkingTree) -> None:
    elsewhere(tree, "web", "# hello\n" + WEB)
    elsewhere(tree, "db", "worker_id: db\ncommand: [sleep, '61']\n")
    tree.written("patch", body={"replicas": 2})
    assert (tree.root / "web.yaml").read_text() == "# hello\n" + WEB.replace("replicas: 1", "replicas: 2")
    assert "'61'" in (tree.root / "db.yaml").read_text()
    assert len(heads(tree)) == 1
    assert tree.git("show", "--format=", "--name-only") == "specs/web.yaml"
    assert (tree.status(), tree.leftovers()) == ("", [])


def test_a_client_that_saw_the_file_before_upstream_changed_it_is_told(tree: WorkingTree) -> None:
    seen = tree.written("patch", body={"replicas": 1}).etag
    elsewhere(tree, "web", "# hello\n" + WEB)
    outcome = tree.ask("patch", body={"replicas": 2}, if_match=frozenset({seen}))
    assert isinstance(outcome, SpecStale)
    assert (tree.root / "web.yaml").read_text() == "# hello\n" + WEB


def test_work_in_other_files_stays_when_upstream_is_followed(tree: WorkingTree) -> None:
    elsewhere(tree, "web", "# hello\n" + WEB)
    tree.write("db.yaml", "worker_id: db\ncommand: [sleep, '62']\n")
    tree.git("add", "-A")
    tree.written("patch", body={"replicas": 2})
    assert tree.status() == "M  specs/db.yaml"


def test_work_that_stands_in_upstreams_way_is_not_touched(tree: WorkingTree) -> None:
    elsewhere(tree, "db", "worker_id: db\ncommand: [sleep, '61']\n")
    tree.git("fetch", "-q")
    tree.write("db.yaml", "worker_id: db\ncommand: [sleep, '62']\n")
    assert tree.refused() == "uncommitted_changes"
    outcome = tree.ask("patch", body={"replicas": 2})
    assert isinstance(outcome, SpecRefused)
    assert outcome.message.endswith("overwritten by merge: specs/db.yaml")


def test_what_a_person_has_not_pushed_is_not_pushed_for_them(tree: WorkingTree) -> None:
    (tree.folder / "note").write_text("")
    tree.save("mine")
    assert tree.refused() == "unpushed_commits"
    elsewhere(tree, "db", "worker_id: db\ncommand: [sleep, '61']\n")
    tree.git("fetch", "-q")
    assert tree.refused() == "unpushed_commits"
    tree.git("pull", "-q", "--rebase")
    tree.git("push", "-q")
    tree.written("patch", body={"replicas": 2})
    assert len(heads(tree)) == 1


def test_a_remote_that_is_away_costs_nothing(tree: WorkingTree) -> None:
    before = tree.everything()
    (tree.folder / "remote.git").rename(tree.folder / "away")
    outcome = tree.ask("patch", body={"replicas": 2})
    assert isinstance(outcome, SpecRefused)
    assert (outcome.reason, outcome.retry_after_s, outcome.message.endswith("nothing was changed here")) == (
        "not_pushed", 30, True,
    )  # fmt: skip
    (tree.folder / "away").rename(tree.folder / "remote.git")
    assert tree.everything() == before
    tree.written("patch", body={"replicas": 2})
    assert len(heads(tree)) == 1


def test_a_remote_that_refuses_is_quoted(tree: WorkingTree) -> None:
    hook = tree.folder / "remote.git" / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho protected >&2\nexit 1\n")
    hook.chmod(0o755)
    assert tree.refused() == "push_refused"


def test_while_a_remote_takes_its_time_scans_go_on_and_other_writes_do_not_wait_long(tree: WorkingTree) -> None:
    hook = tree.folder / "remote.git" / "hooks" / "update"
    reached, go = tree.folder / "other" / ".git" / "reached", tree.folder / "other" / ".git" / "go"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        f"#!/bin/sh\n: > {reached}\nn=0\nwhile [ ! -e {go} ] && [ $n -lt 400 ]; do sleep 0.05; n=$((n+1)); done\n"
    )
    hook.chmod(0o755)
    slow = threading.Thread(target=tree.written, args=("patch", "web", {"replicas": 2}))
    slow.start()
    while not reached.exists():
        slow.join(0.02)
        assert slow.is_alive()
    tree.write("third.yaml", "worker_id: third\ncommand: [sleep, '60']\n")
    assert "third" in tree.scan().workers
    outcome = tree.ask("patch", "db", {"replicas": 2})
    go.touch()
    slow.join(60)
    assert isinstance(outcome, SpecRefused)
    assert (outcome.reason, outcome.retry_after_s) == ("busy", 2)
    assert "replicas: 2" in tree.committed("web")


def test_a_branch_without_upstream_is_refused(tree: WorkingTree) -> None:
    tree.git("branch", "--unset-upstream")
    assert tree.refused() == "no_upstream"


def test_a_rewritten_upstream_is_not_overwritten(tree: WorkingTree) -> None:
    tree.git("commit", "-q", "--amend", "-m", "rewritten", cwd=tree.other)
    tree.git("push", "-q", "--force", cwd=tree.other)
    before = tree.git("--git-dir", str(tree.folder / "remote.git"), "rev-parse", "main")
    outcome = tree.ask("patch", body={"replicas": 2})
    assert isinstance(outcome, SpecRefused)
    assert outcome.reason == "unpushed_commits"
    assert tree.git("--git-dir", str(tree.folder / "remote.git"), "rev-parse", "main") == before
    assert (tree.root / "web.yaml").read_text() == WEB
