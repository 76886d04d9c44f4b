"""How many log lines a second the store takes, SQLite and PostgreSQL side by side on the same machine.

Run by hand, never as a test: `python -m tests.bench.bench_store [--lines N] [--rounds N] [--safe]`. In each round both
databases take the same batches, one after the other; what counts is the ratio, which the machine's load changes least.
The server is one of the tests' own; with `--safe` it syncs its commits as a real one does.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator

from controller.store import open_store
from controller.store.records import Line, LogBatch
from tests.store.store_server import QUICK, Server

BATCH = 500
FILES = 8
TEXT = "2026-11-24T12:00:00Z INFO worker.main handled request {number} in 12.4 ms for customer 4711, status=200"


def batches(lines: int) -> Iterator[LogBatch]:
    """Of several files in turns, as the ingest sends them."""
    width = 120
    for start in range(0, lines // FILES, BATCH):
        for file in range(FILES):
            rows = [
                Line(at=1.7e9 + number, text=TEXT.format(number=number), byte_offset=number * width)
                for number in range(start, start + BATCH)
            ]
            yield LogBatch(
                run=f"r{file}", stream="stdout", slot=f"web/{file}", from_offset=start * width,
                to_offset=(start + BATCH) * width, lines=rows,
            )  # fmt: skip


def speed(url: str, lines: int) -> float:
    """Lines per second until all are stored."""
    work = list(batches(lines))
    store = open_store(url)
    begun = time.perf_counter()
    for batch in work:
        while not store.writer.submit(batch):
            store.writer.flush(60)
    assert store.writer.flush(300)
    took = time.perf_counter() - begun
    store.close()
    return sum(len(batch.lines) for batch in work) / took


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--safe", action="store_true")
    chosen = parser.parse_args()
    server = Server(**dict.fromkeys(QUICK, "on") if chosen.safe else {})
    found: dict[str, list[float]] = {"sqlite": [], "postgresql": []}
    try:
        for number in range(chosen.rounds):
            with tempfile.TemporaryDirectory() as folder:
                found["sqlite"].append(speed(f"{folder}/a.db", chosen.lines))
            name = server.create(name=f"round{number}")
            found["postgresql"].append(speed(server.url(name), chosen.lines))
            server.drop(name)
            print("  ".join(f"{name} {speeds[-1]:,.0f} lines/s" for name, speeds in found.items()))
    finally:
        server.close()
    middle = {name: statistics.median(speeds) for name, speeds in found.items()}
    print(f"median: PostgreSQL takes {middle['postgresql'] / middle['sqlite']:.2f} of what SQLite takes")


if __name__ == "__main__":
    main()
