"""How a value is written in YAML when a program writes it: short, quoted only where it must be, without surprises.

Called by surgery.py (parts of a person's file) and by whoever writes a new document. Pure. What it writes, strict_yaml
reads back as the same value; surgery proves it for every edit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controller.sources.strict_yaml import STR, resolve_plain

STEP = 2
FLOW_WIDTH = 72
"""A list of texts and numbers that is no wider stands on one line."""

_SAFE_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*|(?:--?)?[A-Za-z_./][A-Za-z0-9_./@+=-]*(?: [A-Za-z0-9_./@+=-]+)*")
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
_TRUTHS_ELSEWHERE = frozenset({"y", "n", "yes", "no", "on", "off"})
_BLOCK_LINE = re.compile("[^\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]*")


def scalar(value: Any, style: str | None = None) -> str:
    """A value that is no collection, on one line. `style`: the quotes that stood there before, for a text."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str() if style == "'" and value.isprintable():
            return "'" + value.replace("'", "''") + "'"
        case str():
            return value if style != '"' and _may_be_plain(value) else json_text(value)
        case _:
            raise TypeError(f"no YAML value: {type(value).__name__}")


def _may_be_plain(value: str) -> bool:
    """Whether it needs no quotes, for no reader of YAML: many take a plain `yes` for true and `off` for false."""
    if value.lower() in _TRUTHS_ELSEWHERE:
        return False
    return _SAFE_PLAIN.fullmatch(value) is not None and resolve_plain(value) == STR


def json_text(value: Any) -> str:
    """Any value as JSON that is also YAML: what YAML does not print is escaped."""
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found.group()):04x}", json.dumps(value, ensure_ascii=False))


def flow(value: Any) -> str:
    """Any value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(key)}: {flow(below)}" for key, below in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(flow(below) for below in value) + "]"
    return scalar(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Speller:
    """Writes values over several lines. `block_texts`: a text of several lines may stand as it is, after a `|`."""

    line_end: str = "\n"
    block_texts: bool = True

    def after(self, value: Any, column: int) -> str:
        """What stands behind the colon of a key at `column`, from the blank on; without a line end at the end.

        A mapping or list goes on in lines of its own, one step further in.
        """
        if isinstance(value, Mapping) and value:
            return self.line_end + self.block(value, column + STEP)
        if isinstance(value, list | tuple) and value:
            line = flow(value)
            if len(line) + column > FLOW_WIDTH or any(isinstance(below, dict | list | tuple) for below in value):
                return self.line_end + self.block(value, column + STEP)
            return f" {line}"
        if self.block_texts and isinstance(value, str) and _is_block_text(value):
            indent = " " * (column + STEP)
            lines = value.removesuffix("\n").split("\n")
            header = "|" if value.endswith("\n") else "|-"
            return f" {header}{self.line_end}" + self.line_end.join(indent + line if line else "" for line in lines)
        return f" {flow(value)}"

    def item(self, value: Any, column: int) -> str:
        """What stands behind a dash at `column`: a mapping begins on the dash's own line."""
        if isinstance(value, Mapping) and value:
            return " " + self.block(value, column + STEP).lstrip(" ")
        return self.after(value, column)

    def block(self, value: Mapping[str, Any] | Sequence[Any], column: int) -> str:
        """A mapping or list that is not empty, one line per part, without a line end at the end."""
        indent = " " * column
        if isinstance(value, Mapping):
            parts = [f"{scalar(key)}:{self.after(below, column)}" for key, below in value.items()]
        else:
            parts = [f"-{self.item(below, column)}" for below in value]
        return self.line_end.join(indent + part for part in parts)

    def document(self, value: Mapping[str, Any]) -> str:
        """A whole document."""
        return self.block(value, 0) + self.line_end


def _is_block_text(value: str) -> bool:
    """Whether it has several lines and can stand as they are."""
    lines = value.removesuffix("\n").split("\n")
    return (
        "\n" in value
        and bool(lines[0].strip())
        and not lines[0].startswith((" ", "\t"))
        and bool(lines[-1].strip())
        and all(_BLOCK_LINE.fullmatch(line) and (line.strip() or not line) for line in lines)
    )
