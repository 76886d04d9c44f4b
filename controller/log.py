"""Our own operational log: the standard library's logging, written as text for people or JSON for programs.

A record is a constant message plus fields: `log.info("spec accepted", extra={"fields": {"worker": "web"}})`. One
record is one line, whatever a field holds: values are escaped, and so is a traceback. `configure` is called once, by
the composition root; everybody else asks `logging.getLogger(__name__)`. Nothing here knows what is logged.

Text:  12:03:04 info  spec accepted  worker=web file=web.yaml:3
JSON:  {"at": "2025-01-31T12:03:04.512Z", "level": "info", "message": "spec accepted", "worker": "web", ...}
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

# A value stands without quotes when it cannot be misread: no space, no quote, no `=`, no control.
_PLAIN = re.compile(r"[^\s\"'=\\\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff]+")
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_WORDS = {logging.DEBUG: "debug", logging.INFO: "info", logging.WARNING: "warn", logging.ERROR: "error"}
_COLOURS = {"debug": "2", "info": "32", "warn": "33", "error": "31"}
# Extras of other code (a request id, say) are fields too; these are logging's own.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "fields", "taskName"}


def configure(fmt: Literal["text", "json"], stream: TextIO | None = None) -> logging.Handler:
    """Send the log of the whole program to `stream` (standard error unless given). Returns the handler.

    Handlers that a previous call installed are replaced. Chatty libraries are heard from warnings on.
    """
    target = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(target)
    handler.setFormatter(JsonFormatter() if fmt == "json" else TextFormatter(colour=_wants_colour(target)))
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old.formatter, (JsonFormatter, TextFormatter))]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    for name in ("aiohttp", "alembic", "asyncio", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return handler


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """The fields of a record: `extra={"fields": {...}}`, then any other extra. None values are left out."""
    given = getattr(record, "fields", None)
    found = dict(given) if isinstance(given, Mapping) else {}
    found.update({name: value for name, value in vars(record).items() if name not in _OWN})
    return {str(name): value for name, value in found.items() if value is not None}


def level_of(record: logging.LogRecord) -> str:
    """One of debug, info, warn, error."""
    return _WORDS[max((level for level in _WORDS if level <= record.levelno), default=logging.DEBUG)]


class TextFormatter(logging.Formatter):
    """For people: local time, level, message, fields."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        level = level_of(record)
        at = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        parts = [
            f"{self._paint(at, '2')} {self._paint(f'{level:<5}', _COLOURS[level])} {escape(record.getMessage())}",
            " ".join(f"{self._paint(name + '=', '2')}{_value(value)}" for name, value in fields_of(record).items()),
        ]
        if record.exc_info:
            parts.append(f"{self._paint('traceback=', '2')}{_quoted(self.formatException(record.exc_info))}")
        return "  ".join(part for part in parts if part)

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text


class JsonFormatter(logging.Formatter):
    """For programs: one object, times in UTC. A field never replaces one of ours; it gets `field_` before its name."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        document: dict[str, Any] = {
            "at": at,
            "level": level_of(record),
            "message": record.getMessage(),
            "logger": record.name,
        }
        for name, value in fields_of(record).items():
            document[f"field_{name}" if name in document else name] = value
        if record.exc_info:
            document["traceback"] = self.formatException(record.exc_info)
        return json.dumps(document, ensure_ascii=True, default=str)


def escape(text: str) -> str:
    """The text on one line, with every control character made visible."""
    return _UNSAFE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    character = match.group()
    short = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character)
    return short or (f"\\x{ord(character):02x}" if ord(character) < 0x100 else f"\\u{ord(character):04x}")


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:.6g}"
        case list() | tuple():
            return _value(",".join(str(part) for part in value))
        case _:
            text = str(value)
            return text if _PLAIN.fullmatch(text) else _quoted(text)


def _quoted(text: str) -> str:
    return '"' + escape(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def _wants_colour(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
