"""A spec file as it may be shown: its text with secrets hidden, and where each field of a worker is written.

Called by the desk of the past. Pure. Lines keep their numbers. What looks like a secret is hidden as in a spec that is
shown, also in comments; in a file that is no YAML, behind every key whose name is one of a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from controller.core.problems import Source
from controller.core.redaction import HIDDEN, names_a_secret, redacted
from controller.sources.documents import DEFAULTS, Document, SpecFile, folders_above
from controller.sources.places import Places
from controller.sources.spans import Span, documents

_PAIR = re.compile(r"(?m)^(?P<key>[\s\-{,]*[\"']?(?P<name>[\w.-]+)[\"']?\s*:)[ \t]+(?P<value>\S.*)$")
_NOT_OWN = frozenset({"kind", "worker_id"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownText:
    """`line` to `last_line`: the worker's own document. `origins` by dotted path, of what somebody wrote."""

    text: str
    line: int
    last_line: int
    origins: Mapping[str, Source]


def shown_text(worker_id: str, file: SpecFile, files: Mapping[str, SpecFile]) -> ShownText | None:
    """The worker's file; None where it cannot be read."""
    if file.content is None:
        return None
    text = file.content.decode("utf-8", "replace").removeprefix("\ufeff")
    own = next((one for one in file.documents if one.worker_id == worker_id), None)
    lines = text.count("\n") + (not text.endswith("\n"))
    later = [one.line for one in file.documents if own is not None and one.line > own.line]
    return ShownText(
        text=hidden(text),
        line=1 if own is None else own.line,
        last_line=max(1, min(later) - 1 if later else lines),
        origins={} if own is None else _origins(own, files),
    )


# --- where fields come from ---------------------------------------------------------------------------------------


def _origins(own: Document, files: Mapping[str, SpecFile]) -> dict[str, Source]:
    """The worker's own document, then the Defaults above it, nearest first: the first that has a field counts."""
    places = Places(files)
    found: dict[str, Source] = {}
    for document in (own, *_defaults(own, files)):
        for path in _paths(document.data):
            name = ".".join(path)
            if name in found or any(".".join(path[:depth]) in found for depth in range(1, len(path))):
                continue
            place = places.find(document, path, key=True)
            found[name] = Source(file=document.file, line=document.line if place is None else place.line)
    return dict(sorted(found.items()))


def _defaults(own: Document, files: Mapping[str, SpecFile]) -> Iterator[Document]:
    for folder in folders_above(own.folder):
        for file in files.values():
            yield from (one for one in file.documents if one.kind == DEFAULTS and one.folder == folder)


def _paths(data: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """All fields that are no groups, groups entry by entry."""
    for name, value in data.items():
        if not above and name in _NOT_OWN:
            continue
        if isinstance(value, Mapping) and value and len(above) < 3:
            yield from _paths(value, (*above, str(name)))
        else:
            yield (*above, str(name))


# --- hiding -------------------------------------------------------------------------------------------------------


def hidden(text: str) -> str:
    """The text with `***` for what looks like a secret."""
    try:
        cuts = [cut for document in documents(text) for cut in _secrets(document.root, ())]
    except (yaml.YAMLError, RecursionError):
        text = _PAIR.sub(lambda pair: f"{pair['key']} {HIDDEN}" if names_a_secret(pair["name"]) else pair[0], text)
        cuts = []
    for start, end in sorted(cuts, reverse=True):
        text = text[:start] + f'"{HIDDEN}"' + "\n" * text.count("\n", start, end) + text[end:]
    return "\n".join(str(redacted("", line)) for line in text.split("\n"))


def _secrets(span: Span, path: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Where values stand that must not be read."""
    for key, value in span.pairs:
        yield from _secrets(value, (*path, key.text))
    if span.items:
        texts = [one.text for one in span.items]
        shown = redacted(".".join(path), texts)
        for one, before, after in zip(span.items, texts, shown, strict=True):
            if one.kind == "scalar" and before != after:
                yield one.start, one.end
            yield from _secrets(one, path) if one.is_collection else ()
    if span.kind == "scalar" and span.text and redacted(".".join(path), span.text) != span.text:
        yield span.start, span.end
