"""CPU and memory of real process trees."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from controller.agent.figures import Sweeper

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
    first = sweeper.sweep({"web/0": parent.pid, "gone/0": 2**22 + 5}, 100.0)
    percent, memory = first["web/0"]
    assert (percent, list(first)) == (None, ["web/0"])
    assert memory is not None
    assert memory > 8_000_000
    # Two more sweeps: as many ticks as the child could use between them, over a second by our clock.
    used = 0.0
    for at in range(200):
        percent, _ = sweeper.sweep({"web/0": parent.pid}, 101.0 + at)["web/0"]
        assert percent is not None
        used += percent
        if used > 5.0:
            break
    assert used > 5.0
    assert sweeper.degraded == ""


def test_without_leaders_nothing_is_swept() -> None:
    assert Sweeper().sweep({}, 1.0) == {}
