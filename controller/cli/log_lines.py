"""Log lines on their way to the terminal or a pipe: pieces joined, prefixes, times, matches, nothing harmful.

Used by logs. Standard output holds the workers' words, and, where they are asked for, the records of what happened to
them or what they told of themselves, each with a sign before it. What is missing is told on standard error.
"""

from __future__ import annotations

import json
import re
import time
import zlib
from collections.abc import Iterable
from typing import Any

import click

from controller.cli.client import Item
from controller.cli.common import echo_ndjson
from controller.cli.human import clock
from controller.cli.terminal import Terminal, neutralise, pad, terminal

_PREFIX_COLOURS = ("cyan", "green", "magenta", "blue", "yellow", "bright_cyan", "bright_green", "bright_magenta")


_SIGNS = {"lifecycle": ("*", "cyan"), "task": ("+", "green"), "error": ("!", "red")}


class Printer:
    """Prints log lines. `prefixed`: their instances before them, all as wide as the widest so far.

    `fields`: those of a line of JSON that stand behind its message, where the server has parsed it.
    """

    def __init__(self, screen: Terminal, *, safe: bool) -> None:
        self.prefixed = False
        self.by_worker = False
        self.timed = False
        self.as_json = False
        self.fields: tuple[str, ...] = ()
        self._screen = screen
        self._safe = safe
        self._open: tuple[Any, ...] | None = None  # whose line has not ended yet
        self._width = 0
        self._words: re.Pattern[str] | None = None

    def highlight(self, words: Iterable[str], *, ignore_case: bool) -> None:
        """Show where these words stand, on a terminal that has colours."""
        pattern = "|".join(re.escape(neutralise(word)) for word in sorted(words, key=len, reverse=True))
        if pattern and self._safe and self._screen.colour:
            self._words = re.compile(pattern, re.IGNORECASE if ignore_case else 0)

    def make_room(self, lines: Iterable[Item]) -> None:
        """The prefixes of these lines are to be as wide as the widest of them."""
        self._width = max((len(_name(line)) for line in lines), default=0)

    def show(self, line: Item) -> None:
        """One line, or one piece of a line."""
        if self.as_json:
            echo_ndjson(line)
            return
        text = str(line.get("text") or "") + fields_text(line.get("data"), self.fields)
        if line.get("kind") == "gap":
            self._note(line, text)
            return
        if line.get("kind") in _SIGNS:
            self._record(line, text)
            return
        whose = (line.get("instance"), line.get("stream"), line.get("run"))
        continues = self._open == whose
        if not continues:
            self.finish()
        partial = bool(line.get("partial"))
        self._open = whose if partial else None
        shown = neutralise(text) if self._safe else text
        if self._words is not None:
            shown = self._words.sub(lambda match: self._screen.paint(match.group(), "red", bold=True), shown)
        prefix = "" if continues else self._prefix(line)
        click.echo(prefix + shown, nl=not partial, color=True)

    def finish(self) -> None:
        """End a line that is still open."""
        if self._open is not None:
            click.echo()
            self._open = None

    def _note(self, line: Item, text: str) -> None:
        self.finish()
        screen = terminal(err=True)
        note = f"[{line.get('instance')}: {neutralise(text)}]"
        click.echo(screen.paint(note, "yellow", dim=True), err=True, color=screen.colour)

    def _record(self, line: Item, text: str) -> None:
        self.finish()
        sign, colour = _SIGNS[str(line["kind"])]
        shown = self._screen.paint(f"{sign} {neutralise(text) if self._safe else text}", colour)
        click.echo(self._prefix(line) + shown, color=True)

    def _prefix(self, line: Item) -> str:
        when = f"{self._screen.paint(clock(line.get('at'), time.time()), dim=True)} " if self.timed else ""
        if not self.prefixed:
            return when
        name = _name(line)
        self._width = max(self._width, len(name))
        return f"{when}{self._screen.paint(pad(name, self._width) + ' |', self._colour(line, name))} "

    def _colour(self, line: Item, name: str) -> str | None:
        """By worker where there are several, the same every time; else by instance."""
        if self.by_worker:
            return _PREFIX_COLOURS[zlib.crc32(str(line.get("worker_id")).encode()) % len(_PREFIX_COLOURS)]
        ordinal = name.rpartition("/")[2]
        return _PREFIX_COLOURS[int(ordinal) % len(_PREFIX_COLOURS)] if ordinal.isdecimal() else None


def fields_text(data: Any, names: Iterable[str]) -> str:
    """` a=1 b="two words"`: these fields of a line, those that it has. `*` is all, `a.b` one within another."""
    if not isinstance(data, dict):
        return ""
    chosen = [(name, _field(data, name)) for part in names for name in (data if part == "*" else (part,))]
    return "".join(f" {name}={_value(value)}" for name, value in chosen if value is not _NONE)


_NONE = object()


def _field(data: Item, name: str) -> Any:
    """A field by its whole name, or step by step."""
    if name in data:
        return data[name]
    head, _, rest = name.partition(".")
    inner = data.get(head)
    return _field(inner, rest) if rest and isinstance(inner, dict) else _NONE


def _value(value: Any) -> str:
    plain = isinstance(value, str) and re.fullmatch(r"[^\s\"=]+", value)
    return value if plain else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _name(line: Item) -> str:
    return str(line.get("instance") or line.get("worker_id") or "")
