"""The database goes, comes back, is damaged: workers are supervised and specs reconciled all the while, and it is told.

Afterwards every line and every event is there once and in order, as the canary's numbered lines show.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from http.client import HTTPException
from typing import Any

import pytest

from tests.e2e.canary import numbered
from tests.e2e.e2e_installation import WORKERCTL, Installation
from tests.e2e.e2e_processes import eventually
from tests.store.store_proxy import Proxy
from tests.store.store_server import PASSWORD, Server

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def empty_database() -> None:
    """The program makes its database itself."""


LINES = ("--lines=1000000", "--every=20")


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    made = Proxy(server.port)
    yield made
    made.close()


def assert_contiguous(texts: list[str]) -> None:
    """The canary's first so many lines, each once, in order."""
    assert texts == [numbered(number).decode().rstrip() for number in range(1, len(texts) + 1)]


def doctor(site: Installation, **environment: str) -> dict[str, Any]:
    """What it says, by name; the last word where it has several for one."""
    done = subprocess.run(
        [WORKERCTL, "doctor", "-o", "json", "--state-dir", str(site.state)], capture_output=True, text=True,
        timeout=60, check=False, env=site.environment(WORKERCTL_SERVER=f"http://{site.listen}", **environment),
    )  # fmt: skip
    assert PASSWORD not in done.stdout + done.stderr
    return {item["name"]: item for item in json.loads(done.stdout)["items"]}


def waits_for(site: Installation, words: str) -> bool:
    try:
        answer = site.ask("/readyz")
    except (OSError, HTTPException):
        return False  # It does not listen yet.
    return answer.status == 503 and any(re.search(words, reason) for reason in answer.body["waiting_for"])


def ask_for_logs(site: Installation) -> None:
    with suppress(OSError, HTTPException):
        site.ask("/api/v1/workers/web/logs")


def assert_supervised(site: Installation, name: str) -> None:
    """A crash is repaired, a new spec is carried out, an order obeyed, and questions are answered at once."""
    site.until_reborn("brk/0", site.kill_worker("brk/0"))
    site.add(name)
    site.until_running(name)
    assert site.run("stop", name, "--wait", "20").code == 0
    begun = time.monotonic()
    for _ in range(10):
        assert site.ask("/healthz").status == 200
        assert site.ask("/api/v1/workers").status == 200
    assert time.monotonic() - begun < 10


def test_a_server_that_goes_and_comes_back_costs_no_worker_and_no_line(
    site: Installation, server: Server, proxy: Proxy
) -> None:
    database = server.create()
    url = server.url(database, port=proxy.port)

    def stored(worker_id: str = "web") -> list[str]:
        with server.connect(database) as connection:
            query = "SELECT text FROM worker_logs WHERE worker_id = %s AND kind = 'line' ORDER BY id"
            return [text for (text,) in connection.execute(query, (worker_id,))]

    site.add("web", *LINES)
    site.add("brk", max_restart_attempts=10)
    site.serve("--db", url)
    pids = site.until_running("web", "brk")
    eventually(lambda: len(stored()) > 20, told="lines are stored")
    found = doctor(site, WORKERCTL_DB=url)["database"]
    assert (found["level"], found["message"].startswith("PostgreSQL ")) == ("ok", True)

    # It answers no more, and nothing says so yet; many ask for what only it knows.
    proxy.swallow()
    askers = [threading.Thread(target=ask_for_logs, args=(site,)) for _ in range(20)]
    for asker in askers:
        asker.start()
    assert_supervised(site, "unanswered")
    proxy.forward()
    proxy.cut()
    for asker in askers:
        asker.join(30)

    server.stop()
    eventually(lambda: waits_for(site, "the database is away: the server"), told="it is said that the database is away")
    assert_supervised(site, "new")
    assert site.ask("/api/v1/workers/web/logs").status == 503
    found = doctor(site, WORKERCTL_DB=url)
    assert (found["database"]["level"], "cannot be reached" in found["database"]["message"]) == ("fail", True)
    assert "the database is away" in found["controller"]["advice"]

    # A controller begins without it, too.
    site.kill("controller")
    site.serve("--db", url, ready=False)
    eventually(lambda: waits_for(site, "^the database is away: the server cannot be reached$"), told="it says so")
    assert_supervised(site, "newer")
    server.start()
    eventually(site.is_ready, told="ready again")
    (told,) = eventually(lambda: site.events(None, "database_returned"), told="how long it was away is told")
    assert re.fullmatch(r"the database could not be written to for \d+ s: the server .*", told["message"])

    # It crashes, and the controller with it.
    server.stop(signal.SIGQUIT)
    site.kill("controller")
    server.start()
    site.serve("--db", url)
    before = len(stored())
    eventually(lambda: len(stored()) > before + 20, told="lines go on")
    assert_contiguous(stored())
    assert site.until_running("web")["web/0"] == pids["web/0"]
    events = site.events()
    agents = [(event["at"], event["type"], event["run"]) for event in events if event["actor"] == "agent"]
    assert len(set(agents)) == len(agents), "an event was stored twice"
    # The lives of brk that ended while the database was away.
    ended = {event["run"] for event in events if event["instance"] == "brk/0" and "SIGKILL" in event["message"]}
    assert len(ended) == 3, events
    assert PASSWORD not in site.log()


def test_a_damaged_file_is_set_aside_under_a_running_controller_and_told_of(site: Installation) -> None:
    path = site.state / "workerctl.db"

    def stored() -> list[str]:
        with closing(sqlite3.connect(path, timeout=20)) as connection:
            query = "SELECT text FROM worker_logs WHERE kind = 'line' ORDER BY id"
            return [text for (text,) in connection.execute(query)]

    def harm() -> list[str]:
        """Damage it, until that shows: a page that is written in the same moment would mend it."""
        aside = [one.name for one in site.state.glob("workerctl.db.damaged-*Z")]
        if not aside:
            with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(path, timeout=20)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            with open(path, "r+b") as file:
                file.write(os.urandom(path.stat().st_size))
        return aside

    site.add("web", *LINES)
    site.add("brk")
    site.serve()
    pids = site.until_running("web", "brk")
    eventually(lambda: len(stored()) > 20, told="lines are stored")
    (aside,) = eventually(harm, told="the damaged file was set aside")
    eventually(site.is_ready, told="ready")
    told = eventually(lambda: site.events(None, "database_replaced"), told="an event tells it")[0]
    assert f"it was set aside as {site.state / aside}" in told["message"]
    assert_supervised(site, "new")
    eventually(lambda: len(stored()) > 40, told="lines are stored in the new one")
    assert_contiguous([text for text in stored() if text.startswith("line")])
    assert site.until_running("web") == {"web/0": pids["web/0"]}
    found = doctor(site)["database"]
    assert (found["level"], aside in found["message"]) == ("warn", True)
