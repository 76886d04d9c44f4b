"""Log lines that are JSON objects, as loggers write them: the message, and all the other fields. Pure.

Made when somebody asks for it, of the lines that are shown; what is stored is the line as it was printed. A line that
is no JSON object (plain text, a piece of a long line, JSON with a fault) stays as it is.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

MESSAGES = ("message", "msg", "@m", "event", "short_message", "text")
"""Where loggers put their words: the first of these that is a text."""


def parsed_line(text: str) -> tuple[str, dict[str, Any]] | None:
    """Message (empty where there is none) and other fields of a line; None where it is no JSON object."""
    if not text.lstrip(" ").startswith("{"):
        return None
    try:
        found = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        return None
    name = next((name for name in MESSAGES if isinstance(found.get(name), str)), None)
    message = "" if name is None else found.pop(name)
    return message, found


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(text: str) -> float:
    value = float(text)
    if value - value != 0:
        raise ValueError(text)
    return value
