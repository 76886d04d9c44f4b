"""The verbs for whoever writes specs: init, validate, explain, render, fmt, schema."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from controller.cli import explain as explaining
from controller.cli.errors import Exit
from controller.cli.main import root
from controller.core.fields import Field, find, whole_spec
from controller.core.schema import editor_schema
from controller.sources.offline import validate
from tests.cli.cli_site import COLOUR, PLAIN, SCREEN, run, shown

GOOD = "worker_id: web\ncommand: [sleep, '1']\n"
WRONG = "worker_id: web\nreplica: 3\n"


@pytest.fixture
def specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty ./specs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "specs").mkdir()
    return tmp_path / "specs"


# --- validate ----------------------------------------------------------------------------------------------------


def test_in_a_workflow_problems_are_commands_relative_to_the_working_directory(specs: Path) -> None:
    (specs / "web.yaml").write_text(WRONG)
    for directory in ("specs", str(specs), "./specs/"):
        result = run(None, "validate", directory, "-o", "github")
        assert (result.exit_code, result.stdout) == (
            Exit.USAGE,
            "::error file=specs/web.yaml,line=2,col=1::unknown field `replica`%0Adid you mean `replicas`?\n",
        )
    (specs / "web.yaml").write_text(GOOD)
    assert shown(None, "validate", "specs", "-o", "github") == "1 worker, all valid\n"


def test_sarif_is_one_document_and_nothing_else(specs: Path) -> None:
    (specs / "web.yaml").write_text(WRONG)
    result = run(None, "validate", "specs", "-o", "sarif")
    log = json.loads(result.stdout)
    assert (result.exit_code, result.stderr, log["version"]) == (Exit.USAGE, "", "2.1.0")
    assert [found["ruleId"] for found in log["runs"][0]["results"]] == ["unknown"]
    (specs / "web.yaml").write_text(GOOD)
    assert json.loads(shown(None, "validate", "specs", "-o", "sarif"))["runs"][0]["results"] == []


def test_variables_are_allowed_by_name_whether_or_not_they_are_set_here(specs: Path) -> None:
    (specs / "web.yaml").write_text(GOOD + "env: {A: '${env.REGION}', B: '${env.ZONE}'}\n")
    assert run(None, "validate", "specs").exit_code == Exit.USAGE
    assert run(None, "validate", "specs", "--allow-env", "REGION").exit_code == Exit.USAGE
    assert run(None, "validate", "specs", "--allow-env", "REGION, ZONE").exit_code == 0
    assert run(None, "validate", "specs", "--allow-env", "REGION", "--allow-env", "ZONE").exit_code == 0
    refused = run(None, "validate", "specs", "--allow-env", "A B")
    assert (refused.exit_code, '"A B" is not the name' in refused.stderr) == (Exit.USAGE, True)


# --- explain -----------------------------------------------------------------------------------------------------


def test_one_field_is_explained_with_what_changing_it_does() -> None:
    assert shown(None, "explain", "stop.grace_ms").splitlines() == [
        "FIELD    stop.grace_ms",
        "TYPE     integer",
        "BOUNDS   0 to 86400000",
        "DEFAULT  10000",
        "CHANGE   in place: a change counts from the next decision on; the process is not touched",
        "EXAMPLE  stop: {grace_ms: 20000}",
        "",
        "How long it may take before it is killed.",
    ]


def test_a_pointer_of_a_problem_names_a_field_too() -> None:
    assert shown(None, "explain", "/stop/grace_ms") == shown(None, "explain", "stop.grace_ms")
    assert "CHANGE   none: a change adds or removes instances at the end" in shown(None, "explain", "replicas")


def test_a_group_is_explained_with_its_fields() -> None:
    lines = shown(None, "explain", "restart_backoff").splitlines()
    assert [line.split()[0] for line in lines[7:]] == [
        "FIELD", "restart_backoff.factor", "restart_backoff.max_delay_ms", "restart_backoff.jitter",
    ]  # fmt: skip


def test_without_a_field_all_are_listed_and_with_recursive_those_of_groups_too() -> None:
    top, all_fields = shown(None, "explain"), shown(None, "explain", "--recursive")
    assert ("worker_id " in top, "stop.grace_ms" in top, "stop.grace_ms" in all_fields) == (True, False, True)
    assert "Not yet supported" in top


def test_a_reserved_field_says_what_it_comes_with() -> None:
    reserved = next(field for field in whole_spec().below() if field.comes_with)
    text = shown(None, "explain", reserved.path)
    assert f"SUPPORTED  not yet; it comes with {reserved.comes_with}" in text
    assert shown(None, "explain", "schedule.cron").splitlines()[:3] == [
        "FIELD      schedule",
        "SUPPORTED  not yet; it comes with jobs",
        "MEANWHILE  leave it out; let cron call `workerctl restart NAME`",
    ]


@pytest.mark.parametrize("field", list(whole_spec().below()), ids=lambda field: field.path)
def test_every_field_has_an_example_that_is_valid(field: Field, specs: Path) -> None:
    example = json.loads(shown(None, "explain", field.path, "-o", "json"))["example"]
    if field.comes_with:
        assert example is None
        return
    assert f"EXAMPLE  {example}" in shown(None, "explain", field.path)
    (specs / "mailer.env").write_text("A=1\n")
    name = "" if field.path in {"worker_id", "kind"} else "worker_id: mailer\n"
    (specs / "one.yaml").write_text(f"{name}{example}\n")
    assert [str(problem) for problem in validate("specs").problems] == []


def test_a_field_that_there_is_not_leaves_with_2_and_near_names() -> None:
    result = run(None, "explain", "grace_ms")
    assert (result.exit_code, "did you mean stop.grace_ms" in result.stderr) == (Exit.USAGE, True)
    assert "lists all fields" in run(None, "explain", "qqqq").stderr


def test_an_explanation_is_a_document_for_programs() -> None:
    assert json.loads(shown(None, "explain", "replicas", "-o", "json")) == {
        "path": "replicas",
        "type": "integer",
        "required": False,
        "default": "1",
        "constraints": ["0 to 1000"],
        "description": "How many instances.",
        "effect": "none",
        "change": "a change adds or removes instances at the end; the others are not touched",
        "example": "replicas: 3",
        "supported": True,
        "comes_with": None,
    }
    top = {one["path"]: one for one in json.loads(shown(None, "explain", "-o", "json"))["fields"]}
    assert top["stop"]["fields"] == ["stop.signal", "stop.grace_ms", "stop.kill"]
    deep = {one["path"]: one for one in json.loads(shown(None, "explain", "--recursive", "-o", "json"))["fields"]}
    assert deep["stop"]["fields"][1]["path"] == "stop.grace_ms"


def test_an_explanation_fits_a_terminal_and_is_coloured_there() -> None:
    spec = whole_spec()
    assert max(map(len, explaining.lines(spec, SCREEN, recursive=True))) <= SCREEN.columns
    field = find("command", spec)
    assert field is not None
    assert "\x1b[" in "\n".join(explaining.lines(spec, COLOUR, recursive=False))
    mixed = Field(path="x", type="group", description="d", fields=(field,))
    assert "CHANGE  differs by field" in explaining.lines(mixed, PLAIN, recursive=False)


# --- schema and init ---------------------------------------------------------------------------------------------


def test_the_schema_is_printed_or_written(specs: Path) -> None:
    assert json.loads(shown(None, "schema")) == editor_schema()
    assert shown(None, "schema", "-o", "specs/s.json") == ""
    assert json.loads((specs / "s.json").read_text()) == editor_schema()
    refused = run(None, "schema", "-o", "none/s.json")
    assert (refused.exit_code, refused.stderr) == (
        Exit.FAILED,
        "Error: Cannot write none/s.json: No such file or directory\n",
    )


def test_init_writes_a_valid_spec_and_the_schema_beside_it(specs: Path) -> None:
    specs.rmdir()
    assert shown(None, "init") == (
        "wrote specs/hello.yaml and specs/.workerctl-schema.json\nnext: workerctl serve specs\n"
    )
    assert shown(None, "validate", "specs") == "1 worker, all valid\n"
    assert shown(None, "init", "mailer", "--dir", "specs").startswith("wrote specs/mailer.yaml")
    assert shown(None, "validate", "specs") == "2 workers, all valid\n"
    assert json.loads((specs / ".workerctl-schema.json").read_text()) == editor_schema()


def test_init_writes_over_nothing_unless_forced(specs: Path) -> None:
    (specs / "web.yaml").write_text(GOOD)
    refused = run(None, "init", "web")
    assert (refused.exit_code, "it exists" in refused.stderr) == (Exit.CONFLICT, True)
    assert (specs / "web.yaml").read_text() == GOOD
    assert run(None, "init", "web", "--force").exit_code == 0
    assert "worker_id: web\n" in (specs / "web.yaml").read_text()


def test_init_makes_no_second_worker_of_a_name(specs: Path) -> None:
    (specs / "other.yaml").write_text(GOOD)
    refused = run(None, "init", "web", "--force")
    assert (refused.exit_code, "there is a worker web in specs/other.yaml" in refused.stderr) == (Exit.CONFLICT, True)
    assert sorted(os.listdir(specs)) == ["other.yaml"]


def test_init_tells_what_the_directory_makes_of_it(specs: Path) -> None:
    (specs / "defaults.yaml").write_text("kind: Defaults\nport: 70000\n")
    refused = run(None, "init", "web")
    assert (refused.exit_code, "defaults.yaml:2:7" in refused.stderr) == (Exit.USAGE, True)
    assert run(None, "init", "Web").exit_code == Exit.USAGE
    (specs / "defaults.yaml").write_text("worker_id: [\n")
    assert run(None, "init", "mail").exit_code == 0
    (specs / "file").touch()
    assert run(None, "init", "--dir", "specs/file/below").exit_code == Exit.FAILED


# --- render ------------------------------------------------------------------------------------------------------


def test_a_worker_is_rendered_as_yaml_or_json(specs: Path) -> None:
    (specs / "web.yaml").write_text("worker_id: web\ncommand: |\n  one\n  two $X\nenv: {API_KEY: hunter2}\n")
    text = shown(None, "render", "web")
    assert "  - |\n    one\n    two $X\n" in text
    assert ("hunter2" in text, "API_KEY: '***'" in text) == (False, True)
    document = json.loads(shown(None, "render", "web", "--dir", str(specs), "-o", "json"))
    assert document["instances"][0]["working_dir"] == str(specs)


def test_what_cannot_be_rendered_says_why(specs: Path) -> None:
    (specs / "web.yaml").write_text(GOOD + "env: {A: '${env.WORKERCTL_TEST_NOT_SET}'}\n")
    (specs / "mail.yaml").write_text(GOOD.replace("web", "mail"))
    allowed = run(None, "render", "web", "--allow-env", "WORKERCTL_TEST_NOT_SET")
    assert (allowed.exit_code, "is not set" in allowed.stderr) == (Exit.USAGE, True)
    assert "Cannot render web: its spec has 1 problem" in allowed.stderr
    missing = run(None, "render", "mali")
    assert (missing.exit_code, 'Did you mean "mail"?' in missing.stderr) == (Exit.NOT_FOUND, True)
    assert run(None, "render", "web", "--dir", "none").exit_code == Exit.USAGE


# --- fmt ---------------------------------------------------------------------------------------------------------


def test_files_are_formatted_in_place_and_named(specs: Path) -> None:
    (specs / "web.yaml").write_text("worker_id: web  \nenv:\n    A: '1' # one\n")
    (specs / "good.yaml").write_text(GOOD)
    (specs / "sub").mkdir()
    (specs / "sub" / "mail.yml").write_text("worker_id: mail")
    (specs / "note.txt").write_text("blanks  ")
    listed = "specs/sub/mail.yml\nspecs/web.yaml\n"
    check = run(None, "fmt", "--check", "specs", "specs/web.yaml")
    assert (check.exit_code, check.stdout) == (Exit.FAILED, listed)
    assert (specs / "web.yaml").read_text().startswith("worker_id: web  \n")
    assert shown(None, "fmt", "specs") == listed
    assert (specs / "web.yaml").read_text() == "worker_id: web\nenv:\n  A: '1' # one\n"
    assert (shown(None, "fmt", "--check", "specs"), shown(None, "fmt", "specs")) == ("", "")


def test_a_file_that_is_no_yaml_is_told_and_the_others_are_formatted(specs: Path) -> None:
    (specs / "a.yaml").write_text("worker_id: [\n")
    (specs / "b.yaml").write_text("worker_id: b  \n")
    result = run(None, "fmt", "specs")
    assert (result.exit_code, result.stdout) == (Exit.USAGE, "specs/b.yaml\n")
    assert result.stderr.startswith("specs/a.yaml:2:1: ")


def test_what_is_no_file_or_cannot_be_read_is_told_and_the_others_are_formatted(specs: Path) -> None:
    os.mkfifo(specs / "pipe.yaml")
    (specs / "b.yaml").write_text("worker_id: b  \n")
    result = run(None, "fmt", "specs/pipe.yaml", "specs/b.yaml")
    assert (result.exit_code, result.stdout) == (Exit.FAILED, "specs/b.yaml\n")
    assert result.stderr == "Error: Cannot format specs/pipe.yaml: it is no regular file\n"


def test_standard_input_is_formatted_to_standard_output() -> None:
    def piped(text: str, *arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(root, ["fmt", *arguments], input=text)
        return result.exit_code, result.stdout

    assert piped("a: 1  \nb:\n    c: 1", "-") == (0, "a: 1\nb:\n  c: 1\n")
    assert piped("a: [1  \n", "-") == (Exit.USAGE, "a: [1  \n")
    assert piped("a: 1  \n", "--check", "-") == (Exit.FAILED, "")
    assert piped("a: 1\n", "-", "-")[0] == Exit.USAGE


def test_what_is_left_alone_is_said_and_no_failure(specs: Path) -> None:
    (specs / "a.yaml").write_text("      a: |\n  # in the text or not?\n")
    result = run(None, "fmt", "--check", "specs/a.yaml")
    assert (result.exit_code, "specs/a.yaml: its indentation is left as it is" in result.stderr) == (0, True)


def test_a_file_that_cannot_be_written_is_an_error(specs: Path) -> None:
    (specs / "b.yaml").write_text("worker_id: b  \n")
    (specs / ".b.yaml.workerctl").mkdir()
    result = run(None, "fmt", "specs/b.yaml")
    assert (result.exit_code, "Cannot write specs/b.yaml" in result.stderr) == (Exit.FAILED, True)
    assert run(None, "fmt", "specs/none.yaml").exit_code == Exit.USAGE
