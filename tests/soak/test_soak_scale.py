"""What counts as flat."""

from __future__ import annotations

from dataclasses import replace

from tests.soak.soak_scale import Bound, Weight, course, not_flat, rise

ONE = Weight(pid=7, pss=50.0, rss=60.0, descriptors=30, threads=4, cpu_s=1.0)
BOUNDS = {"agent": Bound(2, 3)}


def test_a_warm_up_and_single_peaks_are_no_rise() -> None:
    warm_up, then = [10.0 + n for n in range(30)], [40.0] * 60
    then[7] = then[50] = 400.0
    assert rise(warm_up + then) == 0.0


def test_what_grows_all_the_time_is_not_flat() -> None:
    growing = [replace(ONE, pss=50 + n * 0.1, descriptors=30 + n // 5) for n in range(90)]
    assert not_flat({"agent": [ONE] * 90}, BOUNDS) == []
    assert not_flat({"agent": growing}, BOUNDS) == [
        "the agent's memory rose by 3.0 MiB, more than 2",
        "the agent's descriptors rose by 6, more than 3",
    ]


def test_who_is_started_anew_has_not_stayed_flat() -> None:
    assert not_flat({"agent": [ONE] * 9 + [replace(ONE, pid=8)]}, BOUNDS) == ["the agent did not live through: [7, 8]"]


def test_the_course_shows_the_shape_also_of_few_samples() -> None:
    assert course([float(n) for n in range(24)]) == [n * 2 + 0.5 for n in range(12)]
    assert course([1.0, 2.0]) == [1.0, 2.0]
