"""Output at full speed, on tmpfs and on a disk: bounded files, and of every byte it is known what became of it.

Nothing here judges speed below seconds: the machine may be busy. The writers say how long their longest write took.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.e2e_flood import Mounted, Witness, account, can_mount, database, report, until_stored, writer
from tests.e2e.e2e_installation import PYTHON, Installation
from tests.e2e.e2e_processes import eventually

pytestmark = pytest.mark.e2e

MIB = 1024 * 1024
FLOOD = 1024 * MIB
CAP = 8 * MIB


@pytest.fixture
def mounted(request: pytest.FixtureRequest) -> Iterator[Mounted]:
    """An installation whose log files are on a tmpfs; its options are the parameter."""
    if not can_mount():
        assert not os.environ.get("CI"), "CI can mount"
        pytest.skip("cannot mount here")
    made = Mounted(f"-t tmpfs -o {request.param} none")
    yield made
    wrong = made.close()
    made.remove()
    assert wrong == []


def run_of(site: Installation, worker_id: str, nth: int = 0) -> str:
    """The run of a worker's n-th life."""

    def found() -> str | None:
        connection = database(site.state)
        try:
            query = "SELECT DISTINCT run FROM worker_logs WHERE worker_id = ? ORDER BY id"
            runs = [run for (run,) in connection.execute(query, (worker_id,))]
        except sqlite3.OperationalError:
            return None
        finally:
            connection.close()
        return runs[nth] if len(runs) > nth else None

    return eventually(found, told=f"{worker_id} has printed something")


def add_flood(site: Installation, name: str, size: int, cap: int = CAP, **fields: object) -> Path:
    """A worker that prints so much and then lives on; or, where it is to be started again, ends."""
    hold_s = 0 if "auto_restart" in fields else 100_000
    path = site.root / f"{name}.report"
    command = [*writer(site.root), str(path), str(size), str(hold_s)]
    site.add(name, command=command, logs={"max_bytes": cap, "store_rate": 2000}, **fields)
    return path


def until_larger(folder: Path, size: int) -> None:
    """Wait until a log file has got so far."""
    eventually(lambda: any(path.stat().st_size > size for path in folder.glob("*/*.stdout")), told=f"{size} bytes")


def largest(folder: Path) -> int:
    """Bytes of the disk that the largest log file takes."""
    return max(path.stat().st_blocks * 512 for path in folder.glob("*/*.stdout"))


def flood_and_judge(site: Installation, kills: int) -> None:
    written = add_flood(site, "flood", FLOOD)
    for number in range(3):
        site.add(f"quiet{number}", command=[PYTHON, "-u", "-c", Witness.QUIET])
    site.serve()
    folder = (site.logs if isinstance(site, Mounted) else site.state / "logs") / "flood"
    with Witness(site, "quiet1", [folder]) as witness:
        for number in range(kills):
            until_larger(folder, (number + 1) * FLOOD // 8)
            site.kill("agent")
        told = report(written)
        run = run_of(site, "flood")
        until_stored(site.state, run, FLOOD)
    found = account(site.state, run)
    speed = told.written / told.seconds
    print(f"{speed / 1e6:.0f} MB/s, longest write {told.longest_write_s:.3f} s, largest {witness.blocks / MIB:.0f} MiB")
    read_s = max(read - printed for printed, read in witness.read)
    print(f"late {max(witness.late):.2f} s, by the API {read_s:.2f} s, resident {witness.resident}, {found}")
    assert (told.written, told.failed_writes, found.size) == (FLOOD, 0, FLOOD)
    # What the quiet one prints during the flood can be read while it goes on.
    assert kills or any(told.end - told.seconds < printed <= read < told.end for printed, read in witness.read)
    assert found.lines >= 1000
    # Whoever comes first: the agent that keeps the file within its cap, or the reader that is too far behind.
    assert found.gaps.keys() & {"over the cap", "written faster than they could be"}
    # Twice the cap, as seen every 50 ms; a busy machine, and a killed agent, may take longer.
    assert witness.blocks <= 2 * CAP + speed * (0.5 + 2.0 * kills)
    assert told.longest_write_s < 2.0
    assert max(witness.late) < 3.0 + 3.0 * kills
    assert read_s < 3.0 + 3.0 * kills
    eventually(lambda: largest(folder) <= 2 * CAP, told="in the end it is within its cap")
    assert witness.resident["agent"] < 60 * MIB
    assert witness.resident["controller"] < 200 * MIB
    index = next(iter(site.root.glob("run/**/log_index")))
    assert index.stat().st_size < 5 * MIB


@pytest.mark.parametrize("kills", [0, 3])
def test_a_flood_on_a_disk_is_bounded_and_each_byte_is_stored_or_in_a_gap(site: Installation, kills: int) -> None:
    flood_and_judge(site, kills)


@pytest.mark.parametrize("kills", [0, 3])
@pytest.mark.parametrize("mounted", ["size=2g"], indirect=True)
def test_a_flood_on_tmpfs_is_bounded_and_each_byte_is_stored_or_in_a_gap(mounted: Mounted, kills: int) -> None:
    flood_and_judge(mounted, kills)


@pytest.mark.parametrize("mounted", ["size=16m"], indirect=True)
def test_a_full_disk_neither_stops_a_worker_nor_goes_unsaid(mounted: Mounted) -> None:
    size = 256 * MIB
    written = add_flood(mounted, "flood", size, cap=1 << 30)
    mounted.serve()
    told = report(written)
    run = run_of(mounted, "flood")
    log = next(iter((mounted.logs / "flood/0").glob("*.stdout")))
    until_stored(mounted.state, run, log.stat().st_size)
    found = account(mounted.state, run, unknown="full disk")
    assert told.longest_write_s < 2.0
    assert found.size == log.stat().st_size
    assert found.gaps["given up for a full disk"] > 0
    assert [event["type"] for event in mounted.events(None, "log_disk_full")] == ["log_disk_full"]
    mounted.until_running("flood")
    add_flood(mounted, "later", MIB)
    until_stored(mounted.state, run_of(mounted, "later"), MIB)


@pytest.mark.long
@pytest.mark.timeout(400)
def test_short_runs_at_full_speed_are_packed_and_removed_and_each_byte_is_accounted_for(
    site: Installation,
) -> None:
    size, lives = 4 * MIB, 12
    add_flood(site, "short", size, auto_restart="always", restart_delay_ms=200, max_restart_attempts=None,
              restart_backoff={"max_delay_ms": 200})  # fmt: skip
    site.serve()
    runs = []
    for life in range(lives):
        runs.append(run_of(site, "short", life))
        if life in (3, 7):
            site.kill("agent")
    for run in runs[:-1]:
        # It goes on meanwhile, and so does what there is to store.
        until_stored(site.state, run, size, 250)
        assert account(site.state, run).size == size
    folder = site.state / "logs/short/0"
    # While it goes on, what is not stored yet is kept beside the archives.
    assert site.run("stop", "short", "--wait", "30").code == 0
    archives = 5
    eventually(lambda: len(list(folder.glob("*.stdout*"))) <= archives, 90, told="old ones are removed")
    packed = eventually(lambda: list(folder.glob("*.stdout.0.gz")), 90, told="some are packed")
    assert sum(path.stat().st_size for path in packed) < len(packed) * size // 4
    lines = site.ask(f"/api/v1/workers/short/logs?run={packed[0].name.partition('.')[0]}&tail=5").body
    assert str(lines).count("line") >= 5


def test_a_live_log_file_that_somebody_deletes_is_read_on_and_told(site: Installation) -> None:
    site.add("chatty", "--lines=600", "--every=5", logs={"store_rate": 1_000_000})
    site.serve()
    run = run_of(site, "chatty")
    (site.state / f"logs/chatty/0/{run}.stdout").unlink()

    def numbers() -> list[str]:
        connection = database(site.state)
        try:
            query = "SELECT text FROM worker_logs WHERE run = ? AND stream = 'stdout' ORDER BY id"
            return [text for (text,) in connection.execute(query, (run,))]
        finally:
            connection.close()

    eventually(lambda: len(numbers()) >= 200, told="some more are stored")
    site.kill("agent")
    eventually(lambda: len(numbers()) >= 600, told="all are stored, or said to be missing")
    assert [text.split(" ")[1] for text in numbers()] == [f"{number:08d}" for number in range(1, 601)]
    eventually(lambda: site.events("chatty", "log_file_replaced"), told="it is an event")


def test_a_line_of_a_gigabyte_costs_neither_memory_nor_the_next_line(site: Installation) -> None:
    site.add("endless", command="head -c 1073741824 /dev/zero | tr '\\0' x; echo; sleep 1; echo after; exec sleep 1000",
             logs={"max_bytes": CAP})  # fmt: skip
    site.add("quiet", command=[PYTHON, "-u", "-c", Witness.QUIET])
    site.serve()

    def after() -> bool:
        connection = database(site.state)
        try:
            query = "SELECT count(*) FROM worker_logs WHERE worker_id = 'endless' AND text = 'after'"
            return bool(connection.execute(query).fetchone()[0])
        finally:
            connection.close()

    with Witness(site, "quiet", [site.state / "logs/endless"]) as witness:
        eventually(after, 100, told="the next line is stored")
    print(f"largest {witness.blocks / MIB:.0f} MiB, late {max(witness.late):.2f} s, {witness.resident}")
    assert witness.resident["agent"] < 60 * MIB
    assert witness.resident["controller"] < 200 * MIB
    assert max(witness.late) < 3.0


def test_tracebacks_on_both_streams_keep_their_order_and_their_streams(site: Installation) -> None:
    script = (
        "import sys, traceback\n"
        "def deep(n):\n    deep(n - 1) if n else 1 / 0\n"
        "for i in range(50):\n"
        "    print('before', i, flush=True)\n"
        "    try:\n        deep(5)\n    except ZeroDivisionError:\n        traceback.print_exc()\n"
        "import time; time.sleep(1000)"
    )
    site.add("tracing", command=[PYTHON, "-c", script], logs={"store_rate": 1_000_000})
    site.serve()

    def texts(stream: str) -> list[str]:
        connection = database(site.state)
        try:
            query = "SELECT text FROM worker_logs WHERE worker_id = 'tracing' AND stream = ? ORDER BY id"
            return [text for (text,) in connection.execute(query, (stream,))]
        finally:
            connection.close()

    eventually(lambda: texts("stderr").count("ZeroDivisionError: division by zero") == 50, told="all are stored")
    one = texts("stderr")[: len(texts("stderr")) // 50]
    assert one[0] == "Traceback (most recent call last):"
    assert texts("stderr") == one * 50
    assert texts("stdout") == [f"before {number}" for number in range(50)]
