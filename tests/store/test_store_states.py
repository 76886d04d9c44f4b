from __future__ import annotations

from dataclasses import replace

from controller.store import Store
from controller.store.records import ConfigRows, RuntimeRows, Stored
from tests.store.store_builders import Told, config_row, operation, runtime_row


def test_an_instance_is_one_row_the_newest(store: Store) -> None:
    exit_ = {"cause": "exited", "code": 1, "signal": None, "at": 5.0}
    crashed = runtime_row("web/1", status="crashed", last_exit=exit_, memory_bytes=2**40, cpu_percent=1.5)
    assert store.writer.submit(RuntimeRows(rows=[runtime_row("web/10"), runtime_row("web/1"), runtime_row("db/0")]))
    assert store.writer.flush(10)
    assert store.writer.submit(RuntimeRows(rows=[crashed], gone=["db/0", "never/0"]))
    assert store.writer.flush(10)
    assert store.reader.worker_runtime() == (crashed, runtime_row("web/10"))
    assert store.reader.worker_runtime(worker_id="db") == ()


def test_a_spec_comes_back_with_all_it_had_and_is_marked_when_gone(store: Store) -> None:
    web = config_row(
        "web",
        name="主 Worker",
        port=4001,
        labels={"team": "a"},
        spec={"worker_id": "web", "env": {"A": "\x00"}},
        problems=({"message": "bad", "line": 3},),
        valid=False,
    )
    told = Told()
    assert store.writer.submit(ConfigRows(rows=[web, config_row("db")]), told)
    assert told.one() == Stored(rows=1)
    clean = replace(web, spec={"worker_id": "web", "env": {"A": "\\x00"}})
    assert store.reader.worker_configs() == (config_row("db"), clean)

    assert store.writer.submit(ConfigRows(gone=["web"], at=9.0))
    assert store.writer.flush(10)
    assert store.reader.worker_configs() == (config_row("db"),)
    assert store.reader.worker_configs(with_deleted=True) == (config_row("db"), replace(clean, deleted_at=9.0))

    assert store.writer.submit(ConfigRows(rows=[web]))
    assert store.writer.flush(10)
    assert store.reader.worker_configs() == (config_row("db"), clean)


def test_an_operation_moves_on_and_keeps_its_beginning(store: Store) -> None:
    assert store.writer.submit(operation())
    assert store.writer.flush(10)
    assert store.writer.submit(operation(state="succeeded", detail="done", created_at=1.0, updated_at=4005.0, number=7))
    assert store.writer.submit(operation("op2", worker_id="db", created_at=5000.0))
    assert store.writer.flush(10)
    moved = operation(state="succeeded", detail="done", updated_at=4005.0, number=7)
    assert store.reader.operation("op1") == moved
    assert store.reader.operation("none") is None
    assert store.reader.operations() == (operation("op2", worker_id="db", created_at=5000.0), moved)
    assert store.reader.operations(worker_id="web") == (moved,)
    assert store.reader.operations(limit=0) == ()


def test_a_batch_without_states_is_done_at_once(store: Store) -> None:
    told = Told()
    assert store.writer.submit(RuntimeRows(), told)
    assert told.one() == Stored(rows=0)
    assert store.writer.submit(ConfigRows())


def test_specs_that_are_gone_come_page_by_page_also_those_that_went_together(store: Store) -> None:
    store.writer.submit(ConfigRows(rows=[config_row(name) for name in ("a", "b", "c", "here", "old")]))
    assert store.writer.flush(5)
    store.writer.submit(ConfigRows(gone=["old"], at=8.25))
    store.writer.submit(ConfigRows(gone=["c", "a", "b"], at=9.123456))
    assert store.writer.flush(5)
    found, after = [], None
    while page := store.reader.gone_configs(after=after, limit=2):
        found.append([row.worker_id for row in page])
        after = (page[-1].deleted_at or 0.0, page[-1].worker_id)
    assert found == [["a", "b"], ["c", "old"]]
