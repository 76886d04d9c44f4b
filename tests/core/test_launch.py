"""From a spec to what its instances need to run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from controller.core.desired import Launch
from controller.core.launch import EnvFile, LaunchContext, build
from controller.core.problems import Fault, Problem, Source
from controller.core.spec import WorkerSpec
from tests.core.core_builders import CONTEXT, spec


def launches(made: WorkerSpec, context: LaunchContext = CONTEXT) -> list[Launch]:
    built = build(made, context)
    assert built.faults == ()
    return [instance.launch for instance in built.instances]


def faults(made: WorkerSpec, context: LaunchContext = CONTEXT) -> list[tuple[str, str, str]]:
    built = build(made, context)
    assert (built.revision, built.instances) == ("", ())
    return [(fault.pointer, fault.message, fault.hint) for fault in built.faults]


def test_a_bare_spec_becomes_a_launch_with_every_default() -> None:
    built = build(spec(), CONTEXT)
    assert [instance.launch for instance in built.instances] == [
        Launch(
            argv=("run",),
            working_dir="/srv/specs",
            env={
                "PYTHONUNBUFFERED": "1",
                "WORKER_ID": "web",
                "WORKER_REVISION": built.revision,
                "WORKER_INSTANCE": "web/0",
                "WORKER_ORDINAL": "0",
            },
            port=None,
            restart_policy="on_failure",
            max_restart_attempts=3,
            restart_delay_ms=5000,
            backoff_factor=2,
            backoff_max_delay_ms=60_000,
            backoff_jitter=0.1,
            restart_window_ms=600_000,
            start_grace_ms=1000,
            success_exit_codes=(0,),
            stop_signal="TERM",
            stop_grace_ms=10_000,
            stop_kill="group",
            log_max_bytes=52_428_800,
            log_archives=5,
            log_store_rate=2000,
            log_retain_days=7,
        )
    ]


def test_a_string_is_run_by_the_shell_and_no_command_is_the_demonstration_worker() -> None:
    (shell,) = launches(spec(command="echo ${ordinal} $HOME"))
    assert shell.argv == ("/bin/sh", "-c", "echo 0 $HOME")
    (demo,) = launches(WorkerSpec(worker_id="demo"))
    assert demo.argv == ("/usr/bin/python3", "-P", "-m", "controller.demo")


def test_each_replica_has_its_own_ordinal_and_port() -> None:
    made = spec(command=["run", "${instance}"], env={"AT": "${host}:${port}", "ALL": "${cpu_count}"}, port=4001,
                replicas=2, working_dir="data/${ordinal}")  # fmt: skip
    assert [
        (entry.argv[1], entry.working_dir, entry.port, entry.env["AT"], entry.env["ALL"], entry.env["PORT"])
        for entry in launches(made)
    ] == [
        ("web/0", "/srv/specs/data/0", 4001, "localhost:4001", "4", "4001"),
        ("web/1", "/srv/specs/data/1", 4002, "localhost:4002", "4", "4002"),
    ]


def test_the_working_directory_starts_at_the_spec_file_unless_it_is_absolute() -> None:
    assert [launches(spec(working_dir=path))[0].working_dir for path in ("app", "../app/./x", "/srv/app", ".")] == [
        "/srv/specs/app", "/srv/app/x", "/srv/app", "/srv/specs",
    ]  # fmt: skip


def test_the_environment_is_env_files_then_the_spec_then_ours() -> None:
    context = replace(
        CONTEXT,
        url="http://127.0.0.1:3000",
        allowed_env={"HOME": "/root", "UNSET": None},
        env_files={
            "a.env": EnvFile(values={"A": "a", "B": "a", "LITERAL": "${port}"}, hmac="aa"),
            "b.env": EnvFile(values={"B": "b", "C": "b", "PYTHONUNBUFFERED": ""}, hmac="bb"),
        },
    )
    made = spec(
        env={"C": "${env.HOME}", "D": "${env.UNSET:-d}", "WORKER_ID": "${ordinal}", "WORKERCTL_URL": "mine"},
        env_files=["a.env", "b.env"],
    )
    built = build(made, context)
    assert built.instances[0].launch.env == {
        "PYTHONUNBUFFERED": "",
        "A": "a",
        "B": "b",
        "C": "/root",
        "D": "d",
        "LITERAL": "${port}",
        "WORKER_ID": "web",
        "WORKER_INSTANCE": "web/0",
        "WORKER_ORDINAL": "0",
        "WORKER_REVISION": built.revision,
        "WORKERCTL_URL": "http://127.0.0.1:3000",
    }


def test_all_faults_are_found_at_once_also_without_replicas() -> None:
    made = spec(command=["run", "${ordnial}"], env={"A": "ok", "B": "x ${port}"}, working_dir="${env.HOME}",
                env_files=["a.env"], deployment_type="docker", replicas=0)  # fmt: skip
    assert faults(made) == [
        ("/deployment_type", "deployment_type docker is not yet supported", "use local"),
        ("/env_files/0", "env file a.env was not read", ""),
        ("/command/1", "`${ordnial}` is not known (character 1)", "did you mean `${ordinal}`?"),
        ("/working_dir", "`${env.HOME}` is not allowed (character 1)", "start the controller with --allow-env HOME"),
        ("/env/B", "`${port}` is used, but the worker has no port (character 3)", "set `port`"),
    ]


def test_what_no_process_can_be_given_is_a_fault() -> None:
    context = replace(CONTEXT, allowed_env={"EMPTY": ""})
    assert faults(spec(command=["${env.EMPTY}", "a\0b"], working_dir="${env.EMPTY}"), context) == [
        ("/command/0", "is empty after expansion", ""),
        ("/command/1", "a NUL character cannot be passed to a process", ""),
        ("/working_dir", "is empty after expansion", ""),
    ]
    assert faults(spec(command="a\0b")) == [("/command", "a NUL character cannot be passed to a process", "")]


def test_a_variable_may_be_called_like_a_field_and_be_empty() -> None:
    fields = {"user": "", "group": "a:b", "file": "", "path": ""}
    (launch,) = launches(spec(env=fields))
    assert fields.items() <= launch.env.items()


def test_a_fault_becomes_a_problem_of_its_file() -> None:
    fault = Fault(pointer="/port", message="no", hint="try")
    source = Source(file="a.yaml", line=3)
    assert fault.at(source, worker_id="web", line=7, column=2) == Problem(
        file="a.yaml", line=7, column=2, pointer="/port", message="no", hint="try", worker_id="web"
    )
    assert str(fault.at(source, worker_id="web")) == "a.yaml:3: no (try)"


def test_the_revision_is_the_same_for_all_replicas_and_the_digest_is_not() -> None:
    built = build(spec(replicas=3), CONTEXT)
    assert {instance.revision for instance in built.instances} == {built.revision}
    assert len({instance.digest for instance in built.instances}) == 3


def test_the_digest_changes_with_all_that_a_supervisor_keeps() -> None:
    def digest(context: LaunchContext = CONTEXT, **fields: Any) -> str:
        return build(spec(**fields), context).instances[0].digest

    different = {
        digest(),
        digest(start_grace_ms=5),
        digest(stop={"signal": "TERM"}),
        digest(replace(CONTEXT, directory="/srv/other")),
        digest(replace(CONTEXT, url="http://127.0.0.1:1")),
        digest(replace(CONTEXT, key=b"another")),
        digest(command=["run", "x"]),
    }
    assert len(different) == 7
    assert digest(name="Web", labels={"a": "b"}, replicas=2, desired_state="running") == digest()
