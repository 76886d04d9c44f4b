"""Strict YAML: bytes in, documents as plain data and problems out. Never raises on a person's input.

Called by documents.py (specs), the editor and whoever reads YAML here; nothing else in the product touches YAML.

The C parser composes nodes; this file decides what they mean. It is the YAML 1.2 core schema, narrowed: duplicate
keys, unknown tags, octal-looking `012`, numbers beyond 64 bits and keys that are no strings are problems, never
guesses; `yes`, `on`, `1:30` and `2024-01-02` are strings. Anchors and merge keys are allowed, within caps that bound
time and memory, so the expanded data is always a finite tree that shares nothing.

All faults of a file are collected as far as the parser allows: a syntax error ends the reading of a file, because
after it nobody knows what belongs to what; the documents before it are still checked.

What does not belong here: the words for syntax errors (syntax.py), what a field may hold (validation.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml
from yaml._yaml import CParser
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from controller.core.problems import Problem
from controller.sources.syntax import decode_problem, excerpt, syntax_problem

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
MAX_ALIASES = 100
MAX_NODES = 100_000
MAX_DOCUMENTS = 1000
MAX_INTEGER_DIGITS = 18
MAX_PROBLEMS = 100
BOM = b"\xef\xbb\xbf"

STR = "tag:yaml.org,2002:str"
INT = "tag:yaml.org,2002:int"
FLOAT = "tag:yaml.org,2002:float"
BOOL = "tag:yaml.org,2002:bool"
NULL = "tag:yaml.org,2002:null"
MAP = "tag:yaml.org,2002:map"
SEQ = "tag:yaml.org,2002:seq"
MERGE = "tag:yaml.org,2002:merge"

_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
_NUMBER_START = frozenset("0123456789+-.")

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlDocument:
    """One document that is no empty one. `index` counts the file's documents from 0; the place is from 1.

    `sound` is false where a problem lies in it; `data` is then what could be read, with null for the rest.
    """

    index: int
    line: int
    column: int
    data: Any
    sound: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What a file says, and all that is wrong with it."""

    documents: tuple[YamlDocument, ...]
    problems: tuple[Problem, ...]


class LimitExceeded(Exception):
    """A cap of this file was hit while nodes were composed."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


@lru_cache(maxsize=1024)  # the names of fields, and most values, are the same in thousands of files
def resolve_plain(value: str) -> str:
    """The tag of a plain scalar, by the YAML 1.2 core schema."""
    if value in _NULLS:
        return NULL
    if value in _BOOLS:
        return BOOL
    if value[0] in _NUMBER_START:
        if _INT.fullmatch(value):
            return INT
        if _FLOAT.fullmatch(value):
            return FLOAT
    return MERGE if value == "<<" else STR


class _Composer(CParser):
    """The C parser with our resolver. It calls back once per node, which is where depth and size are bounded."""

    def __init__(self, content: bytes) -> None:
        CParser.__init__(self, content)
        self._depth = 0
        self._nodes = 0

    def descend_resolver(self, _parent: Node | None, _index: Node | None) -> None:
        self._depth += 1
        self._nodes += 1
        if self._depth > MAX_DEPTH:
            raise _too_deep()
        if self._nodes > MAX_NODES:
            raise LimitExceeded(f"more than {MAX_NODES} values in one file", "split the file")

    def ascend_resolver(self) -> None:
        self._depth -= 1

    def resolve(self, kind: type[Node], value: Any, implicit: Any) -> str:
        if kind is ScalarNode:
            return resolve_plain(value) if implicit[0] else STR
        return MAP if kind is MappingNode else SEQ


def compose(content: bytes) -> Iterator[Node]:
    """The root node of each document of a file without BOM. Raises yaml.YAMLError and LimitExceeded."""
    parser = _Composer(content)
    try:
        while parser.check_node():
            node = parser.get_node()
            if node is not None:
                yield node
    except yaml.MarkedYAMLError as error:
        # libyaml scans ahead of the nodes it gives out, and since 0.2.6 may be the first to find it too deep.
        if error.problem == "exceeded maximum nesting depth":
            raise _too_deep() from None
        raise
    finally:
        parser.dispose()


def _too_deep() -> LimitExceeded:
    return LimitExceeded(f"more than {MAX_DEPTH} levels of nesting", "no spec needs that depth")


def without_bom(content: bytes) -> bytes:
    """The bytes without a UTF-8 byte order mark: marks count from the first character after it."""
    return content.removeprefix(BOM)


def parse(content: bytes, file: str) -> Parsed:
    """Reads one file. `file` is its name in problems, relative to the specs directory."""
    if len(content) > MAX_BYTES:
        message = f"the file is larger than {MAX_BYTES // 1024} KiB"
        return Parsed(documents=(), problems=(Problem(file=file, message=message, hint="split it", code="too_large"),))
    body = without_bom(content)
    refused = decode_problem(body, file)
    if refused is not None:
        return Parsed(documents=(), problems=(refused,))
    reading = _Reading(file, shares=b"&" in body)
    try:
        for index, node in enumerate(compose(body)):
            reading.take(index, node)
    except LimitExceeded as error:
        reading.problems.append(Problem(file=file, message=str(error), hint=error.hint, code="too_large"))
    except yaml.YAMLError as error:
        reading.problems.append(syntax_problem(error, body.decode(), file))
    return Parsed(documents=tuple(reading.documents), problems=tuple(reading.problems))


class _Reading:
    """What has been read of one file so far."""

    def __init__(self, file: str, *, shares: bool) -> None:
        self.documents: list[YamlDocument] = []
        self.problems: list[Problem] = []
        self._file = file
        self._shares = shares

    def take(self, index: int, node: Node) -> None:
        if index >= MAX_DOCUMENTS:
            raise LimitExceeded(f"more than {MAX_DOCUMENTS} documents in one file", "split the file")
        constructor = _Constructor(self._file, shares=self._shares)
        data = constructor.construct(node)
        if data is not None:
            line, column = node.start_mark.line + 1, node.start_mark.column + 1
            sound = not constructor.problems
            self.documents.append(YamlDocument(index=index, line=line, column=column, data=data, sound=sound))
        self.problems += constructor.problems
        if len(self.problems) > MAX_PROBLEMS:
            del self.problems[MAX_PROBLEMS:]
            raise LimitExceeded(f"more than {MAX_PROBLEMS} problems in one file", "correct these first")


class _Refused(Exception):
    """This document cannot become finite plain data; its problem has been noted."""


class _Constructor:
    """Nodes of one document to plain data. Wrong values become None, with a problem; caps end the document."""

    def __init__(self, file: str, *, shares: bool) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._shares = shares  # without an anchor in the file no node can be met twice
        self._seen: set[int] = set()
        self._open: set[int] = set()
        self._aliases = 0
        self._nodes = 0

    def construct(self, node: Node) -> Any:
        try:
            return self._value(node, 1, aliased=False)
        except _Refused:
            return None

    def _problem(self, node: Node, message: str, hint: str = "", code: str = "yaml") -> None:
        mark = node.start_mark
        self.problems.append(
            Problem(file=self._file, line=mark.line + 1, column=mark.column + 1, message=message, hint=hint, code=code)
        )

    def _refuse(self, node: Node, message: str, hint: str = "") -> _Refused:
        self._problem(node, message, hint, code="too_large")
        return _Refused()

    def _value(self, node: Node, depth: int, *, aliased: bool) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._refuse(node, f"more than {MAX_NODES} values once aliases are expanded")
        if self._shares:
            aliased = self._count_alias(node, depth, aliased=aliased)
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        if node.tag not in {MAP, SEQ} or (node.tag == MAP) != isinstance(node, MappingNode):
            self._unknown_tag(node)
            return None
        if not self._shares:
            return self._collection(node, depth, aliased=aliased)
        self._open.add(id(node))
        try:
            return self._collection(node, depth, aliased=aliased)
        finally:
            self._open.discard(id(node))

    def _count_alias(self, node: Node, depth: int, *, aliased: bool) -> bool:
        """Counts a node that is met again; returns whether what lies below it belongs to an alias."""
        if id(node) in self._open:
            raise self._refuse(node, "this anchor contains itself", "an alias must not stand inside its own anchor")
        if depth > MAX_DEPTH:
            raise self._refuse(node, f"more than {MAX_DEPTH} levels of nesting once aliases are expanded")
        if id(node) not in self._seen:
            self._seen.add(id(node))
            return aliased
        if not aliased:
            self._aliases += 1
            if self._aliases > MAX_ALIASES:
                raise self._refuse(node, f"more than {MAX_ALIASES} aliases in one document", "use `kind: Defaults`")
        return True

    def _collection(self, node: Node, depth: int, *, aliased: bool) -> Any:
        if isinstance(node, SequenceNode):
            return [self._value(item, depth + 1, aliased=aliased) for item in node.value]
        result: dict[str, Any] = {}
        first: dict[str, Node] = {}
        merges: list[Any] = []
        for key_node, value_node in node.value:
            if key_node.tag == MERGE:
                self._duplicate("<<", key_node, first)
                merges += self._merged(value_node, depth, aliased=aliased)
                continue
            key = self._key(key_node)
            value = self._value(value_node, depth + 1, aliased=aliased)
            if key is not None and not self._duplicate(key, key_node, first):
                result[key] = value
        for merged in merges:
            for key, value in merged.items():
                result.setdefault(key, value)
        return result

    def _duplicate(self, key: str, node: Node, first: dict[str, Node]) -> bool:
        earlier = first.setdefault(key, node)
        if earlier is node:
            return False
        line = earlier.start_mark.line + 1
        self._problem(node, f"duplicate key `{excerpt(key)}`, first on line {line}", "keep one", code="duplicate_key")
        return True

    def _merged(self, node: Node, depth: int, *, aliased: bool) -> list[dict[str, Any]]:
        value = self._value(node, depth + 1, aliased=aliased)
        parts = value if isinstance(value, list) else [value]
        if all(isinstance(part, dict) for part in parts):
            return parts
        self._problem(node, "`<<` merges mappings only", "write `<<: *anchor` with the anchor on a mapping")
        return []

    def _key(self, node: Node) -> str | None:
        if not isinstance(node, ScalarNode):
            self._problem(node, "expected a string as key, got a list or mapping", "quote the key")
            return None
        if node.tag == STR:
            name: str = node.value
            return name
        if node.tag in {INT, FLOAT, BOOL, NULL} and not node.style:
            text = excerpt(node.value)
            hint = f'write `"{text}":`' if text else "write a key before the colon"
            self._problem(node, f"expected a string as key, got {text or 'nothing'}", hint)
        else:
            self._unknown_tag(node)
        return None

    def _scalar(self, node: ScalarNode) -> Any:
        text: str = node.value
        match node.tag:
            case tag if tag in {STR, MERGE}:
                if "\x00" in text:
                    self._problem(node, "this text contains a NUL byte", "no process can be given one")
                return text
            case tag if tag == INT and _INT.fullmatch(text):
                return self._integer(node, text)
            case tag if tag == FLOAT and (_FLOAT.fullmatch(text) or _INT.fullmatch(text)):
                return self._float(node, text)
            case tag if tag == BOOL and text in _BOOLS:
                return _BOOLS[text]
            case tag if tag == NULL and text in _NULLS:
                return None
            case _:
                self._unknown_tag(node)
                return None

    def _integer(self, node: Node, text: str) -> int | None:
        if _LEADING_ZERO.fullmatch(text):
            sign, digits = ("-" if text[0] == "-" else ""), text.lstrip("+-0") or "0"
            hint = f'write `{excerpt(sign + digits)}` for the number, `"{excerpt(text)}"` for the text'
            self._problem(node, f"`{excerpt(text)}` has a leading zero, which some read as octal", hint)
            return None
        if len(text.lstrip("+-")) > MAX_INTEGER_DIGITS:
            self._problem(node, f"the number `{excerpt(text)}` is too large", "quote it if it is a text")
            return None
        bases = {"0o": 8, "0x": 16}
        return int(text[2:], bases[text[:2]]) if text[:2] in bases else int(text)

    def _float(self, node: Node, text: str) -> float | None:
        lowered = text.lower()
        if lowered.endswith((".inf", ".nan")):
            return float(lowered.replace(".", ""))
        value = float(text) if not text.startswith(("0o", "0x")) else float(int(text, 0))
        if value in {float("inf"), float("-inf")}:
            self._problem(node, f"the number `{excerpt(text)}` is too large", "quote it if it is a text")
            return None
        return value

    def _unknown_tag(self, node: Node) -> None:
        tag = node.tag.replace("tag:yaml.org,2002:", "!!")
        if tag in {"!!str", "!!int", "!!float", "!!bool", "!!null", "!!map", "!!seq"}:
            self._problem(node, f"this value is no {tag}", "leave the tag out")
        else:
            self._problem(node, f"the tag `{excerpt(tag)}` is not supported", "leave it out", code="tag")
