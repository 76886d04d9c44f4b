"""`workerctl tree`, and what other verbs tell of dependencies and readiness."""

from __future__ import annotations

import json

import pytest

from controller.cli import wording
from controller.cli.errors import Exit
from controller.cli.tree import tree_lines
from controller.core.tree import Node, dependency_tree
from tests.cli.cli_site import COLOUR, SCREEN, run, shown
from tests.fakes.api_server import FakeApi, Item, condition, instance, problem, worker

WAITS = {
    "worker_id": "web",
    "reason": "WaitsFor",
    "message": "waits for database to be ready (database/0 is starting)",
    "until": None,
    "confirm": None,
}
NOT_READY = condition("Ready", "False", "NotReady", "0 of 1 ready; web/0 is running but not ready: warming up")


@pytest.fixture
def shop(api: FakeApi) -> FakeApi:
    api.workers = [
        worker("cache"),
        worker("database", "starting"),
        worker("mailer", depends_on={"database": "started", "queue": "ready"}),
        worker("web", "stopped", depends_on={"cache": "started", "database": "ready"}, instances=[]),
    ]
    api.plan = {"actions": [], "holds": [WAITS], "next_wake": None}
    return api


def test_workers_are_drawn_over_what_they_need_and_who_waits_says_so(shop: FakeApi) -> None:
    assert shown(shop, "tree", "--ascii").splitlines() == [
        "mailer         running",
        "|-- database   starting   awaited started",
        "`-- queue                 awaited ready, no spec has that name",
        "web            stopped    waits for database to be ready (database/0 is starting)",
        "|-- cache      running    awaited started",
        "`-- database   starting   awaited ready",
    ]
    assert shown(shop, "tree", "--deps").splitlines()[1] == "├── database   starting   awaited started"


def test_names_limit_the_drawing_to_them_and_what_they_need(shop: FakeApi) -> None:
    assert [line.split()[0] for line in shown(shop, "tree", "mailer", "--ascii").splitlines()] == [
        "mailer",
        "|--",
        "`--",
    ]
    assert shown(shop, "tree", "cache") == "cache   running\n"
    result = run(shop, "tree", "wbe")
    assert (result.exit_code, 'Did you mean "web"?' in result.stderr) == (Exit.NOT_FOUND, True)


def test_the_drawing_is_a_document_for_programs(shop: FakeApi) -> None:
    assert json.loads(shown(shop, "tree", "web", "-o", "json"))["items"] == [
        {"worker_id": "cache", "status": "running", "depends_on": {}, "note": ""},
        {"worker_id": "database", "status": "starting", "depends_on": {}, "note": ""},
        {
            "worker_id": "web",
            "status": "stopped",
            "depends_on": {"cache": "started", "database": "ready"},
            "note": WAITS["message"],
        },
    ]


def test_without_dependencies_or_workers_a_word_says_so(api: FakeApi) -> None:
    assert run(api, "tree").stderr == f"no workers at {api.url}\n"
    api.workers = [worker("web")]
    result = run(api, "tree")
    assert (result.stdout, result.stderr) == ("web   running\n", "no worker here depends on another\n")


def test_one_that_runs_and_is_not_ready_says_so_in_the_drawing(api: FakeApi) -> None:
    api.workers = [worker("web", conditions=[NOT_READY])]
    assert shown(api, "tree") == "web   running   not ready\n"


def test_on_a_terminal_it_is_coloured_by_status_and_fits() -> None:
    nodes = [
        Node(worker_id="web", status="running", depends_on={"db": "ready"}),
        Node(worker_id="db", status="error", depends_on={}),
    ]
    drawn = dependency_tree(nodes)
    assert tree_lines(drawn, {}, COLOUR)[1] == (
        "\x1b[2m└── \x1b[0m\x1b[1mdb\x1b[0m   \x1b[31m\x1b[1m✗ error  \x1b[0m   \x1b[2mawaited ready\x1b[0m"
    )
    lines = tree_lines(drawn, {"web": "waits " + "long " * 30}, SCREEN)
    assert max(map(len, lines)) <= SCREEN.columns
    assert lines[0].endswith("…")


def test_a_description_tells_dependencies_both_ways(shop: FakeApi) -> None:
    text = shown(shop, "describe", "mailer")
    assert "Depends on  database to be started (it is starting), queue to be ready (no spec has that name)" in text
    assert "Needed by   mailer (started), web (ready)" in shown(shop, "describe", "database")
    assert "Needed by" not in text


def test_a_description_tells_readiness_and_what_each_instance_says(api: FakeApi) -> None:
    warming = instance("web/0", ready=False, message="", notify_status="warming up")
    serving = instance("web/1", ready=True, message="", notify_status="12 connections")
    api.workers = [worker("web", instances=[warming, serving, instance("web/2", ready=None)], conditions=[NOT_READY])]
    rows = [line for line in shown(api, "describe", "web").splitlines() if line.startswith("  web/")]
    assert [row.split()[1:3] for row in rows] == [["running", "no"], ["running", "yes"], ["running", "-"]]
    assert rows[0].endswith("not ready: warming up")
    assert rows[1].endswith("12 connections")


def test_one_that_runs_and_is_not_ready_is_running_with_a_reason(api: FakeApi) -> None:
    api.workers = [worker("web", conditions=[NOT_READY])]
    row = shown(api, "get").splitlines()[1]
    assert row.split()[1] == "running"
    assert row.endswith("0 of 1 ready; web/0 is running but not ready: warming up")
    assert run(api, "status", "web").exit_code == Exit.NOT_RUNNING
    api.workers[0]["problems"] = [problem()]
    assert "warming up; 1 problem in its file; the last good spec is used" in shown(api, "get")


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        ("start_timeout", "did not start in time"),
        ("liveness", "its liveness probe failed"),
        ("hook", "its hook pre_start failed"),
        ("oom_killed", "killed, out of memory"),
    ],
)
def test_each_cause_of_an_exit_has_its_words(cause: str, words: str) -> None:
    assert wording.exit_words({"cause": cause, "code": None, "signal": 9, "at": None}) == words


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (instance("web/0", "stopped", reason="SecretsMissing"), "secrets missing"),
        (instance("web/0", "stopped", reason="WaitingForDependency", message="waits for db"), "waits for db"),
        (instance("web/0", ready=False), "not ready"),
        (instance("web/0", ready=True), ""),
    ],
)
def test_what_an_instance_waits_for_is_its_reason(entry: Item, words: str) -> None:
    assert wording.instance_reason(entry, 0.0) == words
