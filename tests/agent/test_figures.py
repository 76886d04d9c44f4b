"""CPU and memory of real process trees."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.agent.figures import Leader, Sweeper, used_since
from controller.agent.procfs import Usage

BUSY = "import os, sys\nwhile True: pass"
PARENT = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {BUSY!r}], start_new_session=True)
print(child.pid, flush=True)
try:
    sys.stdin.read()
finally:
    child.kill()
    child.wait()
"""


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[bytes]]:
    """A process that idles while its child, in a session of its own, is busy."""
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.communicate(b"")


def test_a_tree_counts_whole_and_cpu_is_known_from_the_second_sweep_on(parent: subprocess.Popen[bytes]) -> None:
    sweeper = Sweeper()
    first = sweeper.sweep({"web/0": Leader(parent.pid, "r"), "gone/0": Leader(2**22 + 5, "g")}, 100.0)
    percent, memory, seconds = first["web/0"]
    assert (percent, list(first)) == (None, ["web/0"])
    assert memory is not None
    assert memory > 8_000_000
    assert seconds is not None
    # More sweeps: as many ticks as the child could use between them, over a second by our clock.
    used, told = 0.0, seconds
    for at in range(200):
        percent, _, now = sweeper.sweep({"web/0": Leader(parent.pid, "r")}, 101.0 + at)["web/0"]
        assert percent is not None
        assert now is not None
        assert now >= told
        used, told = used + percent, now
        if used > 5.0:
            break
    assert used > 5.0
    assert told > seconds


BURNS = r"""
import subprocess, sys
burn = "import time\nwhile time.process_time() < 0.15: pass"
for line in sys.stdin:
    subprocess.run([sys.executable, "-c", burn])
    print(flush=True)
"""


@pytest.fixture
def burning() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has a child use 0.15 s for each line it reads, and answers when it has ended."""
    process = subprocess.Popen(
        [sys.executable, "-c", BURNS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    yield process
    process.communicate()


def burn(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"\n")
    process.stdin.flush()
    process.stdout.readline()


def test_children_that_came_and_went_between_two_sweeps_count(burning: subprocess.Popen[bytes]) -> None:
    sweeper, leader = Sweeper(), {"web/0": Leader(burning.pid, "r")}
    burn(burning)
    _, _, first = sweeper.sweep(leader, 100.0)["web/0"]
    burn(burning)
    percent, _, second = sweeper.sweep(leader, 101.0)["web/0"]
    assert percent is not None
    assert first is not None
    assert second is not None
    # The kernel tells whole ticks of user and of system time: some of 0.15 s may be missing.
    assert (first >= 0.1, second - first >= 0.1, percent >= 10.0) == (True, True, True)


def test_a_control_group_is_believed_before_the_sum_over_processes(
    burning: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    sweeper, leader = Sweeper(), {"web/0": Leader(burning.pid, "r", str(tmp_path))}
    account = tmp_path / "cpu.stat"
    account.write_text("usage_usec 5000000\nuser_usec 5000000\nsystem_usec 0\n")
    found = [sweeper.sweep(leader, 100.0)["web/0"]]
    account.write_text("usage_usec 5500000\n")
    found.append(sweeper.sweep(leader, 110.0)["web/0"])
    account.unlink()
    found += [sweeper.sweep(leader, 120.0 + at)["web/0"] for at in range(2)]
    assert [(one.cpu_percent, one.cpu_seconds) for one in found[:2]] == [(None, 5.0), (5.0, 5.5)]
    # Its account is gone: the sum goes on from there, and says nothing of the seconds between the two.
    assert found[2].cpu_percent is None
    assert found[2].cpu_seconds is not None
    assert 5.5 <= found[2].cpu_seconds < 6.0
    assert found[3].cpu_percent is not None


def process(pid: int, parent: int, cpu_s: float, ended_s: float = 0.0, started: int = 1) -> Usage:
    return Usage(pid, parent, 0, started, cpu_s, ended_s, 0)


def test_what_was_seen_of_a_child_does_not_count_again_with_its_parent() -> None:
    before = {one.pid: one for one in (process(1, 0, 1.0), process(2, 1, 5.0), process(3, 2, 2.0))}
    # 3 ended under 2 and 2 under 1; each used a second more before its end. 4 is new and has what it has.
    after = {one.pid: one for one in (process(1, 0, 1.5, ended_s=9.0), process(4, 1, 0.25))}
    assert used_since(after, before) == {1: 0.5 + 2.0, 4: 0.25}


def test_what_ended_with_nobody_to_wait_for_it_takes_nothing_away() -> None:
    before = {one.pid: one for one in (process(1, 0, 1.0), process(2, 1, 5.0), process(3, 900, 7.0))}
    assert used_since({1: process(1, 0, 1.5)}, before) == {1: 0.5}


def test_another_process_under_the_same_pid_begins_anew() -> None:
    assert used_since({1: process(1, 0, 0.5, started=2)}, {1: process(1, 0, 9.0)}) == {1: 0.5}


def test_another_run_of_a_slot_begins_anew(burning: subprocess.Popen[bytes]) -> None:
    sweeper = Sweeper()
    burn(burning)
    sweeper.sweep({"web/0": Leader(burning.pid, "r1")}, 100.0)
    percent, _, seconds = sweeper.sweep({"web/0": Leader(burning.pid, "r2")}, 110.0)["web/0"]
    assert percent is None
    assert seconds is not None
    assert seconds >= 0.14


def test_without_leaders_nothing_is_swept() -> None:
    assert Sweeper().sweep({}, 1.0) == {}
