"""A directory that is lost as a whole, with one, three and three hundred workers: nothing is removed, and it is said.

Each way to lose it is a real one. What follows is the same for all: every worker goes on with its last good spec, over
a restart too; what comes back as it was is taken without a question; a confirmation removes exactly what was asked.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.core.desired import Desired
from tests.sources.hint_listener import needs_namespaces
from tests.sources.specs_builder import SpecsDirectory, revisions, worker

COUNTS = pytest.mark.parametrize("count", [1, 3, 300])
NOBODY = 65534


def filled(folder: Path, count: int) -> tuple[SpecsDirectory, Desired]:
    """So many workers, two in a file, in two directories."""
    specs = SpecsDirectory(folder)
    for number in range(0, count, 2):
        pair = [worker(f"w{one}") for one in range(number, min(number + 2, count))]
        specs.write(f"{'team/' if number % 4 else ''}{number}.yaml", "---\n".join(pair))
    return specs, specs.scan()


def deleted(specs: SpecsDirectory) -> None:
    shutil.rmtree(specs.root)


def emptied(specs: SpecsDirectory) -> None:
    for path in list(specs.root.iterdir()):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def only_ignored_files_left(specs: SpecsDirectory) -> None:
    emptied(specs)
    specs.write(".gitkeep", "")
    specs.write("README.md", "specs")


def made_anew_and_empty(specs: SpecsDirectory) -> None:
    deleted(specs)
    specs.root.mkdir()


def moved_away(specs: SpecsDirectory) -> None:
    specs.root.rename(specs.root.with_name("moved"))


def another_moved_there(specs: SpecsDirectory) -> None:
    moved_away(specs)
    specs.write("other.yaml", worker("other"), root=specs.root.with_name("another"))
    specs.root.with_name("another").rename(specs.root)


def another_made_there(specs: SpecsDirectory) -> None:
    """It mostly gets the very inode number of the one that was deleted."""
    deleted(specs)
    specs.write("other.yaml", worker("other"))


def a_file_in_its_place(specs: SpecsDirectory) -> None:
    deleted(specs)
    specs.root.write_text("")


def a_link_to_nowhere(specs: SpecsDirectory) -> None:
    deleted(specs)
    specs.root.symlink_to("nowhere")


def a_link_to_itself(specs: SpecsDirectory) -> None:
    deleted(specs)
    specs.root.symlink_to(specs.root.name)


WAYS: list[tuple[Callable[[SpecsDirectory], None], str]] = [
    (deleted, "does not exist, but {} known from it"),
    (emptied, "is empty, but {} known from it"),
    (only_ignored_files_left, "is empty, but {} known from it"),
    (made_anew_and_empty, "is empty, but {} known from it"),
    (moved_away, "does not exist, but {} known from it"),
    (another_moved_there, "was replaced by another one, but {} known from it"),
    (another_made_there, "was replaced by another one, but {} known from it"),
    (a_file_in_its_place, "cannot be read: Not a directory"),
    (a_link_to_nowhere, "does not exist, but {} known from it"),
    (a_link_to_itself, "cannot be read: Too many levels of symbolic links"),
]


def known(count: int) -> str:
    return "1 worker is" if count == 1 else f"{count} workers are"


@COUNTS
@pytest.mark.parametrize(("lose", "reason"), [pytest.param(*way, id=way[0].__name__) for way in WAYS])
def test_a_lost_directory_removes_nothing_and_every_worker_goes_on(
    tmp_path: Path, count: int, lose: Callable[[SpecsDirectory], None], reason: str
) -> None:
    specs, before = filled(tmp_path, count)
    lose(specs)
    expected = f"the specs directory {specs.root} {reason.format(known(count))}"
    for _ in range(3):
        held = specs.later(60).settled()
        assert (held.hold_reason, dict(held.removed), revisions(held)) == (expected, {}, revisions(before))
        specs.start()


@COUNTS
def test_what_comes_back_as_it_was_is_taken_without_a_question(tmp_path: Path, count: int) -> None:
    specs, before = filled(tmp_path, count)
    shutil.copytree(specs.root, tmp_path / "backup")
    for lose in (emptied, deleted, another_moved_there):
        lose(specs)
        assert specs.later(60).scan().hold_reason
        if specs.root.exists():
            shutil.rmtree(specs.root)
        shutil.rmtree(specs.root.with_name("moved"), ignore_errors=True)
        shutil.copytree(tmp_path / "backup", specs.root)
        after = specs.later(60).settled()
        assert (after.hold_reason, after.hold_digest, dict(after.removed)) == ("", "", {})
        assert after.workers == before.workers


def test_what_is_copied_back_just_now_is_waited_for_and_then_taken(tmp_path: Path) -> None:
    specs, before = filled(tmp_path, 3)
    deleted(specs)
    for number, text in ((0, f"{worker('w0')}---\n{worker('w1')}"), (2, worker("w2"))):
        specs.write(f"{number}.yaml", text, age_s=0)
    waiting = specs.result()
    assert (waiting.desired.hold_reason, waiting.desired.hold_digest, waiting.again_at) == (
        f"the specs directory {specs.root} was replaced by another one, which is still being written",
        "",
        specs.now + 0.2,
    )
    after = specs.later().scan()
    assert (after.hold_reason, revisions(after)) == ("", revisions(before))


@COUNTS
def test_a_copy_in_which_one_worker_is_another_waits_for_a_confirmation(tmp_path: Path, count: int) -> None:
    """Another directory is believed as a whole or not at all."""
    specs, before = filled(tmp_path, count)
    moved_away(specs)
    shutil.copytree(specs.root.with_name("moved"), specs.root)
    specs.write("0.yaml", worker("w0", "replicas: 2\n"))
    held = specs.later(60).settled()
    assert (held.hold_reason != "", revisions(held)) == (True, revisions(before))
    specs.source.confirm(held.hold_digest)
    after = specs.later().settled()
    assert (after.hold_reason, after.workers["w0"].spec.replicas) == ("", 2)
    assert sorted(after.removed) == sorted({"w1"} & before.workers.keys())  # it stood in the file that was replaced


@COUNTS
def test_a_confirmation_removes_all_once_two_scans_agree_and_only_for_what_was_lost_then(
    tmp_path: Path, count: int
) -> None:
    specs, before = filled(tmp_path, count)
    emptied(specs)
    digest = specs.scan().hold_digest
    deleted(specs)  # meanwhile it is another loss, with a digest of its own
    specs.source.confirm(digest)
    assert specs.later().settled().removed == {}
    specs.source.confirm(specs.scan().hold_digest)
    assert specs.later().settled().removed.keys() == before.workers.keys()


# --- what needs another user, or mounts ------------------------------------------------------------------------------

DRIVER = """
import os, subprocess, sys
from pathlib import Path
sys.path[:0] = {path!r}
from tests.sources.specs_builder import revisions
from tests.sources.test_directory_losses import filled
{code}
"""


def run_apart(code: str, *prefix: str, folder: Path, count: int) -> list[str]:
    """The lines that a program prints that begins with a filled directory: `specs`, `before`."""
    setup = f"specs, before = filled(Path({str(folder)!r}), {count})\n" if "filled" not in code else ""
    path = [entry or os.getcwd() for entry in ["", *sys.path]]
    command = [*prefix, sys.executable, "-c", DRIVER.format(path=path, code=setup + code)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stderr, done.returncode) == ("", 0)
    return done.stdout.splitlines()


UNREADABLE = """
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
specs, before = filled(Path(sys.argv[1] if sys.argv[1:] else {folder!r}), {count})
specs.root.chmod(0)
held = specs.later(60).settled()
print(held.hold_reason, "|", held.hold_digest, "|", len(held.removed), revisions(held) == revisions(before))
specs.start()
held = specs.later(60).settled()
print(held.hold_reason, "|", held.hold_digest, "|", len(held.removed), revisions(held) == revisions(before))
specs.root.chmod(0o700)
after = specs.later(60).settled()
print(repr(after.hold_reason), after.workers == before.workers)
"""


@COUNTS
def test_an_unreadable_directory_is_held_until_it_can_be_read_again(count: int) -> None:
    folder = Path(tempfile.mkdtemp())
    if os.getuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    try:
        lines = run_apart(UNREADABLE.format(folder=str(folder), count=count), folder=folder, count=count)
    finally:
        shutil.rmtree(folder)
    held = f"the specs directory {folder}/specs cannot be read: Permission denied |  | 0 True"
    assert lines == [held, held, "'' True"]


UNMOUNTED = """
mount = lambda *what: subprocess.run(what, check=True)
def show(desired):
    same = desired.workers.keys() == before.workers.keys() and revisions(desired) == revisions(before)
    print(desired.hold_reason or "fine", "|", bool(desired.hold_digest), len(desired.removed), same)
import shutil
root = str(specs.root)
shutil.copytree(root, root + ".copy")
shutil.rmtree(root); os.mkdir(root)
mount("mount", "-t", "tmpfs", "specs", root)
shutil.copytree(root + ".copy", root, dirs_exist_ok=True)
show(specs.later(60).settled())
mount("umount", root)
show(specs.later(60).settled())
specs.start()
show(specs.later(60).settled())
mount("mount", "-t", "tmpfs", "specs", root)
show(specs.later(60).settled())
shutil.copytree(root + ".copy", root, dirs_exist_ok=True)
show(specs.later(60).settled())
mount("umount", root)
mount("mount", "-t", "tmpfs", "specs", root)
specs.write("new.yaml", "worker_id: new\\ncommand: [x]\\n")
show(specs.later(60).settled())
"""


@COUNTS
def test_an_unmounted_directory_is_held_and_goes_on_by_itself_when_it_is_mounted_again(
    tmp_path: Path, count: int
) -> None:
    needs_namespaces("--mount")
    lines = run_apart(UNMOUNTED, "unshare", "--mount", folder=tmp_path, count=count)
    empty = f"the specs directory {tmp_path}/specs is empty, but {known(count)} known from it | True 0 True"
    other = f"the specs directory {tmp_path}/specs was replaced by another one, but {known(count)} known from it"
    assert lines == ["fine | False 0 True", empty, empty, empty, "fine | False 0 True", f"{other} | True 0 True"]
