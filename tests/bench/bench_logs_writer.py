"""A worker that prints at a chosen pace when it is told to, for bench_logs.py. Standard library only; not a test.

    bench_logs_writer.py GO REPORT LINES PER_WRITE EVERY_S

When the file GO.1 appears it prints LINES lines of 100 bytes, PER_WRITE with each write, a write every EVERY_S (0: as
fast as it goes), and puts begin, end (CLOCK_MONOTONIC) and its CPU seconds for that into REPORT.1. Then GO.2 and so on.
"""

from __future__ import annotations

import itertools
import os
import sys
import time

TEXT = b"2026-11-24T12:00:00.000Z INFO worker.main handled a request in 12.4 ms for customer 4711, status=200"
LINE = TEXT[:99].ljust(99, b".") + b"\n"


def write_all(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


def pour(lines: int, per_write: int, every_s: float) -> str:
    block, begun, cpu = LINE * per_write, time.monotonic(), time.process_time()
    for number in range(lines // per_write):
        rest = begun + number * every_s - time.monotonic()
        if every_s and rest > 0:
            time.sleep(rest)  # noqa: TID251 - a worker may
        write_all(block)
    return f"{begun:.6f} {time.monotonic():.6f} {time.process_time() - cpu:.6f}\n"


def main() -> None:
    go, report, lines, per_write, every_s = sys.argv[1:6]
    for phase in itertools.count(1):
        while not os.path.exists(f"{go}.{phase}"):
            time.sleep(0.02)  # noqa: TID251 - a worker may
        told = pour(int(lines), int(per_write), float(every_s))
        with open(f"{report}.tmp", "w") as file:
            file.write(told)
        os.rename(f"{report}.tmp", f"{report}.{phase}")


if __name__ == "__main__":
    main()
