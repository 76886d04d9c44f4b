"""Log lines as others take them: Loki's push, syslog (RFC 5424), OTLP logs over HTTP in JSON. Pure; called by senders.

Labels and attributes are few and steady (worker, stream, level): a run or a line number as a label would make a series
of its own in Loki. They go along as what each format has for it: structured metadata, structured data, attributes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from controller.store.records import StoredLine

_FACILITY_USER = 1
_SEVERITY = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}
_UNSAID = 6
_SYSLOG_NAME = 48
_SYSLOG_MESSAGE = 8192
"""Bytes: what receivers take at the least by habit; RFC 5424 asks for 2048."""
_OTLP_SEVERITY = {"debug": 5, "info": 9, "warning": 13, "error": 17, "critical": 21}


def loki_push(lines: Sequence[StoredLine], host: str) -> bytes:
    """The body of `POST /loki/api/v1/push`: https://grafana.com/docs/loki/latest/reference/loki-http-api."""

    def labels(line: StoredLine) -> dict[str, str]:
        found = {"job": "workerctl", "host": host, "worker": line.worker_id, "stream": line.stream}
        return found | ({"level": line.level} if line.level else {})

    def key(line: StoredLine) -> tuple[str, ...]:
        return tuple(labels(line).values())

    streams = []
    for _, group in groupby(sorted(lines, key=key), key):
        members = list(group)
        values = [[_nanoseconds(line), line.text, _about(line)] for line in members]
        streams.append({"stream": labels(members[0]), "values": values})
    return _json({"streams": streams})


def otlp_logs(lines: Sequence[StoredLine], host: str) -> bytes:
    """The body of `POST /v1/logs`: https://opentelemetry.io/docs/specs/otlp/#otlphttp. One resource per instance."""
    resources = []
    for instance, group in groupby(sorted(lines, key=lambda line: line.instance), lambda line: line.instance):
        members = list(group)
        attributes = {
            "service.name": members[0].worker_id, "service.instance.id": instance, "host.name": host,
        }  # fmt: skip
        records = [_otlp_record(line) for line in members]
        scope = {"scope": {"name": "workerctl"}, "logRecords": records}
        resources.append({"resource": {"attributes": _attributes(attributes)}, "scopeLogs": [scope]})
    return _json({"resourceLogs": resources})


def _otlp_record(line: StoredLine) -> dict[str, Any]:
    severity: dict[str, Any] = {}
    if line.level:
        severity = {"severityNumber": _OTLP_SEVERITY[line.level], "severityText": line.level.upper()}
    about = {"log.iostream": line.stream, **{f"workerctl.{name}": value for name, value in _about(line).items()}}
    return {
        "timeUnixNano": _nanoseconds(line),
        **severity,
        "body": {"stringValue": line.text},
        "attributes": _attributes(about),
    }


def syslog_message(line: StoredLine, host: str) -> bytes:
    """One message, without the frame that a transport puts around it. APP-NAME is the worker, PROCID the instance."""
    priority = _FACILITY_USER * 8 + _SEVERITY.get(line.level or "", _UNSAID)
    at = datetime.fromtimestamp(line.at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    # 32473 is the number that RFC 5612 keeps for names that are nobody's.
    data = "".join(f' {name}="{_escaped(value)}"' for name, value in _about(line).items())
    name, instance = _printable(line.worker_id)[:_SYSLOG_NAME], _printable(line.instance)[:128]
    head = f"<{priority}>1 {at} {_printable(host)[:255]} {name} {instance} {line.stream} [workerctl@32473{data}] "
    # A line end in a message would be two messages to most receivers.
    text = line.text.replace("\r", "\\r").replace("\n", "\\n").replace("\0", "\\0")
    return head.encode() + text.encode("utf-8", "backslashreplace")[:_SYSLOG_MESSAGE]


def _about(line: StoredLine) -> dict[str, str]:
    """What is told of a line beside its labels."""
    about = {"instance": line.instance, "run": line.run, "seq": str(line.seq)}
    if line.kind != "line":
        about["kind"] = line.kind
    if line.partial:
        about["partial"] = "true"
    return about


def _attributes(values: dict[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in values.items()]


def _nanoseconds(line: StoredLine) -> str:
    return str(int(line.at * 1_000_000) * 1000)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def _printable(text: str) -> str:
    return "".join(letter if "!" <= letter <= "~" else "_" for letter in text) or "-"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")
