"""Who may ask: the API's own origin, on its own addresses, from its own user."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.e2e.e2e_installation import PYTHON, Answer, Installation
from tests.e2e.e2e_processes import eventually

pytestmark = pytest.mark.e2e

ASK = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
host, port, method, path = sys.argv[1:]
asking = socket.socket()
asking.settimeout(10)
asking.connect((host, int(port)))
asking.sendall(f"{method} {path} HTTP/1.1\\r\\nHost: {host}:{port}\\r\\nConnection: close\\r\\n\\r\\n".encode())
print(asking.recv(4096).split()[1].decode())
"""
"""Asks as `nobody`. Everything that is needed is imported before: the interpreter may be out of reach then."""


@pytest.fixture
def web(site: Installation) -> Installation:
    site.add("web")
    site.serve()
    site.until_running()
    return site


@pytest.mark.parametrize("path", ["/api/v1/workers", "/healthz", "/api/v1/plan"])
def test_a_foreign_host_name_is_misdirected(web: Installation, path: str) -> None:
    assert web.ask(path, Host="evil.example").status == 421
    assert web.ask(path, Host="localhost:" + web.listen.rpartition(":")[2]).status == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_a_foreign_origin_is_refused_and_nothing_is_done(web: Installation, origin: str) -> None:
    before = web.pids()
    assert web.ask("/api/v1/workers/web/restart", "POST", Origin=origin).status == 403
    assert web.ask("/api/v1/workers", Origin=origin).status == 403
    assert web.ask("/api/v1/plan").body["actions"] == []
    assert web.pids() == before == web.living()


def test_the_own_origin_is_let_in(web: Installation) -> None:
    assert web.ask("/api/v1/workers", Origin=f"http://{web.listen}").status == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/v1/workers"), ("POST", "/api/v1/workers/web/restart"), ("GET", "/api/v1/workers/web/logs")],
)
def test_another_user_of_the_machine_is_not_let_in(web: Installation, method: str, path: str) -> None:
    before = web.pids()
    asked = subprocess.run(
        [PYTHON, "-I", "-c", ASK, *web.listen.split(":"), method, path],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert asked.stdout.split() == ["401"]
    assert web.pids() == before


def test_a_body_that_is_no_json_is_refused(web: Installation) -> None:
    answers: list[Answer] = [
        web.ask("/api/v1/workers/web/stop", "POST", body=["no", "object"]),
        web.ask("/api/v1/workers/web/stop", "POST", body={"no_such_field": 1}),
    ]
    assert [answer.status // 100 for answer in answers] == [4, 4]
    assert web.living().keys() == {"web/0"}


def test_a_unix_socket_serves_the_command_line_and_is_private(site: Installation) -> None:
    path = site.root / "api.sock"
    site.add("web")
    site.serve("--listen", f"unix:{path}", ready=False)
    server = ("--server", f"unix:{path}")
    eventually(lambda: path.exists() and site.run("get", *server).code == 0, told="the command line is answered")
    eventually(lambda: site.run("status", "web", *server).code == 0, told="web runs")
    assert path.stat().st_mode & 0o077 == 0
    pid = site.living()["web/0"]
    assert site.run("restart", "web", "--wait", "20", *server).code == 0
    assert site.living()["web/0"] != pid
    assert site.run("events", "web", *server).code == 0
    assert site.run("doctor", "--state-dir", str(site.state), *server).code == 0


def test_the_state_directory_is_private(web: Installation) -> None:
    for path in [web.state, *web.state.rglob("*")]:
        assert path.lstat().st_mode & 0o077 == 0 or path.is_symlink(), f"{path} {path.stat().st_mode:o}"


def test_values_of_the_environment_are_in_no_log_and_no_answer_of_the_plan(site: Installation) -> None:
    site.add("web", env={"PASSWORD": "hunter2-first"})
    site.serve()
    site.until_running()
    site.add("web", env={"PASSWORD": "hunter2-second"})
    eventually(lambda: len(site.journal("web/0").starts) == 2, told="it is replaced")
    site.until_running()
    told = [site.log(), site.run("plan").text, site.run("describe", "web").text, site.run("events", "web").text]
    assert [text for text in told if "hunter2" in text] == []
