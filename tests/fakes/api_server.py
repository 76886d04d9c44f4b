"""A small fake of the HTTP API, for the tests of the command line: API.md's shapes over http.server.

State is plain lists that a test fills (`workers`, `events`, `lines`, `plan`); `answers` overrides single routes;
`requests` records what was asked. Streams follow with server-sent events whose ids are cursors, and can be cut.
`python -m tests.fakes.api_server PORT` serves a fleet to look at.
"""

from __future__ import annotations

import json
import socket
import socketserver
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.fakes.api_specs import FakeSpecs

Item = dict[str, Any]
_BEGAN = datetime.now(UTC)  # so that the same event or line, made twice, is equal


def ago(seconds: float, *, of: datetime | None = None) -> str:
    """An RFC 3339 time so many seconds before now (negative: after), the moment of the call, or before `of`."""
    return (
        ((of or datetime.now(UTC)) - timedelta(seconds=seconds))
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


def instance(name: str = "web/0", status: str = "running", **more: Any) -> Item:
    """One instance, as an item of GET /api/v1/workers has it."""
    runs = status in {"running", "starting", "stopping"}
    ordinal = int(name.rpartition("/")[2])
    item: Item = {
        "instance": name,
        "ordinal": ordinal,
        "status": status,
        "reason": "",
        "pid": 4000 + ordinal if runs else None,
        "host": "localhost",
        "run": f"{name}#1" if runs else None,
        "revision": "1-0a1b2c3d4e" if runs else None,
        "started_at": ago(7380) if runs else None,
        "uptime_s": 7380.0 if runs else None,
        "restart_count": 0,
        "cpu_percent": 0.4 if runs else None,
        "memory_bytes": 23_500_000 if runs else None,
        "error_count": None,
        "assigned_accounts": None,
        "active_tasks": None,
        "last_heartbeat_at": None,
        "last_exit": None,
        "next_retry_at": None,
    }
    return {**item, **more}


def worker(worker_id: str = "web", status: str = "running", **more: Any) -> Item:
    """One item of GET /api/v1/workers. One instance in the same status unless `instances` says otherwise."""
    item: Item = {
        "worker_id": worker_id,
        "name": "",
        "status": status,
        "desired_state": "running",
        "desired_replicas": 1,
        "revision": "1-0a1b2c3d4e",
        "deployment_type": "local",
        "labels": {},
        "source": {"file": f"{worker_id}.yaml", "line": 1, "commit": None},
        "conditions": [],
        "restart_count": 0,
        "error_count": 0,
        "cpu_percent": None,
        "memory_bytes": None,
        "assigned_accounts": None,
        "active_tasks": None,
        "last_heartbeat_at": None,
        "problems": [],
        "instances": [instance(f"{worker_id}/0", status)],
    }
    return {**item, **more}


def problem(file: str = "web.yaml", line: int = 7, column: int = 3, **more: Any) -> Item:
    """One problem of a spec file."""
    return {
        "file": file,
        "line": line,
        "column": column,
        "pointer": "/replicas",
        "message": 'replicas: expected an integer, found "three"',
        "hint": "write replicas: 3",
        "worker_id": "web",
        "code": "invalid",
        **more,
    }


def condition(kind: str, status: str, reason: str, message: str = "") -> Item:
    """One condition."""
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "since": ago(200),
        "observed_revision": "1-0a1b2c3d4e",
    }


def line(text: str, name: str = "web/0", **more: Any) -> Item:
    """One log line."""
    return {
        "at": ago(5, of=_BEGAN),
        "approximate": False,
        "worker_id": name.partition("/")[0],
        "instance": name,
        "run": f"{name}#1",
        "stream": "stdout",
        "kind": "line",
        "seq": 1,
        "level": None,
        "text": text,
        "partial": False,
        **more,
    }


def event(seq: int, type_: str = "instance_started", **more: Any) -> Item:
    """One event."""
    return {
        "seq": seq,
        "at": ago(60 - seq, of=_BEGAN),
        "type": type_,
        "worker_id": "web",
        "instance": "web/0",
        "run": "web/0#1",
        "actor": "agent",
        "cause": "",
        "message": f"event number {seq}",
        "data": {},
        **more,
    }


def refusal(status: int, detail: str, code: str = "some_code", **more: Any) -> tuple[int, Item]:
    """A problem document with its status."""
    document = {
        "type": f"urn:workerctl:problem:{code}",
        "title": "Title",
        "status": status,
        "detail": detail,
        "instance": "/",
        "code": code,
        "errors": [],
        "request_id": "r-1",
        **more,
    }
    return status, document


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request that arrived."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


@dataclass(kw_only=True)
class FakeApi:
    """The server's state. `url` is set while it serves."""

    workers: list[Item] = field(default_factory=list)
    events: list[Item] = field(default_factory=list)
    lines: list[Item] = field(default_factory=list)
    specs: FakeSpecs = field(default_factory=FakeSpecs)
    plan: Item = field(default_factory=lambda: {"actions": [], "holds": [], "next_wake": None})
    ready: tuple[int, Item] = (200, {"ready": True, "workers": 0, "problems": 0, "holds": 0})
    answers: dict[tuple[str, str], tuple[int, Any]] = field(default_factory=dict)
    requests: list[Asked] = field(default_factory=list)
    page: int = 1000
    url: str = ""
    changed: threading.Condition = field(default_factory=threading.Condition)
    cuts: int = 0
    stopping: bool = False

    def publish(self, change: Callable[[], object]) -> None:
        """Change something and wake the streams."""
        with self.changed:
            change()
            self.changed.notify_all()

    def cut_streams(self) -> None:
        """End every open stream, as a controller does that is killed."""
        with self.changed:
            self.cuts += 1
            self.changed.notify_all()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until a request made `condition` true; fails after 10 s."""
        with self.changed:
            assert self.changed.wait_for(condition, timeout=10), f"not seen: {self.requests}"

    @contextmanager
    def serving(self, where: str | int = 0) -> Iterator[FakeApi]:
        """Serve on a loopback port (0: any free one) or on a Unix socket's path."""
        server: socketserver.BaseServer
        if isinstance(where, str):
            server = _UnixServer(where, _handler(self), bind_and_activate=True)
            self.url = f"unix:{where}"
        else:
            tcp = ThreadingHTTPServer(("127.0.0.1", where), _handler(self))
            server, self.url = tcp, f"http://127.0.0.1:{tcp.server_address[1]}"
        self.stopping = False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            with self.changed:
                self.stopping = True
                self.changed.notify_all()
            server.shutdown()
            server.server_close()
            thread.join()


class _UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = False

    def get_request(self) -> tuple[socket.socket, Any]:
        request, _ = super().get_request()
        return request, ("local", 0)


class _Handler(BaseHTTPRequestHandler):
    api: FakeApi
    cuts: int

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def do_PATCH(self) -> None:
        self._answer("PATCH")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's signature
        """Silent."""

    def _answer(self, method: str) -> None:
        parts = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = Asked(
            method=method,
            path=unquote(parts.path),
            query=query,
            headers=dict(self.headers.items()),
            body=json.loads(data) if data else None,
        )
        with self.api.changed:
            self.cuts = self.api.cuts  # a cut after the request is noticed also when the answer has not begun
            self.api.requests.append(asked)
            self.api.changed.notify_all()
        if (method, asked.path) in self.api.answers:
            self._send(*self.api.answers[method, asked.path])
        elif asked.path.startswith("/api/v1/worker-configs"):
            self._spec(asked)
        elif method == "GET":
            self._get(asked)
        else:
            self._post(asked)

    def _get(self, asked: Asked) -> None:
        match asked.path.strip("/").split("/"):
            case ["readyz"]:
                self._send(*self.api.ready)
            case ["api", "v1", "workers"]:
                if "follow" in asked.query:
                    self._follow_workers()
                    return
                start = int(asked.query.get("cursor", 0))
                items = self.api.workers[start : start + self.api.page]
                more = start + self.api.page < len(self.api.workers)
                self._send(200, {"items": items, "next_cursor": str(start + self.api.page) if more else None})
            case ["api", "v1", "workers", name, "status"]:
                found = next((item for item in self.api.workers if item["worker_id"] == name), None)
                self._send(*((200, found) if found else self._unknown(name)))
            case ["api", "v1", "workers", name, "logs"]:
                lines = self._lines(name, asked)
                known = lines or any(item["worker_id"] == name for item in self.api.workers)
                if not known:
                    self._send(*self._unknown(name))
                else:
                    self._list(asked, lambda: self._lines(name, asked))
            case ["api", "v1", "events"]:
                self._list(asked, lambda: self._events(asked))
            case ["api", "v1", "plan"]:
                self._send(200, self.api.plan)
            case _:
                self._send(*refusal(404, "nothing lives at this path"))

    def _post(self, asked: Asked) -> None:
        match asked.path.strip("/").split("/"):
            case ["api", "v1", "workers", name, ("start" | "stop" | "restart" | "resume") as action]:
                if all(item["worker_id"] != name for item in self.api.workers):
                    self._send(*self._unknown(name))
                    return
                state = "succeeded" if "wait_s" in asked.query else "accepted"
                document = {"operation_id": "o-1", "worker_id": name, "action": action, "state": state, "detail": ""}
                self._send(200 if state == "succeeded" else 202, document)
            case ["api", "v1", "reconcile"]:
                self._send(202, {"operation_id": "o-2", "action": "reconcile", "state": "accepted", "detail": ""})
            case _:
                self._send(*refusal(404, "nothing lives at this path"))

    def _spec(self, asked: Asked) -> None:
        with self.api.changed:
            found = self.api.specs.answer(
                asked.method, asked.path.strip("/").split("/"), asked.body, asked.query, asked.headers.get("If-Match")
            )
        if found is None:
            self._send(*refusal(404, "nothing lives at this path"))
        else:
            self._send(*found)

    def _unknown(self, name: str) -> tuple[int, Item]:
        return refusal(404, f"there is no worker {name}", "unknown_worker")

    def _lines(self, name: str, asked: Asked) -> list[tuple[int, Item]]:
        wanted = [("stream", asked.query.get("stream")), ("instance", asked.query.get("instance"))]
        return [
            (number, item)
            for number, item in enumerate(self.api.lines, 1)
            if item["worker_id"] == name and all(value in {None, item[key]} for key, value in wanted)
        ]

    def _events(self, asked: Asked) -> list[tuple[int, Item]]:
        name = asked.query.get("worker_id")
        return [(item["seq"], item) for item in self.api.events if name in {None, item["worker_id"]}]

    def _list(self, asked: Asked, entries: Callable[[], list[tuple[int, Item]]]) -> None:
        if "follow" in asked.query:
            self._follow(asked, entries)
            return
        newest = int(asked.query.get("tail", asked.query.get("limit", 1000)))
        items = [item for _, item in entries()][-newest:] if newest else []
        cursor = max((cursor for cursor, _ in entries()), default=0)
        self._send(200, {"items": items, "next_cursor": str(cursor)})

    def _follow(self, asked: Asked, entries: Callable[[], list[tuple[int, Item]]]) -> None:
        api, after = self.api, int(asked.query["after"])
        with api.changed:
            self._begin_stream()
            while True:
                for cursor, item in entries():
                    if cursor > after:
                        self.wfile.write(f": comment\nid: {cursor}\ndata: {json.dumps(item)}\n\n".encode())
                        after = cursor
                if api.stopping:
                    self.wfile.write(b'event: error\ndata: {"detail": "the controller ends"}\n\n')
                if api.stopping or api.cuts != self.cuts:
                    return
                api.changed.wait()

    def _follow_workers(self) -> None:
        """Every item once, then changes and what is gone."""
        api, seen = self.api, dict[str, str]()
        with api.changed:
            self._begin_stream()
            while True:
                now = {item["worker_id"]: json.dumps(item) for item in api.workers}
                news = [text for name, text in now.items() if seen.get(name) != text]
                news += [json.dumps({"worker_id": name, "gone": True}) for name in seen if name not in now]
                self.wfile.write("".join(f"data: {text}\n\n" for text in news).encode())
                seen = now
                if api.stopping or api.cuts != self.cuts:
                    return
                api.changed.wait()

    def _begin_stream(self) -> None:
        """With the lock held: who sees the stream open gets what stood then, whatever a test changes next."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()

    def _send(self, status: int, document: Any, etag: str = "") -> None:
        if status == 204:
            self._raw(status, "", b"")
        elif isinstance(document, bytes):
            self._raw(status, "text/html", document)
        else:
            kind = "application/problem+json" if status >= 400 else "application/json"
            self._raw(status, kind, json.dumps(document).encode(), etag)

    def _raw(self, status: int, kind: str, data: bytes, etag: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if etag:
            self.send_header("ETag", etag)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _handler(api: FakeApi) -> type[_Handler]:
    return type("Handler", (_Handler,), {"api": api})


def fleet() -> list[Item]:
    """A fleet with everything in it."""
    died = {"cause": "exited", "code": 1, "signal": None, "at": ago(4)}
    broken = worker("billing", problems=[problem("billing.yaml", worker_id="billing")])
    broken["conditions"] = [
        condition("Valid", "False", "InvalidSpec", "billing.yaml:7:3: replicas: expected an integer")
    ]
    crashed = instance(
        "flaky/0", "crashed", last_exit=died, next_retry_at=ago(-3600), restart_count=4, reason="BackOff"
    )
    gone = {"cause": "spawn_failed", "code": None, "signal": None, "at": ago(9000)}
    lost = instance("mailer/0", "error", last_exit=gone, reason="CannotStart")
    stalled = condition("Stalled", "True", "CannotStart", "mailer/0: exec: no such file or directory: mailerd")
    return [
        broken,
        worker("consumer", instances=[instance(f"consumer/{n}") for n in range(3)], cpu_percent=3.2,
               memory_bytes=71_000_000, labels={"team": "growth"}),
        worker("flaky", "crashed", instances=[crashed], restart_count=4, why="flaky/0 exited with code 1",
               next="flaky/0 is tried again in 12 s"),
        worker("greeter", name="问候者", cpu_percent=0.1, memory_bytes=12_000_000),
        worker("mailer", "error", instances=[lost], restart_count=3, conditions=[stalled]),
        worker("nightly", "stopped", desired_state="stopped", instances=[instance("nightly/0", "stopped")]),
        worker("web", name="Web front end", description="Serves the shop.\nAsk the web team.", cpu_percent=104.2,
               memory_bytes=1_400_000_000, instances=[instance("web/0"), instance("web/1", "running", pid=4711)],
               labels={"team": "shop", "tier": "front"}),
    ]  # fmt: skip


def main() -> None:
    """Serve a fleet until Ctrl-C."""
    api = FakeApi(workers=fleet())
    api.events = [
        event(1, "spec_accepted", message="web.yaml:1", instance=None, actor="controller", cause="file changed"),
        event(2, "instance_started", message="pid 4000", cause="created"),
        event(
            3, "instance_exited", worker_id="flaky", instance="flaky/0", message="exited with code 1", cause="exited"
        ),
        event(4, "restart_scheduled", worker_id="flaky", instance="flaky/0", message="next try in 5 s", cause="crash"),
        event(5, "instance_stopped", message="SIGTERM, took 120 ms", actor="anna", cause="stop"),
    ]
    api.lines = [line(f"GET /shop/{n} 200", f"web/{n % 2}") for n in range(8)]
    api.lines += [line("red \x1b[31malert\x1b[0m\x07 \u202eevil", "web/1"), line("3 lines lost", kind="gap")]
    api.plan = {
        "actions": [
            {"worker_id": "web", "instance": "web/1", "action": "replace", "cause": "spec changed",
             "fields": [{"path": "env.MODE", "from": "a", "to": "b", "effect": "restart"}]},
            {"worker_id": "old", "instance": "old/0", "action": "remove", "cause": "old.yaml is gone", "fields": []},
            {"worker_id": "new", "instance": "new/0", "action": "create", "cause": "new worker", "fields": []},
        ],
        "holds": [{"worker_id": None, "reason": "PruneGuard", "message": "7 of 9 workers would be removed",
                   "until": None, "confirm": "3f9a1c"}],
        "next_wake": ago(-3600),
    }  # fmt: skip
    with api.serving(int(sys.argv[1])):
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
