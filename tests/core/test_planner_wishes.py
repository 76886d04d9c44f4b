"""What people ask for beside the specs: restarts and starts, each served once."""

from __future__ import annotations

from controller.core.observed import Status
from tests.core.core_builders import (
    NOW,
    desired,
    observed,
    planned,
    row,
    seen,
    wish,
    worker,
)

OLD = worker(command=["run", "v1"], replicas=3)
NEW = worker(command=["run", "v2"], replicas=3)


def test_a_restart_goes_one_at_a_time_and_is_served_once() -> None:
    two = worker(replicas=2)
    plan = planned(desired(two), observed(*row(two)), wish(reason="new certificate"))
    assert str(plan) == (
        "restart  web/0: restart asked for by alice: new certificate\n"
        "hold     web: RolloutPaced: one at a time: web/1 after web/0"
    )
    assert plan.actions[0].run_request == 7
    assert str(planned(desired(two), observed(*row(two, run_request=7)), wish())) == ""


def test_a_restart_reaches_what_is_down_at_once() -> None:
    for status in (Status.CRASHED, Status.ERROR, Status.STOPPED):
        plan = planned(desired(worker()), observed(seen(worker(), status=status)), wish())
        assert str(plan) == "restart  web/0: restart asked for by alice"


def test_new_settings_do_not_wait_for_a_restart_to_have_its_turn() -> None:
    after = worker(command=["run", "v1"], replicas=2, start_grace_ms=5)
    plan = planned(desired(after), observed(*row(OLD, 2)), wish())
    assert [(action.kind.value, action.instance, action.run_request) for action in plan.actions] == [
        ("update", "web/1", 0), ("restart", "web/0", 7),
    ]  # fmt: skip


def test_a_replacement_serves_a_restart_too() -> None:
    plan = planned(desired(worker(command=["run", "v2"])), observed(seen(OLD)), wish())
    assert [(action.kind.value, action.run_request) for action in plan.actions] == [("replace", 7)]


def test_an_old_restart_does_not_restart_a_new_slot() -> None:
    plan = planned(desired(worker()), observed(), wish())
    assert [(action.kind.value, action.run_request) for action in plan.actions] == [("create", 7)]
    lazy = planned(desired(worker(auto_start=False)), observed(), wish())
    assert str(lazy) == "create   web/0: not there yet, stopped by auto_start: false"


def test_a_start_is_for_those_that_are_down() -> None:
    two = worker(replicas=2)
    have = observed(seen(two), seen(two, 1, Status.ERROR))
    plan = planned(desired(two), have, wish(kind="start"))
    assert str(plan) == "start    web/1: start asked for by alice"
    assert plan.actions[0].run_request == 7


def test_a_start_that_nobody_took_away_does_not_revive_what_gave_up_later() -> None:
    failed = seen(worker(), status=Status.ERROR, since=NOW + 60)
    assert str(planned(desired(worker()), observed(failed), wish(kind="start"), now=NOW + 61)) == ""


def test_a_start_or_restart_starts_what_auto_start_left_alone() -> None:
    lazy = worker(auto_start=False)
    down = observed(seen(lazy, status=Status.STOPPED, wanted="stopped"))
    assert str(planned(desired(lazy), down, wish(kind="start"))) == "start    web/0: start asked for by alice"
    assert str(planned(desired(lazy), down, wish())) == "start    web/0: restart asked for by alice"
    new = planned(desired(lazy), observed(), wish(kind="start"))
    assert (str(new), new.actions[0].wanted) == ("create   web/0: not there yet", "running")


def test_a_wish_for_what_is_to_be_stopped_is_held_and_stays_a_wish() -> None:
    stopped = worker(desired_state="stopped")
    down = observed(seen(stopped, status=Status.STOPPED, wanted="stopped"))
    assert str(planned(desired(stopped), down, wish())) == (
        "hold     web: WantedStopped: no restart of web/0: desired_state is stopped"
    )
    stop = planned(desired(stopped), observed(seen(stopped)), wish())
    assert [(action.kind.value, action.run_request) for action in stop.actions] == [("stop", 0)]


def test_a_failed_neighbour_stalls_a_restart_and_settings_still_arrive() -> None:
    after = worker(command=["run", "v1"], replicas=2, start_grace_ms=5)
    have = observed(seen(after, 0, Status.ERROR, run_request=7), seen(OLD, 1))
    plan = planned(desired(after), have, wish())
    assert str(plan) == (
        "update   web/1: spec changed; start_grace_ms: unset -> 5 (in_place)\n"
        f"hold     web: RolloutStalled: web/0 is in error at {after.revision}; not touched meanwhile: web/1"
    )


def test_a_stop_at_once_is_one_order_also_for_what_takes_its_time_to_stop() -> None:
    off = worker(desired_state="stopped")
    kill = wish(kind="stop", at_once=True, reason="it hangs")
    plan = planned(desired(off), observed(seen(off, wanted="running")), kill)
    assert str(plan) == "stop     web/0: stop at once asked for by alice: it hangs"
    assert [(action.at_once, action.run_request, action.wanted) for action in plan.actions] == [(True, 7, "stopped")]
    slow = seen(off, status=Status.STOPPING, wanted="stopped")
    assert str(planned(desired(off), observed(slow), kill)) == str(plan)
    served = seen(off, status=Status.STOPPING, wanted="stopped", run_request=7)
    assert str(planned(desired(off), observed(served), kill)) == ""
    down = seen(off, status=Status.STOPPED, wanted="stopped")
    assert str(planned(desired(off), observed(down), kill)) == ""


def test_a_stop_at_once_kills_nothing_that_should_run() -> None:
    assert str(planned(desired(worker()), observed(seen(worker())), wish(kind="stop", at_once=True))) == ""


def test_a_restart_at_once_says_so_to_the_supervisor_for_the_slot_that_it_serves() -> None:
    two = worker(replicas=2)
    plan = planned(desired(two), observed(*row(two)), wish(at_once=True))
    assert [(action.instance, action.at_once) for action in plan.actions] == [("web/0", True)]
    assert str(plan).startswith("restart  web/0: restart at once asked for by alice")
