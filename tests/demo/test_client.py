"""The helper for Python workers: it beats, and whatever happens it never raises into the worker."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from controller.client import Heartbeat


class Taker:
    """A controller's door: what came, and what is answered (status and document)."""

    def __init__(self) -> None:
        self.came: list[tuple[str, str | None, Any]] = []
        self.answer: tuple[int, bytes] = (204, b"")
        self.arrived = threading.Event()
        taker = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                taker.came.append((self.path, self.headers["Authorization"], body))
                status, data = taker.answer
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
                taker.arrived.set()

            def log_message(self, *args: Any) -> None:
                """Silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def environ(self) -> dict[str, str]:
        url = f"http://127.0.0.1:{self.server.server_port}"
        return {"WORKERCTL_URL": url, "WORKERCTL_HEARTBEAT_TOKEN": "secret", "WORKER_ID": "web"}


@pytest.fixture
def taker() -> Iterator[Taker]:
    taker = Taker()
    thread = threading.Thread(target=taker.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield taker
    taker.server.shutdown()
    taker.server.server_close()
    thread.join()


def test_a_beat_carries_what_was_set_and_the_token(taker: Taker) -> None:
    heartbeat = Heartbeat(environ=taker.environ)
    heartbeat.active_tasks, heartbeat.metrics["lag"], heartbeat.status = 2, 0.5, "busy"

    assert heartbeat.beat()

    body = {"active_tasks": 2, "metrics": {"lag": 0.5}, "status": "busy"}
    assert taker.came == [("/api/v1/workers/web/heartbeat", "Bearer secret", body)]


def test_a_thread_beats_until_it_is_left(taker: Taker) -> None:
    with Heartbeat(environ=taker.environ):
        assert taker.arrived.wait(10)


@pytest.mark.parametrize("missing", ["WORKERCTL_URL", "WORKERCTL_HEARTBEAT_TOKEN", "WORKER_ID"])
def test_without_its_environment_it_does_nothing(taker: Taker, missing: str) -> None:
    heartbeat = Heartbeat(environ={**taker.environ, missing: ""})

    with heartbeat:
        assert not heartbeat.beat()

    assert (heartbeat.is_connected, heartbeat.failure, taker.came) == (False, "", [])


def test_what_the_controller_refuses_is_told_and_forgotten_with_the_next(taker: Taker) -> None:
    heartbeat = Heartbeat(environ=taker.environ)
    taker.answer = (422, b"no such field")

    assert not heartbeat.beat()
    assert heartbeat.failure == "ValueError: the controller answered 422: no such field"

    taker.answer = (204, b"")
    assert heartbeat.beat()
    assert heartbeat.failure == ""


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://[", "nonsense", "http://127.0.0.1:99999999"])
def test_nothing_that_goes_wrong_reaches_the_worker(url: str) -> None:
    heartbeat = Heartbeat(environ={"WORKERCTL_URL": url, "WORKERCTL_HEARTBEAT_TOKEN": "t", "WORKER_ID": "web"})
    heartbeat.metrics["odd"] = object()  # type: ignore[assignment]

    assert not heartbeat.beat()
    assert heartbeat.failure


def test_accounts_that_the_controller_assigns_are_there(taker: Taker) -> None:
    heartbeat = Heartbeat(environ=taker.environ)
    taker.answer = (200, b'{"assigned_accounts": ["a", "b"]}')

    assert heartbeat.beat()
    assert heartbeat.accounts == ["a", "b"]


def told(taker: Taker) -> list[tuple[int, str]]:
    """Number and words of all records that came, in order."""
    return [(one["seq"], one["message"]) for _, _, body in taker.came for one in body.get("records", [])]


def test_records_go_with_the_next_beat_and_once_more_until_they_arrive(taker: Taker) -> None:
    heartbeat = Heartbeat(environ=taker.environ)
    heartbeat.record("job 7 done", data={"took_ms": 12, "where": object})
    heartbeat.record("job 8 failed", kind="error", level="critical")
    taker.answer = (503, b"the database is away")

    assert not heartbeat.beat()
    taker.answer = (204, b"")
    assert heartbeat.beat()
    assert heartbeat.beat()

    first, second, third = (body for _, _, body in taker.came)
    assert [(one["seq"], one["kind"], one["message"], one.get("level")) for one in second["records"]] == [
        (1, "task", "job 7 done", None), (2, "error", "job 8 failed", "critical"),
    ]  # fmt: skip
    assert second["records"][0]["data"] == {"took_ms": 12, "where": "<class 'object'>"}
    assert (first["source"], [one["seq"] for one in first["records"]]) == (second["source"], [1, 2])
    assert ("records" in third, heartbeat.records_lost) == (False, 0)


def test_many_records_go_with_several_beats_and_each_source_has_its_own_numbers(taker: Taker) -> None:
    heartbeat, other = Heartbeat(environ=taker.environ), Heartbeat(environ=taker.environ)
    for number in range(60):
        heartbeat.record(f"job {number}", data={"x": "y" * 100})
    for _ in range(3):
        assert heartbeat.beat()
    other.record("mine")
    assert other.beat()

    assert told(taker) == [*((number + 1, f"job {number}") for number in range(60)), (1, "mine")]
    assert len({body["source"] for _, _, body in taker.came if "records" in body}) == 2
    assert max(len(json.dumps(body)) for _, _, body in taker.came) < 16 * 1024


def test_records_that_cannot_arrive_are_counted_and_hold_up_nothing(taker: Taker) -> None:
    heartbeat = Heartbeat(environ=taker.environ)
    heartbeat.record("odd", data={"x": float("nan")})
    heartbeat.record("refused", data={"x": "y" * 5000})
    taker.answer = (422, b"too large")
    assert not heartbeat.beat()
    taker.answer = (204, b"")
    for number in range(501):
        heartbeat.record(f"job {number}")
    assert heartbeat.beat()

    assert (heartbeat.records_lost, told(taker)[:2]) == (3, [(1, "refused"), (3, "job 1")])
