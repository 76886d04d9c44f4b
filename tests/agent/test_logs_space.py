"""Room for log files: a full disk gives up the oldest bytes, workers go on, and what went is told."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.agent.log_state import DISK_FULL
from tests.agent.logs_shelf import LIMITS, Shelf, Worker, until

DISK = 8 * 1024 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes in a mount namespace of its own: it goes with its process."""
    place = tmp_path / "disk"
    place.mkdir()
    script = f'mount -t tmpfs -o size={DISK} none "$0" && echo mounted && exec cat'
    command = ["unshare", "--mount", "sh", "-c", script, str(place)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert holder.stdin is not None
    assert holder.stdout is not None
    has_mounted = holder.stdout.readline() == b"mounted\n"
    if has_mounted:
        yield Path(f"/proc/{holder.pid}/root{place}")
    holder.communicate(timeout=10)
    if not has_mounted:
        assert not os.environ.get("CI"), "CI can mount"
        pytest.skip("cannot mount here")


@pytest.fixture
def workers() -> Iterator[list[Worker]]:
    made: list[Worker] = []
    yield made
    for worker in made:
        worker.end()


async def test_a_flood_on_a_small_disk_goes_on_and_leaves_a_gap(small_disk: Path, workers: list[Worker]) -> None:
    shelf = Shelf(small_disk, LIMITS._replace(max_bytes=1 << 30))
    worker = shelf.worker("r1")
    workers.append(worker)
    piece = b"x" * 63 + b"\n"
    for number in range(40):
        worker.say(piece * 4096)  # a quarter of a megabyte
        await until(lambda wanted=number + 1: shelf.pushes and shelf.pushes[-1]["size"] == wanted << 18)  # type: ignore[misc]
    start, data, gap = shelf.read("r1")
    assert gap == {"from": 0, "to": start, "reason": DISK_FULL}
    assert data[:64] == piece
    assert ("log_disk_full", None) in shelf.told
    assert shelf.logs.degraded == ""
    shelf.logs.close()


async def test_stored_bytes_go_before_others_and_ended_runs_before_live_ones(small_disk: Path) -> None:
    shelf = Shelf(small_disk, LIMITS._replace(max_bytes=1 << 30, archives=10))
    for run in ("r1", "r2", "r3"):
        shelf.run(run, b"x" * (DISK // 4))
        if run != "r3":
            shelf.logs.close_run("web/0", run)
    shelf.logs.stored("r2", "stdout", DISK // 4)
    await until(lambda: shelf.pushes[-1]["run"] == "r3")
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (DISK // 4 - DISK // 100))
    shelf.logs.tidy()
    assert [name for name in shelf.names() if name.endswith("stdout")] == ["web/0/r1.stdout", "web/0/r3.stdout"]
    assert shelf.told == [("log_disk_full", None)]
    with filler.open("ab") as file:
        file.write(b"x" * (DISK // 4))
    shelf.logs.tidy()
    assert [name for name in shelf.names() if name.endswith("stdout")] == ["web/0/r3.stdout"]
    assert shelf.told[1:] == [("logs_dropped", "r1")]
    with filler.open("ab") as file:
        file.write(b"x" * (DISK // 4))
    shelf.logs.tidy()
    gap = shelf.read("r3")[2]
    assert gap is not None
    assert gap["reason"] == DISK_FULL
    shelf.logs.close()


async def test_a_disk_that_others_filled_is_said_and_heals(small_disk: Path, workers: list[Worker]) -> None:
    shelf = Shelf(small_disk)
    worker = shelf.worker("r1")
    workers.append(worker)
    worker.say(b"one\n")
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (DISK - DISK // 64))
    await asyncio.sleep(0)
    shelf.logs.tidy()
    assert shelf.logs.degraded == "the disk of the logs is full and no log bytes are left to give up"
    filler.unlink()
    worker.say(b"two\n")
    await until(lambda: shelf.logs.degraded == "")
    assert shelf.read("r1") == (0, b"one\ntwo\n", None)
    shelf.logs.close()


async def test_the_output_of_a_run_that_outlives_its_slot_is_bounded(tmp_path: Path, workers: list[Worker]) -> None:
    shelf = Shelf(tmp_path)
    worker = shelf.worker("r1")
    workers.append(worker)
    shelf.slots.clear()
    shelf.logs.drop_slot("web/0")
    for _ in range(3):
        worker.say(b"x" * 50_000_000)
        size = os.fstat(worker.descriptor).st_size
        await until(lambda wanted=size: shelf.pushes and shelf.pushes[-1]["size"] == wanted)  # type: ignore[misc]
    await until(lambda: worker.blocks() < 100_000_000)
    shelf.logs.close_run("web/0", "r1")
    assert shelf.logs._watch._watches == {}, "the folder of a slot that is gone is watched no longer"
    assert shelf.logs._watch._resting == set()
    shelf.logs.close()


async def test_runs_that_end_quickly_are_removed_as_they_end(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    for number in range(20):
        path = shelf.run(f"r{number:02d}", b"text")
        os.utime(path, (1000.0 + number, 1000.0 + number))
        shelf.logs.close_run("web/0", f"r{number:02d}")
        assert len([name for name in shelf.names() if name.endswith("stdout")]) <= 2 * LIMITS.archives
    shelf.logs.close()


async def test_a_file_that_grew_while_no_agent_ran_is_cut_to_its_cap_though_nobody_writes_any_more(
    tmp_path: Path,
) -> None:
    for live in ([], ["r1"]):
        shelf = Shelf(tmp_path / str(len(live)))
        path = shelf.run("r1")
        path.write_bytes(b"x" * 10 * LIMITS.max_bytes)
        shelf.reopen(*live)
        assert path.stat().st_blocks * 512 <= LIMITS.max_bytes + 4096
        shelf.logs.close()


async def test_what_was_kept_only_until_it_is_stored_goes_when_it_is(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    size = LIMITS.max_bytes * 3 // 2
    path = shelf.run("r1", b"x" * size)
    await until(lambda: shelf.pushes)
    assert path.stat().st_blocks * 512 >= size
    shelf.logs.stored("r1", "stdout", size)
    assert path.stat().st_blocks * 512 <= LIMITS.max_bytes + 4096
    shelf.logs.close()
