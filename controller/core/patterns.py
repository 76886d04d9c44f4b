"""Regular expressions that people write into specs: whether they compile, and cannot take for ever.

Called by spec_processes.py. Such a pattern is matched by the agent against every line of a worker's output, in the one
thread that supervises everybody, and Python's `re` backtracks. So what could take exponential time is refused, and a
little more: a person can say `[a-z ]+` instead of `([a-z]+ )*`, but nobody can interrupt a match.

Refused are: a repetition or choice inside a long repetition; more than `MAX_OPEN` long repetitions (each adds a power
to the worst case, which the length of a line bounds) and more than `MAX_CHOICES` other places where a match could go
two ways (each doubles it); references to earlier groups and conditions; and what the agent's Python 3.9 cannot compile
(possessive quantifiers, atomic groups). `(?x)` is refused because this reader would have to know it. Alternatives that
each begin with another literal are no choice.

The reader below takes apart only what `re` has accepted already, so it need not find syntax errors.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_LENGTH = 500
MAX_OPEN = 3
MAX_CHOICES = 12
MAX_DEPTH = 20
FEW = 4
"""A repetition of at most this many is short: what is inside may vary, and counts so often."""

_QUANTIFIER = re.compile(r"[*+?]|\{(?=[\d,])(?P<low>\d*)(?P<comma>,(?P<high>\d*))?\}")
_GROUP = re.compile(r"\(\?(?P<flags>[aiLmsux-]*)(?::|(?P<whole>\)))|\(\?(?:P<\w+>|<?[=!])|\((?!\?)")
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_NESTED = "could take for ever: a choice or repetition is repeated; write it as one class, as in `[a-z ]+`"


class _Refused(Exception):
    """The fault, in words."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What matters of a part of a pattern.

    `opens` counts its long repetitions, `choices` its other places where a match could go two ways. `first` is the
    literal that it begins with, None where that is not one.
    """

    opens: int = 0
    choices: int = 0
    first: str | None = None


def fault_of_pattern(text: str) -> str:
    """What is wrong with a pattern, with what to do after `; `; empty where nothing is."""
    if len(text) > MAX_LENGTH:
        return f"is longer than {MAX_LENGTH} characters"
    try:
        re.compile(text)
    except re.error as error:
        where = "" if error.pos is None else f" (character {error.pos + 1})"
        return f"is no regular expression: {error.msg}{where}; quote it in single quotes"
    except (OverflowError, RecursionError):
        return "is too large for a regular expression"
    try:
        whole = _Reader(text).alternatives()
    except _Refused as refused:
        return str(refused)
    if whole.opens > MAX_OPEN:
        return f"has more than {MAX_OPEN} of `*`, `+` and their like; take some out, or say less of the line"
    return "has too many choices; say less of the line" if whole.choices > MAX_CHOICES else ""


class _Reader:
    """Reads a valid pattern from left to right, once."""

    def __init__(self, text: str) -> None:
        self._text, self._at, self._depth = text, 0, 0

    def alternatives(self) -> _Part:
        """A pattern, or the inside of a group up to its parenthesis."""
        branches = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            branches.append(self._sequence())
        firsts = [branch.first for branch in branches]
        told_apart = None not in firsts and len(set(firsts)) == len(firsts)
        return _Part(
            opens=sum(branch.opens for branch in branches),
            choices=sum(branch.choices for branch in branches) + (0 if told_apart else len(branches) - 1),
            first=firsts[0] if len(branches) == 1 else None,
        )

    def _sequence(self) -> _Part:
        parts: list[_Part] = []
        while self._peek() not in ("", "|", ")"):
            parts.append(self._repeated(self._atom()))
        return _Part(
            opens=sum(part.opens for part in parts),
            choices=sum(part.choices for part in parts),
            first=parts[0].first if parts else None,
        )

    def _atom(self) -> _Part:
        character = self._peek()
        if character == "(":
            return self._group()
        if character == "[":
            match = _CLASS.match(self._text, self._at)
            assert match is not None
            self._at = match.end()
            return _Part()
        if character == "\\":
            return self._escape()
        self._at += 1
        return _Part(first=None if character in ".^$" else character.casefold())

    def _escape(self) -> _Part:
        escaped = self._text[self._at + 1]
        if escaped in "123456789":
            raise _Refused("refers to an earlier group; that can take for ever, write the pattern out")
        self._at += 2
        return _Part(first=None if escaped.isalnum() else escaped)

    def _group(self) -> _Part:
        match = _GROUP.match(self._text, self._at)
        if self._text.startswith("(?#", self._at):
            self._at = self._text.index(")", self._at) + 1
            return _Part()
        if match is None:
            raise _Refused(
                "uses a kind of group that is not supported; `(...)`, `(?:...)`, `(?=...)` and `(?!...)` are"
            )
        if "x" in (match["flags"] or "").partition("-")[0]:
            raise _Refused("uses the flag x; write the pattern without blanks and comments")
        self._at = match.end()
        if match["whole"]:
            return _Part()  # flags for all that follows
        if self._depth == MAX_DEPTH:
            raise _Refused(f"nests groups deeper than {MAX_DEPTH}")
        self._depth += 1
        inside = self.alternatives()
        self._depth -= 1
        self._at += 1
        return inside

    def _repeated(self, part: _Part) -> _Part:
        match = _QUANTIFIER.match(self._text, self._at)
        if match is None:
            return part
        self._at = match.end()
        if self._peek() == "+":
            raise _Refused("uses a possessive quantifier; leave out the `+` after it")
        if self._peek() == "?":
            self._at += 1
        low, high = _bounds(match)
        first = part.first if low else None
        if high is not None and high <= FEW:
            return _Part(opens=part.opens * high, choices=part.choices * high + high - low, first=first)
        if part.opens or part.choices:
            raise _Refused(_NESTED)
        return _Part(opens=0 if low == high else 1, first=first)

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]


def _bounds(match: re.Match[str]) -> tuple[int, int | None]:
    match match[0]:
        case "*":
            return 0, None
        case "+":
            return 1, None
        case "?":
            return 0, 1
    low = int(match["low"] or 0)
    if match["comma"] is None:
        return low, low
    return low, int(match["high"]) if match["high"] else None
