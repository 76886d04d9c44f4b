"""How long a keep lasts: as long as was asked for, whatever is done to the wall clock."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from controller.core.intents import Keep
from controller.core.keeps import SLACK_S, Clocks, bound, followed
from tests.core.core_builders import NOW

HOUR = 3600.0
KEEP = Keep(worker_id="web", wanted="stopped", at=NOW, until=NOW + HOUR, actor="alice")
MADE = Clocks(wall=NOW, boot_id="this boot", boot_s=500.0)
BOUND = bound(KEEP, MADE)


def later(seconds: float, *, clock_set_by: float = 0.0, clocks: Clocks = MADE) -> Clocks:
    return replace(clocks, wall=clocks.wall + seconds + clock_set_by, boot_s=clocks.boot_s + seconds)


def test_while_nobody_sets_the_clock_a_keep_stays_as_it_is() -> None:
    assert replace(BOUND, boot_id="this boot", boot_until=500.0 + HOUR) == BOUND
    for clocks in (MADE, later(60.0), later(2 * HOUR), later(60.0, clock_set_by=1.5)):
        assert followed(BOUND, clocks) == BOUND


@given(st.floats(0, 2 * HOUR), st.floats(-1e8, 1e8).filter(lambda by: abs(by) > 2 * SLACK_S))
def test_a_wall_clock_that_is_set_ends_nothing_early_and_lets_nothing_last_longer(passed: float, by: float) -> None:
    clocks = later(passed, clock_set_by=by)
    keep = followed(BOUND, clocks)
    assert abs((keep.until - clocks.wall) - (HOUR - passed)) < 0.001
    assert abs((keep.until - keep.at) - HOUR) < 0.001
    assert followed(keep, later(1.0, clocks=clocks)) == keep, "it moves once"


def test_over_a_reboot_the_wall_clock_decides() -> None:
    clocks = Clocks(wall=NOW + 600, boot_id="next boot", boot_s=3.0)
    keep = followed(BOUND, clocks)
    assert keep == bound(KEEP, clocks)
    assert followed(keep, later(60.0, clock_set_by=HOUR, clocks=clocks)).until == KEEP.until + HOUR


def test_a_clock_that_stands_before_the_keep_was_made_tells_nothing_and_the_time_begins_again() -> None:
    clocks = Clocks(wall=12.0, boot_id="next boot", boot_s=3.0)
    keep = followed(BOUND, clocks)
    assert (keep.at, keep.until) == (12.0, 12.0 + HOUR)
    right_again = later(60.0, clock_set_by=NOW, clocks=clocks)
    assert followed(keep, right_again).until == right_again.wall + HOUR - 60.0


def test_where_the_boot_cannot_be_told_the_wall_clock_is_all_there_is() -> None:
    unknown = Clocks(wall=NOW, boot_id="", boot_s=500.0)
    keep = bound(KEEP, unknown)
    assert keep == KEEP
    assert followed(keep, later(60.0, clock_set_by=HOUR, clocks=unknown)) == KEEP
    assert followed(keep, later(60.0, clock_set_by=-HOUR, clocks=unknown)).until == NOW + 60.0
