"""The roster: what it shows is what the view of each worker would show now, made anew only where something changed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from controller.core.desired import Desired
from controller.core.observed import Observed, Status
from controller.core.plan import Hold
from controller.core.views import Beside, worker_views
from controller.desk.roster import Roster
from tests.core.core_builders import NOW, desired, observed, seen, worker

WORKERS = [worker("api", labels={"a": "b"}), worker("db", replicas=2), worker("web", name='"x"')]


def _world(steps: list[int]) -> tuple[Desired, Observed, Mapping[str, Beside]]:
    """A world that each step changes a little, and sometimes back."""
    left = [one for n, one in enumerate(WORKERS) if steps.count(n) % 2 == 0]
    instances = [
        seen(one, ordinal, Status.RUNNING if 3 not in steps else Status.CRASHED, cpu_percent=float(steps.count(4)))
        for one in WORKERS
        for ordinal in range(steps.count(5) % 3)
    ]
    have = observed(*instances)
    if steps.count(6) % 2:
        have = Observed(hosts={host: replace(view, reachable=False) for host, view in have.hosts.items()})
    hold = Hold(worker_id="web", reason="WaitsFor", message=f"{steps.count(7)}")
    around = {"web": Beside(holds=(hold,) if 7 in steps else (), reported={"error_count": steps.count(8)})}
    return desired(*left), have, around


@given(st.lists(st.integers(0, 8), max_size=20))
def test_items_and_their_json_are_always_those_of_the_view(steps: list[int]) -> None:
    roster = Roster()
    for count in range(len(steps) + 1):
        want, have, around = _world(steps[:count])
        now = NOW + count * 1.7
        expected = worker_views(want, have, around, now=now)

        items = roster.items(want, have, around, now)

        assert items == expected
        assert [json.loads(roster.encoded(item)) for item in items] == expected


def test_an_item_stays_the_same_object_until_its_worker_changes() -> None:
    roster = Roster()
    before = roster.items(desired(*WORKERS), observed(*(seen(one) for one in WORKERS)), {}, NOW)
    instances = [seen(one, restart_count=1 if one.worker_id == "db" else 0) for one in WORKERS]

    after = roster.items(desired(*WORKERS), observed(*instances), {}, NOW + 5)

    assert [old is new for old, new in zip(before, after, strict=True)] == [True, False, True]


def test_an_item_of_somebody_else_is_encoded_as_it_is() -> None:
    roster = Roster()

    assert roster.encoded({"worker_id": "web"}) == b'{"worker_id":"web"}'


async def test_a_thousand_workers_are_made_in_slices_and_then_answered_from_memory() -> None:
    many = [worker(f"w{number}") for number in range(1000)]
    want, have = desired(*many), observed(*(seen(one) for one in many))
    roster, slices = Roster(), 0
    for _ in roster.refreshed(want, have, {}, NOW):
        await asyncio.sleep(0)
        slices += 1
    [roster.encoded(item) for item in roster.items(want, have, {}, NOW)]

    began = time.thread_time()
    encoded = [roster.encoded(item) for item in roster.items(want, have, {}, NOW + 1)]
    took_s = time.thread_time() - began

    assert (slices, len(encoded)) == (20, 1000)
    assert took_s < 0.1, "five times what is promised, for a slow machine"
