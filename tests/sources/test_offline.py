"""`validate`: a directory checked without a controller."""

from __future__ import annotations

from pathlib import Path

from controller.sources.launching import Surroundings
from controller.sources.offline import validate
from tests.sources.specs_builder import worker


def test_all_problems_of_all_files_are_told_and_the_good_workers_are_there(tmp_path: Path) -> None:
    (tmp_path / "defaults.yaml").write_text("kind: Defaults\nreplicas: 2\n")
    (tmp_path / "good.yaml").write_text(worker("good", "env_files: [a.env]\n"))
    (tmp_path / "a.env").write_text("A=1\n")
    (tmp_path / "syntax.yaml").write_text("worker_id: [\n")
    (tmp_path / "invalid.yaml").write_text(worker("invalid", "port: x\n"))
    result = validate(str(tmp_path))
    assert {name: one.spec.replicas for name, one in result.workers.items()} == {"good": 2}
    assert result.files == 4
    assert [str(problem) for problem in result.problems] == [
        'invalid.yaml:3:7: expected an integer, got "x" (a string)',
        (
            "syntax.yaml:2:1: expected a value here: a bracket before it is not closed, or stands where none belongs "
            "(check the brackets, or quote the value)"
        ),
    ]


def test_a_fault_of_yaml_hides_no_other_fault_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(
        "worker_id: web\nport: 012\nreplicas: two\nbogus: 1\nenv: {A: 1, B: 010}\n"
        "readiness: {http: {status: [012, 9]}}\n"
        "---\nworker_id: Api\ndeployment_type: docker\n"
        "---\nkind: Defaults\nstop: {signal: SIGTERM}\n"
        "---\nkind: Other\n---\nname: 5\n"
    )
    assert [
        f"{one.line}:{one.column}: {one.message.partition(' (')[0]}" for one in validate(str(tmp_path)).problems
    ] == [
        "2:7: `012` has a leading zero, which some read as octal",
        '3:11: expected an integer, got "two"',
        "4:1: unknown field `bogus`",
        "5:10: expected a string, got 1",
        "5:16: `010` has a leading zero, which some read as octal",
        "6:29: `012` has a leading zero, which some read as octal",
        "8:12: expected a name of a-z, 0-9 and '-'",
        "9:18: `deployment_type: docker` is not yet supported",
        '12:16: expected TERM, INT, QUIT, HUP, USR1, USR2 or KILL, got "SIGTERM"',
        '14:7: expected Worker or Defaults, got "Other"',
        "16:1: `worker_id` is missing",
        "16:7: expected a string, got 5",
    ]


def test_what_an_unread_value_may_explain_is_no_fault_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(
        "worker_id: web\nport: 010\nreadiness: {http: {}}\nlimits: {nofile: 010}\nmax_restart_attempts: 0100\n"
        "---\n012: x\n"
    )
    assert {one.line for one in validate(str(tmp_path)).problems} == {2, 4, 5, 7}


def test_the_documents_before_a_syntax_error_are_judged(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text("worker_id: web\nreplicas: x\n---\nworker_id: api\n  x: [\n")
    assert [one.line for one in validate(str(tmp_path)).problems] == [2, 5]


def test_young_files_are_taken_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(worker("a"))
    assert list(validate(str(tmp_path)).workers) == ["a"]


def test_names_of_the_environment_are_allowed_by_the_caller(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(worker("a", "env: {A: '${env.A}'}\n"))
    assert [problem.message for problem in validate(str(tmp_path)).problems] == [
        "`${env.A}` is not allowed (character 1)"
    ]
    around = Surroundings(host="h", cpu_count=1, interpreter="python3", key=b"", allowed_env={"A": "1"})
    assert validate(str(tmp_path), around).problems == ()


def test_what_is_no_directory_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(worker("a"))
    assert [str(problem) for problem in validate(str(tmp_path / "a.yaml")).problems] == [
        f"{tmp_path}/a.yaml: cannot be read: it is no directory"
    ]
    assert [str(problem) for problem in validate(str(tmp_path / "none")).problems] == [
        f"{tmp_path}/none: cannot be read: No such file or directory"
    ]


def test_an_empty_directory_is_fine(tmp_path: Path) -> None:
    assert (validate(str(tmp_path)).problems, dict(validate(str(tmp_path)).workers)) == ((), {})
