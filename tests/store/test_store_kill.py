"""kill -9 at every failpoint of the store, in a process of its own; then the next one goes on."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from controller.store import LogQuery, open_store
from tests.store.store_builders import QUICK

pytestmark = pytest.mark.e2e  # kills, one after the other: seconds each

COUNT = 60
DRIVER = Path(__file__).with_name("store_driver.py")


def drive(path: str, mode: str, fail: str = "") -> int:
    environment = {**os.environ, "WORKERCTL_FAIL": fail, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(DRIVER), path, str(COUNT), mode]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode in (0, -9), ended.stderr
    return ended.returncode


def check(path: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    store = open_store(path, settings=QUICK)
    lines = store.reader.log_tail(LogQuery(worker_id="web", limit=10 * COUNT))
    assert [(one.seq, one.text) for one in lines] == [(number + 1, f"line {number}") for number in range(COUNT)]
    events = store.reader.events(limit=1000)
    assert [one.message for one in events] == [f"event {number}" for number in range(1, COUNT + 1)]
    operation = store.reader.operation("op1")
    assert operation is not None
    assert operation.detail == str(COUNT)
    assert store.close()


@pytest.mark.parametrize("mode", ["cursor", "replay"])
@pytest.mark.parametrize("place", ["store.before_commit", "store.after_commit"])
def test_killed_around_a_commit_everything_is_stored_once(place: str, mode: str, tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    # Before the first commit of all, or after one that stands in the middle.
    assert drive(path, mode, f"{place}=kill@{1 if mode == 'replay' else 3}") == -9
    assert drive(path, mode) == 0
    check(path)


@pytest.mark.parametrize("place", ["store.before_migrate", "store.mid_migrate"])
def test_killed_in_a_migration_it_is_made_again(place: str, tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    assert drive(path, "cursor", f"{place}=kill") == -9
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    assert drive(path, "cursor") == 0
    check(path)
