from __future__ import annotations

import time

import pytest

from controller.cli.errors import Exit
from controller.cli.status import headline
from tests.cli.cli_site import SCREEN, run, shown
from tests.fakes.api_server import FakeApi, Item, ago, condition, event, instance, problem, refusal, worker


@pytest.mark.parametrize(
    ("item", "code"),
    [
        (worker("w"), Exit.OK),
        (worker("w", conditions=[condition("Ready", "True", "Running")]), Exit.OK),
        (worker("w", conditions=[condition("Ready", "False", "NotThereYet", "1 of 2 running")]), Exit.NOT_RUNNING),
        (worker("w", conditions=[condition("Ready", "False", "Completed")]), Exit.OK),
        (worker("w", "stopped", desired_state="stopped"), Exit.OK),
        (worker("w", "stopped", conditions=[condition("Completed", "True", "Completed")]), Exit.OK),
        (worker("w", "stopped", instances=[], conditions=[condition("Ready", "False", "NotWanted")]), Exit.OK),
        (worker("w", "stopped"), Exit.NOT_RUNNING),
        (worker("w", "stopped", desired_state=None, instances=[],
                conditions=[condition("Ready", "False", "NotWanted")]), Exit.NOT_RUNNING),
        (worker("w", "starting"), Exit.NOT_RUNNING),
        (worker("w", "crashed"), Exit.NOT_RUNNING),
        (worker("w", "error"), Exit.NOT_RUNNING),
        (worker("w", "unknown"), Exit.UNKNOWN),
    ],
)  # fmt: skip
def test_the_exit_code_tells_how_a_worker_is(api: FakeApi, item: Item, code: Exit) -> None:
    api.workers = [item]
    assert run(api, "status", "w").exit_code == code
    assert run(api, "status").exit_code == code


def test_a_worker_is_told_in_some_lines(api: FakeApi) -> None:
    api.workers = [
        worker("web", name="Web front end", cpu_percent=1.2, memory_bytes=48_000_000, restart_count=1,
               why="it runs as the spec asks; its file has a problem", next="correct web.yaml", problems=[problem()],
               instances=[instance("web/0", started_at=None)])
    ]  # fmt: skip
    assert shown(api, "status", "web").splitlines() == [
        "web  running 1/1  Web front end",
        "  Spec     web.yaml:1",
        "  Desired  running",
        "  Usage    cpu 1.2%, memory 46 MiB, 1 restart",
        "  Why      it runs as the spec asks; its file has a problem",
        "  Next     correct web.yaml",
        "  Problems",
        '    web.yaml:7:3: replicas: expected an integer, found "three"',
        "        write replicas: 3",
    ]


def test_the_headline_tells_how_long(api: FakeApi) -> None:
    assert headline(worker("web"), SCREEN, time.time()) == "web  ● running 1/1 for 2h 3m"


def test_the_fleet_is_a_summary_and_what_is_amiss(api: FakeApi) -> None:
    api.workers = [worker("a"), worker("b", "error", instances=[]), worker("c", problems=[problem()])]
    result = run(api, "status")
    assert result.exit_code == Exit.NOT_RUNNING
    assert [line.split()[:2] for line in result.stdout.splitlines() if line] == [
        ["3", "workers:"],
        ["NAME", "STATUS"],
        ["b", "error"],
        ["1", "problem"],
        ["web.yaml:7:3:", "replicas:"],
        ["write", "replicas:"],
    ]


def test_a_fleet_that_is_well_is_one_line(api: FakeApi) -> None:
    api.workers = [worker("a"), worker("b")]
    assert shown(api, "status") == "2 workers: 2 running\n"


@pytest.mark.parametrize("verb", ["status", "describe", "logs"])
def test_an_unknown_worker_leaves_with_5_and_the_near_name(api: FakeApi, verb: str) -> None:
    api.workers = [worker("web")]
    result = run(api, verb, "webb")
    assert (result.exit_code, 'Did you mean "web"?' in result.stderr) == (Exit.NOT_FOUND, True)


def test_an_unknown_worker_of_an_empty_fleet_gets_another_hint(api: FakeApi) -> None:
    assert "is it on the right directory?" in run(api, "status", "web").stderr


def test_another_refusal_stays_what_it_is(api: FakeApi) -> None:
    api.answers["GET", "/api/v1/workers/web/status"] = refusal(503, "the database is away")
    result = run(api, "status", "web")
    assert (result.exit_code, "the database is away" in result.stderr) == (Exit.FAILED, True)


def sections(text: str) -> dict[str, list[str]]:
    """The titled blocks of a description, by title."""
    blocks = [block.splitlines() for block in text.strip().split("\n\n")]
    return {lines[0]: lines[1:] for lines in blocks if all(line.startswith("  ") for line in lines[1:])}


def test_a_description_holds_everything(api: FakeApi) -> None:
    died = {"cause": "exited", "code": 3, "signal": None, "at": ago(4), "run": "r"}
    api.workers = [
        worker("web", "crashed", description="Serves the shop.\nAsk the web team.", labels={"team": "shop"},
               why="web/0 died", next="it is started again in 12 s", restart_count=4, problems=[problem()],
               last_heartbeat_at=ago(3), assigned_accounts=7,
               source={"file": "web.yaml", "line": 3, "commit": "a" * 40},
               conditions=[condition("Progressing", "True", "WaitingToRestart", "web/0")],
               operations=[{"action": "restart", "state": "succeeded", "detail": "done"}],
               instances=[instance("web/1"), instance("web/0", "crashed", last_exit=died, next_retry_at=ago(-3600))])
    ]  # fmt: skip
    api.events = [event(1, "instance_exited", message="exited with code 3"), event(2, worker_id="other")]
    text = shown(api, "describe", "web")
    found = sections(text)
    assert list(found) == [
        "web  crashed 1/2 for 4s" if "for 4s" in text else text.splitlines()[0],
        "Problems", "Instances", "Last exits", "Conditions", "Operations", "Last 10 events",
    ]  # fmt: skip
    assert found[next(iter(found))] == ["  Serves the shop.", "  Ask the web team."]
    assert [line.split()[:2] for line in found["Instances"]] == [
        ["INSTANCE", "STATUS"],
        ["web/0", "crashed"],
        ["web/1", "running"],
    ]
    assert "exited with code 3" in found["Last exits"][1]
    assert found["Conditions"][1].split() == ["Progressing", "True", "WaitingToRestart", "3m", "web/0"]
    assert found["Operations"][1].split() == ["restart", "succeeded", "done"]
    assert len(found["Last 10 events"]) == 2
    for fact in (
        "web.yaml:3 at commit aaaaaaaaaaaa",
        "team=shop",
        "web/0 died",
        "it is started again in 12 s",
        "s ago",
    ):
        assert fact in text


@pytest.mark.parametrize(
    ("due", "words"), [(-3600, "; the next one is due within 59m"), (3600, "; one was due 1h ago"), (None, "")]
)
def test_a_description_tells_when_the_next_heartbeat_is_due(api: FakeApi, due: int | None, words: str) -> None:
    beats = [{"due_at": None if due is None else ago(due)}, {"due_at": None}, None]
    instances = [instance(f"web/{ordinal}", heartbeat=beat) for ordinal, beat in enumerate(beats)]
    api.workers = [worker("web", last_heartbeat_at=ago(3), instances=instances)]
    [line] = [line for line in shown(api, "describe", "web").splitlines() if line.strip().startswith("Heartbeat ")]
    assert line.partition(" ago")[2].rstrip() == words


def test_a_description_tells_what_each_instance_says_of_itself_and_what_its_run_has_used(api: FakeApi) -> None:
    beat = {
        "at": ago(3), "active_tasks": 2, "assigned_accounts": None, "error_count": 0, "metrics": {},
        "status": "busy\x1b[31m", "due_at": None,
    }  # fmt: skip
    instances = [instance("web/0", heartbeat=beat, cpu_seconds=61.25), instance("web/1", cpu_seconds=None)]
    api.workers = [worker("web", cpu_percent=1.0, desired_replicas=2, instances=instances)]
    text = shown(api, "describe", "web")
    heading, row = sections(text)["Heartbeats"]
    assert heading.split() == ["INSTANCE", "TASKS", "ACCOUNTS", "ERRORS", "HEARTBEAT", "SAYS"]
    assert (row.split()[:4], "\x1b" in row, "busy" in row) == (["web/0", "2", "-", "0"], False, True)
    assert "1.0%; 61.2 s since the start" in text
    assert "running, 2 instances" in text


def test_a_description_without_events_says_why_there_are_none(api: FakeApi) -> None:
    api.workers = [worker("web")]
    api.answers["GET", "/api/v1/events"] = refusal(503, "the database cannot be read now")
    assert "not available: Cannot get events: the database cannot be read now" in shown(api, "describe", "web")
    api.answers["GET", "/api/v1/events"] = refusal(404, "nothing lives at this path")
    assert "events" not in shown(api, "describe", "web")
