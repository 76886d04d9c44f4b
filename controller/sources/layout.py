"""Indentation of a YAML text: every block level two spaces further than the one around it.

Called by formatter.py, which proves the result; this file may therefore be simple where YAML is not. Pure.

Theory of operation: the scanner's tokens say where block collections begin and end. Walking over them with a stack of
(column now, column wanted) gives each line that begins with a token its new column. Lines inside a value (flow
collections, quoted and plain texts over several lines) move with the line that the value begins on, block texts to two
spaces within their key. A comment moves with the line that it stands above where both are in the same column, else
with the level that it stands in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import yaml

STEP = 2
_LINES = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+\Z")
_HEADER = re.compile(r"[|>][-+]?[1-9]")
_VALUES = frozenset({"ScalarToken", "AliasToken", "AnchorToken", "TagToken", "DirectiveToken"})
_BLOCKS = frozenset({"BlockMappingStartToken", "BlockSequenceStartToken"})
_FLOW_STARTS = frozenset({"FlowMappingStartToken", "FlowSequenceStartToken"})
_FLOW_ENDS = frozenset({"FlowMappingEndToken", "FlowSequenceEndToken"})
_UNSEEN = frozenset({"StreamStartToken", "StreamEndToken", "BlockEndToken"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One token of the scanner: character offsets, line and column from 0. `block_text`: a `|` or `>` value."""

    kind: str
    start: int
    end: int
    line: int
    column: int
    end_line: int = 0
    block_text: bool = False

    @property
    def is_value(self) -> bool:
        """Whether what lies inside belongs to the document's data."""
        return self.kind in _VALUES


def tokens_of(text: str) -> list[Token]:
    """All tokens of a text that is valid YAML."""
    return [
        Token(
            kind=type(token).__name__,
            start=token.start_mark.index,
            end=token.end_mark.index,
            line=token.start_mark.line,
            column=token.start_mark.column,
            end_line=token.end_mark.line,
            block_text=isinstance(token, yaml.ScalarToken) and token.style in ("|", ">"),
        )
        for token in yaml.scan(text, Loader=yaml.CSafeLoader)
    ]


def indented(text: str) -> str:
    """The text with every line in its column. Not proved: it may say something else where YAML is subtle."""
    lines = _LINES.findall(text)
    layout = _Layout(lines)
    layout.read(tokens_of(text))
    layout.place_comments()
    return "".join(layout.line(number) for number in range(len(lines)))


@dataclass(slots=True)
class _Level:
    """One open block collection: its column now, and the one that it gets."""

    now: int
    wanted: int
    is_sequence: bool


@dataclass(slots=True)
class _Layout:
    """Where each line goes.

    `columns`: the new column of lines whose place is known. `gaps`: blanks after dashes, as columns. `texts`: lines of
    block texts, each with the new column of its key, beyond which no comment after the text may go.
    """

    lines: list[str]
    columns: dict[int, int] = field(default_factory=dict)
    gaps: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    texts: dict[int, int] = field(default_factory=dict)
    levels: list[_Level] = field(default_factory=list)
    flow: int = 0
    flow_shift: int = 0

    def read(self, tokens: list[Token]) -> None:
        previous: Token | None = None
        seen: set[int] = set()
        for token in tokens:
            if token.kind == "BlockEndToken":
                self.levels.pop()
            if token.kind in _UNSEEN:
                continue
            if token.kind in _BLOCKS:
                self._open(token, previous)
            if token.line not in seen:
                seen.add(token.line)
                self._place(token)
            self._note_flow(token)
            self._move_inside(token)
            if token.end > token.start:
                previous = token
                seen.update(range(token.line, token.end_line + (not token.block_text)))

    def _open(self, token: Token, previous: Token | None) -> None:
        inline = previous is not None and previous.line == token.line and bool(self.levels)
        above = self.levels[-1].wanted if self.levels else -STEP
        wanted = above + STEP
        if inline:
            assert previous is not None
            if previous.kind == "BlockEntryToken":
                # The dash's level may be a sequence in its key's column, which the scanner does not open.
                wanted = self._now_at(previous) + STEP
                self.gaps.setdefault(token.line, []).append((previous.column + 1, token.column))
            else:
                wanted = token.column + self._shift(token.line)
        is_sequence = token.kind == "BlockSequenceStartToken"
        self.levels.append(_Level(now=token.column, wanted=max(wanted, 0), is_sequence=is_sequence))

    def _now_at(self, dash: Token) -> int:
        """The new column of a dash."""
        for level in reversed(self.levels):
            if level.now == dash.column:
                return level.wanted
        return dash.column + self._shift(dash.line)

    def _place(self, token: Token) -> None:
        """The first token of a line gives the line its column."""
        if self.flow:
            self.columns[token.line] = self._moved(token.line, self.flow_shift)
        elif not self.levels or token.kind in ("DocumentStartToken", "DocumentEndToken", "DirectiveToken"):
            self.columns[token.line] = token.column
        elif token.column <= self.levels[-1].now:
            self.columns[token.line] = self._now_at(token)
        else:
            self.columns[token.line] = self.levels[-1].wanted + STEP

    def _note_flow(self, token: Token) -> None:
        if token.kind in _FLOW_STARTS:
            if not self.flow:
                self.flow_shift = self._shift(token.line)
            self.flow += 1
        elif token.kind in _FLOW_ENDS:
            self.flow -= 1

    def _move_inside(self, token: Token) -> None:
        """The lines of a value after its first."""
        if token.block_text:
            self._move_block_text(token)
        elif token.is_value:
            for number in range(token.line + 1, token.end_line + 1):
                self.columns[number] = self._moved(number, self._shift(token.line))

    def _moved(self, number: int, shift: int) -> int:
        """The new column of a line inside a value: moved with it, but not to where other parsers refuse it."""
        indent = self._indent(number)
        inside = self.levels[-1].wanted + STEP if self.levels else 0
        return max(indent + shift, min(indent, inside))

    def _move_block_text(self, token: Token) -> None:
        numbers = range(token.line + 1, token.end_line)
        if token.end_line < len(self.lines) and self._ends_without_line_end(token):
            numbers = range(token.line + 1, token.end_line + 1)
        written = [number for number in numbers if self.lines[number].strip()]
        if not written:
            return
        now = self._indent(written[0])
        shift = (self.levels[-1].wanted + STEP if self.levels else now) - now
        if _HEADER.match(self.lines[token.line], token.column):
            shift = self.levels[-1].wanted - self.levels[-1].now if self.levels else 0
        self.texts.update(dict.fromkeys(numbers, self.levels[-1].wanted if self.levels else 0))
        for number in numbers:
            indent = self._indent(number)
            if self.lines[number].strip() or indent > now:
                self.columns[number] = max(indent + shift, 0)
            else:
                self.columns[number] = min(indent, max(now + shift, 0))

    def _ends_without_line_end(self, token: Token) -> bool:
        """A block text at the end of a file whose last line has no line end."""
        return token.end_line == len(self.lines) - 1 and not self.lines[-1].endswith(("\r", "\n"))

    def _indent(self, number: int) -> int:
        line = self.lines[number]
        return len(line) - len(line.lstrip(" "))

    def _shift(self, number: int) -> int:
        return self.columns.get(number, self._indent(number)) - self._indent(number)

    def place_comments(self) -> None:
        """Lines that hold a comment and nothing else, and blank lines, which stay as they are."""
        known = sorted(self.columns)
        before = -1
        position = 0
        for number, line in enumerate(self.lines):
            if number in self.columns:
                before = number
                continue
            while position < len(known) and known[position] <= number:
                position += 1
            if line.lstrip(" ").startswith("#"):
                after = known[position] if position < len(known) else -1
                self.columns[number] = self._comment_column(number, before, after)

    def _comment_column(self, number: int, before: int, after: int) -> int:
        column = self._indent(number)
        if after >= 0 and column == self._indent(after):
            return column + self._shift(after)
        shift = self._shift(after) if after >= 0 else 0
        for earlier in range(before, -1, -1):
            # Upwards to the level that the comment stands in: the first line that is indented no further.
            is_level = earlier in self.columns and earlier not in self.texts and self.lines[earlier].strip()
            if is_level and self._indent(earlier) <= column:
                shift = self._shift(earlier)
                break
        wanted = max(column + shift, 0)
        return min(wanted, self.texts.get(before, wanted))

    def line(self, number: int) -> str:
        """A line in its new column."""
        line = self.lines[number]
        if number not in self.columns:
            return line
        for begin, end in sorted(self.gaps.get(number, ()), reverse=True):
            line = line[:begin] + " " + line[end:]
        return " " * self.columns[number] + line.lstrip(" ")
