"""One conversion, copied into an installation and served: its workers, their processes, what happened in what order.

The copy differs from the original in two things only, so that many can run at once and by anybody: ports are moved to
free ones (`Case.ports` names all that the specs use), and where the tests do not run as root, `user` is left out.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import socket
import sqlite3
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.e2e_installation import Installation, Item
from tests.e2e.e2e_processes import Process, eventually, process

HERE = Path(__file__).parent
IS_ROOT = os.geteuid() == 0
LAST_REPLICA = 3
LEFT_OUT = shutil.ignore_patterns("__pycache__")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A conversion and what is expected of it.

    `running`: how many instances of each worker run in the end, 0 for one that rests. `ports`: every port that the
    specs name. `allow_env` and `environment`: of the controller.
    """

    folder: str
    running: Mapping[str, int]
    ports: tuple[int, ...] = ()
    allow_env: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def specs(self) -> Path:
        """Where its specs are in the source tree."""
        return HERE / self.folder / "specs"

    @property
    def flags(self) -> tuple[str, ...]:
        """Of validate, render and serve."""
        return ("--allow-env", ",".join(self.allow_env)) if self.allow_env else ()


class Served:
    """A case that runs in `site`."""

    def __init__(self, site: Installation, case: Case) -> None:
        self.site, self.case = site, case
        self._shift = _free_shift(case.ports)
        tree = site.root / "realworld"
        shutil.copytree(HERE / "bin", tree / "bin", ignore=LEFT_OUT)
        shutil.copytree(HERE / case.folder, tree / case.folder)
        site.specs = tree / case.folder / "specs"
        (site.root / "run").chmod(0o711)  # So that workers of another user reach NOTIFY_SOCKET.
        for path in site.specs.glob("*.yaml"):
            path.write_text(self._adapted(path.read_text("utf-8")), "utf-8")
        site.serve(*case.flags, ready=True, **case.environment)

    def port(self, number: int) -> int:
        """Where the port that the specs call `number` really is."""
        return number + self._shift

    def get(self, port: int, path: str) -> str:
        """What the stand-in at a port of the specs answers."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port(port)}{path}", timeout=10) as answer:
            return str(answer.read().decode().strip())

    def settled(self) -> dict[str, int]:
        """Wait until all is as the case expects, and ready as far as anything says so; the pids by instance."""

        def look() -> dict[str, int] | None:
            workers = {name: self.site.worker(name) for name in self.site.workers()}
            found = {name: sum(map(_is_up, item["instances"])) for name, item in workers.items()}
            if found != dict(self.case.running):
                return None
            return self.site.pids()

        return eventually(look, told=f"{self.case.folder} is as expected")

    def instance(self, instance: str) -> Item:
        """One instance as it is shown."""
        name = instance.partition("/")[0]
        return next(one for one in self.site.worker(name)["instances"] if one["instance"] == instance)

    def process(self, instance: str) -> Process:
        """The process of an instance."""
        found = process(self.site.pids()[instance])
        assert found is not None
        return found

    def environ(self, instance: str) -> dict[str, str]:
        """The environment that the process of an instance was started with."""
        return dict(line.partition("=")[::2] for line in self.process(instance).environ.split("\n") if line)

    def proc_status(self, instance: str) -> dict[str, str]:
        """/proc/PID/status of an instance."""
        lines = Path(f"/proc/{self.process(instance).pid}/status").read_text().splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def until_event(self, worker_id: str, type_: str, holds: Callable[[Item], bool] = lambda _: True) -> Item:
        """Wait for an event; the first such."""

        def look() -> Item | None:
            return next((event for event in self.site.events(worker_id, type_) if holds(event)), None)

        return eventually(look, told=f"{type_} of {worker_id}")

    def printed(self, worker_id: str) -> str:
        """All that the runs of a worker wrote to their files, hooks included."""
        files = sorted((self.site.state / "logs" / worker_id).rglob("*.std*"))
        return "".join(path.read_text("utf-8", "replace") for path in files)

    def reborn(self, instance: str) -> Item:
        """Kill an instance as a crash would, and wait for the next run to be up; the instance then."""
        before = self.instance(instance)
        os.kill(before["pid"], 9)

        def look() -> Item | None:
            now = self.instance(instance)
            return now if now["run"] != before["run"] and _is_up(now) else None

        return eventually(look, told=f"{instance} runs again")

    def ended(self) -> list[Item]:
        """Stop the controller gracefully; the events that tell of the end of all instances, in order."""
        asked_at = time.time()
        self.site.stop()
        with contextlib.closing(sqlite3.connect(self.site.state / "workerctl.db")) as database:
            rows = database.execute(
                "select worker_id, instance, type, cause, data from events where at >= ? order by seq", [asked_at]
            ).fetchall()
        names = ("worker_id", "instance", "type", "cause")
        return [dict(zip(names, row, strict=False)) | {"data": json.loads(row[4])} for row in rows]

    def _adapted(self, text: str) -> str:
        for port in self.case.ports:
            text = re.sub(rf"(?<![\d.]){port}(?!\d)", str(self.port(port)), text)
        return text if IS_ROOT else re.sub(r"(?m)^user: .*\n", "", text)


def _is_up(instance: Item) -> bool:
    return instance["status"] == "running" and instance["ready"] is not False


def _free_shift(ports: tuple[int, ...]) -> int:
    """By how much to move ports so that they and those of their replicas are free."""
    for _ in range(100):
        shift = random.randrange(12_000, 23_000)
        if all(_is_free(port + shift + n) for port in ports for n in range(LAST_REPLICA)):
            return shift
    raise AssertionError("no free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0
