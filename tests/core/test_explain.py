"""Why a worker is as it is, and what comes next: every status and every reason in its own words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from controller.core.desired import Desired, DesiredWorker
from controller.core.explain import Explanation, explain
from controller.core.observed import LastExit, Observed, Status
from controller.core.plan import Hold
from tests.core.core_builders import (
    NOW,
    desired,
    observed,
    picture,
    planned,
    problem,
    refusals,
    removing,
    row,
    seen,
    wish,
    worker,
)

WEB = worker()
TWO = worker(replicas=2)
NEXT_OF_ERROR = (
    "nothing by itself until the spec is edited; see `workerctl logs web`, `workerctl restart web` tries again"
)


def told(want: Desired, have: Observed, holds: Sequence[Hold] | None = None) -> tuple[str, str]:
    """With the holds of the planner's own plan, unless others are given."""
    given = planned(want, have).holds if holds is None else holds
    made = explain(picture(want, have), [hold for hold in given if hold.worker_id == "web"], now=NOW)
    return made.why, made.next


def of_slot(status: Status, *, of: DesiredWorker = WEB, **fields: Any) -> tuple[str, str]:
    return told(desired(of), observed(seen(of, 0, status, **fields)))


# --- states ---------------------------------------------------------------------------------------------------------


def test_running_as_the_spec_asks() -> None:
    assert of_slot(Status.RUNNING) == ("it runs as the spec asks", "")
    assert told(desired(TWO), observed(*row(TWO))) == ("all 2 instances run as the spec asks", "")
    assert told(desired(TWO), observed(seen(TWO)))[0] == "1 of 2 instances run"


def test_starting_and_stopping() -> None:
    assert of_slot(Status.STARTING) == (
        "web/0 is starting",
        "it counts as running when it has been alive for its start grace",
    )
    assert of_slot(Status.STOPPING, reason="Replacing") == (
        "web/0 was asked to end (Replacing)",
        "it is killed when its grace is over; it is started again once it has ended",
    )
    assert of_slot(Status.STOPPING, reason="Unkillable", message="still there") == (
        "web/0 was asked to end (still there)",
        "it is killed again now and then; it is started again once it has ended",
    )
    stopped = worker(desired_state="stopped")
    assert of_slot(Status.STOPPING, of=stopped, wanted="stopped") == (
        "web/0 was asked to end",
        "it is killed when its grace is over; nothing follows once it has ended",
    )


@pytest.mark.parametrize(
    ("at", "words"), [(NOW + 12, "in 12 s"), (NOW + 0.5, "within a second"), (NOW - 1, "now"), (None, "soon")]
)
def test_a_crash_tells_when_it_is_tried_again(at: float | None, words: str) -> None:
    assert of_slot(Status.CRASHED, message="exited with code 1", next_retry_at=at) == (
        "web/0 died: exited with code 1",
        f"it is started again {words}",
    )


@pytest.mark.parametrize(
    ("code", "signal", "cause", "words"),
    [
        (3, None, "exited", "exited with code 3"),
        (None, "SIGSEGV", "signaled", "was killed by SIGSEGV"),
        (None, None, "unknown", "ended (unknown)"),
    ],
)
def test_a_crash_without_a_message_is_told_by_its_exit(
    code: int | None, signal: str | None, cause: str, words: str
) -> None:
    last = LastExit(cause=cause, code=code, signal=signal, at=NOW, run="r")
    assert of_slot(Status.CRASHED, last_exit=last)[0] == f"web/0 {words}"
    assert of_slot(Status.CRASHED)[0] == "web/0 died"


def test_an_error_tells_whether_it_could_not_start_gave_up_or_was_not_to_be_restarted() -> None:
    assert of_slot(Status.ERROR, reason="CannotStart", message="run: command not found") == (
        "web/0 cannot start: run: command not found",
        "nothing by itself until the spec is edited, or `workerctl restart web` tries again",
    )
    assert of_slot(Status.ERROR, reason="GaveUp", message="exited with code 1; gave up after 3 restarts") == (
        "web/0 died: exited with code 1; gave up after 3 restarts; no further try is made",
        NEXT_OF_ERROR,
    )
    assert of_slot(Status.ERROR, reason="NotRestarted", message="exited with code 1") == (
        "web/0 ended and its spec says not to start it again: exited with code 1",
        NEXT_OF_ERROR,
    )


def test_stopped_tells_who_wants_it_so() -> None:
    down: dict[str, Any] = {"wanted": "stopped"}
    start = "`workerctl start web` starts it"
    assert of_slot(Status.STOPPED, of=worker(desired_state="stopped"), **down) == (
        "its spec asks for it to be stopped (desired_state: stopped)",
        start,
    )
    assert of_slot(Status.STOPPED, of=worker(auto_start=False), **down) == (
        "it was not started, because its spec says auto_start: false",
        start,
    )
    assert told(desired(worker(replicas=0)), observed()) == ("its spec asks for no instance (replicas: 0)", "")
    assert of_slot(Status.STOPPED, reason="Completed") == (
        "it has completed: its process ended cleanly",
        "nothing, unless the spec changes or `workerctl restart web` runs it again",
    )
    assert told(desired(WEB), observed()) == (
        "it should run and is not there yet",
        "it is started in the next turn of the loop",
    )


def test_unknown_tells_what_cannot_be_asked() -> None:
    assert told(desired(WEB), observed(seen(WEB), reachable=False, message="connection refused")) == (
        "localhost cannot be asked: connection refused; what is shown was known before",
        "nothing is done on localhost until it answers; what runs there goes on",
    )
    assert told(desired(WEB), observed(reachable=False))[0] == "localhost cannot be asked"
    assert told(desired(WEB), Observed()) == ("localhost has told nothing yet", "nothing is done until it does")
    assert told(desired(WEB), observed(seen(WEB, 0, Status.UNKNOWN, message="no record")), holds=()) == (
        "the state of web/0 on localhost is not known: no record",
        "nothing is done to it until it is",
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"startup": {"log_line": "up"}, "readiness": {"tcp": {"port": 1}}}, "its startup probe succeeds"),
        ({"readiness": {"tcp": {"port": 1}}}, "its readiness probe succeeds for the first time"),
    ],
)
def test_starting_ends_with_the_probe_that_the_spec_has(fields: dict[str, Any], words: str) -> None:
    assert of_slot(Status.STARTING, of=worker(**fields))[1] == f"it counts as running when {words}"


def test_running_but_not_ready_is_told_in_its_supervisors_words_or_its_own() -> None:
    left_alone = "its process is left alone; it is ready again when it says so, or its readiness probe succeeds"
    assert of_slot(Status.RUNNING, ready=False) == ("web/0 is running but not ready", left_alone)
    assert of_slot(Status.RUNNING, ready=False, notify_status="loading")[0] == "web/0 is running but not ready: loading"
    told_both = of_slot(Status.RUNNING, ready=False, notify_status="loading", message="GET /ready: 503")
    assert told_both[0] == "web/0 is running but not ready: GET /ready: 503"
    both = observed(*row(TWO, ready=False))
    assert told(desired(TWO), both)[0] == "web/0 is running but not ready (and 1 more)"
    assert of_slot(Status.RUNNING, ready=True) == ("it runs as the spec asks", "")


@pytest.mark.parametrize(
    ("cause", "message", "words"),
    [
        ("start_timeout", "", "did not start in time: its startup probe did not succeed"),
        ("liveness", "the liveness probe failed: 500", "was ended by its supervisor: the liveness probe failed: 500"),
        ("hook", "the hook pre_start exited with code 2", "did not start: the hook pre_start exited with code 2"),
        ("oom_killed", "", "was killed by the kernel: its memory reached limits.memory_bytes"),
        ("oom_killed", "ran out of memory", "was killed by the kernel: ran out of memory"),
    ],
)
def test_a_cause_that_tells_more_than_a_code_is_told_first(cause: str, message: str, words: str) -> None:
    last = LastExit(cause=cause, code=None, signal="SIGKILL", at=NOW, run="r")
    assert of_slot(Status.CRASHED, last_exit=last, message=message)[0] == f"web/0 {words}"
    assert of_slot(Status.ERROR, reason="GaveUp", last_exit=last, message=message)[0] == (
        f"web/0 {words}; no further try is made"
    )


def test_what_its_host_holds_back_after_a_boot_is_told() -> None:
    assert of_slot(Status.STOPPED, reason="WaitingForDependency", message="database is not started") == (
        "web/0 waits for what it depends on: database is not started",
        "its host starts it as soon as that runs",
    )


def test_missing_secrets_are_named() -> None:
    secret = worker(secrets={"PASSWORD": {"env": "DB_PASSWORD"}})
    assert of_slot(Status.STOPPED, of=secret, reason="SecretsMissing", message="PASSWORD") == (
        "web/0 waits for its secrets, which its host keeps in memory only: PASSWORD",
        "the controller brings them in its next order, and it is started",
    )


# --- specs ----------------------------------------------------------------------------------------------------------


def test_a_stale_spec_is_told_with_its_place_and_what_to_do() -> None:
    stale = worker(problems=(problem(),))
    trouble = "its file has a problem and the last good spec goes on: web.yaml:4:7: expected an integer"
    fix = "correct web.yaml; it is read again when it changes"
    assert told(desired(stale), observed(seen(WEB))) == (f"it runs as the spec asks; {trouble}", fix)
    crashed = observed(seen(WEB, 0, Status.CRASHED))
    assert told(desired(stale), crashed) == (f"web/0 died; {trouble}", f"it is started again soon; {fix}")


def test_a_broken_spec_says_so() -> None:
    fix = "correct web.yaml; it is read again when it changes"
    broken = Desired(broken={"web": (problem(),)})
    why = "its spec is not valid and no good one is known: web.yaml:4:7: expected an integer"
    assert told(broken, observed()) == (why, fix)
    assert told(broken, observed(seen(WEB))) == (f"{why}; what runs goes on as it is", fix)
    assert told(Desired(broken={"web": ()}), observed())[1] == "correct its file; it is read again when it changes"


def test_without_a_spec_it_tells_whether_that_is_certain() -> None:
    assert told(desired(removed=["web"]), observed(removing(seen(WEB)))) == (
        "its spec is gone (file web.yaml is gone)",
        "it is forgotten when its last process has ended",
    )
    assert told(desired(removed=["web"]), observed()) == ("its spec is gone (file web.yaml is gone)", "")
    assert told(desired(), observed(seen(WEB)), holds=()) == (
        "its processes are there, but no spec of it is known, and no proof that it was removed",
        "nothing is done to it until a spec of that name is there again, or its removal is certain",
    )
    assert explain(picture(desired(), observed()), (), now=NOW) == Explanation(
        why="nothing is known of a worker of this name"
    )


# --- holds ----------------------------------------------------------------------------------------------------------


def test_a_refused_launch_tells_why_and_when_it_is_tried_again() -> None:
    new = worker(command=["v2"])
    have = observed(seen(WEB), **refusals(new, 0, at=NOW - 18))
    assert told(desired(new), have) == (
        "it runs at its former revision; the edit cannot be carried out: no such command: run",
        "it is tried again in 12 s; an edit is tried at once",
    )


def test_a_refused_restart_is_no_refused_edit() -> None:
    have = observed(seen(WEB), **refusals(WEB, 0, at=NOW - 18))
    want = desired(WEB)
    assert told(want, have, planned(want, have, wish()).holds)[0] == (
        "it runs as the spec asks; the restart cannot be carried out: no such command: run"
    )


def test_a_guard_tells_the_command_that_confirms_it() -> None:
    hold = Hold(worker_id="web", reason="PruneGuard", message="one change would remove 4 of 6 workers", confirm="abc")
    assert told(desired(WEB), observed(seen(WEB)), [hold]) == (
        "it runs as the spec asks; one change would remove 4 of 6 workers",
        "nothing until a person confirms it: `workerctl reconcile --confirm abc`",
    )


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("RolloutStalled", "the others stay as they are until it runs; an edit starts the rollout anew"),
        ("PortBusy", "it starts when the port is free"),
        ("WaitsFor", "it starts as soon as that is so; to start it alone, take the dependency out of its spec"),
        (
            "LimitUnsupported",
            "it starts once the host can, or, without the limit, with `limits.enforce: best_effort`",
        ),
        ("HostChanged", "nothing by itself until the spec is edited: set `host` back, or remove the worker first"),
        ("SourceHeld", "nothing is removed until the specs can be read again"),
        ("NoSpec", ""),
        ("Another", ""),
    ],
)
def test_each_hold_has_its_own_next_step(reason: str, words: str) -> None:
    hold = Hold(worker_id="web", reason=reason, message="this is why")
    assert told(desired(WEB), observed(seen(WEB)), [hold])[1] == words


def test_dependencies_are_told_with_what_they_lack() -> None:
    web, stopped = worker(depends_on={"database": "ready"}), worker("database", desired_state="stopped")
    assert told(desired(web, stopped), observed()) == (
        (
            "it should run and is not there yet; waits for database to be ready "
            "(it is stopped: its spec says desired_state: stopped)"
        ),
        "it starts as soon as that is so; to start it alone, take the dependency out of its spec",
    )
    assert told(desired(web, stopped), observed(seen(web))) == (
        "it runs as the spec asks; database, which it depends on, is stopped: its spec says desired_state: stopped",
        "",
    )


def test_what_only_takes_its_time_is_told_too() -> None:
    new = worker(replicas=2, command=["v2"])
    assert told(desired(new), observed(*row(TWO))) == (
        "all 2 instances run, 2 at a former revision; one at a time: web/1 after web/0",
        "",
    )
    stopped = worker(desired_state="stopped")
    down = observed(seen(stopped, 0, Status.STOPPED, wanted="stopped"))
    holds = planned(desired(stopped), down, wish()).holds
    assert told(desired(stopped), down, holds)[0].endswith("; no restart of web/0: desired_state is stopped")
