"""A process that stores numbered lines, events and records, as a controller does, to be killed at any moment.

Run as a script: DATABASE COUNT MODE. With mode `cursor` it goes on where the stored cursor stands, with `replay` it
sends everything again from the front. It waits for each outcome only now and then, so that groups form.
"""

from __future__ import annotations

import sys
import threading
import time

from controller.store import open_store
from controller.store.records import Conflict, Outcome, Rejected, WorkerRecord, WorkerRecords
from tests.store.store_builders import WIDTH, journal, log_batch, operation

STEP = 5


def main(path: str, count: int, mode: str) -> int:
    store = open_store(path, waits=True)
    assert store.writer.flush(10)
    first, seen = 0, 0
    if mode == "cursor":
        cursor = store.reader.log_cursors(["r1"]).get(("r1", "stdout"))
        first = cursor.byte_offset // WIDTH if cursor else 0
        at = store.reader.event_cursor("h")
        seen = at.seq if at else 0
    wrong: list[Outcome] = []

    def done(outcome: Outcome) -> None:
        if isinstance(outcome, Conflict | Rejected):
            wrong.append(outcome)

    for number in range(first, count, STEP):
        assert store.writer.submit(log_batch(number, STEP), done)
        if number % (4 * STEP) == 0:
            assert store.writer.flush(10)
    for number in range(seen + 1, count + 1):
        assert store.writer.submit(journal([number], type="started", worker_id="web", instance="web/0"), done)
        record = WorkerRecord(at=1.0, kind="task", level="info", text=f"job {number}", number=number)
        assert store.writer.submit(WorkerRecords(run="r1", slot="web/0", records=[record]), done)
        assert store.writer.submit(operation(detail=str(number)), done)
    assert store.writer.flush(10)
    assert store.close()
    until = time.monotonic() + 10  # threads of questions end by themselves, soon
    while threading.active_count() > 1:
        assert time.monotonic() < until, threading.enumerate()
        threading.Event().wait(0.005)
    print("complete", wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
