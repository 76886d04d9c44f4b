"""What is wrong with a spec, in a person's words: the whole printed message for each kind of fault."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from controller.sources.documents import read_spec_file
from controller.sources.offline import validate
from controller.sources.places import Places
from controller.sources.validation import judge_defaults, judge_kind, judge_worker


def judged(text: str, *defaults: str) -> list[str]:
    """The problems of one worker in f.yaml over Defaults in d0.yaml, d1.yaml ..., nearest first."""
    texts = {"f.yaml": text, **{f"d{number}.yaml": one for number, one in enumerate(defaults)}}
    files = {name: read_spec_file(name, one.encode()) for name, one in texts.items()}
    assert [problem for file in files.values() for problem in file.problems] == []
    documents = [file.documents[0] for file in files.values()]
    return [str(problem) for problem in judge_worker(documents[0], documents[1:], Places(files=files)).problems]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("prot: 1", "2:1: unknown field `prot` (did you mean `port`?)"),
        ("x-y: 1", "2:1: unknown field `x-y` (`workerctl help specs` lists the fields)"),
        ("stop: {gracems: 1}", "2:8: unknown field `gracems` in `stop` (did you mean `grace_ms`?)"),
        ("stop:\n  zz: 1", "3:3: unknown field `zz` in `stop` (it has signal, grace_ms, kill)"),
        ("env: {A: 1}", '2:10: expected a string, got 1 (an integer) (write `A: "1"`)'),
        ("env: {A: 3.10}", '2:10: expected a string, got 3.10 (a number) (write `A: "3.10"`)'),
        ("env: {A: True}", '2:10: expected a string, got True (a boolean) (write `A: "True"`)'),
        ("env: {A: }", '2:10: expected a string, got nothing (write `A: ""` for an empty string, or remove the line)'),
        ("env: {A: [x]}", "2:10: expected a string, got a list"),
        ("env: {API_TOKEN: 12345}", '2:18: expected a string, got *** (an integer) (write `API_TOKEN: "***"`)'),
        ("env: {1A: x}", "2:7: expected a name of letters, digits and '_', no digit first, got \"1A\" (a string)"),
        ("env: [a]", "2:6: expected a mapping, got a list"),
        ("env:", "2:5: expected a mapping, got nothing (give a value)"),
        ("labels: {'': x}", "2:10: must not be empty"),
        ("command: [a, 8080]", '2:14: expected a string, got 8080 (an integer) (write `"8080"`)'),
        ("command:\n- a\n- on: x", "4:3: expected a string, got a mapping"),
        (
            "command: 5",
            ('2:10: expected a list of strings or a string, not empty, got 5 (an integer) (write `command: ["5"]`)'),
        ),
        ("command: []", "2:10: expected a list of strings or a string, not empty, got a list"),
        ("command: ''", '2:10: expected a list of strings or a string, not empty, got "" (a string)'),
        ("env_files: a.env", '2:12: expected a list, got "a.env" (a string) (write `env_files: ["a.env"]`)'),
        ("success_exit_codes: 0", "2:21: expected a list, got 0 (an integer) (write `success_exit_codes: [0]`)"),
        ("success_exit_codes: '0'", '2:21: expected a list, got "0" (a string) (write `success_exit_codes: [0]`)'),
        ("success_exit_codes: ok", '2:21: expected a list, got "ok" (a string)'),
        ("success_exit_codes: true", "2:21: expected a list, got true (a boolean)"),
        ("working_dir: ''", "2:14: must not be empty"),
        ("port: '4000'", '2:7: expected an integer, got "4000" (a string) (write `port: 4000`)'),
        ("port: 1_000", '2:7: expected an integer, got "1_000" (a string) (write `port: 1000`)'),
        ("port: 1e3", "2:7: expected an integer, got 1e3 (a number) (write `port: 1000`)"),
        ("port: 1.5", "2:7: expected an integer, got 1.5 (a number)"),
        ("port: 70000", "2:7: expected at most 65535, got 70000 (an integer)"),
        ("port: 0", "2:7: expected at least 1, got 0 (an integer)"),
        ("port: 65535\nreplicas: 2", "2:7: port 65535 with 2 replicas goes beyond 65535"),
        ("port: 1:30", '2:7: expected an integer, got "1:30" (a string)'),
        ("replicas: true", "2:11: expected an integer, got true (a boolean)"),
        ("auto_start: yes", '2:13: expected true or false, got "yes" (a string) (write `auto_start: true`)'),
        ("auto_start: 'false'", '2:13: expected true or false, got "false" (a string) (write `auto_start: false`)'),
        (
            "auto_restart: off",
            (
                '2:15: expected true, false, on_failure, always or never, got "off" (a string) '
                "(write `auto_restart: false`)"
            ),
        ),
        ("auto_restart: 1", "2:15: expected true, false, on_failure, always or never, got 1 (an integer)"),
        ("desired_state: stop", '2:16: expected running or stopped, got "stop" (did you mean `stopped`?)'),
        ("desired_state: 5", "2:16: expected running or stopped, got 5 (an integer)"),
        (
            "stop: {signal: SIGINT}",
            ('2:16: expected TERM, INT, QUIT, HUP, USR1, USR2 or KILL, got "SIGINT" (did you mean `INT`?)'),
        ),
        ("restart_backoff: {factor: x}", '2:27: expected a number, got "x" (a string)'),
        ("restart_delay_ms: 99999999999", "2:19: expected at most 86400000, got 99999999999 (an integer)"),
        (
            "max_restart_attempts: 1000",
            (
                "2:23: max_restart_attempts 1000 can never be used up: its delays add up to "
                "59835000 ms, the window is 600000 ms (raise restart_window_ms)"
            ),
        ),
        ("logs: {capture: pipe}", "2:17: capture: pipe is not yet supported"),
        (
            "update: {strategy: canary}",
            (
                "2:1: `update` is not yet supported "
                "(leave it out; replicas are replaced one at a time, and a failed one stops the rest)"
            ),
        ),
        ("deployment_type: docker", "2:18: `deployment_type: docker` is not yet supported (only `local` is)"),
        (
            "deployment_type: dokcer",
            ('2:18: expected local, ssh, docker or kubernetes, got "dokcer" (did you mean `docker`?)'),
        ),
        ("host: nas", '2:7: host "nas" is not known: other hosts are not yet supported (only `localhost` is)'),
        ("name: " + "x" * 201, "2:7: expected at most 200 characters, got 201 characters"),
        ("port: " + "x" * 500, '2:7: expected an integer, got "' + "x" * 57 + '..." (a string)'),
        ("z" * 500 + ": 1", "2:1: unknown field `" + "z" * 57 + "...` (`workerctl help specs` lists the fields)"),
        ('port: "\\e[31m"', '2:7: expected an integer, got "\\x1b[31m" (a string)'),
    ],
)
def test_a_fault_is_told_with_what_was_expected_and_what_to_write(lines: str, message: str) -> None:
    assert judged(f"worker_id: a\n{lines}\n") == [f"f.yaml:{message}"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x", "1:1: `worker_id` is missing (every worker needs one)"),
        ("worker_id: 5", '1:12: expected a string, got 5 (an integer) (write `worker_id: "5"`)'),
        (
            "worker_id: Ab",
            (
                "1:12: expected a name of a-z, 0-9 and '-' (at most 63 characters, no '-' at either end), "
                'got "Ab" (a string)'
            ),
        ),
    ],
)
def test_a_worker_needs_a_name(text: str, message: str) -> None:
    assert judged(text) == [f"f.yaml:{message}"]


def test_all_faults_of_a_spec_are_told_at_once() -> None:
    text = "worker_id: a\nprot: 1\nenv: {A: 1}\nupdate: {}\nreplicas: x\n"
    assert [line.split(" ")[0] for line in judged(text)] == [
        "f.yaml:4:1:",
        "f.yaml:3:10:",
        "f.yaml:5:11:",
        "f.yaml:2:1:",
    ]


def test_a_fault_of_defaults_is_told_where_it_stands() -> None:
    assert judged(
        "worker_id: a\nenv: {A: x}", "kind: Defaults\nenv: {B: 1}\n", "kind: Defaults\nstop: {signal: X}\n"
    ) == [
        'd0.yaml:2:10: expected a string, got 1 (an integer) (write `B: "1"`)',
        'd1.yaml:2:16: expected TERM, INT, QUIT, HUP, USR1, USR2 or KILL, got "X"',
    ]


def test_the_nearest_value_wins_and_mappings_merge() -> None:
    files = {
        name: read_spec_file(name, text.encode())
        for name, text in {
            "f.yaml": "worker_id: a\nenv: {A: own}\ncommand: [x]\n",
            "near.yaml": "kind: Defaults\nenv: {A: near, B: near}\nstop: {grace_ms: 5}\n",
            "far.yaml": "kind: Defaults\nenv: {B: far, C: far}\nstop: {signal: INT}\ncommand: [y, z]\n",
        }.items()
    }
    own, near, far = (file.documents[0] for file in files.values())
    assert judge_worker(own, (near, far), Places(files=files)).data == {
        "worker_id": "a",
        "env": {"A": "own", "B": "near", "C": "far"},
        "command": ["x"],
        "stop": {"grace_ms": 5, "signal": "INT"},
    }


def defaults_told(text: str) -> list[str]:
    file = read_spec_file("d.yaml", text.encode())
    return [str(problem) for problem in judge_defaults(file.documents[0], Places(files={"d.yaml": file}))]


def test_defaults_are_checked_by_themselves() -> None:
    assert defaults_told("kind: Defaults\nworker_id: x\nreplica: 1\nmax_restart_attempts: 1000\n") == [
        "d.yaml:2:1: Defaults have no worker_id (remove it)",
        "d.yaml:3:1: unknown field `replica` (did you mean `replicas`?)",
    ]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            "Host",
            (
                "f.yaml:2:7: `kind: Host` is not yet supported "
                "(leave it out; `workerctl help not-yet` tells what there is meanwhile)"
            ),
        ),
        ("Wroker", 'f.yaml:2:7: expected Worker or Defaults, got "Wroker" (a string) (did you mean `Worker`?)'),
        ("5", "f.yaml:2:7: expected Worker or Defaults, got 5 (an integer)"),
    ],
)
def test_an_unknown_kind_is_named(kind: str, message: str) -> None:
    file = read_spec_file("f.yaml", f"worker_id: a\nkind: {kind}\n".encode())
    assert str(judge_kind(file.documents[0], Places(files={"f.yaml": file}))) == message


def test_a_document_that_is_no_mapping_is_named() -> None:
    file = read_spec_file("f.yaml", b"- a\n---\nb\n")
    assert [str(problem) for problem in file.problems] == [
        "f.yaml:1:1: expected `field: value` lines, got a list",
        "f.yaml:3:1: expected `field: value` lines, got a string",
    ]


def test_a_last_good_document_has_a_line_but_no_column() -> None:
    file = read_spec_file("f.yaml", b"\nworker_id: a\nport: x\n")
    kept = replace(file.documents[0], index=-1)
    assert [str(problem) for problem in judge_worker(kept, (), Places(files={})).problems] == [
        'f.yaml:2: expected an integer, got "x" (a string)'
    ]


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        (
            "worker_id: a\nkind: Host\naddress: 10.0.0.1\n",
            [
                (
                    "f.yaml:2:7: `kind: Host` is not yet supported "
                    "(leave it out; `workerctl help not-yet` tells what there is meanwhile)"
                )
            ],
        ),
        ("worker_id: a\nkind: Job\n", ['f.yaml:2:7: expected Worker or Defaults, got "Job" (a string)']),
        (
            "worker_id: a\nkind: Job\nreplica: 1\n",
            ['f.yaml:2:7: expected Worker or Defaults, got "Job" (a string)'],
        ),
        ("kind: Job\n", ['f.yaml:1:7: expected Worker or Defaults, got "Job" (a string)']),
    ],
)
def test_a_wrong_kind_is_told_once(tmp_path: Path, text: str, messages: list[str]) -> None:
    (tmp_path / "f.yaml").write_text(text)
    assert [str(problem) for problem in validate(str(tmp_path)).problems] == messages


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("status", "`workerctl help specs` lists the fields"),
        ("cmd", "did you mean `command`?"),
        ("Replica", "did you mean `replicas`?"),
    ],
)
def test_only_a_near_name_is_suggested(tmp_path: Path, name: str, hint: str) -> None:
    (tmp_path / "f.yaml").write_text(f"worker_id: a\ncommand: [x]\n{name}: 1\n")
    assert [problem.hint for problem in validate(str(tmp_path)).problems] == [hint]


def test_variables_that_we_set_are_refused_beside_all_other_faults(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text(
        "worker_id: a\ncommand: [x]\nport: 4000\nenv:\n  WORKER_ID: q\n  PORT: '1'\n  NOTIFY_SOCKET: x\n  N: 1\n"
    )
    words = "is set by workerctl for every instance; a spec cannot set it"
    assert [str(problem) for problem in validate(str(tmp_path)).problems] == [
        f"f.yaml:5:3: `WORKER_ID` {words} (remove it, or use another name)",
        f"f.yaml:6:3: `PORT` {words} (remove `port`, or this line)",
        'f.yaml:8:6: expected a string, got 1 (an integer) (write `N: "1"`)',
    ]


def test_a_spec_without_a_port_may_say_which_one_its_program_takes(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text("worker_id: a\ncommand: ['true']\nenv: {PORT: '4000'}\n")
    assert validate(str(tmp_path)).problems == ()
