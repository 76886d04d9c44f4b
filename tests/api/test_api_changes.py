"""Bells: level-based, by topic and worker."""

from __future__ import annotations

import asyncio

import pytest

from controller.api.changes import BellTower, EventBell
from controller.api.ports import Topic


async def rung(bell: EventBell) -> bool:
    """Whether a wait would return now."""
    try:
        async with asyncio.timeout(0.01):
            await bell.wait()
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize(
    ("topic", "worker_id", "expected"),
    [
        (Topic.LOGS, "web", [True, True, False, False]),
        (Topic.LOGS, "db", [True, False, True, False]),
        (Topic.LOGS, None, [True, True, True, False]),
        (Topic.EVENTS, "web", [False, False, False, True]),
        (Topic.WORKERS, None, [False, False, False, False]),
    ],
)
async def test_a_ring_wakes_who_follows_that(topic: Topic, worker_id: str | None, expected: list[bool]) -> None:
    tower = BellTower()
    subscriptions = ((Topic.LOGS, None), (Topic.LOGS, "web"), (Topic.LOGS, "db"), (Topic.EVENTS, "web"))
    bells = [tower.subscribe(*subscription) for subscription in subscriptions]

    tower.ring(topic, worker_id)

    assert [await rung(bell) for bell in bells] == expected


async def test_many_rings_are_one_look_and_none_is_lost_by_giving_up() -> None:
    tower = BellTower()
    bell = tower.subscribe(Topic.EVENTS)
    assert not await rung(bell)
    for _ in range(3):
        tower.ring(Topic.EVENTS)

    waiting = asyncio.ensure_future(bell.wait())
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    assert [await rung(bell), await rung(bell)] == [True, False]


async def test_a_bell_given_back_is_forgotten_and_may_be_given_back_again() -> None:
    tower = BellTower()
    kept, given = tower.subscribe(Topic.LOGS, "web"), tower.subscribe(Topic.LOGS, "web")
    given.close()
    given.close()
    tower.ring(Topic.LOGS, "web")

    assert (len(tower), await rung(kept), await rung(given)) == (1, True, False)
    kept.close()
    assert len(tower) == 0
