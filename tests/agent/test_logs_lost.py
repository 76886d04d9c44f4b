"""Log files that are cut off, deleted or replaced while somebody writes to them: read on, or a gap, and always told."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller.agent import log_looks
from controller.agent.log_state import DELETED
from tests.agent.logs_shelf import CUT, LIMITS, Shelf, Worker, until, write


@pytest.fixture
def workers() -> Iterator[list[Worker]]:
    made: list[Worker] = []
    yield made
    for worker in made:
        worker.end()


def worker_of(shelf: Shelf, workers: list[Worker], run: str = "r1") -> Worker:
    workers.append(shelf.worker(run))
    return workers[-1]


# --- cut off by their writers ---


@pytest.mark.parametrize("new", [b"n", b"new lines", b"abcdefghij", b"new lines, and more of them"])
async def test_a_cut_is_seen_whatever_was_written_after_it(tmp_path: Path, new: bytes) -> None:
    shelf = Shelf(tmp_path)
    path = shelf.run("r1", b"0123456789")
    assert shelf.read("r1") == (0, b"0123456789", None)
    path.write_bytes(new)
    assert shelf.read("r1", 10) == (11, new, {"from": 10, "to": 11, "reason": CUT})
    assert shelf.read("r1", 11 + len(new)) == (11 + len(new), b"", None)
    shelf.logs.close()


async def test_a_cut_of_a_large_file_that_has_grown_beyond_its_old_size_is_seen(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    old, new = (b"".join(b"%s %06d\n" % (word, at) for at in range(4000)) for word in (b"old", b"new"))
    path = shelf.run("r1", old)
    shelf.read("r1", 0, 1)
    path.write_bytes(new + b"more\n")
    start, data, gap = shelf.read("r1", 100)
    assert (start, data, gap) == (len(old) + 1, new + b"more\n", {"from": 100, "to": len(old) + 1, "reason": CUT})
    shelf.logs.close()


async def test_the_same_line_written_anew_is_read_again_after_a_moment(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    path = shelf.run("r1", b"disk?\n")
    shelf.read("r1")
    path.write_bytes(b"disk?\n")
    os.utime(path, (1000.0, 1000.0))
    assert shelf.read("r1", 6) == (6, b"", None)
    state = shelf.logs._known["r1", "stdout"]
    assert state.doubted_at is not None
    state.doubted_at -= log_looks.DOUBT_S + 1
    shelf.logs.tidy()
    assert shelf.read("r1", 6) == (7, b"disk?\n", {"from": 6, "to": 7, "reason": CUT})
    shelf.logs.close()


async def test_a_large_file_that_is_only_touched_is_not_read_again(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    path = shelf.run("r1", b"x" * 5000)
    shelf.read("r1")
    os.utime(path, (1000.0, 1000.0))
    assert shelf.read("r1", 5000) == (5000, b"", None)
    assert shelf.logs._known["r1", "stdout"].doubted_at is None
    shelf.logs.close()


async def test_the_hole_before_what_a_writer_that_does_not_append_goes_on_with_is_no_output(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    path = shelf.run("r1")
    with path.open("wb", buffering=0) as writer:
        writer.write(b"a" * 100_000)
        shelf.read("r1", 0, 1)
        os.truncate(path, 0)
        writer.write(b"b" * 10)
    start, data, gap = shelf.read("r1", 100_000)
    assert (data.lstrip(b"\0"), len(data) < 4096) == (b"b" * 10, True)
    assert gap == {"from": 100_000, "to": start, "reason": CUT}
    shelf.logs.close()


async def test_a_cut_while_no_agent_ran_is_seen_by_what_was_stored(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    path = shelf.run("r1", b"0123456789")
    shelf.read("r1")
    shelf.logs.stored("r1", "stdout", 10)
    shelf.logs.close()
    path.write_bytes(b"new")
    shelf = Shelf(tmp_path)
    shelf.logs.resume([("web/0", "r1")])
    assert shelf.read("r1", 10) == (11, b"new", {"from": 10, "to": 11, "reason": CUT})
    shelf.logs.close()


# --- without their names ---


def _remove_folder(path: Path, _other: Path) -> None:
    for each in path.parent.iterdir():
        each.unlink()
    path.parent.rmdir()


def _move_folder(path: Path, other: Path) -> None:
    path.parent.rename(other / "folder")
    (other / "decoy").mkdir(exist_ok=True)
    (other / "decoy" / path.name).write_bytes(b"secret")
    path.parent.symlink_to(other / "decoy")


def _link(path: Path, other: Path) -> None:
    (other / "secret").write_bytes(b"secret")
    path.symlink_to(other / "secret")


def _bind(path: Path, _other: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))


MISDEEDS: dict[str, Callable[[Path, Path], object]] = {
    "link": _link,
    "socket": _bind,
    "fifo": lambda path, _: os.mkfifo(path),
    "folder": lambda path, _: path.mkdir(),
    "device": lambda path, _: os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5)),
    "file": lambda path, _: path.write_bytes(b"not its output, and longer than that"),
    "deleted": lambda _path, _: None,
}


def replace(path: Path, by: str, other: Path) -> None:
    """What somebody does to a live log file."""
    if by == "moved":
        path.rename(other / "elsewhere")
    elif by == "folder removed":
        _remove_folder(path, other)
    elif by == "folder moved":
        _move_folder(path, other)
    else:
        path.unlink()
        MISDEEDS[by](path, other)


WAYS = ["deleted", "moved", "folder removed", "folder moved", "link", "fifo", "folder", "socket", "file"]
if os.geteuid() == 0:
    WAYS.append("device")


@pytest.mark.parametrize("by", WAYS)
async def test_a_live_file_without_its_name_is_read_on_and_punched(
    tmp_path: Path, workers: list[Worker], by: str
) -> None:
    shelf = Shelf(tmp_path)
    worker = worker_of(shelf, workers)
    worker.say(b"one\n")
    await until(lambda: shelf.pushes and shelf.read("r1") == (0, b"one\n", None))
    replace(worker.path, by, tmp_path)
    worker.say(b"two\n")
    assert shelf.read("r1", 4) == (4, b"two\n", None)
    worker.say(b"x" * 3 * LIMITS.max_bytes)
    await until(lambda: worker.blocks() < 2 * LIMITS.max_bytes)
    # Nobody writes to the other stream: that one is lost with its folder.
    assert [kind for kind, _ in shelf.told if kind != "log_file_lost" or "folder" not in by] == ["log_file_replaced"]
    worker.say(b"last")
    shelf.logs.close_run("web/0", "r1")
    size = 12 + 3 * LIMITS.max_bytes
    assert shelf.read("r1", size - 4) == (size - 4, b"last", None)
    assert (tmp_path / "secret").exists() == (by == "link")
    shelf.logs.stored("r1", "stdout", size)
    await shelf.logs.pack()
    shelf.logs.close()


@pytest.mark.parametrize("by", ["deleted", "folder removed", "fifo", "link", "file"])
async def test_a_restart_of_ours_finds_a_file_that_has_lost_its_name(
    tmp_path: Path, workers: list[Worker], by: str
) -> None:
    shelf = Shelf(tmp_path)
    worker = worker_of(shelf, workers)
    worker.say(b"one\n")
    assert shelf.read("r1") == (0, b"one\n", None)
    shelf.logs.close()
    replace(worker.path, by, tmp_path)
    worker.say(b"two\n")
    shelf = Shelf(tmp_path)
    shelf.logs.resume([("web/0", "r1")])
    assert shelf.read("r1", 4) == (4, b"two\n", None)
    worker.say(b"three\n")
    await until(lambda: shelf.pushes)
    assert shelf.read("r1", 8) == (8, b"three\n", None)
    shelf.logs.close()


async def test_one_that_was_deleted_before_it_was_seen_is_found(tmp_path: Path, workers: list[Worker]) -> None:
    shelf = Shelf(tmp_path)
    worker = worker_of(shelf, workers)
    worker.path.unlink()
    worker.say(b"one\n")
    await until(lambda: shelf.pushes)
    assert shelf.read("r1") == (0, b"one\n", None)
    shelf.logs.close()


@pytest.mark.parametrize("has_ended", [True, False])
async def test_what_nobody_has_open_any_more_is_a_gap_and_told_once(tmp_path: Path, has_ended: bool) -> None:
    shelf = Shelf(tmp_path)
    path = shelf.run("r1", b"0123456789")
    assert shelf.read("r1", 0, 4) == (0, b"0123", None)
    if has_ended:
        shelf.logs.close_run("web/0", "r1")
    path.unlink()
    gap = {"from": 4, "to": 11, "reason": DELETED}
    for _ in range(2):
        assert shelf.read("r1", 4) == (11, b"", gap)
    assert shelf.told == [("log_file_lost", "r1")]
    assert shelf.read("r1", 11) == (11, b"", None)
    shelf.logs.close()


async def test_a_new_file_in_the_place_of_a_lost_one_is_read(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    path = shelf.run("r1", b"0123456789")
    shelf.read("r1")
    path.unlink()
    assert shelf.read("r1", 10) == (11, b"", {"from": 10, "to": 11, "reason": DELETED})
    write(path, b"new")
    assert shelf.read("r1", 11) == (11, b"new", None)
    shelf.logs.close()


async def test_the_next_run_in_a_folder_that_somebody_removed_is_noticed(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    path = shelf.run("r1", b"text")
    await until(lambda: shelf.pushes)
    replace(path, "folder removed", tmp_path)
    await until(lambda: shelf.logs.degraded)
    shelf.run("r2", b"text")
    assert shelf.logs.degraded == ""
    await until(lambda: shelf.pushes[-1]["run"] == "r2")
    replace(path, "folder moved", tmp_path)
    path.parent.unlink()
    shelf.run("r3", b"text")
    await until(lambda: shelf.pushes[-1]["run"] == "r3")
    shelf.logs.close()
