"""How a controller of a thousand workers answers, and how long its event loop is kept from others meanwhile.

Run by hand, never as a test: `python -m tests.bench.bench_api [--count N] [--only PHASE,...] [--sleepers N]`. The real
program with real processes (`sleep`); for the last phases ten thousand specs that ask for no process, and five thousand
that are scraped. In each phase: the longest callback of the event loop by the CPU time of its own thread (which other
programs do not change) and by the wall, how late the loop came to what was due, and how busy the process was. Promised:
a list takes less than 20 ms of the server, and no callback more than 50 ms.

What it starts lives in one folder under /tmp and ends with it.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.e2e.e2e_processes import end, processes_of

SPEC = """\
worker_id: {name}
name: Member {n}
labels: {{team: team-{team}}}
command: [/bin/sleep, "{seconds}"]
env: {{QUEUE: "{queue}"}}
start_grace_ms: 200
desired_state: {state}
"""
PATIENCE_S = 180.0
FOLLOWERS = 10


def rest(seconds: float) -> None:
    """Let the controller alone."""
    threading.Event().wait(seconds)


class Bench:
    """One controller in a folder of its own."""

    def __init__(self, count: int, state: str) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="ba-", dir="/tmp"))
        self.specs, self.count, self.state = self.root / "specs", count, state
        (self.root / "run").mkdir(mode=0o700)
        self.specs.mkdir()
        for number in range(count):
            self.write(number, "default")
        self._server: subprocess.Popen[str] | None = None

    def write(self, number: int, queue: str) -> None:
        text = SPEC.format(
            name=f"w{number:05}", n=number, team=number % 20, seconds=100_000 + number, queue=queue, state=self.state
        )
        beside = self.root / "one.yaml"
        beside.write_text(text)
        beside.rename(self.specs / f"w{number:05}.yaml")

    def serve(self) -> None:
        own = {"HOME": str(self.root), "XDG_RUNTIME_DIR": str(self.root / "run"), "LANG": "C.UTF-8"}
        command = ["serve", str(self.specs), "--state-dir", str(self.root / "state"), "--listen", f"unix:{self.socket}"]
        with open(self.root / "serve.log", "ab") as log:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "tests.bench.bench_api_server", *command], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True,
                env={"PATH": os.environ["PATH"], "PYTHONPATH": os.getcwd(), **own},
            )  # fmt: skip

    @property
    def socket(self) -> str:
        return str(self.root / "api.sock")

    @property
    def pid(self) -> int:
        assert self._server is not None
        return self._server.pid

    def phase_over(self) -> dict[str, Any]:
        server = self._server
        assert server is not None
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write("\n")
        server.stdin.flush()
        while not (line := server.stdout.readline()).startswith("{"):
            assert line, (self.root / "serve.log").read_text()[-2000:]
        answer: dict[str, Any] = json.loads(line)
        return answer

    def get(self, path: str) -> Any:
        return json.loads(self.read(path))

    def read(self, path: str) -> bytes:
        with contextlib.closing(_Connection(self.socket)) as connection:
            connection.request("GET", path, headers={"Host": "localhost"})
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, body
            return body

    def until(self, said: Callable[[], bool], *, pause_s: float = 1.0) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException, AssertionError):
                if said():
                    return
            assert time.monotonic() < deadline, (self.root / "serve.log").read_text()[-2000:]
            rest(pause_s)

    def running(self) -> int:
        return int(self.get("/api/v1/workers/stats/overview")["by_status"]["running"])

    @contextlib.contextmanager
    def followed(self, query: str) -> Iterator[list[int]]:
        """Ten clients read the stream; the bytes that each has read."""
        read, connections = [0] * FOLLOWERS, [_Connection(self.socket) for _ in range(FOLLOWERS)]
        sockets: list[socket.socket] = []

        def follow(number: int) -> None:
            with contextlib.suppress(OSError, ValueError, http.client.HTTPException, AttributeError):
                connections[number].request("GET", f"/api/v1/stream?{query}", headers={"Host": "localhost"})
                sockets.append(connections[number].sock)
                answer = connections[number].getresponse()
                while piece := answer.read1(65536):
                    read[number] += len(piece)

        threads = [threading.Thread(target=follow, args=(number,), daemon=True) for number in range(FOLLOWERS)]
        for thread in threads:
            thread.start()
        try:
            yield read
        finally:
            for one in sockets:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join(5)

    def close(self) -> None:
        if self._server is not None and self._server.poll() is None:
            self._server.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._server.wait(60)
        for process in processes_of(str(self.root)):
            end(process)
        shutil.rmtree(self.root, ignore_errors=True)


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def told(name: str, phase: dict[str, Any], **more: object) -> None:
    figures = {**phase, **more}
    cpu, wall, lag = figures["callback_cpu_ms"], figures["callback_ms"], figures["lag_ms"]
    print(f"{name} ({figures['seconds']:.1f} s)")
    print(
        f"    longest callback {cpu['max']:.1f} ms CPU, {wall['max']:.1f} ms by the wall (p99 {wall['p99']:.2f});"
        f" lag p99 {lag.get('p99', 0):.1f}, max {lag.get('max', 0):.1f} ms;"
        f" loop {figures['loop_busy']:.0%}, process {figures['busy']:.0%}"
    )
    if figures["collections_ms"]:
        print(f"      of the collector: {figures['collections_ms']} ms")
    for line in figures["worst"]:
        print(f"      {line}")
    for route, seen in figures["handlers_ms"].items():
        print(f"    {route}: {seen['count']} times, p50 {seen['p50']:.1f}, max {seen['max']:.1f} ms in the server")
    for key, value in more.items():
        print(f"    {key}: {value}")
    sys.stdout.flush()


def asked(bench: Bench, path: str, times: int) -> str:
    took = []
    for _ in range(times):
        began = time.perf_counter()
        bench.read(path)
        took.append((time.perf_counter() - began) * 1000)
    return f"{statistics.median(took):.1f} ms for the client"


def thousand(count: int, only: set[str]) -> None:
    bench = Bench(count, "running")
    try:
        bench.serve()
        bench.until(lambda: bench.running() == count)
        told("all start", bench.phase_over())
        rest(10)
        bench.phase_over()
        if "idle" in only:
            rest(35)
            told("idle, with a look at everything", bench.phase_over())
        if "ask" in only:
            asked(bench, "/api/v1/workers", 3)
            bench.phase_over()
            shown = {path: asked(bench, path, 20) for path in ("/api/v1/workers", "/api/v1/workers/w00007/status")}
            told("asked", bench.phase_over(), **shown)
            others = ("worker-configs", "workers/stats/overview", "plan", "events", "worker-configs/stats/summary")
            shown = {path: asked(bench, f"/api/v1/{path}", 5) for path in others}
            told("asked for the rest", bench.phase_over(), **shown)
        if "edit" in only:
            edited(bench, 0, "one")
            told("200 files edited", bench.phase_over())
        if "follow" in only:
            for topics in ("workers,events,operations", "workers,events,operations,plan"):
                with bench.followed(f"topics={topics}") as read:
                    bench.until(lambda: all(read))
                    told(f"10 clients connect: {topics}", bench.phase_over())
                    edited(bench, bench.count // 2, topics)
                    told("200 files edited, followed", bench.phase_over(), megabytes_read=sum(read) / 1e6)
                    rest(12)
                    told("idle, followed", bench.phase_over(), megabytes_read=sum(read) / 1e6)
        if "again" in only:
            bench.phase_over()
            os.kill(bench.pid, signal.SIGKILL)
            rest(1)
            bench.serve()
            bench.until(lambda: bench.running() == count)
            told("started again after a kill", bench.phase_over())
    finally:
        bench.close()


def edited(bench: Bench, start: int, queue: str) -> None:
    """Two hundred files change within a moment, and all is as they ask."""
    before = {item["worker_id"]: item["revision"] for item in bench.get("/api/v1/workers?fields=revision")["items"]}
    bench.phase_over()
    numbers = range(start, min(bench.count, start + 200))
    for number in numbers:
        bench.write(number, queue)
    names = [f"w{number:05}" for number in numbers]

    def is_done() -> bool:
        items = bench.get("/api/v1/workers?status=running&fields=worker_id,revision,instances")["items"]
        now = {one["worker_id"]: one["revision"] for one in items if one["instances"][0]["revision"] == one["revision"]}
        return all(now.get(name, before[name]) != before[name] for name in names)

    bench.until(is_done)


def ten_thousand(count: int) -> None:
    bench = Bench(count, "stopped")
    try:
        bench.serve()
        bench.until(lambda: bool(bench.get("/readyz")))
        told(f"{count} specs are read", bench.phase_over())
        rest(20)
        told("and settle", bench.phase_over())
        rest(35)
        told("idle, with a look at everything", bench.phase_over())
        bench.write(17, "other")
        rest(5)
        told("one file edited", bench.phase_over())
        for path in ("/api/v1/workers", "/api/v1/worker-configs", "/api/v1/plan", "/api/v1/workers/w00007/status"):
            shown = {path: asked(bench, path, 3)}
            told(path, bench.phase_over(), **shown)
    finally:
        bench.close()


def scraped(count: int) -> None:
    """`GET /metrics` of so many workers, while nothing else goes on."""
    bench = Bench(count, "stopped")
    try:
        bench.serve()
        bench.until(lambda: bench.get("/api/v1/workers/stats/overview")["workers"] == count)
        asked(bench, "/metrics", 2)
        rest(5)
        bench.phase_over()
        shown = {"/metrics": asked(bench, "/metrics", 10), "megabytes": len(bench.read("/metrics")) / 1e6}
        told(f"{count} workers are scraped", bench.phase_over(), **shown)
    finally:
        bench.close()


def main() -> None:
    arguments = argparse.ArgumentParser(description="See the head of this file.")
    arguments.add_argument("--count", type=int, default=1000)
    arguments.add_argument("--sleepers", type=int, default=10_000, help="specs of the last phase")
    arguments.add_argument("--only", default="idle,ask,edit,follow,again,many,scrape")
    arguments.add_argument("--scraped", type=int, default=5000, help="workers of the scrape")
    options = arguments.parse_args()
    only = set(options.only.split(","))
    if only - {"many", "scrape"}:
        thousand(options.count, only)
    if "many" in only:
        ten_thousand(options.sleepers)
    if "scrape" in only:
        scraped(options.scraped)


if __name__ == "__main__":
    main()
