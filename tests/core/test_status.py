"""The status and the conditions of a worker."""

from __future__ import annotations

from itertools import pairwise

import pytest

from controller.core.desired import Desired
from controller.core.observed import Observed, Status
from controller.core.picture import Picture
from controller.core.plan import Hold
from controller.core.status import WORST_FIRST, Condition, conditions, has_completed, worker_status
from tests.core.core_builders import NOW, desired, observed, picture, planned, problem, removing, row, seen, worker

WEB = worker(replicas=2)


def of(want: Desired, have: Observed) -> Picture:
    return picture(want, have)


def told(made: Picture, *holds: Hold) -> dict[str, str]:
    return {
        entry.type: f"{entry.status} {entry.reason}" + (f": {entry.message}" if entry.message else "")
        for entry in conditions(made, holds, now=NOW)
    }


# --- status ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("worse", "better"), list(pairwise(WORST_FIRST)))
def test_a_worker_is_as_well_as_its_worst_instance(worse: Status, better: Status) -> None:
    assert worker_status(of(desired(WEB), observed(seen(WEB, 0, better), seen(WEB, 1, worse)))) is worse


def test_without_instances_it_is_stopped() -> None:
    assert worker_status(of(desired(worker(replicas=0)), observed())) is Status.STOPPED
    assert worker_status(of(desired(), observed())) is Status.STOPPED


def test_what_is_not_yet_gone_counts() -> None:
    assert worker_status(of(desired(WEB), observed(*row(WEB), removing(seen(WEB, 2))))) is Status.STOPPING
    assert worker_status(of(desired(removed=["web"]), observed(seen(WEB)))) is Status.RUNNING


def test_a_host_that_cannot_be_asked_makes_it_unknown() -> None:
    assert worker_status(of(desired(WEB), observed(*row(WEB), reachable=False))) is Status.UNKNOWN
    assert worker_status(of(desired(WEB), Observed())) is Status.UNKNOWN
    assert worker_status(of(desired(), observed(seen(WEB), reachable=False))) is Status.UNKNOWN


# --- conditions ------------------------------------------------------------------------------------------------------


def test_all_is_well() -> None:
    assert told(of(desired(WEB), observed(*row(WEB)))) == {
        "Valid": "True Accepted",
        "Ready": "True Running: 2 of 2 running",
        "Progressing": "False Settled",
        "Stalled": "False NotStalled",
        "Suspended": "False Active",
        "Drifted": "False InSync",
    }


def test_a_new_worker_is_on_its_way() -> None:
    assert told(of(desired(WEB), observed(seen(WEB, 0, Status.STARTING)))) == {
        "Valid": "True Accepted",
        "Ready": "False NotThereYet: 0 of 2 running",
        "Progressing": "True Starting: web/0",
        "Stalled": "False NotStalled",
        "Suspended": "False Active",
        "Drifted": "True OutOfSync: web/1",
    }
    assert told(of(desired(WEB), observed()))["Progressing"] == "True Reconciling"


def test_an_unknown_host_leaves_nothing_but_the_spec_known() -> None:
    silent = observed(*row(WEB), reachable=False, message="connection refused")
    assert told(of(desired(WEB), silent)) == {
        "Valid": "True Accepted",
        "Ready": "Unknown HostUnreachable: connection refused",
        "Progressing": "Unknown HostUnreachable: connection refused",
        "Stalled": "Unknown HostUnreachable: connection refused",
        "Suspended": "False Active",
        "Drifted": "Unknown HostUnreachable: connection refused",
    }
    assert told(of(desired(WEB), Observed()))["Ready"] == "Unknown HostUnknown"


def test_a_crash_is_progress_and_giving_up_is_none() -> None:
    crashed = told(of(desired(WEB), observed(seen(WEB), seen(WEB, 1, Status.CRASHED))))
    assert crashed["Ready"] == "False NotRunning: 1 of 2 running; web/1 is in crashed"
    assert crashed["Progressing"] == "True WaitingToRestart: web/1"
    failed = seen(WEB, 1, Status.ERROR, reason="GaveUp", message="gave up after 3 restarts")
    lost = told(of(desired(WEB), observed(seen(WEB), failed)))
    assert (lost["Progressing"], lost["Stalled"]) == ("False Settled", "True GaveUp: web/1: gave up after 3 restarts")
    bare = told(of(desired(WEB), observed(seen(WEB, 0, Status.ERROR), seen(WEB, 1))))
    assert bare["Stalled"] == "True GaveUp: web/0: gave up"


def test_a_slot_that_is_not_known_makes_readiness_unknown() -> None:
    assert told(of(desired(WEB), observed(seen(WEB), seen(WEB, 1, Status.UNKNOWN))))["Ready"] == (
        "Unknown StateUnknown: 1 of 2 running"
    )


def test_a_clean_exit_is_completed() -> None:
    done = [seen(WEB, ordinal, Status.STOPPED, reason="Completed") for ordinal in (0, 1)]
    made = of(desired(WEB), observed(*done))
    assert has_completed(made)
    assert told(made)["Ready"] == "False Completed: 0 of 2 running"
    assert told(made)["Completed"] == "True Completed"
    half = of(desired(WEB), observed(done[0], seen(WEB, 1)))
    assert told(half)["Ready"] == "False Completed: 1 of 2 running"
    assert "Completed" not in told(half)


def test_what_is_meant_not_to_run_is_suspended() -> None:
    stopped, lazy, none = worker(desired_state="stopped"), worker(auto_start=False), worker(replicas=0)
    down = seen(stopped, status=Status.STOPPED, wanted="stopped")
    assert told(of(desired(stopped), observed(down))) == {
        "Valid": "True Accepted",
        "Ready": "False NotWanted: desired_state: stopped",
        "Progressing": "False Settled",
        "Stalled": "False NotStalled",
        "Suspended": "True DesiredStopped: desired_state: stopped",
        "Drifted": "False InSync",
    }
    left = seen(lazy, status=Status.STOPPED, wanted="stopped")
    assert told(of(desired(lazy), observed(left)))["Suspended"] == "True AutoStartOff: auto_start: false"
    assert told(of(desired(lazy), observed(seen(lazy))))["Ready"] == "True Running: 1 of 1 running"
    assert told(of(desired(none), observed()))["Ready"] == "False NotWanted: replicas: 0"


def test_invalid_files_are_told_with_their_place() -> None:
    stale = worker(replicas=2, problems=(problem(), problem()))
    assert told(of(desired(stale), observed(*row(WEB))))["Valid"] == (
        "False InvalidSpec: web.yaml:4:7: expected an integer (and 1 more); the last good spec goes on"
    )
    assert told(of(Desired(broken={"web": ()}), observed())) == {
        "Valid": "False InvalidSpec: its file cannot be read",
        "Ready": "False NotWanted: no spec asks for it",
        "Progressing": "False Settled",
        "Stalled": "False NotStalled",
        "Suspended": "False Active",
        "Drifted": "False InSync",
    }


def test_what_has_no_spec_any_more_says_why() -> None:
    leaving = told(of(desired(removed=["web"]), observed(removing(seen(WEB)))))
    assert leaving["Valid"] == "False SpecRemoved: file web.yaml is gone"
    assert leaving["Progressing"] == "True Stopping: web/0"
    lost = told(of(desired(), observed(seen(WEB))))
    assert (lost["Valid"], lost["Drifted"]) == ("Unknown NoSpec: no spec of it is known", "True NoSpec")


def test_holds_of_the_plan_are_told_as_stalled_or_progressing() -> None:
    new = worker(replicas=2, command=["v2"])
    failed = [seen(new, 0, Status.ERROR, message="bad"), seen(WEB, 1)]
    plan = planned(desired(new), observed(*failed))
    assert told(of(desired(new), observed(*failed)), *plan.holds)["Stalled"] == (
        f"True RolloutStalled: web/0 is in error at {new.revision}: bad; not touched meanwhile: web/1"
    )
    plan = planned(desired(new), observed(*row(WEB)))
    paced = told(of(desired(new), observed(*row(WEB))), *plan.holds)
    assert paced["Progressing"] == "True RolloutPaced: one at a time: web/1 after web/0"
    assert paced["Drifted"] == "True OutOfSync: web/0, web/1"
    guard = Hold(worker_id="web", reason="MassRestartGuard", message="too many")
    held = told(of(desired(new), observed(*row(WEB))), guard)
    assert (held["Progressing"], held["Stalled"]) == ("False Settled", "True MassRestartGuard: too many")


def test_drift_sees_surplus_strays_and_other_wishes() -> None:
    for have in (
        observed(*row(WEB), seen(WEB, 2)),
        observed(*row(WEB, 1), seen(WEB, 1, wanted="stopped")),
        observed(*row(WEB, 1), seen(WEB, 1, digest="other")),
        observed(*row(WEB, 1), seen(WEB, 1, revision="1-0000000000")),
    ):
        assert told(of(desired(WEB), have))["Drifted"].startswith("True")


def test_a_condition_keeps_the_time_at_which_its_status_changed() -> None:
    made = of(desired(WEB), observed(*row(WEB)))
    first = {entry.type: entry for entry in conditions(made, (), now=NOW)}
    assert first["Ready"] == Condition(
        type="Ready", status="True", reason="Running", message="2 of 2 running", since=NOW - 60,
        observed_revision=WEB.revision,
    )  # fmt: skip
    assert first["Valid"].since is None
    later = {entry.type: entry for entry in conditions(made, (), now=NOW + 5, previous=first)}
    assert later == first
    down = of(desired(WEB), observed(seen(WEB), seen(WEB, 1, Status.CRASHED)))
    changed = {entry.type: entry.since for entry in conditions(down, (), now=NOW + 9, previous=first)}
    assert changed == {
        "Valid": None, "Ready": NOW + 9, "Progressing": NOW + 9, "Stalled": NOW - 60, "Suspended": None,
        "Drifted": NOW - 60,
    }  # fmt: skip
    fresh = conditions(made, (), now=NOW, previous={})
    assert {entry.since for entry in fresh} == {NOW}


def test_running_is_ready_unless_an_instance_says_that_it_is_not() -> None:
    unready = seen(WEB, 1, ready=False, notify_status="loading")
    made = of(desired(WEB), observed(seen(WEB, ready=True), unready))
    assert told(made)["Ready"] == "False NotReady: 1 of 2 ready; web/1 is running but not ready: loading"
    assert (worker_status(made), told(made)["Progressing"]) == (Status.RUNNING, "False Settled")
    assert told(of(desired(WEB), observed(*row(WEB, ready=True))))["Ready"] == "True Running: 2 of 2 running"


@pytest.mark.parametrize("reason", ["WaitsFor", "LimitUnsupported"])
def test_what_waits_for_others_or_for_its_host_is_stalled(reason: str) -> None:
    hold = Hold(worker_id="web", reason=reason, message="why")
    shown = told(of(desired(WEB), observed()), hold)
    assert (shown["Stalled"], shown["Progressing"]) == (f"True {reason}: why", "False Settled")
