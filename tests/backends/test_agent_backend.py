"""The door to the agent at its edges: broken connections, answers that do not come or cannot be read, races."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from controller.backends.base import Answer, LogFile, Superseded, Unavailable
from tests.backends.backends_site import Connected, FakePlace, Hearer, order, runner, until

FILE = LogFile(run="r", instance="web/0", stream="stdout", size=1, ended=False)


async def test_a_connection_that_breaks_within_an_order_leaves_no_view_to_act_upon(fake: FakePlace) -> None:
    fake.agent.cuts.add("apply")
    async with Connected(fake.backend()) as found:
        await found.reachable()
        with pytest.raises(Unavailable, match="broke"):
            await found.backend.apply([order(runner())])
        # At once, before anything else had its turn: the loop may plan again in the same moment.
        assert not found.backend.view().reachable
        with pytest.raises(Unavailable):
            await found.backend.apply([order(runner())])
        await found.reachable()
        assert found.status() == "running"


async def test_an_answer_that_does_not_come_costs_the_connection(fake: FakePlace) -> None:
    backend = fake.backend()
    backend.answer_timeout_s = 0.05
    fake.agent.silent.add("stored")
    async with Connected(backend) as found:
        await found.reachable()
        with pytest.raises(Unavailable, match="no answer within"):
            await backend.stored([("r", "stdout", 1)])
        assert not backend.view().reachable
        await found.reachable()


async def test_a_change_between_the_list_and_its_answer_is_not_lost(fake: FakePlace) -> None:
    async with Connected(fake.backend()) as found:
        await found.reachable()
        await found.backend.apply([order(runner()), order(runner(), ordinal=0, instance="web/1")])
        listed = dict(fake.agent.slots)

        def list_an_old_world(_request: dict[str, Any]) -> dict[str, Any]:
            fake.agent.change("web/0", status="crashed", pid=None)
            del fake.agent.slots["web/1"]
            fake.agent.push({"push": "gone", "slot": "web/1"})
            return {"ok": True, "slots": [{**view, "status": "running"} for view in listed.values()], "tombstones": {}}

        fake.agent.answers["list"] = list_an_old_world
        found.backend.reconnect()
        await until(lambda: not found.backend.view().reachable)
        await found.reachable()
        assert (found.status("web/0"), found.status("web/1")) == ("crashed", None)


async def test_an_event_between_the_cursor_and_the_watch_is_heard_once(fake: FakePlace) -> None:
    fake.agent.emit("one", "web/0")
    hearer = Hearer(on_cursor=lambda: fake.agent.emit("between", "web/0"))
    fake.agent.on_request = lambda op: fake.agent.emit("at_the_watch", "web/0") if op == "watch" else None
    async with Connected(fake.backend(), hearer) as found:
        await found.reachable()
        fake.agent.emit("later", "web/0")
        await until(lambda: len(hearer.events) >= 4)
        assert [(event.seq, event.type) for event in hearer.events] == [
            (1, "one"),
            (2, "between"),
            (3, "at_the_watch"),
            (4, "later"),
        ]


async def test_events_are_asked_for_from_the_stored_cursor_on(fake: FakePlace) -> None:
    for number in range(3):
        fake.agent.emit(f"event{number}", "web/0")
    async with Connected(fake.backend(), Hearer(stored=("j1", 2))) as found:
        await until(lambda: found.hearer.events)
        assert [event.type for event in found.hearer.events] == ["event2"]


async def test_slots_that_went_while_nobody_was_connected_are_not_in_the_view(fake: FakePlace) -> None:
    async with Connected(fake.backend()) as found:
        await found.reachable()
        await found.backend.apply([order(runner())])
        await fake.kill_agent()
        del fake.agent.slots["web/0"]
        await until(lambda: not found.backend.view().reachable)
        assert found.status() == "running"  # a memory
        await found.reachable()
        assert found.status() is None


async def test_a_snapshot_does_not_change_when_the_world_does(fake: FakePlace) -> None:
    async with Connected(fake.backend()) as found:
        await found.reachable()
        before = found.backend.view()
        assert before.instances is found.backend.view().instances, "a look at what did not change costs no copy"
        await found.backend.apply([order(runner())])
        await until(lambda: found.status() == "running")
        assert dict(before.instances) == {}


async def test_figures_are_told_apart_from_changes_and_only_where_they_differ(fake: FakePlace) -> None:
    async with Connected(fake.backend()) as found:
        await found.reachable()
        await found.backend.apply([order(runner())])
        changes = list(found.hearer.changes)
        fake.agent.sample({"web/0": [1.5, 2048], "gone/0": [0.0, 1]})
        fake.agent.sample({"web/0": [1.5, 2048]})
        fake.agent.sample({"web/0": [None, 2048]})
        await until(lambda: len(found.hearer.samples) == 2)
        seen = found.backend.view().instances["web/0"]
        assert (seen.cpu_percent, seen.memory_bytes) == (None, 2048)
        assert found.hearer.changes == changes


async def test_cpu_seconds_are_handed_on_each_time_and_shown_where_they_are_of_the_live_run(fake: FakePlace) -> None:
    async with Connected(fake.backend()) as found:
        await found.reachable()
        await found.backend.apply([order(runner())])
        run = str(found.backend.view().instances["web/0"].run)
        fake.agent.sample({"web/0": [1.5, 2048]}, {"web/0": (run, 3.25)})
        await until(lambda: found.hearer.used == {"web/0": (run, 3.25)})
        fake.agent.sample({"web/0": [1.5, 2048]}, {"web/0": (run, 4.5)})
        await until(lambda: found.hearer.used == {"web/0": (run, 4.5)})
        fake.agent.sample({"web/0": [1.5, 2048]}, {"web/0": ("another", 99.0)})
        await until(lambda: found.hearer.used == {"web/0": ("another", 99.0)})
        fake.agent.sample({"web/0": [None, None]})  # as older agents do
        await until(lambda: len(found.hearer.samples) == 2)
        assert found.backend.view().instances["web/0"].cpu_seconds == 4.5
        assert found.hearer.samples == [["web/0"], ["web/0"]]


async def test_an_agent_whose_state_was_made_anew_is_claimed_again(fake: FakePlace) -> None:
    fake.agent.epoch = 7
    async with Connected(fake.backend()) as found:
        await found.reachable()
        await fake.kill_agent()
        fake.agent.epoch = 0
        await until(lambda: not found.backend.view().reachable)
        await found.reachable()
        assert await found.backend.apply([order(runner())]) == [Answer(instance="web/0")]
        assert fake.agent.epoch == 1


async def test_an_answer_that_cannot_be_read_is_none(fake: FakePlace) -> None:
    async with Connected(fake.backend()) as found:
        await found.reachable()
        fake.agent.answers["apply"] = lambda _request: {"ok": True, "results": [{"ok": True}]}
        with pytest.raises(Unavailable, match="result cannot be read"):
            await found.backend.apply([order(runner())])
        fake.agent.answers["read_log"] = lambda _request: {"ok": True, "offset": 3, "size": 9, "ended": False}
        with pytest.raises(Unavailable, match="asked for 5, got 3"):
            await found.backend.read_log(FILE, 5, 10)
        fake.agent.answers["read_log"] = lambda _request: {"ok": False, "error": "internal", "message": "oops"}
        with pytest.raises(Unavailable, match="oops"):
            await found.backend.read_log(FILE, 5, 10)
        fake.agent.answers["stored"] = lambda _request: {}
        with pytest.raises(Unavailable):
            await found.backend.stored([])


@pytest.mark.parametrize(
    "push",
    [
        {"push": "slot"},
        {"push": "slot", "view": {"slot": "noslot", "generation": "x"}},
        {"push": "event", "event": {"seq": 1}},
        {"push": "log", "run": "r", "stream": "else", "slot": "web/0", "size": 1},
        {"push": "figures", "figures": {"web/0": 5}},
        {"push": "figures", "figures": {"web/0": [1, 2]}, "cpu_seconds": {"web/0": ["run1", "many"]}},
    ],
)
async def test_a_push_that_cannot_be_read_ends_the_connection_and_not_the_program(
    fake: FakePlace, push: dict[str, Any]
) -> None:
    async with Connected(fake.backend()) as found:
        await found.reachable()
        if push["push"] == "figures":
            await found.backend.apply([order(runner())])
        fake.agent.push(push)
        await until(lambda: "cannot be read" in found.backend.view().message)
        await found.reachable()
        assert not found.task.done()


async def test_pushes_of_a_newer_agent_are_passed_over(fake: FakePlace) -> None:
    async with Connected(fake.backend()) as found:
        await found.reachable()
        fake.agent.push({"push": "weather", "temperature": 3})
        fake.agent.push({"push": "gone", "slot": "never/0"})
        await found.backend.apply([order(runner())])
        assert found.status() == "running"


async def test_a_keeper_that_cannot_be_started_is_told_and_tried_again(fake: FakePlace) -> None:
    await fake.kill_agent()
    tries = 0

    class Reluctant(FakePlace):
        async def start(self) -> None:
            nonlocal tries
            tries += 1
            if tries == 1:
                raise RuntimeError("Cannot use /run: it belongs to somebody")
            await super().start()

    place = Reluctant()
    backend = place.backend()
    async with Connected(backend) as found:
        await until(lambda: "it belongs to somebody" in backend.view().message)
        await found.reachable()
        assert tries == 2
    await place.close()


async def test_an_outage_is_told_once_for_each_reason(fake: FakePlace) -> None:
    async with Connected(fake.backend(realm="other")) as found:
        await until(lambda: fake.agent.seen.count("hello") >= 3)
        assert found.hearer.changes == [None]
        assert not found.backend.view().reachable


async def test_an_agent_that_is_just_coming_back_is_adjourned_all_the_same(fake: FakePlace) -> None:
    async with Connected(fake.backend()) as found:
        await found.reachable()
        await fake.kill_agent()
        await until(lambda: not found.backend.view().reachable)
        asyncio.get_running_loop().call_later(0.05, lambda: asyncio.ensure_future(fake.agent.start()))
        await found.backend.adjourn(1)
        await asyncio.wait_for(found.backend.gone.wait(), 5)
        assert fake.agent.is_adjourned
        assert fake.starts == 0


async def test_without_an_agent_there_is_nothing_to_adjourn(fake: FakePlace) -> None:
    backend = fake.backend(realm="other")
    async with Connected(backend):
        await until(lambda: "belongs to realm" in backend.view().message)
        with pytest.raises(Unavailable, match="belongs to realm"):
            await backend.adjourn(1)
        assert not backend.gone.is_set()


async def test_a_bug_of_a_listener_is_not_hidden(fake: FakePlace) -> None:
    class Broken(Hearer):
        def event_heard(self, host: str, event: object) -> None:
            raise ZeroDivisionError

    fake.agent.emit("one")
    async with Connected(fake.backend(), Broken()) as found:
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(asyncio.shield(found.task), 5)


async def test_a_cancelled_back_end_ends_also_while_it_connects(fake: FakePlace) -> None:
    fake.agent.silent.add("hello")
    found = Connected(fake.backend())
    await until(lambda: fake.agent.seen)
    found.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await found.task
    assert not found.backend.view().reachable


async def test_floors_of_many_gone_slots_do_not_pile_up(fake: FakePlace) -> None:
    async with Connected(fake.backend()) as found:
        await found.reachable()
        fake.agent.answers["remove"] = lambda request: {
            "ok": True,
            "results": [
                {"slot": one["slot"], "ok": False, "error": "stale", "generation": 9, "message": ""}
                for one in request["slots"]
            ],
        }
        await found.backend.remove({f"w{number}/0": 1 for number in range(6000)})
        floors = found.backend.view().floors
        assert (len(floors), set(floors.values())) == (5000, {9})


async def test_the_other_side_of_the_socket_speaks_something_else(fake: FakePlace) -> None:
    await fake.kill_agent()

    async def chatter(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\xff" * 64)
        writer.close()

    server = await asyncio.start_unix_server(chatter, str(fake.agent.path))
    async with Connected(fake.backend()) as found:
        await until(lambda: "over the limit" in found.backend.view().message)
        server.close()


async def test_a_superseded_controller_hears_it_from_any_order(fake: FakePlace) -> None:
    async with Connected(fake.backend()) as found:
        await found.reachable()
        fake.agent.epoch += 1
        with pytest.raises(Superseded, match="claimed"):
            await found.backend.stored([("r", "stdout", 1)])


async def test_an_agent_that_refuses_to_adjourn_is_not_asked_twice(fake: FakePlace) -> None:
    fake.agent.answers["adjourn"] = lambda _request: {"ok": False, "error": "unavailable", "message": "disk full"}
    async with Connected(fake.backend()) as found:
        await found.reachable()
        with pytest.raises(Unavailable, match="disk full"):
            await found.backend.adjourn(1)
        assert fake.agent.seen.count("adjourn") == 1
        assert found.backend.closing


async def test_a_connection_that_breaks_within_adjourn_is_made_again_for_it(fake: FakePlace) -> None:
    fake.agent.cuts.add("adjourn")
    async with Connected(fake.backend()) as found:
        await found.reachable()
        await found.backend.adjourn(1)
        assert fake.agent.seen.count("adjourn") == 2
        await asyncio.wait_for(found.backend.gone.wait(), 5)


async def test_nothing_can_be_asked_before_there_is_a_connection(fake: FakePlace) -> None:
    backend = fake.backend()
    backend.reconnect()
    with pytest.raises(Unavailable, match="not asked yet"):
        await backend.kill_now()
