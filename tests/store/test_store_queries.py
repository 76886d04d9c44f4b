from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.dialects import sqlite

from controller.store import Reader, Store, StoreUnavailable
from controller.store.engine import locate, reader_engine
from controller.store.log_search import LogFilter, Place, Reach, matching
from tests.store.store_builders import WIDTH, line, locked, log_batch


@pytest.fixture
def filled(store: Store) -> Store:
    """web/0 to web/2 take turns with a line each, web/1 on stderr; ids 1 to 30, times 1000 + id."""
    for number in range(30):
        ordinal = number % 3
        batch = log_batch(
            number // 3,
            slot=f"web/{ordinal}",
            run=f"r{ordinal}",
            stream="stderr" if ordinal == 1 else "stdout",
            lines=[line(text=str(number + 1), at=1001.0 + number)],
        )
        assert store.writer.submit(batch)
    assert store.writer.flush(10)
    return store


def ids(store: Store, **query: Any) -> list[int]:
    limit, place = query.pop("limit", 100), Place(after=query.pop("after", None), before=query.pop("before", None))
    wanted = LogFilter(**{"workers": ("web",), **query})
    return [one.id for one in store.reader.log_slice(wanted, place, limit).lines]


def test_the_tail_is_the_newest_lines_oldest_first(filled: Store) -> None:
    assert ids(filled, limit=4) == [27, 28, 29, 30]
    assert ids(filled) == list(range(1, 31))
    assert ids(filled, limit=0) == []
    assert ids(filled, workers=("other",)) == []


def test_a_tail_can_be_of_one_instance_stream_or_run(filled: Store) -> None:
    assert ids(filled, limit=2, instance="web/2") == [27, 30]
    assert ids(filled, limit=2, stream="stderr") == [26, 29]
    assert ids(filled, limit=2, runs=("r0",)) == [25, 28]
    assert ids(filled, instance="web/1", stream="stdout") == []
    assert ids(filled, instance="other/0") == []


def test_a_follower_goes_on_and_a_page_goes_back(filled: Store) -> None:
    assert ids(filled, after=5, limit=3) == [6, 7, 8]
    assert ids(filled, after=30) == []
    assert ids(filled, before=5, limit=3) == [2, 3, 4]


def test_lines_of_all_workers_come_in_the_order_in_which_they_were_stored(filled: Store) -> None:
    assert filled.writer.submit(log_batch(0, slot="db/0", run="other", lines=[line(text="x", at=1.0)]))
    assert filled.writer.flush(10)
    found = filled.reader.log_feed(after_id=28)
    assert [(one.id, one.worker_id) for one in found] == [(29, "web"), (30, "web"), (31, "db")]
    assert [one.id for one in filled.reader.log_feed(after_id=28, limit=1)] == [29]
    assert filled.reader.log_feed(after_id=31) == ()


def test_a_span_of_time_has_both_ends(filled: Store) -> None:
    assert ids(filled, since=1010.0, until=1012.0) == [10, 11, 12]
    assert ids(filled, since=1010.0, limit=2) == [29, 30]
    assert ids(filled, until=1012.0, limit=2) == [11, 12]
    assert ids(filled, since=1010.0, until=1020.0, instance="web/0") == [10, 13, 16, 19]
    assert ids(filled, since=1010.0, after=20, limit=2) == [21, 22]


def test_an_answer_is_bounded_by_its_text_too(store: Store, target: str) -> None:
    assert store.writer.submit(log_batch(0, 10, lines=[line(number, text="x" * 100) for number in range(10)]))
    assert store.writer.flush(10)
    reader = Reader(reader_engine(locate(target), 1), max_characters=250)
    everything = LogFilter(workers=("web",))
    assert [one.id for one in reader.log_slice(everything, Place(), 100).lines] == [8, 9, 10]
    assert [one.id for one in reader.log_slice(everything, Place(after=2), 100).lines] == [3, 4, 5]
    reader.close()


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (LogFilter(workers=("web",)), "USING INDEX ix_worker_logs_worker_id_id (worker_id=? AND id>? AND id<?)"),
        (
            LogFilter(workers=("web",), instance="web/0", since=5.0, kinds=("line", "gap")),
            "USING INDEX ix_worker_logs_instance_id (instance=? AND id>? AND id<?)",
        ),
        (LogFilter(workers=None, grep=("x",)), "USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
    ],
)
def test_each_question_walks_an_index_in_order(filled: Store, path: str, wanted: LogFilter, index: str) -> None:
    reach = Reach(low=5, high=20, is_last=False, forward=False)
    query = matching("sqlite", wanted, reach, 10)
    sql = str(query.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
    with filled.reader._engine.connect() as connection:
        plan = [str(row.detail) for row in connection.exec_driver_sql("EXPLAIN QUERY PLAN " + sql)]
    assert plan == [f"SEARCH worker_logs {index}"]


def test_cursors_of_many_runs_are_read_in_pieces(store: Store) -> None:
    runs = [f"r{number}" for number in range(1200)]
    for run in runs:
        assert store.writer.submit(log_batch(run=run))
    assert store.writer.flush(10)
    found = store.reader.log_cursors([*runs, "other"])
    assert sorted(found) == sorted((run, "stdout") for run in runs)
    assert {one.byte_offset for one in found.values()} == {WIDTH}
    assert store.reader.log_cursors([]) == {}


def test_reading_goes_on_while_another_writes(filled: Store, target: str) -> None:
    with locked(target):
        assert ids(filled, limit=1) == [30]


def test_what_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    database = locate(str(tmp_path / "none.db"))
    reader = Reader(reader_engine(database, 1), name=str(database))
    with pytest.raises(StoreUnavailable, match=r"Cannot read the database .*/none.db: the file cannot be opened"):
        reader.heads()
    reader.close()


def test_too_many_questions_at_once_are_refused_not_queued_for_ever(store: Store, target: str) -> None:
    reader = Reader(reader_engine(replace(locate(target), busy_timeout_s=0.05), 1))
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with reader._reading():
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    assert entered.wait(10)
    with pytest.raises(StoreUnavailable, match="all connections are busy"):
        reader.heads()
    leave.set()
    thread.join()
    assert reader.heads().log_id == 0
    reader.close()
