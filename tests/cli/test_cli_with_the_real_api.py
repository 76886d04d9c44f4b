"""The command line against the real HTTP server: what the fake of our other tests says must be what the server says."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from click.testing import CliRunner, Result

from controller.api.listen import parse_listen
from controller.api.log_query import LogQuery
from controller.api.ports import Refused, StoreUnavailable, Topic
from controller.api.server import ApiServer
from controller.cli.errors import Exit
from controller.cli.main import root
from controller.core.plan import Action, ActionKind, FieldChange, Hold, Plan
from controller.core.problems import Problem
from tests.cli.cli_site import meanwhile
from tests.fakes.api_ports import FakePorts, event, line, worker

DEADLINE_S = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A running server, its world, and its loop in another thread."""

    ports: FakePorts
    server: ApiServer
    loop: asyncio.AbstractEventLoop

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(root, ["--server", self.server.url, *arguments], prog_name="workerctl")

    def change(self, change: Callable[[], object]) -> None:
        """Change the world in the server's thread."""

        async def changed() -> None:
            change()

        asyncio.run_coroutine_threadsafe(changed(), self.loop).result(DEADLINE_S)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until the server's world is so; fails at the deadline."""
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, f"not seen; queries: {self.ports.queries}"
            threading.Event().wait(0.005)

    def read_after(self, cursor: int) -> int:
        """How often lines beyond this cursor were asked for."""
        return sum(query.after == cursor for query in list(self.ports.queries))


@pytest.fixture
def site() -> Iterator[Site]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    ports = FakePorts(worker("mailer", labels={"team": "growth"}), worker("web", description="Serves the shop."))
    server = ApiServer(ports.ports, parse_listen("127.0.0.1:0"))
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(DEADLINE_S)
    try:
        yield Site(ports=ports, server=server, loop=loop)
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(DEADLINE_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_workers_are_listed_and_described(site: Site) -> None:
    site.ports.happen(event(1, message="pid 4242"))
    listed = json.loads(site.run("get", "-o", "json").stdout)
    assert listed == {"items": list(site.ports.workers())}
    told = site.run("describe", "web")
    assert (told.exit_code, "it is wanted" in told.stdout, "pid 4242 (spec)" in told.stdout) == (0, True, True)
    assert site.run("status").stdout == "2 workers: 2 running\n"
    missing = site.run("status", "webb")
    assert (missing.exit_code, 'Did you mean "web"?' in missing.stderr) == (Exit.NOT_FOUND, True)


def test_logs_are_filtered_and_followed_without_a_gap(site: Site) -> None:
    site.ports.say(line("one"), line("two", stream="stderr"))
    assert site.run("logs", "web", "--since", "1h", "--instance", "0", "--stream", "stderr").stdout == "two\n"
    query = site.ports.queries[0]
    assert isinstance(query, LogQuery)
    assert (query.ordinal, query.stream, query.limit) == (0, "stderr", 10_000)

    def script() -> None:
        site.wait_for(lambda: site.read_after(2) == 1)
        site.change(lambda: site.ports.say(line("three")))
        site.wait_for(lambda: site.read_after(2) == 2)
        site.change(lambda: setattr(site.ports, "broken", StoreUnavailable("away")))
        site.change(lambda: site.ports.say(line("four")))
        site.wait_for(lambda: site.server.follower_count == 0)
        site.change(lambda: setattr(site.ports, "broken", None))
        site.wait_for(lambda: site.read_after(3) > 0)
        site.change(lambda: setattr(site.ports, "broken", StoreUnavailable("away")))
        site.change(lambda: site.ports.tower.ring(Topic.LOGS, "web"))
        site.wait_for(lambda: site.server.follower_count == 0)
        site.change(site.ports.lines.clear)
        site.change(site.ports.items.clear)
        site.change(lambda: setattr(site.ports, "broken", None))

    with meanwhile(script):
        followed = site.run("logs", "web", "-f", "-n", "1")
    assert (followed.exit_code, followed.stdout) == (Exit.NOT_FOUND, "two\nthree\nfour\n")


def test_events_are_shown(site: Site) -> None:
    assert site.run("events").stderr == "no events yet\n"
    site.ports.happen(event(1), event(2))
    assert [row.split()[-3:] for row in site.run("events", "web").stdout.splitlines()[1:]] == [
        ["web/0", "started", "spec"]
    ] * 2
    assert json.loads(site.run("events", "-n", "1", "-o", "json").stdout) == {"items": [event(2)]}


def test_a_plan_is_the_same_text_as_the_cores(site: Site) -> None:
    change = FieldChange(path="env.A", before=["x"], after=None, effect="restart")
    action = Action(
        worker_id="web",
        ordinal=0,
        host="localhost",
        kind=ActionKind.START,
        cause="desired_state: running",
        generation=2,
    )
    site.ports.next_plan = Plan(
        actions=(action,),
        holds=(
            Hold(worker_id=None, reason="PruneGuard", message="too many", confirm="3f9a"),
            Hold(worker_id="web", reason="RolloutPaced", message="web/1 after web/0", fields=(change,)),
        ),
    )
    told = site.run("plan")
    assert (told.exit_code, told.stdout) == (Exit.FAILED, f"{site.ports.next_plan}\n")
    guarded = site.run("reconcile")
    assert (guarded.exit_code, "--confirm 3f9a" in guarded.stderr) == (Exit.REFUSED, True)
    assert site.run("reconcile", "--confirm", "3f9a").exit_code == 0
    assert [wish[0] for wish in site.ports.wishes if isinstance(wish, tuple)] == [None, "3f9a"]


def test_wishes_are_granted_waited_for_and_refused(site: Site) -> None:
    assert site.run("stop", "web", "--reason", "tidy up").stdout == "→ web: stop accepted\n"
    late = site.run("restart", "web", "--wait", "0.05")
    assert (late.exit_code, "in 0.05 s: the operation is accepted and goes on" in late.stderr) == (Exit.TIMED_OUT, True)
    broken = Problem(file="web.yaml", line=3, column=1, message="unknown field: replica", hint="did you mean replicas?")
    site.ports.refusal = Refused(
        code="broken_file", message="web.yaml is broken", hint="use for_ms", problems=(broken,)
    )
    refused = site.run("start", "web")
    assert refused.exit_code == Exit.CONFLICT
    assert refused.stderr.splitlines() == [
        "Error: Cannot start web: web.yaml is broken",
        "  web.yaml:3:1: unknown field: replica",
        "      did you mean replicas?",
        "  hint: use for_ms",
    ]
    assert site.run("start", "nobody").exit_code == Exit.NOT_FOUND


def test_a_parameter_that_the_server_refuses_is_wrong_usage(site: Site) -> None:
    refused = site.run("stop", "web", "--reason", "two\nlines")
    assert (refused.exit_code, "/reason" in refused.stderr) == (Exit.USAGE, True)
