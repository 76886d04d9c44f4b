"""Thousands of seeded histories over planner and slot machine, in virtual time. See sim_world.py.

Every run of the tests plays the same ones; a campaign plays others, from its seed on.
"""

from __future__ import annotations

import pytest

from tests.sim import sim_history

PINNED = (
    323,  # an order to spawn that failed after the edit that mended it: the failure belongs to the old revision
)
"""Seeds that once showed a bug."""

CHUNK = 500


@pytest.mark.parametrize("seed", PINNED)
def test_a_history_that_once_broke_something_holds(seed: int) -> None:
    sim_history.run(seed, with_keeps=False)


def test_some_hundred_histories_keep_every_promise() -> None:
    for seed in range(CHUNK):
        sim_history.run(seed)


@pytest.mark.e2e
@pytest.mark.parametrize("chunk", range(1, 9))
def test_four_thousand_histories_keep_every_promise(chunk: int) -> None:
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        sim_history.run(seed)


@pytest.mark.campaign
@pytest.mark.parametrize("chunk", range(40))
def test_twenty_thousand_histories_of_other_seeds_keep_every_promise(
    chunk: int, request: pytest.FixtureRequest
) -> None:
    """`pytest -m campaign tests/sim --seed S`: a million histories lie between two seeds of the campaign."""
    first = (request.config.getoption("--seed") + 1) * 1_000_000 + chunk * CHUNK
    for seed in range(first, first + CHUNK):
        sim_history.run(seed)
