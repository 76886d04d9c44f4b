"""Log files: offsets that only grow, gaps that say why, space that comes back, links that are not followed."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from controller.agent.log_index import POINTS_KEPT, TimeIndex
from controller.agent.log_watch import LogWatch
from controller.agent.logs import ReadError
from tests.agent.logs_shelf import CUT, LIMITS, Shelf, until, write


async def test_bytes_are_read_from_any_offset_up_to_the_end_and_the_limit(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.run("r1", b"0123456789")
    assert shelf.read("r1") == (0, b"0123456789", None)
    assert shelf.read("r1", 4, 3) == (4, b"456", None)
    assert shelf.read("r1", 10) == (10, b"", None)
    with pytest.raises(ReadError, match="there is no stdout of run r9"):
        shelf.read("r9")
    shelf.logs.close()


async def test_new_bytes_are_told_of_and_a_flood_is_told_of_seldom(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    path = shelf.run("r1")
    await asyncio.sleep(0)
    with path.open("ab", buffering=0) as file:
        for _ in range(300):
            file.write(b"x" * 10)
            await asyncio.sleep(0.001)
    await until(lambda: shelf.pushes and shelf.pushes[-1]["size"] == 3000)
    assert shelf.pushes[-1] == {"push": "log", "run": "r1", "stream": "stdout", "slot": "web/0", "size": 3000}
    assert len(shelf.pushes) < 40
    shelf.logs.close()


async def test_what_the_writer_truncates_is_a_gap_and_its_new_bytes_have_later_offsets(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    path = shelf.run("r1", b"0123456789")
    assert shelf.read("r1", 0, 4) == (0, b"0123", None)
    path.write_bytes(b"new")
    assert shelf.read("r1", 4) == (11, b"new", {"from": 4, "to": 11, "reason": CUT})
    write(path, b"er")
    shelf.reopen("r1")
    assert shelf.read("r1", 11) == (11, b"newer", None)
    shelf.logs.close()


async def test_a_truncation_while_nobody_looked_is_seen_by_the_readers_cursor(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    path = shelf.run("r1", b"0123456789")
    shelf.logs.close()
    path.write_bytes(b"new")
    shelf = Shelf(tmp_path)
    shelf.logs.resume([("web/0", "r1")])
    assert shelf.read("r1", 10) == (11, b"new", {"from": 10, "to": 11, "reason": CUT})
    shelf.logs.close()


async def test_stored_heads_are_punched_at_the_cap_and_offsets_stay(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    path = shelf.run("r1", b"a" * 40_000)
    shelf.logs.stored("r1", "stdout", 0)
    await until(lambda: shelf.pushes)
    shelf.logs.stored("r1", "stdout", 40_000)
    write(path, b"b" * 60_000)
    await until(lambda: path.stat().st_blocks * 512 < 80_000)
    head = (100_000 - LIMITS.max_bytes) // 4096 * 4096
    offset, data, gap = shelf.read("r1")
    assert (offset, len(data), gap) == (head, 100_000 - head, {"from": 0, "to": head, "reason": "over the cap"})
    assert (path.stat().st_size, data) == (100_000, b"a" * (40_000 - head) + b"b" * 60_000)
    shelf.reopen("r1")
    assert shelf.read("r1", 0, 1)[0] == head
    shelf.logs.close()


async def test_unstored_bytes_are_kept_up_to_twice_the_cap_and_then_a_gap(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    path = shelf.run("r1", b"a" * 120_000)
    await until(lambda: shelf.pushes and shelf.pushes[-1]["size"] == 120_000)
    assert shelf.read("r1", 0, 5) == (0, b"aaaaa", None)
    write(path, b"b" * 20_000)
    await until(lambda: shelf.pushes[-1]["size"] == 140_000)
    head = (140_000 - LIMITS.max_bytes) // 4096 * 4096
    assert shelf.read("r1", 5, 1) == (head, b"a", {"from": 5, "to": head, "reason": "over the cap"})
    shelf.logs.close()


async def test_times_say_when_bytes_were_written_also_after_a_restart(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    path = shelf.run("r1")
    for at in range(3):
        write(path, b"x" * 10)
        os.utime(path, (1000.0 + at, 1000.0 + at))
        shelf.logs.read("r1", "stdout", 0, 0)
    expected = [(0, 1000.0), (10, 1001.0), (20, 1002.0)]
    assert shelf.logs.read("r1", "stdout", 0, 30)[0]["times"] == expected
    assert shelf.logs.read("r1", "stdout", 12, 8)[0]["times"] == expected[1:2]
    shelf.logs.stored("r1", "stdout", 15)
    shelf.reopen("r1")
    assert shelf.logs.read("r1", "stdout", 15, 30)[0]["times"] == expected[1:]
    shelf.logs.close()


def test_an_index_is_bounded_and_grows_coarse_at_its_old_end() -> None:
    index = TimeIndex()
    for at in range(3 * POINTS_KEPT):
        assert index.add(at * 10, at / 5)
        assert not index.add(at * 10 + 1, at / 5 + 0.05)
    points = list(index.points())
    assert len(points) <= POINTS_KEPT
    assert points[0] == (0, 0.0)
    assert points[-1] == ((3 * POINTS_KEPT - 1) * 10, (3 * POINTS_KEPT - 1) / 5)
    assert len(index.between(0, 10**9)) <= 2100


async def test_old_ended_runs_go_when_stored_and_beyond_twice_the_number_with_an_event(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    for number in range(6):
        path = shelf.run(f"r{number}", b"text")
        shelf.logs.close_run("web/0", f"r{number}")
        os.utime(path, (1000.0 + number, 1000.0 + number))
    shelf.reopen()
    shelf.logs.stored("r2", "stdout", 4)
    shelf.logs.tidy()
    kept = {name.split("/")[2] for name in shelf.names() if name.endswith("stdout")}
    assert kept == {"r3.stdout", "r4.stdout", "r5.stdout"}
    assert shelf.told == [("logs_dropped", "r0"), ("logs_dropped", "r1")]
    shelf.logs.close()


async def test_a_slot_that_went_keeps_its_files_until_they_are_stored(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.run("r1", b"last words")
    shelf.logs.close_run("web/0", "r1")
    shelf.slots.clear()
    shelf.logs.drop_slot("web/0")
    assert (shelf.names(), shelf.read("r1")) == (["web/0/r1.stdout"], (0, b"last words", None))
    shelf.logs.stored("r1", "stdout", 10)
    assert (shelf.names(), os.listdir(tmp_path / "logs")) == ([], [])
    shelf.logs.close()


async def test_what_cannot_be_watched_is_polled_and_said_to_be(tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []
    rounds: list[bool] = []
    watch = LogWatch(lambda slot, name: seen.append((slot, name)), lambda: rounds.append(True))
    assert watch.degraded == ""
    watch.add("web/0", str(tmp_path / "missing"))
    assert watch.degraded == "some log folders cannot be watched: their files are polled"
    await until(lambda: len(rounds) == 2)
    assert set(seen) == {("", "")}
    watch.remove("web/0")
    assert watch.degraded == ""
    watch.close()


async def test_a_folder_that_rests_is_silent_and_speaks_again_with_the_next_run(tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []
    watch = LogWatch(lambda slot, name: seen.append((slot, name)), lambda: None)
    for slot in ("web", "db"):
        (tmp_path / slot).mkdir()
        watch.add(slot, str(tmp_path / slot))
    watch.rest("web")
    (tmp_path / "web/r1.stdout").write_bytes(b"packed")
    (tmp_path / "db/r2.stdout").write_bytes(b"a line")
    await until(lambda: bool(seen))
    assert set(seen) == {("db", "r2.stdout")}
    watch.add("web", str(tmp_path / "web"))
    (tmp_path / "web/r3.stdout").write_bytes(b"a line")
    await until(lambda: ("web", "r3.stdout") in seen)
    watch.rest("web")
    (tmp_path / "web/r1.stdout").unlink()
    (tmp_path / "web/r3.stdout").unlink()
    (tmp_path / "web").rmdir()
    (tmp_path / "db/r4.stdout").write_bytes(b"a line")
    await until(lambda: ("db", "r4.stdout") in seen)
    assert watch.degraded == "", "nobody misses the folder of a worker that does not run"
    watch.close()


def lines(count: int) -> bytes:
    return b"".join(b"line %07d\n" % number for number in range(count))


async def test_a_stored_ended_file_is_compressed_and_reads_as_before_also_after_a_restart(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, LIMITS._replace(max_bytes=1 << 20))
    content = lines(10_000)
    shelf.run("r1", content)
    shelf.logs.close_run("web/0", "r1")
    await shelf.logs.pack()
    assert shelf.names() == ["web/0/r1.stderr", "web/0/r1.stdout"]
    shelf.logs.stored("r1", "stdout", len(content))
    await shelf.logs.pack()
    assert shelf.names() == ["web/0/r1.stderr", "web/0/r1.stdout.0.gz"]
    for _ in range(2):
        assert shelf.logs.is_archived("r1", "stdout")
        assert shelf.read("r1") == (0, content, None)
        assert shelf.read("r1", 50_000, 7) == (50_000, content[50_000:50_007], None)
        assert shelf.read("r1", len(content)) == (len(content), b"", None)
        assert {"run": "r1", "slot": "web/0", "stream": "stdout", "size": len(content), "ended": True,
                "stored": len(content)} in shelf.logs.listing()  # fmt: skip
        shelf.reopen()
    shelf.logs.close()


async def test_a_punched_head_is_not_compressed_and_stays_a_gap(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    content = lines(16_000)
    path = shelf.run("r1", content)
    await until(lambda: shelf.pushes and path.stat().st_blocks * 512 < 100_000)
    head = shelf.read("r1", 0, 1)[0]
    shelf.logs.close_run("web/0", "r1")
    shelf.logs.stored("r1", "stdout", len(content))
    await shelf.logs.pack()
    assert shelf.names() == ["web/0/r1.stderr", f"web/0/r1.stdout.{head}.gz"]
    gap = {"from": 0, "to": head, "reason": "over the cap"}
    assert shelf.read("r1") == (head, content[head:], gap)
    shelf.reopen()
    assert shelf.read("r1") == (head, content[head:], gap)
    shelf.logs.close()


async def test_an_older_run_is_compressed_though_it_is_not_stored_and_what_was_cut_off_is_made_good(
    tmp_path: Path,
) -> None:
    shelf = Shelf(tmp_path)
    old, new = shelf.run("r1", lines(9000)), shelf.run("r2", lines(9000))
    os.utime(new, (4e9, 4e9))
    for run in ("r1", "r2"):
        shelf.logs.close_run("web/0", run)
    await shelf.logs.pack()
    assert shelf.names() == ["web/0/r1.stderr", "web/0/r1.stdout.0.gz", "web/0/r2.stderr", "web/0/r2.stdout"]
    # We died before the plain file was removed, and in the middle of another archive.
    old.write_bytes(lines(9000))
    (old.parent / "r2.stdout.0.gz.tmp").write_bytes(b"half")
    shelf.reopen()
    assert shelf.names() == ["web/0/r1.stderr", "web/0/r1.stdout.0.gz", "web/0/r2.stderr", "web/0/r2.stdout"]
    assert shelf.read("r1") == (0, lines(9000), None)
    shelf.logs.close()


async def test_a_broken_archive_is_an_error_of_its_reader_only(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, LIMITS._replace(max_bytes=1 << 20))
    shelf.run("r1", lines(9000))
    shelf.logs.close_run("web/0", "r1")
    shelf.logs.stored("r1", "stdout", 9000 * 13)
    await shelf.logs.pack()
    (tmp_path / "logs/web/0/r1.stdout.0.gz").write_bytes(b"\x1f\x8b" + b"nonsense" * 20)
    with pytest.raises(ReadError):
        shelf.read("r1")
    shelf.logs.close()


async def test_runs_of_hooks_do_not_push_out_those_of_the_worker(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    for number, run in enumerate(["r1", "r2", *(f"h{at}-pre_start" for at in range(9))]):
        path = shelf.run(run, b"text")
        shelf.logs.close_run("web/0", run)
        os.utime(path, (1000.0 + number, 1000.0 + number))
    shelf.reopen()
    shelf.logs.tidy()
    kept = {name.split("/")[2] for name in shelf.names() if name.endswith("stdout")}
    assert {"r1.stdout", "r2.stdout"} <= kept
    assert len(kept) == 2 + 2 * LIMITS.archives
    shelf.logs.close()
