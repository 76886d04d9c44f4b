from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.store import Keep, Policy, Store
from controller.store.ingest import lines_verdict
from controller.store.records import Conflict, LogBatch, LogCursor, Replayed, Stored, StoredLine
from tests.examples import examples
from tests.store.store_builders import WIDTH, Told, line, log_batch, stored_lines


def texts(store: Store, worker_id: str = "web") -> list[tuple[int, str]]:
    return [(one.seq, one.text) for one in stored_lines(store, worker_id)]


def submit(store: Store, *batches: LogBatch) -> list[object]:
    told = Told()
    for batch in batches:
        assert store.writer.submit(batch, told)
    return list(told.all(len(batches)))


def test_a_line_comes_back_with_all_it_had(store: Store) -> None:
    gap = line(0, kind="gap", text="10 bytes dropped", approximate=True, level="warning", partial=True)
    submit(store, log_batch(0, 1, lines=[gap], stream="stderr"))
    assert tuple(stored_lines(store)) == (
        StoredLine(
            id=1,
            worker_id="web",
            instance="web/0",
            run="r1",
            stream="stderr",
            kind="gap",
            seq=1,
            byte_offset=0,
            at=1000.0,
            approximate=True,
            level="warning",
            text="10 bytes dropped",
            partial=True,
        ),
    )


def test_numbers_go_on_over_batches_per_run_and_stream(store: Store) -> None:
    outcomes = submit(
        store,
        log_batch(0, 2),
        log_batch(0, 1, stream="stderr"),
        log_batch(2, 3),
        log_batch(0, 1, run="r2"),
    )
    assert outcomes == [Stored(rows=2, seq=2), Stored(rows=1, seq=1), Stored(rows=3, seq=5), Stored(rows=1, seq=1)]
    cursors = store.reader.log_cursors(["r1", "r2", "r3"])
    assert {key: (one.byte_offset, one.seq) for key, one in cursors.items()} == {
        ("r1", "stdout"): (50, 5),
        ("r1", "stderr"): (10, 1),
        ("r2", "stdout"): (10, 1),
    }
    cursor = cursors["r1", "stdout"]
    assert cursor == LogCursor(
        run="r1", stream="stdout", slot="web/0", byte_offset=50, seq=5, updated_at=cursor.updated_at
    )


def test_a_batch_that_is_sent_again_is_stored_once(store: Store) -> None:
    assert submit(store, log_batch(0, 2), log_batch(0, 2)) == [Stored(rows=2, seq=2), Replayed()]
    assert submit(store, log_batch(0, 2), log_batch(0, 1), log_batch(2, 1)) == [
        Replayed(),
        Replayed(),
        Stored(rows=1, seq=3),
    ]
    assert texts(store) == [(1, "line 0"), (2, "line 1"), (3, "line 2")]


def test_a_batch_that_overlaps_or_leaves_a_hole_is_refused_with_the_place_to_go_on(store: Store) -> None:
    submit(store, log_batch(0, 2))
    here = Conflict(offset=20, seq=2)
    assert submit(store, log_batch(1, 3), log_batch(3, 1), log_batch(4, 1)) == [here, here, here]
    assert submit(store, log_batch(2, 1)) == [Stored(rows=1, seq=3)]
    assert texts(store) == [(1, "line 0"), (2, "line 1"), (3, "line 2")]


def test_bytes_without_a_line_move_the_cursor(store: Store) -> None:
    assert submit(store, log_batch(0, 1, lines=[]), log_batch(1, 1)) == [Stored(rows=0, seq=0), Stored(rows=1, seq=1)]
    assert texts(store) == [(1, "line 1")]


def test_a_truncated_file_is_read_again_from_its_front(store: Store) -> None:
    gap = line(5, kind="gap", text="truncated by the writer")
    back = log_batch(0, 1, from_offset=50, to_offset=0, lines=[gap])
    assert submit(store, log_batch(0, 5), back, back, log_batch(0, 1)) == [
        Stored(rows=5, seq=5),
        Stored(rows=1, seq=6),
        Replayed(),
        Stored(rows=1, seq=7),
    ]
    assert submit(store, back) == [Conflict(offset=10, seq=7)]


@pytest.mark.parametrize(("start", "end"), [(10, 10), (-1, 5), (5, -1)])
def test_a_batch_over_no_bytes_cannot_be_made(start: int, end: int) -> None:
    with pytest.raises(ValueError, match=f"from {start} to {end}"):
        log_batch(from_offset=start, to_offset=end)


def test_no_text_fails_a_batch(store: Store) -> None:
    nasty = ["\x00", "\ud800", "\udcff", "\U0001f600", "", "x" * 100_000, "\u2028\r\x1b[0m", "'; DROP TABLE events; --"]
    lines = [line(number, text=text) for number, text in enumerate(nasty)]
    assert submit(store, log_batch(0, len(nasty), lines=lines)) == [Stored(rows=len(nasty), seq=len(nasty))]
    assert [text for _seq, text in texts(store)] == ["\\x00", "\\ud800", "\\xff", *nasty[3:]]


def test_a_number_is_never_given_twice(store: Store) -> None:
    submit(store, log_batch(0, 3))
    assert store.sweep(Policy(other_logs=Keep(days=0)), 10_000.0).lines == 3
    submit(store, log_batch(3, 1))
    assert [one.id for one in stored_lines(store)] == [4]


CHUNKS = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 4)), max_size=30)


@given(CHUNKS)
@examples(1)
def test_whatever_is_sent_in_whatever_order_lines_are_whole_and_single(chunks: list[tuple[int, int]]) -> None:
    """A model of the reader that sends anything at all, against the verdict alone."""
    stored: list[int] = []
    for first, count in chunks:
        batch = log_batch(first, count)
        verdict = lines_verdict(batch, len(stored) * WIDTH, len(stored))
        if isinstance(verdict, Stored):
            stored.extend(range(first, first + count))
        elif isinstance(verdict, Replayed):
            assert set(range(first, first + count)) <= set(stored)
        else:
            assert verdict == Conflict(offset=len(stored) * WIDTH, seq=len(stored))
    assert stored == list(range(len(stored)))


@given(CHUNKS)
@settings(examples(0.15), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_database_agrees_with_the_verdict(store: Store, chunks: list[tuple[int, int]]) -> None:
    run = f"r{store.reader.heads().log_id}-{len(chunks)}-{hash(tuple(chunks))}"
    told = Told()
    for first, count in chunks:
        assert store.writer.submit(log_batch(first, count, run=run), told)
    outcomes = told.all(len(chunks))
    kept = stored_lines(store, run=run)
    assert [one.text for one in kept] == [f"line {number}" for number in range(len(kept))]
    assert [one.seq for one in kept] == list(range(1, len(kept) + 1))
    assert len(kept) == sum(one.rows for one in outcomes if isinstance(one, Stored))
