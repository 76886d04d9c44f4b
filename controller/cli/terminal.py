"""What we know about the terminal, and the only place that makes colour.

Colour is used on a terminal only, never with NO_COLOR set or TERM=dumb, and never alone: a word or a sign says the
same. Text that came from a worker or a file is `neutralise`d before a terminal sees it, so that no log line can move
the cursor, set the title or reverse the direction of text.

Used by every verb. What does not belong here: what a table looks like (table.py), what a state means (wording.py).
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from dataclasses import dataclass
from typing import TextIO

import click

# C0 without tab and newline, DEL, C1, and the controls that change the direction of text.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)

_MARKS = ("/,;=&?", "-_")
"""Where a word that fits no line is best broken: after one of the first, else after one of the second."""


def _shown(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return f"^{chr(code + 0x40)}"
    if code == 0x7F:
        return "^?"
    return f"<{code:02X}>" if code < 0x100 else f"<U+{code:04X}>"


def neutralise(text: str) -> str:
    """The text with every terminal control made visible: ESC as `^[`, a bare CR as `^M`, 0x9B as `<9B>`.

    Tab and newline stay. A CR directly before a newline or the end is dropped: it is a line end, not an attack.
    """
    if text.isascii() and text.isprintable():
        return text
    return _UNSAFE.sub(_shown, text.replace("\r\n", "\n").removesuffix("\r"))


def one_line(text: str) -> str:
    """Neutralised, and on one line: for a cell of a table."""
    return neutralise(" ".join(text.split("\n")).replace("\t", " ")).strip()


def width_of(text: str) -> int:
    """Columns that `text` takes: wide characters (Chinese, Japanese, Korean) two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, columns: int, ellipsis: str = "…") -> str:
    """`text`, shortened with an ellipsis where it takes more than `columns`."""
    if width_of(text) <= columns:
        return text
    if columns <= width_of(ellipsis):
        return ellipsis[:columns]
    kept, used = [], width_of(ellipsis)
    for character in text:
        used += _columns(character)
        if used > columns:
            break
        kept.append(character)
    return "".join(kept).rstrip() + ellipsis


def cut_middle(text: str, columns: int, ellipsis: str = "…") -> str:
    """`text`, shortened in its middle: names that differ do so at either end more often than within."""
    if width_of(text) <= columns:
        return text
    room = columns - width_of(ellipsis)
    head = cut(text, (room + 1) // 2, "")
    tail = cut(text[::-1], room // 2, "")[::-1]
    return head + ellipsis + tail if room > 1 else cut(text, columns, ellipsis)


def wrapped(text: str, columns: int) -> list[str]:
    """Lines of at most `columns`, broken at blanks; a longer word (a path) is broken after one of its own marks."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and width_of(lines[-1]) + 1 + width_of(word) <= columns:
            lines[-1] += f" {word}"
        else:
            lines += _broken(word, columns)
    return lines


def _broken(word: str, columns: int) -> list[str]:
    """A word in pieces that fit; each but the last ends with a mark where there is one in its second half."""
    pieces: list[str] = []
    while width_of(word) > columns:
        head = cut(word, columns, "") or word[0]
        ends = [max(head.rfind(mark) for mark in marks) + 1 for marks in _MARKS]
        head = head[: next((end for end in ends if end > len(head) // 2), len(head))]
        pieces.append(head)
        word = word[len(head) :]
    return [*pieces, word] if word or not pieces else pieces


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """`text` filled with spaces to `columns`, on the left where `right` aligned."""
    blanks = " " * max(columns - width_of(text), 0)
    return blanks + text if right else text + blanks


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """One output stream: is it a terminal, may it be coloured, does it know more than ASCII, how large is it."""

    tty: bool
    colour: bool
    unicode: bool
    columns: int
    lines: int

    def paint(self, text: str, colour: str | None = None, *, bold: bool = False, dim: bool = False) -> str:
        """`text` in colour, or as it is where there is none."""
        if not self.colour or not text or not (colour or bold or dim):
            return text
        return click.style(text, fg=colour, bold=bold or None, dim=dim or None)

    def sign(self, fancy: str, plain: str) -> str:
        """A sign beyond ASCII where the stream can show it."""
        return fancy if self.unicode else plain


def terminal(*, err: bool = False) -> Terminal:
    """Look at standard output (or error) as it is now."""
    stream: TextIO = sys.stderr if err else sys.stdout
    tty = stream.isatty()
    columns, lines = _size(stream) if tty else (0, 0)
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "")
    return Terminal(tty=tty, colour=tty and not plain, unicode=encoding.startswith("utf"), columns=columns, lines=lines)


def _size(stream: TextIO) -> tuple[int, int]:
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return 80, 24
    return size.columns or 80, size.lines or 24
