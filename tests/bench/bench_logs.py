"""What logging costs: lines per second into the database, and CPU seconds of the supervisor for a GB, beside others.

Run by hand, never as a test: `python -m tests.bench.bench_logs [--rounds N] [--only database,cpu] [--fetch] [--quick]`.
The real program end to end: workers print, the agent has it in files, the controller brings it into `worker_logs`.

- `database`: SQLite and a PostgreSQL of the tests' own that syncs its commits, each with two hundred small workers and
  with a loud one. First live, below what is stored at most, so that nothing is left out; then as many lines printed
  while no controller runs, and the pace at which the next one catches up: that is as fast as it goes.
- `cpu`: a gigabyte by one worker as fast as it goes, and a tenth of it by fifty at a steady pace. Supervisord and PM2
  are used where they are installed; `--fetch` installs them into a folder of its own, with pip and npm.

Within a round all take turns; told are medians, and medians of each round's ratios.
"""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from tests.bench.bench_logs_systems import LINE_BYTES, Ours, Poured, Shape, System, Tools, pour, present
from tests.e2e.e2e_processes import eventually, pause
from tests.store.store_server import QUICK, Server

MANY = Shape("200 small workers", workers=200, lines=700, per_write=7, every_s=0.1)
LOUD = Shape("1 loud worker", workers=1, lines=140_000, per_write=140, every_s=0.01)
ONE_GB = Shape("1 worker at full speed", workers=1, lines=10_000_000, per_write=500, every_s=0)
FIFTY = Shape("50 workers, 0.2 MB/s each", workers=50, lines=20_000, per_write=200, every_s=0.1)
UNLIMITED = 1_000_000
PATIENCE_S = 300.0
QUICKER = 10

Figures = dict[str, float]


def until_kept(system: System, size: int) -> float:
    """When all of the output had arrived, by CLOCK_MONOTONIC."""
    eventually(lambda: system.kept_bytes() >= size, PATIENCE_S, told="all of it has arrived")
    return time.monotonic()


def spent(system: System, before: Mapping[str, float]) -> Figures:
    """CPU seconds since, by process."""
    return {role: seconds - before.get(role, 0.0) for role, seconds in system.cpu().items()}


def lines_in(ours: Ours) -> Figures:
    """Live, then catching up."""
    shape = ours.shape
    ours.start()
    before = ours.cpu()
    poured = pour(ours.folder, shape, 1)
    complete = until_kept(ours, shape.total_bytes)
    used = spent(ours, before)
    stored = ours.stored_lines()
    figures = {
        "printed": shape.total / (poured.ended - poured.begun),
        "stored": stored / shape.total,
        "late": complete - poured.ended,
        **{f"{role} s": seconds / (stored / 1e6) for role, seconds in used.items()},
    }
    ours.site.kill("controller")
    pour(ours.folder, shape, 2)
    pause(2.0)  # the agent has looked at all files
    ours.serve()
    return figures | catching_up(ours, stored)


def catching_up(ours: Ours, stored: int) -> Figures:
    """From the first of the lines that were printed meanwhile to the last; the start of the program is not in it."""
    before, shape = ours.kept_bytes(), ours.shape
    begun, used = time.monotonic(), ours.cpu()
    missing = 2 * shape.total_bytes - before
    complete = until_kept(ours, 2 * shape.total_bytes)
    lines, spent_s = missing / LINE_BYTES, sum(spent(ours, used).values())
    return {
        "catches up": lines / (complete - begun),
        "lines per CPU s": lines / spent_s,
        "stored then": (ours.stored_lines() - stored) / shape.total,
    }


@contextmanager
def postgresql() -> Iterator[Callable[[], str]]:
    """A server that syncs; called, it has another empty database."""
    server = Server(**dict.fromkeys(QUICK, "on"))
    try:
        yield lambda: server.url(server.create())
    finally:
        server.close()


def into_databases(rounds: int, shapes: Iterable[Shape]) -> dict[tuple[Shape, str], list[Figures]]:
    """All rounds of `database`."""
    found: dict[tuple[Shape, str], list[Figures]] = {}
    with postgresql() as another:
        for number in range(rounds):
            for shape in shapes:
                for name, url in (("SQLite", None), ("PostgreSQL", another())):
                    ours = Ours(Tools(), shape, url, logs={"store_rate": UNLIMITED})
                    try:
                        figures = lines_in(ours)
                    finally:
                        ours.close()
                    found.setdefault((shape, name), []).append(figures)
                    progress(number, f"{shape.name}, {name}", figures)
    return found


@dataclass(frozen=True, slots=True)
class Cost:
    """One system's gigabytes: CPU seconds by process for one GB, and how long the writers took, and all of it."""

    cpu: Figures
    poured: Poured
    seconds: float
    lines: float

    @property
    def total(self) -> float:
        return sum(self.cpu.values())


def cost(system: System) -> Cost:
    """Of one phase of a system."""
    system.start()
    before = system.cpu()
    poured = pour(system.folder, system.shape, 1)
    until_kept(system, system.shape.total_bytes)
    ended = time.monotonic()
    used = spent(system, before)
    size = system.shape.total_bytes / 1e9
    lines = system.stored_lines() / system.shape.total if isinstance(system, Ours) else 0.0
    return Cost({role: seconds / size for role, seconds in used.items()}, poured, ended - poured.begun, lines)


def beside_others(rounds: int, shapes: Iterable[Shape], tools: Tools) -> dict[tuple[Shape, str], list[Cost]]:
    """All rounds of `cpu`."""
    found: dict[tuple[Shape, str], list[Cost]] = {}
    systems = present(tools)
    print("versions:", ", ".join(f"{system.name} {version}" for system, version in systems.items()))
    for number in range(rounds):
        for shape in shapes:
            for kind in systems:
                system = kind(tools, shape)
                try:
                    one = cost(system)
                finally:
                    system.close()
                found.setdefault((shape, kind.name), []).append(one)
                progress(number, f"{shape.name}, {kind.name}", {**one.cpu, "seconds": one.seconds})
    return found


def progress(number: int, name: str, figures: Figures) -> None:
    told = ", ".join(f"{key} {value:.3g}" for key, value in figures.items())
    print(f"round {number + 1}: {name}: {told} (load {os.getloadavg()[0]:.1f})", file=sys.stderr, flush=True)


def middle(rounds: Iterable[float]) -> float:
    return statistics.median(rounds)


def database_table(found: Mapping[tuple[Shape, str], list[Figures]]) -> None:
    """Markdown."""
    heads = [
        "printed",
        "stored",
        "late",
        "controller s",
        "agent s",
        "keeper s",
        "catches up",
        "lines per CPU s",
        "stored then",
    ]
    print(
        "\n| | | lines/s printed | stored | last one late by, s | CPU s per million: controller | agent | keeper ",
        end="",
    )
    print("| catching up, lines/s | lines per CPU s of ours | stored |\n|" + "---|" * 11)
    for (shape, name), rounds in found.items():
        values = {head: middle(one[head] for one in rounds) for head in heads}
        shown = [
            f"{values['printed']:,.0f}", f"{values['stored']:.1%}", f"{values['late']:.2f}",
            *(f"{values[f'{role} s']:.2f}" for role in ("controller", "agent", "keeper")),
            f"{values['catches up']:,.0f}", f"{values['lines per CPU s']:,.0f}", f"{values['stored then']:.1%}",
        ]  # fmt: skip
        print(f"| {shape.name} | {name} | {' | '.join(shown)} |")
    for shape in dict.fromkeys(shape for shape, _ in found):
        pairs = zip(found[shape, "PostgreSQL"], found[shape, "SQLite"], strict=True)
        ratio = middle(server["catches up"] / file["catches up"] for server, file in pairs)
        print(f"\n{shape.name}: catching up, PostgreSQL is {ratio:.2f} times as fast as SQLite.")


def cost_table(found: Mapping[tuple[Shape, str], list[Cost]]) -> None:
    """Markdown."""
    print("\n| | | supervisor's CPU s/GB | of these | writers done, s | writers' CPU s/GB | all kept, s ", end="")
    print("| lines in the database |\n|" + "---|" * 8)
    for (shape, name), rounds in found.items():
        parts = ", ".join(f"{role} {middle(one.cpu[role] for one in rounds):.2f}" for role in rounds[0].cpu)
        size = shape.total_bytes / 1e9
        shown = [
            f"{middle(one.total for one in rounds):.2f}", parts or "-",
            f"{middle(one.poured.ended - one.poured.begun for one in rounds):.2f}",
            f"{middle(one.poured.cpu_s / size for one in rounds):.2f}", f"{middle(one.seconds for one in rounds):.2f}",
            f"{middle(one.lines for one in rounds):.1%}" if name.startswith(Ours.name) else "-",
        ]  # fmt: skip
        print(f"| {shape.name} | {name} | {' | '.join(shown)} |")


def main() -> None:
    arguments = argparse.ArgumentParser(description="See the head of this file.")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--only", default="database,cpu")
    arguments.add_argument("--fetch", action="store_true", help="install supervisord and PM2 into a temporary folder")
    arguments.add_argument("--quick", action="store_true", help="a tenth of all lines, to try it out")
    options = arguments.parse_args()
    only = set(options.only.split(","))
    less = QUICKER if options.quick else 1
    many, loud, one, fifty = (replace(shape, lines=shape.lines // less) for shape in (MANY, LOUD, ONE_GB, FIFTY))
    print(f"{platform.platform()}, {os.cpu_count()} processors, Python {platform.python_version()},", end=" ")
    print(f"SQLite {sqlite3.sqlite_version}, load {os.getloadavg()[0]:.1f} at the beginning")
    if "database" in only:
        database_table(into_databases(options.rounds, (many, loud)))
    if "cpu" in only:
        tools = Tools()
        try:
            if options.fetch:
                tools.fetch()
            cost_table(beside_others(options.rounds, (one, fifty), tools))
        finally:
            tools.close()


if __name__ == "__main__":
    main()
