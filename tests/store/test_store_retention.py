from __future__ import annotations

import os

import pytest

from controller.store import Keep, Policy, Settings, Store, Swept, open_store
from controller.store.backlog import Limits
from controller.store.records import EventRows
from controller.store.retention import DAY_S
from tests.store.store_builders import event, line, locked, log_batch, operation, stored_lines, until

NOW = 100 * DAY_S


def age(days: float) -> float:
    return NOW - days * DAY_S


def fill_lines(store: Store, worker_id: str, days: list[float]) -> None:
    lines = [line(number, at=age(one), text=f"{one}") for number, one in enumerate(days)]
    assert store.writer.submit(log_batch(0, len(days), slot=f"{worker_id}/0", run=worker_id, lines=lines))
    assert store.writer.flush(10)


def texts(store: Store, worker_id: str) -> list[str]:
    return [one.text for one in stored_lines(store, worker_id)]


def test_lines_go_by_age_per_worker_also_those_out_of_order(store: Store) -> None:
    for worker_id in ("web", "db", "gone"):
        fill_lines(store, worker_id, [9, 1, 8, 3, 2])
    swept = store.sweep(Policy(logs={"web": Keep(days=2.5), "db": Keep(days=30)}), NOW)
    assert (swept.lines, swept.complete) == (5, True)
    assert [texts(store, one) for one in ("web", "db", "gone")] == [
        ["1", "2"],
        ["9", "1", "8", "3", "2"],
        ["1", "3", "2"],
    ]
    assert store.sweep(Policy(logs={"web": Keep(days=2.5), "db": Keep(days=30)}), NOW).lines == 0


def test_a_large_sweep_goes_in_slices_and_gives_space_back(store: Store, path: str) -> None:
    fill_lines(store, "web", [10.0] * 1003)
    sizes: list[int] = []
    end = store.writer.subscribe(lambda heads: sizes.append(heads.log_id))
    swept = store.sweep(Policy(slice_rows=100, rest_s=0, free_pages=0), NOW)
    end()
    assert swept == Swept(lines=1003, pages=swept.pages)
    assert swept.pages > 10
    assert sizes == []
    before = os.path.getsize(path)
    store.close()
    assert os.path.getsize(path) <= before


def test_events_go_by_age_and_by_number(store: Store) -> None:
    ages = [95.0, 91.0, 50.0, 40.0, 30.0, 20.0]
    assert store.writer.submit(EventRows(events=[event(at=age(one), message=str(one)) for one in ages]))
    assert store.writer.flush(10)
    assert store.sweep(Policy(slice_rows=1), NOW).events == 2
    assert store.sweep(Policy(events_rows=3, slice_rows=2), NOW).events == 1
    assert [one.message for one in store.reader.events()] == ["40.0", "30.0", "20.0"]
    assert store.sweep(Policy(events_rows=0), NOW).events == 3
    assert store.writer.submit(EventRows(events=[event()]))
    assert store.writer.flush(10)
    assert [one.seq for one in store.reader.events()] == [7]


def test_operations_go_when_nothing_happened_to_them_for_long(store: Store) -> None:
    for number, (created, updated) in enumerate([(50, 40), (45, 1), (3, 3)]):
        assert store.writer.submit(operation(f"op{number}", created_at=age(created), updated_at=age(updated)))
    assert store.writer.flush(10)
    assert store.sweep(Policy(), NOW).operations == 1
    assert [one.operation_id for one in store.reader.operations()] == ["op2", "op1"]


def test_cursors_go_only_when_it_is_certain_that_their_files_are_gone(store: Store) -> None:
    for run in ("r1", "r2", "r3"):
        assert store.writer.submit(log_batch(run=run))
    assert store.writer.flush(10)
    later = max(one.updated_at for one in store.reader.log_cursors(["r1", "r2", "r3"]).values()) + 8 * DAY_S
    policy = Policy(other_logs=Keep())
    assert store.sweep(policy, later).cursors == 0
    assert store.sweep(Policy(other_logs=Keep(), known_runs=frozenset()), later - 2 * DAY_S).cursors == 0
    swept = store.sweep(Policy(other_logs=Keep(), known_runs=frozenset({"r2"}), slice_rows=1), later)
    assert swept.cursors == 2
    assert sorted(store.reader.log_cursors(["r1", "r2", "r3"])) == [("r2", "stdout")]


def test_a_sweep_over_a_locked_database_gives_up_and_says_so(store: Store, target: str) -> None:
    fill_lines(store, "web", [10.0])
    with locked(target):
        assert store.sweep(Policy(slice_wait_s=0.05), NOW) == Swept(complete=False)
    assert store.writer.flush(10)


def test_a_sweep_that_finds_no_room_gives_up_and_says_so(target: str) -> None:
    store = open_store(target, settings=Settings(limits=Limits(chores=0)))
    assert store.sweep(Policy(), NOW) == Swept(complete=False)
    store.close()


def test_a_sweep_ends_when_the_store_is_closed(store: Store, target: str) -> None:
    with locked(target):
        assert store.writer.submit(log_batch())
        until(lambda: not store.writer.healthy, "unhealthy")
        store.writer.close(timeout=0)
    assert store.sweep(Policy(), NOW) == Swept(complete=False)


@pytest.mark.parametrize("rows", [0, 1, 100])
def test_an_empty_or_fresh_database_loses_nothing(store: Store, rows: int) -> None:
    if rows:
        fill_lines(store, "web", [0.0] * rows)
    swept = store.sweep(Policy(known_runs=frozenset()), NOW)
    assert (swept.lines, swept.events, swept.operations, swept.cursors) == (0, 0, 0, 0)
    assert len(texts(store, "web")) == rows
