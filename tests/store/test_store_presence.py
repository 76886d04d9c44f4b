"""The database file is deleted or replaced while it is in use."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from controller.store import Store, StoreCorruptError, StoreUnavailable, open_store
from controller.store.errors import StoreTakenError
from controller.store.records import Conflict, JournalCursor, Rejected, Stored
from tests.store.store_builders import QUICK, Told, event, journal, locked, log_batch, stored_lines, until


def texts(store: Store) -> list[str]:
    return [one.text for one in stored_lines(store)]


def written(store: Store, *batches: object) -> list[object]:
    told = Told()
    for batch in batches:
        assert store.writer.submit(batch, told)  # type: ignore[arg-type]
    return list(told.all(len(batches)))


def test_a_file_that_was_deleted_is_begun_anew_and_everybody_is_told(store: Store, path: str) -> None:
    generations: list[int] = []
    store.on_recreated(lambda: generations.append(store.generation))
    assert written(store, log_batch(0, 3), journal([1, 2])) == [Stored(rows=3, seq=3), Stored(rows=2)]
    assert texts(store) == ["line 0", "line 1", "line 2"]
    inode = os.stat(path).st_ino
    held = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # so that its inode is not given out again
    os.unlink(path)
    # A cursor in the middle is refused by the new file; from the start on, everything is stored once.
    assert written(store, log_batch(3)) == [Conflict(offset=0, seq=0)]
    os.close(held)
    assert (generations, store.generation) == ([1], 1)
    assert os.stat(path).st_ino != inode
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert store.reader.event_cursor("h") is None
    assert texts(store) == []
    assert written(store, log_batch(0, 4), replace(journal([1, 2, 3]), generation=1)) == [
        Stored(rows=4, seq=4),
        Stored(rows=3),
    ]
    assert (store.writer.healthy, store.writer.last_error) == (True, "")
    store.close()
    again = open_store(path, settings=QUICK)
    assert texts(again) == ["line 0", "line 1", "line 2", "line 3"]
    assert again.reader.event_cursor("h") == JournalCursor(host="h", journal_id="j1", seq=3)
    again.close()


def test_events_that_were_asked_for_before_leave_no_hole_in_the_new_file(store: Store, path: str) -> None:
    assert written(store, replace(journal([1, 2]), generation=0)) == [Stored(rows=2)]
    os.rename(path, f"{path}.old")
    (late,) = written(store, replace(journal([3]), generation=0))
    assert isinstance(late, Rejected)
    assert store.reader.event_cursor("h") is None
    assert written(store, replace(journal([1, 2, 3]), generation=1)) == [Stored(rows=3)]
    assert [one.message for one in store.reader.events()] == [event(number).message for number in (1, 2, 3)]


def test_a_file_that_was_moved_away_is_whole_and_goes_on_when_it_comes_back(store: Store, path: str) -> None:
    assert written(store, log_batch(0, 2)) == [Stored(rows=2, seq=2)]
    os.rename(path, f"{path}.old")
    assert written(store, log_batch(0)) == [Stored(rows=1, seq=1)]
    assert texts(store) == ["line 0"]
    os.rename(f"{path}.old", path)
    assert written(store, log_batch(2)) == [Stored(rows=1, seq=3)]
    assert texts(store) == ["line 0", "line 1", "line 2"]
    assert store.generation == 2


def test_moved_away_and_back_before_anything_was_written_is_no_change(store: Store, path: str) -> None:
    assert written(store, log_batch(0)) == [Stored(rows=1, seq=1)]
    os.rename(path, f"{path}.old")
    os.rename(f"{path}.old", path)
    assert written(store, log_batch(1)) == [Stored(rows=1, seq=2)]
    assert store.generation == 0


def test_while_no_other_can_be_begun_the_store_says_so_and_loses_nothing(store: Store, path: str) -> None:
    assert written(store, log_batch(0)) == [Stored(rows=1, seq=1)]
    told = Told()
    os.rename(path, f"{path}.old")
    os.mkdir(path)
    assert store.writer.submit(log_batch(0, 2), told)
    until(lambda: not store.writer.healthy, "unhealthy")
    until(lambda: "not a regular file" in store.writer.last_error, "the reason")
    os.rmdir(path)
    assert told.one() == Stored(rows=2, seq=2)
    assert store.writer.healthy


def test_the_reason_is_told_while_the_new_file_cannot_be_used_yet(store: Store, path: str) -> None:
    assert written(store, log_batch(0)) == [Stored(rows=1, seq=1)]
    os.rename(path, f"{path}.old")
    Path(path).touch(mode=0o600)
    told = Told()
    with locked(path):
        assert store.writer.submit(log_batch(0), told)
        until(lambda: "it is locked by another process" in store.writer.last_error, "the reason")
        assert store.generation == 0
    assert told.one() == Stored(rows=1, seq=1)
    assert store.generation == 1


def others_see(path: str) -> list[str]:
    """What another program finds in the file: nothing that only an open descriptor still has."""
    with closing(sqlite3.connect(path)) as other:
        return [text for (text,) in other.execute("SELECT text FROM worker_logs ORDER BY id")]


@pytest.mark.parametrize("suffixes", [("-wal",), ("-shm",), ("-wal", "-shm")])
def test_files_beside_it_that_are_deleted_cost_no_row(store: Store, path: str, suffixes: tuple[str, ...]) -> None:
    generations: list[int] = []
    store.on_recreated(lambda: generations.append(store.generation))
    assert written(store, log_batch(0, 3)) == [Stored(rows=3, seq=3)]
    assert texts(store) == ["line 0", "line 1", "line 2"]
    for suffix in suffixes:
        os.unlink(path + suffix)
    assert written(store, log_batch(3)) == [Stored(rows=1, seq=4)]
    assert texts(store) == others_see(path) == ["line 0", "line 1", "line 2", "line 3"]
    assert (generations, store.writer.healthy) == ([], True)


def test_a_file_that_was_emptied_in_its_place_is_begun_anew(store: Store, path: str) -> None:
    assert written(store, log_batch(0, 3)) == [Stored(rows=3, seq=3)]
    os.truncate(path, 0)
    told = Told()
    until(lambda: store.writer.submit(log_batch(0, 2), told) and store.generation == 1, "another generation")
    until(lambda: told.outcomes and store.writer.flush(1.0), "stored")
    assert texts(store) == others_see(path) == ["line 0", "line 1"]


def damage(path: str, what: str) -> bytes:
    """Make the file useless as a failing disk would; what is in it then."""
    content = bytearray(Path(path).read_bytes())
    if what == "header":
        content[:100] = b"\xff" * 100
    elif what == "pages":
        content[1024:] = os.urandom(len(content) - 1024)
    else:
        content = bytearray(b"no database at all" * 1000)
    Path(path).write_bytes(content)
    return bytes(content)


def checkpoint(path: str) -> None:
    """All is in the file: what lies beside it mends no damage."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def set_aside(path: str) -> list[Path]:
    """What lies beside the database as damaged."""
    return sorted(Path(path).parent.glob("workerctl.db.damaged-*Z"))


@pytest.mark.parametrize("what", ["header", "pages", "all"])
def test_a_file_that_is_damaged_under_us_is_set_aside_and_another_one_is_begun(
    store: Store, path: str, what: str
) -> None:
    generations: list[int] = []
    store.on_recreated(lambda: generations.append(store.generation))
    assert written(store, log_batch(0, 50), journal([1, 2])) == [Stored(rows=50, seq=50), Stored(rows=2)]
    checkpoint(path)
    left = damage(path, what)
    told = Told()
    assert store.writer.submit(replace(journal([1, 2, 3]), generation=1), told)
    assert store.writer.submit(log_batch(50), told)
    # What was asked for before is asked for again: from the front, in the new file.
    told.all(2)
    assert (generations, store.writer.healthy) == ([1], True)
    (aside,) = set_aside(path)
    assert aside.read_bytes() == left
    assert store.story.startswith(f"the database file was damaged: it was set aside as {aside}, and another one is ")
    assert written(store, log_batch(0, 3)) == [Stored(rows=3, seq=3)]
    assert texts(store) == others_see(path) == ["line 0", "line 1", "line 2"]


def test_one_bad_answer_is_no_damage(store: Store, path: str) -> None:
    opening = store._opening
    for error in (StoreCorruptError("bad"), None, StoreCorruptError("bad"), StoreUnavailable("locked")):
        opening.attempted(error)
    opening().dispose()
    assert (set_aside(path), store.generation) == ([], 0)


def test_a_disk_that_damages_one_file_after_the_other_waits_for_a_person(store: Store, path: str) -> None:
    for number in range(3):
        Path(f"{path}.damaged-2026112{number}T000000Z").touch()
    assert written(store, log_batch(0)) == [Stored(rows=1, seq=1)]
    checkpoint(path)
    damage(path, "all")
    told = Told()
    assert store.writer.submit(log_batch(1), told)
    until(lambda: "as were 3 before it" in store.writer.last_error, "the advice")
    assert len(set_aside(path)) == 3
    assert store.writer.trouble == "the file is damaged, as were others before it"
    for one in set_aside(path):
        one.unlink()
    told.all(1)
    assert len(set_aside(path)) == 1


def test_a_damaged_file_of_our_name_is_set_aside_also_at_the_start(path: str) -> None:
    os.makedirs(os.path.dirname(path))
    Path(path).write_bytes(b"no database at all" * 1000)
    store = open_store(path, settings=QUICK, waits=True)
    assert written(store, log_batch(0)) == [Stored(rows=1, seq=1)]
    assert (len(set_aside(path)), store.generation) == (1, 1)
    store.close()


def test_a_second_store_on_the_same_file_is_kept_out_until_the_first_is_closed(store: Store, path: str) -> None:
    assert written(store, log_batch(0)) == [Stored(rows=1, seq=1)]
    with pytest.raises(StoreTakenError, match=rf"another controller writes to it \(pid {os.getpid()}\)"):
        open_store(path, settings=QUICK)
    second = open_store(path, settings=QUICK, waits=True)
    told = Told()
    assert second.writer.submit(log_batch(1), told)
    until(lambda: second.writer.trouble == "another controller writes to it", "refused")
    assert texts(second) == ["line 0"]
    store.close()
    assert told.one() == Stored(rows=1, seq=2)
    second.close()


def test_a_lock_whose_file_was_deleted_is_taken_again(store: Store, path: str) -> None:
    os.unlink(f"{path}-lock")
    store._opening().dispose()
    with pytest.raises(StoreTakenError):
        open_store(path, settings=QUICK)


def test_a_store_that_waits_is_there_before_its_database_can_be_used(tmp_path: Path) -> None:
    path = str(tmp_path / "db")
    Path(path).write_bytes(b"no database at all" * 1000)
    with pytest.raises(StoreUnavailable, match="move it away"):
        open_store(path, settings=QUICK)
    store = open_store(path, settings=QUICK, waits=True)
    told = Told()
    assert (store.schema, store.writer.submit(log_batch(0), told)) == ("", True)
    with pytest.raises(StoreUnavailable):
        store.reader.event_cursor("h")
    until(lambda: not store.writer.healthy, "unhealthy")
    os.unlink(path)
    assert told.one() == Stored(rows=1, seq=1)
    assert (texts(store), store.generation, store.writer.healthy) == (["line 0"], 0, True)
    store.close()


def test_a_store_that_waits_migrates_when_the_lock_is_gone(tmp_path: Path) -> None:
    path = str(tmp_path / "db")
    Path(path).touch(mode=0o600)
    told = Told()
    with locked(path):
        store = open_store(path, settings=QUICK, waits=True)
        assert store.writer.submit(log_batch(0), told)
        until(lambda: "locked" in store.writer.last_error, "the reason")
    assert told.one() == Stored(rows=1, seq=1)
    store.close()
