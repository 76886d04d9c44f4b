from __future__ import annotations

import json
import re
import time

import pytest
import yaml

from controller.cli import fleet, wording
from controller.cli.errors import Exit
from controller.cli.status import headline
from tests.cli.cli_site import COLOUR, PLAIN, SCREEN, run, shown
from tests.fakes.api_server import FakeApi, Item, ago, condition, instance, problem, refusal, worker

NOW = time.time()


def exited(**more: object) -> Item:
    return {"cause": "exited", "code": 1, "signal": None, "at": ago(4), **more}


def columns(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_the_table_shows_failed_workers_first(api: FakeApi) -> None:
    crashed = instance("b/0", "crashed", last_exit=exited(), restart_count=2)
    api.workers = [
        worker("a", cpu_percent=0.42, memory_bytes=23_500_000),
        worker("b", "crashed", restart_count=2, instances=[crashed, instance("b/1")]),
        worker("c", "stopped", desired_state="stopped"),
        worker("d", "error"),
    ]
    text = shown(api, "get")
    assert columns(text)[0] == ["NAME", "STATUS", "INSTANCES", "RESTARTS", "CPU", "MEMORY", "AGE", "REASON"]
    assert [row[:6] for row in columns(text)[1:]] == [
        ["d", "error", "0/1", "0", "-", "-"],
        ["b", "crashed", "1/2", "2", "-", "-"],
        ["a", "running", "1/1", "0", "0.4%", "22"],
        ["c", "stopped", "0/1", "0", "-", "-"],
    ]
    assert "exited with code 1" in text


def test_problems_of_files_stand_beneath_the_table_each_once(api: FakeApi) -> None:
    later = problem(line=9, column=1, message="unknown field: replica", hint="did you mean replicas?")
    api.workers = [worker("web", problems=[later, problem()]), worker("mail", problems=[problem()])]
    assert shown(api, "get").split("\n\n")[1].splitlines() == [
        "2 problems in spec files",
        '  web.yaml:7:3: replicas: expected an integer, found "three"',
        "      write replicas: 3",
        "  web.yaml:9:1: unknown field: replica",
        "      did you mean replicas?",
    ]


def test_wide_adds_pids_revision_source_and_labels(api: FakeApi) -> None:
    api.workers = [
        worker("web", labels={"b": "2", "a": "1"}, error_count=None),
        worker("off", "stopped", desired_state="stopped", source=None),
    ]
    rows = columns(shown(api, "get", "-o", "wide"))
    assert rows[1][6:] == ["2h", "running", "-", "4000", "1-0a1b2c3d4e", "web.yaml:1", "a=1,b=2"]
    assert rows[2][-5:] == ["0", "-", "1-0a1b2c3d4e", "-", "-"]


def test_json_is_the_items_of_the_api_failed_first(api: FakeApi) -> None:
    api.workers = [worker("a", name="问候者"), worker("b", "error")]
    text = shown(api, "get", "-o", "json")
    assert json.loads(text) == {"items": [api.workers[1], api.workers[0]]}
    assert "问候者" in text


def test_one_name_alone_is_its_document(api: FakeApi) -> None:
    api.workers = [worker("a"), worker("b")]
    assert json.loads(shown(api, "get", "b", "-o", "json")) == api.workers[1]
    assert yaml.safe_load(shown(api, "get", "b", "-o", "yaml")) == api.workers[1]
    assert json.loads(shown(api, "get", "a", "b", "-o", "json")) == {"items": api.workers}


def test_an_empty_fleet_is_an_empty_list_and_a_word_on_standard_error(api: FakeApi) -> None:
    assert json.loads(shown(api, "get", "-o", "json")) == {"items": []}
    result = run(api, "get")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", f"no workers at {api.url}\n")


def test_names_labels_and_status_choose(api: FakeApi) -> None:
    api.workers = [
        worker("a", labels={"t": "x"}),
        worker("b", "error", labels={"t": "x"}),
        worker("c", labels={"t": "y"}),
    ]
    assert shown(api, "get", "-o", "name") == "b\na\nc\n"
    assert shown(api, "get", "-l", "t=x", "-o", "name") == "b\na\n"
    assert shown(api, "get", "-l", "t=x", "--status", "running", "-o", "name") == "a\n"
    assert shown(api, "get", "a", "c", "-o", "name") == "a\nc\n"
    assert run(api, "get", "-l", "t=z").stderr == "no worker matches\n"


@pytest.mark.parametrize("arguments", [["-l", "team"], ["--status", "fine"]])
def test_a_choice_that_means_nothing_is_wrong_usage(api: FakeApi, arguments: list[str]) -> None:
    assert run(api, "get", *arguments).exit_code == Exit.USAGE


def test_a_name_that_does_not_exist_is_told_with_the_near_one(api: FakeApi) -> None:
    api.workers = [worker("web"), worker("mailer")]
    result = run(api, "get", "wbe")
    assert (result.exit_code, result.stdout) == (Exit.NOT_FOUND, "")
    assert 'there is no worker "wbe". Did you mean "web"?' in result.stderr
    assert run(api, "get", "wbe", "-o", "json").stdout == ""


def test_several_unknown_names_are_all_told_and_the_known_ones_shown(api: FakeApi) -> None:
    api.workers = [worker("web")]
    result = run(api, "get", "web", "x", "y", "-o", "name")
    assert (result.exit_code, result.stdout) == (Exit.NOT_FOUND, "web\n")
    assert ['there is no worker "x".' in result.stderr, 'there is no worker "y".' in result.stderr] == [True, True]


def test_all_pages_are_read(api: FakeApi) -> None:
    api.workers = [worker(f"w{number}") for number in range(7)]
    api.page = 3
    assert shown(api, "get", "-o", "name").split() == [f"w{number}" for number in range(7)]
    assert [asked.query for asked in api.requests] == [{}, {"cursor": "3"}, {"cursor": "6"}]


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (worker("w"), ""),
        (worker("w", "crashed", instances=[instance("w/0", "crashed", last_exit=exited(), next_retry_at=ago(-3595))]),
         "exited with code 1, next try in 59m"),
        (worker("w", "crashed", instances=[instance("w/0", "crashed", last_exit=exited(), next_retry_at=ago(5))]),
         "exited with code 1, next try now"),
        (worker("w", "crashed", instances=[
            instance("w/0", "crashed", last_exit=exited(cause="signaled", code=None, signal="SEGV"))]),
         "killed by SIGSEGV"),
        (worker("w", "crashed", instances=[instance("w/0", "crashed", reason="WaitingToRestart")]),
         "waiting to restart"),
        (worker("w", "error", conditions=[condition("Stalled", "True", "GaveUp", "w/0: gave up after 3 restarts")]),
         "w/0: gave up after 3 restarts"),
        (worker("w", "error", instances=[instance("w/0", "error", last_exit=exited(), reason="GaveUp")]),
         "exited with code 1; gave up"),
        (worker("w", "error"), "gave up"),
        (worker("w", "starting", instances=[instance("w/0", "starting", message="waits for its grace")]),
         "waits for its grace"),
        (worker("w", "stopping", instances=[instance("w/0", "stopping", reason="ControllerStopping")]),
         "controller stopping"),
        (worker("w", "stopping", desired_state="absent", instances=[instance("w/0", "stopping")]),
         "its spec is gone"),
        (worker("w", "stopped", instances=[instance("w/0", "stopped", last_exit=exited(cause="completed", code=0))],
                conditions=[condition("Completed", "True", "Completed")]), "completed"),
        (worker("w", "stopped", conditions=[condition("Ready", "False", "NotThereYet", "0 of 1 running")]),
         "0 of 1 running"),
        (worker("w", "starting", conditions=[condition("Progressing", "True", "Starting", "w/0")]), "starting: w/0"),
        (worker("w", problems=[problem()]), "1 problem in its file; the last good spec is used"),
        (worker("w", "stopped", desired_state=None, revision=None, instances=[], problems=[problem(), problem()]),
         "2 problems in its file; no good spec is known"),
        (worker("w", "error", problems=[problem()]), "gave up; 1 problem in its file; the last good spec is used"),
        (worker("w", conditions=[condition("Stalled", "True", "CannotStart", "command not found: mailrd")]),
         "command not found: mailrd"),
    ],
)  # fmt: skip
def test_the_reason_says_what_a_person_wants_to_know(item: Item, words: str) -> None:
    assert wording.reason(item, NOW) == words


@pytest.mark.parametrize(
    ("last_exit", "words"),
    [
        (None, ""),
        ({"cause": "exited", "code": None}, "exited"),
        ({"cause": "signaled", "signal": 9}, "killed by SIGKILL"),
        ({"cause": "signaled", "signal": 99}, "killed by signal 99"),
        ({"cause": "signaled", "signal": None}, "killed by a signal"),
        ({"cause": "signaled", "signal": "SIGBUS"}, "killed by SIGBUS"),
        ({"cause": "host_rebooted"}, "the host rebooted"),
        ({"cause": "oom_killed"}, "killed, out of memory"),
        ({}, "ended unseen"),
    ],
)
def test_an_exit_has_its_words(last_exit: Item | None, words: str) -> None:
    assert wording.exit_words(last_exit) == words


def test_a_status_is_a_word_with_a_sign_on_a_terminal() -> None:
    assert wording.painted_status("running", PLAIN) == "running"
    assert wording.painted_status("running", SCREEN) == "● running"
    assert wording.painted_status("error", COLOUR) == "\x1b[31m\x1b[1m✗ error\x1b[0m"
    assert wording.painted_status("sleeping", SCREEN) == "? sleeping"


def test_text_of_a_file_cannot_reach_the_terminal() -> None:
    evil = problem(message="bad\x1b]0;owned\x07")
    assert fleet.problem_lines([evil], PLAIN)[0] == "web.yaml:7:3: bad^[]0;owned^G"
    assert "\x1b" not in "".join(fleet.table([worker("w", "error", conditions=[
        condition("Stalled", "True", "X", "\x1b[2J")])], PLAIN, NOW))  # fmt: skip


def test_a_place_longer_than_the_terminal_goes_on_in_the_next_line() -> None:
    lines = fleet.problem_lines([problem(file="teams/growth/" * 8 + "web.yaml")], SCREEN)
    assert lines[:2] == [
        "teams/growth/" * 5 + "teams/",
        "    growth/teams/growth/teams/growth/web.yaml:7:3: replicas: expected an",
    ]
    assert max(map(len, lines)) <= 80


def test_the_summary_counts_worst_first() -> None:
    items = [worker("a"), worker("b", "error"), worker("c"), worker("d", "stopped")]
    assert fleet.summary(items, PLAIN) == "4 workers: 1 error, 2 running, 1 stopped"
    assert fleet.summary([], PLAIN) == "no workers"


def hold(worker_id: str | None = None, reason: str = "SourceHeld", **more: object) -> Item:
    return {"worker_id": worker_id, "reason": reason, "message": "it was moved", "until": None, "confirm": None, **more}


def test_what_the_source_or_a_guard_holds_back_stands_beneath_the_table(api: FakeApi) -> None:
    api.workers = [worker("a"), worker("b"), worker("c")]
    api.ready = (200, {"ready": True, "holds": 5})
    api.plan["holds"] = [
        hold(confirm="3f9a"),
        hold("a", "MassRestartGuard", message="too many", confirm="77aa"),
        hold("b", "MassRestartGuard", message="too many", confirm="77aa"),
        hold("b", "Paced"),
        hold(reason="HostUnreachable", message="localhost does not answer"),
    ]
    told = [
        "Held back",
        "  SourceHeld: it was moved",
        "      to let it happen: workerctl reconcile --confirm 3f9a",
        "  MassRestartGuard: too many: a, b",
        "      to let it happen: workerctl reconcile --confirm 77aa",
        "  HostUnreachable: localhost does not answer",
    ]
    assert shown(api, "get").split("\n\n")[1].splitlines() == told
    assert shown(api, "status").split("\n\n")[1].splitlines() == told
    assert "MassRestartGuard" not in shown(api, "get", "c")
    api.workers, api.plan["holds"] = [], api.plan["holds"][:1]
    assert shown(api, "get").splitlines() == told[:3]


def test_many_that_are_held_back_together_are_told_in_one_line() -> None:
    names = [f"w{number}" for number in range(7)]
    holds = [hold(name, "PruneGuard", message=f"7 of 8 would go ({name}.yaml is gone)", confirm="1") for name in names]
    told = fleet.hold_block([worker(name) for name in names], holds, PLAIN)
    assert told[2] == "  PruneGuard: 7 of 8 would go: w0, w1, w2, w3, w4 and 2 more"
    alone = fleet.hold_block([worker("w0")], holds, PLAIN)
    assert alone[2] == "  PruneGuard: 7 of 8 would go (w0.yaml is gone)"


def test_a_server_without_a_plan_still_shows_its_workers(api: FakeApi) -> None:
    api.workers = [worker("a")]
    api.ready = (200, {"ready": True, "holds": 1})
    api.answers["GET", "/api/v1/plan"] = refusal(404, "nothing lives at this path")
    assert len(shown(api, "get").splitlines()) == 2


def test_where_nothing_is_held_back_no_plan_is_asked_for(api: FakeApi) -> None:
    api.workers = [worker("a")]
    assert len(shown(api, "get").splitlines()) == 2
    assert [asked.path for asked in api.requests] == ["/api/v1/workers", "/readyz"]


def test_a_long_name_is_shortened_on_a_terminal_so_that_the_reason_can_be_read() -> None:
    name = "a" * 32 + "z" * 31
    item = worker(name, "error", conditions=[condition("Stalled", "True", "X", "command not found: mailrd, " * 3)])
    heading, row, *more = fleet.table([item], SCREEN, NOW)
    assert [len(line) <= 80 for line in (row, *more)] == [True] * fleet.REASON_LINES
    assert re.match(r"a{6,}…z{6,}  ✗ error", row)
    assert 80 - heading.index("REASON") >= 20
    assert fleet.table([item], PLAIN, NOW)[1].startswith(name + "  error")
    assert len(headline(worker(name, name="A long title of it"), SCREEN, NOW)) <= 80


def test_a_wide_table_has_all_its_columns_on_a_narrow_terminal_too() -> None:
    item = worker("a", conditions=[condition("Stalled", "True", "X", "command not found: mailrd, " * 3)])
    assert (
        fleet.table([item], SCREEN, NOW, wide=True)[0].split() == fleet.table([item], PLAIN, NOW, wide=True)[0].split()
    )
    assert len(fleet.table([item], SCREEN, NOW, wide=True)) == 2


def test_names_that_fit_stay_whole() -> None:
    assert fleet.table([worker("a" * 25)], SCREEN, NOW)[1].startswith("a" * 25 + " ")
