"""Builders and waiting for the store's tests. What a test does not name is of no interest to it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, TypeVar

import psycopg

from controller.store import Settings, Store
from controller.store.log_search import LogFilter, Place
from controller.store.records import (
    ConfigRow,
    Event,
    EventRows,
    JournalCursor,
    Line,
    LogBatch,
    OperationRow,
    Outcome,
    RuntimeRow,
    StoredLine,
)
from controller.store.tables import metadata

T = TypeVar("T")

DEADLINE_S = 10.0
WIDTH = 10
QUICK = Settings(busy_timeout_s=0.05, answer_timeout_s=10.0)


@contextmanager
def locked(target: str) -> Iterator[None]:
    """Another connection keeps writers out, and no reader."""
    if target.startswith("postgresql:"):
        with psycopg.connect(target) as server:
            server.execute(f"LOCK TABLE {', '.join(metadata.tables)} IN EXCLUSIVE MODE")
            yield
            server.rollback()
        return
    with closing(sqlite3.connect(target, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def until(condition: Callable[[], T | None], what: str = "the condition") -> T:
    """Wait until `condition` holds, or fail after the deadline; what it returned."""
    tick = threading.Event()
    for _attempt in range(int(DEADLINE_S / 0.005)):
        if found := condition():
            return found
        tick.wait(0.005)
    raise AssertionError(f"{what} did not come true within {DEADLINE_S} s")


class Told:
    """Outcomes as they come in."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self._come = threading.Condition()

    def __call__(self, outcome: Outcome) -> None:
        with self._come:
            self.outcomes.append(outcome)
            self._come.notify_all()

    def all(self, count: int) -> list[Outcome]:
        with self._come:
            assert self._come.wait_for(lambda: len(self.outcomes) >= count, DEADLINE_S), self.outcomes
            return list(self.outcomes)

    def one(self) -> Outcome:
        return self.all(1)[0]


def line(number: int = 0, **fields: Any) -> Line:
    return Line(**{"at": 1000.0 + number, "text": f"line {number}", "byte_offset": number * WIDTH, **fields})


def log_batch(first: int = 0, count: int = 1, *, slot: str = "web/0", run: str = "r1", **fields: Any) -> LogBatch:
    """Lines `first` to `first + count`, each WIDTH bytes wide."""
    return LogBatch(
        **{
            "run": run,
            "stream": "stdout",
            "slot": slot,
            "from_offset": first * WIDTH,
            "to_offset": (first + count) * WIDTH,
            "lines": [line(number) for number in range(first, first + count)],
            **fields,
        }
    )


def event(number: int = 0, **fields: Any) -> Event:
    return Event(**{"at": 2000.0 + number, "type": "worker_started", "message": f"event {number}", **fields})


def journal(
    numbers: Sequence[int], *, upto: int | None = None, journal_id: str = "j1", host: str = "h", **fields: Any
) -> EventRows:
    """Events of an agent's journal with these numbers; the cursor at the last unless `upto` says otherwise."""
    return EventRows(
        events=[event(number, journal_seq=number, **fields) for number in numbers],
        cursor=JournalCursor(host=host, journal_id=journal_id, seq=numbers[-1] if upto is None else upto),
    )


def stored_lines(
    store: Store, worker_id: str | None = "web", *, run: str | None = None, kinds: tuple[str, ...] = ()
) -> list[StoredLine]:
    """All lines of a worker (None: of all), of one run, oldest first; of all kinds unless some are named."""
    wanted = LogFilter(
        workers=None if worker_id is None else (worker_id,), runs=None if run is None else (run,), kinds=kinds
    )
    return list(store.reader.log_slice(wanted, Place(size=10_000), 10_000).lines)


def runtime_row(instance: str = "web/0", **fields: Any) -> RuntimeRow:
    worker_id, _, ordinal = instance.rpartition("/")
    return RuntimeRow(
        **{
            "instance": instance,
            "worker_id": worker_id,
            "ordinal": int(ordinal),
            "host": "localhost",
            "status": "running",
            "updated_at": 3000.0,
            **fields,
        }
    )


def config_row(worker_id: str = "web", **fields: Any) -> ConfigRow:
    return ConfigRow(
        **{
            "worker_id": worker_id,
            "deployment_type": "local",
            "host": "localhost",
            "replicas": 1,
            "auto_start": True,
            "desired_state": "running",
            "auto_restart": "on_failure",
            "restart_delay_ms": 5000,
            "revision": "1-0123456789",
            "updated_at": 3000.0,
            **fields,
        }
    )


def operation(operation_id: str = "op1", **fields: Any) -> OperationRow:
    return OperationRow(
        **{
            "operation_id": operation_id,
            "worker_id": "web",
            "action": "restart",
            "state": "accepted",
            "created_at": 4000.0,
            "updated_at": 4000.0,
            **fields,
        }
    )
