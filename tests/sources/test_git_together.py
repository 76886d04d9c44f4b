"""Clients and a person change the same work tree at the same time: what was answered is there, what was done stays."""

from __future__ import annotations

import random
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from controller.core.authorship import SpecRefused, SpecWish, SpecWritten
from controller.sources.writer import SpecWriter
from tests.sources.git_site import WorkingTree, environment, needs_git

pytestmark = [needs_git, pytest.mark.e2e]
ROUNDS = 3
PASSING = ("detached_head", "uncommitted_changes", "broken_file")
"""While a person's rebase or pull is going on in the tree, and a file that git is just writing is read half. Every
other refusal says when to try again."""


class Crowd:
    """Clients that set variables of their own in web.yaml, and a person who commits notes, meanwhile."""

    def __init__(self, tree: WorkingTree, seed: int) -> None:
        self.tree, self.chance = tree, random.Random(seed)
        self.promised: dict[str, str] = {}
        self.writes = 0
        self.noted: list[str] = []
        self.faults: list[BaseException] = []

    def client(self, name: str, writer: SpecWriter | None = None) -> None:
        for number in range(ROUNDS):
            wish = SpecWish(action="patch", worker_id="web", actor=name, body={"env": {name: str(number)}})
            for _ in range(40):
                outcome = (writer or self.tree.writer).write(wish)
                if isinstance(outcome, SpecWritten):
                    self.promised[name] = str(number)
                    self.writes += 1
                    break
                assert isinstance(outcome, SpecRefused), outcome
                assert outcome.retry_after_s is not None or outcome.reason in PASSING, outcome

    def person(self, *, pulls: bool) -> None:
        """Notes, each in a commit of its own; where the tree is busy, again, as people do."""
        for number in range(ROUNDS):
            note = self.tree.folder / f"note-{number}"
            note.write_text(str(number))
            self._insist("add", note.name)
            self._insist("commit", "-q", "-m", note.name, "--", note.name)
            self.noted.append(note.name)
            if pulls:
                self._publish()

    def elsewhere(self, name: str) -> None:
        """A second person, in a clone, who edits a spec elsewhere and pushes."""
        for number in range(ROUNDS):
            for _ in range(20):
                self._git(self.tree.other, "pull", "-q", "--rebase")
                path = self.tree.other / "specs" / f"{name}.yaml"
                path.write_text(f"# elsewhere {number}\n" + path.read_text())
                self._git(self.tree.other, "commit", "-q", "-am", f"elsewhere {number}")
                if self._git(self.tree.other, "push", "-q"):
                    self.noted.append(f"elsewhere {number}")
                    break
                self._git(self.tree.other, "reset", "-q", "--hard", "HEAD~1")

    def run(self, *parts: Callable[[], None]) -> None:
        def guarded(part: Callable[[], None]) -> None:
            try:
                part()
            except BaseException as error:
                self.faults.append(error)

        threads = [threading.Thread(target=guarded, args=(part,)) for part in parts]
        self.chance.shuffle(threads)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(100)
        assert self.faults == []

    def _publish(self) -> None:
        for _ in range(20):
            self._insist("pull", "-q", "--rebase")
            if self._git(self.tree.folder, "push", "-q"):
                return

    def _insist(self, *arguments: str) -> None:
        for _ in range(200):
            if self._git(self.tree.folder, *arguments):
                return
        raise AssertionError(f"git {arguments} never worked")

    def _git(self, folder: Path, *arguments: str) -> bool:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, env=environment(self.tree.folder / "home"), capture_output=True,
            timeout=60, check=False,
        )  # fmt: skip
        return done.returncode == 0

    def check(self) -> None:
        """Nothing that was answered with a yes, and nothing that a person committed, is missing."""
        tree = self.tree
        assert yaml.safe_load(tree.committed("web")).get("env", {}) == self.promised
        assert tree.committed("web") == (tree.root / "web.yaml").read_text()
        subjects = tree.git("log", "--format=%s").splitlines()
        assert set(self.noted) <= set(subjects)
        assert tree.git("log", "--format=%an", "--grep=^web:").count("client") == self.writes
        assert (tree.status(), tree.leftovers(), tree.git("fsck", "--strict", "--no-dangling")) == ("", [], "")


@pytest.mark.parametrize("seed", range(2))
def test_writes_and_commits_of_a_person_lose_nothing(tmp_path: Path, seed: int) -> None:
    crowd = Crowd(WorkingTree(tmp_path), seed)
    crowd.run(
        lambda: crowd.client("client_a"), lambda: crowd.client("client_b"), lambda: crowd.person(pulls=False)
    )  # fmt: skip
    crowd.check()


def test_writes_and_a_person_who_pulls_with_rebase_lose_nothing(tmp_path: Path) -> None:
    crowd = Crowd(WorkingTree(tmp_path).with_remote(), 3)
    crowd.run(
        lambda: crowd.client("client_a"), lambda: crowd.person(pulls=True), lambda: crowd.elsewhere("db")
    )  # fmt: skip
    crowd.tree.git("pull", "-q", "--rebase")
    crowd.check()


def test_writes_that_are_pushed_and_pushes_from_elsewhere_lose_nothing(tmp_path: Path) -> None:
    crowd = Crowd(WorkingTree(tmp_path, "push").with_remote(), 0)
    crowd.run(
        lambda: crowd.client("client_a"), lambda: crowd.client("client_b"), lambda: crowd.elsewhere("web")
    )  # fmt: skip
    crowd.tree.git("pull", "-q", "--ff-only")
    crowd.check()
    assert crowd.tree.git("rev-parse", "main") == crowd.tree.git("rev-parse", "origin/main")


def test_two_controllers_in_one_work_tree_lose_nothing(tmp_path: Path) -> None:
    crowd = Crowd(WorkingTree(tmp_path), 1)
    first = crowd.tree.writer
    crowd.tree.open()
    crowd.run(lambda: crowd.client("client_a", first), lambda: crowd.client("client_b"))
    crowd.check()
