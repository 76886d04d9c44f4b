"""What the spec language refuses beyond types, and what its short forms mean."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from controller.core.spec import NOT_YET, WorkerSpec, explicit_fields, is_worker_id
from tests.core.core_builders import spec


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"port": 65_535, "replicas": 2}, "port 65535 with 2 replicas goes beyond 65535"),
        ({"logs": {"capture": "pipe"}}, "capture: pipe is not yet supported"),
        (
            {"max_restart_attempts": 10, "restart_window_ms": 60_000},
            "max_restart_attempts 10 can never be used up: its delays add up to",
        ),
        ({"replicas": "3"}, "valid integer"),
        ({"worker_id": "Web"}, "should match pattern"),
        ({"nmae": "x"}, "Extra inputs are not permitted"),
    ],
)
def test_what_cannot_be_meant_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        WorkerSpec.model_validate({"worker_id": "web", **fields})


def test_a_budget_that_is_never_asked_for_may_be_of_any_size() -> None:
    unasked: tuple[dict[str, Any], ...] = ({"auto_restart": False}, {"max_restart_attempts": None})
    for fields in unasked:
        assert spec(restart_delay_ms=86_400_000, **fields).restart_delay_ms == 86_400_000


def test_auto_restart_as_one_word() -> None:
    words = [spec(auto_restart=value).restart_policy for value in (True, False, "always", "never", "on_failure")]
    assert words == ["on_failure", "never", "always", "never", "on_failure"]


def test_what_a_spec_asks_for() -> None:
    asked = [
        spec(**fields).wanted
        for fields in ({}, {"auto_start": False}, {"desired_state": "stopped"}, {"desired_state": "running"})
    ]
    assert asked == ["running", "unless_stopped", "stopped", "running"]


def test_only_what_a_person_set_is_explicit() -> None:
    assert explicit_fields(spec(stop={"grace_ms": 10_000})) == {
        "worker_id": "web", "command": ["run"], "stop": {"grace_ms": 10_000},
    }  # fmt: skip


def test_a_worker_id_is_a_dns_label() -> None:
    assert [is_worker_id(text) for text in ("web-1", "a" * 63, "a" * 64, "-a", "Web", "")] == [
        True, True, False, False, False, False,
    ]  # fmt: skip


def test_reserved_fields_are_no_fields_yet() -> None:
    assert NOT_YET.keys() & WorkerSpec.model_fields.keys() == set()
