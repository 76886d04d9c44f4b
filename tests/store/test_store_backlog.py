from __future__ import annotations

from typing import Any

from controller.store.backlog import Backlog, Barrier, Dropped, Limits
from controller.store.chores import Reclaim
from controller.store.records import (
    Batch,
    ConfigRows,
    EventRows,
    Outcome,
    RuntimeRows,
    Stored,
)
from tests.store.store_builders import Told, config_row, event, journal, line, log_batch, operation, runtime_row


def backlog(**limits: int) -> Backlog:
    return Backlog(Limits(**limits))


def room(waiting: Backlog) -> bool:
    return waiting.has_room


def drain(waiting: Backlog, outcome: Outcome | None = None) -> list[list[Any]]:
    """All groups as their items, settled one after the other."""
    groups = []
    while waiting.waiting:
        group = waiting.take()
        groups.append([entry.item for entry in group])
        for entry in group:
            for done in entry.done:
                done(outcome or Stored(rows=1))
        waiting.settle(group)
    assert waiting.rows == 0
    return groups


def test_lines_and_events_keep_their_order() -> None:
    waiting = backlog()
    batches: list[Batch] = [log_batch(0), journal([1]), log_batch(1), EventRows(events=[event()])]
    assert all(waiting.offer(batch) for batch in batches)
    assert waiting.rows == 4
    assert drain(waiting) == [batches]


def test_lines_beyond_the_bound_are_refused_until_a_group_is_settled() -> None:
    waiting = backlog(lines=10)
    assert waiting.offer(log_batch(0, 6))
    assert not room(waiting)
    assert not waiting.offer(log_batch(6, 5))
    assert waiting.offer(log_batch(6, 4))
    group = waiting.take()
    assert not waiting.offer(log_batch(10, 1))
    waiting.settle(group)
    assert room(waiting)
    assert waiting.offer(log_batch(10, 1))


def test_lines_are_bounded_by_size_too() -> None:
    waiting = backlog(line_bytes=10_000)
    assert waiting.offer(log_batch(0, lines=[line(text="x" * 6000)]))
    assert not room(waiting)
    assert not waiting.offer(log_batch(1, lines=[line(text="x" * 6000)]))


def test_a_batch_larger_than_the_bound_gets_in_alone() -> None:
    waiting = backlog(lines=10, events=3)
    assert waiting.offer(log_batch(0, 11))
    assert not waiting.offer(log_batch(11, 1))
    assert waiting.offer(journal([1, 2, 3, 4]))
    assert not waiting.offer(journal([5]))


def test_a_full_room_for_lines_does_not_keep_events_out() -> None:
    waiting = backlog(lines=1)
    assert waiting.offer(log_batch(0))
    assert waiting.offer(EventRows(events=[event()]))
    drain(waiting)
    assert room(waiting)


def test_there_is_room_when_at_most_half_of_it_is_taken() -> None:
    waiting = backlog(events=4)
    assert waiting.offer(journal([1, 2]))
    assert room(waiting)
    assert waiting.offer(journal([3]))
    assert not room(waiting)


def test_a_journals_events_are_refused_and_our_own_are_counted_where_they_belong() -> None:
    waiting = backlog(events=2)
    own = [EventRows(events=[event(number)]) for number in range(9)]
    assert [waiting.offer(batch) for batch in own[:4]] == [True, True, False, False]
    assert not waiting.offer(journal([1]))
    first = waiting.take()
    assert [entry.item for entry in first] == [own[0], own[1], Dropped(count=2)]
    assert not waiting.offer(own[4])
    waiting.settle(first)
    assert waiting.offer(own[5])
    assert not waiting.offer(own[6])
    assert drain(waiting) == [[Dropped(count=1), own[5], Dropped(count=1)]]


def test_a_newer_state_replaces_the_one_that_waits() -> None:
    waiting = backlog()
    old, new = runtime_row(status="starting"), runtime_row(status="running")
    assert waiting.offer(RuntimeRows(rows=[old, runtime_row("web/1")]))
    assert waiting.offer(RuntimeRows(rows=[new], gone=["web/1"]))
    assert waiting.offer(ConfigRows(rows=[config_row("web")]))
    assert waiting.offer(ConfigRows(gone=["web"], at=7.0))
    assert waiting.rows == 3
    (group,) = drain(waiting)
    assert group[0] == new
    assert [type(item).__name__ for item in group] == ["RuntimeRow", "RuntimeGone", "ConfigGone"]


def test_states_are_bounded_and_known_ones_always_get_in() -> None:
    waiting = backlog(states=2)
    assert waiting.offer(operation("op1"))
    assert not waiting.offer(RuntimeRows(rows=[runtime_row("web/0"), runtime_row("web/1")]))
    assert waiting.offer(operation("op1", state="succeeded"))
    assert not waiting.offer(operation("op2"))
    assert drain(waiting) == [[operation("op1", state="succeeded"), runtime_row("web/0")]]


def test_everyone_who_waits_for_a_state_is_told_with_the_newest() -> None:
    waiting = backlog()
    first, second, none = Told(), Told(), Told()
    assert waiting.offer(operation(state="running"), first)
    assert waiting.offer(operation(state="succeeded"), second)
    assert waiting.offer(RuntimeRows(), none)
    drain(waiting)
    assert first.outcomes == second.outcomes == none.outcomes == [Stored(rows=1)]


def test_a_group_takes_all_states_then_as_many_rows_as_fit_and_one_chore() -> None:
    waiting = backlog(group_rows=5, chores=2)
    told = Told()
    for batch in (log_batch(0, 3), log_batch(3, 3), operation(), Reclaim(pages=1), Reclaim(pages=2)):
        assert waiting.offer(batch)
    assert not waiting.offer(Reclaim(pages=3))
    waiting.barrier(told)
    assert waiting.rows == 9
    assert drain(waiting) == [
        [operation(), log_batch(0, 3), Reclaim(pages=1)],
        [log_batch(3, 3), Barrier(), Reclaim(pages=2)],
    ]
    assert told.outcomes


def test_a_batch_larger_than_a_group_goes_alone() -> None:
    waiting = backlog(group_rows=5)
    assert waiting.offer(log_batch(0, 7))
    assert waiting.offer(log_batch(7, 1))
    assert drain(waiting) == [[log_batch(0, 7)], [log_batch(7, 1)]]
