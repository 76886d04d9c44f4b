"""The loop over a host that obeys: what it looks at, what it holds, what it tries again, what it forgets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controller.backends.base import Superseded, Unavailable
from controller.core.desired import Desired
from controller.core.intents import Intents, RunIntent
from controller.core.observed import Status
from controller.core.planner import plan as make_plan
from controller.reconcile.executor import Executor
from controller.reconcile.loop import ORDERS, PLANNED_HERE, RESYNC_S, Loop, Turn
from controller.reconcile.queue import WorkQueue
from controller.reconcile.wishes import WishBook
from tests.core.core_builders import NOW, desired, seen, worker
from tests.fakes.clock import FakeClock
from tests.reconcile.reconcile_site import HOST, MemoryHost, rounds, until

WEB, API = worker("web"), worker("api")


class Scene:
    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock(NOW)
        self.host = MemoryHost()
        self.wishes = WishBook(folder)
        self.queue = WorkQueue()
        self.loop = Loop(backends={HOST: self.host}, wishes=self.wishes, queue=self.queue, clock=self.clock)
        self.turns: list[Turn] = []
        self.carried: list[int] = []
        self.loop.publish_to(self.turns.append, lambda outcomes, _now: self.carried.append(len(outcomes)))
        self.task = asyncio.ensure_future(self.loop.run())

    async def accept(self, want: Desired, changed: set[str] | None = None) -> None:
        self.loop.accept(want, None if changed is None else frozenset(changed))
        await rounds()

    async def look(self, *worker_ids: str) -> None:
        self.queue.add(worker_ids)
        await rounds()

    def wish(self, worker_id: str = "web", number: int = 7, kind: Any = "restart") -> None:
        self.wishes.wish(RunIntent(worker_id=worker_id, kind=kind, number=number, at=NOW, actor="alice"))

    def running(self, *workers: Any) -> None:
        for one in workers:
            for ordinal in range(len(one.instances)):
                found = seen(one, ordinal)
                self.host.slots[found.instance] = found


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    found = Scene(tmp_path)
    await rounds()
    yield found
    found.task.cancel()
    await asyncio.gather(found.task, return_exceptions=True)


async def test_before_the_specs_are_read_nothing_is_done(scene: Scene) -> None:
    assert scene.turns == []
    assert str(scene.loop.plan_now()) == "hold     *: Starting: the specs have not been read yet"
    scene.loop.cannot_read("the directory has not answered for 30 s")
    assert str(scene.loop.plan_now()).endswith("not been read yet: the directory has not answered for 30 s")


async def test_many_orders_go_to_the_host_in_slices_and_all_are_one_turn(scene: Scene) -> None:
    calls: list[int] = []

    async def called() -> None:
        calls.append(len(scene.host.orders))

    scene.host.on_order = called
    await scene.accept(desired(*(worker(f"w{number:03}") for number in range(2 * ORDERS + 50))))
    await until(lambda: any(turn.outcomes for turn in scene.turns))
    assert calls == [0, ORDERS, 2 * ORDERS]
    assert scene.carried == [ORDERS, ORDERS, 50]
    assert scene.host.orders == [f"apply w{number:03}/0 running" for number in range(2 * ORDERS + 50)]
    assert [len(turn.outcomes) for turn in scene.turns if turn.outcomes] == [2 * ORDERS + 50]


async def test_what_is_left_of_a_turn_when_the_controller_begins_to_end_is_not_begun(scene: Scene) -> None:
    async def end() -> None:
        scene.loop.draining = True

    scene.host.on_order = end
    scene.host.suspended = True
    scene.loop.let_start()
    await scene.accept(desired(*(worker(f"w{number:03}") for number in range(2 * ORDERS))))
    await until(lambda: scene.host.orders)
    await rounds()
    assert scene.host.orders == [f"apply w{number:03}/0 running" for number in range(ORDERS)]


async def test_a_plan_of_very_many_workers_is_made_beside_the_event_loop_and_is_the_same(scene: Scene) -> None:
    many = [worker(f"w{number:04}") for number in range(PLANNED_HERE + 1)]
    scene.running(*many)
    want = desired(worker("new"), *many)
    before = make_plan(want, scene.loop.observed(), Intents(), now=NOW)
    scene.loop.accept(want, None)
    ticks, planning = 0, asyncio.ensure_future(scene.loop.planned())
    while not planning.done():
        await asyncio.sleep(0)
        ticks += 1
    assert ticks > 2
    # The loop turns meanwhile: what was planned is of before or after that.
    after = make_plan(want, scene.loop.observed(), Intents(), now=NOW)
    assert str(planning.result()) in (str(before), str(after))
    await until(lambda: scene.turns)
    assert scene.host.orders == ["apply new/0 running"]


async def test_what_was_stopped_as_a_whole_starts_only_when_it_is_as_the_settled_specs_ask(scene: Scene) -> None:
    scene.host.suspended = True
    await scene.accept(desired(WEB))
    assert scene.host.orders == ["apply web/0 running"]
    scene.loop.let_start()
    await rounds()
    assert scene.host.orders == ["apply web/0 running", "resume"]


async def test_a_host_where_all_was_stopped_is_not_let_go_while_an_order_has_not_arrived(scene: Scene) -> None:
    scene.host.suspended = True
    scene.host.errors["apply"] = [Unavailable("not now")]
    scene.loop.let_start()
    await scene.accept(desired(WEB))
    assert scene.host.orders == []
    await scene.clock.advance(RESYNC_S)
    assert scene.host.orders == ["apply web/0 running", "resume"]


async def test_what_is_wanted_is_ordered_and_then_left_alone(scene: Scene) -> None:
    await scene.accept(desired(WEB, API))
    assert scene.host.orders == ["apply api/0 running", "apply web/0 running"]
    await scene.look("web")
    await scene.clock.advance(RESYNC_S)
    assert len(scene.host.orders) == 2
    assert [turn.number for turn in scene.turns] == [1, 2, 3]
    assert str(scene.loop.plan_now()) == ""


async def test_a_turn_looks_only_at_who_is_due(scene: Scene) -> None:
    await scene.accept(desired(WEB, API))
    scene.host.slots.clear()
    scene.host.orders.clear()
    await scene.look("api")
    assert scene.host.orders == ["apply api/0 running"]


async def test_what_is_lost_without_a_word_is_found_by_the_resync(scene: Scene) -> None:
    await scene.accept(desired(WEB))
    scene.host.slots.clear()
    await scene.clock.advance(RESYNC_S - 1)
    assert len(scene.host.orders) == 1
    await scene.clock.advance(1)
    assert len(scene.host.orders) == 2


async def test_a_clock_that_is_set_back_does_not_put_the_resync_off(scene: Scene) -> None:
    await scene.accept(desired(WEB))
    scene.clock.jump(-3600)
    scene.host.slots.clear()
    for _ in range(3):
        await scene.clock.advance(RESYNC_S)
    assert len(scene.host.orders) == 2


async def test_nothing_is_ordered_from_a_host_that_cannot_be_asked(scene: Scene) -> None:
    scene.host.reachable = False
    await scene.accept(desired(WEB))
    assert scene.host.orders == []
    assert [hold.reason for hold in scene.loop.holds(None)] == ["HostUnreachable"]
    await scene.look("web")
    assert [len(turn.new_holds) for turn in scene.turns] == [1, 0]


async def test_a_partial_turn_leaves_the_holds_of_others_and_of_hosts(scene: Scene) -> None:
    scene.running(API)
    broken = desired(API, broken={"bad": ()}, hold_reason="git is at work", hold_digest="abc")
    await scene.accept(broken)
    before = scene.loop.all_holds()
    assert {hold.reason for hold in before} == {"SpecInvalid", "SourceHeld"}
    await scene.look("api")
    assert scene.loop.all_holds() == before
    assert [len(turn.new_holds) for turn in scene.turns] == [2, 0]
    await scene.accept(desired(API))
    assert scene.loop.all_holds() == ()


async def test_an_order_that_was_not_carried_over_is_tried_again_and_not_at_once(scene: Scene) -> None:
    scene.host.errors["apply"] = [Unavailable("broke"), Unavailable("broke")]
    await scene.accept(desired(WEB))
    assert [outcome.error for outcome in scene.turns[-1].outcomes] == ["unavailable"]
    await scene.clock.advance(1)
    assert len(scene.turns) == 2
    await scene.clock.advance(1)
    assert len(scene.turns) == 2, "the second time later"
    await scene.clock.advance(1)
    assert scene.host.orders == ["apply web/0 running"]


async def test_an_order_that_the_host_finds_invalid_does_not_keep_the_loop_turning(scene: Scene) -> None:
    scene.host.answers["web/0"] = "invalid"
    await scene.accept(desired(WEB))
    assert len(scene.turns) == 1
    for _ in range(60):
        await scene.clock.advance(1)
    assert len(scene.turns) < 12
    scene.host.answers.clear()
    await scene.accept(desired(WEB), {"web"})
    assert scene.host.slots["web/0"].status is Status.RUNNING


async def test_a_refused_order_is_held_at_once_and_offered_again_later(scene: Scene) -> None:
    scene.running(WEB)
    scene.host.answers["web/0"] = "refused"
    await scene.accept(desired(worker("web", command=["other"])))
    assert [hold.reason for hold in scene.loop.holds("web")] == ["CannotStart"]
    assert scene.host.orders == ["apply web/0 running"]
    scene.host.answers.clear()
    for _ in range(3):
        await scene.clock.advance(RESYNC_S / 2)
    assert scene.host.orders == ["apply web/0 running"] * 2
    assert scene.loop.holds("web") == ()


async def test_a_draining_loop_orders_nothing_and_still_ticks(scene: Scene) -> None:
    scene.loop.draining = True
    await scene.accept(desired(WEB))
    assert scene.host.orders == []
    assert scene.loop.last_turn_at == NOW


async def test_a_bug_in_a_turn_is_told_and_the_next_turn_looks_anew(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.host.errors["apply"] = [ZeroDivisionError("a bug of ours")]
    await scene.accept(desired(WEB))
    assert "a turn failed" in caplog.text
    await scene.clock.advance(1)
    assert scene.host.orders == ["apply web/0 running"]


async def test_another_controller_ends_the_loop(scene: Scene) -> None:
    scene.host.errors["apply"] = [Superseded("claimed")]
    await scene.accept(desired(WEB))
    with pytest.raises(Superseded):
        scene.task.result()


async def test_a_wish_is_served_once_and_then_forgotten(scene: Scene) -> None:
    scene.running(WEB)
    await scene.accept(desired(WEB))
    scene.wish()
    await scene.look("web")
    assert scene.host.slots["web/0"].run_request == 7
    await scene.look("web")
    assert dict(scene.loop.intents().runs) == {}
    assert len(scene.host.orders) == 1


async def test_a_wish_that_comes_while_a_turn_goes_on_is_not_taken_for_the_old_one(scene: Scene) -> None:
    scene.running(WEB, API)
    await scene.accept(desired(WEB, API))
    scene.wish()
    await scene.look("web")  # served; the wish is forgotten by the next look

    async def another() -> None:
        scene.host.on_order = None
        scene.wish(number=8)

    scene.host.on_order = another
    scene.host.slots.pop("api/0")
    await scene.look("web", "api")
    assert scene.loop.intents().runs["web"].number == 8
    await scene.look("web")
    assert scene.host.slots["web/0"].run_request == 8


async def test_a_turn_about_others_leaves_a_wish_alone(scene: Scene) -> None:
    scene.running(API)
    await scene.accept(desired(API))
    scene.wish("web", kind="start")  # a worker whose slots are not there yet
    await scene.look("api")
    assert "web" in scene.loop.intents().runs
    await scene.look("web")
    assert scene.loop.intents().runs == {}, "its worker is gone"


async def test_no_wish_is_forgotten_while_a_host_cannot_be_asked(scene: Scene) -> None:
    scene.running(WEB)
    await scene.accept(desired(WEB))
    scene.wish()
    scene.host.reachable = False
    await scene.look("web")
    assert "web" in scene.loop.intents().runs


async def test_a_confirmation_that_nothing_waits_for_is_forgotten(scene: Scene) -> None:
    scene.host.reachable = False
    scene.wishes.confirm("abc", NOW)
    await scene.accept(desired(WEB))
    assert scene.loop.intents().confirmed == {"abc"}, "who knows what waits on a host that is silent"
    scene.host.reachable = True
    await scene.look("web")
    assert scene.loop.intents().confirmed == frozenset()


async def test_a_confirmation_lets_one_change_happen_and_no_later_one(scene: Scene) -> None:
    names = [f"w{number}" for number in range(6)]
    before = [worker(name) for name in names]
    scene.running(WEB, *before)
    await scene.accept(desired(WEB, removed=names))
    digest = scene.loop.all_holds()[0].confirm
    scene.wishes.confirm(digest, NOW)
    scene.queue.everything()
    await rounds()
    assert scene.host.orders == [f"remove {name}/0" for name in names]
    assert scene.loop.intents().confirmed == frozenset()
    await scene.accept(desired(WEB, *before))
    scene.host.orders.clear()
    await scene.accept(desired(WEB, removed=names))
    assert scene.host.orders == []
    assert {hold.confirm for hold in scene.loop.all_holds()} == {digest}


async def test_a_confirmation_of_what_could_not_be_carried_over_stays_until_it_is(scene: Scene) -> None:
    names = [f"w{number}" for number in range(6)]
    scene.running(WEB, *(worker(name) for name in names))
    await scene.accept(desired(WEB, removed=names))
    scene.host.errors["remove"] = [Unavailable("gone")]
    scene.wishes.confirm(scene.loop.all_holds()[0].confirm, NOW)
    scene.queue.everything()
    await rounds()
    assert (scene.host.orders, len(scene.loop.intents().confirmed)) == ([], 1)
    await scene.clock.advance(RESYNC_S)
    await rounds()
    assert (len(scene.host.orders), len(scene.loop.intents().confirmed)) == (6, 0)


async def test_removals_are_orders_of_their_own(scene: Scene) -> None:
    scene.running(WEB, API)
    await scene.accept(desired(worker("api", command=["other"]), removed=["web"]))
    assert scene.host.orders == ["remove web/0", "apply api/0 running"]
    assert [str(outcome.action.kind) for outcome in scene.turns[-1].outcomes] == ["remove", "replace"]


async def test_a_refusal_that_the_plan_does_not_see_does_not_keep_the_loop_turning(scene: Scene) -> None:
    scene.running(WEB)
    scene.host.answers["web/0"] = "refused"
    scene.host.now = lambda: 0.0  # its refusals are old before they arrive
    await scene.accept(desired(worker("web", command=["other"])))
    assert len(scene.turns) == 2


async def test_a_slot_that_the_host_does_not_answer_for_is_tried_again(scene: Scene) -> None:
    class Forgetful(MemoryHost):
        async def apply(self, orders: Any) -> Any:
            return (await super().apply(orders))[1:]

    forgetful = Forgetful()
    scene.loop._backends = {HOST: forgetful}
    scene.loop._executor = Executor({HOST: forgetful})
    await scene.accept(desired(WEB))
    (outcome,) = scene.turns[-1].outcomes
    assert (outcome.error, outcome.message) == ("unavailable", "the host did not answer for this slot")
