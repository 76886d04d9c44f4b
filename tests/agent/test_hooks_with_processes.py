"""Hooks with real processes: their order, their ends, and deaths of ours while they run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.agent.agent_builders import hook, slot
from tests.agent.agent_site import Client, Site, eventually


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


def noting(site: Site, text: str, *then: str) -> list[str]:
    """A command that leaves a word in the file `starts`, and then goes on."""
    return ["/bin/sh", "-c", f"echo {text} >> {site.root}/starts; {'; '.join(then)}"]


def worker(site: Site, generation: int = 1, **changes: Any) -> dict[str, Any]:
    return slot("web/0", generation, argv=noting(site, "run", "exec sleep 1000"), **changes)


def has_status(client: Client, status: str) -> dict[str, Any]:
    return eventually(lambda: (found := client.views()["web/0"])["status"] == status and found)


def all_hooks(site: Site) -> dict[str, Any]:
    return {name: hook(*noting(site, name)) for name in ("pre_start", "post_start", "pre_stop", "post_stop")}


def test_hooks_run_around_the_life_of_a_process_and_their_output_is_kept(site: Site) -> None:
    client = site.start()
    hooks = {**all_hooks(site), "pre_start": hook(*noting(site, "pre_start", 'echo "$HOOK of $WORKER_RUN"'))}
    client.apply(worker(site, hooks=hooks))
    has_status(client, "running")
    eventually(lambda: len(site.starts()) == 3)
    client.apply(worker(site, 2, hooks=hooks, wanted="stopped"))
    has_status(client, "stopped")
    assert [site.starts()[0], *sorted(site.starts()[1:3]), *site.starts()[3:]] == [
        "pre_start", "post_start", "run", "pre_stop", "post_stop",
    ]  # fmt: skip
    [run] = {log["run"] for log in client.call("list")["logs"] if log["run"].endswith("-pre_start")}
    client.call("read_log", run=run, stream="stdout", offset=0, limit=1000)
    assert client.payload.decode() == f"pre_start of {run}\n"
    eventually(lambda: site.pids() == {} and not os.listdir(site.paths.runs))


def test_a_hook_that_hangs_is_killed_with_its_children_and_the_start_has_failed(site: Site) -> None:
    client = site.start()
    hangs = hook("/bin/sh", "-c", f"sleep 1000 & echo $! > {site.root}/child; wait", timeout_ms=300)
    client.apply(worker(site, hooks={"pre_start": hangs}, restart_policy="never"))
    view = has_status(client, "error")
    assert (view["last_exit"]["cause"], view["reason"]) == ("hook", "NotRestarted")
    assert "did not end in time and was killed" in view["message"]
    eventually(lambda: os.listdir(site.paths.runs) == [])
    with open(f"{site.root}/child", encoding="ascii") as file:
        assert not os.path.exists(f"/proc/{int(file.read())}")
    assert site.starts() == []


def test_what_an_ended_hook_leaves_behind_is_killed(site: Site) -> None:
    client = site.start()
    leaves = hook("/bin/sh", "-c", f"sleep 1000 & echo $! > {site.root}/child")
    client.apply(worker(site, hooks={"pre_start": leaves}))
    has_status(client, "running")
    eventually(lambda: list(site.pids()) == ["web/0"] and len(os.listdir(site.paths.runs)) == 1)
    with open(f"{site.root}/child", encoding="ascii") as file:
        assert not os.path.exists(f"/proc/{int(file.read())}")


@pytest.mark.parametrize("name", ["pre_start", "post_start", "pre_stop", "post_stop"])
@pytest.mark.parametrize("victims", [("agent",), ("keeper",), ("agent", "keeper")])
def test_a_hook_goes_on_and_is_not_repeated_when_ours_are_killed(
    site: Site, name: str, victims: tuple[str, ...]
) -> None:
    client = site.start()
    waits = f"until [ -e {site.root}/go ]; do sleep 0.02; done"
    hooks = {name: hook(*noting(site, name, waits), timeout_ms=60_000)}
    client.apply(worker(site, hooks=hooks))
    if name in ("pre_stop", "post_stop"):
        has_status(client, "running")
        client.apply(worker(site, 2, hooks=hooks, wanted="stopped"))
    eventually(lambda: name in site.starts())
    for victim in victims:
        site.kill(client.hello[f"{victim}_pid"])
    client = site.start() if len(victims) == 2 else site.client(not_agent=client.hello["agent_pid"])
    with open(f"{site.root}/go", "w", encoding="ascii"):
        pass
    status = "stopped" if name in ("pre_stop", "post_stop") else "running"
    if name == "pre_start" and "keeper" in victims:
        # Nobody of ours was its parent when it ended: unknown is no success, and the start is tried again.
        has_status(client, "running")
        assert site.starts() == [name, name, "run"]
    else:
        has_status(client, status)
        assert sorted(site.starts()) == sorted([name, "run"])
    eventually(lambda: len(os.listdir(site.paths.runs)) == (1 if status == "running" else 0))


@pytest.mark.parametrize("place", ["agent.before_hook_order", "agent.after_hook_order"])
def test_a_hook_whose_order_dies_with_the_agent_is_a_failed_start_that_is_tried_again(site: Site, place: str) -> None:
    client = site.start(WORKERCTL_FAIL=f"{place}=kill@once", WORKERCTL_FAIL_LOG=f"{site.root}/fails")
    try:
        client.apply(worker(site, hooks={"pre_start": hook(*noting(site, "pre_start"))}))
    except (OSError, EOFError):
        client = site.client(not_agent=client.hello["agent_pid"])
        client.apply(worker(site, hooks={"pre_start": hook(*noting(site, "pre_start"))}))
    client = site.client()
    has_status(client, "running")
    assert site.starts() == ["pre_start", "run"]


def test_the_deadline_of_a_hook_survives_the_death_of_the_agent(site: Site) -> None:
    client = site.start()
    hooks = {"pre_stop": hook(*noting(site, "pre_stop", "sleep 1000"), timeout_ms=1000)}
    client.apply(worker(site, hooks=hooks))
    has_status(client, "running")
    client.apply(worker(site, 2, hooks=hooks, wanted="stopped"))
    eventually(lambda: "pre_stop" in site.starts())
    site.kill(client.hello["agent_pid"])
    client = site.client(not_agent=client.hello["agent_pid"])
    view = has_status(client, "stopped")
    assert (view["last_exit"]["cause"], site.starts()) == ("stopped", ["run", "pre_stop"])
    eventually(lambda: os.listdir(site.paths.runs) == [])


def test_a_stop_of_everything_does_not_wait_for_a_hanging_hook(site: Site) -> None:
    client = site.start()
    hooks = {"pre_stop": hook("sleep", "1000", timeout_ms=60_000)}
    client.apply(worker(site, hooks=hooks))
    has_status(client, "running")
    client.call("adjourn", epoch=client.epoch, deadline_s=1)
    client.drain()
    eventually(lambda: os.listdir(site.paths.runs) == [])
