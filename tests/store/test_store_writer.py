from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import Engine
from sqlalchemy import event as listening

from controller.store import Limits, Settings, Store, Writer, locate, migrate, open_store
from controller.store.engine import prepare, writer_engine
from controller.store.records import EventRows, Heads, Rejected, RuntimeRows, Stored
from tests.store.store_builders import (
    QUICK,
    Told,
    event,
    journal,
    line,
    locked,
    log_batch,
    operation,
    runtime_row,
    stored_lines,
    until,
)

SMALL = Settings(busy_timeout_s=0.05, limits=Limits(lines=20, events=3, group_rows=10))


@pytest.fixture
def small(target: str) -> Iterator[Store]:
    opened = open_store(target, settings=SMALL)
    assert opened.writer.flush(10)
    yield opened
    opened.close()


def texts(store: Store) -> list[str]:
    return [one.text for one in stored_lines(store)]


def test_a_locked_database_costs_nothing_but_time(small: Store, target: str) -> None:
    told = Told()
    with locked(target):
        for number in range(20):
            assert small.writer.submit(log_batch(number), told)
        assert not small.writer.submit(log_batch(20), told)
        until(lambda: not small.writer.healthy, "unhealthy")
        assert small.writer.last_error == f"Cannot write to {small.database}: {small.writer.trouble}"
        assert small.writer.trouble.startswith("it is locked by another ")
        assert small.writer.backlog == 20
        assert not small.writer.flush(0.01)
        assert texts(small) == []
    assert told.all(20) == [Stored(rows=1, seq=number) for number in range(1, 21)]
    assert small.writer.flush(10)
    assert (small.writer.healthy, small.writer.last_error, small.writer.backlog) == (True, "", 0)
    assert texts(small) == [f"line {number}" for number in range(20)]


def test_a_long_absence_is_said_once(store: Store, path: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "controller.store.writer")
    opened: list[Engine] = []

    def open_engine() -> Engine:
        opened.append(writer_engine(replace(locate(path), busy_timeout_s=0.01)))
        return opened[-1]

    writer = Writer(open_engine)
    with locked(path):
        assert writer.submit(log_batch())
        until(lambda: len(opened) >= 4, "four attempts")
    assert writer.flush(10)
    assert writer.close()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_who_was_refused_is_called_when_there_is_room(small: Store, target: str) -> None:
    room = threading.Event()
    small.writer.when_room(room.set)
    assert room.is_set()
    room.clear()
    with locked(target):
        assert small.writer.submit(log_batch(0, 20))
        assert not small.writer.submit(log_batch(20))
        small.writer.when_room(room.set)
        until(lambda: not small.writer.healthy, "unhealthy")
        assert not room.is_set()
    assert room.wait(10)
    assert small.writer.submit(log_batch(20))


def test_events_that_did_not_fit_are_one_event_in_their_place(small: Store, target: str) -> None:
    with locked(target):
        assert small.writer.submit(log_batch())
        until(lambda: not small.writer.healthy, "unhealthy")
        assert [small.writer.submit(EventRows(events=[event(number)])) for number in range(8)] == [True] * 3 + [
            False
        ] * 5
        assert not small.writer.submit(journal([1]))
    assert small.writer.flush(10)
    assert small.writer.submit(EventRows(events=[event(8)]))
    assert small.writer.flush(10)
    assert [(one.type, one.message, one.data) for one in small.reader.events()] == [
        ("worker_started", "event 0", {}),
        ("worker_started", "event 1", {}),
        ("worker_started", "event 2", {}),
        ("events_dropped", "5 events were not stored", {"count": 5}),
        ("worker_started", "event 8", {}),
    ]


def test_states_of_a_long_absence_are_the_last_ones(small: Store, target: str) -> None:
    with locked(target):
        assert small.writer.submit(log_batch())
        until(lambda: not small.writer.healthy, "unhealthy")
        for number in range(1000):
            assert small.writer.submit(RuntimeRows(rows=[runtime_row(restart_count=number)]))
        assert small.writer.backlog == 2
    assert small.writer.flush(10)
    assert small.reader.worker_runtime() == (runtime_row(restart_count=999),)


def test_only_the_row_that_the_database_refuses_is_rejected(
    store: Store, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    told, bad = Told(), Told()
    with locked(path):
        assert store.writer.submit(log_batch(0), told)
        until(lambda: not store.writer.healthy, "unhealthy")
        assert store.writer.submit(log_batch(1), told)
        assert store.writer.submit(log_batch(0, run="bad", lines=[line(byte_offset=2**70)]), bad)
        assert store.writer.submit(operation(updated_at=float("nan")), bad)
        assert store.writer.submit(journal([1]), told)
        assert store.writer.submit(log_batch(2), told)
    assert told.all(4) == [Stored(rows=1, seq=1), Stored(rows=1, seq=2), Stored(rows=1), Stored(rows=1, seq=3)]
    prefix = f"Cannot write to the database {path}: "
    assert bad.all(2) == [
        Rejected(message=prefix + "NOT NULL constraint failed: operations.updated_at"),
        Rejected(message=prefix + "Python int too large to convert to SQLite INTEGER"),
    ]
    assert store.writer.flush(10)
    assert (store.writer.healthy, store.writer.rejected, store.writer.backlog) == (True, 2, 0)
    assert texts(store) == ["line 0", "line 1", "line 2"]


def test_followers_hear_of_each_commit_with_something_new(store: Store) -> None:
    heard: list[Heads] = []
    end = store.writer.subscribe(heard.append)
    for batch in (log_batch(0, 3), EventRows(events=[event(), event()]), log_batch(0, 3), operation()):
        assert store.writer.submit(batch)
        assert store.writer.flush(10)
    end()
    assert store.writer.submit(log_batch(3))
    assert store.writer.flush(10)
    assert heard == [Heads(log_id=3), Heads(event_seq=2)]


def test_a_failing_callback_does_not_end_the_writer(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)

    def fail(_value: object) -> None:
        raise RuntimeError("the loop is closed")

    store.writer.subscribe(fail)
    assert store.writer.submit(log_batch(0), fail)
    assert store.writer.flush(10)
    assert store.writer.submit(log_batch(1))
    assert store.writer.flush(10)
    assert store.writer.healthy


def test_closing_stores_what_waits_and_takes_nothing_more(store: Store, target: str) -> None:
    for number in range(500):
        assert store.writer.submit(log_batch(number))
    assert store.close()
    assert not store.writer.submit(log_batch(500))
    assert store.writer.flush(0)
    assert not store.writer.healthy
    again = open_store(target, settings=QUICK)
    assert len(texts(again)) == 500
    again.close()


def test_closing_a_locked_database_ends_in_time_and_tells_what_is_left(small: Store, target: str) -> None:
    told = Told()
    with locked(target):
        for number in range(12):
            assert small.writer.submit(log_batch(number), told)
        assert not small.close(timeout=0.1)
        assert told.all(12) == [Rejected(message="the store was closed before this could be written")] * 12


def test_a_database_that_comes_late_is_used_when_it_is_there(path: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "controller.store.writer")
    database = locate(path)
    writer = Writer(partial(writer_engine, database), name=str(database))
    told = Told()
    assert writer.submit(log_batch(), told)
    until(lambda: "the file cannot be opened" in writer.last_error, "missing file")
    prepare(database)
    until(lambda: "no such table" in writer.last_error, "missing tables")
    engine = writer_engine(database)
    migrate.upgrade(engine, str(database))
    engine.dispose()
    assert told.one() == Stored(rows=1, seq=1)
    until(lambda: writer.healthy, "healthy")
    assert writer.close()
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "the database cannot be written to, trying again",
        "the database cannot be written to, trying again",
        "the database can be written to again",
    ]


def test_a_full_disk_damages_nothing_and_is_outlived(store: Store, path: str) -> None:
    full = threading.Event()
    full.set()

    def open_engine() -> Engine:
        engine = writer_engine(locate(path))
        if full.is_set():

            @listening.listens_for(engine, "connect")
            def _limit(connection: object, _entry: object) -> None:
                connection.execute("PRAGMA max_page_count=1").close()  # type: ignore[attr-defined]  # the driver's own

        return engine

    writer = Writer(open_engine)
    told = Told()
    batch = log_batch(0, 100, lines=[line(number, text="x" * 5000) for number in range(100)])
    assert writer.submit(batch, told)
    until(lambda: writer.last_error == "Cannot write to the database: the disk is full")
    assert store.reader.heads() == Heads()
    full.clear()
    assert told.one() == Stored(rows=100, seq=100)
    assert writer.close()
    with store.reader._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalars().all() == ["ok"]


def test_many_threads_may_submit(store: Store) -> None:
    def run(slot: str) -> None:
        for number in range(50):
            assert store.writer.submit(log_batch(number, slot=slot, run=slot))

    threads = [threading.Thread(target=run, args=(f"w{number}/0",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.writer.flush(10)
    for number in range(4):
        kept = stored_lines(store, f"w{number}")
        assert [one.text for one in kept] == [f"line {index}" for index in range(50)]
