"""`workerctl db`: what it prints, and how it leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controller.cli.errors import Exit
from controller.store import Settings, open_store
from tests.cli.cli_site import run, shown
from tests.store.store_builders import line, log_batch


@pytest.fixture
def state(tmp_path: Path) -> str:
    """A state directory whose database has three lines of `web`."""
    store = open_store(str(tmp_path / "state" / "workerctl.db"), settings=Settings(busy_timeout_s=0.2))
    assert store.writer.submit(log_batch(0, 3, slot="web/0", run="r", lines=[line(number) for number in range(3)]))
    store.close()
    return str(tmp_path / "state")


def test_stats_say_which_database_it_is_and_what_is_in_it(state: str) -> None:
    out = shown(None, "db", "stats", "--state-dir", state)
    assert f"{state}/workerctl.db" in out
    assert [line.split() for line in out.splitlines() if line.startswith(("worker_logs", "web"))] == [
        ["worker_logs", "3"], ["web", "3", "0"],
    ]  # fmt: skip
    document = json.loads(shown(None, "db", "stats", "--state-dir", state, "-o", "json"))
    assert (document["tables"]["worker_logs"], document["logs"]) == (3, {"web": 3})


def test_check_current_and_upgrade_say_that_all_is_well(state: str) -> None:
    assert shown(None, "db", "check", "--state-dir", state) == "all is well\n"
    assert shown(None, "db", "current", "--state-dir", state).endswith("(up to date)\n")
    assert shown(None, "db", "upgrade", "--state-dir", state).endswith("(it was so already)\n")
    assert " -> " in shown(None, "db", "vacuum", "--state-dir", state)


def test_a_backup_is_made_once(state: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    assert shown(None, "db", "backup", str(copy), "--state-dir", state).startswith(f"{copy}: ")
    assert shown(None, "db", "check", "--db", str(copy)) == "all is well\n"
    again = run(None, "db", "backup", str(copy), "--state-dir", state)
    assert (again.exit_code, "it is there already" in again.stderr) == (Exit.FAILED, True)


def test_what_is_not_there_or_taken_is_told_in_one_line(state: str, tmp_path: Path) -> None:
    missing = run(None, "db", "stats", "--db", str(tmp_path / "none.db"))
    assert (missing.exit_code, "there is no such file" in missing.stderr) == (Exit.FAILED, True)
    store = open_store(f"{state}/workerctl.db")
    taken = run(None, "db", "vacuum", "--state-dir", state)
    store.close()
    assert (taken.exit_code, "another controller writes to it" in taken.stderr) == (Exit.CONFLICT, True)
    assert run(None, "db", "stats", "--db", "mysql://x/y").exit_code == Exit.FAILED
