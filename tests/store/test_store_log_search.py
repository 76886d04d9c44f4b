"""Searching the stored lines, on both databases: what matches, in slices that go on where the one before ended."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import Any

import pytest

from controller.store import Reader, Store
from controller.store.engine import locate, reader_engine
from controller.store.log_search import LogFilter, Place
from tests.store.store_builders import line, log_batch

WORKERS = ("db", "mail", "web")


@pytest.fixture
def filled(store: Store) -> Store:
    """`web`, `db` and `mail` take turns with a line each: ids 1 to 60, times 1000 + id, every tenth with a needle."""
    stored = Counter[str]()
    for number in range(1, 61):
        worker = ("web", "db", "mail")[number % 3]
        text = f"needle {number}" if number % 10 == 0 else f"hay {number}"
        level = "error" if number % 20 == 0 else None
        one = line(text=text, at=1000.0 + number, level=level, kind="lifecycle" if number == 7 else "line")
        run = f"{worker}{number % 2}-{'new' if number > 30 else 'old'}"
        batch = log_batch(stored[run], slot=f"{worker}/{number % 2}", run=run, lines=[one])
        stored[run] += 1
        assert store.writer.submit(batch)
    assert store.writer.flush(10)
    return store


def walked(store: Store, place: Place, limit: int = 100, **wanted: Any) -> list[list[int]]:
    """The ids of all slices, from `place` to the end."""
    asked, slices = LogFilter(**{"workers": None, **wanted}), []
    while True:
        found = store.reader.log_slice(asked, place, limit)
        slices.append([one.id for one in found.lines])
        if found.edge is None:
            return slices
        forward = place.after is not None
        place = Place(
            after=found.edge if forward else None, before=None if forward else found.edge, size=place.size
        )  # fmt: skip


def ids(store: Store, **wanted: Any) -> list[int]:
    """All that match, in order."""
    [found] = walked(store, Place(), **wanted)
    return found


def texts(store: Store, *lines: str, **wanted: Any) -> list[str]:
    """Those of `lines`, stored by a worker of their own, that match."""
    batch = log_batch(0, slot="own/0", run="own", lines=[line(number, text=text) for number, text in enumerate(lines)])
    if not store.reader.latest_runs("own"):
        assert store.writer.submit(batch)
        assert store.writer.flush(10)
    found = store.reader.log_slice(LogFilter(workers=("own",), **wanted), Place(), 100)
    return [one.text for one in found.lines]


def test_lines_of_all_some_and_one_worker_are_found_in_the_order_of_their_storing(filled: Store) -> None:
    assert ids(filled, grep=("needle",)) == [10, 20, 30, 40, 50, 60]
    assert ids(filled, grep=("needle",), workers=("web", "db")) == [10, 30, 40, 60]
    assert ids(filled, grep=("needle",), workers=("mail",)) == [20, 50]
    assert ids(filled, grep=("needle",), workers=("web", "nobody")) == [30, 60]
    assert ids(filled, workers=()) == ids(filled, workers=("nobody",)) == []
    many = (*(f"w{number}" for number in range(40)), "mail")
    assert ids(filled, grep=("needle",), workers=many) == [20, 50]


def test_every_condition_holds_at_once(filled: Store) -> None:
    assert ids(filled, grep=("needle", "0"), levels=("error", "critical")) == [20, 40, 60]
    assert ids(filled, grep=("needle", "2")) == [20]
    assert ids(filled, kinds=("lifecycle",)) == [7]
    assert ids(filled, workers=("web",), instance="web/1", runs=("web1-old",)) == [3, 9, 15, 21, 27]
    assert ids(filled, workers=("web",), stream="stderr") == []
    assert ids(filled, grep=("hay",), invert=True) == [10, 20, 30, 40, 50, 60]
    assert ids(filled, grep=("hay", "needle 6"), invert=True) == [10, 20, 30, 40, 50]


def test_slices_go_back_and_forth_without_a_hole(filled: Store) -> None:
    back = walked(filled, Place(size=25), grep=("needle",))
    assert back == [[40, 50, 60], [20, 30], [10]]
    ahead = walked(filled, Place(after=0, size=25), grep=("needle",))
    assert ahead == [[10, 20], [30, 40, 50], [60]]
    assert walked(filled, Place(), limit=2, grep=("needle",)) == [[50, 60], [30, 40], [10, 20], []]
    assert walked(filled, Place(after=0), limit=4, grep=("needle",)) == [[10, 20, 30, 40], [50, 60]]
    for few in (("web", "db"), ("mail",)):
        for place in (Place(size=6), Place(after=0, size=6)):
            slices = walked(filled, place, workers=few)
            assert max(map(len, slices)) <= 6
            assert sorted(chain(*slices)) == [n for n in range(1, 61) if ("web", "db", "mail")[n % 3] in few]


def test_a_span_of_time_has_both_ends_and_what_is_outside_is_skipped(filled: Store) -> None:
    assert ids(filled, since=1010.0, until=1020.0, grep=("needle",)) == [10, 20]
    # One empty slice, then straight to the span.
    assert walked(filled, Place(size=5), until=1010.0) == [[], [6, 7, 8, 9, 10], [1, 2, 3, 4, 5], []]
    assert walked(filled, Place(size=5), since=1056.0) == [[56, 57, 58, 59, 60], []]
    assert walked(filled, Place(after=0, size=5), since=1052.0, workers=("web",)) == [[], [54, 57, 60]]
    assert walked(filled, Place(after=0, size=5), until=1004.0) == [[1, 2, 3, 4], []]


def test_a_search_takes_one_connection(filled: Store, target: str) -> None:
    reader = Reader(reader_engine(locate(target), 1))
    found = reader.log_slice(LogFilter(workers=None, until=1002.0), Place(size=5), 100)
    assert (found.lines, found.edge) == ((), 3)
    reader.close()


def test_a_word_is_plain_text_in_either_case_where_asked(store: Store) -> None:
    lines = ("GET /a%20b_c", "get /A!", "[x] *?\\^$.|(", "Grüße", "GRÜSSE grü", "日本 ЖДЖ", "a\x00b", "it's")

    def found(*words: str, **more: Any) -> list[str]:
        return texts(store, *lines, grep=words, **more)

    assert found("GET") == [lines[0]]
    assert found("get /a", ignore_case=True) == [lines[0], lines[1]]
    assert found("a%20B_", ignore_case=True) == [lines[0]]
    assert found("a%b", ignore_case=True) == found("A_", ignore_case=True) == found("x]*", ignore_case=True) == []
    assert found("/a!", ignore_case=True) == [lines[1]]
    assert found("[X] *?\\^$.|(", ignore_case=True) == found("[x] *?\\^$.|(") == [lines[2]]
    assert found("GRÜ", ignore_case=True) == [lines[3], lines[4]]
    assert found("GRÜ", ignore_case=True, invert=True) == [
        "GET /a%20b_c", "get /A!", "[x] *?\\^$.|(", "日本 ЖДЖ", "a\\x00b", "it's",
    ]  # fmt: skip
    assert found("本 жд", ignore_case=True) == [lines[5]]
    assert found("ü*", ignore_case=True) == found("ü.", ignore_case=True) == found("[ü]", ignore_case=True) == []
    assert found("a\x00b") == ["a\\x00b"]
    assert found("it's") == ["it's"]


def test_the_runs_of_an_instance_come_newest_first(filled: Store) -> None:
    assert filled.reader.latest_runs("web") == {
        "web/0": ("web0-new", "web0-old"), "web/1": ("web1-new", "web1-old"),
    }  # fmt: skip
    assert filled.reader.latest_runs("w") == {}


def test_lines_are_counted_by_time_and_level_in_slices_without_a_hole(filled: Store) -> None:
    def counted(step: int, size: int, **wanted: Any) -> list[dict[tuple[int, str | None], tuple[int, int]]]:
        asked, slices, before = LogFilter(**{"workers": None, **wanted}), [], None
        while True:
            part = filled.reader.log_counts(asked, before, step, size)
            slices.append(dict(part.counts))
            if part.edge is None:
                return slices
            before = part.edge

    # Times are 1001 to 1060: whole spans of 25 seconds since the epoch begin at 1000, 1025, 1050.
    assert counted(25, 1000) == [
        {(40, None): (23, 1), (40, "error"): (1, 20), (41, None): (24, 25), (41, "error"): (1, 40),
         (42, None): (10, 50), (42, "error"): (1, 60)}
    ]  # fmt: skip
    newest, older, rest, *_ = counted(25, 25)
    assert newest == {(41, None): (13, 36), (41, "error"): (1, 40), (42, None): (10, 50), (42, "error"): (1, 60)}
    assert older == {(40, None): (13, 11), (40, "error"): (1, 20), (41, None): (11, 25)}
    assert rest == {(40, None): (10, 1)}
    assert counted(100, 1000, levels=("error",), workers=("web", "db")) == [{(10, "error"): (2, 40)}]
    assert counted(100, 1000, grep=("NEEDLE",), ignore_case=True, until=1030.0) == [
        {(10, None): (2, 10), (10, "error"): (1, 20)}
    ]
    assert counted(1, 1000, grep=("nowhere",)) == [{}]
    assert filled.reader.log_ends(LogFilter(workers=("db", "mail"))) == (1001.0, 1059.0)
    assert filled.reader.log_ends(LogFilter(workers=("nobody",))) is None
