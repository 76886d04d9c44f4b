"""Lines of JSON as message and fields; what is none stays as it is."""

from __future__ import annotations

from typing import Any

import pytest

from controller.core.json_lines import parsed_line


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"level":"info","msg":"done","user":{"id":7}}', ("done", {"level": "info", "user": {"id": 7}})),
        ('{"message":"a","msg":"b"}', ("a", {"msg": "b"})),
        ('{"msg":5,"event":"started"}', ("started", {"msg": 5})),
        ('  {"n":1.5,"ok":true,"no":null} ', ("", {"n": 1.5, "ok": True, "no": None})),
        ("{}", ("", {})),
    ],
)
def test_a_line_of_json_is_its_message_and_its_fields(text: str, found: tuple[str, dict[str, Any]]) -> None:
    assert parsed_line(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "", "plain {words}", "[1,2]", '"text"', "7", '{"msg":"cut', '{"msg":"a"} and more', "{'msg': 'a'}",
        '{"a":NaN}', '{"a":-Infinity}', '{"a":1e999}', '{"a":' + "9" * 5000 + "}", '{"a":' * 9000, "{" + "[" * 9000,
    ],
)  # fmt: skip
def test_any_other_line_is_none(text: str) -> None:
    assert parsed_line(text) is None
