"""Where each value of a YAML document stands in its text: the tree of spans that surgery.py cuts along.

Made from the parser's events, because those alone tell an alias from the value that it repeats. Offsets count
characters of the text without BOM. Pure; the text must be valid YAML (strict_yaml has read it before).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import yaml

Kind = Literal["scalar", "mapping", "sequence", "alias"]


@dataclass(slots=True, kw_only=True, eq=False)
class Span:
    """One value. `start` includes an anchor or tag; `end` is behind its last character, also for block collections.

    `column` is that of the first key or dash. `pairs` of a mapping, `items` of a sequence. `style`: the quotes or the
    block sign of a scalar. `is_marked`: it has an anchor or tag. `is_empty`: nothing stands there, which means null.
    """

    kind: Kind
    start: int
    end: int
    column: int = 0
    text: str = ""
    style: str | None = None
    is_flow: bool = False
    is_marked: bool = False
    pairs: list[tuple[Span, Span]] = field(default_factory=list)
    items: list[Span] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """A value that is not written at all."""
        return self.kind == "scalar" and self.start == self.end

    @property
    def is_collection(self) -> bool:
        """A mapping or sequence that is written here."""
        return self.kind in ("mapping", "sequence")

    def pair(self, key: str) -> tuple[Span, Span] | None:
        """The pair of a mapping's own key."""
        return next((pair for pair in self.pairs if pair[0].kind == "scalar" and pair[0].text == key), None)


@dataclass(slots=True, kw_only=True, eq=False)
class DocumentSpan:
    """One document: `start` is where its `---` or its first character stands, `end` where the next one begins."""

    start: int
    end: int
    is_explicit: bool
    root: Span


def documents(text: str) -> list[DocumentSpan]:
    """All documents of a text, also empty ones."""
    found: list[DocumentSpan] = []
    events = yaml.parse(text, Loader=yaml.CSafeLoader)
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            root = _read(next(events), events, text)
            start = _index(event.start_mark) if event.explicit else 0
            found.append(DocumentSpan(start=start, end=len(text), is_explicit=bool(event.explicit), root=root))
    for one, following in pairwise(found):
        one.end = following.start
    return found


def dashes(text: str) -> list[int]:
    """Where the dashes of block sequences stand, ascending."""
    tokens = yaml.scan(text, Loader=yaml.CSafeLoader)
    return [_index(token.start_mark) for token in tokens if isinstance(token, yaml.BlockEntryToken)]


def dash_before(positions: list[int], index: int) -> int:
    """The last dash before a character."""
    return positions[bisect_left(positions, index) - 1]


def _index(mark: Any) -> int:
    """The stubs allow for no mark; the parser always has one."""
    return int(mark.index)


def _read(event: Any, events: Iterator[Any], text: str) -> Span:
    start, end, column = event.start_mark.index, event.end_mark.index, event.start_mark.column
    if isinstance(event, yaml.AliasEvent):
        return Span(kind="alias", start=start, end=end)
    is_marked = event.anchor is not None or (event.tag is not None and start < end and text[start] in "!&")
    if isinstance(event, yaml.ScalarEvent):
        if event.style in ("|", ">"):
            end = _end_of_block_text(text, start, end)
        elif event.style is None and not event.value and not is_marked:
            end = start
        return Span(
            kind="scalar", start=start, end=end, text=event.value, style=event.style, is_marked=is_marked,
            column=column,
        )  # fmt: skip
    span = Span(
        kind="mapping" if isinstance(event, yaml.MappingStartEvent) else "sequence",
        start=start, end=end, column=column, is_flow=bool(event.flow_style), is_marked=is_marked,
    )  # fmt: skip
    closing = _read_below(span, events, text)
    if span.is_flow:
        span.end = closing.end_mark.index
    elif span.pairs or span.items:
        last = span.pairs[-1][1] if span.pairs else span.items[-1]
        span.end = max(last.end, span.pairs[-1][0].end) if span.pairs else last.end
        span.column = span.pairs[0][0].column if span.pairs else span.column
    return span


def _read_below(span: Span, events: Iterator[Any], text: str) -> Any:
    """Reads the parts of a collection up to its end, which it returns."""
    for event in events:
        if isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            return event
        first = _read(event, events, text)
        if span.kind == "mapping":
            span.pairs.append((first, _read(next(events), events, text)))
        else:
            span.items.append(first)
    raise AssertionError("a collection without an end")


def _end_of_block_text(text: str, start: int, end: int) -> int:
    """Its mark lies behind blank lines that follow; they belong to it only where its sign says so (`|+`)."""
    header = text[start : text.find("\n", start) if "\n" in text[start:end] else end]
    return end if "+" in header.partition("#")[0] else start + len(text[start:end].rstrip())
