"""What the planner deliberately does not do, and why: refusals, and all that is not known."""

from __future__ import annotations

from dataclasses import replace

from controller.core.desired import Desired
from controller.core.guards import lost_guard
from controller.core.intents import Intents
from controller.core.observed import Observed, Status
from controller.core.plan import ActionKind
from tests.core.core_builders import (
    NOW,
    desired,
    observed,
    planned,
    problem,
    refusals,
    row,
    seen,
    view,
    wish,
    worker,
)

OLD = worker(command=["run", "v1"], replicas=3)
NEW = worker(command=["run", "v2"], replicas=3)
CHANGE = "command: ['run', 'v1'] -> ['run', 'v2'] (restart)"


# --- refusals --------------------------------------------------------------------------------------------------------


def test_a_refused_launch_leaves_the_old_run_and_is_offered_again_later() -> None:
    have = observed(*row(OLD), **refusals(NEW, 0, at=NOW - 10))
    plan = planned(desired(NEW), have)
    assert str(plan) == f"hold     web: CannotStart: web/0 stays as it is: no such command: run; {CHANGE}"
    assert plan.next_wake == plan.holds[0].until == NOW + 20
    again = planned(desired(NEW), have, now=NOW + 20)
    assert [action.instance for action in again.actions] == ["web/0"]
    assert again.next_wake is None


def test_a_refusal_of_another_launch_does_not_count() -> None:
    plan = planned(desired(NEW), observed(*row(OLD), **refusals(OLD, 0, at=NOW)))
    assert [action.instance for action in plan.actions] == ["web/0"]


def test_a_refused_restart_still_takes_new_settings() -> None:
    after = worker(command=["run", "v1"], replicas=1, start_grace_ms=5)
    plan = planned(desired(after), observed(seen(OLD), **refusals(after, 0, at=NOW)), wish())
    assert str(plan) == (
        "update   web/0: spec changed; start_grace_ms: unset -> 5 (in_place)\n"
        "hold     web: CannotStart: web/0 stays as it is: no such command: run"
    )
    assert plan.actions[0].run_request == 0


# --- unknown is not absent -------------------------------------------------------------------------------------------


def test_nothing_is_planned_on_an_unreachable_host() -> None:
    have = observed(*row(OLD), reachable=False, message="connection refused")
    assert (
        str(planned(desired(NEW), have)) == "hold     *: HostUnreachable: localhost cannot be asked: connection refused"
    )
    assert str(planned(desired(removed=["web"]), observed(*row(OLD), reachable=False))) == (
        "hold     *: HostUnreachable: localhost cannot be asked: no answer"
    )


def test_nothing_is_planned_on_a_host_that_has_told_nothing_yet() -> None:
    assert str(planned(desired(NEW), Observed())) == "hold     *: HostUnknown: localhost has told nothing yet"


def test_a_slot_whose_state_is_not_known_is_left_alone_and_nothing_is_risked_beside_it() -> None:
    have = observed(seen(OLD, 0, Status.UNKNOWN, message="its record is unreadable"), seen(OLD, 1), seen(OLD, 2))
    assert str(planned(desired(NEW), have)) == (
        f"hold     web: RolloutPaced: one at a time: web/1, web/2 after web/0; {CHANGE}\n"
        "hold     web: StateUnknown: web/0 is left alone: its record is unreadable"
    )
    assert str(planned(desired(removed=["web"]), observed(seen(OLD, 0, Status.UNKNOWN)))) == (
        "hold     web: StateUnknown: web/0 is not removed: its state is not known"
    )


def test_a_slot_without_a_readable_spec_is_held() -> None:
    have = observed(*row(OLD))
    guard = lost_guard(desired(), have)
    assert guard is not None
    text = "hold     web: NoSpec: no spec is known, and no proof that it was removed: web/0, web/1, web/2 stay"
    assert str(planned(desired(), have)) == f"{text} [confirm {guard.digest}]"
    unread = replace(problem(), worker_id=None)
    assert str(planned(desired(problems=(problem(), unread)), have)) == (
        f"{text}; it may be in web.yaml, which cannot be understood now [confirm {guard.digest}]"
    )
    assert text in str(planned(desired(hold_reason="the directory is away"), have)).splitlines()


def test_a_broken_worker_without_a_good_spec_is_held() -> None:
    want = Desired(broken={"web": (problem(), problem())})
    text = "hold     web: SpecInvalid: no good spec is known: web.yaml:4:7: expected an integer (and 1 more)"
    assert str(planned(want, observed(*row(OLD)))) == text
    assert str(planned(want, observed())) == text
    assert str(planned(Desired(broken={"web": ()}), observed())) == (
        "hold     web: SpecInvalid: no good spec is known: its file cannot be read"
    )


def test_nothing_of_a_worker_is_begun_while_its_document_is_not_there() -> None:
    """It is known from before only: to create it would bring a removed worker back until the next look is certain."""
    absent = replace(NEW, absent="web.yaml is gone")
    why = "web.yaml is gone: nothing of it is begun until it is certain whether it was removed"
    assert str(planned(desired(absent), observed())) == f"hold     web: SpecAbsent: {why}"
    assert str(planned(desired(absent), observed(*row(OLD)))) == f"hold     web: SpecAbsent: {why}"
    assert str(planned(desired(replace(OLD, absent="web.yaml is gone")), observed(*row(OLD)))) == ""


def test_a_stale_worker_goes_on_at_its_last_good_spec() -> None:
    stale = worker(command=["run", "v1"], replicas=3, problems=(problem(),))
    assert str(planned(desired(stale), observed(*row(OLD, 2)))) == (
        "create   web/2: replicas 2 -> 3\n"
        "hold     web: SpecInvalid: the last good spec goes on: web.yaml:4:7: expected an integer"
    )


def test_while_the_source_cannot_be_trusted_nothing_is_removed_and_the_rest_goes_on() -> None:
    both = replace(desired(worker("api"), worker()), removed=desired(removed=["old"]).removed)
    want = replace(both, hold_reason="the directory is empty", hold_digest="abc123")
    have = observed(*row(worker(), 1), *(seen(worker(), ordinal) for ordinal in (1, 2)), seen(worker("old")))
    assert str(planned(want, have)) == (
        "create   api/0: not there yet\n"
        "hold     *: SourceHeld: the directory is empty; nothing is removed meanwhile [confirm abc123]\n"
        "hold     old: SourceHeld: old/0 stay: the directory is empty\n"
        "hold     web: SourceHeld: web/1, web/2 stay: the directory is empty"
    )
    confirmed = planned(want, have, Intents(confirmed=frozenset({"abc123"})))
    assert sorted(action.instance for action in confirmed.actions if action.kind is ActionKind.REMOVE) == [
        "old/0", "web/1", "web/2",
    ]  # fmt: skip


def test_a_worker_is_not_moved_to_another_host() -> None:
    moved = worker(host="beta")
    have = Observed(hosts={"localhost": view(seen(worker())), "beta": view()})
    assert str(planned(desired(moved), have)) == (
        "hold     web: HostChanged: lives on localhost, the spec says beta; it is not moved"
    )
