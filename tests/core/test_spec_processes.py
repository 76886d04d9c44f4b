"""The groups around a process: what they refuse, and that two ways to write one thing are one."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from controller.core.spec import WorkerSpec, explicit_fields
from tests.core.core_builders import spec

ALL: dict[str, Any] = {
    "secrets": {"A": {"file": "/run/a"}, "B": {"env": "DB_PASSWORD"}},
    "user": "mailer",
    "group": 0,
    "umask": "0027",
    "startup": {"log_line": "ready"},
    "readiness": {"http": {"path": "/ready", "port": 80, "status": 204}, "period_ms": 5000},
    "liveness": {"tcp": {"port": 80}, "failures": 5},
    "hooks": {"pre_start": {"exec": ["migrate"]}, "post_stop": {"exec": ["clean"], "timeout_ms": 10}},
    "limits": {"memory_bytes": 4_194_304, "cpu": 2, "nofile": 1024, "pids": 1, "nice": -20, "enforce": "best_effort"},
    "depends_on": {"database": "ready", "123": "started"},
}


def test_all_of_them_at_once() -> None:
    made = explicit_fields(spec(**ALL))
    assert made == {
        "worker_id": "web",
        "command": ["run"],
        **ALL,
        "group": "0",
        "readiness": {"http": {"path": "/ready", "port": 80, "status": [204, 204]}, "period_ms": 5000},
    }
    assert WorkerSpec.model_validate(made) == spec(**ALL)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"secrets": {"A": {}}}, "needs exactly one of `file` and `env`"),
        ({"secrets": {"A": {"file": "/a", "env": "B"}}}, "needs exactly one of `file` and `env`"),
        ({"secrets": {"a-b": {"file": "/a"}}}, "should match pattern"),
        ({"user": True}, "valid string"),
        ({"user": ""}, "at least 1 character"),
        ({"umask": "22"}, "should match pattern"),
        ({"umask": "1022"}, "should match pattern"),
        ({"umask": 22}, "valid string"),
        ({"startup": {}}, "needs exactly one of `http`, `tcp`, `exec` and `log_line`"),
        ({"startup": {"tcp": {}, "exec": ["a"]}}, "needs exactly one of"),
        ({"startup": {"exec": []}}, "at least 1 item"),
        ({"startup": {"log_line": "(a+)+"}}, "a choice or repetition is repeated"),
        ({"startup": {"tcp": {}, "period_ms": 0}}, "greater than or equal to 100"),
        ({"startup": {"heartbeat": {}}}, "Extra inputs"),
        ({"liveness": {}}, "needs exactly one of `http`, `tcp`, `exec`, `log_line` and `heartbeat`"),
        ({"liveness": {"tcp": {}, "heartbeat": {}}}, "needs exactly one of"),
        ({"liveness": {"heartbeat": {"timeout_ms": 999}}}, "greater than or equal to 1000"),
        *(
            ({"liveness": {"heartbeat": {}, name: 100}}, f"`{name}` means nothing beside `heartbeat`")
            for name in ("period_ms", "timeout_ms", "failures", "successes")
        ),
        ({"readiness": {"http": {"path": "ready"}}}, "begins with `/`"),
        ({"readiness": {"http": {"path": "/a b"}}}, "visible ASCII"),
        ({"readiness": {"http": {"path": "/ä"}}}, "visible ASCII"),
        ({"readiness": {"http": {"status": 99}}}, "expected a status from 100 to 599"),
        ({"readiness": {"http": {"status": [300, 200]}}}, "expected a status from 100 to 599"),
        ({"readiness": {"http": {"status": [200]}}}, "expected a status from 100 to 599"),
        ({"readiness": {"http": {"status": [True, 200]}}}, "expected a status from 100 to 599"),
        ({"readiness": {"http": {"status": "200"}}}, "expected a status from 100 to 599"),
        ({"hooks": {"pre_start": {}}}, "Field required"),
        ({"limits": {}}, "limits nothing"),
        ({"limits": {"enforce": "strict"}}, "limits nothing"),
        ({"limits": {"memory_bytes": 4_194_303}}, "greater than or equal to 4194304"),
        ({"limits": {"cpu": 0}}, "greater than 0"),
        ({"limits": {"cpu": float("nan")}}, "finite number"),
        ({"limits": {"nice": 20}}, "less than or equal to 19"),
        ({"depends_on": {"Web": "started"}}, "should match pattern"),
        ({"depends_on": {"db": "healthy"}}, "'started', 'ready' or 'completed'"),
        ({"depends_on": {"db": "completed"}}, "completed is not yet supported"),
    ],
)
def test_what_cannot_be_meant_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        WorkerSpec.model_validate({"worker_id": "web", **fields})


def test_a_check_is_taken_away_with_null() -> None:
    made = spec(startup={"http": None, "tcp": {"port": 1}}).startup
    assert made is not None
    assert made.check == "tcp"


def test_every_field_describes_itself() -> None:
    schema = WorkerSpec.model_json_schema()
    groups = [schema, *schema["$defs"].values()]
    silent = [
        name for group in groups for name, node in group.get("properties", {}).items() if "description" not in node
    ]
    assert silent == []
