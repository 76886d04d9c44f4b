"""The formatter of spec files: white space only, and only where it is proved to be the same document.

Called by `workerctl fmt`. Pure: bytes in, bytes out. It does, in this order:
- line ends: all as most of the file's are;
- trailing blanks: gone, also after comments;
- the end of the file: exactly one line end;
- indentation: two spaces per level (layout.py). A list under its key may stand in the key's column or two further.

Order of keys, quoting, comments, blank lines and flow collections are the person's. So is what lies inside a text:
where a step touches one, the proof finds out. Each step is proved by itself: the parser must see the same events
(values, styles, anchors, order) and the same comments must stand in the same order. A step that cannot be proved is
left out, and said so for the indentation, which a person would otherwise miss.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import yaml

from controller.core.problems import Problem
from controller.sources.layout import Token, indented, tokens_of
from controller.sources.strict_yaml import BOM, parse, without_bom

_LINE_END = re.compile(r"\r\n|\n|\r")
_TRAILING = re.compile(r"[ \t]+(?=\r|\n|\Z)")
_BLANK_END = re.compile(r"(?:[ \t]*(?:\r\n|\n|\r))*[ \t]*\Z")

INDENTATION = "its indentation is left as it is: changing it would change what the file says"


@dataclass(frozen=True, slots=True, kw_only=True)
class Formatted:
    """The content as it should be; equal to what it was where nothing is to be done. `notes`: what was left alone.

    With `problems` the file is no YAML that could be read, and the content is what it was.
    """

    content: bytes
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def formatted(content: bytes, file: str) -> Formatted:
    """Formats one file. `file` is its name in problems."""
    parsed = parse(content, file)
    if parsed.problems:
        return Formatted(content=content, problems=parsed.problems)
    text = without_bom(content).decode()
    steps: tuple[Callable[[str], str], ...] = (_line_ends, _trailing_blanks, _end_of_file)
    for step in steps:
        text = _proved(text, step(text))
    wanted = indented(text)
    result = _proved(text, wanted)
    return Formatted(
        content=(BOM if content.startswith(BOM) else b"") + result.encode(),
        notes=() if result == wanted else (INDENTATION,),
    )


def _line_ends(text: str) -> str:
    """All line ends as most are; LF where it is a tie."""
    found = _LINE_END.findall(text)
    end = max(("\n", "\r\n", "\r"), key=found.count)
    return _LINE_END.sub(end, text)


def _trailing_blanks(text: str) -> str:
    """Blanks at the ends of lines, where they lie outside every value."""
    values = [token for token in tokens_of(text) if token.is_value]
    kept: list[str] = []
    end, position = 0, 0
    for match in _TRAILING.finditer(text):
        while position < len(values) and values[position].end <= match.start():
            position += 1
        if position < len(values) and values[position].start < match.end():
            continue
        kept.append(text[end : match.start()])
        end = match.end()
    return "".join([*kept, text[end:]])


def _end_of_file(text: str) -> str:
    """One line end, and no blank line before it. An empty file stays empty."""
    found = _LINE_END.search(text)
    body = _BLANK_END.sub("", text, count=1)
    return body + (found.group() if found is not None else "\n") if body else ""


def _proved(before: str, after: str) -> str:
    """`after`, where it is the same document as `before`; else `before`."""
    if before == after:
        return before
    try:
        is_same = _events(before) == _events(after) and _comments(before) == _comments(after)
    except yaml.YAMLError:
        is_same = False
    return after if is_same else before


def _events(text: str) -> list[tuple[object, ...]]:
    """What the parser sees, without places."""
    names = ("anchor", "tag", "implicit", "value", "style", "flow_style", "explicit", "version", "tags")
    return [
        (type(event).__name__, *(getattr(event, name, None) for name in names))
        for event in yaml.parse(text, Loader=yaml.CSafeLoader)
    ]


def _comments(text: str) -> list[str]:
    """All comments outside values, in order, without blanks at their ends."""
    found: list[str] = []
    end = 0
    for token in [*tokens_of(text), Token(kind="", start=len(text), end=len(text), line=0, column=0)]:
        between = _LINE_END.split(text[end : max(token.start, end)])
        found += [line[line.index("#") :].rstrip() for line in between if "#" in line]
        end = max(end, token.end)
    return found
