"""One budget for all files: who floods shares what the quiet ones leave."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.core.shares import fair_most
from controller.reconcile.fair_share import FORGET_S, FairShare


def test_nobody_is_limited_while_there_is_enough() -> None:
    assert fair_most([10, 20, 70], 100) is None


def test_the_quiet_ones_keep_theirs_and_the_loud_ones_share_the_rest() -> None:
    assert fair_most([1000, 10, 1000, 10], 100) == 40


@given(demands=st.lists(st.integers(0, 5000), min_size=1, max_size=50), budget=st.integers(1, 20_000))
def test_all_together_stay_within_the_budget_and_use_it(demands: list[int], budget: int) -> None:
    most = fair_most(demands, budget)
    if most is None:
        assert sum(demands) <= budget
        return
    taken = sum(min(demand, most) for demand in demands)
    assert taken <= max(budget, len(demands)), "one line a second is never denied"
    assert taken > budget - len(demands) or most == 1


def test_a_file_that_prints_no_more_asks_for_nothing() -> None:
    share = FairShare(100)
    share.ask("a", 90, 1000.0)
    share.ask("b", 90, 1000.0)
    assert share.most(1000.0 + FORGET_S / 2) == 50
    share.ask("b", 90, 1000.0 + FORGET_S)
    assert share.most(1000.1 + FORGET_S) is None


def test_a_file_with_more_to_read_asks_until_its_turn_comes_or_nobody_reads_it() -> None:
    share = FairShare(100)
    share.ask("a", 90, 1000.0, waits=True)
    share.ask("b", 90, 1000.0, waits=True)
    assert share.most(1000.0 + 100 * FORGET_S) == 50, "a round that takes long is when the budget is needed most"
    share.leave("b")
    assert share.most(1000.0 + 100 * FORGET_S) is None
