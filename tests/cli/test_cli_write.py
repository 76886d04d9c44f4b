"""The verbs that write specs: the plan first, then the write, and what is told of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from controller.cli.assignments import merge_patch
from controller.cli.errors import Exit
from tests.cli.cli_site import run, shown
from tests.fakes.api_server import Asked, FakeApi, refusal, worker

WEB = "/api/v1/worker-configs/web"


def bad(field: str) -> dict[str, Any]:
    return {"pointer": f"/{field}", "file": None, "line": None, "column": None, "message": "expected an integer",
            "hint": "write 3"}  # fmt: skip


def writes(api: FakeApi) -> list[Asked]:
    """What was asked for and was no trial."""
    return [asked for asked in api.requests if asked.method != "GET" and "dry_run" not in asked.query]


@pytest.mark.parametrize(
    ("assignments", "patch"),
    [
        (["replicas=3", "auto_start=true"], {"replicas": 3, "auto_start": True}),
        (["stop.grace_ms=20", "stop.signal=INT"], {"stop": {"grace_ms": 20, "signal": "INT"}}),
        (['command=["a", "b c"]', "script=exec ./x=1"], {"command": ["a", "b c"], "script": "exec ./x=1"}),
        (["env.PORT=80", "env.NO=false", 'env.EMPTY=""'], {"env": {"PORT": "80", "NO": "false", "EMPTY": ""}}),
        (["labels.example.org/team=a", "env.OLD="], {"labels": {"example.org/team": "a"}, "env": {"OLD": None}}),
        (["port=", 'description="3"'], {"port": None, "description": "3"}),
    ],
)
def test_assignments_are_a_merge_patch(assignments: list[str], patch: dict[str, Any]) -> None:
    assert merge_patch(assignments) == patch


@pytest.mark.parametrize(
    "wrong", [["replicas"], ["=3"], ["a..b=1"], ["a=1", "a=2"], ["a=1", "a.b=2"], ["a.b=1", "a=2"]]
)
def test_what_is_no_assignment_is_wrong_usage(api: FakeApi, wrong: list[str]) -> None:
    api.specs.files = {"web": {}}
    assert run(api, "set", "web", *wrong).exit_code == Exit.USAGE
    assert api.requests == []


def test_a_field_is_set_after_its_plan_is_shown(api: FakeApi) -> None:
    api.specs.files = {"web": {"port": 80}}
    assert shown(api, "set", "web", "replicas=3", "port=") == (
        "replace  web/0: replace wanted\n✓ web: changed in web.yaml\n"
    )
    assert api.specs.files == {"web": {"replicas": 3}}
    (sent,) = writes(api)
    assert (sent.method, sent.body, sent.headers["If-Match"]) == ("PATCH", {"replicas": 3, "port": None}, '"web-0"')


def test_what_changes_nothing_is_not_written(api: FakeApi) -> None:
    api.specs.files = {"web": {"port": 80}}
    assert shown(api, "set", "web", "port=80") == "= web: unchanged\n"
    assert writes(api) == []


def test_a_dry_run_shows_the_plan_and_writes_nothing(api: FakeApi) -> None:
    api.specs.files = {"web": {}}
    result = run(api, "set", "web", "replicas=3", "--dry-run")
    assert (result.exit_code, result.stdout) == (Exit.OK, "replace  web/0: replace wanted\n")
    assert (result.stderr, writes(api)) == ("dry run: 1 spec would be written\n", [])


def test_for_programs_all_is_one_document(api: FakeApi) -> None:
    api.specs.files = {"web": {}}
    document = json.loads(shown(api, "scale", "web=2", "-o", "json"))
    (item,) = document["items"]
    assert (document["dry_run"], item["action"], item["config"]["spec"]["replicas"]) == (False, "changed", 2)
    assert item["plan"]["actions"][0]["action"] == "replace"


def test_a_worker_is_created_and_one_that_exists_is_a_conflict(api: FakeApi) -> None:
    text = shown(api, "create", "web", "--set", "port=80", "--set", "env.A=1")
    assert text == "create   web/0: create wanted\n✓ web: created as web.yaml\n"
    assert api.specs.files == {"web": {"port": 80, "env": {"A": "1"}}}
    again = run(api, "create", "web")
    assert again.exit_code == Exit.CONFLICT
    assert "workerctl edit web" in again.stderr
    assert "PUT" not in again.stderr


def test_workers_are_scaled_by_what_their_files_say(api: FakeApi) -> None:
    api.specs.files = {"web": {"replicas": 2}, "mail": {}, "cron": {"replicas": 3}}
    shown(api, "scale", "web=+2", "mail=-5", "cron=1")
    assert api.specs.files == {"web": {"replicas": 4}, "mail": {"replicas": 0}, "cron": {"replicas": 1}}


@pytest.mark.parametrize("wrong", [["web"], ["web=x"], ["web=1", "web=2"], ["web=+"]])
def test_what_is_no_number_of_instances_is_wrong_usage(api: FakeApi, wrong: list[str]) -> None:
    assert run(api, "scale", *wrong).exit_code == Exit.USAGE


def test_workers_are_deleted_and_unknown_ones_stop_it_before_it_begins(api: FakeApi) -> None:
    api.specs.files, api.workers = {"web": {}, "mail": {}}, [worker("web"), worker("mail")]
    missing = run(api, "delete", "web", "mial")
    assert (missing.exit_code, 'Did you mean "mail"?' in missing.stderr) == (Exit.NOT_FOUND, True)
    assert set(api.specs.files) == {"web", "mail"}
    assert shown(api, "delete", "web", "mail", "web").splitlines()[-2:] == [
        "✓ web: deleted from web.yaml",
        "✓ mail: deleted from mail.yaml",
    ]
    assert api.specs.files == {}


def test_every_fault_of_every_change_is_told_and_nothing_is_written(api: FakeApi) -> None:
    api.specs.files, api.specs.faults = {"web": {}}, {"replicas": bad("replicas"), "port": bad("port")}
    result = run(api, "set", "web", "replicas=x", "port=y")
    assert result.exit_code == Exit.USAGE
    assert result.stderr.splitlines() == [
        "Error: Cannot change web: this is no valid spec; nothing was written",
        "  /replicas: expected an integer",
        "      write 3",
        "  /port: expected an integer",
        "      write 3",
    ]


def test_a_change_that_an_anchor_forbids_names_the_option_that_helps(api: FakeApi) -> None:
    api.specs.files = {"web": {}}
    api.answers["PATCH", WEB] = refusal(409, "web.yaml: an anchor is shared", "not_surgical")
    result = run(api, "set", "web", "replicas=2")
    assert (result.exit_code, "hint: --rewrite" in result.stderr) == (Exit.CONFLICT, True)
    del api.answers["PATCH", WEB]
    shown(api, "set", "web", "replicas=2", "--rewrite")
    assert [asked.query.get("rewrite") for asked in writes(api)] == ["1"]


def test_what_a_guard_holds_back_is_written_and_leaves_with_10(api: FakeApi) -> None:
    api.specs.files = {"web": {}}
    api.specs.holds = [{"worker_id": None, "reason": "MassRestartGuard", "message": "all of 9", "confirm": "3f9a"}]
    result = run(api, "set", "web", "replicas=2")
    assert (result.exit_code, api.specs.files) == (Exit.REFUSED, {"web": {"replicas": 2}})
    assert "workerctl reconcile --confirm 3f9a" in result.stderr


@pytest.mark.parametrize(
    ("status", "code"), [(401, Exit.NOT_AUTHORISED), (403, Exit.NOT_AUTHORISED), (507, Exit.FAILED)]
)
def test_a_refusal_leaves_with_its_exit_code(api: FakeApi, status: int, code: Exit) -> None:
    for method in ("GET", "PATCH"):
        api.answers[method, WEB] = refusal(status, "no")
    assert run(api, "set", "web", "replicas=2").exit_code == code


def test_without_a_controller_it_leaves_with_8_and_says_so_once() -> None:
    result = run(None, "delete", "web", "mail", "--server", "http://127.0.0.1:1")
    assert (result.exit_code, result.stderr.count("Cannot reach")) == (Exit.UNREACHABLE, 1)


def test_a_file_is_applied_creating_and_replacing(api: FakeApi, tmp_path: Path) -> None:
    api.specs.files = {"web": {"port": 80, "replicas": 2}, "other": {}}
    file = tmp_path / "all.yaml"
    file.write_text("worker_id: web\nreplicas: 2\n---\nkind: Worker\nworker_id: mail\ncommand: [mail]\n")
    assert shown(api, "apply", "-f", str(file)).splitlines()[-2:] == [
        "✓ web: changed in web.yaml",
        "✓ mail: created as mail.yaml",
    ]
    assert api.specs.files == {"web": {"replicas": 2}, "other": {}, "mail": {"command": ["mail"]}}
    assert shown(api, "apply", "-f", str(file)) == "= web: unchanged\n= mail: unchanged\n"


def test_a_directory_is_applied_in_order_without_what_is_hidden(api: FakeApi, tmp_path: Path) -> None:
    for name in ("b.yaml", "sub/a.yml", ".hidden/c.yaml", "d.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"worker_id: {path.stem}\n")
    shown(api, "apply", "-f", str(tmp_path))
    assert api.specs.written == [("POST", "b"), ("POST", "a")]


def test_faults_of_documents_are_told_at_their_places_and_nothing_is_written(api: FakeApi, tmp_path: Path) -> None:
    api.specs.faults = {"replicas": bad("replicas")}
    file = tmp_path / "w.yaml"
    file.write_text("worker_id: good\n---\n# more\nworker_id: web\nreplicas: three\n")
    result = run(api, "apply", "-f", str(file))
    assert (result.exit_code, api.specs.written) == (Exit.USAGE, [])
    assert f"  {file}:5:11: expected an integer" in result.stderr.splitlines()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("worker_id: web\nworker_id: web\n", "x.yaml:2:1: duplicate key"),
        ("command: [x]\n", "x.yaml:1: expected `worker_id`"),
        ("kind: Defaults\nport: 1\n", "x.yaml:1: `kind: Defaults` cannot be applied"),
        ("worker_id: web\n---\nworker_id: web\n", "x.yaml:3: web stands already in"),
        ("", "there are no documents"),
    ],
)
def test_documents_that_cannot_be_applied_are_refused(api: FakeApi, tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "x.yaml").write_text(text)
    result = run(api, "apply", "-f", str(tmp_path / "x.yaml"))
    assert (result.exit_code, told in result.stderr, api.requests) == (Exit.USAGE, True, [])
