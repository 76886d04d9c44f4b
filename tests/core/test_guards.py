"""A change so large that it is probably a mistake waits for a person."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import pytest

from controller.core.desired import Desired, DesiredWorker
from controller.core.guards import lost_guard, mass_restart_guard, prune_guard, standing
from controller.core.intents import Intents, Keep
from controller.core.keeps import with_keeps
from controller.core.observed import HostView, Observed, ObservedInstance, Status
from controller.core.plan import Plan
from tests.core.core_builders import NOW, desired, observed, planned, removing, row, seen, view, wish, worker

NAMES = tuple(f"w{number}" for number in range(6))


def fleet(names: tuple[str, ...] = NAMES, **fields: Any) -> list[DesiredWorker]:
    return [worker(name, **fields) for name in names]


def running(workers: list[DesiredWorker]) -> list[ObservedInstance]:
    return [slot for entry in workers for slot in row(entry)]


def confirm(plan: Plan) -> Intents:
    return Intents(confirmed=frozenset(hold.confirm for hold in plan.holds if hold.confirm))


def kinds(plan: Plan) -> list[str]:
    return [f"{action.kind.value} {action.instance}" for action in plan.actions]


# --- removals --------------------------------------------------------------------------------------------------------


def test_removing_most_of_the_workers_waits_for_a_confirmation_of_exactly_that() -> None:
    want = desired(*fleet(NAMES[4:]), removed=NAMES[:4])
    have = observed(*running(fleet()))
    plan = planned(want, have)
    guard = prune_guard(want, have)
    assert guard is not None
    assert str(plan) == "\n".join(
        f"hold     {name}: PruneGuard: one change would remove 4 of 6 workers (file {name}.yaml is gone) "
        f"[confirm {guard.digest}]"
        for name in NAMES[:4]
    )
    assert kinds(planned(want, have, confirm(plan))) == [f"remove {name}/0" for name in NAMES[:4]]
    other = desired(*fleet(NAMES[5:]), removed=NAMES[:5])
    assert kinds(planned(other, have, confirm(plan))) == []


@pytest.mark.parametrize(("kept", "removed"), [(3, 3), (4, 4)])
def test_half_of_them_or_three_may_always_go(kept: int, removed: int) -> None:
    names = tuple(f"w{number}" for number in range(kept + removed))
    plan = planned(desired(*fleet(names[:kept]), removed=names[kept:]), observed(*running(fleet(names))))
    assert len(plan.actions) == removed
    assert plan.holds == ()


def test_a_small_fleet_may_go_as_a_whole() -> None:
    plan = planned(desired(removed=NAMES[:3]), observed(*running(fleet(NAMES[:3]))))
    assert len(plan.actions) == 3


def test_workers_without_a_spec_and_broken_ones_count_as_known() -> None:
    want = Desired(removed=desired(removed=NAMES[:4]).removed, broken={"broken": ()})
    have = observed(*running(fleet(NAMES[:4])), *(seen(worker(name)) for name in ("lost", "lost2", "lost3")))
    assert prune_guard(want, have) is None
    assert prune_guard(want, observed(*running(fleet(NAMES[:4])))) is not None


def test_a_confirmed_removal_goes_on_while_its_workers_disappear() -> None:
    want = desired(removed=NAMES)
    plan = planned(want, observed(*running(fleet())))
    assert kinds(plan) == []
    rest = observed(*(removing(slot) for slot in running(fleet(NAMES[:1]))), *running(fleet(NAMES[1:])))
    assert kinds(planned(want, rest, confirm(plan))) == [f"remove {name}/0" for name in NAMES[1:]]


def test_a_guard_cannot_be_passed_in_small_turns() -> None:
    want, have = desired(removed=NAMES), observed(*running(fleet()))
    for name in NAMES:
        assert kinds(planned(want, have, only=frozenset({name}))) == []


# --- what nobody knows of --------------------------------------------------------------------------------------------


def test_workers_without_a_spec_go_when_a_person_confirms_exactly_these() -> None:
    want, have = desired(*fleet(NAMES[:1])), observed(*running(fleet()))
    confirmed = confirm(planned(want, have))
    assert kinds(planned(want, have)) == []
    assert kinds(planned(want, have, confirmed)) == [f"remove {name}/0" for name in NAMES[1:]]
    assert kinds(planned(want, have, confirmed, only=frozenset({"w3"}))) == ["remove w3/0"]
    one_more = observed(*running(fleet()), seen(worker("found")))
    assert (kinds(planned(want, one_more, confirmed)), len(planned(want, one_more).holds)) == ([], 6)


def test_what_goes_with_a_confirmation_needs_no_other_one_on_its_way() -> None:
    have = observed(*running(fleet(NAMES[:2])))
    confirmed = confirm(planned(desired(), have))
    halfway = observed(removing(row(worker("w0"))[0]), *running(fleet(NAMES[1:2])))
    assert kinds(planned(desired(), halfway, confirmed)) == ["remove w1/0"]
    assert lost_guard(desired(), observed(removing(row(worker("w0"))[0]))) is None


def test_while_the_source_is_held_what_has_no_spec_cannot_be_confirmed() -> None:
    have = observed(*running(fleet(NAMES[:2])))
    confirmed = confirm(planned(desired(), have))
    held = planned(desired(hold_reason="the directory is away"), have, confirmed)
    assert (kinds(held), {hold.confirm for hold in held.holds}) == ([], {""})


def test_the_guards_that_stand_are_named_whether_confirmed_or_not() -> None:
    want = desired(*fleet(NAMES[4:]), removed=NAMES[:4])
    have = observed(*running(fleet()), seen(worker("lost")))
    found = frozenset(guard.digest for guard in (prune_guard(want, have), lost_guard(want, have)) if guard)
    assert (standing(want, have), len(found)) == (found, 2)
    assert standing(desired(*fleet()), observed(*running(fleet()))) == frozenset()


# --- replacements ----------------------------------------------------------------------------------------------------


def test_replacing_most_of_the_running_workers_waits_for_a_confirmation() -> None:
    before, after = fleet(replicas=2), fleet(replicas=2, env={"A": "1"})
    want, have = desired(*after), observed(*running(before))
    plan = planned(want, have)
    guard = mass_restart_guard(want, have)
    assert guard is not None
    assert str(plan) == "\n".join(
        f"hold     {name}: MassRestartGuard: one change would give 6 of 6 workers another revision and restart what "
        f"runs; all of them stay as they are until it is confirmed or undone; env.A: unset -> '1' (restart) "
        f"[confirm {guard.digest}]"
        for name in NAMES
    )
    assert kinds(planned(want, have, confirm(plan))) == [f"replace {name}/0" for name in NAMES]
    assert kinds(planned(want, have, only=frozenset({"w3"}))) == []


def test_a_confirmed_rollout_is_not_guarded_again_on_its_way() -> None:
    before, after = fleet(replicas=2), fleet(replicas=2, env={"A": "1"})
    on_the_way = [seen(entry, 0) for entry in after] + [seen(entry, 1) for entry in before]
    plan = planned(desired(*after), observed(*on_the_way))
    assert kinds(plan) == [f"replace {name}/1" for name in NAMES]


def test_nothing_of_a_guarded_revision_gets_in_by_another_door() -> None:
    """Otherwise a new or crashed instance at the new revision would count as the beginning of a confirmed rollout."""
    before, after = fleet(replicas=2), fleet(replicas=4, env={"A": "1"})
    slots = [seen(entry, 0) for entry in before] + [seen(entry, 1, Status.CRASHED) for entry in before]
    assert kinds(planned(desired(*after), observed(*slots))) == []


def test_a_guard_leaves_other_changes_of_the_same_turn_alone() -> None:
    before, after = fleet(NAMES[:4]), fleet(NAMES[:4], env={"A": "1"})
    plan = planned(desired(*after, worker("new")), observed(*running(before)))
    assert kinds(plan) == ["create new/0"]
    assert [hold.worker_id for hold in plan.holds] == list(NAMES[:4])


def test_stopping_everything_is_no_mass_restart() -> None:
    stopping = fleet(env={"A": "1"}, desired_state="stopped")
    plan = planned(desired(*stopping), observed(*running(fleet())))
    assert kinds(plan) == [f"stop {name}/0" for name in NAMES]
    stopped = [seen(entry, status=Status.STOPPED, wanted="stopped") for entry in fleet()]
    assert kinds(planned(desired(*stopping), observed(*stopped))) == [f"update {name}/0" for name in NAMES]


@pytest.mark.parametrize("status", [Status.CRASHED, Status.STARTING, Status.ERROR, Status.STOPPED, Status.UNKNOWN])
@pytest.mark.parametrize("killed", [2, 5])
def test_a_hold_does_not_dissolve_while_its_workers_are_down(killed: int, status: Status) -> None:
    before, after = fleet(NAMES[:5]), [*fleet(NAMES[:4], env={"A": "1"}), *fleet(NAMES[4:5])]
    guard = mass_restart_guard(desired(*after), observed(*running(before)))
    assert guard is not None
    slots = [seen(entry, status=status) for entry in before[:killed]] + running(before[killed:])
    assert mass_restart_guard(desired(*after), observed(*slots)) == guard
    assert kinds(planned(desired(*after), observed(*slots))) == []
    assert kinds(planned(desired(*after), observed(*slots), only=frozenset({"w0"}))) == []


def test_stopping_one_held_worker_releases_no_other() -> None:
    before, changed = fleet(NAMES[:5]), fleet(NAMES[:4], env={"A": "1"})
    stopped = worker("w0", env={"A": "1"}, desired_state="stopped")
    want = desired(stopped, *changed[1:], before[4])
    assert kinds(planned(want, observed(*running(before)))) == ["stop w0/0"]
    down = seen(stopped, status=Status.STOPPED, wanted="stopped")
    plan = planned(want, observed(down, *running(before[1:])))
    assert kinds(plan) == []
    assert [hold.worker_id for hold in plan.holds] == ["w1", "w2", "w3"]
    assert kinds(planned(want, observed(down, *running(before[1:])), confirm(plan))) == [
        f"replace {name}/0" for name in NAMES[1:4]
    ]


def test_a_worker_that_was_stopped_for_other_reasons_makes_no_change_larger() -> None:
    stopped = fleet(NAMES[3:], env={"B": "1"}, desired_state="stopped")
    have = observed(
        *running(fleet(NAMES[:3])), *(seen(one, status=Status.STOPPED, wanted="stopped") for one in stopped)
    )
    plan = planned(desired(*fleet(NAMES[:3], env={"A": "1"}), *stopped), have)
    assert kinds(plan) == [f"replace {name}/0" for name in NAMES[:3]]


def test_taking_the_change_back_ends_the_hold_and_leaves_all_as_they_are() -> None:
    have = observed(*running(fleet()))
    assert planned(desired(*fleet(env={"A": "1"})), have).holds != ()
    assert str(planned(desired(*fleet()), have)) == ""


def test_a_confirmation_lasts_to_the_last_worker_and_not_beyond_the_next_edit() -> None:
    before, after = fleet(), fleet(env={"A": "1"})
    confirmed = confirm(planned(desired(*after), observed(*running(before))))
    for done in range(1, 6):
        halfway = observed(*running(after[:done]), *running(before[done:]))
        plan = planned(desired(*after), halfway, confirmed)
        assert kinds(plan) == [f"replace {name}/0" for name in NAMES[done:]]
        assert plan.holds == ()
    again = planned(desired(*fleet(env={"A": "2"})), observed(*running(after)), confirmed)
    assert (kinds(again), len(again.holds)) == ([], 6)


def test_one_worker_with_many_replicas_is_no_mass_restart() -> None:
    before, after = worker(replicas=20), worker(replicas=20, env={"A": "1"})
    assert kinds(planned(desired(after), observed(*row(before)))) == ["replace web/0"]


def test_a_confirmed_removal_survives_that_finished_ones_are_forgotten() -> None:
    confirmed = confirm(planned(desired(removed=NAMES), observed(*running(fleet()))))
    rest = planned(desired(removed=NAMES[1:]), observed(*running(fleet(NAMES[1:]))), confirmed)
    assert kinds(rest) == [f"remove {name}/0" for name in NAMES[1:]]


def test_auto_start_false_counts_where_it_was_left_running() -> None:
    lazy = fleet(auto_start=False, env={"A": "1"})
    have = [replace(slot, wanted="running") for slot in running(fleet())]
    assert mass_restart_guard(desired(*lazy), observed(*have)) is not None
    left = [replace(slot, wanted="stopped") for slot in running(fleet())]
    assert mass_restart_guard(desired(*lazy), observed(*left)) is None


def test_memories_of_a_silent_host_count_and_slots_that_are_not_wanted_do_not() -> None:
    after = fleet(env={"A": "1"})
    slots = running(fleet())
    assert mass_restart_guard(desired(*after), observed(*slots, reachable=False)) is not None
    assert mass_restart_guard(desired(*after), Observed(hosts={"beta": view(*slots)})) is None
    surplus = [seen(entry, 3, revision="1-0000000000") for entry in after]
    assert mass_restart_guard(desired(*after), observed(*surplus)) is None
    assert mass_restart_guard(desired(), Observed(hosts={"localhost": HostView(reachable=True)})) is None


def test_restarts_that_a_person_asks_for_one_by_one_are_not_guarded() -> None:
    intents = Intents(runs={name: wish(name).runs[name] for name in NAMES})
    plan = planned(desired(*fleet()), observed(*running(fleet())), intents)
    assert kinds(plan) == [f"restart {name}/0" for name in NAMES]


# --- what is kept stopped or running for a while -------------------------------------------------------------------


def keeping(wanted: Literal["running", "stopped"], *names: str, until: float = NOW + 60) -> Intents:
    return Intents(keeps={name: Keep(worker_id=name, wanted=wanted, until=until, at=NOW) for name in names})


def test_what_is_kept_stopped_needs_no_guard_by_itself_and_counts_beside_what_runs() -> None:
    after = fleet(env={"A": "1"})
    down = [seen(entry, status=Status.STOPPED, wanted="stopped") for entry in fleet(NAMES[3:])]
    kept = keeping("stopped", *NAMES[3:])
    nothing_runs = [seen(entry, status=Status.STOPPED, wanted="stopped") for entry in fleet()]
    assert kinds(planned(desired(*after), observed(*nothing_runs), keeping("stopped", *NAMES))) == [
        f"update {name}/0" for name in NAMES
    ]
    held = planned(desired(*after), observed(*running(fleet(NAMES[:3])), *down), kept)
    assert {hold.worker_id for hold in held.holds if hold.confirm} == set(NAMES), "they would start with it"


def test_what_is_kept_running_is_part_of_a_mass_restart_though_its_spec_says_stopped() -> None:
    after = fleet(NAMES[:4], env={"A": "1"}, desired_state="stopped")
    have = observed(*running(fleet(NAMES[:4])))
    assert kinds(planned(desired(*after), have)) == [f"stop {name}/0" for name in NAMES[:4]]
    plan = planned(desired(*after), have, keeping("running", *NAMES[:4]))
    assert kinds(plan) == []
    assert {hold.worker_id for hold in plan.holds if hold.reason == "MassRestartGuard"} == set(NAMES[:4])
    confirmed = replace(keeping("running", *NAMES[:4]), confirmed=confirm(plan).confirmed)
    assert kinds(planned(desired(*after), have, confirmed)) == [f"replace {name}/0" for name in NAMES[:4]]


def test_keeping_one_held_worker_stopped_releases_no_other() -> None:
    before, changed = fleet(NAMES[:5]), [*fleet(NAMES[:4], env={"A": "1"}), worker("w4")]
    kept = keeping("stopped", "w0")
    assert kinds(planned(desired(*changed), observed(*running(before)), kept)) == ["stop w0/0"]
    down = seen(changed[0], status=Status.STOPPED, wanted="stopped")
    plan = planned(desired(*changed), observed(down, *running(before[1:])), kept)
    assert kinds(plan) == []
    assert {hold.worker_id for hold in plan.holds if hold.confirm} == {"w1", "w2", "w3"}
    want = with_keeps(desired(*changed), kept, NOW)
    assert standing(want, observed(down, *running(before[1:]))) == confirm(plan).confirmed


def test_what_is_kept_stopped_is_removed_under_the_same_guard_as_all_others() -> None:
    have = observed(*(seen(entry, status=Status.STOPPED, wanted="stopped") for entry in fleet()))
    plan = planned(desired(*fleet(NAMES[4:]), removed=NAMES[:4]), have, keeping("stopped", *NAMES))
    assert kinds(plan) == []
    assert {hold.worker_id for hold in plan.holds if hold.reason == "PruneGuard"} == set(NAMES[:4])
