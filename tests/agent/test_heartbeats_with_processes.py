"""Liveness by heartbeat with real processes: over NOTIFY_SOCKET without any controller, and told by one."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.agent.agent_builders import probe, slot
from tests.agent.agent_site import Client, Site, eventually

BEATER = """
import os, socket, sys, time
said = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
def say(text):
    try:
        said.sendto(text.encode(), os.environ["NOTIFY_SOCKET"])
    except OSError:
        pass  # between two agents nobody listens
say(sys.argv[1])
say("READY=1\\nSTATUS=told " + os.environ.get("WATCHDOG_USEC", "nothing"))
while not os.path.exists(sys.argv[2]):
    say("WATCHDOG=1")
    time.sleep(0.05)
time.sleep(1000)
"""


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


def heartbeat(timeout_ms: int = 1500) -> dict[str, Any]:
    return probe("liveness", "heartbeat", timeout_ms=timeout_ms, period_ms=timeout_ms, failures=1)


def beater(site: Site, first: str = "READY=1", generation: int = 1, **changes: Any) -> dict[str, Any]:
    """Beats as long as there is no file `quiet`."""
    fields: dict[str, Any] = {"probes": [heartbeat()], "restart_policy": "never", **changes}
    return slot("web/0", generation, argv=[sys.executable, "-c", BEATER, first, f"{site.root}/quiet"], **fields)


def quiet(site: Site) -> None:
    with open(f"{site.root}/quiet", "w", encoding="ascii"):
        pass


def view(client: Client) -> dict[str, Any]:
    return client.views()["web/0"]


def passes(seconds: float) -> None:
    """Time in which something must not happen."""
    signal.sigtimedwait([], seconds)


def ended(client: Client) -> dict[str, Any]:
    return eventually(lambda: (found := view(client))["status"] == "error" and found)


@pytest.mark.e2e  # waits for a silence: seconds
def test_a_run_that_says_watchdog_lives_through_the_death_of_the_agent_and_is_ended_when_it_says_it_no_more(
    site: Site,
) -> None:
    client = site.start()
    client.apply(beater(site))
    eventually(lambda: view(client)["notify_status"] == "told 1500000")
    pid = view(client)["pid"]
    site.kill(client.hello["agent_pid"])
    client = site.client(not_agent=client.hello["agent_pid"])  # which says nothing of heartbeats
    passes(1.7)
    assert (view(client)["pid"], view(client)["message"]) == (pid, "")
    quiet(site)
    eventually(lambda: view(client)["message"].endswith(" s; without one it is ended after 1.5 s"))
    found = ended(client)
    assert found["last_exit"]["cause"] == "liveness"
    assert found["message"].startswith("the liveness probe failed: no heartbeat for 1.")
    assert ", asked for every 1.5 s" in found["message"]


def test_a_run_says_how_long_it_may_be_silent_and_that_it_has_failed(site: Site) -> None:
    client = site.start()
    client.apply(beater(site, "WATCHDOG_USEC=60000000"))
    eventually(lambda: view(client)["notify_status"] != "" or None)
    assert [event["message"] for event in client.events() if event["type"] == "watchdog_set"] == [
        "it said WATCHDOG_USEC: its heartbeat is missed after 60 s of silence from now on"
    ]
    client.apply(beater(site, "WATCHDOG=trigger", 2, revision="1-b", probes=[]))
    found = ended(client)
    assert (found["last_exit"]["cause"], found["message"].partition(";")[0]) == (
        "liveness",
        "it said WATCHDOG=trigger",
    )


class Telling:
    """A controller's messages to the agent: about each 0.2 s while it is asked to wait for something."""

    def __init__(self, client: Client) -> None:
        self.client, self.beats = client, True

    def __call__(self) -> dict[str, Any]:
        found, now = view(self.client), time.monotonic()
        beats = {found["run"]: now} if self.beats and found["run"] else {}
        answer = self.client.call("beat", epoch=self.client.epoch, at=now, beats=beats)
        assert answer["ok"], answer
        passes(0.2)
        return found


@pytest.mark.e2e  # waits for a silence: seconds
def test_a_run_whose_beats_a_controller_tells_is_ended_without_them(site: Site) -> None:
    client = site.start()
    tell = Telling(client)
    client.apply(slot("web/0", probes=[heartbeat(1000)], restart_policy="never"))
    until = time.monotonic() + 1.7
    while time.monotonic() < until:
        tell()
    assert view(client)["status"] == "running"
    tell.beats = False
    found = eventually(lambda: (found := tell())["status"] == "error" and found)
    assert found["last_exit"]["cause"] == "liveness"


def test_messages_that_are_none_are_refused_and_those_of_an_older_controller_too(site: Site) -> None:
    client = site.start()
    epoch = client.epoch
    for wrong in ({"at": "soon", "beats": {}}, {"at": 1.0, "beats": {"r1": "now"}}, {"at": float("nan"), "beats": {}}):
        assert client.call("beat", epoch=epoch, **wrong)["error"] == "invalid"
    assert client.call("beat", epoch=epoch, at=1, beats={"unknown": 1})["ok"]
    assert client.call("beat", epoch=epoch - 1, at=1.0, beats={})["error"] == "stale_epoch"
