from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.store.text import from_json, storable, to_json
from tests.examples import examples


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("plain", "plain"),
        ("Grüße 主 \U0001f600", "Grüße 主 \U0001f600"),
        ("a\x00b", "a\\x00b"),
        ("ä\x00", "ä\\x00"),
        ("\udcff", "\\xff"),
        ("ü\udc80", "ü\\x80"),
        ("\ud800", "\\ud800"),
        ("\udc7f", "\\udc7f"),
        ("line\u2028end\x1b", "line\u2028end\x1b"),
    ],
)
def test_only_what_databases_refuse_is_escaped(text: str, stored: str) -> None:
    assert storable(text) == stored


@given(st.text(st.characters(codec=None), max_size=20))
@examples(0.5)
def test_any_text_becomes_storable_and_stays_so(text: str) -> None:
    stored = storable(text)
    stored.encode("utf-8")
    assert "\x00" not in stored
    assert storable(stored) == stored


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ({"a": [1, 2.5, True, None, "ü"]}, {"a": [1, 2.5, True, None, "ü"]}),
        ({"a\x00": "b\udcff"}, {"a\\x00": "b\\xff"}),
        ({"smile": "\U0001f600"}, {"smile": "\U0001f600"}),
        ([float("nan"), float("inf"), 1.5], [None, None, 1.5]),
        ({"set": {3}, "pair": (1, 2), "object": range(2)}, {"set": [3], "pair": [1, 2], "object": "range(0, 2)"}),
        ({("a", 1): True}, {"('a', 1)": True}),
    ],
)
def test_any_value_becomes_json(value: Any, stored: Any) -> None:
    assert from_json(to_json(value)) == stored


def test_no_text_is_no_value() -> None:
    assert from_json(None) is None


_TEXTS = st.text(st.characters(codec=None), max_size=10)
_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS | st.binary(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS | st.integers(), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(_TEXTS, _VALUES, max_size=3))
@examples(0.5)
def test_json_never_fails_and_holds_only_storable_text(value: Mapping[str, Any]) -> None:
    text = to_json(value)
    assert "\x00" not in text
    json.dumps(json.loads(text), ensure_ascii=False, allow_nan=False).encode("utf-8")
