"""As PID 1 we reap what nobody else does, pass signals on, and leave as our child left; elsewhere nothing happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from controller.first_process import leave_first_place

CHILD = """
import os, signal, sys
from controller.first_process import leave_first_place
leave_first_place()
{body}
"""
ORPHAN = """
if os.fork() == 0:
    pid = os.fork()
    os._exit(0) if pid else os._exit(7)
os.wait()
# PID 1 has the orphan now, and reaps it: then there is no such process.
while os.path.exists("/proc/3") or os.path.exists("/proc/4"):
    signal.sigtimedwait([signal.SIGUSR1], 0.01)
sys.exit(5)
"""
WAIT = "print('here', flush=True); signal.pause()"
OBEY = f"signal.signal(signal.SIGTERM, lambda *_: sys.exit(9)); {WAIT}"


def as_first(body: str) -> subprocess.Popen[bytes]:
    """A program in a pid namespace of its own, where it is PID 1."""
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", CHILD.format(body=body)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)


@pytest.fixture(autouse=True)
def _may_unshare() -> None:
    if subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", "true"], capture_output=True, check=False
    ).returncode:
        (pytest.fail if "CI" in os.environ and os.geteuid() == 0 else pytest.skip)("no pid namespace of our own here")


def test_elsewhere_nothing_happens() -> None:
    before = os.getpid()
    leave_first_place()
    assert os.getpid() == before


@pytest.mark.parametrize(("body", "code"), [("sys.exit(3)", 3), ("os.kill(os.getpid(), 9)", 137), (ORPHAN, 5)])
def test_it_leaves_as_the_real_one_left_and_reaps_orphans(body: str, code: int) -> None:
    first = as_first(body)
    _, told = first.communicate(timeout=60)
    assert (first.returncode, told) == (code, b"")


def test_signals_are_passed_on() -> None:
    with as_first(OBEY) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"here\n"
        (inside,) = _children(first.pid)
        os.kill(inside, signal.SIGTERM)
        assert first.wait(60) == 9


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]
