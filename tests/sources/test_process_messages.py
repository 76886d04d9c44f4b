"""What is wrong with the groups around a process, in a person's words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from controller.sources.documents import read_spec_file
from controller.sources.expected import bound_words
from controller.sources.offline import validate
from controller.sources.places import Places
from controller.sources.validation import judge_defaults, judge_worker
from tests.sources.specs_builder import SURROUNDINGS, SpecsDirectory, states, told, worker

AROUND = replace(SURROUNDINGS, environment={"DB_PASSWORD": "hunter2"})
DB = "secrets: {DB: {env: DB_PASSWORD}}\n"


def judged(text: str, *defaults: str) -> list[str]:
    """The problems of one worker in f.yaml over Defaults in d0.yaml, d1.yaml ..., nearest first."""
    texts = {"f.yaml": text, **{f"d{number}.yaml": one for number, one in enumerate(defaults)}}
    files = {name: read_spec_file(name, one.encode()) for name, one in texts.items()}
    documents = [file.documents[0] for file in files.values()]
    unread = [str(problem) for file in files.values() for problem in file.problems]
    result = judge_worker(documents[0], documents[1:], Places(files=files))
    return [*unread, *(str(problem) for problem in result.problems)]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            "secrets: {DB: hunter2}",
            (
                '2:15: expected a mapping, got "***" (a string) (write `DB: {file: PATH}` or `DB: {env: '
                "VARIABLE}`; a value never stands in a spec)"
            ),
        ),
        (
            "secrets: hunter2",
            (
                '2:10: expected a mapping, got "***" (a string) (write `secrets: {NAME: {file: PATH}}` or '
                "`{NAME: {env: VARIABLE}}`)"
            ),
        ),
        (
            "secrets: [A]",
            (
                "2:10: expected a mapping, got a list (write `secrets: {NAME: {file: PATH}}` or `{NAME: {env: "
                "VARIABLE}}`)"
            ),
        ),
        ("secrets: {DB: {value: hunter2}}", "2:16: unknown field `value` in `secrets.DB` (it has file, env)"),
        ("secrets: {DB: {}}", "2:15: needs exactly one of `file` and `env` (write `{file: PATH}` or `{env: NAME}`)"),
        (
            "secrets: {DB: {file: /a, env: B}}",
            "2:15: needs exactly one of `file` and `env` (write `{file: PATH}` or `{env: NAME}`)",
        ),
        ("secrets: {DB: {file: 12345}}", '2:22: expected a string, got *** (an integer) (write `file: "***"`)'),
        (
            "secrets: {DB: {env: my-secret}}",
            "2:21: expected a name of letters, digits and '_', no digit first, got another text",
        ),
        (
            "secrets: {my-db: {file: /a}}",
            "2:11: expected a name of letters, digits and '_', no digit first, got \"my-db\" (a string)",
        ),
        ("secrets: {DB: {file: ''}}", "2:22: must not be empty"),
        (
            "secrets:",
            (
                "2:9: expected a mapping, got nothing (write `secrets: {NAME: {file: PATH}}` or `{NAME: {env: "
                "VARIABLE}}`)"
            ),
        ),
        ("user: [a]", "2:7: expected a name or a number, got a list"),
        ("user: ''", "2:7: must not be empty"),
        ("user: true", "2:7: expected a name or a number, got true (a boolean)"),
        ("user: 1.5", "2:7: expected a name or a number, got 1.5 (a number)"),
        (
            "umask: 22",
            '2:8: expected three octal digits in quotes, as in "022", got 22 (an integer) (write `umask: "022"`)',
        ),
        (
            "umask: 022",
            (
                '2:8: `022` has a leading zero, which some read as octal (write `22` for the number, `"022"` '
                "for the text)"
            ),
        ),
        ("umask: 8", '2:8: expected three octal digits in quotes, as in "022", got 8 (an integer)'),
        ("umask: '22'", '2:8: expected three octal digits in quotes, as in "022", got "22" (a string)'),
        ("umask: '888'", '2:8: expected three octal digits in quotes, as in "022", got "888" (a string)'),
        ("umask: true", '2:8: expected three octal digits in quotes, as in "022", got true (a boolean)'),
        (
            "readiness: /ready",
            (
                '2:12: expected a mapping, got "/ready" (a string) (write `readiness: {http: {path: /}}`, or '
                "`tcp`, `exec` or `log_line` in place of `http`)"
            ),
        ),
        ("readiness: {}", "2:12: needs exactly one of `http`, `tcp`, `exec` and `log_line` (as in `http: {path: /}`)"),
        (
            "readiness: {http: {path: /}, tcp: {}}",
            "2:12: needs exactly one of `http`, `tcp`, `exec` and `log_line` (as in `http: {path: /}`)",
        ),
        ("readiness: {httpGet: {path: /}}", "2:13: unknown field `httpGet` in `readiness` (did you mean `http`?)"),
        ("readiness: {http: {url: /}}", "2:20: unknown field `url` in `readiness.http` (it has path, port, status)"),
        ("readiness: {http: {path: ready}}", "2:26: a path begins with `/` (host and port are not part of it)"),
        ("readiness: {http: {path: 'http://x/'}}", "2:26: a path begins with `/` (host and port are not part of it)"),
        (
            "readiness: {http: {path: '/a b'}}",
            "2:26: a path holds visible ASCII characters only (write others as `%20` and the like)",
        ),
        (
            "readiness: {http: {status: 99}}",
            ("2:28: expected a status from 100 to 599, or a range such as [200, 399] (200 to 399 counts unless set)"),
        ),
        (
            "readiness: {http: {status: [200]}}",
            "2:28: expected a status from 100 to 599, or a range such as [200, 399], got a list",
        ),
        (
            "readiness: {http: {status: '200'}}",
            '2:28: expected a status from 100 to 599, or a range such as [200, 399], got "200" (a string)',
        ),
        ("readiness: {http: /ready}", '2:19: expected a mapping, got "/ready" (a string) (write `http: {path: /}`)'),
        (
            "readiness: {tcp: 80}",
            (
                "2:18: expected a mapping, got 80 (an integer) (write `tcp: {port: 4000}`, or `tcp: {}` for the "
                "instance's own port)"
            ),
        ),
        ("readiness: {tcp: {port: 0}}", "2:25: expected at least 1, got 0 (an integer)"),
        (
            "startup: {exec: check it}",
            (
                '2:17: expected a list, got "check it" (a string) (write `exec: [COMMAND, ARGUMENT]`, or `exec: '
                '[/bin/sh, -c, "..."]` for a shell)'
            ),
        ),
        ("startup: {exec: []}", "2:17: must not be empty"),
        ("startup: {exec: [a, 1]}", '2:21: expected a string, got 1 (an integer) (write `"1"`)'),
        (
            "startup: {log_line: '(a+)+'}",
            ("2:21: could take for ever: a choice or repetition is repeated (write it as one class, as in `[a-z ]+`)"),
        ),
        (
            "startup: {log_line: '[a'}",
            "2:21: is no regular expression: unterminated character set (character 1) (quote it in single quotes)",
        ),
        ('startup: {log_line: ""}', "2:21: must not be empty"),
        (
            "startup: {tcp: {}, period_ms: 10s}",
            '2:31: expected an integer, got "10s" (a string) (write `period_ms: 10000`)',
        ),
        ("startup: {tcp: {}, period_ms: 1}", "2:31: expected at least 100, got 1 (an integer)"),
        (
            "startup: {tcp: {}, interval: 5}",
            (
                "2:20: unknown field `interval` in `startup` (it has http, tcp, exec, log_line, period_ms, "
                "timeout_ms, failures, successes)"
            ),
        ),
        (
            "liveness: {heartbeat: 30s}",
            '2:23: expected a mapping, got "30s" (a string) (write `heartbeat: {timeout_ms: 30000}`)',
        ),
        (
            "liveness: {heartbeat: {timeout_ms: 30s}}",
            '2:36: expected an integer, got "30s" (a string) (write `timeout_ms: 30000`)',
        ),
        (
            "liveness: {heartbeat: {}, failures: 3}",
            (
                "2:11: `failures` means nothing beside `heartbeat`, which is not asked (leave it out: "
                "`heartbeat.timeout_ms` alone decides)"
            ),
        ),
        (
            "liveness: {tcp: {port: 1}, heartbeat: {}}",
            ("2:11: needs exactly one of `http`, `tcp`, `exec`, `log_line` and `heartbeat` (as in `http: {path: /}`)"),
        ),
        (
            "startup: {heartbeat: {}}",
            (
                "2:11: unknown field `heartbeat` in `startup` (it has http, tcp, exec, log_line, period_ms, "
                "timeout_ms, failures, successes)"
            ),
        ),
        (
            "hooks: {pre_start: migrate}",
            '2:20: expected a mapping, got "migrate" (a string) (write `pre_start: {exec: [COMMAND, ARGUMENT]}`)',
        ),
        (
            "hooks: {pre_start: [a]}",
            "2:20: expected a mapping, got a list (write `pre_start: {exec: [COMMAND, ARGUMENT]}`)",
        ),
        (
            "hooks: {pre_start: {}}",
            "2:20: `exec` is missing in `hooks.pre_start` (write `pre_start: {exec: [COMMAND, ARGUMENT]}`)",
        ),
        (
            "hooks: {pre_start: {exec: a}}",
            (
                '2:27: expected a list, got "a" (a string) (write `exec: [COMMAND, ARGUMENT]`, or `exec: '
                '[/bin/sh, -c, "..."]` for a shell)'
            ),
        ),
        ("hooks: {prestart: {exec: [a]}}", "2:9: unknown field `prestart` in `hooks` (did you mean `pre_start`?)"),
        ("hooks: [a]", "2:8: expected a mapping, got a list"),
        (
            "hooks: {pre_start: {exec: [a], timeout_ms: 1m}}",
            '2:44: expected an integer, got "1m" (a string) (write `timeout_ms: 60000`)',
        ),
        ("limits: {}", "2:9: limits nothing (set at least one of `memory_bytes`, `cpu`, `nofile`, `pids` and `nice`)"),
        ("limits: {memory: 1}", "2:10: unknown field `memory` in `limits` (did you mean `memory_bytes`?)"),
        (
            "limits: {memory_bytes: 512M}",
            '2:24: expected an integer, got "512M" (a string) (write `memory_bytes: 536870912`)',
        ),
        (
            "limits: {memory_bytes: 1.5GiB}",
            '2:24: expected an integer, got "1.5GiB" (a string) (write `memory_bytes: 1610612736`)',
        ),
        ("limits: {memory_bytes: 1000}", "2:24: expected at least 4194304, got 1000 (an integer)"),
        ("limits: {cpu: 0}", "2:15: expected more than 0, got 0 (an integer)"),
        ("limits: {cpu: '2'}", '2:15: expected a number, got "2" (a string) (write `cpu: 2`)'),
        ("limits: {cpu: 150%}", '2:15: expected a number, got "150%" (a string) (write `cpu: 1.5`)'),
        ("limits: {cpu: 500m}", '2:15: expected a number, got "500m" (a string) (write `cpu: 0.5`)'),
        ("limits: {cpu: .nan}", "2:15: expected a finite number, got nan (a number)"),
        ("limits: {nice: 20}", "2:16: expected at most 19, got 20 (an integer)"),
        ("limits: {nofile: 1}", "2:18: expected at least 16, got 1 (an integer)"),
        ("limits: {enforce: soft, cpu: 1}", '2:19: expected strict or best_effort, got "soft"'),
        ("limits: {cpu: 1, pids: 0}", "2:24: expected at least 1, got 0 (an integer)"),
        ("limits: 5", "2:9: expected a mapping, got 5 (an integer)"),
        (
            "limits: {enforce: strict}",
            "2:9: limits nothing (set at least one of `memory_bytes`, `cpu`, `nofile`, `pids` and `nice`)",
        ),
        (
            "depends_on: [db]",
            "2:13: expected a mapping, got a list (write `depends_on: {NAME: started}` or `{NAME: ready}`)",
        ),
        (
            "depends_on: db",
            ('2:13: expected a mapping, got "db" (a string) (write `depends_on: {NAME: started}` or `{NAME: ready}`)'),
        ),
        (
            "depends_on: {db: service_healthy}",
            '2:18: expected started or ready, got "service_healthy" (write `db: ready`)',
        ),
        ("depends_on: {db: strated}", '2:18: expected started or ready, got "strated" (did you mean `started`?)'),
        (
            "depends_on: {db: completed}",
            "2:18: depends_on: completed is not yet supported (wait for `started` or `ready`)",
        ),
        (
            "depends_on: {db: {condition: service_healthy}}",
            "2:18: expected started or ready, got a mapping (write `db: started` or `db: ready`)",
        ),
        (
            "depends_on: {Db_1: started}",
            (
                "2:14: expected a name of a-z, 0-9 and '-' (at most 63 characters, no '-' at either end), got "
                '"Db_1" (a string)'
            ),
        ),
        ("depends_on: {db: }", "2:18: expected started or ready, got nothing (write `db: started` or `db: ready`)"),
        (
            "depends_on: {db: true}",
            "2:18: expected started or ready, got true (a boolean) (write `db: started` or `db: ready`)",
        ),
        ("stop: {grace_ms: 10s}", '2:18: expected an integer, got "10s" (a string) (write `grace_ms: 10000`)'),
        (
            "restart_delay_ms: 5 min",
            '2:19: expected an integer, got "5 min" (a string) (write `restart_delay_ms: 300000`)',
        ),
        ("restart_delay_ms: 5 foo", '2:19: expected an integer, got "5 foo" (a string)'),
        ("logs: {max_bytes: 50mb}", '2:19: expected an integer, got "50mb" (a string) (write `max_bytes: 52428800`)'),
        ("port: 10s", '2:7: expected an integer, got "10s" (a string)'),
    ],
)
def test_a_fault_is_told_with_what_was_expected_and_what_to_write(lines: str, message: str) -> None:
    assert judged(f"worker_id: a\n{lines}\n") == [f"f.yaml:{message}"]


def test_a_bound_that_has_no_words_yet_is_named_all_the_same() -> None:
    assert bound_words("multiple_of", {"multiple_of": 5}) == "another value (multiple of)"


def test_what_is_no_group_has_no_field_that_is_not_yet_supported() -> None:
    (told_of,) = judged("worker_id: a\nliveness: 5\n")
    assert told_of.startswith(
        "f.yaml:2:11: expected a mapping, got 5 (an integer) (write `liveness: {http: {path: /}}`"
    )


def test_a_check_may_be_taken_away_from_defaults_with_null() -> None:
    defaults = "kind: Defaults\nreadiness: {http: {path: /}}\n"
    assert judged("worker_id: a\nport: 1\nreadiness: {http: null, tcp: {}}\n", defaults) == []
    assert judged("worker_id: a\nport: 1\nreadiness: null\n", defaults) == []
    assert judged("worker_id: a\nport: 1\nreadiness: {tcp: {}}\n", defaults) == [
        "f.yaml:3:12: needs exactly one of `http`, `tcp`, `exec` and `log_line` (as in `http: {path: /}`)"
    ]


def test_defaults_may_hold_a_part_of_a_group_that_workers_complete() -> None:
    text = (
        "kind: Defaults\nreadiness: {period_ms: 500}\nlimits: {enforce: strict}\nhooks: {pre_start: {timeout_ms: 5}}\n"
        "secrets: {A: {}}\nstartup: {log_line: '(a+)+', period_ms: 1}\n"
    )
    file = read_spec_file("d.yaml", text.encode())
    problems = judge_defaults(file.documents[0], Places(files={"d.yaml": file}))
    assert [str(problem) for problem in problems] == [
        (
            "d.yaml:6:21: could take for ever: a choice or repetition is repeated "
            "(write it as one class, as in `[a-z ]+`)"
        ),
        "d.yaml:6:41: expected at least 100, got 1 (an integer)",
    ]


def test_a_fault_of_a_probe_in_defaults_is_told_there() -> None:
    assert judged("worker_id: a\nreadiness: {tcp: {}}\n", "kind: Defaults\nreadiness: {failures: 0}\n") == [
        "d0.yaml:2:23: expected at least 1, got 0 (an integer)"
    ]


# --- what only shows when a launch is built ----------------------------------------------------------------------


def test_faults_of_a_launch_stand_at_their_values(tmp_path: Path) -> None:
    specs = SpecsDirectory(tmp_path, AROUND)
    specs.write(
        "a.yaml",
        "worker_id: a\ncommand: [run, '${env.DB_PASSWORD}']\nenv: {QUEUE: mail}\nuser: '1000:1000'\n"
        "secrets:\n  DB: {env: DB_PASSWORD}\n  QUEUE: {file: /q}\n  LOST: {env: NOT_THERE}\n"
        "readiness: {http: {path: '/${ordnial}'}}\nhooks:\n  pre_start:\n    exec: [x, '${nobody}']\n",
    )
    assert told(specs.scan()) == [
        (
            "a.yaml:2:16: `${env.DB_PASSWORD}` is a secret of this worker, and what stands here is shown and stored "
            "(its processes find the value in their environment)"
        ),
        "a.yaml:4:7: `user` is one name or number (write `user` and `group` apart)",
        "a.yaml:7:10: QUEUE is in `env` too (keep it in one of the two)",
        (
            "a.yaml:8:15: NOT_THERE is not set where the controller runs "
            "(set it there and start the controller again, or use `{file: PATH}`)"
        ),
        "a.yaml:9:19: needs a port, and the worker has none (set `port` here or for the worker)",
        "a.yaml:9:26: `${ordnial}` is not known (character 2) (did you mean `${ordinal}`?)",
        (
            "a.yaml:12:15: `${nobody}` is not known (character 1) "
            "(`${env.nobody}` is the controller's variable; `$${nobody}` leaves it to the shell)"
        ),
    ]


def test_a_secret_comes_from_the_controllers_environment_and_is_found_in_no_text(tmp_path: Path) -> None:
    specs = SpecsDirectory(tmp_path, AROUND)
    specs.write("a.yaml", worker("a", DB))
    desired = specs.scan()
    assert desired.workers["a"].instances[0].secrets == {"DB": "hunter2"}
    kept = "".join(path.read_text() for path in specs.state.rglob("*") if path.is_file())
    assert "hunter2" not in f"{desired!r} {AROUND!r} {kept}"


def test_a_worker_whose_secret_is_gone_after_a_start_is_broken_and_not_guessed(tmp_path: Path) -> None:
    specs = SpecsDirectory(tmp_path, AROUND)
    specs.write("a.yaml", worker("a", DB))
    specs.scan()
    specs.surroundings = replace(AROUND, environment={})
    specs.start()
    assert states(specs.scan()) == {"a": "broken"}


def test_another_value_after_a_start_is_another_revision(tmp_path: Path) -> None:
    specs = SpecsDirectory(tmp_path, AROUND)
    specs.write("a.yaml", worker("a", DB))
    before = specs.scan().workers["a"].revision
    specs.surroundings = replace(AROUND, environment={"DB_PASSWORD": "correct horse"})
    specs.start()
    assert specs.scan().workers["a"].revision != before


def test_a_check_without_a_controller_does_not_ask_for_values(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(worker("a", DB))
    offline = replace(AROUND, environment=None)
    assert validate(str(tmp_path), offline).problems == ()
    assert [problem.message for problem in validate(str(tmp_path), replace(AROUND, environment={})).problems] == [
        "DB_PASSWORD is not set where the controller runs"
    ]
