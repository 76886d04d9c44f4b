"""Documents: what a spec file says before anyone judges it, and how `kind: Defaults` lie under workers.

Called by assembly.py and offline.py. Pure. A document keeps only plain data and its first line: nodes of ten thousand
files would cost hundreds of megabytes, so the places of a file are composed again, from its bytes, when a problem
needs one (places.py).

What does not belong here: which values are right (validation.py), which of several documents counts (assembly.py).
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from controller.core.problems import Problem, Source
from controller.core.spec import is_worker_id
from controller.sources.strict_yaml import Path, parse
from controller.sources.syntax import excerpt

WORKER = "Worker"
DEFAULTS = "Defaults"

KIND_NAMES = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    list: "a list",
    dict: "a mapping",
}


@dataclass(frozen=True, kw_only=True)  # no slots: what is derived is kept, because every rescan asks for it
class Document:
    """One mapping of a spec file. `worker_id` is None where it is missing or cannot be one.

    `index` is its number in the file, or -1 for a last good version, whose places are known by line only.
    """

    file: str
    index: int
    line: int
    data: Mapping[str, Any]
    sound: bool = True

    @cached_property
    def kind(self) -> str:
        """What it describes; a kind that is no string has no name."""
        kind = self.data.get("kind", WORKER)
        return kind if isinstance(kind, str) else ""

    @cached_property
    def worker_id(self) -> str | None:
        """The worker it speaks of, where its name can be one."""
        worker_id = self.data.get("worker_id")
        return worker_id if isinstance(worker_id, str) and is_worker_id(worker_id) else None

    @cached_property
    def folder(self) -> str:
        """The directory of its file, relative to the specs directory; empty for the top."""
        return posixpath.dirname(self.file)

    @property
    def source(self) -> Source:
        """Where it stands."""
        return Source(file=self.file, line=self.line)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecFile:
    """One spec file in one scan.

    `problems` are those that make it unusable as a whole: it cannot be read, or is no YAML. `content` is None where
    it could not be read. `is_settled` is false while it is still being written: it is then known to be there, nothing
    more. `on_submount` says that it lies on another file system than the specs directory.
    """

    path: str
    content: bytes | None = None
    documents: tuple[Document, ...] = ()
    problems: tuple[Problem, ...] = ()
    is_settled: bool = True
    on_submount: bool = False

    @property
    def is_usable(self) -> bool:
        """Whether its documents may be taken at their word."""
        return self.is_settled and not self.problems


def read_spec_file(path: str, content: bytes, *, on_submount: bool = False) -> SpecFile:
    """Parses the bytes of one spec file; every fault of theirs is among its problems."""
    parsed = parse(content, path)
    documents: list[Document] = []
    problems = list(parsed.problems)
    for found in parsed.documents:
        if isinstance(found.data, dict):
            documents.append(
                Document(file=path, index=found.index, line=found.line, data=found.data, sound=found.sound)
            )
        elif found.sound:
            got = KIND_NAMES.get(type(found.data), "nothing")
            message = f"expected `field: value` lines, got {got}"
            problems.append(Problem(file=path, line=found.line, column=found.column, message=message))
    return SpecFile(
        path=path,
        content=content,
        documents=tuple(documents),
        problems=tuple(problems),
        on_submount=on_submount,
    )


def layered(own: Mapping[str, Any], defaults: Sequence[Document]) -> dict[str, Any]:
    """A worker's fields over its Defaults, nearest first. Mappings merge, everything else is replaced."""
    result: dict[str, Any] = {}
    for layer in reversed(defaults):
        below = {key: value for key, value in layer.data.items() if key not in {"kind", "worker_id"}}
        result = _over(result, below)
    return _over(result, own)


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for key, value in above.items():
        under = result.get(key)
        result[key] = _over(under, value) if isinstance(value, dict) and isinstance(under, dict) else value
    return result


def folders_above(folder: str) -> tuple[str, ...]:
    """The folder itself and all above it, nearest first, ending with the specs directory (empty)."""
    above = [folder]
    while above[-1]:
        above.append(posixpath.dirname(above[-1]))
    return tuple(above)


def pointer(path: Path) -> str:
    """A JSON pointer."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def in_words(value: object, text: str | None = None) -> str:
    """A value as a person wrote it, short, with its type: what stands after "got"."""
    match value:
        case None:
            return "nothing"
        case str():
            return f'"{excerpt(value)}" (a string)'
        case list() | dict():
            return KIND_NAMES[type(value)]
        case bool():
            return f"{text or str(value).lower()} (a boolean)"
        case _:
            return f"{excerpt(text or str(value))} ({KIND_NAMES.get(type(value), 'a value')})"
