"""The picture of one worker: what is wanted and what was seen, side by side."""

from __future__ import annotations

from controller.core.desired import Desired
from controller.core.observed import Observed
from controller.core.picture import Picture, pictures
from tests.core.core_builders import desired, observed, picture, problem, row, seen, view, worker

WEB = worker(replicas=2)


def test_slots_are_told_apart_by_place_and_ordinal() -> None:
    have = Observed(
        hosts={
            "localhost": view(seen(WEB, 2), seen(WEB, 0)),
            "beta": view(seen(WEB, 0), reachable=False),
        }
    )
    made = picture(desired(WEB), have)
    assert [(slot.seen.instance, slot.host) for slot in made.slots] == [
        ("web/0", "beta"), ("web/0", "localhost"), ("web/2", "localhost"),
    ]  # fmt: skip
    assert [slot.seen.ordinal for slot in made.wanted_slots] == [0]
    assert [slot.host for slot in made.strayed] == ["beta"]
    assert made.missing == (1,)
    assert made.is_reachable


def test_without_a_spec_nothing_is_its_own_missing_or_astray() -> None:
    made = picture(desired(), observed(*row(WEB)))
    assert (made.own_slots, made.wanted_slots, made.strayed, made.missing, made.view) == ({}, (), (), (), None)
    assert not made.is_gone
    assert picture(desired(removed=["web"]), observed()).is_gone


def test_a_readable_spec_counts_before_a_broken_one_and_that_before_a_removal() -> None:
    both = Desired(workers={"web": WEB}, broken={"web": (problem(),)}, removed=desired(removed=["web"]).removed)
    made = picture(both, observed())
    assert (made.desired, made.broken, made.removal) == (WEB, None, None)
    broken = Desired(broken=both.broken, removed=both.removed)
    made = picture(broken, observed())
    assert (made.broken, made.removal) == ((problem(),), None)


def test_looking_up_few_and_grouping_all_give_the_same_pictures() -> None:
    workers = [worker(f"w{number:02}", replicas=2) for number in range(12)]
    want = desired(*workers, removed=["gone"])
    have = observed(*(slot for entry in workers for slot in row(entry)), seen(worker("lost")))
    whole = {made.worker_id: made for made in pictures(want, have)}
    assert list(whole) == ["gone", "lost", *(entry.worker_id for entry in workers)]
    for worker_id, made in whole.items():
        assert list(pictures(want, have, frozenset({worker_id}))) == [made]
    assert list(pictures(want, have, frozenset(whole))) == list(whole.values())
    assert list(pictures(want, have, frozenset({"nobody"}))) == [Picture(worker_id="nobody")]
