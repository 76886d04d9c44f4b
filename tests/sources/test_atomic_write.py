"""Writing a spec file: the old bytes or the new ones, never a mixture, and never over somebody's edit."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from controller.sources.atomic import Conflict, write_atomically
from tests.sources.specs_builder import SpecsDirectory, states, told, worker


def test_content_is_replaced_and_the_mode_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"old")
    path.chmod(0o640)
    write_atomically(str(path), b"new", b"old")
    assert (path.read_bytes(), path.stat().st_mode & 0o777, os.listdir(tmp_path)) == (b"new", 0o640, ["a.yaml"])


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.yaml").write_bytes(b"old")
    (tmp_path / "a.yaml").symlink_to("data/a.yaml")
    write_atomically(str(tmp_path / "a.yaml"), b"new", b"old")
    assert ((tmp_path / "a.yaml").is_symlink(), (tmp_path / "data/a.yaml").read_bytes()) == (True, b"new")


@pytest.mark.parametrize("now", [b"edited", b"old and more", b""])
def test_an_edit_in_between_is_a_conflict_and_stays(tmp_path: Path, now: bytes) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(now)
    with pytest.raises(Conflict, match=r"a\.yaml was changed since it was read"):
        write_atomically(str(path), b"new", b"old")
    assert (path.read_bytes(), os.listdir(tmp_path)) == (now, ["a.yaml"])


def test_a_file_that_is_gone_is_a_conflict(tmp_path: Path) -> None:
    with pytest.raises(Conflict, match=r"a\.yaml is gone"):
        write_atomically(str(tmp_path / "a.yaml"), b"new", b"old")
    assert os.listdir(tmp_path) == []


def test_two_writers_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"old")
    other = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(Conflict, match=r"is being written to by another process"):
            write_atomically(str(path), b"new", b"old")
    finally:
        os.close(other)
    write_atomically(str(path), b"new", b"old")
    assert path.read_bytes() == b"new"


WRITE = """
import sys
from controller.sources.atomic import write_atomically
write_atomically(sys.argv[1], b"worker_id: a\\nname: new\\n" * 1, open(sys.argv[1], "rb").read())
"""


@pytest.mark.parametrize("point", ["before_write", "after_temp", "after_fsync", "after_rename"])
def test_killed_at_any_point_the_file_is_whole_and_the_next_write_works(tmp_path: Path, point: str) -> None:
    specs = SpecsDirectory(tmp_path)
    path = specs.write("a.yaml", worker("a"))
    environment = {**os.environ, "WORKERCTL_FAIL": f"sources.{point}=kill"}
    done = subprocess.run([sys.executable, "-c", WRITE, str(path)], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    is_new = point == "after_rename"
    assert path.read_text() == ("worker_id: a\nname: new\n" if is_new else worker("a"))
    os.utime(path, (specs.now - 10, specs.now - 10))
    assert (states(specs.scan()), told(specs.scan())) == ({"a": "good"}, [])
    subprocess.run([sys.executable, "-c", WRITE, str(path)], check=True)
    assert (path.read_text(), os.listdir(specs.root)) == ("worker_id: a\nname: new\n", ["a.yaml"])


@pytest.mark.parametrize("point", ["after_temp", "after_fsync"])
def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, point: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("worker_id: a\n")
    environment = {**os.environ, "WORKERCTL_FAIL": f"sources.{point}=enospc"}
    done = subprocess.run(
        [sys.executable, "-c", WRITE, str(path)], env=environment, capture_output=True, text=True, check=False
    )
    assert "No space left on device" in done.stderr
    assert (path.read_text(), os.listdir(tmp_path)) == ("worker_id: a\n", ["a.yaml"])
