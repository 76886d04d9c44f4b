from __future__ import annotations

import pytest

from controller.cli.errors import Exit
from tests.cli.cli_site import run
from tests.fakes.api_server import FakeApi, problem, refusal, worker


def operation(state: str, detail: str = "") -> dict[str, str]:
    return {"operation_id": "o-1", "worker_id": "web", "action": "stop", "state": state, "detail": detail}


@pytest.mark.parametrize("verb", ["start", "stop", "restart"])
def test_a_wish_is_sent_and_its_acceptance_told(api: FakeApi, verb: str) -> None:
    api.workers = [worker("web")]
    result = run(api, verb, "web", "--reason", "new certificate")
    assert (result.exit_code, result.stdout) == (Exit.OK, f"→ web: {verb} accepted\n")
    (asked,) = api.requests
    assert (asked.method, asked.path, asked.query, asked.body) == (
        "POST",
        f"/api/v1/workers/web/{verb}",
        {},
        {"reason": "new certificate"},
    )
    assert asked.headers["Content-Type"] == "application/json"


def test_a_wish_without_a_reason_has_no_body(api: FakeApi) -> None:
    api.workers = [worker("web")]
    run(api, "stop", "web")
    assert (api.requests[0].body, "Content-Type" in api.requests[0].headers) == (None, False)


@pytest.mark.parametrize(("verb", "done"), [("start", "started"), ("stop", "stopped"), ("restart", "restarted")])
def test_the_end_is_waited_for_when_asked_to(api: FakeApi, verb: str, done: str) -> None:
    api.workers = [worker("web")]
    result = run(api, verb, "web", "--wait", "30")
    assert (result.exit_code, result.stdout) == (Exit.OK, f"✓ web: {done}\n")
    assert api.requests[0].query == {"wait_s": "30.000"}


def test_the_controllers_own_words_are_shown(api: FakeApi) -> None:
    path = ("POST", "/api/v1/workers/web/stop")
    api.answers[path] = (200, operation("succeeded", "stopped after 1.2 s"))
    assert run(api, "stop", "web", "--wait", "5").stdout == "✓ web: stopped after 1.2 s\n"
    api.answers[path] = (200, operation("succeeded", "done"))
    assert run(api, "stop", "web", "--wait", "5").stdout == "✓ web: stopped\n"
    api.answers[path] = (202, operation("accepted", "web.yaml:4 edited"))
    assert run(api, "stop", "web").stdout == "→ web: stop accepted; web.yaml:4 edited\n"


@pytest.mark.parametrize("state", ["failed", "superseded"])
def test_an_operation_that_did_not_succeed_leaves_with_1(api: FakeApi, state: str) -> None:
    api.answers["POST", "/api/v1/workers/web/stop"] = (200, operation(state))
    result = run(api, "stop", "web", "--wait", "5")
    assert (result.exit_code, f"Cannot stop web: {state}" in result.stderr) == (Exit.FAILED, True)


def test_an_end_that_does_not_come_in_time_leaves_with_7(api: FakeApi) -> None:
    detail = "the operation is running and goes on: waits for web/0"
    api.answers["POST", "/api/v1/workers/web/stop"] = refusal(504, detail, "still_under_way")
    result = run(api, "stop", "web", "--wait", "5")
    assert (result.exit_code, f"Cannot stop web in 5 s: {detail}" in result.stderr) == (Exit.TIMED_OUT, True)


def test_a_broken_file_is_a_conflict_with_its_place(api: FakeApi) -> None:
    api.answers["POST", "/api/v1/workers/web/start"] = refusal(
        409, "its file is broken", "broken_file", errors=[problem()]
    )
    result = run(api, "start", "web")
    assert result.exit_code == Exit.CONFLICT
    assert "web.yaml:7:3: replicas" in result.stderr


def test_each_of_several_workers_gets_its_line_and_the_first_failure_decides(api: FakeApi) -> None:
    api.workers = [worker("a"), worker("b"), worker("c")]
    api.answers["POST", "/api/v1/workers/c/stop"] = refusal(409, "no", "conflict")
    result = run(api, "stop", "a", "bb", "c", "a")
    assert result.stdout == "→ a: stop accepted\n"
    assert result.exit_code == Exit.NOT_FOUND
    assert 'there is no worker "bb". Did you mean "b"?' in result.stderr
    assert "Cannot stop c: no" in result.stderr


def test_a_controller_that_is_not_there_is_told_once() -> None:
    result = run(None, "stop", "a", "b", "--server", "http://127.0.0.1:1")
    assert (result.exit_code, result.stderr.count("Cannot reach")) == (Exit.UNREACHABLE, 1)


@pytest.mark.parametrize("arguments", [[], ["web", "--wait", "601"], ["web", "--wait", "soon"]])
def test_a_wish_about_nothing_is_wrong_usage(api: FakeApi, arguments: list[str]) -> None:
    assert run(api, "stop", *arguments).exit_code == Exit.USAGE


def test_reconcile_looks_now(api: FakeApi) -> None:
    result = run(api, "reconcile")
    assert (result.exit_code, result.stdout) == (Exit.OK, "looking now\n")
    assert api.requests[0].body is None


def test_reconcile_leaves_with_10_when_a_guard_holds_something_back(api: FakeApi) -> None:
    hold = {"worker_id": None, "reason": "PruneGuard", "message": "7 of 9 would go", "until": None, "confirm": "3f9a"}
    api.plan = {"actions": [], "holds": [hold], "next_wake": None}
    result = run(api, "reconcile")
    assert result.exit_code == Exit.REFUSED
    assert "hold     *: PruneGuard: 7 of 9 would go [confirm 3f9a]" in result.stdout
    assert "workerctl reconcile --confirm 3f9a" in result.stderr


def test_reconcile_confirms_a_digest(api: FakeApi) -> None:
    result = run(api, "reconcile", "--confirm", "3f9a")
    assert (result.exit_code, result.stdout) == (Exit.OK, "confirmed 3f9a; looking now\n")
    assert [(asked.method, asked.body) for asked in api.requests] == [("POST", {"confirm": "3f9a"})]


def test_a_digest_that_is_out_of_date_is_a_conflict(api: FakeApi) -> None:
    api.answers["POST", "/api/v1/reconcile"] = refusal(409, "no hold has this digest", "stale_plan")
    result = run(api, "reconcile", "--confirm", "3f9a")
    assert (result.exit_code, "`workerctl plan` shows" in result.stderr) == (Exit.CONFLICT, True)
    api.answers["POST", "/api/v1/reconcile"] = refusal(503, "the controller ends", "draining")
    assert run(api, "reconcile").exit_code == Exit.FAILED


def test_a_stop_that_a_broken_file_refuses_names_the_way_out(api: FakeApi) -> None:
    api.workers = [worker("web")]
    api.answers["POST", "/api/v1/workers/web/stop"] = refusal(
        409, "its file must be corrected first", "broken_file", errors=[problem()]
    )
    result = run(api, "stop", "web")
    assert result.exit_code == Exit.CONFLICT
    assert [line.strip() for line in result.stderr.splitlines() if "hint:" in line] == [
        "hint: correct web.yaml:7 and set `desired_state: stopped` there, or `replicas: 0`",
        "hint: or remove web.yaml: a worker without a spec is stopped",
        "hint: `workerctl suspend web --for 1h` stops it for a while and needs no file",
    ]
