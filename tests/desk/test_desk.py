"""The desk over the real loop, feed, store and book of wishes, with a host in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller.api.log_query import LogQuery
from controller.api.ports import (
    Accepted,
    ActionWish,
    EventQuery,
    Refused,
    StoreUnavailable,
    Topic,
    UnknownWorker,
)
from controller.core.config_views import shown_spec
from controller.core.desired import Desired
from controller.core.observed import Status
from controller.desk.heartbeats import HeartbeatDesk
from controller.desk.parts import Parts
from controller.desk.specs import SLICE, SpecDesk
from controller.desk.workers import Desk
from controller.reconcile.archive import Archive
from controller.reconcile.clock import Clock
from controller.reconcile.loop import Loop
from controller.reconcile.observer import Observer
from controller.reconcile.queue import WorkQueue
from controller.reconcile.specs import SpecFeed
from controller.reconcile.wishes import WishBook
from controller.sources.directory import DirectorySource
from controller.sources.writer import SpecWriter
from controller.store import Store, open_store
from controller.store.records import Event, EventRows, Line, LogBatch
from tests.core.core_builders import problem
from tests.core.core_builders import worker as core_worker
from tests.reconcile.reconcile_site import HOST, MemoryHost, read_anew, until
from tests.sources.specs_builder import SURROUNDINGS, worker
from tests.store.store_builders import QUICK


class TellingHost(MemoryHost):
    """Tells the observer of every change, as a back end does."""

    def __post_init__(self) -> None:
        self.observer: Observer | None = None

    async def _called(self, name: str) -> None:
        await super()._called(name)
        if self.observer is not None and name in ("apply", "remove"):
            asyncio.get_running_loop().call_soon(self.observer.host_changed, HOST, None)


class Scene:
    def __init__(self, folder: Path) -> None:
        self.root = folder / "specs"
        self.root.mkdir()
        (folder / "intents").mkdir()
        self.store: Store = open_store(str(folder / "workerctl.db"), settings=QUICK)
        self.clock, queue, self.wishes = Clock(), WorkQueue(), WishBook(folder / "intents")
        self.host = TellingHost(now=self.clock.now)
        archive = Archive(self.store, now=self.clock.now, ask_again=lambda _: None)
        self.loop = Loop(backends={HOST: self.host}, wishes=self.wishes, queue=queue, clock=self.clock)
        source = DirectorySource(str(self.root), str(folder), SURROUNDINGS, settle_ms=0)
        self.feed = SpecFeed(source, clock=self.clock, archive=archive, accept=self.loop.accept)
        self.heartbeats = HeartbeatDesk("key", self.loop, self.clock)
        parts = Parts(
            store=self.store, loop=self.loop, specs=self.feed, wishes=self.wishes, archive=archive, clock=self.clock,
            heartbeats=self.heartbeats,
        )  # fmt: skip
        writer = SpecWriter(source, shown=shown_spec, now=self.clock.now)
        self.desk, self.configs = Desk(parts, writer), SpecDesk(parts, source, writer)
        self.host.observer = Observer(
            backends={HOST: self.host}, queue=queue, keeper=archive, log_grew=lambda *_: None, changed=self.desk.changed
        )
        self.loop.publish_to(self.desk.published, self.desk.carried)
        self.feed.tell_scans(self.desk.specs_read)
        self.tasks: list[asyncio.Task[None]] = []

    async def start(self, **specs: str) -> None:
        for worker_id, more in specs.items():
            (self.root / f"{worker_id}.yaml").write_text(worker(worker_id, more))
        self.tasks = [asyncio.ensure_future(self.feed.run()), asyncio.ensure_future(self.loop.run())]
        await until(lambda: self.loop.turns)

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.store.close()

    async def act(self, action: Any, worker_id: str = "web", **fields: Any) -> Any:
        return await self.desk.act(ActionWish(worker_id=worker_id, action=action, actor="ann", **fields))

    async def ended(self, accepted: Any) -> str:
        assert isinstance(accepted, Accepted), accepted
        operation_id = accepted.operation["operation_id"]
        ended = ("succeeded", "failed", "superseded")
        await until(lambda: (found := self.desk._operations.get(operation_id)) and found.state in ended)
        document = await self.desk.operation(operation_id)
        assert document is not None
        return str(document["state"])

    def spec(self) -> str:
        return (self.root / "web.yaml").read_text()

    def status(self) -> str:
        return str(self.host.slots["web/0"].status)

    def events(self) -> list[str]:
        assert self.store.writer.flush(5)
        return [event.type for event in self.store.reader.events()]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    found = Scene(tmp_path)
    yield found
    await found.close()


async def test_workers_are_shown_as_they_are_and_bells_ring(scene: Scene) -> None:
    with closing(scene.desk.subscribe(Topic.WORKERS)) as bell:
        await scene.start(web="", api="replicas: 2\n")
        await asyncio.wait_for(bell.wait(), 5)
    await until(lambda: [item["status"] for item in scene.desk.workers()] == ["running", "running"])
    status = await scene.desk.status("api")
    assert status is not None
    assert (status["worker_id"], len(status["instances"])) == ("api", 2)
    assert await scene.desk.status("nobody") is None
    health = scene.desk.health()
    assert (health.workers, health.problems, health.agent, health.first_turn) == (2, 0, True, True)
    assert str(await scene.desk.plan()) == ""
    assert {"spec_accepted", "create_ordered"} <= set(scene.events())
    assert scene.desk.has_slots("web")
    assert not scene.desk.has_slots("nobody")


async def test_stop_and_start_edit_the_file_and_are_done_when_the_host_is(scene: Scene) -> None:
    await scene.start(web="# a comment\n")
    assert await scene.ended(await scene.act("stop", reason="lunch")) == "succeeded"
    assert "desired_state: stopped" in scene.spec()
    assert "# a comment" in scene.spec()
    assert scene.host.slots["web/0"].status is Status.STOPPED
    assert await scene.ended(await scene.act("start")) == "succeeded"
    assert "desired_state: running" in scene.spec()
    assert {"stop_requested", "start_requested"} <= set(scene.events())


async def test_a_restart_is_an_intent_that_is_served_once(scene: Scene) -> None:
    await scene.start(web="replicas: 3\n")
    before = scene.spec()
    assert await scene.ended(await scene.act("restart")) == "succeeded"
    assert len({slot.run_request for slot in scene.host.slots.values()}) == 1
    assert scene.spec() == before
    await until(lambda: not scene.wishes.intents.runs)


async def test_what_is_not_asked_gracefully_is_ordered_to_be_killed(scene: Scene) -> None:
    await scene.start(web="")
    await until(lambda: "web/0" in scene.host.slots)
    assert await scene.ended(await scene.act("restart", graceful=False)) == "succeeded"
    assert scene.host.orders[-1] == "apply web/0 running at once"
    assert await scene.ended(await scene.act("restart")) == "succeeded"
    assert scene.host.orders[-1] == "apply web/0 running"
    assert await scene.ended(await scene.act("stop", graceful=False, reason="it hangs")) == "succeeded"
    await until(lambda: not scene.wishes.intents.runs)
    assert await scene.ended(await scene.act("start")) == "succeeded"
    messages = [event.message for event in scene.store.reader.events()] if scene.store.writer.flush(5) else []
    assert "stop at once asked for by ann: it hangs" in messages


async def test_what_is_kept_stopped_starts_again_by_itself_and_its_file_is_left_alone(scene: Scene) -> None:
    await scene.start(web="")
    before = scene.spec()
    await until(lambda: "web/0" in scene.host.slots)
    assert await scene.ended(await scene.act("stop", for_ms=60_000, reason="maintenance")) == "succeeded"
    status = await scene.desk.status("web")
    assert status is not None
    assert (status["desired_state"], status["status"]) == ("stopped", "stopped")
    assert "it is kept stopped until " in status["why"]
    assert [hold["reason"] for hold in status["holds"]] == ["KeptStopped"]
    suspended = next(one for one in status["conditions"] if one["type"] == "Suspended")
    assert (suspended["status"], suspended["reason"]) == ("True", "KeptStopped")
    assert suspended["message"].endswith(" (maintenance, by ann)")
    assert isinstance(await scene.act("restart"), Refused)
    assert await scene.ended(await scene.act("stop", for_ms=300)) == "succeeded"
    await until(lambda: not scene.wishes.intents.keeps)
    await until(lambda: scene.host.slots["web/0"].status is Status.RUNNING)
    assert scene.spec() == before
    assert "keep_ended" in scene.events()


async def test_a_keep_ends_by_resume_by_its_opposite_and_by_a_plain_wish(scene: Scene) -> None:
    await scene.start(web="desired_state: stopped\n")
    assert await scene.ended(await scene.act("start", for_ms=60_000)) == "succeeded"
    assert scene.status() == "running"
    assert await scene.ended(await scene.act("stop", for_ms=60_000)) == "succeeded"
    assert await scene.ended(await scene.act("start", for_ms=60_000)) == "succeeded"
    assert await scene.ended(await scene.desk.resume("web", "ann", "done")) == "succeeded"
    assert scene.status() == "stopped"
    assert await scene.ended(await scene.act("start", for_ms=60_000)) == "succeeded"
    assert await scene.ended(await scene.act("stop")) == "succeeded"
    assert not scene.wishes.intents.keeps
    assert "desired_state: stopped" in scene.spec()


async def test_a_worker_whose_file_is_broken_can_be_kept_stopped(scene: Scene) -> None:
    await scene.start(web="")
    await until(lambda: "web/0" in scene.host.slots)
    (scene.root / "web.yaml").write_text("worker_id: web\ncolour: red\n")
    await read_anew(scene.feed)
    await until(lambda: scene.feed.desired.workers["web"].stale)
    assert isinstance(await scene.act("stop"), Refused)
    assert await scene.ended(await scene.act("stop", for_ms=60_000)) == "succeeded"
    assert scene.host.slots["web/0"].status is Status.STOPPED


async def test_a_restart_that_the_host_refuses_has_failed_with_the_reason(scene: Scene) -> None:
    await scene.start(web="")
    await until(lambda: scene.host.slots)
    scene.host.answers["web/0"] = "refused"
    accepted = await scene.act("restart")
    assert await scene.ended(accepted) == "failed"
    document = await scene.desk.operation(accepted.operation["operation_id"])
    assert document is not None
    assert "no such command" in document["detail"]


async def test_an_operation_outlives_the_memory_of_it(scene: Scene) -> None:
    await scene.start(web="")
    accepted = await scene.act("restart")
    await scene.ended(accepted)
    assert scene.store.writer.flush(5)
    operation_id = accepted.operation["operation_id"]
    scene.desk._operations._ended.clear()
    document = await scene.desk.operation(operation_id)
    assert document is not None
    assert document["state"] == "succeeded"
    assert await scene.desk.operation("none") is None


async def test_what_cannot_be_asked_for_is_refused_with_the_reason(scene: Scene) -> None:
    await scene.start(web="desired_state: stopped\n")
    (scene.root / "bad.yaml").write_text("worker_id: bad\ncolour: red\n")
    await read_anew(scene.feed)
    assert isinstance(await scene.act("start", "nobody"), UnknownWorker)
    for wanted, answer in {
        "stopped": await scene.act("restart"),
        "broken_file": await scene.act("start", "bad"),
        "not_supported": await scene.act("restart", for_ms=5),
        "not_kept": await scene.desk.resume("web", "ann", ""),
    }.items():
        assert isinstance(answer, Refused)
        assert answer.code == wanted
    scene.loop.draining = True
    for answer in (await scene.act("start"), await scene.desk.reconcile(None, "ann")):
        assert isinstance(answer, Refused)
        assert answer.code == "draining"


async def test_a_look_can_be_asked_for_and_only_what_waits_confirmed(scene: Scene) -> None:
    await scene.start(web="")
    assert isinstance(await scene.desk.reconcile(None, "ann"), Accepted)
    stale = await scene.desk.reconcile("abc", "ann")
    assert isinstance(stale, Refused)
    assert stale.code == "stale_plan"
    (scene.root / "web.yaml").unlink()
    await read_anew(scene.feed)
    digest = (await scene.desk.plan()).holds[0].confirm
    assert digest
    assert isinstance(await scene.desk.reconcile(digest, "ann"), Accepted)
    await until(lambda: not scene.host.slots)
    assert "confirmed" in scene.events()


async def test_a_guard_is_confirmed_by_an_intent(scene: Scene) -> None:
    await scene.start(**{f"w{number}": "" for number in range(5)})
    await until(lambda: len(scene.host.slots) == 5)
    for number in range(5):
        (scene.root / f"w{number}.yaml").write_text(worker(f"w{number}").replace("60", "61"))
    await read_anew(scene.feed)
    await until(lambda: any(hold.confirm for hold in scene.loop.all_holds()))
    digest = next(hold.confirm for hold in scene.loop.all_holds() if hold.confirm)
    orders = len(scene.host.orders)
    assert isinstance(await scene.desk.reconcile(digest, "ann"), Accepted)
    await until(lambda: len(scene.host.orders) == orders + 5)
    assert "held" in scene.events()


async def test_the_list_of_specs_is_made_in_slices_and_then_only_what_changed(scene: Scene) -> None:
    many = {f"w{number:03}": core_worker(f"w{number:03}") for number in range(5 * SLICE)}
    want = scene.loop.desired = scene.feed.desired = Desired(
        workers=many, broken={"zed": (problem("zed"),)}, commits={"w007.yaml": "c1", "zed.yaml": "c1"}
    )
    turns = sum(1 for _ in scene.configs._refreshed())
    items = scene.configs.configs()
    assert (turns, scene.configs.made) == (5, 5 * SLICE + 1)
    assert [item["worker_id"] for item in items] == [*many, "zed"]
    assert {item["worker_id"]: item["source"]["commit"] for item in items if item["source"]["commit"]} == {
        "w007": "c1", "zed": "c1",
    }  # fmt: skip
    assert [json.loads(scene.configs.encoded(item)) for item in items] == items

    left = {**many, "w001": core_worker("w001", replicas=2)}
    del left["w002"]
    scene.feed.desired = replace(want, workers=left, commits={"w007.yaml": "c2"})
    again = {item["worker_id"]: item for item in scene.configs.configs()}
    assert scene.configs.made == 5 * SLICE + 4, "w001, w007 and zed"
    assert (again["w001"]["spec"]["replicas"], again["w007"]["source"]["commit"], "w002" in again) == (2, "c2", False)


async def test_a_plan_that_many_follow_is_made_once_until_something_changes(scene: Scene) -> None:
    await scene.start(web="")
    await until(lambda: [item["status"] for item in scene.desk.workers()] == ["running"])
    with closing(scene.desk.subscribe(Topic.WORKERS)) as bell:
        scene.desk.changed(["web"])
        await asyncio.wait_for(bell.wait(), 5)
    first = await scene.desk.recent_plan()
    assert await scene.desk.recent_plan() is first
    with closing(scene.desk.subscribe(Topic.WORKERS)) as bell:
        scene.desk.changed(["web"])
        await asyncio.wait_for(bell.wait(), 5)
    assert await scene.desk.recent_plan() is not first


async def test_a_spec_that_changes_without_a_turn_of_its_own_is_told_to_followers(scene: Scene) -> None:
    await scene.start(web="")
    await until(lambda: [item["status"] for item in scene.desk.workers()] == ["running"])
    with closing(scene.desk.subscribe(Topic.WORKERS, "web")) as bell:
        (scene.root / "web.yaml").write_text(worker("web", "description: other words\n"))
        scene.feed.look()
        async with asyncio.timeout(5):
            while (status := await scene.desk.status("web")) is None or status["description"] != "other words":
                await bell.wait()


async def test_lines_and_events_come_page_by_page(scene: Scene) -> None:
    await scene.start(web="")
    lines = [Line(at=1.0 + number, text=f"line {number}", byte_offset=number * 10) for number in range(10)]
    batch = LogBatch(run="r1", stream="stdout", slot="web/0", from_offset=0, to_offset=100, lines=lines)
    scene.store.writer.submit(batch)
    scene.store.writer.submit(EventRows(events=[Event(at=1.0, type=f"kind{number % 2}") for number in range(10)]))
    assert scene.store.writer.flush(5)
    newest = await scene.desk.logs(LogQuery(worker_id="web", limit=3, ordinal=0))
    assert newest is not None
    assert [entry.item["text"] for entry in newest.entries] == ["line 7", "line 8", "line 9"]
    page = await scene.desk.logs(LogQuery(worker_id="web", limit=4, after=0))
    assert page is not None
    assert (len(page.entries), page.more) == (4, True)
    rest = await scene.desk.logs(LogQuery(worker_id="web", limit=10, after=page.cursor))
    assert rest is not None
    assert (rest.entries[0].item["text"], rest.more) == ("line 4", False)
    nothing = await scene.desk.logs(LogQuery(worker_id="web", limit=0))
    assert nothing is not None
    assert (nothing.entries, nothing.cursor) == ((), newest.cursor)
    assert await scene.desk.logs(LogQuery(worker_id="nobody", limit=3)) is None
    start = await scene.desk.log_feed(None, 0)
    assert (start.entries, start.cursor) == ((), newest.cursor)
    piece = await scene.desk.log_feed(page.cursor, 4)
    assert (piece.entries[0].item["text"], len(piece.entries), piece.more) == ("line 4", 4, True)
    rest = await scene.desk.log_feed(piece.cursor, 4)
    assert ([entry.item["text"] for entry in rest.entries], rest.more) == (["line 8", "line 9"], False)
    assert (await scene.desk.log_feed(rest.cursor, 4)).cursor == rest.cursor == newest.cursor
    odd = await scene.desk.events(EventQuery(limit=3, types=("kind1",)))
    assert [entry.item["type"] for entry in odd.entries] == ["kind1"] * 3
    ahead = await scene.desk.events(EventQuery(limit=2, after=0, types=("kind0", "kind1")))
    assert ([entry.item["type"] for entry in ahead.entries], ahead.more) == (["kind0", "kind1"], True)
    back = await scene.desk.events(EventQuery(limit=2, before=odd.entries[-1].cursor))
    assert back.entries[-1].cursor < odd.entries[-1].cursor
    rare = await scene.desk.events(EventQuery(limit=2, before=odd.entries[-1].cursor, types=("kind1",)))
    assert [entry.cursor for entry in rare.entries] == [entry.cursor for entry in odd.entries[:2]]
    assert (await scene.desk.events(EventQuery(limit=5, actors=("nobody",)))).entries == ()
    everything = await scene.desk.events(EventQuery(limit=1000))
    assert everything.entries[-1].cursor == everything.cursor
    assert (await scene.desk.events(EventQuery(limit=0))).entries == ()


async def test_without_the_database_the_answer_says_so(scene: Scene, tmp_path: Path) -> None:
    await scene.start(web="")
    assert scene.store.writer.flush(5)
    scene.store.reader.close()
    (tmp_path / "workerctl.db").rename(tmp_path / "away.db")
    (tmp_path / "workerctl.db").mkdir()
    with pytest.raises(StoreUnavailable):
        await scene.desk.events(EventQuery(limit=1))
    (tmp_path / "workerctl.db").rmdir()
    (tmp_path / "away.db").rename(tmp_path / "workerctl.db")


async def test_lines_are_searched_page_by_page_in_both_directions(scene: Scene) -> None:
    await scene.start(web="")
    lines = [
        Line(
            at=1.0 + n,
            text=f"line {n} {'needle' if n % 7 == 0 else ''}",
            byte_offset=n,
            level="error" if n % 3 == 1 else None,
        )
        for n in range(99)
    ]
    batch = LogBatch(run="r1", stream="stdout", slot="web/0", from_offset=0, to_offset=100, lines=lines)
    scene.store.writer.submit(batch)
    assert scene.store.writer.flush(5)

    async def ask(**more: Any) -> tuple[list[str], Any]:
        found = await scene.desk.logs(LogQuery(**{"worker_id": "web", "limit": 3, "grep": ("needle",), **more}))
        assert found is not None
        return [str(entry.item["text"]).split()[1] for entry in found.entries], found

    texts, newest = await ask()
    assert texts == ["84", "91", "98"]
    assert (await ask(before=newest.start))[0] == ["63", "70", "77"]
    assert (await ask(limit=50))[1].start is None
    texts, oldest = await ask(after=0)
    assert (texts, oldest.more) == (["0", "7", "14"], True)
    assert (await ask(after=oldest.cursor))[0] == ["21", "28", "35"]
    rest = (await ask(after=oldest.cursor, limit=50))[1]
    assert (rest.more, rest.cursor) == (False, newest.cursor)
    assert (await ask(grep=("needle", "4 n")))[0] == ["14", "84"]
    assert (await ask(levels=("error",)))[0] == ["49", "70", "91"]
    assert (await ask(since=50.0, until=70.0))[0] == ["49", "56", "63"]
    assert (await ask(grep=("nowhere",)))[0] == []
