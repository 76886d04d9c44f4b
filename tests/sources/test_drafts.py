"""What a document is to say after a write: what a client did not change stays as the person wrote it."""

from __future__ import annotations

from typing import Any

import pytest

from controller.sources.drafts import merged, replaced, still_hidden

HAVE = {"worker_id": "web", "command": "run  it", "env": {"TOKEN": "abc", "A": "1"}, "logs": {"max_bytes": "64MiB"}}
SHOWN = {
    "worker_id": "web",
    "command": "run  it",
    "env": {"TOKEN": "***", "A": "1", "FROM_DEFAULTS": "x"},
    "logs": {"max_bytes": 67108864, "archives": 5},
    "replicas": 1,
    "stop": {"signal": "TERM", "grace_ms": 5000},
}


def test_what_is_put_back_as_it_was_shown_changes_nothing() -> None:
    assert replaced(HAVE, SHOWN, SHOWN) == HAVE


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({**SHOWN, "replicas": 3}, {**HAVE, "replicas": 3}),
        (
            {**SHOWN, "env": {"TOKEN": "***", "A": "2", "FROM_DEFAULTS": "x", "B": "3"}},
            {**HAVE, "env": {"TOKEN": "abc", "A": "2", "B": "3"}},
        ),
        (
            {**SHOWN, "logs": {"max_bytes": 67108864, "archives": 9}},
            {**HAVE, "logs": {"max_bytes": "64MiB", "archives": 9}},
        ),
        ({**SHOWN, "stop": {"signal": "INT", "grace_ms": 5000}}, {**HAVE, "stop": {"signal": "INT"}}),
        ({"worker_id": "web", "command": ["x"]}, {"worker_id": "web", "command": ["x"]}),
        ({**SHOWN, "command": None}, {**HAVE, "command": None}),
    ],
)
def test_a_replaced_spec_is_written_where_it_differs(body: dict[str, Any], expected: dict[str, Any]) -> None:
    assert replaced(HAVE, SHOWN, body) == expected


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ({}, HAVE),
        ({"replicas": 1}, {**HAVE, "replicas": 1}),
        ({"env": {"A": None, "B": "2"}}, {**HAVE, "env": {"TOKEN": "abc", "B": "2"}}),
        ({"env": None, "never": None}, {key: value for key, value in HAVE.items() if key != "env"}),
        ({"command": {"a": {"b": None}}}, {**HAVE, "command": {"a": {}}}),
    ],
)
def test_a_merge_patch_changes_what_it_names(patch: dict[str, Any], expected: dict[str, Any]) -> None:
    assert merged(HAVE, patch) == expected


def test_hidden_values_come_back_as_they_are_and_never_as_their_sign() -> None:
    have = {"command": ["x", "--token", "abc", "TOKEN=d"], "env": {"KEY": "k"}}
    shown = {"command": ["x", "--token", "***", "TOKEN=***"], "env": {"KEY": "***"}}
    body = {"command": ["y", "-v", "--token", "***", "TOKEN=***"], "env": {"KEY": "***"}}
    result = replaced(have, shown, body)
    assert result == {"command": ["y", "-v", "--token", "abc", "TOKEN=d"], "env": {"KEY": "k"}}
    assert still_hidden(result, have) == []
    moved = replaced(have, shown, {"env": {"OTHER": "***"}, "command": "x --token ***"})
    assert sorted(still_hidden(moved, have)) == [("command",), ("env", "OTHER")]
    assert still_hidden({"a": ["***"]}, {"a": ["***"]}) == []
