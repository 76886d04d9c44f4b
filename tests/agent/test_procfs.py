"""What /proc is asked, on real processes: our own and ones started here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from controller.agent import procfs


def has_environment(pid: int, last: bytes) -> None:
    """Popen returns in the middle of exec, a moment before the kernel shows the new environment."""
    deadline = time.monotonic() + 10
    while procfs.environ_value(pid, last) is None:
        assert time.monotonic() < deadline


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "30"], env={"WORKER_RUN": "r-1", "OTHER": "x"}, executable="/bin/sleep") as started:
        yield started
        started.kill()


def test_fields_follow_the_last_parenthesis_whatever_the_command_is_called() -> None:
    tail = b"S 7 8 9 " + b"0 " * 13 + b"3 0 4242 1 2 3"
    assert procfs.parse_stat(b"12 (a) R 1 (b\n) c) " + tail) == procfs.Stat(12, "S", 7, 8, 9, 4242, 3)


@pytest.mark.parametrize(
    "data", [b"", b"12 sleep S 1", b"12 (x) S 1 2", b"x (y) " + b"1 " * 22, b"1 (y) S " + b"z " * 22]
)
def test_a_line_that_is_none_is_nothing(data: bytes) -> None:
    assert procfs.parse_stat(data) is None


def test_a_zombie_is_not_alive_and_not_gone(sleeper: subprocess.Popen[bytes]) -> None:
    stat = procfs.read_stat(sleeper.pid)
    assert stat is not None
    assert (procfs.liveness(stat.identity), procfs.is_alive(stat.identity)) == (procfs.ALIVE, True)
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert (procfs.liveness(stat.identity), procfs.is_alive(stat.identity)) == (procfs.ZOMBIE, False)
    sleeper.wait()
    assert procfs.liveness(stat.identity) == procfs.GONE
    assert procfs.start_time(sleeper.pid) is None


def test_a_pid_with_another_start_time_is_another_process(sleeper: subprocess.Popen[bytes]) -> None:
    start = procfs.start_time(sleeper.pid)
    assert start is not None
    assert procfs.liveness(procfs.Identity(sleeper.pid, start + 1)) == procfs.GONE


def test_a_process_whose_main_thread_ended_is_not_dead() -> None:
    code = (
        "import ctypes, threading, time\n"
        "threading.Thread(target=time.sleep, args=(30,)).start()\n"
        "ctypes.CDLL(None).pthread_exit(None)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as started:
        stat = procfs.read_stat(started.pid)
        while stat is not None and stat.state != "Z":
            stat = procfs.read_stat(started.pid)
        assert stat is not None
        assert procfs.liveness(stat.identity) == procfs.ALIVE
        started.kill()


def test_a_scan_holds_every_living_process_with_its_parent_and_session(sleeper: subprocess.Popen[bytes]) -> None:
    table = procfs.scan()
    assert table is not None
    found = procfs.read_stat(sleeper.pid)
    assert found is not None
    assert table[sleeper.pid]._replace(state=found.state) == found
    assert (table[sleeper.pid].ppid, table[sleeper.pid].session) == (os.getpid(), os.getsid(0))
    assert procfs.session(sleeper.pid) == os.getsid(0)


def test_children_are_listed_dead_or_alive(sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert sleeper.pid in (procfs.children(os.getpid()) or [])
    assert procfs.children(2**22 + 1) is None


def test_one_variable_is_read_from_another_process(sleeper: subprocess.Popen[bytes]) -> None:
    has_environment(sleeper.pid, b"OTHER")
    found = [procfs.environ_value(sleeper.pid, name) for name in (b"WORKER_RUN", b"OTHER", b"RUN", b"WORKER")]
    assert found == [b"r-1", b"x", None, None]


def test_a_variable_is_found_across_the_pieces_that_are_read() -> None:
    environ = {f"V{n}": "x" * 5000 for n in range(30)}
    environ["WORKER_RUN"] = "y" * 90_000
    environ["LAST"] = "z"
    with subprocess.Popen(["/bin/sleep", "30"], env=environ) as started:
        has_environment(started.pid, b"LAST")
        assert procfs.environ_value(started.pid, b"WORKER_RUN") == b"y" * 90_000
        assert procfs.environ_value(started.pid, b"LAST") == b"z"
        started.kill()


def test_nothing_is_raised_for_a_process_that_is_gone() -> None:
    gone = 2**22 + 1
    assert [procfs.read_stat(gone), procfs.session(gone), procfs.environ_value(gone, b"X")] == [None, None, None]


def test_the_boot_has_an_id() -> None:
    assert len(procfs.boot_id() or "") == 36
