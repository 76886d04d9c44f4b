from __future__ import annotations

from controller.store import Store
from controller.store.records import Event, EventRows, Heads, JournalCursor, Replayed, Stored, StoredEvent
from tests.store.store_builders import Told, event, journal


def submit(store: Store, *batches: EventRows) -> list[object]:
    told = Told()
    for batch in batches:
        assert store.writer.submit(batch, told)
    return list(told.all(len(batches)))


def messages(store: Store) -> list[str]:
    return [one.message for one in store.reader.events(limit=1000)]


def test_an_event_comes_back_with_all_it_had(store: Store) -> None:
    whole = Event(
        at=1.5,
        type="worker_crashed",
        worker_id="web",
        instance="web/0",
        run="r1",
        actor="agent",
        cause="exit code 3",
        message="trying again in 5 s",
        data={"code": 3, "who": "Grüße\x00"},
    )
    assert submit(store, EventRows(events=[whole])) == [Stored(rows=1)]
    assert store.reader.events() == (
        StoredEvent(
            seq=1,
            at=1.5,
            type="worker_crashed",
            worker_id="web",
            instance="web/0",
            run="r1",
            actor="agent",
            cause="exit code 3",
            message="trying again in 5 s",
            data={"code": 3, "who": "Grüße\\x00"},
        ),
    )


def test_events_of_a_journal_are_stored_once(store: Store) -> None:
    assert submit(store, journal([1, 2]), journal([1, 2]), journal([2, 3]), journal([3])) == [
        Stored(rows=2),
        Replayed(),
        Stored(rows=1),
        Replayed(),
    ]
    assert submit(store, journal([1, 2, 3]), journal([4])) == [Replayed(), Stored(rows=1)]
    assert messages(store) == ["event 1", "event 2", "event 3", "event 4"]
    assert store.reader.event_cursor("h") == JournalCursor(host="h", journal_id="j1", seq=4)


def test_a_cursor_may_move_over_events_that_are_not_sent(store: Store) -> None:
    assert submit(store, EventRows(events=[], cursor=JournalCursor(host="h", journal_id="j1", seq=7))) == [
        Stored(rows=0)
    ]
    assert submit(store, journal([7]), journal([8])) == [Replayed(), Stored(rows=1)]


def test_events_without_a_number_go_with_their_cursor(store: Store) -> None:
    unnumbered = EventRows(events=[event(1)], cursor=JournalCursor(host="h", journal_id="j1", seq=1))
    assert submit(store, unnumbered, unnumbered) == [Stored(rows=1), Replayed()]


def test_hosts_have_their_own_cursors_and_a_new_journal_starts_from_the_front(store: Store) -> None:
    assert submit(store, journal([1, 2]), journal([1], host="other"), journal([1], journal_id="j2")) == [
        Stored(rows=2),
        Stored(rows=1),
        Stored(rows=1),
    ]
    assert store.reader.event_cursor("h") == JournalCursor(host="h", journal_id="j2", seq=1)
    assert store.reader.event_cursor("nowhere") is None


def test_an_odd_event_does_not_stop_a_journal(store: Store) -> None:
    odd = event(1, at=float("nan"), type="\ud800", worker_id="\x00", data={"x": float("inf")}, journal_seq=1)
    cursor = JournalCursor(host="h", journal_id="j1", seq=1)
    assert submit(store, EventRows(events=[odd], cursor=cursor)) == [Stored(rows=1)]
    (kept,) = store.reader.events()
    assert (kept.type, kept.worker_id, kept.data) == ("\\ud800", "\\x00", {"x": None})
    assert kept.at > 0


def test_pages_go_forth_and_back_without_a_hole(store: Store) -> None:
    rows = [event(number, worker_id="web" if number % 2 else "db") for number in range(1, 11)]
    submit(store, EventRows(events=rows))
    reader = store.reader

    def seqs(found: tuple[StoredEvent, ...]) -> list[int]:
        return [one.seq for one in found]

    assert seqs(reader.events(limit=3)) == [8, 9, 10]
    assert seqs(reader.events(before_seq=8, limit=3)) == [5, 6, 7]
    assert seqs(reader.events(after_seq=5, limit=3)) == [6, 7, 8]
    assert seqs(reader.events(after_seq=5, before_seq=7)) == [6]
    assert seqs(reader.events(worker_id="web", limit=2)) == [7, 9]
    assert seqs(reader.events(worker_id="web", after_seq=3)) == [5, 7, 9]
    assert seqs(reader.events(limit=-5)) == []
    assert len(reader.events(limit=10**9)) == 10
    assert reader.heads() == Heads(event_seq=10, log_id=0)


def test_events_of_one_worker_are_told_by_type_the_newest_before_a_number(store: Store) -> None:
    told = [event(n, worker_id="web" if n % 2 else "db", type="odd" if n % 3 else "third") for n in range(12)]
    store.writer.submit(EventRows(events=told))
    assert store.writer.flush(5)
    found = store.reader.events_of("web", types=["odd"], limit=2)
    assert [one.message for one in found] == ["event 7", "event 11"]
    before = store.reader.events_of("web", types=["odd", "third"], before_seq=found[0].seq, limit=2)
    assert [one.message for one in before] == ["event 3", "event 5"]
