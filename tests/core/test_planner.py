"""What the planner does about one worker: whole plans, as people read them."""

from __future__ import annotations

from dataclasses import replace

from controller.core.observed import Status
from controller.core.plan import Action, ActionKind
from tests.core.core_builders import (
    NOW,
    desired,
    observed,
    planned,
    removing,
    row,
    seen,
    wish,
    worker,
)

OLD = worker(command=["run", "v1"], replicas=3)
NEW = worker(command=["run", "v2"], replicas=3)
CHANGE = "command: ['run', 'v1'] -> ['run', 'v2'] (restart)"


# --- what is not there yet, what is there, what is too much --------------------------------------------------------


def test_a_new_worker_is_created_with_all_its_replicas() -> None:
    plan = planned(desired(worker(replicas=2)), observed())
    assert str(plan) == "create   web/0: not there yet\ncreate   web/1: not there yet"
    assert plan.actions[0] == Action(
        worker_id="web", ordinal=0, host="localhost", kind=ActionKind.CREATE, cause="not there yet", generation=1
    )  # fmt: skip


def test_what_is_as_it_should_be_is_left_alone() -> None:
    assert str(planned(desired(OLD), observed(*row(OLD)))) == ""


def test_replicas_3_to_5_starts_two_and_touches_none() -> None:
    plan = planned(desired(worker(command=["run", "v1"], replicas=5)), observed(*row(OLD)))
    assert str(plan) == "create   web/3: replicas 3 -> 5\ncreate   web/4: replicas 3 -> 5"


def test_replicas_3_to_1_removes_the_highest_ordinals_first() -> None:
    plan = planned(desired(worker(command=["run", "v1"])), observed(*row(OLD)))
    assert str(plan) == "remove   web/2: replicas 3 -> 1\nremove   web/1: replicas 3 -> 1"


def test_a_gap_in_the_row_is_a_slot_that_is_not_there_yet() -> None:
    plan = planned(desired(OLD), observed(seen(OLD, 0), seen(OLD, 2)))
    assert str(plan) == "create   web/1: not there yet"


def test_a_slot_comes_back_above_the_floor_of_its_former_life() -> None:
    plan = planned(desired(worker()), observed(floors={"web/0": 41}))
    assert [action.generation for action in plan.actions] == [42]


def test_a_slot_that_is_still_being_removed_is_waited_for() -> None:
    plan = planned(desired(worker()), observed(removing(seen(worker()))))
    assert str(plan) == "hold     web: Removing: web/0 is still being removed"


def test_a_removed_spec_takes_its_slots_with_it_once() -> None:
    gone = desired(removed=["web"])
    assert str(planned(gone, observed(*row(OLD, 2)))) == (
        "remove   web/1: spec removed: file web.yaml is gone\nremove   web/0: spec removed: file web.yaml is gone"
    )
    assert str(planned(gone, observed(removing(seen(OLD))))) == ""


def test_a_worker_that_is_there_again_is_not_removed() -> None:
    both = replace(desired(OLD), removed=desired(removed=["web"]).removed)
    assert str(planned(both, observed(*row(OLD)))) == ""


# --- wanted or not -------------------------------------------------------------------------------------------------


def test_desired_state_stopped_stops_and_keeps_the_slot() -> None:
    stopped = worker(command=["run", "v1"], desired_state="stopped")
    plan = planned(desired(stopped), observed(seen(stopped)))
    assert str(plan) == "stop     web/0: desired_state: stopped"
    assert plan.actions[0].wanted == "stopped"


def test_a_new_worker_that_is_to_be_stopped_gets_a_stopped_slot() -> None:
    plan = planned(desired(worker(desired_state="stopped")), observed())
    assert str(plan) == "create   web/0: not there yet, stopped by desired_state: stopped"
    assert plan.actions[0].wanted == "stopped"


def test_auto_start_false_creates_a_stopped_slot() -> None:
    plan = planned(desired(worker(auto_start=False)), observed())
    assert str(plan) == "create   web/0: not there yet, stopped by auto_start: false"


def test_auto_start_false_keeps_what_runs_running_and_what_is_stopped_stopped() -> None:
    lazy = worker(auto_start=False, replicas=2)
    assert str(planned(desired(lazy), observed(seen(lazy), seen(lazy, 1, Status.STOPPED, wanted="stopped")))) == ""


def test_more_replicas_of_a_worker_with_auto_start_false_are_created_stopped() -> None:
    lazy = worker(auto_start=False, replicas=2)
    plan = planned(desired(lazy), observed(seen(lazy)))
    assert str(plan) == "create   web/1: replicas 1 -> 2, stopped by auto_start: false"


def test_wanted_again_starts() -> None:
    down = seen(worker(), status=Status.STOPPED, wanted="stopped")
    assert str(planned(desired(worker()), observed(down))) == "start    web/0: auto_start: true"
    named = worker(desired_state="running")
    down = seen(named, status=Status.STOPPED, wanted="stopped")
    assert str(planned(desired(named), observed(down))) == "start    web/0: desired_state: running"


def test_what_completed_stays_completed() -> None:
    done = seen(worker(), status=Status.STOPPED, reason="Completed")
    assert str(planned(desired(worker()), observed(done))) == ""


# --- edits -----------------------------------------------------------------------------------------------------------


def test_an_in_place_change_touches_no_process_and_goes_to_all_at_once() -> None:
    after = worker(command=["run", "v1"], replicas=2, stop={"grace_ms": 5000})
    plan = planned(desired(after), observed(*row(OLD, 2)))
    assert str(plan) == (
        "update   web/0: spec changed; stop.grace_ms: unset -> 5000 (in_place)\n"
        "update   web/1: spec changed; stop.grace_ms: unset -> 5000 (in_place)"
    )


def test_names_labels_and_descriptions_plan_nothing() -> None:
    after = worker(command=["run", "v1"], replicas=3, name="Web", labels={"team": "growth"}, description="It serves.")
    assert str(planned(desired(after), observed(*row(OLD)))) == ""


def test_a_restart_relevant_change_replaces_one_at_a_time() -> None:
    plan = planned(desired(NEW), observed(*row(OLD)))
    assert str(plan) == (
        f"replace  web/0: spec changed; {CHANGE}\n"
        f"hold     web: RolloutPaced: one at a time: web/1, web/2 after web/0; {CHANGE}"
    )
    assert plan.actions[0].generation == 2


def test_the_next_one_waits_until_the_one_before_runs() -> None:
    on_its_way = seen(NEW, 0, Status.STARTING)
    plan = planned(desired(NEW), observed(on_its_way, seen(OLD, 1), seen(OLD, 2)))
    assert str(plan) == f"hold     web: RolloutPaced: one at a time: web/1, web/2 after web/0; {CHANGE}"
    accepted = seen(NEW, 0, running_revision=OLD.revision)
    assert planned(desired(NEW), observed(accepted, seen(OLD, 1), seen(OLD, 2))) == plan
    arrived = planned(desired(NEW), observed(seen(NEW, 0), seen(OLD, 1), seen(OLD, 2)))
    assert [action.instance for action in arrived.actions] == ["web/1"]


def test_what_waits_is_told_like_what_is_done_each_change_once_and_not_what_is_brought_meanwhile() -> None:
    older = worker(command=["run", "v0"], replicas=3, env={"API_KEY": "hunter2"}, stop={"grace_ms": 5})
    new = worker(command=["run", "v2"], replicas=3, env={"API_KEY": "hunter2"}, start_grace_ms=7)
    plan = planned(desired(new), observed(seen(new, 0, Status.STARTING), seen(older, 1), seen(OLD, 2)))
    assert str(plan) == (
        "hold     web: RolloutPaced: one at a time: web/1, web/2 after web/0; command: ['run', 'v0'] -> ['run', 'v2'] "
        "(restart); command: ['run', 'v1'] -> ['run', 'v2'] (restart); env.API_KEY: unset -> '***' (restart); "
        "start_grace_ms: unset -> 7 (in_place); stop.grace_ms: 5 -> unset (in_place)"
    )
    tuned = worker(command=["run", "v1"], replicas=2, start_grace_ms=7)
    plan = planned(desired(tuned), observed(seen(OLD, 0), seen(OLD, 1)), wish())
    assert str(plan.holds[0]) == "hold     web: RolloutPaced: one at a time: web/1 after web/0"
    assert [action.fields for action in plan.actions if action.instance == "web/1"] != [()]


def test_what_is_out_of_service_is_replaced_at_once_and_tried_before_the_rest() -> None:
    have = observed(seen(OLD, 0), seen(OLD, 1, Status.CRASHED), seen(OLD, 2, Status.STARTING))
    assert str(planned(desired(NEW), have)) == (
        f"replace  web/1: spec changed; {CHANGE}\n"
        f"replace  web/2: spec changed; {CHANGE}\n"
        f"hold     web: RolloutPaced: one at a time: web/0 after web/1, web/2; {CHANGE}"
    )


def test_new_replicas_of_a_new_revision_are_tried_before_the_old_are_replaced() -> None:
    plan = planned(desired(NEW), observed(*row(OLD, 2)))
    assert str(plan) == (
        "create   web/2: replicas 2 -> 3\n"
        f"hold     web: RolloutPaced: one at a time: web/0, web/1 after web/2; {CHANGE}"
    )


def test_a_revision_that_fails_stalls_the_rollout_and_names_the_instance() -> None:
    failed = seen(NEW, 0, Status.ERROR, message="exited with code 1")
    assert str(planned(desired(NEW), observed(failed, seen(OLD, 1), seen(OLD, 2)))) == (
        f"hold     web: RolloutStalled: web/0 is in error at {NEW.revision}: exited with code 1; "
        f"not touched meanwhile: web/1, web/2; {CHANGE}"
    )
    silent = seen(NEW, 0, Status.CRASHED)
    assert str(planned(desired(NEW), observed(silent, seen(OLD, 1), seen(OLD, 2)))) == (
        f"hold     web: RolloutStalled: web/0 is in crashed at {NEW.revision}; "
        f"not touched meanwhile: web/1, web/2; {CHANGE}"
    )


def test_a_stopped_slot_takes_the_new_revision_without_a_replacement() -> None:
    after = worker(command=["run", "v2"], desired_state="stopped")
    down = seen(OLD, 0, Status.STOPPED, wanted="stopped")
    assert str(planned(desired(after), observed(down))) == f"update   web/0: spec changed; {CHANGE}"


def test_a_stop_brings_the_new_spec_along() -> None:
    after = worker(command=["run", "v2"], desired_state="stopped")
    plan = planned(desired(after), observed(seen(OLD)))
    assert str(plan) == f"stop     web/0: desired_state: stopped; {CHANGE}"


def test_changed_contents_of_an_env_file_are_named_as_the_cause() -> None:
    after = replace(worker(env_files=[]), spec=worker(env_files=[]).spec.model_copy(update={"env_files": ["a.env"]}))
    before = seen(after, revision="1-0000000000")
    assert str(planned(desired(after), observed(before))) == "replace  web/0: contents of env_files changed"


def test_a_revision_that_differs_without_a_visible_field_says_so() -> None:
    before = seen(worker(), revision="0-0000000000")
    cause = f"revision 0-0000000000 -> {worker().revision}"
    assert str(planned(desired(worker()), observed(before))) == f"replace  web/0: {cause}"


def test_values_from_outside_the_spec_update_in_place() -> None:
    before = seen(worker(), digest="another")
    assert str(planned(desired(worker()), observed(before))) == "update   web/0: values from outside the spec changed"


def test_without_a_record_of_the_former_spec_no_fields_are_shown() -> None:
    assert str(planned(desired(worker()), observed(seen(worker(), digest="x", fields={})))) == (
        "update   web/0: spec changed"
    )


def test_secrets_are_not_shown_in_a_plan() -> None:
    before, after = worker(env={"DB_PASSWORD": "old"}), worker(env={"DB_PASSWORD": "new"})
    assert str(planned(desired(after), observed(seen(before)))) == (
        "replace  web/0: spec changed; env.DB_PASSWORD: '***' -> '***' (restart)"
    )


# --- ports -----------------------------------------------------------------------------------------------------------


def test_when_ports_shift_the_instance_whose_port_is_free_goes_first() -> None:
    before, after = worker(port=4000, replicas=2), worker(port=4001, replicas=2)
    plan = planned(desired(after), observed(*row(before)))
    assert [str(action) for action in plan.actions] == ["replace  web/1: spec changed; port: 4000 -> 4001 (restart)"]
    plan = planned(desired(after), observed(seen(before, 0), seen(after, 1)))
    assert [action.instance for action in plan.actions] == ["web/0"]


def test_when_every_port_is_taken_the_first_goes_first() -> None:
    other = worker("api", port=4002)
    before, after = worker(port=4000, replicas=2), worker(port=4001, replicas=2)
    plan = planned(desired(after, other), observed(*row(before), seen(other)))
    assert [action.instance for action in plan.actions] == ["web/0"]


def test_a_renamed_worker_starts_when_the_old_name_has_let_go_of_its_port() -> None:
    before, after = worker("old", port=4000), worker("new", port=4000)
    want = desired(after, removed=["old"])
    plan = planned(want, observed(seen(before)))
    assert str(plan) == (
        "remove   old/0: spec removed: file old.yaml is gone\nhold     new: PortBusy: new/0 waits: old/0 has port 4000"
    )
    assert plan.next_wake == NOW + 1
    assert str(planned(want, observed())) == "create   new/0: not there yet"


def test_a_port_is_not_held_by_what_does_not_live_or_is_between_two_specs() -> None:
    before, after = worker("old", port=4000), worker("new", port=4000)
    crashed = seen(before, status=Status.CRASHED)
    between = seen(before, running_revision="1-0000000000")
    for entry in (crashed, between):
        plan = planned(desired(after, removed=["old"]), observed(entry))
        assert [action.kind for action in plan.actions] == [ActionKind.REMOVE, ActionKind.CREATE]


# --- the whole -------------------------------------------------------------------------------------------------------


def test_removals_and_stops_come_first_new_slots_last() -> None:
    quiet = worker("quiet", desired_state="stopped")
    tuned, plain = worker("tuned", start_grace_ms=5), worker("tuned")
    again = worker("again")
    want = desired(
        worker("fresh"), quiet, tuned, worker("swap", command=["v2"]), again, worker("wake"), removed=["gone"]
    )
    have = observed(
        seen(worker("gone")), seen(quiet), seen(plain), seen(worker("swap")), seen(again),
        seen(worker("wake"), status=Status.STOPPED, wanted="stopped"),
    )  # fmt: skip
    plan = planned(want, have, wish("again"))
    assert [f"{action.kind.value} {action.instance}" for action in plan.actions] == [
        "remove gone/0", "stop quiet/0", "update tuned/0", "replace swap/0", "restart again/0", "start wake/0",
        "create fresh/0",
    ]  # fmt: skip


def test_only_limits_the_turn_to_what_was_looked_at() -> None:
    want = desired(*(worker(f"w{number}") for number in range(20)))
    assert str(planned(want, observed(), only=frozenset({"w7", "stranger"}))) == "create   w7/0: not there yet"
    many = frozenset(f"w{number}" for number in range(10))
    assert len(planned(want, observed(), only=many).actions) == 10
