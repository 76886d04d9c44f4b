"""The agent's protocol, whole, over a fake keeper."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import struct
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
import pytest_asyncio

from controller.agent.protocol import VERSION, encode
from tests.agent.agent_builders import launch, slot
from tests.agent.agent_inside import Inside, Watcher, until


@pytest_asyncio.fixture
async def inside() -> AsyncIterator[Inside]:
    inside = Inside()
    yield inside
    await inside.close()


def append(path: str, content: bytes) -> None:
    with open(path, "ab") as file:
        file.write(content)


def statuses(watcher: Any, name: str = "web/0") -> list[str]:
    """The pushed statuses of a slot, repeats left out."""
    found: list[str] = []
    for push in watcher.pushes:
        if push["push"] == "slot" and push["view"]["slot"] == name and found[-1:] != [push["view"]["status"]]:
            found.append(push["view"]["status"])
    return found


def has_spawned(inside: Inside, count: int) -> bool:
    return [order["op"] for order in inside.keeper.orders].count("spawn") == count


async def running(inside: Inside, watcher: Any, name: str = "web/0") -> dict[str, Any]:
    """The slot's view once it runs."""
    await until(lambda: statuses(watcher, name)[-1:] == ["running"])
    found: dict[str, Any] = await watcher.view(name)
    return found


async def test_hello_says_who_the_agent_is_and_refuses_another_realm_and_version(inside: Inside) -> None:
    watcher = await inside.begin()
    hello = await watcher.call("hello", version=VERSION, realm="r1")
    assert (hello["agent_pid"], hello["epoch"], hello["adjourned"]) == (os.getpid(), 1, False)
    assert await watcher.call("hello", version=VERSION, realm="r2") == {
        "id": 5,
        "ok": False,
        "error": "wrong_realm",
        "message": "this agent belongs to realm r1, the controller to realm r2",
    }
    assert (await watcher.call("hello", version=99, realm="r1"))["error"] == "wrong_version"


async def test_an_applied_slot_is_spawned_with_a_fixed_environment_and_shown_running(inside: Inside) -> None:
    watcher = await inside.begin()
    assert await watcher.apply(slot(env={"A": "1"})) == [{"slot": "web/0", "ok": True}]
    view = await running(inside, watcher)
    order = inside.keeper.orders[0]
    assert sorted(set(order["env"]) - {"TZ"}) == [
        "A", "HOME", "LANG", "NOTIFY_SOCKET", "PATH", "USER", "WORKER_REVISION", "WORKER_RUN",
    ]  # fmt: skip
    assert (order["env"]["WORKER_RUN"], order["env"]["WORKER_REVISION"]) == (order["run"], "1-a")
    assert order["stdout"] == f"{inside.paths.logs}/web/0/{order['run']}.stdout"
    assert (order["op"], order["cwd"], order["umask"]) == ("spawn", "/", 0o022)
    started = {key: view.pop(key) for key in ("since", "started_at", "run", "pid", "logs")}
    assert started["run"] == order["run"]
    assert started["logs"] == {"stdout": order["run"], "stderr": order["run"]}
    assert view == {
        "slot": "web/0", "generation": 1, "revision": "1-a", "digest": "d", "run_request": 0, "wanted": "running",
        "fields": {"command": ["sleep"]}, "status": "running", "reason": "", "message": "", "run_number": 1,
        "running_revision": "1-a", "restart_count": 0, "last_exit": None, "next_retry_at": None, "removing": False,
        "cpu_percent": None, "memory_bytes": None, "cpu_seconds": None, "ready": None,
        "notify_status": "", "heartbeat_ms": None,
    }  # fmt: skip
    assert statuses(watcher) == ["starting", "running"]


async def test_an_equal_apply_changes_nothing_and_an_older_or_contradicting_one_is_stale(inside: Inside) -> None:
    watcher = await inside.begin()
    await watcher.apply(slot(generation=5))
    await running(inside, watcher)
    assert await watcher.apply(slot(generation=5)) == [{"slot": "web/0", "ok": True}]
    for value in (slot(generation=4), slot(generation=5, revision="1-b")):
        [result] = await watcher.apply(value)
        assert (result["ok"], result["error"], result["generation"]) == (False, "stale", 5)
    assert [order["op"] for order in inside.keeper.orders] == ["spawn"]


async def test_a_new_revision_replaces_the_run_and_a_new_run_request_restarts_it_once(inside: Inside) -> None:
    watcher = await inside.begin()
    await watcher.apply(slot())
    await running(inside, watcher)
    await watcher.apply(slot(generation=2, revision="1-b"))
    await until(lambda: len(inside.keeper.orders) == 4)
    await running(inside, watcher)
    await watcher.apply(slot(generation=3, revision="1-b", run_request=1))
    await until(lambda: len(inside.keeper.orders) == 7)
    view = await running(inside, watcher)
    await watcher.apply(slot(generation=4, revision="1-b", run_request=1))
    assert [order["op"] for order in inside.keeper.orders] == ["spawn"] + 2 * ["signal", "reap", "spawn"]
    assert (view["running_revision"], view["run_number"], view["restart_count"]) == ("1-b", 3, 0)


async def test_a_change_that_could_not_start_is_refused_and_the_old_run_stays(inside: Inside) -> None:
    watcher = await inside.begin()
    await watcher.apply(slot())
    before = await running(inside, watcher)
    [missing, gone] = [
        await watcher.apply(slot(generation=2, revision="1-b", argv=["no-such-command"])),
        await watcher.apply(slot(generation=2, revision="1-b", working_dir="/no/such/place")),
    ]
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    text = f'command not found: "no-such-command" (searched PATH {path})'
    assert missing == [{"slot": "web/0", "ok": False, "error": "refused", "message": text}]
    assert gone[0]["message"] == "working_dir /no/such/place does not exist"
    assert await watcher.view("web/0") == before


async def test_preflight_answers_without_a_slot(inside: Inside) -> None:
    watcher = await inside.begin()
    assert (await watcher.call("preflight", launch=launch()))["message"] == ""
    answer = await watcher.call("preflight", launch=launch(argv=["/etc"]))
    assert answer["message"] == 'command "/etc" is a directory'


async def test_an_older_epoch_is_refused_everywhere(inside: Inside) -> None:
    old = await inside.begin()
    await inside.connect()
    for op, fields in (
        ("apply", {"slots": [slot()]}),
        ("remove", {"slots": [{"slot": "web/0", "generation": 1}]}),
        ("stored", {"marks": []}),
        ("adjourn", {"deadline_s": 1}),
        ("kill_now", {}),
        ("leave", {}),
    ):
        answer = await old.call(op, epoch=old.epoch, **fields)
        assert (answer["ok"], answer["error"], answer["epoch"]) == (False, "stale_epoch", 2)
    assert inside.keeper.orders == []


async def test_malformed_slots_are_refused_one_by_one(inside: Inside) -> None:
    watcher = await inside.begin()
    bad: list[Any] = [
        slot("../etc/0"),
        slot(argv=[]),
        slot(env={"A=B": "x"}),
        slot(stop_signal="NOPE"),
        slot(wanted="maybe"),
        5,
    ]
    results = await watcher.apply(*bad, slot("ok/0"))
    assert [result.get("error") for result in results] == 6 * ["invalid"] + [None]
    assert (await watcher.call("nonsense"))["error"] == "unknown_op"
    assert (await watcher.call("apply", epoch="x", slots=[]))["error"] == "invalid"


async def test_a_removed_slot_is_stopped_goes_and_leaves_a_tombstone(inside: Inside) -> None:
    watcher = await inside.begin()
    await watcher.apply(slot(generation=3))
    await running(inside, watcher)
    remove = {"slot": "web/0", "generation": 4}
    assert (await watcher.call("remove", epoch=1, slots=[remove]))["results"] == [{"slot": "web/0", "ok": True}]
    await until(lambda: {"push": "gone", "slot": "web/0"} in watcher.pushes)
    listed = await watcher.call("list")
    assert (listed["slots"], listed["tombstones"]) == ([], {"web/0": 4})
    assert (await watcher.call("remove", epoch=1, slots=[remove]))["results"][0]["ok"]
    [late] = await watcher.apply(slot(generation=3))
    assert (late["error"], late["generation"]) == ("stale", 4)
    assert (await watcher.apply(slot(generation=5)))[0]["ok"]
    await until(inside.keeper.live)


async def test_a_crash_is_retried_within_its_budget_and_then_given_up(inside: Inside) -> None:
    watcher = await inside.begin()
    await watcher.apply(slot(restart_delay_ms=0, max_restart_attempts=2))
    for number in range(1, 4):
        await until(partial(has_spawned, inside, number))
        inside.keeper.exit(inside.keeper.live()["web/0"], code=3)
    await until(lambda: watcher.events("gave_up"))
    view = await watcher.view("web/0")
    assert (view["status"], view["reason"], view["restart_count"]) == ("error", "GaveUp", 2)
    assert [event["type"] for event in watcher.events()] == [
        "started", "exited", "restart_scheduled", "started", "exited", "restart_scheduled", "started", "exited",
        "gave_up",
    ]  # fmt: skip
    assert [event["seq"] for event in watcher.events()] == list(range(1, 10))


async def test_a_command_that_cannot_be_executed_is_an_error_at_once(inside: Inside) -> None:
    inside.keeper.failures["nope"] = ("exec", errno.ENOENT, "Cannot execute nope: command not found")
    watcher = await inside.begin()
    await watcher.apply(slot(argv=["nope"]))
    await until(lambda: statuses(watcher)[-1:] == ["error"])
    view = await watcher.view("web/0")
    assert (view["reason"], view["message"]) == ("CannotStart", "Cannot execute nope: command not found")


async def test_log_bytes_are_told_of_and_read_by_offset_with_their_times(inside: Inside) -> None:
    watcher = await inside.begin()
    await watcher.apply(slot())
    run = (await running(inside, watcher))["run"]
    append(f"{inside.paths.logs}/web/0/{run}.stdout", b"hello\n\xff\x00\n")
    push = {"push": "log", "run": run, "stream": "stdout", "slot": "web/0", "size": 9}
    await until(lambda: push in watcher.pushes)
    answer = await watcher.call("read_log", run=run, stream="stdout", offset=2, limit=100)
    [[first, at]] = answer.pop("times")
    assert (answer["offset"], answer["size"], answer["ended"], watcher.payload) == (2, 9, False, b"llo\n\xff\x00\n")
    assert (first, at > 1_700_000_000) == (0, True)
    inside.keeper.exit(run, code=0)
    await until(lambda: watcher.events("completed"))
    answer = await watcher.call("read_log", run=run, stream="stdout", offset=9, limit=100)
    assert (answer["offset"], answer["ended"], watcher.payload) == (9, True, b"")
    logs = {(log["run"], log["stream"]): (log["size"], log["ended"]) for log in (await watcher.call("list"))["logs"]}
    assert logs == {(run, "stdout"): (9, True), (run, "stderr"): (0, True)}
    assert (await watcher.call("read_log", run="none", stream="stdout", offset=0, limit=1))["error"] == "not_found"


async def test_a_watcher_gets_what_came_after_its_cursor(inside: Inside) -> None:
    watcher = await inside.begin()
    await watcher.apply(slot())
    await until(lambda: len(watcher.events()) == 2)
    journal_id = watcher.events()[0]["journal_id"]
    late = await inside.connect()
    await until(lambda: [event["seq"] for event in late.events()] == [1, 2])
    reader, writer = await asyncio.open_unix_connection(inside.paths.socket)
    cursor = Watcher(reader, writer)
    assert (await cursor.call("list"))["error"] == "hello_first"
    await cursor.call("hello", version=VERSION, realm="r1")
    await cursor.call("watch", journal_id=journal_id, seq=1)
    await until(lambda: [event["seq"] for event in cursor.events()] == [2])
    await cursor.close()


async def test_a_client_that_sends_nonsense_is_dropped_and_the_others_stay(inside: Inside) -> None:
    watcher = await inside.begin()
    for nonsense in (struct.pack(">II", 2**31, 0), struct.pack(">II", 3, 0) + b"abc", struct.pack(">II", 2, 0) + b"[]"):
        reader, writer = await asyncio.open_unix_connection(inside.paths.socket)
        writer.write(nonsense)
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 5.0) == b""
        writer.close()
    assert (await watcher.call("list"))["ok"]


async def test_a_client_that_does_not_read_is_dropped_and_the_others_stay(inside: Inside) -> None:
    watcher = await inside.begin()
    _reader, writer = await asyncio.open_unix_connection(inside.paths.socket, limit=1024)
    for request in ({"op": "hello", "version": VERSION, "realm": "r1"}, {"op": "watch"}):
        writer.write(encode({"id": 1, **request}))
    await until(lambda: inside.agent is not None and len(inside.agent._server._connections) == 2)
    await watcher.call("list")
    assert inside.agent is not None
    big = {"push": "slot", "view": {"slot": "web/0", "status": "x" * 1_000_000}}
    for _ in range(20):
        inside.agent._server.broadcast(big)
        await watcher.call("list")
    await until(lambda: inside.agent is not None and len(inside.agent._server._connections) == 1)
    writer.close()


async def test_everything_adjourned_stops_and_shuts_the_keeper_down(inside: Inside) -> None:
    watcher = await inside.begin()
    inside.keeper.ignored.add(15)
    await watcher.apply(slot("a/0", stop_grace_ms=600_000), slot("b/0", wanted="stopped"))
    await running(inside, watcher, "a/0")
    assert (await watcher.call("adjourn", epoch=1, deadline_s=600))["ok"]
    await watcher.call("kill_now", epoch=1)
    await until(lambda: inside.agent is not None and inside.agent.ended.is_set())
    assert [order["op"] for order in inside.keeper.orders] == ["spawn", "signal", "signal", "reap", "shutdown"]
    await inside.end()
    watcher = await inside.begin()
    await until(inside.keeper.live)
    assert list(inside.keeper.live()) == ["a/0"]


async def test_an_agent_that_is_awaited_stays_until_it_may_leave(inside: Inside) -> None:
    watcher = await inside.begin()
    await watcher.apply(slot("a/0"))
    await running(inside, watcher, "a/0")
    assert (await watcher.call("adjourn", epoch=1, deadline_s=5, awaited=True))["ok"]
    await until(lambda: {"push": "quiet"} in watcher.pushes)
    told = [push["push"] for push in watcher.pushes]
    assert told.index("quiet") > max(place for place, kind in enumerate(told) if kind == "slot")
    assert inside.agent is not None
    inside.agent._fleet.look_if_quiet()
    assert "shutdown" not in [order["op"] for order in inside.keeper.orders]
    await watcher.call("leave", epoch=1)
    await until(lambda: inside.agent is not None and inside.agent.ended.is_set())


async def test_an_agent_whose_controller_never_says_that_it_may_leave_ends_all_the_same(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.agent.ending.LEAVE_S", 0.2)
    watcher = await inside.begin()
    await watcher.call("adjourn", epoch=1, deadline_s=5, awaited=True)
    await until(lambda: inside.agent is not None and inside.agent.ended.is_set())


async def test_a_restarted_agent_adopts_its_run_and_acts_once_on_what_it_had_not_yet_done(inside: Inside) -> None:
    watcher = await inside.begin()
    await watcher.apply(slot())
    before = await running(inside, watcher)
    await inside.end()
    inside.keeper.orders.clear()
    watcher = await inside.begin()
    assert await watcher.view("web/0") == before
    await inside.end()
    inside.keeper.exit(before["run"], code=1)
    watcher = await inside.begin()
    await until(lambda: watcher.events("exited"))
    assert watcher.events("exited")[0]["data"]["code"] == 1


async def test_a_run_without_a_slot_is_kept_aside_and_adopted_by_a_later_apply(inside: Inside) -> None:
    stray = inside.keeper.add("stray", "web/0")
    inside.keeper.add("dead", "old/0", exited={"code": 0, "signal": None, "core": False, "known": True, "at": 1.0},
                      group_empty=True)  # fmt: skip
    watcher = await inside.begin()
    await until(lambda: inside.keeper.orders == [{"op": "reap", "run": "dead", "force": False}])
    await watcher.apply(slot())
    view = await running(inside, watcher)
    assert (view["run"], view["pid"]) == ("stray", stray["pid"])
    assert [order["op"] for order in inside.keeper.orders] == ["reap"]
    await until(lambda: [event["type"] for event in watcher.events()] == ["adopted", "became_running"])


async def test_what_is_left_of_a_run_that_no_slot_knows_any_more_is_killed(inside: Inside) -> None:
    ended = {"code": 0, "signal": None, "core": False, "known": True, "at": 1.0}
    inside.keeper.add("old", "web/0", exited=ended)
    watcher = await inside.begin()
    killed = {"op": "signal", "run": "old", "signal": 9, "scope": "group"}
    await until(lambda: killed in inside.keeper.orders)
    await until(lambda: watcher.events("stray_killed"))
    assert [event["slot"] for event in watcher.events("stray_killed")] == ["web/0"]


async def test_a_second_live_run_of_a_slot_is_killed_and_reaped(inside: Inside) -> None:
    watcher = await inside.begin()
    await watcher.apply(slot())
    await running(inside, watcher)
    inside.keeper.runs["twin"] = {**next(iter(inside.keeper.runs.values())), "run": "twin", "pid": 5_999_999}
    inside.keeper.tell(inside.keeper.greeting())
    await until(lambda: "twin" not in inside.keeper.runs)
    assert list(inside.keeper.live()) == ["web/0"]
    await until(lambda: watcher.events("stray_killed"))


async def test_an_order_whose_answer_was_lost_is_given_again_after_a_second_look(inside: Inside) -> None:
    watcher = await inside.begin()
    inside.keeper.failures["sleep"] = ("fork", errno.EAGAIN, "Cannot fork")
    inside.keeper.is_mute = True
    await watcher.apply(slot())
    await until(lambda: inside.keeper.orders)
    inside.keeper.is_mute = False
    inside.keeper.failures.clear()
    inside.keeper.tell(inside.keeper.greeting())
    view = await running(inside, watcher)
    assert [order["op"] for order in inside.keeper.orders] == ["spawn", "list", "spawn"]
    assert view["run_number"] == 2


@pytest.mark.long
@pytest.mark.e2e
async def test_a_thousand_slots_in_one_request_all_run(inside: Inside) -> None:
    watcher = await inside.begin()
    slots = [slot(f"web/{at}") for at in range(1000)]
    answer = await watcher.call("apply", patience_s=120.0, epoch=watcher.epoch, slots=slots)
    assert all(result["ok"] for result in answer["results"])
    await until(lambda: len(inside.keeper.live()) == 1000, patience_s=120.0)
