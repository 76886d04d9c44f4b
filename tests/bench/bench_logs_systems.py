"""Who keeps the output of the same writers, for bench_logs.py: a plain file, supervisord, PM2, and ours.

Each is set up as its user would, rotation off, in a folder of its own. `cpu` is that of its own processes, by the CPU
clock of each, the workers' not among it. A peer is used where it is installed: see `Tools`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import psycopg

from tests.e2e.e2e_installation import PYTHON, Installation
from tests.e2e.e2e_processes import end, eventually, processes_of

WRITER = str(Path(__file__).with_name("bench_logs_writer.py"))
LINE_BYTES = 100
PATIENCE_S = 300.0


@dataclass(frozen=True, slots=True)
class Shape:
    """What is printed: by how many workers, how much each, in which writes."""

    name: str
    workers: int
    lines: int
    per_write: int
    every_s: float

    @property
    def total(self) -> int:
        return self.workers * self.lines

    @property
    def total_bytes(self) -> int:
        return self.total * LINE_BYTES

    def command(self, folder: Path, number: int) -> list[str]:
        """Of one worker."""
        assert self.lines % self.per_write == 0, "the last write would be missing"
        figures = (self.lines, self.per_write, self.every_s)
        return [PYTHON, "-I", "-S", WRITER, str(folder / "go"), str(folder / f"done{number}"), *map(str, figures)]


@dataclass(frozen=True, slots=True)
class Poured:
    """One phase of all writers: from the first line to the last. `cpu_s` of the writers."""

    begun: float
    ended: float
    cpu_s: float


def pour(folder: Path, shape: Shape, phase: int) -> Poured:
    """Let all writers go, and wait for them."""
    reports = [folder / f"done{number}.{phase}" for number in range(shape.workers)]
    (folder / f"go.{phase}").touch()
    eventually(lambda: all(one.exists() for one in reports), PATIENCE_S, told="all writers are done")
    told = [[float(word) for word in one.read_text().split()] for one in reports]
    return Poured(min(one[0] for one in told), max(one[1] for one in told), sum(one[2] for one in told))


def cpu_of(pid: int) -> float:
    """CPU seconds of a process and all its threads, also of ended ones, by its CPU clock: to the nanosecond."""
    return time.clock_gettime((~pid << 3) | 2)


class NotInstalledError(Exception):
    """Why a peer is left out."""


@dataclass
class Tools:
    """Where peers may be: a virtual environment, a folder of npm, else PATH."""

    folder: Path | None = None

    def fetch(self) -> None:
        """Install both into a new folder. What cannot be had is missing afterwards, and said to be."""
        self.folder = Path(tempfile.mkdtemp(prefix="bl-", dir="/tmp"))
        commands = [
            [sys.executable, "-m", "venv", str(self.folder / "venv")],
            [str(self.folder / "venv/bin/pip"), "install", "--quiet", "supervisor"],
            ["npm", "install", "--silent", "--prefix", str(self.folder / "npm"), "pm2"],
        ]
        for command in commands:
            with contextlib.suppress(OSError):
                subprocess.run(command, stdout=subprocess.DEVNULL, check=False, timeout=600)

    def find(self, name: str) -> str:
        """The path of a program. Raises NotInstalledError."""
        below = [self.folder / "venv/bin", self.folder / "npm/node_modules/.bin"] if self.folder else []
        found = shutil.which(name, path=os.pathsep.join([*map(str, below), os.environ.get("PATH", "")]))
        if found is None:
            raise NotInstalledError(f"{name} is not installed; --fetch installs it into a folder of its own")
        return found

    def close(self) -> None:
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


class System(ABC):
    """One way to keep output. `start` returns when all writers wait for their word."""

    name: ClassVar[str]

    def __init__(self, tools: Tools, shape: Shape) -> None:
        self.tools, self.shape = tools, shape
        self.folder = Path(tempfile.mkdtemp(prefix="bs-", dir="/tmp"))

    @classmethod
    @abstractmethod
    def version(cls, tools: Tools) -> str:
        """Raises NotInstalledError."""

    @abstractmethod
    def start(self) -> None:
        """Everything but the writing."""

    @abstractmethod
    def cpu(self) -> dict[str, float]:
        """CPU seconds so far, by process."""

    def kept_bytes(self) -> int:
        """How much of the output has arrived where it is kept, or is recorded as left out there."""
        return sum(one.stat().st_size for one in self.folder.glob("*.log"))

    def close(self) -> None:
        for one in processes_of(str(self.folder)):
            end(one)
        eventually(lambda: not processes_of(str(self.folder)), told="all of it has ended")
        shutil.rmtree(self.folder, ignore_errors=True)

    def log_of(self, number: int) -> str:
        return str(self.folder / f"w{number}.log")

    def until_waiting(self) -> None:
        """All writers are there."""

        def there() -> bool:
            return sum(WRITER in one.command for one in processes_of(str(self.folder))) == self.shape.workers

        eventually(there, PATIENCE_S, told="all writers are there")


class PlainFile(System):
    """`> file`, and nobody in between."""

    name = "plain file"

    def __init__(self, tools: Tools, shape: Shape) -> None:
        super().__init__(tools, shape)
        self._writers: list[subprocess.Popen[bytes]] = []

    @classmethod
    def version(cls, tools: Tools) -> str:
        return "-"

    def start(self) -> None:
        for number in range(self.shape.workers):
            with open(self.log_of(number), "wb") as log:
                self._writers.append(subprocess.Popen(self.shape.command(self.folder, number), stdout=log))

    def cpu(self) -> dict[str, float]:
        return {}

    def close(self) -> None:
        for one in self._writers:
            one.kill()
            one.wait(10)
        super().close()


class Supervisord(System):
    """Output through pipes into files, rotation off."""

    name = "supervisord"

    @classmethod
    def version(cls, tools: Tools) -> str:
        return subprocess.check_output([tools.find("supervisord"), "--version"], text=True).strip()

    def start(self) -> None:
        parts = [
            f"[supervisord]\nnodaemon=true\nminfds=4096\nlogfile={self.folder}/own\npidfile={self.folder}/pid\n",
            *(
                f"[program:w{n}]\ncommand={' '.join(self.shape.command(self.folder, n))}\nredirect_stderr=true\n"
                f"stdout_logfile={self.log_of(n)}\nstdout_logfile_maxbytes=0\n"
                for n in range(self.shape.workers)
            ),
        ]
        config = self.folder / "supervisord.conf"
        config.write_text("\n".join(parts))
        self._main = subprocess.Popen(
            [self.tools.find("supervisord"), "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.until_waiting()

    def cpu(self) -> dict[str, float]:
        return {"supervisord": cpu_of(self._main.pid)}

    def close(self) -> None:
        self._main.kill()
        self._main.wait(10)
        super().close()


class Pm2(System):
    """Fork mode, output through pipes into files."""

    name = "PM2"

    @classmethod
    def version(cls, tools: Tools) -> str:
        package = Path(os.path.realpath(tools.find("pm2"))).parents[1] / "package.json"
        return str(json.loads(package.read_text())["version"])

    def start(self) -> None:
        apps = [
            {
                "name": f"w{n}", "script": command[0], "args": command[1:], "interpreter": "none",
                "exec_mode": "fork", "out_file": self.log_of(n), "error_file": self.log_of(n), "merge_logs": True,
            }
            for n, command in ((n, self.shape.command(self.folder, n)) for n in range(self.shape.workers))
        ]  # fmt: skip
        (self.folder / "apps.json").write_text(json.dumps({"apps": apps}))
        self._run("start", str(self.folder / "apps.json"), "-s")
        self.until_waiting()

    def _run(self, *arguments: str) -> None:
        own = {"PM2_HOME": f"{self.folder}/home", "HOME": f"{self.folder}/home", "PM2_DISCRETE_MODE": "1"}
        subprocess.run(
            [self.tools.find("pm2"), *arguments], env={**os.environ, **own}, check=True, timeout=PATIENCE_S,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def cpu(self) -> dict[str, float]:
        return {"daemon": cpu_of(int((self.folder / "home/pm2.pid").read_text()))}


class Ours(System):
    """The real program. `rate`: lines per second of one worker that go to the database; None is the default."""

    name = "workerctl"
    rate: int | None = None

    def __init__(self, tools: Tools, shape: Shape, database: str | None = None, **spec: Any) -> None:
        super().__init__(tools, shape)
        self.site = Installation()
        self._flags = ("--db", database) if database else ()
        self._database = database
        self._spec = spec

    @classmethod
    def version(cls, tools: Tools) -> str:
        told = subprocess.check_output([sys.executable, "-m", "controller", "version"], text=True)
        return told.split("\n")[0].removeprefix("workerctl").strip()

    def start(self) -> None:
        logs = {} if self.rate is None else {"logs": {"store_rate": self.rate}}
        for number in range(self.shape.workers):
            command = self.shape.command(self.folder, number)
            self.site.add(f"w{number:03}", command=command, **{**logs, **self._spec})
        self.serve()
        self.site.until_running(patience_s=PATIENCE_S)

    def serve(self) -> None:
        """Also again, after its death."""
        self.site.serve(*self._flags)

    def cpu(self) -> dict[str, float]:
        return {role: cpu_of(self.site.pid_of(role)) for role in ("controller", "agent", "keeper")}

    def kept_bytes(self) -> int:
        return self._ask("SELECT coalesce(sum(byte_offset), 0) FROM log_cursors")

    def stored_lines(self) -> int:
        """That are rows of the database."""
        return self._ask("SELECT count(*) FROM worker_logs WHERE kind = 'line'")

    def _ask(self, query: str) -> int:
        if self._database is not None:
            with psycopg.connect(self._database) as server:
                row = server.execute(query.encode()).fetchone()
        else:
            with contextlib.closing(sqlite3.connect(f"file:{self.site.state}/workerctl.db?mode=ro", uri=True)) as file:
                row = file.execute(query).fetchone()
        return int(row[0]) if row else 0

    def close(self) -> None:
        self.site.close()
        self.site.remove()
        super().close()


class OursUnstored(Ours):
    """Nothing goes to the database: the files alone, as the peers have them."""

    name = "workerctl, nothing into the database"
    rate = 0


SYSTEMS: tuple[type[System], ...] = (PlainFile, Supervisord, Pm2, OursUnstored, Ours)


def present(tools: Tools) -> Mapping[type[System], str]:
    """Those that are installed, with their versions. Says of the others why not."""
    found = {}
    for system in SYSTEMS:
        try:
            found[system] = system.version(tools)
        except NotInstalledError as error:
            print(f"skipped: {error}", file=sys.stderr)
    return found
