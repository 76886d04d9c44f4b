"""The order of stopping and starting of workers that depend on each other, where no controller keeps it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from controller.agent.sequence import awaited, free_to_stop
from controller.agent.states import Phase, Slot
from tests.agent.agent_builders import slot, wish
from tests.agent.agent_inside import Inside, Watcher, until


@pytest_asyncio.fixture
async def inside() -> AsyncIterator[Inside]:
    inside = Inside()
    yield inside
    await inside.close()


def slots(phases: dict[str, Phase], depends_on: dict[str, list[str]], **changes: Any) -> dict[str, Slot]:
    return {
        name: Slot(name, wish(depends_on=depends_on.get(name.partition("/")[0], []), **changes), phase=phase)
        for name, phase in phases.items()
    }


CHAIN = {"web": ["app"], "app": ["db"]}


def test_what_nothing_alive_depends_on_is_free_to_stop_and_a_cycle_stops_at_once() -> None:
    up = dict.fromkeys(("db/0", "app/0", "app/1", "web/0"), Phase.RUNNING)
    chain = slots(up, CHAIN)
    assert free_to_stop(list(chain), set(chain), chain) == ["web/0"]
    assert free_to_stop(["db/0", "app/0", "app/1"], {"db/0", "app/0", "app/1"}, chain) == ["app/0", "app/1"]
    assert free_to_stop(["db/0"], {"db/0", "app/1"}, chain) == []
    cycle = slots(dict.fromkeys(("a/0", "b/0"), Phase.RUNNING), {"a": ["b"], "b": ["a"]})
    assert free_to_stop(list(cycle), set(cycle), cycle) == ["a/0", "b/0"]
    alone = slots({"a/0": Phase.RUNNING, "a/1": Phase.RUNNING}, {"a": ["a"]})
    assert free_to_stop(list(alone), set(alone), alone) == ["a/0", "a/1"]


def test_a_start_awaits_every_instance_of_what_it_depends_on_that_is_meant_to_run() -> None:
    phases = {"db/0": Phase.RUNNING, "db/1": Phase.STARTING, "app/0": Phase.IDLE, "web/0": Phase.IDLE}
    chain = slots(phases, CHAIN)
    assert awaited(["app/0", "web/0", "gone/0"], chain) == {"app/0": ["db"], "web/0": ["app"]}
    chain.update(slots({"db/1": Phase.COMPLETED, "app/0": Phase.IDLE}, CHAIN, wanted="stopped"))
    assert awaited(["app/0", "web/0"], chain) == {}
    assert awaited(["lone/0"], slots({"lone/0": Phase.IDLE}, {"lone": ["elsewhere"]})) == {}


def chain(generation: int = 1, **changes: Any) -> list[dict[str, Any]]:
    return [
        slot("db/0", generation, **changes),
        slot("app/0", generation, depends_on=["db"], **changes),
        slot("web/0", generation, depends_on=["app"], **changes),
    ]


async def all_run(inside: Inside, watcher: Watcher) -> None:
    def running() -> bool:
        last = {push["view"]["slot"]: push["view"]["status"] for push in watcher.pushes if push["push"] == "slot"}
        return list(last.values()) == ["running"] * 3

    await until(running)


def signalled(inside: Inside) -> list[str]:
    """The slots that were signalled, in order."""
    names = {order["run"]: order["slot"] for order in inside.keeper.orders if order["op"] == "spawn"}
    return [names[order["run"]] for order in inside.keeper.orders if order["op"] == "signal"]


async def test_everything_stops_from_the_leaves_to_what_they_depend_on(inside: Inside) -> None:
    watcher = await inside.begin()
    await watcher.apply(*chain())
    await all_run(inside, watcher)
    await watcher.call("adjourn", epoch=watcher.epoch, deadline_s=10)
    assert inside.agent is not None
    await until(inside.agent.ended.is_set)
    assert signalled(inside) == ["web/0", "app/0", "db/0"]


async def test_the_order_goes_on_after_a_restart_of_the_agent(inside: Inside) -> None:
    watcher = await inside.begin()
    inside.keeper.ignored.add(15)
    await watcher.apply(*chain(stop_grace_ms=100_000))
    await all_run(inside, watcher)
    await watcher.call("adjourn", epoch=watcher.epoch, deadline_s=100)
    await until(lambda: signalled(inside) == ["web/0"])
    await inside.end()
    await inside.restart()
    run = next(order["run"] for order in inside.keeper.orders if order.get("slot") == "web/0")
    assert signalled(inside) == ["web/0"]
    inside.keeper.ignored.clear()
    inside.keeper.exit(run, code=0)
    assert inside.agent is not None
    await until(inside.agent.ended.is_set)
    assert signalled(inside) == ["web/0", "app/0", "db/0"]


async def test_what_hangs_does_not_keep_others_from_their_own_grace(inside: Inside) -> None:
    watcher = await inside.begin()
    inside.keeper.ignored.add(15)
    await watcher.apply(*chain(stop_grace_ms=600_000))
    await all_run(inside, watcher)
    await watcher.call("adjourn", epoch=watcher.epoch, deadline_s=1)
    await until(lambda: {"db/0", "app/0", "web/0"} <= set(signalled(inside)))
    firsts = {order["slot"] for order in inside.keeper.orders if order["op"] == "signal" and "slot" in order}
    assert firsts == set()
    assert signalled(inside)[0] == "web/0"
    assert inside.agent is not None
    await until(inside.agent.ended.is_set)


def reboot(inside: Inside) -> None:
    """All processes are gone, and what was written by this boot is of a former one."""
    inside.keeper.runs.clear()
    inside.keeper.orders.clear()
    Path(inside.paths.state, "boot").write_text("former")
    for path in Path(inside.paths.slots).glob("*.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "boot_id": "former"}))


async def test_after_a_boot_starts_wait_for_what_they_depend_on_and_say_so(inside: Inside) -> None:
    watcher = await inside.begin()
    await watcher.apply(*chain(start_grace_ms=300))
    await all_run(inside, watcher)
    await inside.end()
    reboot(inside)
    watcher = await inside.begin()
    view = await watcher.view("web/0")
    assert (view["status"], view["reason"], view["message"]) == (
        "stopped",
        "WaitingForDependency",
        "waits for app to have started",
    )
    await until(lambda: len(inside.keeper.live()) == 3)
    assert [order["slot"] for order in inside.keeper.orders if order["op"] == "spawn"] == ["db/0", "app/0", "web/0"]


async def test_a_newer_wish_of_a_controller_starts_what_waits(inside: Inside) -> None:
    watcher = await inside.begin()
    await watcher.apply(slot("db/0", wanted="running", start_grace_ms=600_000), slot("app/0", depends_on=["db"]))
    await until(lambda: len(inside.keeper.live()) == 2)
    await watcher.call("adjourn", epoch=watcher.epoch, deadline_s=5)
    assert inside.agent is not None
    await until(inside.agent.ended.is_set)
    await inside.end()
    watcher = await inside.begin()
    await until(lambda: sorted(inside.keeper.live()) == ["db/0"])
    assert (await watcher.view("app/0"))["reason"] == "WaitingForDependency"
    await watcher.apply(slot("app/0", 2, digest="d2", depends_on=["db"]))
    await until(lambda: sorted(inside.keeper.live()) == ["app/0", "db/0"])
