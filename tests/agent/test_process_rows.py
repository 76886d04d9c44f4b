"""A pid that is given to another process between a death and a signal: for real, by the kernel's own counter."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.agent import procfs
from tests.agent.keeper_harness import Bench, wait_until

pytestmark = pytest.mark.e2e  # kills, one after the other: seconds each

LAST_PID = Path("/proc/sys/kernel/ns_last_pid")
TRIES = 200


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def with_pid(pid: int) -> subprocess.Popen[bytes]:
    """A process of ours that has this pid, in a session of its own. Others take numbers meanwhile: tried again."""
    for _ in range(TRIES):
        LAST_PID.write_text(str(pid - 1))
        got = subprocess.Popen(["/bin/sleep", "60"], start_new_session=True, env={})
        if got.pid == pid:
            return got
        got.kill()
        got.wait()
    pytest.skip("the pid could not be had: other processes were always first")


@pytest.mark.skipif(not os.access(LAST_PID, os.W_OK), reason="only root can have a certain pid")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_who_got_the_pid_of_a_dead_worker_is_no_worker_and_is_not_signalled(bench: Bench, number: int) -> None:
    run = bench.token
    bench.start()
    pid = bench.agent().spawn(run)["pid"]
    bench.kill_keeper()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: procfs.read_stat(pid) is None)
    with with_pid(pid) as stranger:
        bench.start()
        peer = bench.agent()
        peer.expect("runs")
        peer.send("signal", run=run, signal=number, scope="group")
        listed = peer.runs()[run]
        assert (listed["pid"], listed["exited"]["known"]) == (pid, False)
        peer.expect("group_empty", run=run)
        assert stranger.poll() is None
        stranger.kill()


@pytest.mark.skipif(not os.access(LAST_PID, os.W_OK), reason="only root can have a certain pid")
def test_who_got_the_pid_of_an_adopted_worker_under_a_living_keeper_is_not_signalled_either(bench: Bench) -> None:
    run = bench.token
    bench.start()
    pid = bench.agent().spawn(run)["pid"]
    bench.kill_keeper()
    keeper = bench.start()
    peer = bench.agent()
    peer.expect("runs")
    os.kill(keeper.pid, signal.SIGSTOP)
    try:
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: procfs.read_stat(pid) is None)
        with with_pid(pid) as stranger:
            peer.send("signal", run=run, signal=signal.SIGKILL, scope="group")
            os.kill(keeper.pid, signal.SIGCONT)
            peer.expect("exited", run=run)
            peer.expect("group_empty", run=run)
            assert stranger.poll() is None
            stranger.kill()
    finally:
        os.kill(keeper.pid, signal.SIGCONT)
