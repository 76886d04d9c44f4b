from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from controller import demo


@contextmanager
def worker(**env: str) -> Iterator[subprocess.Popen[str]]:
    """The demonstration worker as a process, killed at the latest when the test ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "controller.demo"],
        env={"PATH": os.environ["PATH"], "DEMO_TASK_MS": "50", "WORKER_INSTANCE": "demo/0", **env},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_it_prints_a_line_for_each_task_and_ends_after_the_last() -> None:
    with worker(DEMO_TASKS="2", DEMO_TASK_MS="1") as process:
        out, _ = process.communicate(timeout=10)
    assert out.splitlines()[1:] == [
        "demo/0: task 1: resize an image",
        "demo/0: task 2: send a letter",
        "demo/0: 2 tasks done, goodbye",
    ]
    assert process.returncode == 0


def test_it_finishes_its_task_and_says_goodbye_when_it_is_asked_to_end() -> None:
    with worker() as process:
        assert first_line(process).startswith("demo/0: ready, pid ")
        assert first_line(process) == "demo/0: task 1: resize an image\n"
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=10)
    assert (process.returncode, out.endswith("tasks done, goodbye\n")) == (0, True)


def test_it_tells_the_supervisor_that_it_is_ready_and_that_it_ends(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(path)
        supervisor.settimeout(10)
        with worker(NOTIFY_SOCKET=path, DEMO_TASKS="1") as process:
            assert [supervisor.recv(100), supervisor.recv(100)] == [b"READY=1", b"STOPPING=1"]
            process.communicate(timeout=10)


def test_a_supervisor_that_is_not_there_is_no_trouble(tmp_path: Path) -> None:
    demo.notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "none")})
    demo.notify("READY=1", {"NOTIFY_SOCKET": f"@{tmp_path.name}-none"})
    demo.notify("READY=1", {})


class Receiver:
    """A controller that takes heartbeats: answers are taken from the front, the last one is given for ever."""

    def __init__(self, *answers: tuple[int, Any]) -> None:
        self.beats: list[tuple[str, str | None, Any]] = []
        self.arrived = threading.Condition()
        self._answers = list(answers) or [(204, None)]

    def take(self, path: str, token: str | None, body: Any) -> tuple[int, Any]:
        with self.arrived:
            self.beats.append((path, token, body))
            self.arrived.notify_all()
            return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    @contextmanager
    def serving(self) -> Iterator[str]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, document = receiver.take(self.path, self.headers["Authorization"], body)
                data = b"" if document is None else json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: Any) -> None:
                """Silent."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def test_it_sends_heartbeats_with_its_token() -> None:
    receiver = Receiver()
    with receiver.serving() as url:
        env = {"WORKERCTL_URL": url, "WORKERCTL_HEARTBEAT_TOKEN": "secret", "WORKER_ID": "demo"}
        with worker(**env) as process, receiver.arrived:
            assert receiver.arrived.wait_for(lambda: receiver.beats, timeout=10)
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=10)
    path, token, body = receiver.beats[0]
    assert (path, token) == ("/api/v1/workers/demo/heartbeat", "Bearer secret")
    assert set(body) == {"active_tasks", "assigned_accounts", "error_count", "metrics"}
    assert "heartbeat" not in out


@pytest.mark.parametrize("missing", ["WORKERCTL_URL", "WORKERCTL_HEARTBEAT_TOKEN", "WORKER_ID"])
def test_without_url_token_and_name_it_sends_none(missing: str) -> None:
    env = {"WORKERCTL_URL": "http://x", "WORKERCTL_HEARTBEAT_TOKEN": "t", "WORKER_ID": "demo", missing: ""}
    assert demo.controller_of(env) is None


def beating(url: str, until: Callable[[demo.Work], bool], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Beat without waiting until `until`; what was said."""

    class Ending(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            return until(work)

    work = demo.Work()
    demo.heartbeats(demo.Controller(url=url, worker_id="demo", token="t"), work, Ending())
    return capsys.readouterr().out.splitlines()


def test_a_controller_that_fails_costs_one_line_until_it_is_back(capsys: pytest.CaptureFixture[str]) -> None:
    accounts: Mapping[str, Any] = {"assigned_accounts": ["anna", "bert"]}
    receiver = Receiver(
        (503, None), (503, None), (204, None), (200, accounts), (200, accounts), (200, {"accounts": []})
    )
    with receiver.serving() as url:
        said = beating(url, lambda _: len(receiver.beats) == 6, capsys)
    assert said == [
        "heartbeat not delivered: the controller answered 503",
        "heartbeats arrive again",
        "accounts: anna, bert",
        "accounts: none",
    ]
    assert [beat[2]["assigned_accounts"] for beat in receiver.beats] == [0, 0, 0, 0, 2, 2]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "unix:/none.sock", "https://127.0.0.1:1"])
def test_a_controller_that_is_not_there_costs_one_line(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    turns = iter([False, False, True])
    said = beating(url, lambda _: next(turns), capsys)
    assert len(said) == 1
    assert said[0].startswith("heartbeat not delivered: ")


def test_heartbeats_also_go_through_a_unix_socket(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "api.sock")
    asked: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()

        def answer() -> None:
            connection, _ = server.accept()
            with connection, connection.makefile("rb") as request:
                # The whole request, for its body comes apart from its head: who answers and closes before that breaks
                # the pipe of a slow sender.
                head = list(iter(request.readline, b"\r\n"))
                lengths = [line for line in head if line.lower().startswith(b"content-length:")]
                request.read(int(lengths[0].split(b":")[1]))
                asked.append(head[0])
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        said = beating(f"unix:{path}", lambda _: True, capsys)
        thread.join(10)
    assert said == []
    assert asked == [b"POST /api/v1/workers/demo/heartbeat HTTP/1.1\r\n"]


def test_a_knob_that_is_no_number_is_told_and_left_at_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    ending = threading.Event()
    assert demo.run({"DEMO_TASK_MS": "0", "DEMO_TASKS": "1"}, ending) == 0
    assert ending.is_set()
    capsys.readouterr()
    assert demo.run({"DEMO_TASK_MS": "-5", "DEMO_TASKS": "one"}, ending) == 0
    assert capsys.readouterr().out.startswith("DEMO_TASKS=one is no number; 0 is used\ndemo: ready")
