"""When a directory cannot be believed: nothing is removed, the reason is said, and what releases it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.core.desired import Desired
from tests.sources.specs_builder import SpecsDirectory, states, told, worker


@pytest.fixture
def specs(tmp_path: Path) -> SpecsDirectory:
    """A directory with two workers, scanned once."""
    specs = SpecsDirectory(tmp_path)
    specs.write("a.yaml", worker("a"))
    specs.write("b.yaml", worker("b", "replicas: 2\n"))
    specs.scan()
    return specs


GOOD = {"a": "good", "b": "good"}


def assert_held(desired: Desired, reason: str, *, can_be_confirmed: bool) -> str:
    assert (states(desired), dict(desired.removed), desired.hold_reason) == (GOOD, {}, reason)
    assert bool(desired.hold_digest) is can_be_confirmed
    return desired.hold_digest


# --- missing, empty, replaced ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("restart", [False, True])
def test_a_missing_directory_holds_everything_until_confirmed(specs: SpecsDirectory, restart: bool) -> None:
    shutil.rmtree(specs.root)
    if restart:
        specs.start()
    reason = f"the specs directory {specs.root} does not exist, but 2 workers are known from it"
    digest = assert_held(specs.later().settled(), reason, can_be_confirmed=True)
    specs.source.confirm("another digest")
    assert_held(specs.later().settled(), reason, can_be_confirmed=True)
    specs.source.confirm(digest)
    assert states(specs.later().settled()) == {"a": "removed", "b": "removed"}
    specs.source.forget("a")
    assert states(specs.later().scan()) == {"b": "removed"}
    specs.source.forget("b")
    assert (states(specs.later().scan()), specs.scan().hold_reason) == ({}, "")


def test_a_directory_that_never_was_has_no_workers(tmp_path: Path) -> None:
    specs = SpecsDirectory(tmp_path)
    specs.root.rmdir()
    assert (states(specs.scan()), specs.scan().hold_reason) == ({}, "")
    specs.root.mkdir()
    specs.write("a.yaml", worker("a"))
    assert states(specs.scan()) == {"a": "good"}


def test_an_emptied_directory_holds_everything_until_confirmed(specs: SpecsDirectory) -> None:
    specs.remove("a.yaml")
    specs.remove("b.yaml")
    reason = f"the specs directory {specs.root} is empty, but 2 workers are known from it"
    digest = assert_held(specs.settled(), reason, can_be_confirmed=True)
    specs.source.confirm(digest)
    assert states(specs.later().scan()) == GOOD
    assert states(specs.later().scan()) == {"a": "removed", "b": "removed"}


def test_a_confirmation_is_for_one_occasion(specs: SpecsDirectory) -> None:
    kept = {name: (specs.root / name).read_text() for name in ("a.yaml", "b.yaml")}
    for name in kept:
        specs.remove(name)
    digest = specs.scan().hold_digest
    specs.source.confirm(digest)
    for name, text in kept.items():
        specs.write(name, text)
    assert states(specs.later().scan()) == GOOD
    for name in kept:
        specs.remove(name)
    assert specs.later().settled().hold_digest == digest


def test_the_last_worker_of_a_directory_counts_too(tmp_path: Path) -> None:
    specs = SpecsDirectory(tmp_path)
    specs.write("a.yaml", worker("a"))
    specs.scan()
    specs.remove("a.yaml")
    reason = f"the specs directory {specs.root} is empty, but 1 worker is known from it"
    assert specs.settled().hold_reason == reason


def test_a_file_in_the_directory_s_place_holds_and_no_confirmation_helps(specs: SpecsDirectory) -> None:
    shutil.rmtree(specs.root)
    specs.root.write_text("")
    reason = f"the specs directory {specs.root} cannot be read: Not a directory"
    assert_held(specs.settled(), reason, can_be_confirmed=False)


@pytest.mark.parametrize("restart", [False, True])
def test_another_directory_in_its_place_holds_everything_until_confirmed(specs: SpecsDirectory, restart: bool) -> None:
    specs.root.rename(specs.root.with_name("before"))
    specs.write("a.yaml", worker("a", "replicas: 7\n"))
    specs.write("c.yaml", worker("c"))
    if restart:
        specs.start()
    reason = f"the specs directory {specs.root} was replaced by another one, but 2 workers are known from it"
    digest = assert_held(specs.later().settled(), reason, can_be_confirmed=True)
    specs.source.confirm(digest)
    desired = specs.later().settled()
    assert states(desired) == {"a": "good", "b": "removed", "c": "good"}
    assert desired.workers["a"].spec.replicas == 7


def test_a_copy_with_the_same_workers_is_taken_at_once(specs: SpecsDirectory) -> None:
    specs.root.rename(specs.root.with_name("before"))
    shutil.copytree(specs.root.with_name("before"), specs.root)
    specs.write("c.yaml", worker("c"))
    assert (states(specs.later().scan()), specs.scan().hold_reason) == ({**GOOD, "c": "good"}, "")


def test_coming_back_ends_a_hold_and_restarts_nothing(specs: SpecsDirectory) -> None:
    before = specs.scan()
    specs.root.rename(specs.root.with_name("away"))
    assert specs.later().scan().hold_reason
    specs.root.with_name("away").rename(specs.root)
    after = specs.later().scan()
    assert (after.hold_reason, after.workers) == ("", before.workers)


def test_problems_stay_visible_during_a_hold(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", "}")
    shown = told(specs.later().scan())
    shutil.rmtree(specs.root)
    assert (told(specs.scan()), states(specs.scan())) == (shown, {"a": "stale", "b": "good"})


def test_an_env_file_is_out_of_reach_when_a_hold_follows_a_start(tmp_path: Path) -> None:
    specs = SpecsDirectory(tmp_path)
    specs.write("a.yaml", worker("a", "env_files: [a.env]\n"))
    specs.write("a.env", "A=1\n")
    specs.scan()
    shutil.rmtree(specs.root)
    specs.start()
    desired = specs.scan()
    assert states(desired) == {"a": "broken"}
    assert told(desired) == ["a.yaml:1: env file a.env cannot be read: the specs directory cannot be used now"]


# --- links as roots --------------------------------------------------------------------------------------------------


def test_the_directory_may_be_a_link_that_is_flipped(tmp_path: Path) -> None:
    specs = SpecsDirectory(tmp_path)
    specs.root.rmdir()
    specs.write("a.yaml", worker("a"), root=tmp_path / "v1")
    specs.write("a.yaml", worker("a", "replicas: 2\n"), root=tmp_path / "v2")
    specs.root.symlink_to("v1")
    before = specs.scan()
    assert before.workers["a"].instances[0].launch.working_dir == str(specs.root)
    (tmp_path / "flip").symlink_to("v2")
    (tmp_path / "flip").rename(specs.root)
    after = specs.later().scan()
    assert (after.hold_reason, after.workers["a"].spec.replicas) == ("", 2)
    assert after.workers["a"].instances[0].launch == before.workers["a"].instances[0].launch


def test_a_link_to_nowhere_is_a_missing_directory(tmp_path: Path) -> None:
    specs = SpecsDirectory(tmp_path)
    specs.root.rmdir()
    specs.write("a.yaml", worker("a"), root=tmp_path / "v1")
    specs.root.symlink_to("v1")
    specs.scan()
    shutil.rmtree(tmp_path / "v1")
    assert specs.scan().hold_reason == f"the specs directory {specs.root} does not exist, but 1 worker is known from it"


# --- git -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", ["index.lock", "MERGE_HEAD", "CHERRY_PICK_HEAD", "rebase-merge", "rebase-apply"])
def test_nothing_is_read_while_git_is_at_work(specs: SpecsDirectory, sign: str) -> None:
    git = specs.root.parent / ".git"
    git.mkdir()
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / sign).touch()
    specs.remove("a.yaml")
    specs.write("b.yaml", worker("b", "replicas: 5\n"))
    result = specs.later().result()
    assert_held(result.desired, f"git is at work in the specs directory ({sign} exists)", can_be_confirmed=False)
    assert result.again_at == pytest.approx(specs.now + 0.2)
    assert specs.later(100).result().again_at == pytest.approx(specs.now + 5)
    (git / sign).unlink()
    desired = specs.later().scan()
    assert (desired.hold_reason, desired.workers["b"].spec.replicas) == ("", 5)
    assert states(specs.later().scan()) == {"a": "removed", "b": "good"}


def test_an_interrupted_agreement_starts_anew(specs: SpecsDirectory) -> None:
    git = specs.root / ".git"
    git.mkdir()
    specs.remove("a.yaml")
    assert states(specs.scan()) == GOOD
    (git / "index.lock").touch()
    specs.later().scan()
    (git / "index.lock").unlink()
    assert states(specs.later().scan()) == GOOD
    assert states(specs.later().scan()) == {"a": "removed", "b": "good"}


# --- unreadable parts ------------------------------------------------------------------------------------------------

AS_NOBODY = """
import os, sys
sys.path[:0] = {path!r}
from tests.sources.specs_builder import SpecsDirectory, states, told, worker
from pathlib import Path
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
specs = SpecsDirectory(Path({folder!r}))
specs.write("a.yaml", worker("a"))
specs.write("team/b.yaml", worker("b"))
specs.write("team/deep/c.yaml", worker("c"))
specs.write("d.yaml", worker("d"))
specs.scan()
(specs.root / "a.yaml").chmod(0)
(specs.root / "team").chmod(0)
specs.remove("d.yaml")
specs.write("a.yaml.new", worker("x"))
os.utime(specs.root / "a.yaml", (0, 0))
desired = specs.later().settled()
print(states(desired))
print(*told(desired), sep="\\n")
specs.root.chmod(0)
print(specs.later().scan().hold_reason)
specs.root.chmod(0o700)
(specs.root / "team").chmod(0o700)
"""


@pytest.fixture
def folder_of_nobody() -> Iterator[Path]:
    """A directory that a user without rights owns; pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp())
    if os.getuid() == 0:
        os.chown(folder, 65534, 65534)
    yield folder
    shutil.rmtree(folder)


def test_what_is_not_permitted_keeps_its_workers_and_forbids_removals(folder_of_nobody: Path) -> None:
    code = AS_NOBODY.format(path=[entry or os.getcwd() for entry in ["", *sys.path]], folder=str(folder_of_nobody))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    root = folder_of_nobody / "specs"
    assert (done.stderr, done.stdout.splitlines()) == (
        "",
        [
            "{'a': 'stale', 'b': 'stale', 'c': 'stale', 'd': 'stale'}",
            "a.yaml: cannot be read: Permission denied",
            (
                "d.yaml:1: d.yaml is gone, but d goes on: it may be in a.yaml, which cannot be understood now "
                "(correct a.yaml)"
            ),
            "team: cannot be read: Permission denied",
            f"the specs directory {root} cannot be read: Permission denied",
        ],
    )


def test_a_file_of_a_file_system_that_is_not_mounted_is_not_gone(specs: SpecsDirectory) -> None:
    journal = specs.state / "last_good" / "records.jsonl"
    journal.write_text(journal.read_text().replace('"on_submount": false', '"on_submount": true'))
    specs.remove("a.yaml")
    specs.start()
    desired = specs.later().settled()
    assert states(desired) == {"a": "stale", "b": "good"}
    assert told(desired) == ["a.yaml: cannot be read: the file system that held it is not mounted (mount it)"]
