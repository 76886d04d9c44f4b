"""Log lines by their number and their bytes: per worker, of all together; the totals that say how much there is."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert

from controller.store import Keep, Policy, Store, Swept, migrate, open_store, tending
from controller.store.chores import ROW_BYTES, TrimLogs
from controller.store.engine import locate, prepare, writer_engine
from controller.store.log_rows import counted
from controller.store.records import Line, LogTotal, Stored
from controller.store.retention import DAY_S, log_limits
from controller.store.tables import worker_logs
from tests.store.store_builders import QUICK, Told, line, log_batch, stored_lines
from tests.store.store_server import Server

NOW = 100 * DAY_S


def fill(store: Store, worker_id: str, lines: list[Line], *, run: str = "") -> None:
    batch = log_batch(0, len(lines), slot=f"{worker_id}/0", run=run or worker_id, lines=lines)
    assert store.writer.submit(batch)
    assert store.writer.flush(10)


def texts(store: Store, worker_id: str) -> list[str]:
    return [one.text for one in stored_lines(store, worker_id)]


def totals(store: Store) -> dict[str, LogTotal]:
    return {one.worker_id: one for one in store.reader.log_totals()}


def agree(store: Store) -> None:
    with store.reader._engine.connect() as connection:
        there = counted(connection)
    assert {name: (one.lines, one.bytes) for name, one in totals(store).items() if one.lines} == there


def test_totals_are_those_of_the_rows_whatever_the_texts_are(store: Store) -> None:
    nasty = ["", "plain", "züri", "\x00 nul", "\ud800 half", "漢字", "🎉", "a\nb"]
    fill(store, "web", [line(number, text=text) for number, text in enumerate(nasty)])
    fill(store, "db", [line(0, text="x" * 10)])
    fill(store, "web", [line(0, text="more")], run="another")
    agree(store)
    assert totals(store)["db"] == LogTotal(worker_id="db", lines=1, bytes=10)
    assert totals(store)["db"].size == 10 + ROW_BYTES


def test_what_is_stored_twice_is_counted_once(store: Store) -> None:
    told = Told()
    for batch in (log_batch(0, 3), log_batch(0, 3), log_batch(9, 1), log_batch(3, 2)):
        assert store.writer.submit(batch, told)
    told.all(4)
    assert totals(store)["web"].lines == 5
    agree(store)


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        (Keep(lines=3), ["7", "8", "9"]),
        (Keep(lines=0), []),
        (Keep(lines=10), [str(number) for number in range(10)]),
        (Keep(bytes=4 * (ROW_BYTES + 1)), ["6", "7", "8", "9"]),
        (Keep(bytes=4 * (ROW_BYTES + 1) + ROW_BYTES), ["6", "7", "8", "9"]),
        (Keep(bytes=4 * (ROW_BYTES + 1), lines=2), ["8", "9"]),
    ],
    ids=str,
)
def test_a_worker_keeps_its_newest_lines(store: Store, keep: Keep, left: list[str]) -> None:
    fill(store, "web", [line(number, text=str(number)) for number in range(10)])
    fill(store, "db", [line(number, text=str(number)) for number in range(10)])
    swept = store.sweep_surplus(Policy(logs={"web": keep}))
    assert swept == Swept(lines=10 - len(left))
    assert texts(store, "web") == left
    assert len(texts(store, "db")) == 10
    agree(store)
    assert store.sweep_surplus(Policy(logs={"web": keep})) == Swept()


def test_what_is_removed_is_said(store: Store) -> None:
    fill(store, "web", [line(number, at=NOW - number * DAY_S, text="abc") for number in range(10)])
    first = texts_ids(store)
    assert store.sweep_surplus(Policy(logs={"web": Keep(lines=8)})).lines == 2
    total = totals(store)["web"]
    assert total.removed_at is not None
    assert replace(total, removed_at=None) == LogTotal(
        worker_id="web", lines=8, bytes=24, removed_lines=2, removed_bytes=6, removed_to=first[1], removed_until=NOW
    )
    assert store.sweep(Policy(logs={"web": Keep(days=6.5)}), NOW).lines == 3
    after = totals(store)["web"]
    assert (after.lines, after.removed_lines, after.removed_to, after.removed_until) == (5, 5, first[-1], NOW)
    agree(store)


def texts_ids(store: Store) -> list[int]:
    return [one.id for one in stored_lines(store)]


def test_all_together_keep_no_more_than_they_may_and_a_quiet_worker_loses_nothing(store: Store) -> None:
    for worker_id, count in (("loud", 400), ("louder", 900), ("quiet", 20)):
        fill(store, worker_id, [line(number, text=f"{number}") for number in range(count)])
    assert store.sweep_surplus(Policy(all_logs=Keep(lines=300))).lines == 1020
    assert {name: one.lines for name, one in totals(store).items()} == {"loud": 140, "louder": 140, "quiet": 20}
    assert texts(store, "louder")[0] == "760"
    assert store.sweep_surplus(Policy(all_logs=Keep(bytes=100 * ROW_BYTES))).lines > 200
    assert sum(one.size for one in totals(store).values()) <= 100 * ROW_BYTES
    assert len(texts(store, "quiet")) == 20
    agree(store)


def test_no_line_of_any_worker_is_older_than_all_may_be(store: Store) -> None:
    for worker_id in ("web", "gone"):
        fill(store, worker_id, [line(number, at=NOW - days * DAY_S) for number, days in enumerate((5, 1, 3, 2))])
    assert store.sweep(Policy(logs={"web": Keep(days=30)}, all_logs=Keep(days=2.5)), NOW).lines == 4


def test_slices_are_bounded_in_rows_and_in_time_and_what_comes_in_goes_between_them(store: Store) -> None:
    fill(store, "web", [line(number, text="x") for number in range(2000)])
    seen: list[int] = []
    store.writer.subscribe(lambda _heads: seen.append(totals(store)["web"].lines))
    done = threading.Event()

    def come_in() -> None:
        for number in range(40):
            if done.is_set():
                return
            assert store.writer.submit(log_batch(number, 1, run="steady"))
            assert store.writer.flush(10)

    other = threading.Thread(target=come_in)
    other.start()
    # No time at all: a slice ends with its first piece.
    swept = store.sweep_surplus(Policy(logs={"web": Keep(lines=0)}, slice_s=0, rest_s=0.02))
    done.set()
    other.join()
    assert swept.complete
    assert swept.lines >= 2000
    assert len({lines for lines in seen if 100 < lines < 2000}) >= 2
    agree(store)


def test_a_worker_without_lines_has_none_to_delete(store: Store) -> None:
    told = Told()
    assert store.writer.submit(TrimLogs(worker_id="web", keep_lines=0, before=NOW, limit=10), told)
    assert told.one() == Stored(rows=0)


def test_totals_of_workers_without_lines_are_forgotten_by_and_by(store: Store) -> None:
    fill(store, "web", [line(0)])
    fill(store, "gone", [line(0)])
    assert store.sweep_surplus(Policy(logs={"gone": Keep(lines=0)})).lines == 1
    removed_at = totals(store)["gone"].removed_at or 0.0
    endless = Policy(other_logs=Keep())
    assert store.sweep(endless, removed_at + 89 * DAY_S).totals == 0
    assert store.sweep(endless, removed_at + 91 * DAY_S).totals == 1
    assert list(totals(store)) == ["web"]


def test_lines_of_a_former_schema_are_counted(path: str, server: Server, own: str) -> None:
    for target in (path, server.url(own)):
        prepare(locate(target))
        engine = writer_engine(locate(target))
        with engine.begin() as connection:
            command.upgrade(migrate._config(connection=connection, on_step=lambda **_step: None), "0002")
            row = {"instance": "a/0", "run": "r", "stream": "stdout", "kind": "line", "seq": 1, "byte_offset": 0,
                   "at": 1.0, "approximate": False, "level": None, "partial": False}  # fmt: skip
            table = [
                column for column in worker_logs.columns if column.name in row or column.name in {"worker_id", "text"}
            ]
            rows = [{**row, "worker_id": name, "text": text} for name, text in (("a", "1"), ("a", "é"), ("b", "漢"))]
            names = [column.name for column in table]
            statement = insert(worker_logs).values(rows)
            assert sorted(names) == sorted(rows[0])
            connection.execute(statement)
        engine.dispose()
        store = open_store(target, settings=QUICK)
        assert list(store.reader.log_totals()) == [
            LogTotal(worker_id="a", lines=2, bytes=3),
            LogTotal(worker_id="b", lines=1, bytes=3),
        ]
        agree(store)
        store.close()


def test_the_file_does_not_grow_while_lines_come_and_go(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "it.db"), settings=QUICK)
    policy = Policy(all_logs=Keep(bytes=400_000), rest_s=0)
    sizes: list[int] = []
    for turn in range(6):
        # As much as may stay, each time.
        lines = [line(number, text="x" * 240) for number in range(1000)]
        assert store.writer.submit(log_batch(turn * 1000, 1000, lines=lines))
        assert store.writer.flush(10)
        assert store.sweep_surplus(policy).complete
        with store.reader._engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            sizes.append(pages * connection.exec_driver_sql("PRAGMA page_size").scalar_one())
    assert sum(one.size for one in store.reader.log_totals()) <= 400_000
    store.close()
    assert max(sizes[2:]) <= sizes[1] * 1.05
    assert os.path.getsize(tmp_path / "it.db") <= 400_000 * 3


@given(
    sizes=st.lists(st.integers(0, 1000), max_size=6),
    own=st.lists(st.none() | st.integers(0, 1000), min_size=6, max_size=6),
    budget=st.integers(10, 3000),
)
def test_limits_add_up_to_the_budget_and_never_raise_a_workers_own(
    sizes: list[int], own: list[int | None], budget: int
) -> None:
    all_totals = [LogTotal(worker_id=f"w{n}", lines=size, bytes=0) for n, size in enumerate(sizes)]
    logs = {f"w{n}": Keep(lines=limit) for n, limit in enumerate(own)}
    limits = log_limits(all_totals, Policy(logs=logs, all_logs=Keep(lines=budget)))
    kept = [min(one.lines, n) if (n := limits[one.worker_id].lines) is not None else one.lines for one in all_totals]
    assert sum(kept) <= budget
    for total, limit in zip(all_totals, own, strict=False):
        given_limit = limits[total.worker_id].lines
        assert limit is None or (given_limit is not None and given_limit <= limit)


def test_totals_of_a_worker_whose_lines_somebody_deleted_are_forgotten(store: Store, path: str) -> None:
    fill(store, "gone", [line(0)])
    store.close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("DELETE FROM worker_logs")
        database.commit()
    tending.vacuum(path)
    again = open_store(path)
    assert again.sweep(Policy(), time.time()).totals == 1
    again.close()
