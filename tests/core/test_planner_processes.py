"""What a plan does not start yet, for want of a dependency, a limit or a secret, and what it starts all the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.desired import Desired, DesiredWorker
from controller.core.intents import Intents
from controller.core.observed import HostView, Observed, ObservedInstance, Status
from controller.core.plan import Plan
from controller.core.planner import plan
from tests.core.core_builders import (
    NOW,
    desired,
    observed,
    planned,
    refusals,
    row,
    seen,
    wish,
    worker,
)
from tests.fakes.obedient_world import ObedientWorld

DB = worker("database")
WEB = worker(depends_on={"database": "ready"}, replicas=2)
BOTH = desired(DB, WEB)


def held(want: Desired, *slots: ObservedInstance, **fields: Any) -> str:
    """All that a plan does and does not, on localhost."""
    return str(planned(want, observed(*slots, **fields)))


# --- dependencies ------------------------------------------------------------------------------------------------


def test_a_new_worker_waits_for_what_it_depends_on() -> None:
    assert held(BOTH) == (
        "create   database/0: not there yet\n"
        "hold     web: WaitsFor: waits for database to be ready (database/0 is not there yet)"
    )
    assert held(BOTH, seen(DB, 0, Status.STARTING)) == (
        "hold     web: WaitsFor: waits for database to be ready (database/0 is starting)"
    )
    assert held(BOTH, seen(DB, ready=False)) == (
        "hold     web: WaitsFor: waits for database to be ready (database/0 is running but not ready)"
    )
    assert held(BOTH, seen(DB, ready=True)) == "create   web/0: not there yet\ncreate   web/1: not there yet"


def test_a_stopped_worker_waits_when_it_is_started() -> None:
    web = worker(depends_on={"database": "started"})
    down = seen(web, 0, Status.STOPPED, wanted="stopped")
    assert held(desired(DB, web), down, seen(DB, 0, Status.CRASHED)) == (
        "hold     web: WaitsFor: waits for database to be started (database/0 is crashed)"
    )
    assert held(desired(DB, web), down, seen(DB, ready=False)) == "start    web/0: auto_start: true"


def test_a_wish_to_start_waits_too_and_is_kept() -> None:
    failed = seen(WEB, 0, Status.ERROR, since=NOW - 60)
    made = planned(BOTH, observed(failed, seen(WEB, 1), seen(DB, ready=False)), wish(kind="start"))
    assert str(made) == (
        "hold     web: WaitsFor: web/0 waits for database to be ready (database/0 is running but not ready)"
    )


def test_every_dependency_is_named_and_a_spec_that_is_not_there_may_still_come() -> None:
    web = worker(depends_on={"queue": "started", "database": "ready", "disk": "started"})
    assert held(desired(DB, web, worker("disk")), seen(worker("disk"))) == (
        "create   database/0: not there yet\n"
        "hold     web: WaitsFor: waits for database to be ready (database/0 is not there yet) "
        "and for queue to be started (it is not known: no spec has that name)"
    )


def test_what_runs_goes_on_whatever_becomes_of_its_dependency() -> None:
    stopped = worker("database", desired_state="stopped")
    assert held(desired(stopped, WEB), *row(WEB), seen(stopped, 0, Status.STOPPED, wanted="stopped")) == (
        "hold     web: DependencyDown: database, which it depends on, is stopped: its spec says desired_state: stopped"
    )
    assert held(desired(WEB, removed=["database"]), *row(WEB)) == (
        "hold     web: DependencyDown: database, which it depends on, is removed"
    )
    assert held(BOTH, *row(WEB), seen(DB, 0, Status.CRASHED)) == ""
    assert held(BOTH, seen(WEB, 0, Status.CRASHED), seen(WEB, 1, Status.STOPPED), seen(DB, 0, Status.ERROR)) == ""


def test_edits_restarts_and_new_settings_wait_for_nobody() -> None:
    down = seen(DB, 0, Status.STARTING)
    edited = worker(depends_on={"database": "ready"}, replicas=2, command=["v2"])
    tuned = worker(depends_on={"database": "ready"}, replicas=2, start_grace_ms=5)
    assert held(desired(DB, edited), *row(WEB), down).splitlines()[0].startswith("replace  web/0: spec changed")
    assert held(desired(DB, tuned), *row(WEB), down).splitlines()[0].startswith("update   web/0: spec changed")
    asked = planned(BOTH, observed(*row(WEB), down), wish())
    assert str(asked.actions[0]) == "restart  web/0: restart asked for by alice"
    failed = planned(desired(DB, edited), observed(seen(WEB, 0, Status.ERROR), seen(WEB, 1, Status.CRASHED), down))
    assert [action.kind.value for action in failed.actions] == ["replace", "replace"]


def test_more_replicas_wait_and_say_which() -> None:
    assert held(BOTH, seen(WEB), seen(DB, 0, Status.STOPPING)) == (
        "hold     web: WaitsFor: web/1 waits for database to be ready (database/0 is stopping)"
    )


def test_a_slot_that_is_to_stay_stopped_waits_for_nobody() -> None:
    web = worker(depends_on={"database": "ready"}, desired_state="stopped")
    assert held(desired(web)) == "create   web/0: not there yet, stopped by desired_state: stopped"


def test_a_dependency_is_looked_at_in_a_turn_about_somebody_else() -> None:
    made = planned(BOTH, observed(seen(DB, ready=False)), only=frozenset({"web"}))
    assert [hold.reason for hold in made.holds] == ["WaitsFor"]
    assert made.next_wake is None


def test_a_circle_makes_its_workers_wait_and_nothing_else() -> None:
    want = desired(worker("a", depends_on={"b": "started"}), worker("b", depends_on={"a": "started"}))
    assert held(want) == (
        "hold     a: WaitsFor: waits for b to be started (b/0 is not there yet)\n"
        "hold     b: WaitsFor: waits for a to be started (a/0 is not there yet)"
    )


# --- limits ------------------------------------------------------------------------------------------------------

STRICT = worker(limits={"memory_bytes": 2**30, "nice": 5})


def test_nothing_starts_under_a_limit_that_its_host_cannot_enforce() -> None:
    told = "hold     web: LimitUnsupported: web/0 not started: localhost cannot enforce limits.memory_bytes"
    assert held(desired(STRICT), enforceable=frozenset({"nofile", "nice"})) == told
    assert held(desired(STRICT), enforceable=frozenset()) == f"{told}, limits.nice"
    assert held(desired(STRICT)) == (
        "hold     web: LimitUnsupported: web/0 not started: localhost has not said which it can enforce"
    )
    assert held(desired(STRICT), enforceable=frozenset({"memory_bytes", "nice"})) == "create   web/0: not there yet"


def test_best_effort_starts_without_it() -> None:
    lax = worker(limits={"cpu": 1, "enforce": "best_effort"})
    assert held(desired(lax)) == "create   web/0: not there yet"


def test_what_runs_without_a_limit_says_so() -> None:
    lax = worker(limits={"cpu": 1, "nice": 5, "enforce": "best_effort"})
    told = "hold     web: LimitIgnored: without limits.cpu, which localhost cannot enforce"
    assert held(desired(lax), seen(lax), enforceable=frozenset({"nice"})) == told
    assert held(desired(lax), seen(lax), enforceable=frozenset({"nice", "cpu"})) == ""
    assert held(desired(lax), seen(lax)) == ""
    assert held(desired(STRICT), seen(STRICT), enforceable=frozenset()) == ""


def test_what_runs_already_stays_and_takes_new_settings() -> None:
    before = worker()
    after = worker(limits={"cpu": 1}, start_grace_ms=5)
    assert held(desired(after), seen(before), enforceable=frozenset({"nice"})) == (
        "hold     web: LimitUnsupported: web/0 not started: localhost cannot enforce limits.cpu; "
        "limits.cpu: unset -> 1.0 (restart); start_grace_ms: unset -> 5 (in_place)"
    )
    tuned = worker(limits={"cpu": 1}, start_grace_ms=7)
    made = planned(desired(tuned), observed(seen(after), enforceable=frozenset()), wish())
    assert [str(entry) for entry in made.actions] == [
        "update   web/0: spec changed; start_grace_ms: 5 -> 7 (in_place)",
    ]
    assert [hold.reason for hold in made.holds] == ["LimitUnsupported"]
    assert held(desired(tuned), seen(after), enforceable=frozenset()).startswith("update   web/0: spec changed")


def test_a_refused_launch_is_not_held_twice() -> None:
    after = worker(limits={"nice": 1})
    have = observed(seen(worker()), **refusals(after, 0, at=NOW), enforceable=frozenset())
    assert [hold.reason for hold in planned(desired(after), have).holds] == ["CannotStart"]


def test_a_stop_needs_no_limits() -> None:
    stopped = worker(limits={"cpu": 1}, desired_state="stopped")
    assert held(desired(stopped), seen(stopped)) == "stop     web/0: desired_state: stopped"


# --- secrets -----------------------------------------------------------------------------------------------------

SECRET = worker(secrets={"PASSWORD": {"env": "DB_PASSWORD"}})


def lost(of: DesiredWorker, **fields: Any) -> ObservedInstance:
    return seen(of, 0, Status.STOPPED, reason="SecretsMissing", message="PASSWORD", **fields)


def test_lost_secrets_are_brought_again() -> None:
    assert held(desired(SECRET), lost(SECRET)) == "start    web/0: brings the secrets that its host does not have"
    assert held(desired(SECRET), seen(SECRET, 0, Status.STOPPED, reason="Completed")) == ""


def test_an_edit_brings_them_too_and_a_stopped_worker_needs_none() -> None:
    edited = worker(secrets={"PASSWORD": {"env": "DB_PASSWORD"}}, command=["v2"])
    assert held(desired(edited), lost(SECRET)).startswith("replace  web/0: spec changed")
    stopped = worker(secrets={"PASSWORD": {"env": "DB_PASSWORD"}}, desired_state="stopped")
    assert held(desired(stopped), lost(stopped, wanted="stopped")) == ""


def test_secrets_that_we_do_not_have_are_not_brought() -> None:
    plain = worker()
    assert held(desired(plain), lost(plain)) == ""


def test_after_a_reboot_secrets_and_dependencies_go_together() -> None:
    web = worker(secrets={"PASSWORD": {"env": "DB_PASSWORD"}}, depends_on={"database": "started"})
    assert held(desired(DB, web), lost(web), seen(DB, 0, Status.STARTING)) == (
        "hold     web: WaitsFor: waits for database to be started (database/0 is starting)"
    )


# --- in a world that obeys ---------------------------------------------------------------------------------------

CHAIN = desired(
    worker("a", depends_on={"b": "ready", "c": "started"}, replicas=2),
    worker("b", depends_on={"d": "started"}, secrets={"P": {"env": "DB_PASSWORD"}}),
    worker("c", depends_on={"d": "ready"}, limits={"nice": 1}),
    worker("d", replicas=2),
)


def turns(world: ObedientWorld, want: Desired, most: int = 30) -> list[Plan]:
    """Turns until the plan is empty and nothing moves."""
    made: list[Plan] = []
    for _ in range(most):
        before = dict(world.slots)
        made.append(plan(want, world.observe(), Intents(), now=world.clock.now))
        world.execute(made[-1], want)
        world.pass_time()
        if not made[-1].actions and world.slots == before:
            return made
    raise AssertionError(f"no end in sight: {made[-1]}")


def starts(made: list[Plan]) -> list[str]:
    return [action.instance for entry in made for action in entry.actions]


@pytest.mark.parametrize("slow", [frozenset(), frozenset({"b"}), frozenset({"d"})])
def test_a_fleet_comes_up_in_the_order_of_its_dependencies(slow: frozenset[str]) -> None:
    world = ObedientWorld(slow=slow)
    order = starts(turns(world, CHAIN))
    assert (order[:2], order[-2:], len(order)) == (["d/0", "d/1"], ["a/0", "a/1"], 6)
    assert set(order[2:4]) == {"b/0", "c/0"}
    assert turns(world, CHAIN)[0].holds == ()


def test_after_a_reboot_what_lost_its_secrets_is_started_again() -> None:
    world = ObedientWorld()
    turns(world, CHAIN)
    world.reboot(with_secrets=frozenset({"b"}))
    assert starts(turns(world, CHAIN)) == ["b/0"]
    assert sorted(world.running()) == ["a/0", "a/1", "b/0", "c/0", "d/0", "d/1"]


@given(st.data())
def test_dependencies_without_a_circle_never_keep_a_fleet_down(data: st.DataObject) -> None:
    names = "abcdef"
    needs: Mapping[str, dict[str, str]] = {
        name: {
            other: data.draw(st.sampled_from(["started", "ready"]))
            for other in data.draw(st.sets(st.sampled_from(names[:index]), max_size=3) if index else st.just(set()))
        }
        for index, name in enumerate(names)
    }
    want = desired(*(worker(name, depends_on=needs[name]) for name in names))
    world = ObedientWorld(slow=frozenset(data.draw(st.sets(st.sampled_from(names)))))
    turns(world, want)
    assert sorted(world.running()) == [f"{name}/0" for name in names]


def test_a_host_that_says_nothing_new_keeps_what_it_had() -> None:
    have = Observed(hosts={"localhost": HostView(reachable=False, enforceable=frozenset({"cpu"}))})
    assert str(planned(desired(STRICT), have)) == "hold     *: HostUnreachable: localhost cannot be asked: no answer"
