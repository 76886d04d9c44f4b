"""The roster: what it shows is what the view of each worker would show now, made anew only where something changed."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controller.core.observed import Observed, Status
from controller.core.picture import pictures
from controller.core.plan import Hold
from controller.core.status import Condition, conditions
from controller.core.views import Beside, worker_views
from controller.desk.roster import SLICE, Facts, Roster
from tests.core.core_builders import NOW, desired, observed, seen, worker

WORKERS = [worker("api", labels={"a": "b"}), worker("db", replicas=2), worker("web", name='"x"')]


def _world(steps: list[int]) -> Facts:
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
    return Facts(
        desired=desired(*left),
        observed=have,
        holds={"web": (hold,)} if 7 in steps else {},
        told=["web"] if steps and steps[-1] == 8 else (),
        reported=lambda name: {"error_count": steps.count(8)} if name == "web" and 8 in steps else {},
    )


def _expected(facts: Facts, before: dict[str, dict[str, Condition]], now: float) -> list[dict[str, Any]]:
    """What the views would show, each condition after the one before."""
    around, known = {}, dict(before)
    before.clear()
    for picture in pictures(facts.desired, facts.observed):
        name, holds = picture.worker_id, facts.holds.get(picture.worker_id, ())
        found = conditions(picture, holds, now=now, previous=known.get(name))
        around[name] = Beside(holds=holds, conditions=found, reported=facts.reported(name))
        if not picture.is_gone:
            before[name] = {one.type: one for one in found}
    return worker_views(facts.desired, facts.observed, around, now=now)


@given(st.lists(st.integers(0, 8), max_size=20))
def test_items_and_their_json_are_always_those_of_the_view(steps: list[int]) -> None:
    roster, before = Roster(), dict[str, dict[str, Condition]]()
    for count in range(len(steps) + 1):
        facts, now = _world(steps[:count]), NOW + count * 1.7
        expected = _expected(facts, before, now)

        items = roster.items(facts, now)

        assert items == expected
        assert [json.loads(roster.encoded(item)) for item in items] == expected
        shown = {item["worker_id"]: item["conditions"] for item in items}
        assert {name for name in ("api", "db", "web") if roster.one(name, facts, now)} == shown.keys()


def test_an_item_stays_the_same_object_until_its_worker_changes() -> None:
    roster = Roster()
    before = roster.items(Facts(desired=desired(*WORKERS), observed=observed(*(seen(one) for one in WORKERS))), NOW)
    instances = [seen(one, restart_count=1 if one.worker_id == "db" else 0) for one in WORKERS]

    after = roster.items(Facts(desired=desired(*WORKERS), observed=observed(*instances)), NOW + 5)

    assert [old is new for old, new in zip(before, after, strict=True)] == [True, False, True]


def test_a_condition_that_stays_keeps_its_time_through_other_changes() -> None:
    roster, want = Roster(), desired(*WORKERS)
    lives = [
        seen(WORKERS[0]),
        seen(WORKERS[0], 0, Status.CRASHED),
        seen(WORKERS[0], 0, Status.CRASHED, restart_count=1),
    ]
    for count, life in enumerate(lives):
        found = roster.one("api", Facts(desired=want, observed=observed(life)), NOW + count)

    assert found is not None
    since = {one.type: one.since for one in found[1].conditions or ()}
    assert (since["Ready"], since["Valid"]) == (NOW + 1, None)


def test_a_commit_is_shown_where_the_file_is_at_it_and_only_those_whose_own_changed_are_made_anew() -> None:
    roster = Roster()
    facts = Facts(desired=replace(desired(*WORKERS), commits={"api.yaml": "c1", "web.yaml": "c1"}))
    before = roster.items(facts, NOW)
    assert [item["source"]["commit"] for item in before] == ["c1", None, "c1"]

    after = roster.items(Facts(desired=replace(facts.desired, commits={"api.yaml": "c1"})), NOW)

    assert [item["source"]["commit"] for item in after] == ["c1", None, None]
    assert [old is new for old, new in zip(before, after, strict=True)] == [True, True, False]


def test_an_item_of_somebody_else_is_encoded_as_it_is() -> None:
    roster = Roster()

    assert roster.encoded({"worker_id": "web"}) == b'{"worker_id":"web"}'


def test_of_a_thousand_workers_only_those_that_changed_are_looked_at_again_and_once_whoever_asks() -> None:
    many = [worker(f"w{number:03}") for number in range(1000)]
    have = {one.worker_id: seen(one) for one in many}
    roster = Roster()
    facts = Facts(desired=desired(*many), observed=observed(*have.values()))
    slices = sum(1 for _ in roster.refreshed(facts, NOW))
    assert (roster.looks, slices, len(roster.news())) == (1000, 4, 1000)

    have["w500"] = replace(have["w500"], cpu_percent=7.0)
    facts = replace(facts, observed=observed(*have.values()))
    for _ in range(10):
        assert len(roster.items(facts, NOW)) == 1000
        assert roster.one("w500", facts, NOW) is not None
    assert (roster.looks, roster.news()) == (1001, {"w500"})

    again = replace(facts, observed=observed(*(replace(one) for one in have.values())))
    roster.items(again, NOW)
    assert (roster.looks, roster.news()) == (1001, set()), "other objects that say the same are no change"


def test_while_a_thousand_are_looked_at_and_made_others_have_their_turns() -> None:
    many = [worker(f"w{number:03}") for number in range(1000)]
    facts = Facts(desired=desired(*many), observed=observed(*(seen(one) for one in many)))
    roster = Roster()

    made = [roster.made_items for _ in roster.made(facts, NOW)]

    steps = [after - before for before, after in pairwise([*made, roster.made_items])]
    assert roster.made_items == 1000
    assert max(steps) <= SLICE
