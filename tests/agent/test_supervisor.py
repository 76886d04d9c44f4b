"""The agent as a whole over a fake keeper: starts, ends, reboots and other people's bugs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from controller.agent.protocol import VERSION
from controller.agent.records import file_name
from controller.agent.supervisor import take_lock
from tests.agent.agent_builders import slot
from tests.agent.agent_inside import Inside, Watcher, until


@pytest_asyncio.fixture
async def inside() -> AsyncIterator[Inside]:
    inside = Inside()
    yield inside
    await inside.close()


async def is_now(watcher: Watcher, name: str, status: str) -> dict[str, object]:
    def seen() -> bool:
        views = [push["view"] for push in watcher.pushes if push["push"] == "slot" and push["view"]["slot"] == name]
        return bool(views) and views[-1]["status"] == status

    await until(seen)
    return await watcher.view(name)


def spoil(folder: str, name: str) -> None:
    Path(folder, file_name(name)).write_bytes(b"\0\0\0")


def has_mark(inside: Inside) -> bool:
    return os.path.exists(f"{inside.paths.state}/adjourned")


def reboot(inside: Inside) -> None:
    """All processes are gone, and what was written by this boot is of a former one."""
    inside.keeper.runs.clear()
    inside.keeper.orders.clear()
    Path(inside.paths.state, "boot").write_text("former")
    for path in Path(inside.paths.slots).glob("*.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "boot_id": "former"}))
    for path in Path(inside.paths.state, "slots").glob("*.json"):
        value = json.loads(path.read_text())
        if value.get("outcome"):
            path.write_text(json.dumps({**value, "outcome": {**value["outcome"], "boot_id": "former"}}))


async def test_after_a_reboot_what_is_wanted_starts_and_what_completed_does_not(inside: Inside) -> None:
    watcher = await inside.begin()
    wanted, job, sick, off = (
        slot("a/0"),
        slot("job/0"),
        slot("sick/0", restart_policy="never"),
        slot("off/0", wanted="stopped"),
    )
    await watcher.apply(wanted, job, sick, off)
    for name in ("a/0", "job/0", "sick/0"):
        await is_now(watcher, name, "running")
    inside.keeper.exit(inside.keeper.live()["job/0"], code=0)
    inside.keeper.exit(inside.keeper.live()["sick/0"], code=1)
    await is_now(watcher, "sick/0", "error")
    await is_now(watcher, "job/0", "stopped")
    await inside.end()
    reboot(inside)
    watcher = await inside.begin()
    await until(lambda: sorted(inside.keeper.live()) == ["a/0", "sick/0"])
    views = {view["slot"]: view for view in (await watcher.call("list"))["slots"]}
    assert (views["job/0"]["status"], views["job/0"]["reason"]) == ("stopped", "Completed")
    assert (views["a/0"]["last_exit"]["cause"], views["a/0"]["run_number"]) == ("host_rebooted", 2)
    assert (views["off/0"]["status"], len(watcher.events("host_rebooted"))) == ("stopped", 1)


async def test_a_broken_record_is_told_of_and_its_run_is_adopted_when_it_is_applied_again(inside: Inside) -> None:
    watcher = await inside.begin()
    await watcher.apply(slot("a/0"), slot("b/0"))
    before = await is_now(watcher, "a/0", "running")
    await is_now(watcher, "b/0", "running")
    await inside.end()
    for folder in (inside.paths.slots, f"{inside.paths.state}/slots"):
        spoil(folder, "a/0")
    watcher = await inside.begin()
    assert [view["slot"] for view in (await watcher.call("list"))["slots"]] == ["b/0"]
    await until(lambda: len(watcher.events("record_quarantined")) == 2)
    await watcher.apply(slot("a/0"))
    assert (await is_now(watcher, "a/0", "running"))["pid"] == before["pid"]
    assert [order["op"] for order in inside.keeper.orders] == ["spawn", "spawn"]


async def lose_the_state_folder(inside: Inside) -> Watcher:
    """Running `a/0` and crashed `b/0`, then the folder is gone while nothing of ours runs, and begun anew."""
    watcher = await inside.begin()
    await watcher.apply(slot("a/0", 7, run_request=2), slot("b/0", 7, restart_delay_ms=600_000))
    await is_now(watcher, "a/0", "running")
    await is_now(watcher, "b/0", "running")
    inside.keeper.exit(inside.keeper.live()["b/0"], code=1)
    await is_now(watcher, "b/0", "crashed")
    await inside.end()
    shutil.rmtree(inside.paths.state)
    inside.paths.prepare()
    inside.keeper.orders.clear()
    return await inside.begin()


async def test_of_a_lost_state_folder_what_lives_is_shown_and_left_alone_and_nothing_is_started(inside: Inside) -> None:
    watcher = await lose_the_state_folder(inside)
    for _ in range(2):  # the agent after that one knows no more
        [view] = (await watcher.call("list"))["slots"]
        assert (view["slot"], view["run"], view["generation"]) == ("a/0", inside.keeper.live()["a/0"], 0)
        assert (view["reason"], view["fields"]) == ("Unclaimed", {"command": ["sleep"]})
        assert os.listdir(inside.paths.slots) == [file_name("a/0")]
        await inside.end()
        watcher = await inside.begin()
    inside.keeper.exit(inside.keeper.live()["a/0"], code=1)
    await until(lambda: {"push": "gone", "slot": "a/0"} in watcher.pushes)
    assert [order["op"] for order in inside.keeper.orders] == ["reap"]


async def test_a_run_that_nobody_asked_for_can_be_removed(inside: Inside) -> None:
    watcher = await lose_the_state_folder(inside)
    answer = await watcher.call("remove", epoch=watcher.epoch, slots=[{"slot": "a/0", "generation": 1}])
    assert answer["results"][0]["ok"]
    await until(lambda: {"push": "gone", "slot": "a/0"} in watcher.pushes)
    assert [order["op"] for order in inside.keeper.orders] == ["signal", "reap"]
    assert (await watcher.call("list"))["tombstones"] == {"a/0": 1}


async def test_a_restart_that_a_run_which_nobody_asked_for_has_not_served_is_done(inside: Inside) -> None:
    """The wish outlived the folder: it stands with the controller."""
    watcher = await lose_the_state_folder(inside)
    before = await watcher.view("a/0")
    await watcher.apply(slot("a/0", 1, run_request=before["run_request"] + 1))
    await until(lambda: [order["op"] for order in inside.keeper.orders] == ["signal", "reap", "spawn"])
    await watcher.apply(slot("a/0", 2, run_request=before["run_request"] + 1))
    assert (await is_now(watcher, "a/0", "running"))["generation"] == 2
    assert [order["op"] for order in inside.keeper.orders] == ["signal", "reap", "spawn"]


async def test_a_run_that_nobody_asked_for_is_claimed_by_an_order_and_only_then_restarted(inside: Inside) -> None:
    watcher = await lose_the_state_folder(inside)
    before = (await watcher.view("a/0"))["pid"]
    await watcher.apply(slot("a/0", 1, run_request=2, restart_delay_ms=0))
    view = await watcher.view("a/0")
    assert (view["pid"], view["generation"], view["reason"]) == (before, 1, "")
    inside.keeper.exit(inside.keeper.live()["a/0"], code=1)
    await until(lambda: [order["op"] for order in inside.keeper.orders] == ["reap", "spawn"])


async def test_an_illegal_move_in_one_slot_is_told_of_and_the_others_go_on(inside: Inside) -> None:
    watcher = await inside.begin()
    await watcher.apply(slot("a/0"), slot("b/0"))
    await is_now(watcher, "a/0", "running")
    await is_now(watcher, "b/0", "running")
    run = inside.keeper.live()["a/0"]
    inside.keeper.exit(run, code=1, empties=False)
    await until(lambda: watcher.events("exited"))
    # A keeper that says that an ended leader lives: no such keeper exists.
    inside.keeper.tell({"ev": "runs", "runs": [{**inside.keeper.runs[run], "exited": None}]})
    await until(lambda: watcher.events("internal_error"))
    assert watcher.events("internal_error")[0]["slot"] == "a/0"
    await watcher.apply(slot("b/0", 2, wanted="stopped"))
    await is_now(watcher, "b/0", "stopped")


async def test_an_adjourned_agent_starts_nothing_until_it_is_claimed(inside: Inside) -> None:
    watcher = await inside.begin()
    await watcher.apply(slot())
    await is_now(watcher, "web/0", "running")
    await watcher.call("adjourn", epoch=watcher.epoch, deadline_s=5)
    assert inside.agent is not None
    await until(inside.agent.ended.is_set)
    await inside.end()
    inside.keeper.orders.clear()
    assert has_mark(inside)
    watcher = await inside.begin()  # claims
    await is_now(watcher, "web/0", "running")
    assert not has_mark(inside)
    assert [order["op"] for order in inside.keeper.orders] == ["spawn"]


async def test_what_was_adjourned_starts_as_it_was_applied_before_it_was_resumed(inside: Inside) -> None:
    watcher = await inside.begin()
    await watcher.apply(slot("a/0"), slot("b/0"))
    await is_now(watcher, "a/0", "running")
    await watcher.call("adjourn", epoch=watcher.epoch, deadline_s=5)
    assert inside.agent is not None
    await until(inside.agent.ended.is_set)
    await inside.end()
    inside.keeper.orders.clear()
    await inside.restart()
    watcher = await inside.connect(holds=True)
    assert has_mark(inside)
    await watcher.apply(slot("a/0", 2, wanted="stopped"))
    assert inside.keeper.orders == []
    assert (await watcher.call("resume", epoch=watcher.epoch))["ok"]
    await is_now(watcher, "b/0", "running")
    assert not has_mark(inside)
    assert [(order["op"], order["slot"]) for order in inside.keeper.orders] == [("spawn", "b/0")]


async def test_adjourning_ends_runs_that_belong_to_no_slot_too(inside: Inside) -> None:
    inside.keeper.add("stray", "web/0")
    watcher = await inside.begin()
    await watcher.call("adjourn", epoch=watcher.epoch, deadline_s=5)
    assert inside.agent is not None
    await until(inside.agent.ended.is_set)
    assert [order["op"] for order in inside.keeper.orders] == ["signal", "reap", "shutdown"]


async def test_a_start_that_was_on_its_way_when_everything_was_adjourned_is_cut_short(inside: Inside) -> None:
    inside.keeper.ignored.add(15)
    watcher = await inside.begin()
    inside.keeper.is_mute = True
    await watcher.apply(slot(stop_grace_ms=600_000))
    await until(lambda: inside.keeper.runs)
    await watcher.call("adjourn", epoch=watcher.epoch, deadline_s=0.2)
    inside.keeper.is_mute = False
    inside.keeper.tell(inside.keeper.greeting())
    assert inside.agent is not None
    await until(inside.agent.ended.is_set)
    signals = [order["signal"] for order in inside.keeper.orders if order["op"] == "signal"]
    assert (signals[0], signals[-1]) == (15, 9)


async def test_a_lost_keeper_is_told_of_at_once(inside: Inside) -> None:
    await inside.begin()
    await inside.keeper.stop()
    await until(lambda: inside.lost)


async def test_removed_slots_are_remembered_by_the_next_agent(inside: Inside) -> None:
    watcher = await inside.begin()
    await watcher.apply(slot(generation=1))
    await is_now(watcher, "web/0", "running")
    await watcher.call("remove", epoch=watcher.epoch, slots=[{"slot": "web/0", "generation": 2}])
    await until(lambda: {"push": "gone", "slot": "web/0"} in watcher.pushes)
    await inside.end()
    watcher = await inside.begin()
    assert (await watcher.call("list"))["tombstones"] == {"web/0": 2}
    [late] = await watcher.apply(slot(generation=2))
    assert late["error"] == "stale"
    assert inside.keeper.live() == {}


def test_only_one_holds_the_lock(tmp_path: Path) -> None:
    waits: list[float] = []
    first = take_lock(str(tmp_path / "lock"), 0.0)
    assert first is not None
    assert take_lock(str(tmp_path / "lock"), 0.0, waits.append) is None
    os.close(first)
    second = take_lock(str(tmp_path / "lock"), 0.0)
    assert second is not None
    os.close(second)


async def test_a_run_that_ended_while_nobody_listened_is_followed_by_one_start_not_two(inside: Inside) -> None:
    watcher = await inside.begin()
    await watcher.apply(slot(restart_delay_ms=0, max_restart_attempts=None), slot("x/0"))
    await is_now(watcher, "web/0", "running")
    await watcher.apply(
        slot("web/0", 2, restart_delay_ms=0, max_restart_attempts=None, revision="1-b", stop_grace_ms=1)
    )
    await inside.end()
    inside.keeper.orders.clear()
    for run in list(inside.keeper.runs):
        inside.keeper.runs[run].update(exited={"code": 1, "signal": None, "core": False, "known": True, "at": 1.0})
        inside.keeper.runs[run]["group_empty"] = True
    watcher = await inside.begin()
    await is_now(watcher, "web/0", "running")
    spawned = [order["slot"] for order in inside.keeper.orders if order["op"] == "spawn"]
    assert spawned.count("web/0") == 1


async def test_a_run_whose_output_finds_no_room_is_tried_again(inside: Inside) -> None:
    in_the_way = Path(inside.paths.logs, "web")
    await asyncio.to_thread(in_the_way.write_text, "no folder")
    watcher = await inside.begin()
    await watcher.apply(slot(restart_delay_ms=50))
    view = await is_now(watcher, "web/0", "crashed")
    assert (view["reason"], inside.keeper.orders) == ("HostBusy", [])
    await asyncio.to_thread(in_the_way.unlink)
    await is_now(watcher, "web/0", "running")


async def test_supervision_goes_on_without_room_for_runtime_records_and_says_so(inside: Inside) -> None:
    watcher = await inside.begin()
    os.rmdir(inside.paths.slots)
    await asyncio.to_thread(Path(inside.paths.slots).touch)
    await watcher.apply(slot())
    await is_now(watcher, "web/0", "running")
    assert inside.agent is not None
    await inside.agent.look_after()
    text = (await watcher.call("hello", version=VERSION, realm="r1"))["degraded"]
    for beginning in ("cannot make the agent's folders anew", "cannot write the runtime record of web/0"):
        assert [part for part in text if part.startswith(beginning)]
    os.unlink(inside.paths.slots)
    await inside.agent.look_after()
    assert (await watcher.call("hello", version=VERSION, realm="r1"))["degraded"] == []
    assert os.listdir(inside.paths.slots) == [file_name("web/0")]


def has_removed(folder: str) -> bool:
    with contextlib.suppress(OSError):
        shutil.rmtree(folder)
    return not os.path.exists(folder)


@pytest.mark.parametrize("folder", ["state", "slots", "journal", "runtime", "both"])
async def test_what_is_removed_under_a_living_agent_is_written_again_from_memory(inside: Inside, folder: str) -> None:
    """And the agent after it, which has nothing but the files, goes on as if nothing had been."""
    watcher = await inside.begin()
    await watcher.apply(slot("a/0", 3), slot("job/0", 4, restart_policy="on_failure"), slot("gone/0", 5))
    for name in ("a/0", "job/0", "gone/0"):
        await is_now(watcher, name, "running")
    inside.keeper.exit(inside.keeper.live()["job/0"], code=0)
    await is_now(watcher, "job/0", "stopped")
    await watcher.call("remove", epoch=watcher.epoch, slots=[{"slot": "gone/0", "generation": 6}])
    await until(lambda: {"push": "gone", "slot": "gone/0"} in watcher.pushes)
    before, epoch = await watcher.view("a/0"), watcher.epoch
    state, runtime = inside.paths.state, inside.paths.runtime
    lost = {"state": [state], "slots": [f"{state}/slots"], "journal": [f"{state}/journal"], "runtime": [runtime]}
    for path in lost.get(folder, [state, runtime]):
        await until(lambda path=path: has_removed(path))  # type: ignore[misc]  # the agent may be writing into it
    assert inside.agent is not None
    await inside.agent.look_after()
    [told] = await until(lambda: watcher.events("state_restored"))
    assert told["data"] == {"folders": lost.get(folder, [state, runtime])}
    await inside.end()
    watcher = await inside.begin()
    listed = await watcher.call("list")
    views = {view["slot"]: view for view in listed["slots"]}
    assert (views["a/0"], views["job/0"]["reason"], listed["tombstones"]) == (before, "Completed", {"gone/0": 6})
    assert (watcher.epoch, inside.keeper.live()) == (epoch + 1, {"a/0": before["run"]})


@pytest.mark.parametrize("has_noticed", [True, False])
async def test_after_a_loss_of_the_folder_a_controller_that_lost_its_name_too_is_obeyed(
    inside: Inside, *, has_noticed: bool
) -> None:
    watcher = await inside.begin()
    assert (await watcher.call("hello", version=VERSION, realm="r2"))["error"] == "wrong_realm"
    shutil.rmtree(inside.paths.state)
    if has_noticed:
        assert inside.agent is not None
        await inside.agent.look_after()
    await inside.connect("r2")
    assert await asyncio.to_thread(Path(inside.paths.state, "realm").read_text) == "r2"
    assert (await watcher.call("hello", version=VERSION, realm="r1"))["error"] == "wrong_realm"


async def test_a_first_write_after_a_loss_is_enough_to_notice_it(inside: Inside) -> None:
    watcher = await inside.begin()
    await watcher.apply(slot("a/0"))
    await is_now(watcher, "a/0", "running")
    shutil.rmtree(inside.paths.state)
    assert (await watcher.apply(slot("b/0")))[0]["ok"]
    await until(lambda: watcher.events("state_restored"))
    await until(lambda: len(list(Path(inside.paths.state, "slots").glob("*.json"))) == 2)


async def test_a_socket_that_was_removed_is_bound_again_and_who_is_connected_stays(inside: Inside) -> None:
    watcher = await inside.begin()
    os.unlink(inside.paths.socket)
    assert inside.agent is not None
    await inside.agent.look_after()
    other = await inside.connect()
    assert await watcher.call("list") == {**await other.call("list"), "id": 4}


async def test_a_round_of_chores_shows_figures_and_clears_what_is_gone(inside: Inside) -> None:
    watcher = await inside.begin()
    await watcher.apply(slot())
    run = (await is_now(watcher, "web/0", "running"))["run"]
    inside.keeper.runs[str(run)]["pid"] = os.getpid()
    inside.keeper.tell(inside.keeper.greeting())
    agent = inside.agent
    assert agent is not None
    await until(lambda: agent._fleet.slots["web/0"].pid == os.getpid())
    await agent.look_after()
    await until(lambda: [push for push in watcher.pushes if push["push"] == "figures"])
    [cpu, memory] = next(push for push in watcher.pushes if push["push"] == "figures")["figures"]["web/0"]
    assert (cpu, memory > 1_000_000, (await watcher.view("web/0"))["memory_bytes"]) == (None, True, memory)
    await watcher.call("remove", epoch=watcher.epoch, slots=[{"slot": "web/0", "generation": 2}])
    await until(lambda: {"push": "gone", "slot": "web/0"} in watcher.pushes)
    assert os.listdir(inside.paths.slots) == [file_name("web/0")]
    await agent.look_after()
    assert os.listdir(inside.paths.slots) == []
    assert os.listdir(inside.paths.logs) == []
