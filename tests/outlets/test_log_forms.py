"""Log lines in the words of others."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.outlets.log_forms import loki_push, otlp_logs, syslog_message
from controller.outlets.targets import Target, parse_target
from controller.store.records import StoredLine


def line(number: int = 1, text: str = "hello", **changed: Any) -> StoredLine:
    fields: dict[str, Any] = {
        "id": number, "worker_id": "web", "instance": "web/0", "run": "abc", "stream": "stdout", "kind": "line",
        "seq": number, "byte_offset": 0, "at": 1_700_000_000.25, "approximate": False, "level": None, "text": text,
        "partial": False,
    }  # fmt: skip
    return StoredLine(**(fields | changed))


def test_loki_gets_one_stream_per_worker_stream_and_level_with_its_lines_in_order() -> None:
    lines = [line(1, "a"), line(2, "b", stream="stderr", level="error"), line(3, "c"), line(4, "d", worker_id="job")]
    about = {"instance": "web/0", "run": "abc"}
    assert json.loads(loki_push(lines, "box")) == {
        "streams": [
            {
                "stream": {"job": "workerctl", "host": "box", "worker": "job", "stream": "stdout"},
                "values": [["1700000000250000000", "d", about | {"seq": "4"}]],
            },
            {
                "stream": {"job": "workerctl", "host": "box", "worker": "web", "stream": "stderr", "level": "error"},
                "values": [["1700000000250000000", "b", about | {"seq": "2"}]],
            },
            {
                "stream": {"job": "workerctl", "host": "box", "worker": "web", "stream": "stdout"},
                "values": [
                    ["1700000000250000000", "a", about | {"seq": "1"}],
                    ["1700000000250000000", "c", about | {"seq": "3"}],
                ],
            },
        ]
    }


def test_otlp_gets_one_resource_per_instance() -> None:
    def text(key: str, value: str) -> dict[str, Any]:
        return {"key": key, "value": {"stringValue": value}}

    assert json.loads(otlp_logs([line(7, "ö", level="critical", partial=True)], "box")) == {
        "resourceLogs": [
            {
                "resource": {
                    "attributes": [
                        text("service.name", "web"),
                        text("service.instance.id", "web/0"),
                        text("host.name", "box"),
                    ]
                },
                "scopeLogs": [
                    {
                        "scope": {"name": "workerctl"},
                        "logRecords": [
                            {
                                "timeUnixNano": "1700000000250000000",
                                "severityNumber": 21,
                                "severityText": "CRITICAL",
                                "body": {"stringValue": "ö"},
                                "attributes": [
                                    text("log.iostream", "stdout"),
                                    text("workerctl.instance", "web/0"),
                                    text("workerctl.run", "abc"),
                                    text("workerctl.seq", "7"),
                                    text("workerctl.partial", "true"),
                                ],
                            }
                        ],
                    }
                ],
            }
        ]
    }


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (
            line(text="hello"),
            (
                b"<14>1 2023-11-14T22:13:20.250000Z box web web/0 stdout "
                b'[workerctl@32473 instance="web/0" run="abc" seq="1"] hello'
            ),
        ),
        (
            line(text="two\nlines\r\0", level="error", worker_id="w" * 60, kind="gap", run='"]\\'),
            b"<11>1 2023-11-14T22:13:20.250000Z box " + b"w" * 48 + b" web/0 stdout "
            b'[workerctl@32473 instance="web/0" run="\\"\\]\\\\" seq="1" kind="gap"] two\\nlines\\r\\0',
        ),
    ],
)
def test_syslog_gets_one_message_on_one_line(told: StoredLine, message: bytes) -> None:
    assert syslog_message(told, "box") == message


@given(st.text())
def test_any_text_can_be_told(text: str) -> None:
    assert b"\n" not in syslog_message(line(text=text), "box")
    json.loads(loki_push([line(text=text)], "box"))
    json.loads(otlp_logs([line(text=text)], "box"))


@pytest.mark.parametrize(
    ("text", "target", "shown"),
    [
        (
            "loki+http://box",
            Target(kind="loki+http", host="box", port=3100, path="/loki/api/v1/push"),
            "loki+http://box:3100/loki/api/v1/push",
        ),
        (
            "loki+https://me:s%20t@logs.example/x/push?tenant=a&token_file=/t",
            Target(
                kind="loki+https", host="logs.example", port=443, path="/x/push", login=("me", "s t"),
                token_file="/t", tenant="a",
            ),
            "loki+https://logs.example:443/x/push",
        ),
        (
            "otlp+http://[::1]:4317",
            Target(kind="otlp+http", host="::1", port=4317, path="/v1/logs"),
            "otlp+http://[::1]:4317/v1/logs",
        ),
        ("syslog+udp://box", Target(kind="syslog+udp", host="box", port=514), "syslog+udp://box:514"),
    ],
)  # fmt: skip
def test_a_target_is_read_and_told_without_its_secrets(text: str, target: Target, shown: str) -> None:
    assert parse_target(text) == target
    assert str(parse_target(text)) == shown
    assert "s t" not in repr(parse_target(text))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("http://box", "expected one of loki+http://, "),
        ("", "expected one of loki+http://, "),
        ("loki+http://", "expected a host, as in loki+http://logs.example:3100"),
        ("loki+http://box:port", "it is no URL that can be read"),
        ("loki+http://box?x=1", "'x' means nothing to loki; known are ['tenant', 'token_file']"),
        ("syslog+tcp://box/path", "syslog has neither a path nor a login"),
        ("syslog+tcp://box?tenant=a", "'tenant' means nothing to syslog"),
    ],
)
def test_what_is_no_target_is_refused_with_what_was_expected(text: str, said: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(said)):
        parse_target(text)
