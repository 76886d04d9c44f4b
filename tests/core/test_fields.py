"""What `explain` knows of each field, and what a mistyped one may mean."""

from __future__ import annotations

import pytest

from controller.core.effects import EFFECTS
from controller.core.fields import Field, find, suggestions, whole_spec
from controller.core.spec import NOT_YET, WorkerSpec

SPEC = whole_spec()


def field(path: str) -> Field:
    found = find(path, SPEC)
    assert found is not None
    return found


def test_every_field_of_the_language_is_there_once() -> None:
    paths = [one.path for one in SPEC.below()]
    known = [name for name in WorkerSpec.model_fields if name not in NOT_YET]
    assert [one.path for one in SPEC.fields if not one.comes_with] == known
    assert sorted(one.path for one in SPEC.fields if one.comes_with) == sorted(NOT_YET)
    assert len(paths) == len(set(paths))
    assert [path for path in EFFECTS if path not in paths and path.partition(".")[0] not in NOT_YET] == []
    assert [one.path for one in SPEC.below() if not one.description] == []


def test_a_field_is_told_in_full() -> None:
    assert field("stop.grace_ms") == Field(
        path="stop.grace_ms",
        type="integer",
        description="How long it may take before it is killed.",
        default="10000",
        constraints=("0 to 86400000",),
        effect="in_place",
    )


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("command", "list of strings, string or null"),
        ("env", "mapping of strings"),
        ("port", "integer or null"),
        ("desired_state", "running, stopped or null"),
        ("auto_restart", "boolean, on_failure, always or never"),
        ("kind", "Worker or Defaults"),
        ("success_exit_codes", "list of integers"),
        ("stop", "group"),
        ("deployment_type", "local"),
        ("restart_backoff.factor", "number"),
        ("secrets", "mapping of groups"),
        ("secrets.NAME.file", "string or null"),
        ("user", "string, integer or null"),
        ("startup", "group"),
        ("startup.http", "group"),
        ("readiness.http.status", "integer or list of integers"),
        ("liveness.heartbeat", "group"),
        ("schedule", "not yet supported"),
        ("hooks.pre_start.exec", "list of strings"),
        ("limits.cpu", "number or null"),
        ("depends_on", "mapping of started or ready"),
    ],
)
def test_a_type_is_told_in_words(path: str, words: str) -> None:
    assert field(path).type == words


@pytest.mark.parametrize(
    ("path", "bounds"),
    [
        ("replicas", ("0 to 1000",)),
        ("max_accounts", ("at least 0",)),
        ("logs.max_bytes", ("at least 65536",)),
        ("restart_backoff.factor", ("1 to 10",)),
        ("name", ("at most 200 characters",)),
        ("labels", ("names not empty", "names at most 63 characters")),
        ("env", ("names match ^[A-Za-z_][A-Za-z0-9_]*$",)),
        ("success_exit_codes", ("each 0 to 255",)),
        ("command", ("not empty",)),
        ("limits.cpu", ("more than 0", "at most 10000")),
        ("readiness.http.status", ("100 to 599", "exactly 2 entries", "each 100 to 599")),
        ("umask", ("matches ^0?[0-7]{3}$",)),
        ("depends_on", ("names match ^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", "not yet supported: completed")),
        ("host", ("not yet supported: all others",)),
        ("logs.capture", ("not yet supported: pipe",)),
    ],
)
def test_bounds_are_told_in_words(path: str, bounds: tuple[str, ...]) -> None:
    assert field(path).constraints == bounds


def test_a_reserved_field_names_what_it_comes_with() -> None:
    name, part = min(NOT_YET.items())
    assert (field(name).comes_with, field(name).effect) == (part, "")


def test_a_group_may_lack_and_its_fields_have_the_effect_of_the_whole() -> None:
    startup = field("startup")
    assert (startup.default, startup.required, startup.effect) == ("", False, "in_place")
    assert [one.name for one in startup.fields] == [
        "http", "tcp", "exec", "log_line", "period_ms", "timeout_ms", "failures", "successes",
    ]  # fmt: skip
    assert ([one.name for one in field("liveness").fields][-1], field("liveness").effect) == ("heartbeat", "in_place")
    assert field("limits").effect == ""
    assert (field("secrets").effect, [one.path for one in field("secrets").fields]) == (
        "restart",
        ["secrets.NAME.file", "secrets.NAME.env"],
    )


def test_an_entry_of_a_mapping_is_the_mapping() -> None:
    assert find("env.QUEUE", SPEC) is find("env", SPEC)
    assert find("secrets.DB", SPEC) is find("secrets", SPEC)
    assert find("labels.team", SPEC) is find("labels", SPEC)
    assert find("stop.team", SPEC) is None
    assert find("nothing.at.all", SPEC) is None


def test_a_mistyped_path_is_found_by_its_name_and_by_likeness() -> None:
    assert suggestions("grace_ms", SPEC)[0] == "stop.grace_ms"
    assert suggestions("replica", SPEC) == ("replicas",)
    assert suggestions("stop.gracems", SPEC)[0] == "stop.grace_ms"
    assert suggestions("logs.grace_ms", SPEC)[0] == "stop.grace_ms"
    assert suggestions("qqqq", SPEC) == ()
