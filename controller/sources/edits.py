"""Edits of a spec file as a person would make them: one worker's document, and not a byte more.

Called for everything that the API writes into files that people own. Pure: bytes in, bytes out. An edit is cut by
surgery.py and proved here: the result must parse to exactly what was wanted, in this document and in all others. What
cannot be proved is refused; a file is never serialised anew, because comments, quoting, order and line ends are the
person's. `renewed` is for who asks for it: the one document written anew, the others untouched. `own_text` and
`with_text` are for who edits the document's text itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.sources.spans import DocumentSpan, documents
from controller.sources.spelling import Speller, flow
from controller.sources.strict_yaml import BOM, Parsed, parse, without_bom
from controller.sources.surgery import EditRefused, line_end_of, proposals, same
from controller.sources.syntax import excerpt

_MOST_QUOTED = 300
_HEAD = re.compile(r"---[ \t]*(?:\r\n|\n|\r)")
"""A line that begins a document and says nothing else."""


def worker_data(content: bytes, worker_id: str) -> dict[str, Any]:
    """What the worker's own document says. Raises EditRefused."""
    return _read(content, worker_id).have


def edited(content: bytes, worker_id: str, want: Mapping[str, Any]) -> bytes:
    """The content with the worker's document saying `want`. Raises EditRefused."""
    place = _read(content, worker_id)
    found = _proved(place, dict(want))
    if found is None:
        raise EditRefused(_why_not(place, want))
    return found


def renewed(content: bytes, worker_id: str, want: Mapping[str, Any]) -> bytes:
    """The content with the worker's document written anew, without its comments. Raises EditRefused."""
    place = _read(content, worker_id)
    text, span, line_end = place.text, place.span, line_end_of(place.text)
    head = f"---{line_end}" if span.is_explicit else ""
    document = head + Speller(line_end=line_end).document(want)
    result = _encoded(content, text[: span.start] + document + text[span.end :])
    if not _says(result, place.all_with(want)):
        raise EditRefused("the document cannot be written anew without changing others of the file")
    return result


def without(content: bytes, worker_id: str) -> bytes | None:
    """The content without the worker's document; None where nothing else is in the file. Raises EditRefused.

    The first document takes along what stands above it; what follows keeps its `---`.
    """
    place = _read(content, worker_id)
    left = place.all_with()
    if not left:
        return None
    result = _encoded(content, place.text[: place.span.start] + place.text[place.span.end :])
    if not _says(result, left):
        raise EditRefused(f"worker {worker_id} cannot be cut out of its file without changing more of it")
    return result


def own_text(content: bytes, worker_id: str) -> str:
    """The text of the worker's own document, without the `---` above it. Raises EditRefused."""
    place = _read(content, worker_id)
    return place.text[place.own_start : place.span.end]


def lines_before(content: bytes, worker_id: str) -> int:
    """How many lines of the file stand above its own text. Raises EditRefused."""
    place = _read(content, worker_id)
    return place.text.count("\n", 0, place.own_start)


def with_text(content: bytes, worker_id: str, text: str) -> bytes:
    """The content with this text, which must be one sound document, for the worker's own. Raises EditRefused."""
    place = _read(content, worker_id)
    own = re.sub(r"\r\n|\n|\r", line_end_of(place.text), text if text.endswith("\n") else f"{text}\n")
    result = _encoded(content, place.text[: place.own_start] + own + place.text[place.span.end :])
    want = [document.data for document in parse(text.encode(), "the text").documents]
    if not _says(result, place.all_with(*want)):
        raise EditRefused("the text cannot stand there without changing other documents of the file")
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A file that was read, and where in it the worker's document stands."""

    content: bytes
    text: str
    parsed: Parsed
    position: int
    span: DocumentSpan

    @property
    def have(self) -> dict[str, Any]:
        """What the document says."""
        data: dict[str, Any] = self.parsed.documents[self.position].data
        return data

    @property
    def own_start(self) -> int:
        """Where the document's own text begins."""
        head = _HEAD.match(self.text, self.span.start) if self.span.is_explicit else None
        return self.span.start if head is None else head.end()

    def all_with(self, *want: Mapping[str, Any]) -> list[Any]:
        """What all documents say, with `want` in place of this one."""
        found = [document.data for document in self.parsed.documents]
        return [*found[: self.position], *map(dict, want), *found[self.position + 1 :]]


def _read(content: bytes, worker_id: str) -> _Place:
    parsed = parse(content, "the file")
    if parsed.problems:
        first = parsed.problems[0]
        place = "" if first.line is None else f"line {first.line}: "
        hint = f" ({first.hint})" if first.hint else ""
        raise EditRefused(f"the file must be corrected first: {place}{first.message}{hint}")
    position = _position(parsed, worker_id)
    text = without_bom(content).decode()
    span = documents(text)[parsed.documents[position].index]
    return _Place(content=content, text=text, parsed=parsed, position=position, span=span)


def _proved(place: _Place, want: dict[str, Any]) -> bytes | None:
    """The smallest edit that says just this; None where there is none."""
    if same(place.have, want):
        return place.content
    for proposal in proposals(place.text, place.span.root, place.have, want):
        result = _encoded(place.content, proposal)
        if _says(result, place.all_with(want)):
            return result
    return None


def _why_not(place: _Place, want: Mapping[str, Any]) -> str:
    """Names the first field that cannot be changed by itself."""
    have = place.have
    changed = [key for key in {**have, **want} if key not in have or key not in want or not same(have[key], want[key])]
    field = next((key for key in changed if _proved(place, _with_field(have, want, key)) is None), changed[0])
    pair = place.span.root.pair(field)
    line = place.text[: (pair[0] if pair else place.span.root).start].count("\n") + 1
    new = f"{field}: {flow(want[field])}" if field in want else ""
    instead = "take it out" if not new else f"write `{new}` there" if len(new) <= _MOST_QUOTED else "write it there"
    return f"line {line}: `{field}` cannot be changed without changing more of the file; {instead} yourself"


def _with_field(have: Mapping[str, Any], want: Mapping[str, Any], key: str) -> dict[str, Any]:
    """`have`, with this one field as it is wanted."""
    rest = {name: value for name, value in have.items() if name != key}
    return {**rest, key: want[key]} if key in want else rest


def _position(parsed: Parsed, worker_id: str) -> int:
    found = [
        position
        for position, document in enumerate(parsed.documents)
        if isinstance(document.data, dict)
        and document.data.get("worker_id") == worker_id
        and document.data.get("kind", "Worker") == "Worker"
    ]
    if len(found) == 1:
        return found[0]
    where = "is not defined in the file" if not found else f"is defined {len(found)} times in the file"
    raise EditRefused(f"worker {excerpt(worker_id)} {where}")


def _encoded(before: bytes, text: str) -> bytes:
    return (BOM if before.startswith(BOM) else b"") + text.encode()


def _says(content: bytes, wanted: list[Any]) -> bool:
    parsed = parse(content, "the file")
    found = [document.data for document in parsed.documents]
    return not parsed.problems and same(found, wanted)
