"""How fast log lines are found again: what the store does, and what it does not, side by side in a large database.

Run by hand, never as a test: `python -m tests.bench.bench_search FILE [--lines N] [--index]`, or `--server` for
PostgreSQL instead of a file. FILE is made where it is missing, with lines that look real (access logs, JSON, Python's
logger, of loud and quiet workers, with words at known rates); deleting it is yours. Prints seconds: compare their
ratios. `--index`: what an FTS5 index of trigrams of the first half million lines costs, beside storing them without.
"""

from __future__ import annotations

import argparse
import os
import random
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg

from controller.store import Reader, open_store
from controller.store.engine import locate, reader_engine
from controller.store.log_search import LogFilter, Place
from tests.store.store_server import Server

WORKERS = [f"worker-{number}" for number in range(50)]
STEP = 10_000
BEGIN = 1_700_000_000.0
RATES = {"payment declined": 200, "connection reset by peer": 5_000, "disk quota exceeded": 500_000}
"""Words, and in how many lines they stand once."""
NEVER = "no line holds this"
ROW = "INSERT INTO worker_logs VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
INDEX_LINES = 500_000


def rows(lines: int) -> Iterator[tuple[object, ...]]:
    """In the order of their storing: the first worker prints a fifth of all, each next one a quarter less."""
    chance = random.Random(6)
    for number in range(1, lines + 1):
        worker = min(int(chance.expovariate(0.25)), len(WORKERS) - 1)
        level, text = _text(chance, number)
        yield (
            number, WORKERS[worker], f"{WORKERS[worker]}/0", f"r{number // 1_000_000}", "stdout", "line", number,
            number * 120, BEGIN + number * 0.05, 0, level, text, 0, None,
        )  # fmt: skip


def _text(chance: random.Random, number: int) -> tuple[str | None, str]:
    request, milliseconds = f"{chance.getrandbits(64):016x}", chance.randrange(900)
    for word, rate in RATES.items():
        if number % rate == rate // 2:
            return "error", f"2026-11-24 12:00:00,{number % 1000:03} ERROR shop.pay: {word} (request {request})"
    match number % 3:
        case 0:
            address = f"10.{number % 7}.{number % 251}.{number % 83}"
            return None, f'{address} - - [24/Nov/2026:12:00:00] "GET /api/items/{number % 9973} HTTP/1.1" 200 {number}'
        case 1:
            return "info", f'{{"level":"info","msg":"handled request","request":"{request}","ms":{milliseconds}}}'
        case _:
            return (
                "info",
                f"2026-11-24 12:00:00,{number % 1000:03} INFO shop.cart: request {request} took {milliseconds} ms",
            )


def build(path: str, lines: int) -> None:
    """A store's database with so many lines; its indexes are made afterwards, which is quicker."""
    open_store(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        indexes = database.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'worker_logs' AND sql IS NOT NULL"
        ).fetchall()
        for name, _sql in indexes:
            database.execute(f"DROP INDEX {name}")
        database.execute("BEGIN")
        database.executemany(ROW, rows(lines))
        database.execute("COMMIT")
        for _name, sql in indexes:
            database.execute(sql)
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    print(f"{lines:,} lines, {os.path.getsize(path) / 1e9:.2f} GB")


def fill_server(url: str, lines: int) -> None:
    """The same in a database of a server."""
    open_store(url).close()
    with psycopg.connect(url) as database:
        with database.cursor().copy("COPY worker_logs FROM STDIN") as copy:
            for row in rows(lines):
                copy.write_row((*row[:9], bool(row[9]), *row[10:12], bool(row[12]), row[13]))
        database.execute("ANALYZE worker_logs")


def compare_index(path: str) -> None:
    """Store the first lines with and without an index of trigrams: what that costs, in time of a core and in size."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as source:
        kept = source.execute("SELECT * FROM worker_logs WHERE id <= ?", (INDEX_LINES,)).fetchall()
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for is_indexed in (False, True):
            name = f"{folder}/{is_indexed}.db"
            open_store(name).close()
            with closing(sqlite3.connect(name, isolation_level=None)) as database:
                if is_indexed:
                    database.execute(
                        "CREATE VIRTUAL TABLE words USING fts5(t, tokenize=trigram, content='', detail=none)"
                    )
                begun = time.thread_time()
                for start in range(0, len(kept), 1000):
                    part = kept[start : start + 1000]
                    database.execute("BEGIN IMMEDIATE")
                    database.executemany(ROW, part)
                    if is_indexed:
                        database.executemany(
                            "INSERT INTO words (rowid, t) VALUES (?, ?)", [(r[0], r[11]) for r in part]
                        )
                    database.execute("COMMIT")
                took = time.thread_time() - begun
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            figures.append((took, os.path.getsize(name)))
    (plain, size), (indexed, larger) = figures
    print(f"with an index of trigrams storing costs {indexed / plain:.1f} times as much, the file {larger / size:.1f}")


def search(path: str) -> None:
    """Each question to its end: how many slices, how many seconds until 100 lines are found, or all is considered."""
    reader = Reader(reader_engine(locate(path), 1))
    questions: dict[str, dict[str, Any]] = {word: {"grep": (word,)} for word in (*RATES, NEVER)}
    questions |= {f"{word}, any case": {"grep": (word.upper(),), "ignore_case": True} for word in (NEVER,)}
    questions |= {"no line holds ä, any case": {"grep": ("kein Ä",), "ignore_case": True}}
    questions |= {"level error": {"levels": ("error",)}, "level debug (none)": {"levels": ("debug",)}}
    rare = list(RATES)[-1]
    for number in (0, 10, 40):
        questions[f"{rare}, {WORKERS[number]}"] = {"grep": (rare,), "workers": (WORKERS[number],)}
    questions[f"{rare}, three quiet workers"] = {"grep": (rare,), "workers": tuple(WORKERS[40:43])}
    last = BEGIN + reader.heads().log_id * 0.05
    questions[f"{NEVER}, newest hour"] = {"grep": (NEVER,), "since": last - 3600}
    questions[f"{NEVER}, an hour long ago"] = {"grep": (NEVER,), "since": BEGIN + 3600, "until": BEGIN + 7200}
    often = next(iter(RATES))
    questions[f"{often}, until long ago"] = {"grep": (often,), "until": BEGIN + 7200}
    for name, more in questions.items():
        wanted, place = LogFilter(**{"workers": None, **more}), Place(size=1_000)
        begun, work, found, slices, longest = time.perf_counter(), time.thread_time(), 0, 0, 0.0
        while True:
            start = time.perf_counter()
            part = reader.log_slice(wanted, place, 100 - found)
            longest = max(longest, time.perf_counter() - start)
            found, slices = found + len(part.lines), slices + 1
            if part.edge is None or found >= 100:
                break
            place = Place(before=part.edge)
        took, work = time.perf_counter() - begun, time.thread_time() - work
        told = f"{took:7.3f} s ({work:.3f} s of a core), longest slice {longest:.3f} s"
        print(f"{name:45} {found:4} lines {slices:4} slices {told}", flush=True)
    reader.close()


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", nargs="?")
    parser.add_argument("--lines", type=int, default=10_000_000)
    parser.add_argument("--index", action="store_true")
    parser.add_argument("--server", action="store_true")
    chosen = parser.parse_args()
    if chosen.server:
        server = Server()
        try:
            url = server.url(server.create(name="search"))
            fill_server(url, chosen.lines)
            search(url)
        finally:
            server.close()
        return
    if not os.path.exists(chosen.file):
        begun = time.perf_counter()
        build(chosen.file, chosen.lines)
        print(f"built in {time.perf_counter() - begun:.0f} s")
    if chosen.index:
        compare_index(chosen.file)
    search(chosen.file)


if __name__ == "__main__":
    main()
