"""`workerctl suspend` and `resume`: stopped for a while, and told as long as it lasts."""

from __future__ import annotations

import re

import pytest

from controller.cli.errors import Exit
from tests.cli.cli_site import run, shown
from tests.fakes.api_server import FakeApi, condition, instance, problem, refusal, worker

KEPT = "kept stopped until 2026-11-24T12:30:00Z (moving disks, by alice)"


def test_a_suspension_is_a_stop_for_so_long_and_its_end_is_told(api: FakeApi) -> None:
    api.workers = [worker("web"), worker("db")]
    result = run(api, "suspend", "web", "db", "--for", "1h30m", "--reason", "moving disks")
    moment = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    assert result.exit_code == Exit.OK
    assert re.fullmatch(
        f"→ web: suspend accepted, until {moment}\n→ db: suspend accepted, until {moment}\n", result.stdout
    )
    assert {(asked.path, asked.body["for_ms"], asked.body["reason"]) for asked in api.requests} == {
        (f"/api/v1/workers/{name}/stop", 5_400_000, "moving disks") for name in ("web", "db")
    }
    assert re.fullmatch(
        f"✓ web: suspended until {moment}\n", run(api, "suspend", "web", "--for", "90", "--wait", "5").stdout
    )
    assert (api.requests[-1].body, api.requests[-1].query) == ({"for_ms": 90_000}, {"wait_s": "5.000"})


def test_resume_ends_it(api: FakeApi) -> None:
    api.workers = [worker("web")]
    assert shown(api, "resume", "web") == "→ web: resume accepted\n"
    assert shown(api, "resume", "web", "--wait", "5", "--reason", "done") == "✓ web: resumed\n"
    assert [(asked.path, asked.body) for asked in api.requests] == [
        ("/api/v1/workers/web/resume", None), ("/api/v1/workers/web/resume", {"reason": "done"}),
    ]  # fmt: skip


def test_what_nobody_suspended_is_a_conflict_and_who_is_not_there_is_not_found(api: FakeApi) -> None:
    api.workers = [worker("web")]
    api.answers["POST", "/api/v1/workers/web/resume"] = refusal(409, "nobody keeps it stopped or running", "not_kept")
    result = run(api, "resume", "web")
    assert (result.exit_code, "Cannot resume web: nobody keeps it" in result.stderr) == (Exit.CONFLICT, True)
    assert run(api, "suspend", "wep", "--for", "1m").exit_code == Exit.NOT_FOUND


@pytest.mark.parametrize("length", [[], ["--for", "soon"], ["--for", "0s"], ["--for", "366d"], ["--for", "-5m"]])
def test_a_length_is_needed_and_has_bounds(api: FakeApi, length: list[str]) -> None:
    api.workers = [worker("web")]
    assert (run(api, "suspend", "web", *length).exit_code, api.requests) == (Exit.USAGE, [])


@pytest.mark.parametrize(
    ("code", "errors", "first"),
    [
        ("read_only_source", [], "set `desired_state: stopped` where its spec comes from, in git for example"),
        ("broken_file", [problem()], "correct web.yaml:7 and set `desired_state: stopped` there, or `replicas: 0`"),
    ],
)
def test_a_stop_that_cannot_be_written_names_the_command_that_works(
    api: FakeApi, code: str, errors: list[dict[str, object]], first: str
) -> None:
    api.workers = [worker("web")]
    api.answers["POST", "/api/v1/workers/web/stop"] = refusal(409, "it cannot be written", code, errors=errors)
    result = run(api, "stop", "web")
    hints = [line.strip().removeprefix("hint: ") for line in result.stderr.splitlines() if "hint:" in line]
    assert (result.exit_code, hints[0]) == (Exit.CONFLICT, first)
    assert hints[-1] == "`workerctl suspend web --for 1h` stops it for a while and needs no file"


def test_who_keeps_it_stopped_until_when_and_why_is_told_in_the_table(api: FakeApi) -> None:
    killed = {"cause": "killed", "code": None, "signal": "SIGKILL", "at": None}
    down = instance("web/0", "stopped", last_exit=killed)
    suspended = condition("Suspended", "True", "KeptStopped", KEPT)
    api.workers = [worker("web", "stopped", desired_state="stopped", instances=[down], conditions=[suspended])]
    assert KEPT in shown(api, "get")
    lit = condition("Suspended", "False", "KeptRunning", KEPT.replace("stopped", "running"))
    api.workers = [worker("web", conditions=[lit])]
    assert "kept running until 2026-11-24T12:30:00Z" in shown(api, "get")
    api.workers = [worker("web", conditions=[condition("Suspended", "False", "Active", "never told")])]
    assert "never told" not in shown(api, "get")
