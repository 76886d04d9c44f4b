"""Two hundred workers, and what people and programs do with them, for as long as a soak lasts.

A second in the life of a busy installation, again and again: most workers print steadily, some crash for good and are
started anew, some tell of themselves, some are probed or have children; files are edited, added and removed every few
seconds; a client follows everything on one connection, another one scrapes, lists and searches.
"""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Self

from tests.e2e.e2e_installation import PYTHON, Installation
from tests.e2e.e2e_processes import pause
from tests.soak.soak_scale import BOUNDS, Weight, weigh

EDIT_S = 3.0
SCRAPE_S = 5.0
SAMPLE_S = 10.0
COMMAND_S = 60.0
CONNECTION_S = 60.0
EXTRA = 6
CLIENT = Path(__file__).parents[2] / "controller/client.py"
BEATS = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from client import Heartbeat
number = 0
with Heartbeat(period_s=2) as heartbeat:
    while True:
        number += 1
        heartbeat.active_tasks, heartbeat.assigned_accounts = number % 5, 3
        heartbeat.metrics["done"] = number
        print(f"INFO beat {number}", flush=True)
        time.sleep(0.5)
"""
ENDLESS = "--lines=99999999"
FOLLOWED = "/api/v1/stream?topics=workers,events,logs,operations,plan"


@dataclass
class Life:
    """`live` does all of it until a time; `samples` are the processes' weights, role by role."""

    site: Installation
    workers: int
    chance: Random
    samples: dict[str, list[Weight]] = field(default_factory=lambda: {role: [] for role in BOUNDS})
    done: dict[str, int] = field(default_factory=dict)
    _steady: list[str] = field(default_factory=list)
    _extra: list[str] = field(default_factory=list)
    _number: int = 0

    # --- the fleet ---

    def populate(self) -> list[str]:
        """Write all specs; the names of those that run through."""
        lasting = []
        for number in range(self.workers):
            kind, name = number % 20, f"w{number:03}"
            if kind in (0, 1):
                self._add(name, "--exit=1", f"--after={15_000 + 97 * number}", ENDLESS, "--every=500")
                continue
            lasting.append(name)
            if kind in (2, 3):
                command = [PYTHON, "-I", "-S", "-c", BEATS, str(CLIENT.parent)]
                self._add(name, command=command)
            elif kind == 4:
                self._add(name, ENDLESS, "--every=500", liveness={"exec": ["/bin/true"], "period_ms": 5000})
            elif kind == 5:
                self._add(name, ENDLESS, "--every=500", "--child")
            elif number % 50 == 6:
                self._add(name, ENDLESS, "--every=10")
            else:
                self._steady.append(name)
                self._add(name, ENDLESS, "--every=500")
        return lasting

    def _add(self, name: str, *options: str, **fields: Any) -> None:
        endless = {"restart_backoff": {"factor": 1, "max_delay_ms": 1000}, "max_restart_attempts": None}
        self.site.add(name, *options, **{**endless, **fields})

    # --- what people do ---

    def edit(self) -> None:
        """One of the things that happen to a fleet."""
        often = (self._change, self._come_or_go)
        acts = (*often, *often, self._label, self._break, self._restart, self._kill)
        act = self.chance.choice(acts)
        self._number += 1
        act()
        self._count(act.__name__.strip("_"))

    def _count(self, what: str, by: int = 1) -> None:
        self.done[what] = self.done.get(what, 0) + by

    def _change(self) -> None:
        name = self.chance.choice(self._steady)
        self._add(name, ENDLESS, "--every=500", f"--mark=v{self._number}")

    def _label(self) -> None:
        self._add(self.chance.choice(self._steady), ENDLESS, "--every=500", labels={"edit": f"n{self._number}"})

    def _come_or_go(self) -> None:
        """A few more than at the beginning, never many: a larger fleet is no leak."""
        if len(self._extra) < self.chance.randint(0, EXTRA):
            self._extra.append(f"x{self._number:04}")
            self._add(self._extra[-1], ENDLESS, "--every=500")
        elif self._extra:
            (self.site.specs / f"{self._extra.pop(0)}.yaml").unlink()

    def _break(self) -> None:
        """A file that is no spec; the next one is written over it."""
        self.site.write("broken.yaml", f"worker_id: broken\ncommand: {{{self._number}" if self._number % 2 else "")

    def _restart(self) -> None:
        name = self.chance.choice(self._steady)
        answer = self.site.ask(f"/api/v1/workers/{name}/restart", "POST", {"reason": "soak"})
        assert answer.status == 202, answer

    def _kill(self) -> None:
        with contextlib.suppress(KeyError, ProcessLookupError):
            self.site.kill_worker(f"{self.chance.choice(self._steady)}/0")

    # --- what programs do ---

    def scrape(self) -> None:
        """All that a dashboard and a monitoring system ask for."""
        name = self.chance.choice(self._steady)
        for path in (
            "/metrics",
            "/api/v1/workers",
            "/api/v1/workers/stats/overview",
            "/api/v1/plan",
            "/api/v1/events?limit=200",
            f"/api/v1/workers/{name}/status",
            f"/api/v1/workers/{name}/logs?tail=100",
            f"/api/v1/logs?limit=100&grep=line&since={int(time.time()) - 60}",
            f"/api/v1/metrics-history?worker={name}&metric=cpu_percent&metric=memory_bytes",
        ):
            answer = self.site.ask(path)
            assert answer.status == 200, (path, answer)
            self._count("requests")

    def command(self) -> None:
        """A person looks."""
        told = self.site.run("get")
        assert told.code == 0, told.text
        self._count("commands")

    def sample(self) -> None:
        """Weigh the three."""
        for role, weights in self.samples.items():
            weights.append(weigh(self.site.pid_of(role)))

    def live(self, seconds: float) -> None:
        """Everything at its time."""
        chores: dict[Callable[[], None], float] = {
            self.sample: SAMPLE_S, self.edit: EDIT_S, self.scrape: SCRAPE_S, self.command: COMMAND_S,
        }  # fmt: skip
        begun = time.monotonic()
        due = dict.fromkeys(chores, begun)
        with Follower(self.site) as follower:
            while (now := time.monotonic()) < begun + seconds:
                for chore, period in chores.items():
                    if now >= due[chore]:
                        due[chore] = max(due[chore] + period, now)
                        chore()
                assert not follower.failure, follower.failure
                pause(max(0.0, min(due.values()) - time.monotonic()))
        self.done |= {"stream_mib": follower.read // 2**20, "stream_connections": follower.connections}


class Follower:
    """Reads the stream of everything in a thread of its own, with a new connection every minute."""

    def __init__(self, site: Installation) -> None:
        self.read = self.connections = 0
        self.failure = ""
        self._host, _, port = site.listen.rpartition(":")
        self._port = int(port)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._follow)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _follow(self) -> None:
        try:
            while not self._is_over.is_set():
                self._read_a_while()
        except Exception as error:  # whatever it is, it is told
            self.failure = f"the stream failed: {error!r}"

    def _read_a_while(self) -> None:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=40)
        with contextlib.closing(connection):
            connection.request("GET", FOLLOWED, headers={"Accept": "text/event-stream"})
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            self.connections += 1
            ends_at = time.monotonic() + CONNECTION_S
            while time.monotonic() < ends_at and not self._is_over.is_set():
                piece = answer.read1(65536)
                assert piece, "the stream ended"
                self.read += len(piece)
