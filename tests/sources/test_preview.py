"""The plan of a directory over what was accepted last, without a controller and without a trace."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from controller.core.intents import Keep
from controller.sources.launching import Surroundings
from controller.sources.preview import Preview, preview
from tests.sources.specs_builder import START, SURROUNDINGS, SpecsDirectory, worker


@pytest.fixture
def specs(tmp_path: Path) -> SpecsDirectory:
    return SpecsDirectory(tmp_path)


def planned(specs: SpecsDirectory, around: Surroundings = SURROUNDINGS) -> Preview:
    return preview(str(specs.root), str(specs.state), around, now=START)


def lines(specs: SpecsDirectory, around: Surroundings = SURROUNDINGS) -> list[str]:
    return str(planned(specs, around).plan).splitlines()


def accepted(specs: SpecsDirectory, **files: str) -> SpecsDirectory:
    """A directory whose files a controller has accepted."""
    for name, text in files.items():
        specs.write(f"{name}.yaml", text)
    specs.settled()
    return specs


def trace(folder: Path) -> dict[str, tuple[int, bytes]]:
    """All that lies below a directory: when it was changed, and what it holds."""
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in sorted([folder, *folder.rglob("*")])
    }


def test_without_an_accepted_spec_everything_is_new(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(worker("web", "replicas: 2\n"))
    found = preview(str(tmp_path), None, SURROUNDINGS, now=START)
    assert str(found.plan).splitlines() == ["create   web/0: not there yet", "create   web/1: not there yet"]
    assert (found.known, found.problems) == (0, ())
    missing = str(tmp_path / "nowhere")
    assert preview(str(tmp_path), missing, SURROUNDINGS, now=START) == found
    assert not os.path.exists(missing)


def test_what_was_accepted_as_it_is_needs_nothing(specs: SpecsDirectory) -> None:
    accepted(specs, web=worker("web", "replicas: 2\n"), idle=worker("idle", "auto_start: false\n"))
    specs.write("off.yaml", worker("off", "desired_state: stopped\n"))
    specs.settled()
    assert (lines(specs), planned(specs).known) == ([], 3)


def test_each_kind_of_change_has_its_line(specs: SpecsDirectory) -> None:
    accepted(specs, **{name: worker(name) for name in ("gone", "grow", "place", "same", "swap", "off")})
    specs.remove("gone.yaml")
    specs.write("grow.yaml", worker("grow", "replicas: 2\n"))
    specs.write("place.yaml", worker("place", "stop: {grace_ms: 5}\n"))
    specs.write("swap.yaml", worker("swap", "env: {A: '1'}\n"))
    specs.write("off.yaml", worker("off", "desired_state: stopped\n"))
    specs.write("new.yaml", worker("new"))
    assert lines(specs) == [
        "remove   gone/0: spec removed: gone.yaml is gone",
        "stop     off/0: desired_state: stopped",
        "update   place/0: spec changed; stop.grace_ms: unset -> 5 (in_place)",
        "replace  swap/0: spec changed; env.A: unset -> '1' (restart)",
        "create   grow/1: replicas 1 -> 2",
        "create   new/0: not there yet",
    ]


def test_a_broken_file_is_a_problem_and_its_last_good_spec_goes_on(specs: SpecsDirectory) -> None:
    accepted(specs, web=worker("web"), mail=worker("mail"))
    specs.write("web.yaml", "worker_id: web\nreplica: 2\n")
    found = planned(specs)
    assert [problem.message for problem in found.problems] == ["unknown field `replica`"]
    assert [hold.reason for hold in found.plan.holds] == ["SpecInvalid"]
    assert found.plan.actions == ()


def test_the_guards_and_holds_are_those_of_the_controller(specs: SpecsDirectory) -> None:
    accepted(specs, **{f"w{number}": worker(f"w{number}") for number in range(5)})
    for number in range(4):
        specs.remove(f"w{number}.yaml")
    assert {hold.reason for hold in planned(specs).plan.holds} == {"PruneGuard"}
    specs.remove("w4.yaml")
    found = planned(specs).plan
    assert (found.actions, [hold.reason for hold in found.holds]) == ((), ["SourceHeld"])
    assert "is empty, but 5 workers are known from it" in found.holds[0].message


def test_defaults_that_change_are_seen_in_every_worker_below(specs: SpecsDirectory) -> None:
    specs.write("defaults.yaml", "kind: Defaults\nenv: {LEVEL: info}\n")
    accepted(specs, web=worker("web"))
    specs.write("defaults.yaml", "kind: Defaults\nenv: {LEVEL: debug}\n")
    assert lines(specs) == ["replace  web/0: spec changed; env.LEVEL: 'info' -> 'debug' (restart)"]


def test_a_copy_of_the_directory_elsewhere_is_compared_and_not_suspected(specs: SpecsDirectory, tmp_path: Path) -> None:
    accepted(specs, web=worker("web"))
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "web.yaml").write_text(worker("web"))
    assert str(preview(str(checkout), str(specs.state), SURROUNDINGS, now=START).plan) == ""
    (checkout / "web.yaml").write_text(worker("web", "port: 4000\n"))
    assert str(preview(str(checkout), str(specs.state), SURROUNDINGS, now=START).plan) == (
        "replace  web/0: spec changed; port: unset -> 4000 (restart)"
    )


def test_env_files_and_the_controllers_key_make_no_difference(specs: SpecsDirectory) -> None:
    specs.write("a.env", "A=1\n")
    accepted(specs, web=worker("web", "env_files: [a.env]\n"))
    around = Surroundings(host="localhost", cpu_count=9, interpreter="/other", key=b"")
    assert lines(specs, around) == []


def test_nothing_of_the_state_directory_is_touched_even_where_records_are_damaged(specs: SpecsDirectory) -> None:
    accepted(specs, web=worker("web"), mail=worker("mail"))
    with (specs.state / "last_good" / "records.jsonl").open("ab") as journal:
        journal.write(b"{\n{")
    specs.remove("mail.yaml")
    specs.write("web.yaml", worker("web", "replicas: 3\n"))
    before = trace(specs.state)
    assert len(lines(specs)) == 3
    assert trace(specs.state) == before


def test_a_worker_whose_former_env_file_is_gone_is_replaced(specs: SpecsDirectory) -> None:
    specs.write("a.env", "A=1\n")
    accepted(specs, web=worker("web", "env_files: [a.env]\n"))
    specs.remove("a.env")
    specs.write("web.yaml", worker("web"))
    assert [line.partition(":")[0] for line in lines(specs)] == ["replace  web/0"]


def test_a_record_that_this_version_cannot_judge_is_passed_over(specs: SpecsDirectory) -> None:
    accepted(specs, web=worker("web"), mail=worker("mail"))
    journal = specs.state / "last_good" / "records.jsonl"
    was = journal.read_text()
    journal.write_text(was.replace('"data": {"worker_id": "web"', '"data": {"later": 1, "worker_id": "web"'))
    assert lines(specs) == ["create   web/0: not there yet"]


def test_what_people_keep_for_a_while_counts_then_as_now(specs: SpecsDirectory) -> None:
    accepted(specs, held=worker("held"), lit=worker("lit", "desired_state: stopped\n"))
    specs.write("held.yaml", worker("held", "env: {A: '1'}\n"))
    specs.write("lit.yaml", worker("lit", "desired_state: stopped\nenv: {A: '1'}\n"))
    keeps = {
        "held": Keep(worker_id="held", wanted="stopped", at=START, until=START + 60),
        "lit": Keep(worker_id="lit", wanted="running", at=START, until=START + 60),
    }
    found = preview(str(specs.root), str(specs.state), SURROUNDINGS, now=START, keeps=keeps)
    assert [f"{action.kind.value} {action.instance}" for action in found.plan.actions] == [
        "update held/0", "replace lit/0",
    ]  # fmt: skip
    assert [hold.reason for hold in found.plan.holds] == ["KeptStopped", "KeptRunning"]
    over = preview(str(specs.root), str(specs.state), SURROUNDINGS, now=START + 61, keeps=keeps)
    assert [f"{action.kind.value} {action.instance}" for action in over.plan.actions] == [
        "update lit/0", "replace held/0",
    ]  # fmt: skip
