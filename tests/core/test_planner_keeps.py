"""What people keep stopped or running for a while, whatever the spec says."""

from __future__ import annotations

from typing import Literal

from controller.core.desired import DesiredWorker
from controller.core.explain import Explanation, explain
from controller.core.intents import Intents, Keep
from controller.core.keeps import with_keeps
from controller.core.observed import ObservedInstance, Status
from tests.core.core_builders import NOW, desired, observed, picture, planned, seen, worker

UNTIL = "2001-09-09T02:46:40Z"


def kept(wanted: Literal["running", "stopped"], *, reason: str = "maintenance") -> Intents:
    keep = Keep(worker_id="web", wanted=wanted, until=1e9 + 3600, at=1e9, actor="alice", reason=reason)
    return Intents(keeps={"web": keep})


def test_a_worker_is_kept_stopped_and_the_plan_says_by_whom_until_when_and_why() -> None:
    plan = planned(desired(worker()), observed(seen(worker())), kept("stopped"), now=1e9)
    assert str(plan) == (
        f"stop     web/0: kept stopped until {UNTIL} (maintenance, by alice)\n"
        f"hold     web: KeptStopped: kept stopped until {UNTIL} (maintenance, by alice); then its spec decides again"
    )
    assert plan.next_wake == 1e9 + 3600
    down = seen(worker(), status=Status.STOPPED, wanted="stopped")
    assert planned(desired(worker()), observed(down), kept("stopped"), now=1e9).actions == ()


def test_when_the_time_is_over_the_spec_decides_again() -> None:
    down = observed(seen(worker(), status=Status.STOPPED, wanted="stopped"))
    plan = planned(desired(worker()), down, kept("stopped"), now=1e9 + 3600)
    assert str(plan) == "start    web/0: auto_start: true"
    assert plan.next_wake is None


def test_a_worker_that_its_spec_stops_is_kept_running() -> None:
    off = worker(desired_state="stopped")
    down = observed(seen(off, status=Status.STOPPED, wanted="stopped"))
    plan = planned(desired(off), down, kept("running", reason=""), now=1e9)
    assert str(plan.actions[0]) == f"start    web/0: kept running until {UNTIL} (by alice)"
    assert [hold.reason for hold in plan.holds] == ["KeptRunning"]
    assert str(planned(desired(off), observed(seen(off)), kept("running"), now=1e9 + 3601)) == (
        "stop     web/0: desired_state: stopped"
    )


def test_a_keep_of_a_worker_that_nobody_knows_does_nothing() -> None:
    assert str(planned(desired(), observed(), kept("stopped"), now=NOW)) == ""


def told(want: DesiredWorker, have: ObservedInstance, intents: Intents) -> Explanation:
    fleet = with_keeps(desired(want), intents, 1e9)
    holds = planned(desired(want), observed(have), intents, now=1e9).holds
    return explain(picture(fleet, observed(have)), holds, now=1e9)


def test_why_it_is_stopped_or_runs_is_told_once_with_how_to_end_it() -> None:
    down = seen(worker(), status=Status.STOPPED, wanted="stopped")
    assert told(worker(), down, kept("stopped")) == Explanation(
        why=f"it is kept stopped until {UNTIL} (maintenance, by alice)",
        next="its spec decides again then, or at `workerctl resume web`",
    )
    ending = seen(worker(), status=Status.STOPPING, wanted="stopped")
    assert f"kept stopped until {UNTIL}" in told(worker(), ending, kept("stopped")).why
    off = worker(desired_state="stopped")
    assert told(off, seen(off), kept("running")) == Explanation(
        why=f"it runs; kept running until {UNTIL} (maintenance, by alice); then its spec decides again"
    )
