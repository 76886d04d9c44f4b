"""`plan --offline`: the same text as `plan`, made from files alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controller.cli.errors import Exit
from controller.core.intents import Keep
from controller.reconcile.clock import read_clocks
from controller.reconcile.wishes import WishBook
from controller.sources.directory import DirectorySource
from controller.sources.launching import Surroundings
from tests.cli.cli_site import run

GOOD = "worker_id: web\ncommand: [sleep, '1']\n"


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    folder = tmp_path / "specs"
    folder.mkdir()
    (folder / "web.yaml").write_text(GOOD)
    return folder


def accept(specs: Path) -> Path:
    """A state directory whose controller has accepted what is there."""
    state = specs.parent / "state"
    around = Surroundings(host="localhost", cpu_count=1, interpreter="python3", key=b"k")
    DirectorySource(str(specs), str(state), around, settle_ms=0).scan(float("inf"))
    return state


def test_without_accepted_specs_everything_is_new_and_nothing_is_written(specs: Path) -> None:
    state = specs.parent / "state"
    result = run(None, "plan", "--offline", str(specs), "--state-dir", str(state))
    assert (result.exit_code, result.stdout) == (Exit.FAILED, "create   web/0: not there yet\n")
    assert result.stderr == f"1 action, 0 holds\nnothing was accepted in {state} yet: everything is new\n"
    assert not state.exists()


def test_what_is_accepted_already_leaves_with_0(specs: Path) -> None:
    state = accept(specs)
    result = run(None, "plan", "--offline", str(specs), "--state-dir", str(state))
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == (
        f"nothing to do: everything is as the specs say\ncompared with 1 worker, as last accepted in {state}\n"
    )


def test_a_change_reads_as_it_does_from_the_controller(specs: Path) -> None:
    state = accept(specs)
    (specs / "web.yaml").write_text(GOOD + "env: {API_KEY: hunter2, A: '1'}\n")
    result = run(None, "plan", "--offline", str(specs), env={"WORKERCTL_STATE_DIR": str(state)})
    assert (result.exit_code, result.stdout) == (
        Exit.FAILED,
        "replace  web/0: spec changed; env.A: unset -> '1' (restart); env.API_KEY: unset -> '***' (restart)\n",
    )
    document = json.loads(run(None, "plan", "--offline", str(specs), "--state-dir", str(state), "-o", "json").stdout)
    assert [field["path"] for field in document["actions"][0]["fields"]] == ["env.A", "env.API_KEY"]
    assert (document["holds"], document["next_wake"], document["problems"]) == ([], None, [])


def test_a_spec_that_is_not_valid_leaves_with_2(specs: Path) -> None:
    state = accept(specs)
    (specs / "web.yaml").write_text(GOOD + "replica: 2\n")
    result = run(None, "plan", "--offline", str(specs), "--state-dir", str(state))
    assert (result.exit_code, result.stdout.startswith("hold     web: SpecInvalid: ")) == (Exit.USAGE, True)
    assert "web.yaml:3:1: unknown field `replica`\n" in result.stderr


def test_allowed_variables_are_allowed(specs: Path) -> None:
    (specs / "web.yaml").write_text(GOOD + "env: {A: '${env.WORKERCTL_TEST_NOT_SET}'}\n")
    arguments = ["plan", "--offline", str(specs), "--state-dir", str(specs.parent / "state")]
    assert run(None, *arguments).exit_code == Exit.USAGE
    assert run(None, *arguments, "--allow-env", "WORKERCTL_TEST_NOT_SET").exit_code == Exit.FAILED


def test_wrong_usage_is_told(specs: Path) -> None:
    assert "go with --offline" in run(None, "plan", "--state-dir", "x").stderr
    assert run(None, "plan", "--offline", str(specs / "none")).exit_code == Exit.USAGE
    wrong = run(None, "plan", "--offline", str(specs), env={"WORKERCTL_CONFIG": str(specs / "none.toml")})
    assert (wrong.exit_code, "none.toml does not exist" in wrong.stderr) == (Exit.USAGE, True)


def test_a_state_directory_that_cannot_be_read_is_an_error(specs: Path) -> None:
    state = specs.parent / "state"
    state.mkdir()
    (state / "last_good").touch()
    result = run(None, "plan", "--offline", str(specs), "--state-dir", str(state))
    assert (result.exit_code, f"{state}/last_good: Not a directory" in result.stderr) == (Exit.FAILED, True)


def test_what_is_kept_stopped_is_told_and_left_as_it_is(specs: Path) -> None:
    state = accept(specs)
    (state / "intents").mkdir()
    now = read_clocks().wall
    WishBook(state / "intents").keep(
        Keep(worker_id="web", wanted="stopped", at=now, until=now + 60, actor="alice", reason="tidying")
    )
    result = run(None, "plan", "--offline", str(specs), "--state-dir", str(state))
    assert (result.exit_code, result.stdout.count("\n")) == (0, 1)
    assert result.stdout.startswith("hold     web: KeptStopped: kept stopped until ")
    assert "(tidying, by alice)" in result.stdout
