"""Kill -9 of agent and keeper on real processes: nothing dies, nothing starts twice, deadlines stay."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.agent.agent_builders import slot
from tests.agent.agent_site import Client, Site, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.sliced]  # kills, one after the other: seconds each


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


def counting(site: Site, ordinal: int, **changes: Any) -> dict[str, Any]:
    """A worker that leaves a line at each start."""
    command = f"echo web/{ordinal} >> {site.root}/starts; exec sleep 1000"
    return slot(f"web/{ordinal}", argv=["/bin/sh", "-c", command], **changes)


def all_running(client: Client, count: int) -> dict[str, int] | None:
    views = client.views()
    running = {name: view["pid"] for name, view in views.items() if view["status"] == "running"}
    return running if len(running) == count else None


def test_an_applied_slot_runs_and_a_stopped_one_is_gone(site: Site) -> None:
    client = site.start()
    assert client.apply(counting(site, 0)) == [{"slot": "web/0", "ok": True}]
    pids = eventually(lambda: all_running(client, 1))
    assert site.pids() == pids
    client.apply(counting(site, 0, generation=2, wanted="stopped"))
    view = eventually(lambda: (found := client.views()["web/0"])["status"] == "stopped" and found)
    assert (view["pid"], view["last_exit"]["cause"], view["last_exit"]["signal"]) == (None, "stopped", 15)
    assert site.pids() == {}


def recovered(site: Site, client: Client, victims: tuple[str, ...]) -> Client:
    """Connected to whoever took over: by itself, where one of the pair is left."""
    if len(victims) == 2:
        return site.start()
    # The agent of a dead keeper becomes the keeper, with its pid, and starts another agent.
    return site.client(not_agent=client.hello["agent_pid"])


@pytest.mark.parametrize("victims", [("agent",), ("keeper",), ("keeper", "agent"), ("agent", "keeper")])
def test_killing_ours_while_idle_changes_no_pid_and_starts_nothing_twice(site: Site, victims: tuple[str, ...]) -> None:
    client = site.start()
    client.apply(*(counting(site, at) for at in range(5)))
    pids = eventually(lambda: all_running(client, 5))
    for victim in victims:
        site.kill(client.hello[f"{victim}_pid"])
    client = recovered(site, client, victims)
    assert eventually(lambda: all_running(client, 5)) == pids
    assert sorted(site.starts()) == [f"web/{at}" for at in range(5)]
    assert {view["restart_count"] for view in client.views().values()} == {0}


@pytest.mark.parametrize(
    "place",
    [
        "agent.before_persist",
        "agent.after_persist",
        "agent.before_spawn_order",
        "agent.after_spawn_order",
        "agent.before_apply_durable",
        "agent.after_apply_durable",
        "agent.before_ack",
    ],
)
@pytest.mark.parametrize("when", ["once", "3"])
def test_an_agent_killed_while_it_starts_workers_starts_each_once(site: Site, place: str, when: str) -> None:
    if place == "agent.before_ack":
        when = "once"  # an agent that acknowledges nothing would be killed for ever
    client = site.start(WORKERCTL_FAIL=f"{place}=kill@{when}", WORKERCTL_FAIL_LOG=f"{site.root}/fails")
    slots = [counting(site, at) for at in range(3)]
    applied_by = set()

    def apply() -> bool:
        nonlocal client
        try:
            applied_by.add(client.hello["agent_pid"])
            client.apply(*slots)
        except (OSError, EOFError):
            client = site.client(not_agent=client.hello["agent_pid"])
            return False
        return True

    # Each new agent carries the same failpoint: a bounded number of deaths, then no more events that hit it.
    eventually(apply)
    pids = eventually(lambda: patient(site, client, 3))
    assert site.pids() == pids
    assert sorted(site.starts()) == [f"web/{at}" for at in range(3)]
    assert len(applied_by) > 1


def patient(site: Site, client: Client, count: int) -> dict[str, int] | None:
    """All running, asked over a fresh connection where the agent died again."""
    try:
        return all_running(client, count)
    except (OSError, EOFError):
        return all_running(site.client(), count)


def stubborn(**changes: Any) -> dict[str, Any]:
    """A worker that ignores SIGTERM."""
    return slot(argv=["/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1000 & wait; done"], **changes)


def test_a_worker_that_ignores_term_is_killed_at_its_original_deadline_though_the_agent_died(site: Site) -> None:
    client = site.start()
    client.apply(stubborn(stop_grace_ms=1500, start_grace_ms=10))
    view = eventually(lambda: (found := client.views()["web/0"])["status"] == "running" and found)
    ready(client, view["run"])
    begun = time.monotonic()
    client.apply(stubborn(generation=2, wanted="stopped", stop_grace_ms=1500, start_grace_ms=10))
    site.kill(client.hello["agent_pid"])
    client = site.client(not_agent=client.hello["agent_pid"])
    view = eventually(lambda: (found := client.views()["web/0"])["status"] == "stopped" and found)
    took = time.monotonic() - begun
    assert (view["last_exit"]["cause"], view["last_exit"]["signal"]) == ("killed", 9)
    assert 1.4 < took < 2.6
    kinds = [event["type"] for event in client.events()]
    assert kinds.count("stop_requested") == 1
    assert kinds.count("killed") == 1


def ready(client: Client, run: str) -> None:
    """Until the worker said so."""
    eventually(lambda: client.call("read_log", run=run, stream="stdout", offset=0, limit=100)["size"] > 0)


@pytest.mark.parametrize("victims", [("agent",), ("keeper",), ("keeper", "agent")])
def test_killing_ours_while_workers_stop_stops_them_all(site: Site, victims: tuple[str, ...]) -> None:
    client = site.start()
    slow = ["/bin/sh", "-c", "trap 'kill $!; exit 0' TERM; echo ready; sleep 1000 & wait"]
    client.apply(*(slot(f"web/{at}", argv=slow) for at in range(5)))
    eventually(lambda: all_running(client, 5))
    client.apply(*(slot(f"web/{at}", 2, argv=slow, wanted="stopped") for at in range(5)))
    for victim in victims:
        site.kill(client.hello[f"{victim}_pid"])
    client = recovered(site, client, victims)
    eventually(lambda: {view["status"] for view in client.views().values()} == {"stopped"})
    assert site.pids() == {}


def test_an_exit_while_the_agent_is_dead_is_told_with_its_code(site: Site) -> None:
    client = site.start()
    command = "trap 'kill $!; exit 7' TERM; echo ready; sleep 1000 & wait"
    client.apply(slot("go/0", argv=["/bin/sh", "-c", command], restart_policy="never"))
    view = eventually(lambda: (found := client.views()["go/0"])["status"] == "running" and found)
    ready(client, view["run"])
    agent = client.hello["agent_pid"]
    os.kill(agent, signal.SIGSTOP)
    os.kill(view["pid"], signal.SIGTERM)
    site.kill(agent)
    client = site.client(not_agent=agent)
    view = eventually(lambda: (found := client.views()["go/0"])["status"] == "error" and found)
    assert (view["last_exit"]["cause"], view["last_exit"]["code"]) == ("exited", 7)


def test_adjourn_ends_all_workers_the_agent_and_the_keeper(site: Site) -> None:
    client = site.start()
    client.apply(*(counting(site, at) for at in range(3)))
    eventually(lambda: all_running(client, 3))
    keeper = client.hello["keeper_pid"]
    assert client.call("adjourn", epoch=client.epoch, deadline_s=5)["ok"]
    client.drain()
    eventually(lambda: not os.path.exists(f"/proc/{keeper}"))
    assert site.pids() == {}
    client = site.start()
    eventually(lambda: all_running(client, 3))
    assert len(site.starts()) == 6


def test_an_adjourned_agent_that_is_killed_goes_on_stopping_and_ends(site: Site) -> None:
    client = site.start()
    client.apply(stubborn(stop_grace_ms=60_000, start_grace_ms=10))
    view = eventually(lambda: (found := client.views()["web/0"])["status"] == "running" and found)
    ready(client, view["run"])
    client.call("adjourn", epoch=client.epoch, deadline_s=1)
    site.kill(client.hello["agent_pid"])
    keeper = client.hello["keeper_pid"]
    eventually(lambda: not os.path.exists(f"/proc/{keeper}"))
    assert site.pids() == {}


def persistent(site: Site, client: Client, ask: Callable[[Client], object]) -> Client:
    """Ask again over a fresh connection until an agent lives long enough to answer."""

    def attempt() -> Client | None:
        nonlocal client
        try:
            ask(client)
        except (OSError, EOFError):
            client = site.client(not_agent=client.hello["agent_pid"])
            return None
        return client

    return eventually(attempt)


@pytest.mark.parametrize("place", ["agent.before_signal", "agent.after_signal", "agent.before_reap"])
def test_an_agent_killed_while_it_restarts_workers_starts_each_once_more(site: Site, place: str) -> None:
    client = site.start(WORKERCTL_FAIL=f"{place}=kill@once", WORKERCTL_FAIL_LOG=f"{site.root}/fails")
    client.apply(*(counting(site, at) for at in range(3)))
    before = eventually(lambda: all_running(client, 3))
    agent = client.hello["agent_pid"]
    newer = [counting(site, at, generation=2, revision="1-b") for at in range(3)]
    client = persistent(site, client, lambda client: client.apply(*newer))
    client = site.client(not_agent=agent)

    def replaced() -> dict[str, int] | None:
        views = client.views().values()
        return all_running(client, 3) if {view["running_revision"] for view in views} == {"1-b"} else None

    after = eventually(replaced)
    assert site.pids() == after
    assert not set(before.values()) & set(after.values())
    assert sorted(site.starts()) == sorted(2 * [f"web/{at}" for at in range(3)])
    assert {view["restart_count"] for view in client.views().values()} == {0}


def test_an_agent_killed_when_a_slot_has_just_gone_does_not_raise_it_again(site: Site) -> None:
    client = site.start(WORKERCTL_FAIL="agent.after_remove=kill@once", WORKERCTL_FAIL_LOG=f"{site.root}/fails")
    client.apply(counting(site, 0))
    eventually(lambda: all_running(client, 1))
    agent = client.hello["agent_pid"]
    gone = [{"slot": "web/0", "generation": 2}]
    client = persistent(site, client, lambda client: client.call("remove", epoch=client.epoch, slots=gone))
    client = site.client(not_agent=agent)
    listed = client.call("list")
    assert (listed["slots"], listed["tombstones"], site.pids()) == ([], {"web/0": 2}, {})


def test_an_agent_killed_when_it_has_just_adjourned_stops_all_and_ends(site: Site) -> None:
    client = site.start(WORKERCTL_FAIL="agent.after_adjourn_durable=kill@once", WORKERCTL_FAIL_LOG=f"{site.root}/fails")
    client.apply(*(counting(site, at) for at in range(3)))
    eventually(lambda: all_running(client, 3))
    keeper = client.hello["keeper_pid"]
    with pytest.raises((EOFError, ConnectionError)):
        client.call("adjourn", epoch=client.epoch, deadline_s=5)
    eventually(lambda: not os.path.exists(f"/proc/{keeper}"))
    assert (site.pids(), len(site.starts())) == ({}, 3)


def test_an_agent_killed_when_it_was_just_claimed_issues_a_higher_epoch_next(site: Site) -> None:
    client = site.start(WORKERCTL_FAIL="agent.after_claim=kill@once", WORKERCTL_FAIL_LOG=f"{site.root}/fails")
    assert client.epoch == 2
    assert client.call("apply", epoch=1, slots=[])["error"] == "stale_epoch"
