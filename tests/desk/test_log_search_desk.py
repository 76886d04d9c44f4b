"""What a search of log lines means and how far it goes, below the desk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from controller.api.log_query import LogQuery
from controller.api.ports import Removed
from controller.desk.forwarding import StoredLines
from controller.desk.log_search import FIRST, Lines, find_lines, meant_runs
from controller.desk.shelf import Shelf
from controller.store import Keep, Policy, Store, open_store
from controller.store.records import Line, LogBatch, LogSlice


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """One needle, the oldest of 2,500 lines."""
    opened = open_store(str(tmp_path / "workerctl.db"))
    lines = [Line(at=1.0 + n, text="hay" if n else "needle", byte_offset=n) for n in range(2500)]
    batch = LogBatch(run="r1", stream="stdout", slot="web/0", from_offset=0, to_offset=2500, lines=lines)
    assert opened.writer.submit(batch)
    assert opened.writer.flush(10)
    yield opened
    opened.close()


async def ask(question: Callable[[], LogSlice]) -> LogSlice:
    return question()


async def search(store: Store, *, patience_s: float, before: int | None = None) -> Lines:
    query = LogQuery(worker_id="web", limit=10, grep=("needle",), before=before)
    return await find_lines(ask, store.reader, query, None, patience_s)


async def test_a_search_that_takes_long_stops_after_a_slice_and_goes_on_from_there(store: Store) -> None:
    cut = await search(store, patience_s=0)
    assert cut == Lines(lines=(), edge=2501 - FIRST, is_cut=True)
    further = await search(store, patience_s=0, before=cut.edge)
    assert further == Lines(lines=(), edge=2501 - 2 * FIRST, is_cut=True)
    last = await search(store, patience_s=0, before=further.edge)
    assert ([one.text for one in last.lines], last.edge, last.is_cut) == (["needle"], None, False)
    whole = await search(store, patience_s=60)
    assert ([one.text for one in whole.lines], whole.edge, whole.is_cut) == (["needle"], None, False)


@pytest.mark.parametrize(
    ("word", "runs"), [("current", ("fresh", "b2", "c1")), ("previous", ("a2", "b1"))]
)  # fmt: skip
def test_current_and_previous_runs_are_meant_for_each_instance(word: str, runs: tuple[str, ...]) -> None:
    live = {"web/0": "fresh", "web/1": "b2", "web/3": None}
    stored = {"web/0": ("h3-post_start", "a2", "a1"), "web/1": ("b2", "h2-pre_stop", "b1"), "web/2": ("c1",)}
    assert meant_runs(word, live, stored) == runs


class Busy(Shelf):
    """A shelf at whose database a line is stored behind every question."""

    def is_known(self, worker_id: str) -> bool:
        return True

    def live_runs(self, worker_id: str | None) -> Mapping[str, str | None]:
        return {}

    async def _read(self, question: Any, *arguments: Any) -> Any:
        answer = question(*arguments)
        start = self.store.reader.heads().log_id
        line = Line(at=1.0, text="hay", byte_offset=start)
        batch = LogBatch(run="r1", stream="stdout", slot="web/0", from_offset=start, to_offset=start + 1, lines=[line])
        assert self.store.writer.submit(batch)
        assert self.store.writer.flush(10)
        return answer


@pytest.mark.parametrize("grep", [(), ("hay",)])
async def test_lines_that_are_stored_while_a_follower_reads_come_once(store: Store, grep: tuple[str, ...]) -> None:
    shelf, after, seen = Busy(store), 2499, list[int]()
    for _ in range(3):
        batch = await shelf.logs(LogQuery(worker_id="web", limit=100, after=after, grep=grep))
        assert batch is not None
        after = batch.cursor
        seen += [entry.cursor for entry in batch.entries]
    assert seen == list(range(2500, 2500 + len(seen)))
    assert len(seen) > 3


class Forgetful(Shelf):
    """A shelf that knows no worker but from the store."""

    def is_known(self, worker_id: str) -> bool:
        return False

    def live_runs(self, worker_id: str | None) -> Mapping[str, str | None]:
        return {}


async def test_what_was_removed_of_a_worker_is_known_also_when_nothing_of_it_is_left(store: Store) -> None:
    shelf, query = Forgetful(store), LogQuery(worker_id="web", limit=10)
    assert await shelf.removed(("web",)) is None
    assert store.sweep_surplus(Policy(logs={"web": Keep(lines=2000)})).lines == 500
    assert await shelf.removed(("web", "db")) == Removed(lines=500, to=500, until=500.0)
    assert store.sweep_surplus(Policy(logs={"web": Keep(lines=0)})).lines == 2000
    assert await shelf.removed(None) == Removed(lines=2500, to=2500, until=2500.0)
    batch = await shelf.logs(query)
    assert batch is not None
    assert (batch.entries, batch.start) == ((), None)
    assert await shelf.logs(LogQuery(worker_id="db", limit=10)) is None
    assert await shelf.removed(("db",)) is None


async def test_who_sends_lines_on_is_told_once_of_those_that_were_removed_before(store: Store) -> None:
    spool = StoredLines(store, lambda: 5000.0)
    assert [one.id for one in await spool.after(0, 2)] == [1, 2]
    assert store.sweep_surplus(Policy(logs={"web": Keep(lines=2000)})).lines == 500
    gap, first, second = await spool.after(2, 2)
    assert (gap.id, gap.kind, gap.at, first.id, second.id) == (0, "gap", 5000.0, 501, 502)
    assert gap.text.startswith("lines up to number 500 were removed from the database")
    assert [one.id for one in await spool.after(2, 2)] == [501, 502]
    assert await spool.after(await spool.head(), 2) == ()
    assert store.sweep_surplus(Policy(logs={"web": Keep(lines=0)})).lines == 2000
    assert await spool.head() == 2500
    assert [one.kind for one in await spool.after(502, 2)] == ["gap"]
    assert await spool.after(502, 2) == ()
