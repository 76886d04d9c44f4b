"""The shapes of API.md: every key, null where nobody has reported yet."""

from __future__ import annotations

from typing import Any

from controller.core.desired import Desired
from controller.core.heartbeats import Beat, Told, reported
from controller.core.observed import HostView, LastExit, Observed, ObservedInstance, Status
from controller.core.plan import FieldChange, Hold
from controller.core.problems import Problem
from controller.core.status import conditions
from controller.core.views import (
    Beside,
    desired_state,
    hold_view,
    rfc3339,
    status_view,
    worker_view,
    worker_views,
)
from tests.core.core_builders import NOW, desired, observed, picture, planned, problem, seen, view, worker

WEB = worker(name="主 Worker", labels={"b": "2", "a": "1"}, replicas=2)
EXIT = LastExit(cause="exited", code=3, signal=None, at=NOW - 70, run="run-0")


def item(want: Desired, have: Observed, told: Beside | None = None) -> dict[str, Any]:
    return worker_view(picture(want, have), told or Beside(), now=NOW)


def test_a_worker_is_shown_with_every_key() -> None:
    have = observed(
        seen(WEB, 0, restart_count=2, cpu_percent=1.5, memory_bytes=1000, last_exit=EXIT),
        seen(WEB, 1, Status.CRASHED, restart_count=1, reason="Crashed", next_retry_at=NOW + 5, memory_bytes=24),
    )
    beat = Told(instance="web/1", run="r", at=NOW - 1, beat=Beat(error_count=4, active_tasks=2))
    shown = item(desired(WEB), have, Beside(reported=reported([beat])))
    conditions = shown.pop("conditions")
    assert conditions[0] == {
        "type": "Valid", "status": "True", "reason": "Accepted", "message": "", "since": None,
        "observed_revision": WEB.revision,
    }  # fmt: skip
    assert [entry["type"] for entry in conditions] == [
        "Valid", "Ready", "Progressing", "Stalled", "Suspended", "Drifted",
    ]  # fmt: skip
    assert shown == {
        "worker_id": "web",
        "name": "主 Worker",
        "status": "crashed",
        "desired_state": "running",
        "desired_replicas": 2,
        "revision": WEB.revision,
        "deployment_type": "local",
        "labels": {"a": "1", "b": "2"},
        "depends_on": {},
        "source": {"file": "web.yaml", "line": 3, "commit": None},
        "restart_count": 3,
        "error_count": 4,
        "cpu_percent": 1.5,
        "memory_bytes": 1024,
        "assigned_accounts": None,
        "active_tasks": 2,
        "last_heartbeat_at": "1970-01-12T13:46:39.000Z",
        "problems": [],
        "instances": [
            {
                "instance": "web/0",
                "ordinal": 0,
                "status": "running",
                "reason": "",
                "pid": 4000,
                "host": "localhost",
                "run": "run-web-0",
                "revision": WEB.revision,
                "started_at": "1970-01-12T13:45:40.000Z",
                "uptime_s": 60.0,
                "restart_count": 2,
                "cpu_percent": 1.5,
                "memory_bytes": 1000,
                "error_count": None,
                "assigned_accounts": None,
                "active_tasks": None,
                "last_heartbeat_at": None,
                "last_exit": {"cause": "exited", "code": 3, "signal": None, "at": "1970-01-12T13:45:30.000Z"},
                "next_retry_at": None,
            },
            {
                "instance": "web/1",
                "ordinal": 1,
                "status": "crashed",
                "reason": "Crashed",
                "pid": None,
                "host": "localhost",
                "run": None,
                "revision": WEB.revision,
                "started_at": None,
                "uptime_s": None,
                "restart_count": 1,
                "cpu_percent": None,
                "memory_bytes": 24,
                "error_count": 4,
                "assigned_accounts": None,
                "active_tasks": 2,
                "last_heartbeat_at": "1970-01-12T13:46:39.000Z",
                "last_exit": None,
                "next_retry_at": "1970-01-12T13:46:45.000Z",
            },
        ],
    }


def test_an_instance_that_is_not_there_yet_is_listed() -> None:
    shown = item(desired(WEB), observed(seen(WEB, 1)))
    assert [entry["instance"] for entry in shown["instances"]] == ["web/0", "web/1"]
    missing, present = shown["instances"]
    assert missing.keys() == present.keys()
    assert (missing["status"], missing["reason"], missing["pid"]) == ("stopped", "NotThereYet", None)
    silent = item(desired(WEB), Observed())
    assert {(entry["status"], entry["reason"]) for entry in silent["instances"]} == {("unknown", "HostUnknown")}


def test_a_memory_of_an_unreachable_host_makes_no_claim_about_now() -> None:
    memory = seen(WEB, cpu_percent=5.0, memory_bytes=10)
    first = item(desired(WEB), observed(memory, reachable=False))["instances"][0]
    shown = {key: first[key] for key in ("status", "pid", "uptime_s", "cpu_percent", "memory_bytes")}
    assert shown == {"status": "unknown", "pid": 4000, "uptime_s": None, "cpu_percent": None, "memory_bytes": None}


def test_a_worker_without_a_good_spec_is_listed_with_its_problems() -> None:
    shown = item(Desired(broken={"web": (problem(),)}), observed())
    assert (shown["status"], shown["desired_state"], shown["revision"], shown["name"]) == ("stopped", None, None, "")
    assert shown["source"] == {"file": "web.yaml", "line": 4, "commit": None}
    assert shown["problems"] == [
        {"pointer": "", "file": "web.yaml", "line": 4, "column": 7, "message": "expected an integer", "hint": ""}
    ]
    whole_file = Problem(file="web.yaml", message="cannot be read")
    assert item(Desired(broken={"web": (whole_file,)}), observed())["source"]["line"] == 1


def test_a_stale_worker_shows_its_problems_beside_its_last_good_spec() -> None:
    stale = worker(problems=(problem(),))
    shown = item(desired(stale), observed(seen(stale)))
    assert (shown["status"], shown["revision"], len(shown["problems"])) == ("running", stale.revision, 1)


def test_a_worker_whose_spec_is_gone_is_absent_until_its_last_process_is() -> None:
    leaving = item(desired(removed=["web"]), observed(seen(WEB)))
    assert (leaving["desired_state"], leaving["status"], leaving["source"]["file"]) == ("absent", "running", "web.yaml")
    lost = item(desired(), observed(seen(WEB)))
    assert (lost["desired_state"], lost["source"]) == ("absent", {"file": None, "line": None, "commit": None})
    assert worker_views(desired(removed=["web"]), observed(), {}, now=NOW) == []


def test_the_desired_state_of_auto_start_false_is_what_it_was_left_at() -> None:
    lazy = worker(auto_start=False)
    assert desired_state(picture(desired(lazy), observed(seen(lazy)))) == "running"
    assert desired_state(picture(desired(lazy), observed())) == "stopped"
    assert desired_state(picture(desired(worker(desired_state="stopped")), observed())) == "stopped"


def test_as_many_instances_are_desired_as_the_spec_wants_now_whatever_is_there() -> None:
    fewer, completed = worker(replicas=1), seen(WEB, 1, Status.STOPPED, reason="Completed")
    none = worker(desired_state="stopped")
    lazy = worker(auto_start=False, replicas=2)
    wishes = {
        "scaled down, and one still there": item(desired(fewer), observed(seen(WEB, 0), seen(WEB, 1))),
        "scaled up, and one not yet there": item(desired(WEB), observed(seen(WEB, 0))),
        "one has done its work": item(desired(WEB), observed(seen(WEB, 0), completed)),
        "on a host that is silent": item(desired(WEB), observed(seen(WEB, 0), completed, reachable=False)),
        "stopped": item(desired(none), observed(seen(none))),
        "removed": item(desired(removed=["web"]), observed(seen(WEB))),
        "left running": item(desired(lazy), observed(seen(lazy, 0))),
    }
    assert {name: shown["desired_replicas"] for name, shown in wishes.items()} == {
        "scaled down, and one still there": 1, "scaled up, and one not yet there": 2, "one has done its work": 1,
        "on a host that is silent": 2, "stopped": 0, "removed": 0, "left running": 1,
    }  # fmt: skip


def test_a_status_shows_what_each_live_run_has_used() -> None:
    have = observed(seen(WEB, 0, cpu_seconds=3.25), seen(WEB, 1))
    shown = status_view(picture(desired(WEB), have), Beside(), now=NOW)
    assert [instance["cpu_seconds"] for instance in shown["instances"]] == [3.25, None]


def test_the_list_has_every_worker_once_with_its_own_holds() -> None:
    new, other = worker(command=["v2"], replicas=2), worker("api")
    have = observed(seen(WEB, 0), seen(WEB, 1), seen(other), seen(worker("lost")))
    plan = planned(desired(new, other), have)
    holds = tuple(hold for hold in plan.holds if hold.worker_id == "web")
    around = {"web": Beside(holds=holds), "api": Beside(reported={"active_tasks": 2})}
    views = worker_views(desired(new, other), have, around, now=NOW)
    assert [view["worker_id"] for view in views] == ["api", "lost", "web"]
    progressing = {view["worker_id"]: view["conditions"][2]["reason"] for view in views}
    assert progressing == {"api": "Settled", "lost": "Settled", "web": "RolloutPaced"}
    assert [view["active_tasks"] for view in views] == [2, None, None]


def test_conditions_that_are_known_are_shown_as_they_are() -> None:
    known = conditions(picture(desired(WEB), observed()), (), now=NOW, previous={})
    shown = item(desired(WEB), observed(seen(WEB, 0), seen(WEB, 1)), Beside(conditions=known))
    assert {entry["since"] for entry in shown["conditions"]} == {rfc3339(NOW)}
    assert [entry["reason"] for entry in shown["conditions"]] == [entry.reason for entry in known]


def test_a_status_adds_the_explanation_and_one_process_figures() -> None:
    crashed = seen(
        WEB, 0, Status.CRASHED, message="exited with code 3", next_retry_at=NOW + 5, last_exit=EXIT, run_number=3,
        notify_status="about to end",
    )  # fmt: skip
    have = observed(crashed, seen(WEB, 1))
    hold = Hold(worker_id="web", reason="RolloutPaced", message="one at a time", until=NOW)
    told = Beside(holds=(hold,))
    shown = status_view(picture(desired(WEB), have), told, now=NOW)
    listed = item(desired(WEB), have, told)
    assert listed.keys() <= shown.keys()
    extra = {key: value for key, value in shown.items() if key not in listed}
    assert extra == {
        "description": "",
        "why": "web/0 died: exited with code 3; one at a time",
        "next": "it is started again in 5 s",
        "holds": [hold_view(hold)],
        "host": "localhost",
        "pid": 4001,
        "started_at": "1970-01-12T13:45:40.000Z",
        "uptime_s": 60.0,
        "last_exit": {"cause": "exited", "code": 3, "signal": None, "at": "1970-01-12T13:45:30.000Z"},
        "next_retry_at": "1970-01-12T13:46:45.000Z",
        "metrics": {},
    }
    assert {key: value for key, value in shown["instances"][0].items() if key not in listed["instances"][0]} == {
        "message": "exited with code 3", "since": "1970-01-12T13:45:40.000Z", "run_number": 3, "cpu_seconds": None,
        "ready": None, "notify_status": "about to end", "heartbeat": None,
    }  # fmt: skip


def test_a_status_shows_the_heartbeat_of_each_instance_and_the_sums() -> None:
    beat = Beat(active_tasks=2, metrics={"lag": 0.5}, status="busy")
    told = Beside(reported=reported([Told(instance="web/1", run="r", at=NOW, beat=beat)]))
    slots = observed(seen(WEB, 0), seen(WEB, 1, heartbeat_ms=30_000))
    shown = status_view(picture(desired(WEB), slots), told, now=NOW)
    assert (shown["active_tasks"], shown["metrics"], shown["last_heartbeat_at"]) == (2, {"lag": 0.5}, rfc3339(NOW))
    assert [instance["heartbeat"] for instance in shown["instances"]] == [
        None,
        {
            "at": rfc3339(NOW), "active_tasks": 2, "assigned_accounts": None, "error_count": None,
            "metrics": {"lag": 0.5}, "status": "busy", "due_at": rfc3339(NOW + 30),
        },
    ]  # fmt: skip


def test_readiness_is_shown_as_long_as_it_is_known() -> None:
    unready = seen(WEB, 0, ready=False, notify_status="waits for the queue")
    want = desired(worker(replicas=2, depends_on={"queue": "ready", "disk": "started"}))
    shown = status_view(picture(want, observed(unready, seen(WEB, 1))), Beside(), now=NOW)
    assert [(entry["status"], entry["ready"]) for entry in shown["instances"]] == [
        ("running", False),
        ("running", None),
    ]
    assert shown["instances"][0]["notify_status"] == "waits for the queue"
    assert (shown["status"], shown["depends_on"]) == ("running", {"disk": "started", "queue": "ready"})
    memory = status_view(picture(want, observed(unready, reachable=False)), Beside(), now=NOW)
    assert memory["instances"][0]["ready"] is None


def test_a_status_without_any_process_has_every_key_all_the_same() -> None:
    empty = status_view(picture(desired(WEB), observed()), Beside(), now=NOW)
    full = status_view(picture(desired(WEB), observed(seen(WEB))), Beside(), now=NOW)
    assert empty.keys() == full.keys()
    assert (empty["pid"], empty["uptime_s"], empty["last_exit"], empty["host"]) == (None, None, None, "localhost")
    unknown = status_view(picture(desired(), observed()), Beside(), now=NOW)
    assert (unknown["host"], unknown["description"]) == (None, "")
    stray = ObservedInstance(
        worker_id="web", ordinal=0, generation=1, revision="r", digest="d", run_request=0, wanted="stopped",
        status=Status.STOPPED,
    )  # fmt: skip
    lost = status_view(picture(desired(), Observed(hosts={"beta": view(stray)})), Beside(), now=NOW)
    assert (lost["host"], lost["instances"][0]["since"]) == ("beta", None)


def test_times_are_utc_with_a_z() -> None:
    assert rfc3339(1_767_323_045.6789) == "2026-01-02T03:04:05.678Z"
    assert rfc3339(None) is None


def test_a_hold_is_shown_as_in_a_plan() -> None:
    change = FieldChange(path="env.A", before=None, after="1", effect="restart")
    assert hold_view(Hold(worker_id=None, reason="SourceHeld", message="gone", confirm="abc", fields=(change,))) == {
        "worker_id": None, "reason": "SourceHeld", "message": "gone", "until": None, "confirm": "abc",
        "fields": [{"path": "env.A", "from": None, "to": "1", "effect": "restart"}],
    }  # fmt: skip


def test_an_empty_host_view_is_no_worker() -> None:
    assert worker_views(Desired(), Observed(hosts={"localhost": HostView(reachable=True)}), {}, now=NOW) == []
