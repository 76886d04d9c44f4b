"""Defaults and env files of a real directory: what lies under a worker, and what becomes of it when they change."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.sources.launching import Surroundings
from tests.sources.specs_builder import START, SpecsDirectory, states, told, worker


@pytest.fixture
def specs(tmp_path: Path) -> SpecsDirectory:
    return SpecsDirectory(tmp_path)


def test_defaults_lie_under_their_directory_and_below_the_nearest_wins(specs: SpecsDirectory) -> None:
    specs.write("defaults.yaml", "kind: Defaults\nreplicas: 2\nenv: {A: top, B: top}\n")
    specs.write("team/defaults.yml", "kind: Defaults\nreplicas: 3\nenv: {A: team}\n")
    specs.write("a.yaml", worker("a"))
    specs.write("team/b.yaml", worker("b", "env: {C: own}\n"))
    specs.write("other/c.yaml", worker("c", "replicas: 1\n"))
    specs_of = {name: one.spec for name, one in specs.scan().workers.items()}
    assert {name: (spec.replicas, spec.env) for name, spec in specs_of.items()} == {
        "a": (2, {"A": "top", "B": "top"}),
        "b": (3, {"A": "team", "B": "top", "C": "own"}),
        "c": (1, {"A": "top", "B": "top"}),
    }


def test_broken_defaults_keep_their_last_good_content(specs: SpecsDirectory) -> None:
    specs.write("defaults.yaml", "kind: Defaults\nreplicas: 2\n")
    specs.write("a.yaml", worker("a"))
    specs.scan()
    for broken in ("kind: Defaults\nreplicas: x\n", "kind: Defaults\nreplicas: [\n"):
        specs.write("defaults.yaml", broken)
        specs.write("a.yaml", worker("a", "name: edited\n"))
        desired = specs.later().scan()
        assert (states(desired), desired.workers["a"].spec.replicas) == ({"a": "good"}, 2)
        assert [one.file for one in desired.problems] == ["defaults.yaml"]
    specs.start()
    assert specs.later().scan().workers["a"].spec.replicas == 2


def test_without_any_good_defaults_new_workers_below_are_not_accepted(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    specs.scan()
    specs.write("defaults.yaml", "kind: Defaults\nreplicas: x\n")
    specs.write("b.yaml", worker("b"))
    desired = specs.later().scan()
    assert states(desired) == {"a": "stale", "b": "broken"}
    assert told(desired) == ['defaults.yaml:2:11: expected an integer, got "x" (a string)']


def test_two_defaults_for_one_directory_are_an_error_of_both(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", "kind: Defaults\nreplicas: 2\n")
    specs.write("b.yaml", "kind: Defaults\nreplicas: 3\n")
    specs.write("c.yaml", worker("c"))
    desired = specs.scan()
    assert states(desired) == {"c": "broken"}
    assert told(desired) == [
        "a.yaml:1:1: this directory has other Defaults in b.yaml:1 (keep one `kind: Defaults` per directory)",
        "b.yaml:1:1: this directory has other Defaults in a.yaml:1 (keep one `kind: Defaults` per directory)",
    ]


def test_defaults_that_vanish_stay_in_force_until_it_is_certain(specs: SpecsDirectory) -> None:
    specs.write("defaults.yaml", "kind: Defaults\nreplicas: 2\n")
    specs.write("a.yaml", worker("a"))
    specs.scan()
    specs.remove("defaults.yaml")
    assert specs.later().scan().workers["a"].spec.replicas == 2
    assert specs.later().scan().workers["a"].spec.replicas == 1
    specs.start()
    assert specs.later().settled().workers["a"].spec.replicas == 1


def test_renamed_defaults_change_nothing(specs: SpecsDirectory) -> None:
    specs.write("defaults.yaml", "kind: Defaults\nreplicas: 2\n")
    specs.write("a.yaml", worker("a"))
    before = specs.scan().workers["a"]
    (specs.root / "defaults.yaml").rename(specs.root / "base.yaml")
    for _ in range(3):
        assert specs.later().scan().workers["a"].revision == before.revision


def test_a_fault_that_defaults_bring_into_a_worker_stands_in_their_file(specs: SpecsDirectory) -> None:
    specs.write("defaults.yaml", "kind: Defaults\nenv: {CITY: '${env.CITY}'}\n")
    specs.write("a.yaml", worker("a"))
    assert told(specs.scan()) == [
        "defaults.yaml:2:13: `${env.CITY}` is not allowed (character 1) (start the controller with --allow-env CITY)"
    ]


# --- env files -------------------------------------------------------------------------------------------------------


def test_an_env_file_enters_the_environment_and_the_revision(specs: SpecsDirectory) -> None:
    specs.write("team/a.yaml", worker("a", "env_files: [../a.env]\nenv: {B: own}\n"))
    specs.write("a.env", "# comment\nA=1\nB=2\n")
    before = specs.scan().workers["a"]
    assert {name: before.instances[0].launch.env[name] for name in ("A", "B")} == {"A": "1", "B": "own"}
    specs.write("a.env", "# other comment\n\nA=1\nB=2\n")
    same = specs.later().scan().workers["a"]
    assert same.revision == before.revision
    specs.write("a.env", "A=2\nB=2\n")
    assert specs.later().scan().workers["a"].revision != before.revision


def test_the_key_makes_the_revision_of_an_env_file(specs: SpecsDirectory, tmp_path: Path) -> None:
    specs.write("a.yaml", worker("a", "env_files: [a.env]\n"))
    specs.write("a.env", "A=1\n")
    before = specs.scan().workers["a"].revision
    specs.surroundings = Surroundings(host="localhost", cpu_count=2, interpreter="python3", key=b"other")
    specs.start()
    assert specs.scan().workers["a"].revision != before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "a.yaml:3:13: env file a.env cannot be read: No such file or directory"),
        ("A=1\nexport B=2\n", "a.env:2:1: expected NAME=value, got `export` (leave `export` out)"),
        ("A b=1\n", "a.env:1:1: `A b` cannot name a variable (names are letters, digits and '_', no digit first)"),
        ("x\n", "a.env:1:1: expected NAME=value, got a line without a name and `=`"),
        ("A=\x00\n", "a.env:1:1: the value contains a NUL byte (no process can be given one)"),
        (b"A=1\nB=\xff\n", "a.env:2:1: this line is not UTF-8 (save it as UTF-8)"),
    ],
)
def test_an_env_file_that_is_no_good_is_a_problem_of_its_worker(
    specs: SpecsDirectory, content: str | bytes | None, message: str
) -> None:
    specs.write("a.yaml", worker("a", "env_files: [a.env]\n"))
    specs.write("a.env", "A=good\n")
    before = specs.scan().workers["a"]
    specs.remove("a.env")
    if content is not None:
        specs.write("a.env", content)
    desired = specs.later().scan()
    assert (states(desired), told(desired)) == ({"a": "stale"}, [message])
    assert desired.workers["a"].instances == before.instances


@pytest.mark.parametrize("name", ["../outside.env", "/etc/passwd", "a/../../x", "link.env"])
def test_an_env_file_stays_inside_the_directory(specs: SpecsDirectory, name: str, tmp_path: Path) -> None:
    (tmp_path / "outside.env").write_text("A=1\n")
    (specs.root / "link.env").symlink_to(tmp_path / "outside.env")
    specs.write("a.yaml", worker("a", f"env_files: [{name}]\n"))
    desired = specs.scan()
    assert states(desired) == {"a": "broken"}
    assert "leads out of the specs directory" in desired.problems[0].message


def test_an_env_file_in_the_making_is_waited_for(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a", "env_files: [a.env]\n"))
    specs.write("a.env", "A=", age_s=0.0)
    first = specs.result()
    assert (states(first.desired), first.desired.problems) == ({}, ())
    assert first.again_at == pytest.approx(START + 0.2)
    assert states(specs.later().scan()) == {"a": "good"}
    specs.write("a.env", "A=2", age_s=0.0)
    assert specs.scan().workers["a"].instances[0].launch.env["A"] == ""


def test_a_new_env_file_in_the_making_leaves_the_worker_as_it_is(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    specs.scan()
    specs.write("a.yaml", worker("a", "env_files: [a.env]\n"))
    specs.write("a.env", "A=1", age_s=0.0)
    desired = specs.scan()
    assert (states(desired), desired.workers["a"].spec.env_files) == ({"a": "good"}, [])
