"""What is recorded of hosts: events once and without a hole, rows of what is there and none of what is not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from controller.backends.base import HostEvent, LogFile
from controller.core.observed import Status
from controller.reconcile import archive as module
from controller.reconcile.archive import Archive
from controller.reconcile.observer import Observer
from controller.reconcile.queue import WorkQueue
from controller.store import Limits, Settings, Store, StoreUnavailable, open_store
from controller.store.records import RuntimeRows, WorkerRecord, WorkerRecords
from tests.core.core_builders import seen, worker
from tests.reconcile.reconcile_site import HOST, MemoryHost, event, rounds, until
from tests.store.store_builders import locked, runtime_row, stored_lines


def keeper(store: Store, asked: list[str] | None = None) -> Archive:
    return Archive(store, now=lambda: 7000.0, ask_again=(asked if asked is not None else []).append)


def told(store: Store) -> list[tuple[str, str]]:
    return [(found.type, found.message) for found in store.reader.events(limit=1000)]


def rows(store: Store) -> dict[str, str]:
    assert store.writer.flush(5)
    return {row.instance: row.status for row in store.reader.worker_runtime()}


async def test_events_are_stored_in_order_and_those_told_again_are_not_doubled(store: Store) -> None:
    archive = keeper(store)
    assert await archive.event_cursor(HOST) is None
    for number in (1, 2, 3):
        archive.keep_event(HOST, event(number))
    archive.flush()
    assert await archive.event_cursor(HOST) == ("j1", 3)
    for number in (2, 3, 4):
        archive.keep_event(HOST, event(number))
    await until(lambda: len(told(store)) == 4)
    assert told(store) == [("started", f"event {number}") for number in (1, 2, 3, 4)]


async def test_a_new_process_asks_from_what_the_database_has(store: Store) -> None:
    keeper(store)
    first = keeper(store)
    first.keep_event(HOST, event(1))
    first.keep_event(HOST, event(2))
    first.flush()
    assert store.writer.flush(5)
    assert await keeper(store).event_cursor(HOST) == ("j1", 2)


async def test_what_was_not_handed_over_yet_is_asked_for_again(store: Store) -> None:
    archive = keeper(store)
    archive.keep_event(HOST, event(1))
    # Where the reading took longer than events are gathered, the first one was handed over meanwhile.
    assert await archive.event_cursor(HOST) in (None, ("j1", 1))
    archive.keep_event(HOST, event(1))
    archive.keep_event(HOST, event(2))
    await until(lambda: len(told(store)) == 2)


async def test_a_journal_that_was_made_anew_is_told_from_its_front(store: Store) -> None:
    archive = keeper(store)
    archive.keep_event(HOST, event(5, "old", journal_id="a"))
    archive.keep_event(HOST, event(1, "new", journal_id="b"))
    archive.keep_event(HOST, event(2, "new", journal_id="b"))
    archive.flush()
    assert store.writer.flush(5)
    assert [kind for kind, _ in told(store)] == ["old", "new", "new"]
    assert await archive.event_cursor(HOST) == ("b", 2)


async def test_an_event_without_a_time_is_told_with_the_time_it_was_heard(store: Store) -> None:
    archive = keeper(store)
    archive.keep_event(HOST, event(3, "gap", at=0.0, instance=None, run=None))
    archive.flush()
    assert store.writer.flush(5)
    (found,) = store.reader.events()
    assert (found.at, found.worker_id, found.actor) == (7000.0, None, "agent")


async def test_without_room_events_are_let_go_whole_and_asked_for_again(db: str) -> None:
    limits = Limits(events=100)
    store = open_store(db, settings=Settings(busy_timeout_s=0.05, limits=limits))
    asked: list[str] = []
    archive = keeper(store, asked)
    with locked(db):
        for number in range(1, module.PENDING_MOST + 1500):
            archive.keep_event(HOST, event(number))
        # A hole is before these: they must not move the cursor over it.
        for number in range(module.PENDING_MOST + 1500, module.PENDING_MOST + 1600):
            archive.keep_event(HOST, event(number))
        await asyncio.sleep(0.05)
        assert asked == []
    await until(lambda: asked == [HOST])
    cursor = await archive.event_cursor(HOST)
    first = 1 if cursor is None else cursor[1] + 1
    for number in range(first, module.PENDING_MOST + 1600):
        archive.keep_event(HOST, event(number))
        if number % 1000 == 0:
            archive.flush()
            store.writer.flush(5)
    archive.flush()
    assert store.writer.flush(5)
    assert len(store.reader.events(after_seq=0, limit=1000)) == 1000
    assert await keeper(store).event_cursor(HOST) == ("j1", module.PENDING_MOST + 1599)
    total = 0
    seq = 0
    while page := store.reader.events(after_seq=seq, limit=1000):
        assert [found.message for found in page] == [f"event {total + n}" for n in range(1, len(page) + 1)]
        total, seq = total + len(page), page[-1].seq
    assert total == module.PENDING_MOST + 1599
    store.close()


async def test_a_database_that_cannot_be_read_does_not_keep_the_host_away(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    archive = keeper(Unreadable(store))  # type: ignore[arg-type]
    assert await archive.event_cursor(HOST) is None
    assert "asked for from the start" in caplog.text
    archive.keep_host(HOST, {})


class Unreadable:
    """A store whose reader knows nothing but errors."""

    def __init__(self, store: Store) -> None:
        self.writer, self.ask = store.writer, store.ask
        self.reader = self
        self.generation = store.generation

    def worker_runtime(self) -> Any:
        raise StoreUnavailable("cannot read it")

    def event_cursor(self, _host: str) -> Any:
        return self.worker_runtime()


# --- the observer over it ---------------------------------------------------------------------------------------------


class Scene:
    def __init__(self, store: Store) -> None:
        self.web = worker("web", replicas=3)
        self.host = MemoryHost()
        self.queue = WorkQueue()
        self.changed: list[Any] = []
        self.archive = keeper(store)
        self.observer = Observer(
            backends={HOST: self.host}, queue=self.queue, keeper=self.archive, log_grew=lambda *_: None,
            changed=self.changed.append,
        )  # fmt: skip

    def put(self, *ordinals: int, **fields: Any) -> None:
        for ordinal in ordinals:
            found = seen(self.web, ordinal, **fields)
            self.host.slots[found.instance] = found


async def test_rows_follow_the_instances(store: Store) -> None:
    scene = Scene(store)
    await scene.archive.event_cursor(HOST)
    scene.put(0, 1)
    scene.observer.host_changed(HOST, None)
    await rounds()
    assert rows(store) == {"web/0": "running", "web/1": "running"}
    scene.put(0, status=Status.CRASHED)
    del scene.host.slots["web/1"]
    scene.observer.host_changed(HOST, ["web/0"])
    scene.observer.host_changed(HOST, ["web/1"])
    await rounds()
    assert rows(store) == {"web/0": "crashed"}
    assert scene.queue.take(0.0).only is None
    assert scene.changed == [None, ["web"], ["web"]]


async def test_rows_of_what_went_while_nobody_looked_go_too(store: Store) -> None:
    store.writer.submit(
        RuntimeRows(rows=[runtime_row("old/0"), runtime_row("web/0"), runtime_row("far/0", host="other")])
    )
    assert store.writer.flush(5)
    scene = Scene(store)
    await scene.archive.event_cursor(HOST)
    scene.put(0, 1)
    scene.observer.host_changed(HOST, None)
    await rounds()
    assert set(rows(store)) == {"web/0", "web/1", "far/0"}
    del scene.host.slots["web/1"]  # while disconnected
    await scene.archive.event_cursor(HOST)
    scene.observer.host_changed(HOST, None)
    await rounds()
    assert set(rows(store)) == {"web/0", "far/0"}


async def test_memories_of_a_host_that_cannot_be_asked_are_not_kept(store: Store) -> None:
    scene = Scene(store)
    scene.put(0)
    scene.host.reachable = False
    scene.observer.host_changed(HOST, None)
    scene.observer.host_changed(HOST, ["web/0"])
    await rounds()
    assert rows(store) == {}


async def test_figures_are_kept_and_shown_and_do_not_wake_the_loop(store: Store) -> None:
    scene = Scene(store)
    scene.put(0, 1, memory_bytes=5)
    scene.observer.sampled(HOST, ["web/0", "web/1"])
    await rounds()
    assert not scene.queue.wake.is_set()
    assert scene.changed == [["web"]]
    assert store.writer.flush(5)
    assert [row.memory_bytes for row in store.reader.worker_runtime()] == [5, 5]


async def test_a_burst_costs_one_look_at_the_view(store: Store) -> None:
    scene = Scene(store)
    looks = 0

    class Counted(MemoryHost):
        def view(self) -> Any:
            nonlocal looks
            looks += 1
            return super().view()

    scene.observer._backends = {HOST: Counted(slots=scene.host.slots)}
    scene.put(0, 1, 2)
    for number in range(100):
        scene.observer.host_changed(HOST, [f"web/{number % 3}"])
    await rounds()
    assert looks == 1
    assert len(rows(store)) == 3


def test_an_event_is_a_value() -> None:
    assert isinstance(event(1), HostEvent)


async def test_events_and_files_are_passed_on(store: Store) -> None:
    scene = Scene(store)
    files: list[Any] = []
    scene.observer._log_grew = lambda host, file: files.append((host, file))
    file = LogFile(run="r1", instance="web/0", stream="stdout", size=1, ended=False)
    scene.observer.log_grew(HOST, file)
    scene.observer.event_heard(HOST, event(1))
    scene.archive.flush()
    assert files == [(HOST, file)]
    assert await scene.observer.event_cursor(HOST) == ("j1", 1)


def one_record(number: int) -> WorkerRecords:
    row = WorkerRecord(at=1.0, kind="task", level="info", text=f"job {number}", number=number)
    return WorkerRecords(run="r1", slot="web/0", records=[row])


async def test_records_of_a_worker_are_stored_when_it_is_told_so(store: Store) -> None:
    archive = keeper(store)
    await archive.keep_records(one_record(1))
    await archive.keep_records(one_record(1))
    await archive.keep_records(one_record(2))
    assert [found.text for found in stored_lines(store)] == ["job 1", "job 2"]


async def test_records_that_are_not_stored_in_time_are_told_so_and_stored_once_when_told_again(
    store: Store, db: str
) -> None:
    archive = keeper(store)
    with locked(db), pytest.raises(StoreUnavailable, match="send them again"):
        await archive.keep_records(one_record(1), within_s=0.05)
    await archive.keep_records(one_record(1), within_s=10)
    assert [found.text for found in stored_lines(store)] == ["job 1"]


async def test_records_for_which_there_is_no_room_are_told_so(db: str) -> None:
    store = open_store(db, settings=Settings(busy_timeout_s=0.05, limits=Limits(lines=1)))
    assert store.writer.flush(5)
    with locked(db):
        assert store.writer.submit(one_record(1))
        with pytest.raises(StoreUnavailable, match="as much as there is room for"):
            await keeper(store).keep_records(one_record(2))
    assert store.close()
