"""The database by hand: looked at, checked, copied while it is written to, made smaller, brought up to date."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from controller.store import Keep, Policy, Store, StoreError, migrate, open_store, tending
from controller.store.errors import StoreTakenError
from controller.store.tables import metadata
from tests.store.store_builders import QUICK, line, log_batch, stored_lines


def fill(store: Store, worker_id: str, count: int, text: str = "x", run: str = "") -> None:
    lines = [line(number, at=1000.0 + number, text=text) for number in range(count)]
    batch = log_batch(0, count, slot=f"{worker_id}/0", run=run or worker_id, lines=lines)
    assert store.writer.submit(batch)
    assert store.writer.flush(30)


def test_stats_tell_what_is_in_it_also_beside_a_writer(store: Store, target: str) -> None:
    fill(store, "web", 3)
    fill(store, "mail", 5)
    found = tending.stats(target)
    assert found.schema == migrate.head()
    assert found.tables == {**dict.fromkeys(metadata.tables, 0), "worker_logs": 8, "log_cursors": 2, "log_totals": 2}
    assert list(found.logs.items()) == [("mail", 5), ("web", 3)]
    assert (found.oldest, found.newest) == (1000.0, 1004.0)
    assert store.sweep_surplus(Policy(logs={"web": Keep(lines=0)})).lines == 3
    found = tending.stats(target)
    assert (found.logs, found.removed) == ({"mail": 5}, {"web": 3})
    assert found.bytes > 10_000
    assert (found.free_bytes is None) == target.startswith("postgresql")


def test_stats_of_an_older_schema_tell_what_is_there(store: Store, path: str) -> None:
    fill(store, "web", 3)
    store.close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("DROP TABLE log_totals")
        database.commit()
    found = tending.stats(path)
    assert (found.tables["worker_logs"], "log_totals" in found.tables, found.logs) == (3, False, {})


def test_a_sound_one_has_no_findings(store: Store, target: str) -> None:
    fill(store, "web", 3)
    assert tending.check(target) == []
    assert tending.revisions(target) == (migrate.head(), migrate.head())


def test_rows_that_somebody_deleted_by_hand_are_a_finding(store: Store, path: str) -> None:
    fill(store, "web", 3)
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("DELETE FROM worker_logs WHERE id = 2")
    assert tending.check(path) == ["log_totals says that web has 3 lines of 3 bytes, but there are 2 of 2"]
    store.close()
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("DELETE FROM worker_logs")
    tending.vacuum(path)
    assert (tending.check(path), tending.stats(path).logs) == ([], {})


def test_a_damaged_file_has_findings_or_cannot_be_read(store: Store, path: str) -> None:
    fill(store, "web", 5000, "y" * 100)
    store.close()
    with open(path, "r+b") as file:
        for page in range(20, 40):
            file.seek(page * 4096)
            file.write(os.urandom(4096))
    try:
        assert tending.check(path) != []
    except StoreError as error:
        assert "damaged" in str(error) or "malformed" in str(error)  # noqa: PT017 - either may come first


def test_a_copy_is_whole_though_the_database_is_written_to(store: Store, path: str, tmp_path: Path) -> None:
    fill(store, "web", 1000)
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            fill(store, "busy", 10, run=f"r{number}")

    writing = threading.Thread(target=write)
    writing.start()
    try:
        for number in range(5):
            assert tending.backup(path, tmp_path / f"copy{number}.db") > 10_000
    finally:
        stop.set()
        writing.join()
    for number in range(5):
        copy = str(tmp_path / f"copy{number}.db")
        assert (os.stat(copy).st_mode & 0o777, tending.check(copy)) == (0o600, [])
        again = open_store(copy, settings=QUICK)
        assert len(stored_lines(again)) == 1000
        again.close()
    assert not list(tmp_path.glob(".*unfinished*"))


def test_a_copy_replaces_nothing(store: Store, path: str, tmp_path: Path) -> None:
    there = tmp_path / "there.db"
    there.write_text("mine")
    with pytest.raises(StoreError, match="it is there already"):
        tending.backup(path, there)
    assert there.read_text() == "mine"
    with pytest.raises(StoreError, match="Cannot copy"):
        tending.backup(path, tmp_path / "no" / "such.db")


def test_two_copies_to_one_name_do_not_disturb_each_other(store: Store, path: str, tmp_path: Path) -> None:
    fill(store, "web", 3)
    target, unfinished = tmp_path / "copy.db", tmp_path / ".copy.db.unfinished"
    with open(unfinished, "wb") as other:
        other.write(b"half of it")
        other.flush()
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="another copy to it is under way"):
            tending.backup(path, target)
        assert (unfinished.read_bytes(), target.exists()) == (b"half of it", False)
    assert tending.backup(path, target) > 0  # what a dead one left is in nobody's way
    assert (tending.check(str(target)), unfinished.exists()) == ([], False)


def test_a_path_may_have_signs_that_mean_something_in_a_url(tmp_path: Path) -> None:
    path = str(tmp_path / "what?#100%25.db")
    store = open_store(path, settings=QUICK)
    fill(store, "web", 3)
    copy = tmp_path / "copy.db"
    tending.backup(path, copy)
    store.close()
    tending.vacuum(path)
    assert [tending.stats(str(one)).logs for one in (copy, path)] == [{"web": 3}, {"web": 3}]
    assert not (tmp_path / "what").exists()


def test_what_is_no_database_is_not_vacuumed(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError, match=r"Cannot vacuum the database .*a\.db"):
        tending.vacuum(str(tmp_path / "a.db"))


def test_a_vacuum_makes_the_file_smaller_and_keeps_what_is_in_it(store: Store, path: str) -> None:
    fill(store, "web", 3000, "y" * 200)
    with pytest.raises(StoreTakenError, match="another controller writes to it"):
        tending.vacuum(path)
    store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM worker_logs WHERE id > 10")
    connection.close()
    before, after = tending.vacuum(path)
    assert after < before / 2
    assert (tending.check(path), tending.stats(path).tables["worker_logs"]) == ([], 10)


def test_an_upgrade_makes_the_schema_and_is_refused_beside_a_writer(tmp_path: Path) -> None:
    path = str(tmp_path / "new" / "workerctl.db")
    assert tending.upgrade(path) == ("", migrate.head())
    assert tending.upgrade(path) == (migrate.head(), migrate.head())
    store = open_store(path, settings=QUICK)
    with pytest.raises(StoreTakenError):
        tending.upgrade(path)
    store.close()


def test_what_only_files_can_is_told_for_a_server(store: Store, target: str, tmp_path: Path) -> None:
    if not target.startswith("postgresql"):
        with pytest.raises(StoreError, match="there is no such file"):
            tending.stats(str(tmp_path / "none.db"))
        return
    with pytest.raises(StoreError, match="use pg_dump"):
        tending.backup(target, tmp_path / "copy.db")
    with pytest.raises(StoreError, match="by itself"):
        tending.vacuum(target)
    with pytest.raises(StoreTakenError):
        tending.upgrade(target)
    store.close()
    assert tending.upgrade(target) == (migrate.head(), migrate.head())
