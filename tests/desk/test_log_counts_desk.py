"""Counts of log lines by time and level: what spans there are, how far one answer goes, and where to go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from controller.api.log_query import SpanWish
from controller.desk.log_counts import Tally, count_lines
from controller.desk.log_search import FIRST
from controller.store import Store, open_store
from controller.store.log_counts import CountSlice
from controller.store.log_search import LogFilter
from controller.store.records import Line, LogBatch

BEGIN = 1_700_000_000.0
ALL = LogFilter(workers=None, kinds=("line", "gap"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Lines of two and a half thousand seconds, each tenth a warning, and one record of missing ones."""
    opened = open_store(str(tmp_path / "workerctl.db"))
    lines = [
        Line(at=BEGIN + n, text=f"line {n}", byte_offset=n, level="warning" if n % 10 == 0 else None)
        for n in range(2500)
    ]
    lines.append(Line(at=BEGIN + 2499, text="3 lines left out", byte_offset=2500, kind="gap"))
    batch = LogBatch(run="r1", stream="stdout", slot="web/0", from_offset=0, to_offset=2501, lines=lines)
    assert opened.writer.submit(batch)
    assert opened.writer.flush(10)
    yield opened
    opened.close()


async def ask(question: Callable[[], Any]) -> Any:
    return question()


async def counted(store: Store, wish: SpanWish, wanted: LogFilter = ALL, patience_s: float = 60) -> dict[str, Any]:
    return await count_lines(ask, store.reader, wanted, wish, patience_s)


def sums(found: dict[str, Any]) -> dict[str | None, int]:
    return {one["level"]: sum(one["values"]) for one in found["series"]}


async def test_spans_are_round_and_cover_what_is_kept_with_the_worst_line_of_each(store: Store) -> None:
    found = await counted(store, SpanWish(most=12))
    assert found == {
        "step_s": 300,
        "times": [1_699_999_800 + 300 * n for n in range(9)],
        "series": [
            {"level": "warning", "values": [10, 30, 30, 30, 30, 30, 30, 30, 30]},
            {"level": None, "values": [90, 270, 270, 270, 270, 270, 270, 270, 270]},
        ],
        "worst_ids": [1, 101, 401, 701, 1001, 1301, 1601, 1901, 2201],
        "lines": 2500,
        "stopped_early": False,
        "back_to": None,
        "prev_cursor": None,
    }


async def test_a_span_of_time_and_words_bound_what_is_counted(store: Store) -> None:
    wanted = LogFilter(workers=("web",), kinds=("line",), since=BEGIN + 100, until=BEGIN + 159, grep=("1",))
    found = await counted(store, SpanWish(most=60), wanted)
    assert (found["step_s"], found["times"][0], found["times"][-1], found["lines"]) == (1, BEGIN + 100, BEGIN + 159, 60)
    found = await counted(store, SpanWish(most=60, step=30), wanted)
    assert (found["step_s"], len(found["times"]), sums(found)) == (30, 2, {"warning": 6, None: 54})


async def test_what_takes_long_stops_after_a_slice_says_so_and_is_counted_on_from_there(store: Store) -> None:
    parts, wish = [], SpanWish(most=100)
    while True:
        parts.append(await counted(store, wish, patience_s=0))
        if not parts[-1]["stopped_early"]:
            break
        wish = SpanWish(most=100, before=int(parts[-1]["prev_cursor"]), step=parts[-1]["step_s"])
    assert [(one["step_s"], one["lines"], one["prev_cursor"]) for one in parts] == [
        (30, FIRST - 1, str(2502 - FIRST)), (30, FIRST, str(2502 - 2 * FIRST)), (30, 501, None),
    ]  # fmt: skip
    assert parts[0]["back_to"] == "2023-11-14T22:38:21.000Z"
    assert parts[0]["times"][0] <= BEGIN + 2501 - FIRST < parts[0]["times"][0] + 30
    assert sum(sums(one)["warning"] for one in parts) == 250


async def test_where_nothing_is_kept_there_is_nothing_and_no_error(tmp_path: Path) -> None:
    empty = open_store(str(tmp_path / "empty.db"))
    found = await counted(empty, SpanWish(most=80))
    assert (found["times"], found["series"], found["lines"], found["stopped_early"]) == ([], [], 0, False)
    empty.close()


@pytest.mark.parametrize(
    ("times", "step"), [([5.0, 6.0], 1), ([5.0, 20.0], 5), ([0.0, 86_400.0], 10_800), ([0.0, 1.8e9], 309_657_600)]
)  # fmt: skip
def test_spans_become_longer_until_there_are_few_whatever_the_clocks_say(times: Sequence[float], step: int) -> None:
    tally = Tally(1, 10)
    for number, at in enumerate(times):
        counts: dict[tuple[int, str | None], tuple[int, int]] = {(int(at // tally.step), "info"): (1, number + 7)}
        tally.add(CountSlice(counts=counts, edge=None, back_to=None))
    drawn = tally.drawn(times[0], times[0])
    assert (drawn["step_s"], drawn["lines"], len(drawn["times"]) <= 10) == (step, 2, True)
    assert (drawn["worst_ids"][0], drawn["worst_ids"][-1]) in [(7, 8), (7, 7)]
