"""kill -9 at every failpoint of the store, in a process of its own; then the next one goes on."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import inspect

from controller.store import Store, locate, open_store, tending
from controller.store.engine import writer_engine
from controller.store.errors import StoreTakenError
from tests.store.store_builders import QUICK, stored_lines, until
from tests.store.store_server import Server

pytestmark = pytest.mark.e2e  # kills, one after the other: seconds each

COUNT = 60
DRIVER = Path(__file__).with_name("store_driver.py")


def drive(path: str, mode: str, fail: str = "") -> int:
    environment = {**os.environ, "WORKERCTL_FAIL": fail, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(DRIVER), path, str(COUNT), mode]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode in (0, -9), ended.stderr
    return ended.returncode


def check(target: str) -> None:
    if "://" not in target:
        with closing(sqlite3.connect(target)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    store = opened(target)
    lines = stored_lines(store, kinds=("line",))
    assert [(one.seq, one.text) for one in lines] == [(number + 1, f"line {number}") for number in range(COUNT)]
    numbers = range(1, COUNT + 1)
    events = store.reader.events(limit=1000)
    assert [one.message for one in events] == [f"event {number}" for number in numbers]
    lifecycle = stored_lines(store, kinds=("lifecycle",))
    assert [(one.seq, one.text) for one in lifecycle] == [(number, f"started: event {number}") for number in numbers]
    tasks = stored_lines(store, kinds=("task",))
    assert [(one.seq, one.text) for one in tasks] == [(number, f"job {number}") for number in numbers]
    operation = store.reader.operation("op1")
    assert operation is not None
    assert operation.detail == str(COUNT)
    assert store.close()
    assert tending.check(target) == []


def opened(target: str) -> Store:
    """A server may take a moment to notice that the killed one is gone."""

    def try_it() -> Store | None:
        try:
            return open_store(target, settings=QUICK)
        except StoreTakenError:
            return None

    return until(try_it, "the lock of the killed one is gone")


@pytest.fixture
def empty(request: pytest.FixtureRequest, dialect: str) -> str:
    """A database in which nothing is."""
    if dialect == "sqlite":
        return str(request.getfixturevalue("tmp_path") / "a.db")
    server: Server = request.getfixturevalue("server")
    return server.url(request.getfixturevalue("own"))


@pytest.mark.parametrize(
    ("dialect", "place", "mode"),
    [
        ("sqlite", "store.before_commit", "cursor"),
        ("sqlite", "store.before_commit", "replay"),
        ("sqlite", "store.after_commit", "cursor"),
        ("sqlite", "store.after_commit", "replay"),
        ("postgresql", "store.after_commit", "replay"),
    ],
)
def test_killed_around_a_commit_everything_is_stored_once(place: str, mode: str, empty: str) -> None:
    # Before the first commit of all, or after one that stands in the middle. The first one is the look at the start.
    assert drive(empty, mode, f"{place}=kill@{2 if mode == 'replay' else 4}") == -9
    assert drive(empty, mode) == 0
    check(empty)


@pytest.mark.parametrize("place", ["store.before_migrate", "store.mid_migrate"])
def test_killed_in_a_migration_it_is_made_again(place: str, empty: str) -> None:
    assert drive(empty, "cursor", f"{place}=kill") == -9
    assert tables(empty) == 0
    assert drive(empty, "cursor") == 0
    check(empty)


def tables(target: str) -> int:
    """How many there are, by the database's own word."""
    engine = writer_engine(locate(target))
    with engine.connect() as connection:
        count = len(inspect(connection).get_table_names())
    engine.dispose()
    return count
