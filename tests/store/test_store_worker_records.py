"""Records of lifecycle, errors and tasks in a worker's log, exactly once, and never among what it printed."""

from __future__ import annotations

from typing import Any

from controller.store import Reader, Store
from controller.store.engine import locate, reader_engine
from controller.store.ingest import MOST_SOURCES
from controller.store.log_search import LogFilter, Place
from controller.store.records import (
    EventRows,
    Heads,
    JournalCursor,
    Outcome,
    Replayed,
    Stored,
    StoredLine,
    WorkerRecord,
    WorkerRecords,
)
from tests.store.store_builders import Told, event, line, log_batch, until

ALL = LogFilter(workers=None)
PRINTED = LogFilter(workers=None, kinds=("line", "gap"))


def submit(store: Store, *batches: Any) -> list[Outcome]:
    told = Told()
    for batch in batches:
        assert store.writer.submit(batch, told)
    return told.all(len(batches))


def found(store: Store, wanted: LogFilter = ALL) -> list[StoredLine]:
    return list(store.reader.log_slice(wanted, Place(), 1000).lines)


def texts(store: Store, wanted: LogFilter = ALL) -> list[str]:
    return [one.text for one in found(store, wanted)]


def of_agent(*numbers: int, **fields: Any) -> EventRows:
    """Starts of `web/0`, as the journal of its host tells them."""
    whole = {"type": "started", "worker_id": "web", "instance": "web/0", "run": "r1", **fields}
    events = [
        event(number, **{"message": f"started as pid {number}", **whole}, journal_seq=number) for number in numbers
    ]
    return EventRows(events=events, cursor=JournalCursor(host="h", journal_id="j1", seq=numbers[-1]))


def told(*records: int | str, source: str = "", run: str = "r1") -> WorkerRecords:
    """Records with these numbers, or with these texts and none."""
    rows = [
        WorkerRecord(at=5.0, kind="task", level="info", text=f"job {one}", number=one if isinstance(one, int) else None)
        for one in records
    ]
    return WorkerRecords(run=run, slot="web/0", records=rows, source=source)


def test_an_event_of_an_instance_is_a_record_in_its_log(store: Store) -> None:
    submit(store, of_agent(7, data={"pid": 12, "odd": "\x00"}, cause="spec"))
    assert found(store) == [
        StoredLine(
            id=1, worker_id="web", instance="web/0", run="r1", stream="", kind="lifecycle", seq=7, byte_offset=0,
            at=2007.0, approximate=False, level="info", text="started as pid 7", partial=False,
            data={"event": "started", "cause": "spec", "pid": 12, "odd": "\\x00"},
        )
    ]  # fmt: skip
    assert [one.message for one in store.reader.events()] == ["started as pid 7"]


def test_what_is_no_fault_of_an_instance_or_not_about_one_is_no_record(store: Store) -> None:
    submit(
        store,
        of_agent(1, type="exited", message="exited with code 3 after 1.0 s", cause="exited"),
        of_agent(2, type="exited", message="killed by SIGTERM after 1.0 s", cause="stopped"),
        of_agent(3, type="figures_missing"),
        of_agent(4, instance=None),
        EventRows(events=[event(5, type="spec_accepted", worker_id="web")]),
        of_agent(6, type="spawn_failed", message="command not found: x", run=None),
    )
    assert [(one.kind, one.level, one.run, one.text) for one in found(store)] == [
        ("error", "error", "r1", "exited with code 3 after 1.0 s"),
        ("lifecycle", "info", "r1", "exited: killed by SIGTERM after 1.0 s"),
        ("error", "error", "", "spawn failed: command not found: x"),
    ]
    assert len(store.reader.events()) == 6


def test_a_record_is_there_once_however_often_its_event_is_told(store: Store) -> None:
    assert submit(store, of_agent(1, 2), of_agent(1, 2), of_agent(2, 3), of_agent(1, 2, 3)) == [
        Stored(rows=2), Replayed(), Stored(rows=1), Replayed(),
    ]  # fmt: skip
    assert texts(store) == ["started as pid 1", "started as pid 2", "started as pid 3"]


def test_an_odd_event_is_a_record_all_the_same(store: Store) -> None:
    submit(store, of_agent(1, at=float("nan"), worker_id="\ud800", message="a\x00", data={"x": float("inf")}))
    (kept,) = found(store)
    assert (kept.worker_id, kept.text, kept.data) == ("\\ud800", "started: a\\x00", {
        "event": "started", "cause": "", "x": None,
    })  # fmt: skip
    assert kept.at > 0


def test_what_a_worker_tells_is_kept_with_its_own_words_and_data(store: Store) -> None:
    record = WorkerRecord(at=3.5, kind="error", level="critical", text="lost\x00 it", data={"job": [7]}, number=41)
    assert submit(store, WorkerRecords(run="r1", slot="web/0", records=[record])) == [Stored(rows=1)]
    assert found(store) == [
        StoredLine(
            id=1, worker_id="web", instance="web/0", run="r1", stream="", kind="error", seq=1, byte_offset=41, at=3.5,
            approximate=False, level="critical", text="lost\\x00 it", partial=False, data={"job": [7]},
        )
    ]  # fmt: skip


def test_what_a_worker_tells_under_a_number_is_stored_once(store: Store) -> None:
    assert submit(store, told(1, 2), told(1, 2), told(2, 3), told(3)) == [
        Stored(rows=2), Replayed(), Stored(rows=1), Replayed(),
    ]  # fmt: skip
    assert submit(store, told(1, 2, 3), told(5, "a"), told(4, "b")) == [Replayed(), Stored(rows=2), Stored(rows=1)]
    assert texts(store) == ["job 1", "job 2", "job 3", "job 5", "job a", "job b"]
    assert [one.seq for one in found(store)] == [1, 2, 3, 4, 5, 6]


def test_each_source_and_each_run_has_its_own_numbers(store: Store) -> None:
    submit(store, told(1, 2, source="a"), told(1, source="b"), told(1), told(1, run="r2"))
    submit(store, told(1, 2, source="a"), told(1, source="b"), told(1), told(1, run="r2"))
    assert texts(store) == ["job 1", "job 2", "job 1", "job 1", "job 1"]


def test_what_was_printed_stays_pure_by_default_and_in_the_feed(store: Store) -> None:
    submit(store, log_batch(0, 2), of_agent(1), told(1))
    submit(store, log_batch(2, 1, lines=[line(2, kind="gap")]))
    assert [one.kind for one in found(store)] == ["line", "line", "lifecycle", "task", "gap"]
    assert texts(store, PRINTED) == ["line 0", "line 1", "line 2"]
    assert [one.text for one in store.reader.log_feed(after_id=0)] == ["line 0", "line 1", "line 2"]
    assert [one.text for one in store.reader.log_feed(after_id=1, limit=2)] == ["line 1", "line 2"]


def test_records_are_of_no_stream_and_found_beside_either(store: Store) -> None:
    submit(store, log_batch(0), log_batch(0, stream="stderr", lines=[line(text="e")]), of_agent(1))
    assert texts(store, LogFilter(workers=("web",), stream="stderr")) == ["e", "started as pid 1"]
    assert texts(store, LogFilter(workers=("web",), stream="stderr", kinds=("line",))) == ["e"]
    assert texts(store, LogFilter(workers=("web",), kinds=("lifecycle",), instance="web/0")) == ["started as pid 1"]


def test_who_follows_is_told_of_records(store: Store) -> None:
    heads: list[Heads] = []
    store.writer.subscribe(heads.append)
    for batch, expected in (
        (of_agent(1), Heads(event_seq=1, log_id=1)),
        (EventRows(events=[event(2)]), Heads(event_seq=2)),
        (told(1), Heads(event_seq=2, log_id=2)),
    ):
        submit(store, batch)
        until(lambda expected=expected: expected in heads, f"{expected} among {heads}")  # type: ignore[misc]
    assert store.reader.heads() == Heads(event_seq=2, log_id=2)


def test_records_count_among_the_lines_that_are_limited(store: Store) -> None:
    submit(store, log_batch(0, 2), of_agent(1), told(1, 2))
    assert {one.worker_id: one.lines for one in store.reader.log_totals()} == {"web": 5}


def test_of_ever_new_sources_the_last_ones_are_remembered(store: Store) -> None:
    """Each is a row: a worker that names its sources by pid would make them without end."""
    submit(store, *(told(1, source=f"p{number}") for number in range(MOST_SOURCES)))
    submit(store, told(2, source="p0"))
    submit(store, told(1, source="new"))
    assert len(store.reader.log_cursors(["r1"])) == MOST_SOURCES
    assert submit(store, told(2, source="p0"), told(1, source="new")) == [Replayed(), Replayed()]


def test_data_counts_for_the_size_of_an_answer(store: Store, target: str) -> None:
    record = WorkerRecord(at=5.0, kind="task", level="info", text="done", data={"note": "x" * 100})
    submit(store, WorkerRecords(run="r1", slot="web/0", records=[record] * 10))
    reader = Reader(reader_engine(locate(target), 1), max_characters=250)
    part = reader.log_slice(ALL, Place(), 100)
    assert (len(part.lines), part.edge) == (3, part.lines[0].id)
    reader.close()
