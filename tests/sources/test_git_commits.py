"""`--writes commit`: one file, one commit, by who asked; a person's own work in the tree stays as it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from controller.core.authorship import SpecRefused, SpecUnknown
from tests.sources.git_site import WEB, WorkingTree, needs_git

pytestmark = needs_git


@pytest.fixture
def tree(tmp_path: Path) -> WorkingTree:
    return WorkingTree(tmp_path)


def test_a_write_is_a_commit_of_one_file_by_who_asked(tree: WorkingTree) -> None:
    tree.written("patch", body={"replicas": 3, "env": {"A_TOKEN": "hunter2"}})
    shown = tree.git("show", "-s", "--format=%an <%ae>|%cn|%s|%(trailers:separator=%x2C)")
    assert shown == (
        'ann <ann@localhost>|workerctl|web: env unset -> {"A_TOKEN": "***"}, replicas 1 -> 3'
        "|Worker: web,Actor: ann,Request-Id: r1"
    )
    assert tree.git("show", "--format=", "--name-status") == "M\tspecs/web.yaml"
    assert tree.committed("web") == (tree.root / "web.yaml").read_text()
    assert (tree.status(), tree.leftovers()) == ("", [])


def test_specs_are_created_and_deleted_by_commits(tree: WorkingTree) -> None:
    tree.written("create", "new", {"command": ["true"]})
    assert tree.git("show", "--format=%s", "--name-status") == "new: created\n\nA\tspecs/new.yaml"
    tree.result()
    tree.written("delete", "db")
    assert tree.git("show", "--format=%s", "--name-status") == "db: deleted\n\nD\tspecs/db.yaml"
    assert (tree.status(), sorted(os.listdir(tree.root))) == ("", ["new.yaml", "web.yaml"])
    assert tree.git("fsck", "--strict") == ""


def test_what_is_written_already_makes_no_commit(tree: WorkingTree) -> None:
    before = tree.everything()
    assert tree.written("patch", body={"replicas": 1}).is_changed is False
    assert tree.everything() == before


def test_a_dry_run_changes_nothing_and_says_what_stands_in_the_way(tree: WorkingTree) -> None:
    before = tree.everything()
    tree.ask("patch", body={"replicas": 2}, dry_run=True)
    assert tree.everything() == before
    tree.write("web.yaml", WEB + "# mine\n")
    outcome = tree.ask("patch", body={"replicas": 2}, dry_run=True)
    assert isinstance(outcome, SpecRefused)
    assert outcome.reason == "uncommitted_changes"


def test_work_that_a_person_has_staged_or_not_stays_so(tree: WorkingTree) -> None:
    tree.write("db.yaml", "worker_id: db\ncommand: [sleep, '61']\n")
    tree.git("add", "specs/db.yaml")
    tree.write("db.yaml", "worker_id: db\ncommand: [sleep, '62']\n")
    (tree.folder / "staged").write_text("staged")
    tree.git("add", "staged")
    (tree.folder / "loose").write_text("loose")
    tree.written("patch", body={"replicas": 2})
    assert tree.status() == "MM specs/db.yaml\nA  staged\n?? loose"
    assert tree.git("show", ":specs/db.yaml").endswith("'61']")


@pytest.mark.parametrize("staged", [True, False])
def test_a_persons_own_change_of_the_same_file_is_not_committed_by_us(tree: WorkingTree, *, staged: bool) -> None:
    tree.write("web.yaml", WEB + "# mine\n")
    if staged:
        tree.git("add", "-A")
    assert tree.refused() == "uncommitted_changes"
    tree.save("mine")
    tree.written("patch", body={"replicas": 2})
    assert tree.committed("web").endswith("# mine\n")


def test_a_change_that_is_only_staged_is_not_lost_either(tree: WorkingTree) -> None:
    tree.write("web.yaml", WEB + "# mine\n")
    tree.git("add", "-A")
    tree.write("web.yaml", WEB)
    assert tree.refused() == "uncommitted_changes"


def test_a_file_that_git_does_not_know_is_not_committed_by_us(tree: WorkingTree) -> None:
    tree.write("own.yaml", "worker_id: own\ncommand: [sleep, '60']\n")
    tree.result()
    assert tree.refused("patch", "own") == "uncommitted_changes"
    (tree.root / ".gitignore").write_text("new.yaml\n")
    assert tree.refused("create", "new", {"command": ["true"]}) == "read_only_source"


@pytest.mark.parametrize("sign", ["MERGE_HEAD", "index.lock", "rebase-merge"])
def test_while_git_is_at_work_nothing_is_written(tree: WorkingTree, sign: str) -> None:
    (tree.folder / ".git" / sign).write_text("")
    outcome = tree.ask("patch", body={"replicas": 2})
    assert isinstance(outcome, SpecRefused)
    assert (outcome.reason, outcome.retry_after_s) == ("busy", 2)
    assert (tree.root / "web.yaml").read_text() == WEB
    assert (tree.folder / ".git" / sign).exists()


def test_a_detached_head_is_refused_and_a_branch_without_commits_is_not(tree: WorkingTree, tmp_path: Path) -> None:
    tree.git("checkout", "-q", "--detach")
    assert tree.refused() == "detached_head"
    unborn = WorkingTree(tmp_path / "unborn", empty=True)
    assert unborn.refused() == "uncommitted_changes"
    unborn.written("create", "new", {"command": ["true"]})
    assert unborn.git("log", "--format=%s %an") == "new: created ann"
    assert unborn.git("ls-files") == "specs/new.yaml"


def test_outside_git_it_is_said_what_is_wanted(tmp_path: Path) -> None:
    tree = WorkingTree(tmp_path)
    (tmp_path / ".git").rename(tmp_path / "away")
    outcome = tree.ask("patch", body={"replicas": 2})
    assert isinstance(outcome, SpecRefused)
    assert outcome.reason == "read_only_source"
    assert outcome.message.startswith("no commit can be made: not a git repository")
    assert (tree.root / "web.yaml").read_text() == WEB


def test_line_ends_are_kept_as_git_keeps_them(tree: WorkingTree) -> None:
    (tree.folder / ".gitattributes").write_text("*.yaml text eol=crlf\n")
    tree.save("attributes")
    tree.git("rm", "-q", "--cached", "specs/web.yaml")
    tree.git("checkout", "-q", "HEAD", "--", "specs/web.yaml")
    tree.result()
    (tree.root / "web.yaml").unlink()
    tree.git("checkout", "-q", "--", "specs/web.yaml")
    assert b"\r\n" in (tree.root / "web.yaml").read_bytes()
    tree.written("patch", body={"replicas": 2})
    assert tree.git("show", "--format=", "--numstat") == "1\t1\tspecs/web.yaml"
    assert tree.status() == ""


def test_a_repository_with_long_object_names_is_like_any_other(tmp_path: Path) -> None:
    tree = WorkingTree(tmp_path, objects="sha256")
    tree.written("patch", body={"replicas": 2})
    tree.written("delete", "db")
    assert (tree.git("log", "-1", "--format=%s"), tree.status()) == ("db: deleted", "")


def test_a_linked_work_tree_is_committed_to_as_its_own(tree: WorkingTree) -> None:
    linked = tree.folder / "state" / "linked"
    tree.git("worktree", "add", "-q", "-b", "topic", str(linked))
    tree.root = linked / "specs"
    tree.open()
    tree.written("patch", body={"replicas": 2})
    assert tree.git("log", "-1", "--format=%s", "topic") == "web: replicas 1 -> 2"
    assert (tree.git("status", "--porcelain", cwd=linked), tree.status()) == ("", "")


def test_nothing_that_a_repository_brings_is_run(tree: WorkingTree) -> None:
    trap = tree.folder / "state" / "trap"
    trap.write_text(f"#!/bin/sh\necho $0 $* >> {tree.folder}/state/sprung\nexit 1\n")
    trap.chmod(0o755)
    hooks = tree.folder / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in (
        "pre-commit", "commit-msg", "post-commit", "reference-transaction", "post-index-change", "pre-push",
        "fsmonitor-watchman", "prepare-commit-msg", "post-merge", "post-checkout",
    ):  # fmt: skip
        (hooks / name).write_bytes(trap.read_bytes())
        (hooks / name).chmod(0o755)
    for name in ("core.fsmonitor", "gpg.program", "core.pager", "core.editor", "filter.trap.clean", "core.askPass"):
        tree.git("config", name, str(trap))
    tree.git("config", "commit.gpgSign", "true")
    (tree.folder / "state" / "sprung").unlink(missing_ok=True)
    tree.written("patch", body={"replicas": 2})
    assert not (tree.folder / "state" / "sprung").exists()
    tree.git("config", "core.fsmonitor", "false")
    assert tree.git("log", "-1", "--format=%s") == "web: replicas 1 -> 2"


def test_a_file_that_goes_through_a_filter_is_refused(tree: WorkingTree) -> None:
    (tree.folder / ".git" / "info" / "attributes").write_text("*.yaml filter=lfs\n")
    sprung = tree.folder / "state" / "sprung"
    tree.git("config", "filter.lfs.clean", f"sh -c 'touch {sprung}; cat'")
    outcome = tree.ask("patch", body={"replicas": 2})
    assert isinstance(outcome, SpecRefused)
    assert "through the filter lfs" in outcome.message
    assert ((tree.root / "web.yaml").read_text(), sprung.exists()) == (WEB, False)


def test_a_specs_directory_that_is_a_link_is_committed_where_it_leads(tree: WorkingTree) -> None:
    (tree.folder / "state").mkdir(exist_ok=True)
    link = tree.folder / "state" / "link"
    link.symlink_to(tree.root)
    tree.root = link
    tree.open()
    tree.written("patch", body={"replicas": 2})
    assert tree.git("show", "--format=", "--name-only") == "specs/web.yaml"


def test_odd_names_of_actors_make_good_authors(tree: WorkingTree) -> None:
    for number, actor in enumerate(("<>", "token:ci\nEvil: yes", "uid 1000 <root>", "主"), 2):
        tree.ask("patch", body={"replicas": number}, actor=actor)
    assert tree.git("log", "-4", "--format=%an %ae").splitlines() == [
        "主 unknown@localhost", "uid 1000  root uid-1000-root@localhost",
        "token:ci Evil: yes token-ci-Evil-yes@localhost", "unknown unknown@localhost",
    ]  # fmt: skip
    assert "\nEvil" not in tree.git("log", "--format=%B")
    assert tree.git("fsck", "--strict") == ""


def test_a_read_only_source_is_never_written(tmp_path: Path) -> None:
    tree = WorkingTree(tmp_path, "readonly")
    for action, worker_id, body in (
        ("patch", "web", {"replicas": 2}), ("delete", "web", {}), ("create", "new", {"command": ["true"]}),
        ("replace", "web", {"command": ["true"]}), ("state", "web", {"desired_state": "stopped"}),
    ):  # fmt: skip
        assert tree.refused(action, worker_id, body) == "read_only_source"
    outcome = tree.ask("state", body={"desired_state": "stopped"})
    assert isinstance(outcome, SpecRefused)
    assert "for_ms" in outcome.hint
    assert "--writes readonly" in outcome.message
    assert isinstance(tree.ask("patch", "nobody", {}), SpecUnknown)
    assert tree.leftovers() == []
