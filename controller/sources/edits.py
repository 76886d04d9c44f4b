"""Edits of a spec file as a person would make them: one worker's document, and not a byte more.

Called for everything that the API writes into files that people own. Pure: bytes in, bytes out. An edit is cut by
surgery.py and proved here: the result must parse to exactly what was wanted, in this document and in all others. What
cannot be proved is refused; a file is never serialised anew, because comments, quoting, order and line ends are the
person's. `renewed` is for who asks for it: the one document written anew, the others untouched.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.sources.spans import DocumentSpan, documents
from controller.sources.spelling import Speller, flow
from controller.sources.strict_yaml import BOM, Parsed, parse, without_bom
from controller.sources.surgery import EditRefused, line_end_of, proposals, same
from controller.sources.syntax import excerpt


def worker_data(content: bytes, worker_id: str) -> dict[str, Any]:
    """What the worker's own document says. Raises EditRefused."""
    parsed = _sound(content)
    data: dict[str, Any] = parsed.documents[_position(parsed, worker_id)].data
    return data


def edited(content: bytes, worker_id: str, want: Mapping[str, Any]) -> bytes:
    """The content with the worker's document saying `want`. Raises EditRefused."""
    parsed = _sound(content)
    position = _position(parsed, worker_id)
    have = parsed.documents[position].data
    if same(have, want):
        return content
    text = without_bom(content).decode()
    span = documents(text)[parsed.documents[position].index]
    wanted = [found.data for found in parsed.documents]
    wanted[position] = dict(want)
    for proposal in proposals(text, span.root, have, dict(want)):
        result = _encoded(content, proposal)
        if _says(result, wanted):
            return result
    raise EditRefused(_why_not(content, worker_id, have, want))


def _why_not(content: bytes, worker_id: str, have: Mapping[str, Any], want: Mapping[str, Any]) -> str:
    """Names the first field that cannot be changed by itself."""
    changed = [
        key for key in {**have, **want} if not same(have.get(key), want.get(key)) or (key in have) != (key in want)
    ]
    why = "cannot be changed without changing more of the file"
    for key in changed if len(changed) > 1 else ():
        alone = {name: value for name, value in {**have, **want}.items() if name != key and name in have}
        alone.update({key: want[key]} if key in want else {})
        alone.update({name: have[name] for name in have if name != key})
        try:
            edited(content, worker_id, alone)
        except EditRefused as error:
            return str(error)
    field = changed[0] if changed else ""
    span = _span(content, worker_id)
    pair = span.root.pair(field)
    line = without_bom(content).decode()[: (pair[0] if pair else span.root).start].count("\n") + 1
    instead = f"write `{field}: {flow(want[field])}` there" if field in want else "take it out"
    return f"line {line}: `{field}` {why}; {instead} yourself"


def _span(content: bytes, worker_id: str) -> DocumentSpan:
    parsed = _sound(content)
    return documents(without_bom(content).decode())[parsed.documents[_position(parsed, worker_id)].index]


def renewed(content: bytes, worker_id: str, want: Mapping[str, Any]) -> bytes:
    """The content with the worker's document written anew, without its comments. Raises EditRefused."""
    parsed = _sound(content)
    position = _position(parsed, worker_id)
    text = without_bom(content).decode()
    span = documents(text)[parsed.documents[position].index]
    line_end = line_end_of(text)
    head = f"---{line_end}" if span.is_explicit else ""
    result = _encoded(content, text[: span.start] + head + Speller(line_end=line_end).document(want) + text[span.end :])
    wanted = [found.data for found in parsed.documents]
    wanted[position] = dict(want)
    if not _says(result, wanted):
        raise EditRefused("the document cannot be written anew without changing others of the file")
    return result


def without(content: bytes, worker_id: str) -> bytes | None:
    """The content without the worker's document; None where nothing else is in the file. Raises EditRefused."""
    parsed = _sound(content)
    position = _position(parsed, worker_id)
    left = [found.data for number, found in enumerate(parsed.documents) if number != position]
    if not left:
        return None
    text = without_bom(content).decode()
    spans = documents(text)
    index = parsed.documents[position].index
    result = _encoded(content, _without(text, spans, index))
    if not _says(result, left):
        raise EditRefused(f"worker {worker_id} cannot be cut out of its file without changing more of it")
    return result


def _without(text: str, spans: list[DocumentSpan], index: int) -> str:
    """The first document takes along what stands above it; what follows keeps its `---`, but for a first one."""
    return text[: spans[index].start] + text[spans[index].end :]


def _sound(content: bytes) -> Parsed:
    parsed = parse(content, "the file")
    if parsed.problems:
        raise EditRefused(f"the file must be corrected first: {parsed.problems[0]}")
    return parsed


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
