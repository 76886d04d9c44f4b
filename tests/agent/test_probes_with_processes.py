"""Probes with real processes: each kind of check, what it costs a run, and a stop while one hangs."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.agent.agent_builders import probe, slot
from tests.agent.agent_site import Client, Site, eventually


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


@pytest.fixture
def port() -> int:
    """One that nobody has."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found: int = free.getsockname()[1]
        return found


SERVER = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        sick = os.path.exists(sys.argv[2])
        assert self.headers["Host"] == "127.0.0.1"
        self.send_response(302 if self.path == "/away" else 503 if sick else 200)
        self.end_headers()
    def log_message(self, *_arguments):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def server(site: Site, port: int, generation: int = 1, **changes: Any) -> dict[str, Any]:
    argv = [sys.executable, "-c", SERVER, str(port), f"{site.root}/sick"]
    return slot("web/0", generation, argv=argv, max_restart_attempts=None, **changes)


def shell(script: str, generation: int = 1, **changes: Any) -> dict[str, Any]:
    return slot("web/0", generation, argv=["/bin/sh", "-c", script], **changes)


def view(client: Client) -> dict[str, Any]:
    return client.views()["web/0"]


def touch(path: str) -> None:
    with open(path, "w", encoding="ascii"):
        pass


def test_an_http_readiness_makes_ready_and_unready_without_a_restart(site: Site, port: int) -> None:
    client = site.start()
    client.apply(server(site, port, probes=[probe("readiness", "http", port=port, period_ms=50)]))
    first = eventually(lambda: (found := view(client))["ready"] and found)
    assert first["status"] == "running"
    touch(f"{site.root}/sick")
    eventually(lambda: view(client)["ready"] is False)
    assert (view(client)["status"], view(client)["pid"]) == ("running", first["pid"])
    os.unlink(f"{site.root}/sick")
    eventually(lambda: view(client)["ready"] is True)


def test_a_redirect_is_an_answer_and_the_range_of_statuses_decides(site: Site, port: int) -> None:
    client = site.start()
    away = probe("readiness", "http", port=port, path="/away", period_ms=50)
    client.apply(server(site, port, probes=[away]))
    eventually(lambda: view(client)["ready"])
    client.apply(server(site, port, 2, digest="d2", probes=[{**away, "status": [200, 299]}]))
    eventually(lambda: view(client)["ready"] is False)


def test_a_lost_liveness_restarts_a_stopped_process_by_kill(site: Site, port: int) -> None:
    client = site.start()
    liveness = probe("liveness", "http", port=port, period_ms=100, timeout_ms=200)
    readiness = probe("readiness", "http", port=port, period_ms=100, timeout_ms=200)
    startup = probe("startup", "http", port=port, failures=1000)  # how long it takes to begin is not tried here
    client.apply(server(site, port, probes=[startup, liveness, readiness], stop_grace_ms=200))
    pid = eventually(lambda: (found := view(client))["ready"] and found["pid"])
    os.kill(pid, signal.SIGSTOP)
    again = eventually(lambda: (found := view(client))["ready"] and found["pid"] != pid and found)
    assert (again["last_exit"]["cause"], again["last_exit"]["signal"], again["restart_count"]) == ("liveness", 9, 1)


def test_a_startup_by_tcp_that_never_comes_is_a_counted_crash(site: Site, port: int) -> None:
    client = site.start()
    client.apply(shell("exec sleep 1000", probes=[probe("startup", port=port)], restart_policy="never"))
    found = eventually(lambda: (found := view(client))["status"] == "error" and found)
    assert found["last_exit"]["cause"] == "start_timeout"
    assert found["message"].startswith(
        f"the startup probe failed: 127.0.0.1:{port}: connection refused (2 times in a row)"
    )


@pytest.mark.parametrize("kind", ["startup", "readiness"])
def test_what_never_succeeded_is_shown_from_the_first_failure_on_and_told_at_most_once(
    site: Site, port: int, kind: str
) -> None:
    client = site.start()
    client.apply(
        shell(
            "exec sleep 1000", probes=[probe(kind, port=port, period_ms=50, failures=3 if kind == "readiness" else 999)]
        )
    )
    refused = f"127.0.0.1:{port}: connection refused"
    words = rf"the {kind} probe fails: {re.escape(refused)} \((\d+) times in a row, asked every 0\.05 s\)"
    eventually(lambda: ((found := re.fullmatch(words, view(client)["message"])) and int(found[1]) >= 20) or None)
    assert view(client)["status"] == "starting"
    told = [event["message"] for event in client.events() if "probe" in event["message"]]
    failed = f"the readiness probe failed: {refused} (3 times in a row); it was not ready before"
    assert told == ([failed] if kind == "readiness" else [])
    pushed = [push["view"]["message"] for push in client.pushes if push["push"] == "slot" and push["view"]["message"]]
    assert len(pushed) <= 4


def test_a_remark_is_gone_with_the_first_success_and_with_its_probe(site: Site, port: int) -> None:
    client = site.start()
    touch(f"{site.root}/sick")
    check = probe("liveness", "http", port=port, period_ms=50, failures=100_000)
    client.apply(server(site, port, probes=[check]))
    eventually(lambda: "answered 503" in view(client)["message"])
    os.unlink(f"{site.root}/sick")
    eventually(lambda: view(client)["message"] == "")
    touch(f"{site.root}/sick")
    eventually(lambda: "answered 503" in view(client)["message"])
    client.apply(server(site, port, 2, digest="d2"))
    eventually(lambda: view(client)["message"] == "")
    assert view(client)["restart_count"] == 0


def test_a_startup_by_tcp_ends_starting(site: Site, port: int) -> None:
    client = site.start()
    client.apply(server(site, port, probes=[probe("startup", port=port, failures=100)]))
    eventually(lambda: view(client)["status"] == "running")


def test_an_exec_probe_runs_as_the_worker_does_and_says_why_it_fails(site: Site) -> None:
    client = site.start()
    script = f'[ "$COLOR" = blue ] && [ -e {site.root}/well ] || {{ echo not well >&2; exit 7; }}'
    check = probe("readiness", "exec", argv=["/bin/sh", "-c", script], period_ms=50, failures=1)
    client.apply(shell("exec sleep 1000", probes=[check], env={"COLOR": "blue"}))
    touch(f"{site.root}/well")
    eventually(lambda: view(client)["ready"])
    os.unlink(f"{site.root}/well")
    eventually(lambda: view(client)["ready"] is False)
    [event] = [event for event in client.events() if event["type"] == "became_unready"][:1]
    assert event["message"] == "the readiness probe failed: /bin/sh exited with code 7: not well"
    client.apply(shell("exec sleep 1000", 2, probes=[check], wanted="stopped"))
    eventually(lambda: view(client)["status"] == "stopped" and not os.listdir(site.paths.runs))
    eventually(lambda: os.listdir(f"{site.paths.state}/probes") == [])


def test_an_exec_probe_that_hangs_is_killed_with_its_children_also_when_the_run_stops(site: Site) -> None:
    client = site.start()
    hangs = ["/bin/sh", "-c", f"sleep 1000 & echo $! >> {site.root}/starts; wait"]
    check = probe("readiness", "exec", argv=hangs, period_ms=50, timeout_ms=300)
    client.apply(shell("exec sleep 1000", probes=[check]))
    eventually(lambda: len(site.starts()) >= 2)
    client.apply(shell("exec sleep 1000", 2, probes=[check], wanted="stopped"))
    eventually(lambda: view(client)["status"] == "stopped")
    eventually(lambda: os.listdir(site.paths.runs) == [])
    assert [pid for pid in site.starts() if os.path.exists(f"/proc/{pid}")] == []


def test_an_exec_probe_of_a_killed_agent_is_ended_and_another_one_goes_on(site: Site) -> None:
    client = site.start()
    once = f"if mkdir {site.root}/first; then echo x >> {site.root}/starts; sleep 1000; fi"
    check = probe("readiness", "exec", argv=["/bin/sh", "-c", once], period_ms=50, timeout_ms=60_000)
    client.apply(shell("exec sleep 1000", probes=[check]))
    eventually(lambda: site.starts() == ["x"])
    site.kill(client.hello["agent_pid"])
    client = site.client(not_agent=client.hello["agent_pid"])
    eventually(lambda: view(client)["ready"])
    client.apply(shell("exec sleep 1000", 2, digest="d2"))
    eventually(lambda: len(os.listdir(site.paths.runs)) == 1)


def test_a_line_of_the_log_ends_starting_also_one_that_was_written_while_no_agent_was_there(site: Site) -> None:
    client = site.start()
    script = f"until [ -e {site.root}/go ]; do sleep 0.02; done; echo hello; echo server is up; exec sleep 1000"
    check = probe("startup", "log_line", pattern="is up$", period_ms=60_000)
    client.apply(shell(script, probes=[check]))
    pid = eventually(lambda: view(client)["pid"])
    os.kill(client.hello["agent_pid"], signal.SIGSTOP)
    touch(f"{site.root}/go")
    eventually(lambda: any(name.endswith(".stdout") and os.path.getsize(f"{site.paths.logs}/web/0/{name}") > 15
                           for name in os.listdir(f"{site.paths.logs}/web/0")))  # fmt: skip
    site.kill(client.hello["agent_pid"])
    client = site.client(not_agent=client.hello["agent_pid"])
    eventually(lambda: view(client)["status"] == "running")
    assert view(client)["pid"] == pid


def test_a_worker_that_says_nothing_new_loses_its_liveness_by_log_line(site: Site) -> None:
    client = site.start()
    check = probe("liveness", "log_line", pattern="beat", period_ms=400, failures=1)
    client.apply(shell("for n in 1 2 3 4; do echo beat; sleep 0.2; done; exec sleep 1000", probes=[check],
                       restart_policy="never"))  # fmt: skip
    found = eventually(lambda: (found := view(client))["status"] == "error" and found)
    assert (found["last_exit"]["cause"], "no line matches 'beat' within 0.4 s" in found["message"]) == (
        "liveness",
        True,
    )


def test_a_stalled_agent_makes_no_failures(site: Site, port: int) -> None:
    client = site.start()
    check = probe("liveness", "http", port=port, period_ms=100, timeout_ms=400, failures=1)
    startup = probe("startup", "http", port=port, failures=1000)
    client.apply(server(site, port, probes=[check, startup]))
    pid = eventually(lambda: (found := view(client))["status"] == "running" and found["pid"])
    agent = client.hello["agent_pid"]
    for _ in range(3):
        os.kill(agent, signal.SIGSTOP)
        wait(0.6)
        os.kill(agent, signal.SIGCONT)
        wait(0.2)
    assert (view(client)["pid"], view(client)["restart_count"]) == (pid, 0)


def wait(seconds: float) -> None:
    """Time in which something must not happen."""
    signal.sigtimedwait([], seconds)


def test_what_is_known_of_readiness_survives_the_death_of_the_agent(site: Site) -> None:
    client = site.start()
    # Asked once, and not again while the test looks: what the next agent knows it has from this one.
    client.apply(shell("exec sleep 1000", probes=[probe("readiness", "exec", argv=["true"], period_ms=600_000)]))
    eventually(lambda: view(client)["ready"])
    site.kill(client.hello["agent_pid"])
    client = site.client(not_agent=client.hello["agent_pid"])
    assert (view(client)["ready"], view(client)["status"]) == (True, "running")
    assert [event["type"] for event in client.events() if event["type"] in ("adopted", "record_quarantined")] == []
