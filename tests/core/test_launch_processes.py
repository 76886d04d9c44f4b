"""What surrounds a process: from the groups of a spec to the fields of a launch, and what of a secret gets where."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.core.desired import Hook, Launch, Limits, Probe
from controller.core.launch import Built, EnvFile, LaunchContext, build
from controller.core.plan import ActionKind
from tests.core.core_builders import CONTEXT, desired, observed, planned, seen, spec, worker

OTHER = replace(CONTEXT, secret_values={"DB_PASSWORD": "correct horse"})


def built(context: LaunchContext = CONTEXT, **fields: Any) -> Built:
    made = build(spec(**fields), context)
    assert made.faults == ()
    return made


def launch(context: LaunchContext = CONTEXT, **fields: Any) -> Launch:
    return built(context, **fields).instances[0].launch


def faults(context: LaunchContext = CONTEXT, **fields: Any) -> list[tuple[str, str, str]]:
    return [(fault.pointer, fault.message, fault.hint) for fault in build(spec(**fields), context).faults]


# --- what becomes of each field ----------------------------------------------------------------------------------


def test_without_these_fields_a_launch_has_their_defaults() -> None:
    made = launch()
    assert (made.user, made.group, made.umask, made.probes, made.hooks, made.limits, made.depends_on) == (
        None, None, 0o022, (), {}, None, (),
    )  # fmt: skip
    assert (made.secret_files, made.secret_names, built().instances[0].secrets) == ({}, (), {})


def test_user_group_and_umask() -> None:
    instances = built(user="app-${ordinal}", group=0, umask="0027", replicas=2).instances
    assert [(entry.launch.user, entry.launch.group, entry.launch.umask) for entry in instances] == [
        ("app-0", "0", 0o27), ("app-1", "0", 0o27),
    ]  # fmt: skip
    assert launch(umask="000").umask == 0


def test_probes_have_the_port_of_their_instance_unless_they_name_one() -> None:
    made = built(
        port=4000, replicas=2, startup={"log_line": "^ready ${x}"}, readiness={"http": {"path": "/${ordinal}"}},
        liveness={"tcp": {"port": 9}, "period_ms": 500, "timeout_ms": 50, "failures": 1, "successes": 2},
    )  # fmt: skip
    usual: dict[str, Any] = {"period_ms": 10_000, "timeout_ms": 3000, "failures": 3, "successes": 1}
    liveness = Probe(kind="liveness", check="tcp", port=9, period_ms=500, timeout_ms=50, failures=1, successes=2)
    assert [entry.launch.probes for entry in made.instances] == [
        (
            Probe(kind="startup", check="log_line", pattern="^ready ${x}", **usual),
            Probe(
                kind="readiness", check="http", port=4000 + ordinal, path=f"/{ordinal}", status=(200, 399), **usual
            ),
            liveness,
        )
        for ordinal in (0, 1)
    ]  # fmt: skip


def test_a_heartbeat_is_one_time_after_which_it_has_failed() -> None:
    made = launch(liveness={"heartbeat": {}})
    assert made.probes == (
        Probe(kind="liveness", check="heartbeat", period_ms=30_000, timeout_ms=30_000, failures=1, successes=1),
    )


def test_an_exec_probe_and_hooks_are_expanded() -> None:
    made = launch(
        startup={"exec": ["check", "${instance}"]},
        hooks={"post_stop": {"exec": ["clean", "$HOME"]}, "pre_start": {"exec": ["${worker_id}"], "timeout_ms": 5}},
    )
    assert made.probes[0].argv == ("check", "web/0")
    assert made.hooks == {
        "pre_start": Hook(argv=("web",), timeout_ms=5),
        "post_stop": Hook(argv=("clean", "$HOME"), timeout_ms=30_000),
    }


def test_limits_and_dependencies_are_handed_on() -> None:
    made = launch(limits={"cpu": 1.5, "nice": 5}, depends_on={"queue": "ready", "db": "started"})
    assert made.limits == Limits(cpu=1.5, nice=5, enforce="strict")
    assert made.depends_on == ("db", "queue")


def test_secret_files_are_absolute_and_start_at_the_working_directory() -> None:
    made = launch(
        working_dir="/srv/app",
        secrets={"B": {"file": "../secrets/${ordinal}"}, "A": {"file": "/run/a"}, "C": {"env": "DB_PASSWORD"}},
    )
    assert (made.secret_files, made.secret_names) == ({"A": "/run/a", "B": "/srv/secrets/0"}, ("C",))


# --- values of secrets -------------------------------------------------------------------------------------------

SECRET: dict[str, Any] = {"secrets": {"PASSWORD": {"env": "DB_PASSWORD"}}}


def test_a_value_goes_beside_the_launch_and_into_no_text() -> None:
    made = built(**SECRET)
    assert made.instances[0].secrets == {"PASSWORD": "hunter2"}
    assert "hunter2" not in f"{made!r} {made.instances[0].launch!r} {CONTEXT!r}"


def test_another_value_is_another_revision_and_digest_and_the_key_hides_which() -> None:
    first, second, rekeyed = built(**SECRET), built(OTHER, **SECRET), built(replace(CONTEXT, key=b"k"), **SECRET)
    assert len({first.revision, second.revision, rekeyed.revision}) == 3
    assert len({made.instances[0].digest for made in (first, second, rekeyed)}) == 3
    assert built(OTHER).revision == built().revision


def test_a_plan_tells_that_a_secret_changed_and_not_to_what() -> None:
    before = worker(**SECRET)
    after = replace(before, revision=(made := built(OTHER, **SECRET)).revision, instances=made.instances)
    assert str(planned(desired(after), observed(seen(before)))) == "replace  web/0: values of secrets changed"
    fields = {"env_files": ["a.env"], **SECRET}
    contexts = [replace(CONTEXT, env_files={"a.env": EnvFile(values={}, hmac=mac)}) for mac in ("aa", "bb")]
    old, new = (
        replace(before, spec=spec(**fields), revision=made.revision, instances=made.instances)
        for made in (built(context, **fields) for context in contexts)
    )
    plan = planned(desired(new), observed(seen(old)))
    assert [action.cause for action in plan.actions] == ["contents of env_files or values of secrets changed"]
    assert plan.actions[0].kind is ActionKind.REPLACE


def test_an_env_file_does_not_keep_the_former_value_of_a_secret() -> None:
    context = replace(CONTEXT, env_files={"a.env": EnvFile(values={"PASSWORD": "old", "B": "b"}, hmac="aa")})
    env = launch(context, env_files=["a.env"], **SECRET).env
    assert ("PASSWORD" in env, env["B"]) == (False, "b")


# --- digests -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"user": "app"},
        {"umask": "077"},
        {"startup": {"log_line": "x"}},
        {"hooks": {"pre_stop": {"exec": ["x"]}}},
        {"limits": {"nice": 1}},
        {"depends_on": {"db": "ready"}},
        {"secrets": {"A": {"file": "/run/a"}}},
    ],
)
def test_the_digest_covers_every_field(fields: dict[str, Any]) -> None:
    assert built(**fields).instances[0].digest != built().instances[0].digest


def test_probes_hooks_and_dependencies_leave_the_revision_alone() -> None:
    made = built(
        startup={"log_line": "x"}, hooks={"pre_stop": {"exec": ["x"]}}, depends_on={"db": "ready"}, replicas=2
    )  # fmt: skip
    assert made.revision == built().revision


def test_what_comes_from_outside_a_probe_is_covered_too() -> None:
    fields: dict[str, Any] = {"liveness": {"exec": ["check", "${env.X}"]}}
    first, second = (
        built(replace(CONTEXT, allowed_env={"X": value}), **fields).instances[0].digest for value in ("1", "2")
    )
    assert first != second


# --- faults ------------------------------------------------------------------------------------------------------


def test_a_probe_needs_a_port() -> None:
    assert faults(readiness={"http": {}}, liveness={"tcp": {}}) == [
        ("/readiness/http", "needs a port, and the worker has none", "set `port` here or for the worker"),
        ("/liveness/tcp", "needs a port, and the worker has none", "set `port` here or for the worker"),
    ]
    assert faults(port=1, readiness={"http": {}}) == []


def test_a_secret_needs_a_name_of_its_own_and_a_value() -> None:
    context = replace(CONTEXT, secret_values={"LOST": None})
    secrets = {"PORT": {"file": "/a"}, "QUEUE": {"file": "/b"}, "C": {"env": "LOST"}, "D": {"env": "UNASKED"}}
    missing = "set it there and start the controller again, or use `{file: PATH}`"
    assert faults(context, env={"QUEUE": "mail"}, secrets=secrets) == [
        ("/secrets/PORT", "PORT is set by workerctl", "use another name"),
        ("/secrets/QUEUE", "QUEUE is in `env` too", "keep it in one of the two"),
        ("/secrets/C/env", "LOST is not set where the controller runs", missing),
        ("/secrets/D/env", "UNASKED is not set where the controller runs", missing),
    ]


def test_a_secret_stands_in_no_text_that_is_kept() -> None:
    context = replace(CONTEXT, allowed_env={"DB_PASSWORD": "hunter2", "PASSWORD": "x", "HOME": "/root"})
    found = faults(
        context, command=["run", "--password=${env.DB_PASSWORD}"], working_dir="${env.HOME}",
        env={"URL": "db:${env.PASSWORD:-none}"}, hooks={"pre_start": {"exec": ["x", "${env.PASSWORD}"]}}, **SECRET,
    )  # fmt: skip
    hint = "its processes find the value in their environment"
    assert found == [
        (pointer, f"`${{env.{name}}}` is a secret of this worker, and what stands here is shown and stored", hint)
        for pointer, name in (
            ("/command/1", "DB_PASSWORD"), ("/env/URL", "PASSWORD"), ("/hooks/pre_start/exec/1", "PASSWORD"),
        )
    ]  # fmt: skip


def test_texts_are_checked_after_expansion_too() -> None:
    context = replace(CONTEXT, allowed_env={"EMPTY": "", "BAD": "a:b", "LINE": "a\nb", "NUL": "\0"})
    assert faults(
        context, user="${env.BAD}", group="${env.EMPTY}", secrets={"A": {"file": "${env.EMPTY}"}},
        readiness={"http": {"path": "/${env.LINE}", "port": 1}}, liveness={"exec": ["${env.EMPTY}", "${env.EMPTY}"]},
        hooks={"pre_start": {"exec": ["${env.NUL}"]}, "pre_stop": {"exec": ["${nobody}"]}},
    ) == [
        ("/user", "`user` is one name or number", "write `user` and `group` apart"),
        ("/group", "is empty after expansion", ""),
        ("/secrets/A/file", "is empty after expansion", ""),
        ("/readiness/http/path", "holds more than visible ASCII characters after expansion", ""),
        ("/liveness/exec/0", "is empty after expansion", ""),
        ("/hooks/pre_start/exec/0", "a NUL character cannot be passed to a process", ""),
        (
            "/hooks/pre_stop/exec/0", "`${nobody}` is not known (character 1)",
            "`${env.nobody}` is the controller's variable; `$${nobody}` leaves it to the shell",
        ),
    ]  # fmt: skip


@pytest.mark.parametrize("user", ["root", "_apt", "svc.web@corp", "DOMAIN\\web", "web$", "0", "4294967294"])
def test_names_and_numbers_of_accounts(user: str) -> None:
    assert launch(user=user).user == user


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ("-1", "cannot be the name of a user"),
        (-1, "cannot be the name of a user"),
        ("a b", "cannot be the name of a user"),
        ("a/b", "cannot be the name of a user"),
        ("4294967295", "a user's number is at most 4294967294"),
        ("1000:1000", "`user` is one name or number"),
    ],
)
def test_what_is_no_account(user: str | int, message: str) -> None:
    assert [found[1] for found in faults(user=user)] == [message]
