"""Which change of a spec does what to a running instance, and how a change is shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from controller.core.effects import EFFECTS, Effect, changes, effect_of, flatten
from controller.core.plan import FieldChange
from controller.core.redaction import names_a_secret, redacted
from controller.core.spec import WorkerSpec, explicit_fields
from tests.core.core_builders import spec


def paths_of(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """A group that has a row of its own stands for all of its fields."""
    for name, field in model.model_fields.items():
        kinds = [field.annotation, *get_args(field.annotation)]
        group = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if group is not None and f"{prefix}{name}" not in EFFECTS:
            yield from paths_of(group, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def test_every_field_of_the_spec_has_its_row_and_no_row_is_left_over() -> None:
    assert list(EFFECTS) == list(paths_of(WorkerSpec))


def test_a_field_within_a_group_has_the_effect_of_the_group() -> None:
    effects = [effect_of(path) for path in ("readiness.http.path", "hooks.pre_stop.exec", "secrets.A.file")]
    assert effects == [Effect.IN_PLACE, Effect.IN_PLACE, Effect.RESTART]
    assert [effect_of(f"limits.{name}") for name in ("cpu", "enforce")] == [Effect.RESTART, Effect.IN_PLACE]


def test_a_variable_or_label_has_the_effect_of_its_whole() -> None:
    assert effect_of("env.QUEUE") is Effect.RESTART
    assert effect_of("labels.app.kubernetes.io/name") is Effect.NONE


def test_a_field_of_another_version_counts_as_a_restart() -> None:
    assert effect_of("gpu.count") is Effect.RESTART


def test_groups_are_flattened_and_lists_stay_whole() -> None:
    fields = explicit_fields(spec(env={"A": "1"}, stop={"grace_ms": 1}, success_exit_codes=[0, 3]))
    assert flatten(fields) == {
        "worker_id": "web",
        "command": ["run"],
        "env.A": "1",
        "stop.grace_ms": 1,
        "success_exit_codes": [0, 3],
    }


def test_changes_are_sorted_by_path_and_name_their_effect() -> None:
    before = explicit_fields(spec(env={"A": "1", "B": "2"}, replicas=3, stop={"grace_ms": 1}))
    after = explicit_fields(spec(env={"A": "1", "C": "3"}, replicas=5, stop={"grace_ms": 2}, port=4000))
    assert [str(change) for change in changes(before, after)] == [
        "env.B: '2' -> unset (restart)",
        "env.C: unset -> '3' (restart)",
        "port: unset -> 4000 (restart)",
        "replicas: 3 -> 5 (none)",
        "stop.grace_ms: 1 -> 2 (in_place)",
    ]
    assert changes(after, after) == ()


def test_an_explicit_null_differs_from_a_field_that_is_not_set() -> None:
    before, after = explicit_fields(spec()), explicit_fields(spec(max_restart_attempts=None))
    assert [str(change) for change in changes(before, after)] == ["max_restart_attempts: unset -> 'null' (in_place)"]


@pytest.mark.parametrize(
    "name", ["SMTP_PASSWORD", "db_passwd", "API_KEY", "APIKEY", "GITHUB_TOKEN", "SECRET", "AWS_CREDENTIALS", "AUTH"]
)
def test_a_variable_named_like_a_secret_is_hidden(name: str) -> None:
    assert redacted(f"env.{name}", "hunter2") == "***"


@pytest.mark.parametrize("name", ["QUEUE", "KEYBOARD", "AUTHOR", "LOG_LEVEL"])
def test_other_variables_are_shown(name: str) -> None:
    assert not names_a_secret(name)
    assert redacted(f"env.{name}", "value") == "value"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("postgres://app:hunter2@db/app", "postgres://app:***@db/app"),
        ("TOKEN=abc run --api-key 'a b' --verbose", "TOKEN=*** run --api-key *** --verbose"),
        ("--verbose TOKEN=abc --quiet --auth x y", "--verbose TOKEN=*** --quiet --auth *** y"),
        ("a token bucket", "a token bucket"),
        (["run", "--password", "hunter2", "--name", "web"], ["run", "--password", "***", "--name", "web"]),
        (["run", "--password=hunter2", "x"], ["run", "--password=***", "x"]),
        ([0, 3], [0, 3]),
        (4000, 4000),
    ],
)
def test_secrets_inside_other_values_are_hidden(value: object, shown: object) -> None:
    assert redacted("command", value) == shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "unset"),
        (True, "true"),
        (3, "3"),
        ("None", "'None'"),
        (["a", True], "['a', true]"),
        ({"file": "x", "env": None}, "{file: 'x', env: null}"),
    ],
)
def test_values_are_shown_in_no_language_of_programs(value: Any, text: str) -> None:
    assert str(FieldChange(path="f", before=value, after=1, effect="none")) == f"f: {text} -> 1 (none)"
