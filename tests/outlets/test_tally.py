"""Counters of workers: they never fall, and nothing is counted twice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controller.outlets.tally import Tally

HOST = "localhost"


def heard(*told: dict[str, tuple[str, float]]) -> Tally:
    """After a controller whose host told these, the first of them when it came."""
    tally = Tally()
    for used in told:
        tally.metered(HOST, used)
    return tally


def slots(*counts: int | None) -> Iterable[dict[str, Any]]:
    """The instances of an item with so many restarts; None: it is wanted and was not seen."""
    return [
        {
            "host": HOST,
            "instance": f"web/{ordinal}",
            "restart_count": count or 0,
            "revision": None if count is None else "1-a",
        }
        for ordinal, count in enumerate(counts)
    ]


def test_what_a_run_had_used_before_the_controller_came_is_not_new() -> None:
    assert heard({"web/0": ("a", 900.0)}).cpu_seconds("web") == 0.0
    assert heard({"web/0": ("a", 900.0)}, {"web/0": ("a", 903.0)}).cpu_seconds("web") == 3.0
    assert heard({"web/0": ("a", 900.0)}).cpu_seconds("other") is None
    assert heard({}, {"web/0": ("a", 0.1)}, {"web/0": ("b", 0.2)}).cpu_seconds("web") == 0.3  # and no noise behind it


def test_runs_and_instances_are_summed_and_none_of_them_takes_anything_with_it() -> None:
    tally = heard({}, {"web/0": ("a", 5.0), "web/1": ("b", 2.0)}, {"web/0": ("a", 6.0)}, {"web/0": ("c", 1.0)})
    assert tally.cpu_seconds("web") == 6.0 + 2.0 + 1.0


def test_a_run_that_tells_less_than_before_does_not_lower_the_counter_and_goes_on_from_there() -> None:
    assert heard({}, {"web/0": ("a", 5.0)}, {"web/0": ("a", 3.0)}).cpu_seconds("web") == 5.0
    assert heard({}, {"web/0": ("a", 5.0)}, {"web/0": ("a", 3.0)}, {"web/0": ("a", 4.0)}).cpu_seconds("web") == 6.0


def test_a_run_that_was_not_told_of_for_a_while_is_not_counted_anew() -> None:
    assert heard({}, {"web/0": ("a", 5.0)}, {}, {"web/0": ("a", 6.0)}).cpu_seconds("web") == 6.0


def test_a_worker_that_comes_again_begins_anew() -> None:
    tally = heard({}, {"web/0": ("a", 5.0), "api/0": ("b", 1.0)})
    assert tally.restarts("web", slots(4)) == 4
    tally.forget_others({"api"})
    assert (tally.cpu_seconds("web"), tally.cpu_seconds("api"), tally.restarts("web", [])) == (None, 1.0, None)
    assert tally.restarts("web", slots(1)) == 1


def test_restarts_begin_with_those_that_the_slots_have_counted_and_stay_when_a_slot_goes() -> None:
    tally = Tally()
    seen = [tally.restarts("web", slots(*counts)) for counts in ((4, 3), (4, 5), (4,), (4, 0), (5, 1))]
    assert seen == [7, 9, 9, 9, 11]


def test_a_slot_that_was_not_seen_says_nothing_of_its_restarts() -> None:
    tally = Tally()
    seen = [tally.restarts("web", slots(*counts)) for counts in ((None,), (6,), (None,), (6,), (7,))]
    assert seen == [None, 6, 6, 6, 7]


@given(
    st.lists(st.dictionaries(st.sampled_from(["web/0", "web/1"]), st.tuples(st.sampled_from("ab"), st.floats(0, 9))))
)
def test_no_counter_ever_falls(told: list[dict[str, tuple[str, float]]]) -> None:
    tally = Tally()
    before = 0.0
    for used in told:
        tally.metered(HOST, used)
        now = tally.cpu_seconds("web") or 0.0
        assert now >= before
        before = now
