"""Batches over the real desk, loop, feed, store and files, with a host in memory; killed and begun anew at any step."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller.api.ports import BatchAccepted, BatchWish, Document, Refused, UnknownBatch
from controller.core.batches import Batch, BatchItem, state_of
from controller.core.observed import Status
from controller.desk.batch_files import BatchFiles
from controller.desk.batches import LIVE_MOST, BatchDesk
from controller.desk.parts import Parts
from tests.desk.test_desk import Scene
from tests.reconcile.reconcile_site import until


class Floor(Scene):
    """The desk of workers, and a desk of batches that may be killed and begun anew."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.files = BatchFiles(folder)
        self.folder = folder / "batches"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[BatchDesk]:
        """A controller, as far as batches go, until it is killed."""
        parts = Parts(
            store=self.store, loop=self.loop, specs=self.feed, wishes=self.wishes, archive=self.desk._archive,
            clock=self.clock, heartbeats=self.heartbeats,
        )  # fmt: skip
        desk = BatchDesk(parts, self.desk, self.files)
        task = asyncio.ensure_future(desk.run())
        try:
            await until(lambda: desk._group or task.done())
            yield desk
            assert not task.done(), task.exception()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def orders(self, instance: str) -> int:
        return sum(f" {instance} " in f"{order} " for order in self.host.orders)

    def on_disk(self) -> list[Batch]:
        return self.files.load()


class SmallDisk(BatchFiles):
    """Is full, twice, when it is to be noted that somebody was asked."""

    refused = 0

    def save(self, batch: Batch) -> None:
        if self.refused < 2 and any(item.operation_id for item in batch.items):
            self.refused += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().save(batch)


@pytest.fixture
async def floor(tmp_path: Path) -> AsyncIterator[Floor]:
    found = Floor(tmp_path)
    yield found
    await found.close()


def wish(*worker_ids: str, action: Any = "restart", **fields: Any) -> BatchWish:
    return BatchWish(action=action, actor="ann", worker_ids=worker_ids, **fields)


def accepted(answer: Any) -> Document:
    assert isinstance(answer, BatchAccepted), answer
    return answer.batch


def results(document: Document) -> list[tuple[str, str]]:
    return [(one["worker_id"], one["state"]) for one in document["results"]]


async def over(desk: BatchDesk, document: Document) -> Document:
    """The batch, once it is over."""

    def look() -> Document | None:
        found = desk.batch(document["batch_id"])
        return found if found is not None and found["ended_at"] else None

    found = await until(look, "the end of the batch")
    assert found is not None
    return found


async def test_every_worker_is_restarted_once_so_many_at_a_time(floor: Floor) -> None:
    names = [f"w{number}" for number in range(5)]
    await floor.start(**dict.fromkeys(names, ""))
    await until(lambda: len(floor.host.slots) == 5)
    most = 0

    async def count() -> None:
        nonlocal most
        most = max([most, *(one["counts"]["running"] for one in desk.batches())])

    async with floor.serving() as desk:
        floor.host.on_order = count
        done = await over(desk, accepted(await desk.create(wish(*names, parallel=2, reason="new words"))))
    assert (done["state"], done["detail"]) == ("succeeded", "5 restarted")
    assert results(done) == [(name, "succeeded") for name in names]
    assert [floor.orders(f"{name}/0") for name in names] == [2] * 5
    assert most == 2
    assert [state_of(batch) for batch in floor.on_disk()] == ["succeeded"]
    told = floor.events()
    assert [kind for kind in told if kind.startswith("batch")] == ["batch_requested", "batch_succeeded"]
    assert told.count("restart_requested") == 5
    messages = [event.message for event in floor.store.reader.events() if event.type == "restart_requested"]
    assert messages[0] == f"restart asked for by ann: new words; batch {done['batch_id']}"


async def test_starts_and_stops_are_in_the_files_of_their_workers(floor: Floor) -> None:
    await floor.start(web="", api="desired_state: stopped\n")
    async with floor.serving() as desk:
        stopped = await over(desk, accepted(await desk.create(wish("web", "api", action="stop"))))
        assert (stopped["state"], stopped["detail"]) == ("succeeded", "2 stopped")
        assert floor.status() == "stopped"
        assert "desired_state: stopped" in floor.spec()
        started = await over(desk, accepted(await desk.create(wish("web", "api", action="start"))))
    assert started["detail"] == "2 started"
    assert floor.status() == "running"


async def test_who_is_unknown_or_refused_is_a_result_with_the_reason(floor: Floor) -> None:
    await floor.start(web="", idle="desired_state: stopped\n", bad="")
    await until(lambda: "bad/0" in floor.host.slots and "web/0" in floor.host.slots)
    floor.host.answers["bad/0"] = "refused"
    async with floor.serving() as desk:
        done = await over(desk, accepted(await desk.create(wish("nobody", "idle", "bad", "web"))))
    assert (done["state"], done["detail"]) == ("failed", "1 restarted, 2 failed, 1 not found")
    assert [(one["state"], one["detail"]) for one in done["results"]] == [
        ("not_found", "there is no such worker"),
        ("failed", "it is stopped by its spec; workerctl start idle"),
        ("failed", "bad/0 stays as it is: no such command"),
        ("succeeded", "all instances run anew"),
    ]


async def test_after_a_failure_nothing_further_is_begun_where_that_is_asked_for_and_it_is_tried_again(
    floor: Floor,
) -> None:
    await floor.start(idle="desired_state: stopped\n", web="")
    await until(lambda: "web/0" in floor.host.slots)
    before = floor.orders("web/0")
    async with floor.serving() as desk:
        first = accepted(await desk.create(wish("idle", "web", parallel=1, stop_on_failure=True)))
        done = await over(desk, first)
        assert results(done) == [("idle", "failed"), ("web", "skipped")]
        assert floor.orders("web/0") == before
        assert await floor.ended(await floor.act("start", "idle")) == "succeeded"
        again = await over(desk, accepted(await desk.retry(first["batch_id"], "bob", "")))
        assert (again["origin"], again["actor"], results(again)) == (
            first["batch_id"],
            "bob",
            [("idle", "succeeded"), ("web", "succeeded")],
        )
        nothing = await desk.retry(again["batch_id"], "bob", "")
        assert isinstance(nothing, Refused)
        assert nothing.code == "nothing_failed"
        assert isinstance(await desk.retry("nope", "bob", ""), UnknownBatch)
        assert [one["batch_id"] for one in desk.batches()] == [again["batch_id"], first["batch_id"]]


async def test_a_cancelled_batch_begins_nothing_further(floor: Floor) -> None:
    await floor.start(a="", b="", c="")
    await until(lambda: len(floor.host.slots) == 3)
    may_go_on = asyncio.Event()

    async def hold() -> None:
        await may_go_on.wait()

    floor.host.on_order = hold
    async with floor.serving() as desk:
        first = accepted(await desk.create(wish("a", "b", "c", parallel=1)))
        await until(lambda: desk.batches()[0]["results"][0]["operation_id"])
        under_way = await desk.retry(first["batch_id"], "bob", "")
        assert isinstance(under_way, Refused)
        assert under_way.code == "batch_under_way"
        cancelled = accepted(await desk.cancel(first["batch_id"], "bob"))
        assert results(cancelled) == [("a", "running"), ("b", "cancelled"), ("c", "cancelled")]
        may_go_on.set()
        done = await over(desk, first)
        assert (done["state"], results(done)[0]) == ("cancelled", ("a", "succeeded"))
        again = await desk.cancel(first["batch_id"], "bob")
        assert isinstance(again, Refused)
        assert again.code == "batch_over"
        assert isinstance(await desk.cancel("nope", "bob"), UnknownBatch)
    assert [floor.orders(f"{name}/0") for name in "abc"] == [2, 1, 1]


def _pending(item: BatchItem, number: int, operation_id: str) -> BatchItem:
    return item


def _noted(item: BatchItem, number: int, operation_id: str) -> BatchItem:
    return replace(item, state="running", number=number)


def _asked(item: BatchItem, number: int, operation_id: str) -> BatchItem:
    return replace(item, state="running", number=number, operation_id=operation_id)


def _lost(item: BatchItem, number: int, operation_id: str) -> BatchItem:
    return replace(item, state="running", number=number, operation_id="lost")


@pytest.mark.parametrize(
    ("kept", "is_served"),
    [(_pending, False), (_noted, False), (_noted, True), (_asked, True), (_lost, False), (_lost, True)],
)
async def test_a_controller_that_comes_after_a_kill_restarts_nobody_twice(
    floor: Floor, kept: Callable[[BatchItem, int, str], BatchItem], is_served: bool
) -> None:
    await floor.start(web="", api="")
    await until(lambda: len(floor.host.slots) == 2)
    number = floor.wishes.next_number("web", floor.clock.now())
    operation_id = ""
    if is_served:
        done = await floor.act("restart", number=number)
        assert await floor.ended(done) == "succeeded"
        operation_id = done.operation["operation_id"]
    left = Batch(
        batch_id="b1", action="restart", actor="ann", created_at=1.0, parallel=1,
        items=(kept(BatchItem(worker_id="web"), number, operation_id), BatchItem(worker_id="api")),
    )  # fmt: skip
    floor.files.save(left)
    async with floor.serving() as desk:
        done = await over(desk, {"batch_id": "b1"})
    assert results(done) == [("web", "succeeded"), ("api", "succeeded")]
    assert (floor.orders("web/0"), floor.orders("api/0")) == (2, 2)


async def test_a_stop_whose_end_is_not_known_leaves_what_a_person_wished_since(floor: Floor) -> None:
    await floor.start(web="")
    await until(lambda: "web/0" in floor.host.slots)
    item = BatchItem(worker_id="web", state="running", number=5, operation_id="lost")
    floor.files.save(Batch(batch_id="b1", action="stop", actor="ann", created_at=1.0, items=(item,)))
    async with floor.serving() as desk:
        done = await over(desk, {"batch_id": "b1"})
    assert results(done) == [("web", "failed")]
    assert done["results"][0]["detail"] == "how it ended is not known; by now its spec says otherwise"
    assert floor.host.slots["web/0"].status is Status.RUNNING


async def test_a_file_that_others_are_writing_is_tried_again(floor: Floor) -> None:
    await floor.start(web="")
    async with floor.serving() as desk:
        folder = os.open(floor.root, os.O_RDONLY)
        fcntl.flock(folder, fcntl.LOCK_EX)
        first = accepted(await desk.create(wish("web", action="stop")))
        await until(lambda: desk._busy)
        os.close(folder)
        assert (await over(desk, first))["state"] == "succeeded"
        assert not desk._busy


async def test_what_cannot_be_kept_is_not_promised(floor: Floor) -> None:
    await floor.start(web="")
    floor.folder.write_text("in the way")
    async with floor.serving() as desk:
        refused = await desk.create(wish("web"))
        assert isinstance(refused, Refused)
        assert refused.code == "state_unwritable"
        assert desk.batches() == []
        floor.folder.unlink()
        floor.loop.draining = True
        refused = await desk.create(wish("web"))
        assert isinstance(refused, Refused)
        assert refused.code == "draining"


async def test_a_disk_that_fills_up_in_between_makes_nobody_asked_twice(floor: Floor) -> None:
    await floor.start(web="", api="")
    await until(lambda: len(floor.host.slots) == 2)
    floor.files = files = SmallDisk(floor.folder.parent)
    async with floor.serving() as desk:
        first = accepted(await desk.create(wish("web", "api", parallel=1)))
        assert (await over(desk, first))["state"] == "succeeded"
    assert (floor.orders("web/0"), floor.orders("api/0")) == (2, 2)
    assert (files.refused, floor.events().count("restart_requested")) == (2, 2)


async def test_a_batch_of_nobody_is_over_at_once_and_as_many_are_kept_as_are_said(floor: Floor) -> None:
    await floor.start(web="")
    floor.files.kept = 3
    async with floor.serving() as desk:
        made = [accepted(await desk.create(wish("nobody"))) for _ in range(5)]
        assert [one["state"] for one in made] == ["failed"] * 5
        newest = [one["batch_id"] for one in made[2:]]
        assert [one["batch_id"] for one in desk.batches()] == newest[::-1]
        assert [batch.batch_id for batch in floor.on_disk()] == newest


async def test_no_more_go_on_at_a_time_than_anybody_can_look_at(floor: Floor) -> None:
    await floor.start(web="")
    item = BatchItem(worker_id="web")
    for number in range(LIVE_MOST):
        floor.files.save(Batch(batch_id=f"b{number}", action="stop", actor="ann", created_at=1.0, items=(item,)))
    floor.loop.draining = True
    async with floor.serving() as desk:
        floor.loop.draining = False
        refused = await desk.create(wish("web"))
        assert isinstance(refused, Refused)
        assert refused.code == "too_many_batches"


@pytest.mark.parametrize(
    "damage",
    [
        lambda value: {**value, "batch_id": "other"},
        lambda value: {**value, "action": "kill"},
        lambda value: {**value, "parallel": 0},
        lambda value: {**value, "more": 1},
        lambda value: {**value, "created_at": "now"},
        lambda value: {**value, "items": [{"worker_id": "web", "state": "odd"}]},
        lambda value: {**value, "items": [{"worker_id": 7}]},
        lambda value: [value],
        lambda value: None,
    ],
)
def test_a_file_that_is_no_batch_is_put_aside_and_the_others_count(
    tmp_path: Path, damage: Callable[[Any], Any]
) -> None:
    files = BatchFiles(tmp_path)
    assert files.load() == []
    items = (BatchItem(worker_id="web", state="failed", detail="주", number=7, operation_id="op"),)
    good = Batch(batch_id="b1", action="stop", actor="ann", created_at=1.0, items=items, ended_at=2.5, selector="a=b")
    files.save(good)
    files.save(replace(good, batch_id="b2"))
    path = tmp_path / "batches/b2.json"
    path.write_text(json.dumps(damage(json.loads(path.read_bytes()))))
    (tmp_path / "batches/.b1.json.0123abcd").write_text("{")
    assert files.load() == [good]
    assert sorted(one.name for one in (tmp_path / "batches").iterdir()) == ["b1.json", "b2.bad"]
