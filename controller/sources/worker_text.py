"""The text of one worker's document, as a person edits it somewhere else: read, said anew, and made whole again.

Called by writer.py and by the desk of drafts. Pure. Who edits has the text with secrets hidden (spec_text.py), so what
comes back holds their sign where a value was. `revealed` puts the values back where the person left them alone: lines
that are as they were shown, and fields that are. What is still hidden then was moved or touched, and is refused by the
writer: the sign is never written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from controller.core.problems import Problem
from controller.core.redaction import HIDDEN
from controller.sources.drafts import replaced
from controller.sources.edits import edited, own_text, renewed, worker_data
from controller.sources.spec_text import hidden
from controller.sources.spelling import Speller
from controller.sources.strict_yaml import parse
from controller.sources.surgery import EditRefused, same


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerText:
    """One sound document, and what it says."""

    text: str
    data: dict[str, Any]


def read_text(text: str) -> WorkerText | tuple[Problem, ...]:
    """The one document of the text, or what is wrong with it, at lines of the text."""
    found = parse(text.encode("utf-8", "surrogatepass"), "")
    if found.problems:
        return found.problems
    if len(found.documents) != 1:
        several = len(found.documents) > 1
        place = found.documents[1] if several else None
        message = "expected one worker; this begins another document" if several else "expected the fields of a worker"
        hint = "take the `---` away, or write the other one into a spec of its own" if several else ""
        return (Problem(file="", line=place.line if place else 1, column=1, message=message, hint=hint),)
    data = found.documents[0].data
    if not isinstance(data, dict):
        message = "expected fields, `name: value` on each line"
        return (Problem(file="", line=found.documents[0].line, column=1, message=message),)
    return WorkerText(text=text, data=data)


def faults_of_text(text: str, worker_id: str) -> WorkerText | tuple[Problem, ...]:
    """The same, of this very worker."""
    found = read_text(text)
    if not isinstance(found, WorkerText):
        return found
    if found.data.get("kind", "Worker") != "Worker":
        return (Problem(file="", pointer="/kind", message="expected `Worker`, or no `kind`"),)
    if found.data.get("worker_id") != worker_id:
        hint = "a worker keeps its name; another name is another worker"
        return (Problem(file="", pointer="/worker_id", message=f"expected `worker_id: {worker_id}`", hint=hint),)
    return found


def restated(text: str, want: Mapping[str, Any]) -> tuple[str, bool]:
    """The text saying `want`, and whether its comments went. Raises EditRefused where it is no sound document."""
    found = read_text(text)
    if not isinstance(found, WorkerText):
        if text.strip():
            raise EditRefused("the text must be corrected first")
        return Speller().document(want), False
    name: Any = found.data.get("worker_id")
    try:
        return edited(text.encode(), name, want).decode(), False
    except EditRefused:
        return renewed(text.encode(), name, want).decode(), "#" in text


def shown_own_text(content: bytes, worker_id: str) -> str:
    """The text of the worker's own document, with secrets hidden. Raises EditRefused."""
    return hidden(own_text(content, worker_id))


def revealed(text: str, content: bytes, worker_id: str) -> str:
    """The text with the values that were hidden from whoever wrote it; those of the file. Raises EditRefused."""
    if HIDDEN not in text:
        return text
    own = own_text(content, worker_id)
    lines = _revealed_lines(text, own)
    found = read_text(lines)
    if HIDDEN not in lines or not isinstance(found, WorkerText):
        return lines
    shown = read_text(hidden(own))
    if not isinstance(shown, WorkerText):
        return lines
    want = replaced(worker_data(content, worker_id), shown.data, found.data)
    return lines if same(want, found.data) else restated(lines, want)[0]


def _revealed_lines(text: str, own: str) -> str:
    """Lines that are as they were shown become those of the file."""
    whole, shown, given = _lines(own), _lines(hidden(own)), _lines(text)
    if len(whole) == len(shown):
        for a, b, size in SequenceMatcher(None, shown, given, autojunk=False).get_matching_blocks():
            given[b : b + size] = whole[a : a + size]
    return "".join(f"{line}\n" for line in given)


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n")
