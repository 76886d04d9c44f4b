"""Random YAML texts as people write them: every style, indentation and quoting, comments wherever one may stand."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from controller.sources.strict_yaml import STR, resolve_plain

WORDS = (
    "web", "x", "a b", "", "yes", "no", "12", "1.5", "true", "null", "~", "é", "it's", 'say "hi"', "a: b", "a #b",
    "- a", "#", "&x", "*y", "!z", "{", "[a]", "|", ">", "%", "@", "`", "?", "<<", "=", "a\nb", "a\nb\n", "\n", " a",
    "a ", "\ta", "tail\n\n", "😀", "\u2028", "1:30", "0o17", "0x1f", "1e3", ".5", "---", "...", "012", "a,b", "a]b",
    "key:", ":x",
)  # fmt: skip
KEYS = ("a", "b", "c", "d-e", "F_1", "true", "1", "x y", "é", "a.b", "k:", "#k", "")


def some_data(random: Random, depth: int = 3) -> Any:
    """Any value that JSON can carry."""
    kind = random.random()
    if depth and kind < 0.3:
        return {random.choice(KEYS): some_data(random, depth - 1) for _ in range(random.randrange(4))}
    if depth and kind < 0.5:
        return [some_data(random, depth - 1) for _ in range(random.randrange(4))]
    return random.choice(
        [random.choice(WORDS), random.choice(WORDS), random.randrange(-5, 99999), 1.5, True, False, None]
    )


def some_mapping(random: Random) -> dict[str, Any]:
    """A mapping that is not empty."""
    return {key: some_data(random) for key in random.sample(KEYS, random.randrange(1, 6))}


def changed(data: Any, random: Random) -> Any:
    """The same data with a few differences somewhere."""
    if isinstance(data, dict) and data and random.random() < 0.85:
        result = dict(data)
        for _ in range(random.randrange(1, 3)):
            key = random.choice(list(result)) if result else "a"
            match random.randrange(4):
                case 0:
                    result.pop(key, None)
                case 1:
                    result[random.choice(KEYS)] = some_data(random, 2)
                case _ if key in result:
                    result[key] = changed(result[key], random)
        return result
    if isinstance(data, list) and data and random.random() < 0.85:
        items = list(data)
        place = random.randrange(len(items))
        match random.randrange(4):
            case 0:
                del items[place]
            case 1:
                items.insert(place, some_data(random, 2))
            case 2:
                items.append(some_data(random, 1))
            case _:
                items[place] = changed(items[place], random)
        return items
    return some_data(random, 2)


class Writer:
    """Writes data as YAML, in a style that chance chooses. `comments` are those it wrote, in order."""

    def __init__(self, random: Random, line_end: str = "\n") -> None:
        self.random, self.line_end = random, line_end
        self.comments: list[str] = []

    def document(self, data: dict[str, Any]) -> str:
        """A document without `---`."""
        if self.random.random() < 0.08:
            return self._own_line(0) + self._flow(data) + self._comment() + self.line_end
        return self._own_line(0) + self._mapping(data, 0).lstrip("\r\n") + self.line_end + self._own_line(0)

    def _say(self) -> str:
        self.comments.append(f"# n{len(self.comments)} it's: {{x")
        return self.comments[-1]

    def _comment(self) -> str:
        return f"  {self._say()}" if self.random.random() < 0.2 else ""

    def _own_line(self, column: int) -> str:
        roll = self.random.random()
        if roll < 0.12:
            return " " * column + self._say() + self.line_end
        return self.line_end if roll < 0.17 else ""

    def _mapping(self, data: dict[str, Any], column: int) -> str:
        lines = [
            self._own_line(column) + " " * column + self._key(key) + ":" + self._value(value, column)
            for key, value in data.items()
        ]
        return self.line_end.join(lines)

    def _key(self, key: str) -> str:
        return (
            key
            if key.isidentifier() and resolve_plain(key) == STR and self.random.random() < 0.8
            else json.dumps(key, ensure_ascii=False)
        )

    def _value(self, value: Any, column: int) -> str:
        """What stands behind a colon."""
        if isinstance(value, dict) and value and self.random.random() < 0.8:
            return self._comment() + self.line_end + self._mapping(value, column + self.random.choice((1, 2, 4)))
        if isinstance(value, list) and value and self.random.random() < 0.7:
            return self._comment() + self.line_end + self._sequence(value, column + self.random.choice((0, 0, 2)))
        return self._inline(value, column)

    def _sequence(self, data: list[Any], column: int) -> str:
        lines = []
        for value in data:
            line = self._own_line(column) + " " * column + "-"
            gap = self.random.choice((1, 1, 3))
            if isinstance(value, dict) and value and self.random.random() < 0.7:
                line += " " * gap + self._mapping(value, column + 1 + gap).lstrip(" \r\n")
            elif isinstance(value, list) and value and self.random.random() < 0.5:
                line += " " * gap + self._sequence(value, column + 1 + gap).lstrip(" \r\n")
            elif isinstance(value, list) and value:
                line += self._comment() + self.line_end + self._sequence(value, column + 2)
            else:
                line += self._value(value, column)
            lines.append(line)
        return self.line_end.join(lines)

    def _inline(self, value: Any, column: int) -> str:
        if value is None and self.random.random() < 0.4:
            return self._comment()
        if isinstance(value, str) and self._is_block(value) and self.random.random() < 0.6:
            keep = {0: "-", 1: "", 2: "+"}[len(value) - len(value.rstrip("\n"))]
            indent = " " * (column + self.random.choice((1, 2, 4)))
            body = value.rstrip("\n").split("\n")
            tail = [""] if keep == "+" else []
            return f" |{keep}{self._comment()}{self.line_end}" + self.line_end.join(
                [indent + line if line else "" for line in body] + tail
            )
        return " " + self._flow(value) + self._comment()

    @staticmethod
    def _is_block(value: str) -> bool:
        return (
            value.isprintable() is False
            and "\n" in value.strip("\n")
            and "\r" not in value
            and value[0] not in " \n\t"
            and "\u2028" not in value
        )

    def _flow(self, value: Any) -> str:
        space = self.random.choice((" ", " ", ""))
        if isinstance(value, dict):
            inner = f",{space or ' '}".join(
                f"{json.dumps(key, ensure_ascii=False)}: {self._flow(below)}" for key, below in value.items()
            )
            return "{" + space + inner + space + "}"
        if isinstance(value, list):
            return "[" + space + f",{space}".join(self._flow(below) for below in value) + space + "]"
        if isinstance(value, str):
            if value.isprintable() and self.random.random() < 0.3:
                return "'" + value.replace("'", "''") + "'"
            if value.isidentifier() and resolve_plain(value) == STR and self.random.random() < 0.7:
                return value
            return json.dumps(value).replace("\\ud83d\\ude00", "😀")
        return json.dumps(value)
