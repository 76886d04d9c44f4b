"""The real program under attack: everything at once, and then what it should be is what it is.

What each shape is answered is tried below the whole program (tests/api/test_api_hostile.py); here, what it costs.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.e2e.e2e_installation import Answer, Installation

pytestmark = pytest.mark.e2e

CONFIGS = "/api/v1/worker-configs"
WEB = f"{CONFIGS}/web"
CROWD = {f"k{number}": 1 for number in range(9_000)}
DEEP = '{"a":' * 900 + "1" + "}" * 900
HOSTILE = [
    ("POST", CONFIGS, json.dumps({"worker_id": "x", **CROWD})),
    ("POST", CONFIGS, json.dumps({"worker_id": "x", "command": ["x"], "env": CROWD})),
    ("POST", CONFIGS, json.dumps({"worker_id": "x", "command": [1] * 200_000})),
    ("PATCH", WEB, json.dumps(CROWD)),
    ("PATCH", WEB, DEEP),
    ("PATCH", WEB, json.dumps({"description": "x" * 1_000_000})),
    ("POST", "/api/v1/workers/web/stop", json.dumps(CROWD)),
    ("POST", "/api/v1/workers/web/stop", '{"reason": ' * 50_000),
    ("POST", "/api/v1/workers/web/stop", "[" * 1_000_000),
    ("POST", CONFIGS, '{"worker_id": "../../web", "command": ["x"]}'),
    ("POST", CONFIGS, '{"worker_id": "x", "command": {"a": [null]}, "replicas": 1e400, "env": {"\\ud800": "\\u0000"}}'),
    ("PUT", f"{CONFIGS}/..%2f..%2fweb", "{}"),
]
LONGEST_S = 3.0
"""How long anybody may wait for an answer meanwhile; two cores are shared by many."""


def address(site: Installation) -> tuple[str, int]:
    host, _, port = site.listen.rpartition(":")
    return host, int(port)


@contextmanager
def others_ask_on(site: Installation) -> Iterator[list[float]]:
    """Somebody asks all the time, on a new connection each; how long each answer took."""
    took: list[float] = []
    over = threading.Event()

    def asking() -> None:
        while not over.is_set():
            begun = time.monotonic()
            assert site.ask("/api/v1/workers").status == 200
            took.append(time.monotonic() - begun)

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(asking)
        try:
            yield took
        finally:
            over.set()
            asked.result()


def hold_silent_connections(site: Installation, opened: list[socket.socket]) -> None:
    """More than there may be; half of them begin to ask."""
    for number in range(700):
        wire = socket.create_connection(address(site), timeout=20)
        opened.append(wire)
        if number % 2:
            with suppress(OSError):
                wire.sendall(b"GET /api/v1/workers HTTP/1.1\r\nHost: loc")


def send_a_body_without_end(site: Installation) -> int:
    """How many bytes were taken before the end."""
    head = "POST /api/v1/reconcile HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
    sent = 0
    with socket.create_connection(address(site), timeout=30) as wire, suppress(OSError):
        wire.sendall((head + "Transfer-Encoding: chunked\r\n\r\n").encode())
        while sent < 10 * 1024**3:
            wire.sendall(piece)
            sent += len(piece)
    return sent


def memory_of(pid: int) -> int:
    """Its resident bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def test_attacks_at_the_same_time_cost_nobody_anything(site: Installation) -> None:
    site.add("web")
    site.serve()
    pids = site.until_running()
    before = {path.name: path.read_bytes() for path in site.specs.iterdir()}
    assert site.controller is not None
    for method, path, body in HOSTILE:
        assert send(site, method, path, body)[0] // 100 == 4, path
    memory = memory_of(site.controller.pid)
    opened: list[socket.socket] = []
    try:
        with others_ask_on(site) as took, ThreadPoolExecutor(3) as pool:
            crowd = pool.submit(hold_silent_connections, site, opened)
            endless = pool.submit(send_a_body_without_end, site)
            shapes = pool.submit(lambda: [send(site, *one) for one in HOSTILE])
            sent, answers = endless.result(), shapes.result()
            crowd.result()
    finally:
        for wire in opened:
            wire.close()

    assert sent < 10 * 1024**3
    assert {status // 100 for status, _ in answers} == {4}
    assert {kind for _, kind in answers} == {"application/problem+json"}
    assert max(took) < LONGEST_S, sorted(took)[-5:]
    assert memory_of(site.controller.pid) - memory < 40 * 1024**2
    assert {path.name: path.read_bytes() for path in site.specs.iterdir()} == before
    assert (site.pids(), site.living()) == (pids, pids)
    assert "Traceback" not in site.log()


def send(site: Installation, method: str, path: str, body: str) -> tuple[int, str]:
    """One request on a connection of its own: its status and media type."""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
    with socket.create_connection(address(site), timeout=30) as wire:
        with suppress(OSError):
            wire.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body.encode())
        answer = b""
        with suppress(ConnectionError):
            while piece := wire.recv(65536):
                answer += piece
    lines = answer.decode("latin-1").split("\r\n")
    kinds = [line.partition(": ")[2] for line in lines if line.startswith("Content-Type: ")]
    return int(lines[0].split()[1]), kinds[0]


def test_of_those_who_saw_the_same_one_writes_and_the_others_are_told(site: Installation) -> None:
    site.add("web")
    site.serve()
    shown = site.ask(WEB)
    etag = etag_of(site)
    command = shown.body["spec"]["command"]

    def put(number: int) -> Answer:
        body = {"command": command, "labels": {"writer": f"n{number}"}, "stop": {"signal": "TERM", "grace_ms": 8000}}
        return site.ask(WEB, "PUT", body, If_Match=etag)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(put, range(8)))

    assert sorted(answer.status for answer in answers) == [200] + [412] * 7
    winner = next(answer for answer in answers if answer.status == 200)
    assert site.ask(WEB).body["spec"]["labels"] == winner.body["spec"]["labels"]
    assert etag_of(site) != etag


def etag_of(site: Installation) -> str:
    """The ETag of web's file, as the answer's head has it."""
    with socket.create_connection(address(site), timeout=30) as wire:
        wire.sendall(f"HEAD {WEB} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        head = b""
        while piece := wire.recv(65536):
            head += piece
    return next(line[6:] for line in head.decode().split("\r\n") if line.startswith("ETag: "))
