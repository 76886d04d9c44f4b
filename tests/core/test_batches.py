"""Batches as values: whose turn it is, what is passed over, how it ends; and whole lives in chance order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.batches import (
    Batch,
    BatchItem,
    ItemState,
    batch_summary,
    batch_view,
    begun,
    cancelled,
    due,
    ended,
    moved,
    state_of,
    to_retry,
    told,
)

NOW = 1_000_000.0
RESULTS: tuple[ItemState, ...] = ("succeeded", "failed", "not_found")


def batch(*states: ItemState, **fields: Any) -> Batch:
    """Workers w0, w1, ... in these states."""
    items = tuple(
        BatchItem(worker_id=f"w{index}", state=state, number=7 if state == "running" else 0)
        for index, state in enumerate(states)
    )
    values: dict[str, Any] = {"action": "restart", "actor": "ann", "parallel": 2, "created_at": NOW - 5}
    return ended(Batch(batch_id="b1", items=items, **{**values, **fields}), NOW)


def result(worker_id: str, state: ItemState, detail: str = "") -> dict[str, BatchItem]:
    return {worker_id: BatchItem(worker_id=worker_id, state=state, detail=detail)}


def states(of: Batch) -> list[str]:
    return [item.state for item in of.items]


def test_so_many_are_begun_as_may_go_on_at_a_time() -> None:
    assert due(batch("pending", "pending", "pending")) == ("w0", "w1")
    assert due(batch("running", "pending", "pending")) == ("w1",)
    assert due(batch("running", "running", "pending")) == ()
    assert due(batch("not_found", "succeeded", "failed", "pending")) == ("w3",)


def test_what_is_begun_has_its_number() -> None:
    begin = begun(batch("pending", "pending", "cancelled"), {"w0": 7, "w2": 9})
    assert [(item.state, item.number) for item in begin.items] == [("running", 7), ("pending", 0), ("cancelled", 0)]


def test_after_a_failure_the_others_go_on_unless_it_was_to_stop() -> None:
    going = moved(batch("running", "running", "pending"), result("w0", "failed", "it cannot"), NOW)
    assert (states(going), due(going)) == (["failed", "running", "pending"], ("w2",))
    stopping = moved(batch("running", "running", "pending", stop_on_failure=True), result("w0", "failed"), NOW)
    assert (states(stopping), due(stopping)) == (["failed", "running", "skipped"], ())
    assert stopping.items[2].detail == "not tried, because w0 failed"
    assert not stopping.is_over


def test_an_unknown_worker_stops_nothing() -> None:
    found = moved(batch("running", "pending", stop_on_failure=True), result("w0", "not_found"), NOW)
    assert (states(found), due(found)) == (["not_found", "pending"], ("w1",))


def test_a_cancelled_batch_waits_for_what_it_has_begun_and_cancelled_twice_not_even_for_that() -> None:
    once = cancelled(batch("succeeded", "running", "pending"), "bob", NOW)
    assert (states(once), state_of(once), due(once)) == (["succeeded", "running", "cancelled"], "running", ())
    assert once.items[2].detail == "cancelled by bob"
    assert told(once) == "1 succeeded, 1 cancelled, 1 under way; cancelled by bob".replace("succeeded", "restarted")
    done = moved(once, result("w1", "succeeded"), NOW)
    assert (state_of(done), done.ended_at) == ("cancelled", NOW)
    twice = cancelled(once, "cid", NOW)
    assert (states(twice), state_of(twice), twice.cancelled_by) == (
        ["succeeded", "cancelled", "cancelled"],
        "cancelled",
        "bob",
    )


@pytest.mark.parametrize(
    ("ends", "state"),
    [
        (["succeeded"], "succeeded"),
        (["succeeded", "not_found"], "succeeded"),
        (["not_found"], "failed"),
        (["succeeded", "failed"], "failed"),
        (["failed", "skipped"], "failed"),
        (["failed", "cancelled"], "cancelled"),
        (["succeeded", "running"], "running"),
        (["succeeded", "pending"], "running"),
    ],
)
def test_the_whole_is_as_its_workers_are(ends: list[ItemState], state: str) -> None:
    assert state_of(batch(*ends)) == state


def test_what_failed_and_what_was_left_out_for_that_is_tried_again() -> None:
    assert to_retry(batch("succeeded", "failed", "not_found", "skipped", "cancelled")) == ("w1", "w3")


def test_what_has_ended_is_not_moved_again() -> None:
    over = batch("succeeded", "failed")
    assert moved(over, result("w1", "succeeded"), NOW + 9) == over


def test_it_is_shown_with_words_counts_and_a_result_per_worker() -> None:
    found = batch("succeeded", "running", "failed", "pending", selector="tier=front", origin="b0", reason="new words")
    found = replace(found, items=(replace(found.items[0], operation_id="op1"), *found.items[1:]))
    summary = {
        "batch_id": "b1", "action": "restart", "state": "running",
        "detail": "1 restarted, 1 failed, 1 under way, 1 pending",
        "options": {"graceful": True, "parallel": 2, "stop_on_failure": False}, "selector": "tier=front",
        "origin": "b0", "actor": "ann", "reason": "new words", "created_at": "1970-01-12T13:46:35.000Z",
        "ended_at": None, "total": 4,
        "counts": {
            "pending": 1, "running": 1, "succeeded": 1, "failed": 1, "not_found": 0, "skipped": 0, "cancelled": 0,
        },
    }  # fmt: skip
    assert batch_summary(found) == summary
    results = batch_view(found).pop("results")
    assert batch_view(found) == {**summary, "results": results}
    assert results[0] == {"worker_id": "w0", "state": "succeeded", "detail": "", "operation_id": "op1"}


@given(
    st.integers(min_value=1, max_value=9),
    st.integers(min_value=1, max_value=5),
    st.booleans(),
    st.data(),
)
def test_every_life_ends_and_nothing_is_begun_twice(size: int, parallel: int, stops: bool, data: st.DataObject) -> None:
    """In any order of ends, with cancellations and repeated news in between."""
    all_pending: list[ItemState] = ["pending"] * size
    found = batch(*all_pending, parallel=parallel, stop_on_failure=stops)
    begins: list[str] = []
    while not found.is_over:
        before = found
        turn = due(found)
        begins += turn
        found = begun(found, dict.fromkeys(turn, 7))
        running = [item.worker_id for item in found.of("running")]
        assert len(running) <= parallel
        assert running, "it waits for nothing"
        if data.draw(st.integers(0, 9), "cancel") == 0:
            found = cancelled(found, "bob", NOW)
        chosen = data.draw(st.lists(st.sampled_from(running), min_size=1, unique=True), "who ends")
        for worker_id in chosen:
            found = moved(found, result(worker_id, data.draw(st.sampled_from(RESULTS), "how")), NOW)
        gone_back = [
            (was, item)
            for was, item in zip(before.items, found.items, strict=True)
            if not was.is_open and was.state != item.state
        ]
        assert gone_back == []
    assert len(begins) == len(set(begins))
    assert not any(item.is_open for item in found.items)
    if stops and found.of("failed") and not found.cancelled_by:
        assert len(found.of("failed")) + len(found.of("succeeded")) + len(found.of("not_found")) == len(begins)
    assert due(found) == ()
