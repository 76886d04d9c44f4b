"""kill -9 between any two lines of the log files' code: no byte is read twice, none is missing without a reason."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import controller.agent
from controller.agent.log_state import OVER_CAP, TRUNCATED
from tests.agent.logs_life import CUT_RUNS, RUNS, first, pieces, second

ROOT = Path(__file__).parents[2]
NAMES = sorted(
    name
    for path in Path(controller.agent.__file__).parent.glob("log*.py")
    for name in re.findall(r'failpoint\("(agent\.log_[a-z_]+)"\)', path.read_text())
)


def live(folder: Path, fail: str = "") -> int:
    environment = {**os.environ, "WORKERCTL_FAIL": fail, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.agent.logs_life", str(folder)]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (0, -9), done.stderr
    return done.returncode


def assert_each_byte_once(folder: Path, run: str) -> None:
    """The pieces follow each other, and each is what stood there, or says why it is not."""
    at, base, content = 0, 0, first(run)
    for piece in pieces(folder):
        if piece["run"] != run:
            continue
        assert piece["from"] == at, f"{run}: {piece['from']} after {at}"
        at = piece["to"]
        if "data" in piece:
            assert piece["data"].encode() == content[piece["from"] - base : at - base], (run, piece["from"])
        elif piece["reason"] == TRUNCATED:
            assert content == first(run), "it is cut off once"
            base, content = at, second(run)
        else:
            assert piece["reason"] == OVER_CAP
    assert at == base + len(content), f"{run} was read up to {at}"
    assert (content == second(run)) is (run in CUT_RUNS)


@pytest.mark.parametrize("hit", [1, pytest.param(2, marks=pytest.mark.campaign)])
@pytest.mark.parametrize("name", NAMES)
def test_a_kill_there_costs_no_byte_and_repeats_none(tmp_path: Path, name: str, hit: int) -> None:
    assert live(tmp_path, f"{name}=kill@{hit}") == -9, "no step of this life reached it"
    assert live(tmp_path) == 0
    for number in range(1, RUNS + 1):
        assert_each_byte_once(tmp_path, f"r{number}")
    left = sorted(path.name for path in (tmp_path / "logs/web/0").iterdir())
    assert [name for name in left if name.endswith((".tmp", ".base")) and name[:-5] not in left] == []
    runs = {name.split(".")[0] for name in left}
    assert {f"r{RUNS - 1}", f"r{RUNS}"} <= runs
    assert len(runs) <= 4
