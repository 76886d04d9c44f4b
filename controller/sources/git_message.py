"""The message of a commit that a write makes: which worker, which fields from what to what, who asked. Pure.

Called by writer.py. Values that look like secrets are hidden, as everywhere where a spec is shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from controller.core.authorship import SpecWish
from controller.core.redaction import redacted

_SUBJECT = 72
_VALUE = 60
_ABSENT = object()


def commit_message(wish: SpecWish, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> str:
    """`before` and `after` as they stand in the file; None where the worker is not in it."""
    if before is None or after is None:
        subject, body = f"{wish.worker_id}: {'deleted' if after is None else 'created'}", ""
    else:
        told = [f"{path} {_shown(path, old)} -> {_shown(path, new)}" for path, old, new in _changes(before, after)]
        subject = f"{wish.worker_id}: {', '.join(told) or 'written anew'}"
        body = "".join(f"- {one}\n" for one in told) + "\n" if len(subject) > _SUBJECT else ""
        if body:
            subject = f"{wish.worker_id}: {_some(told)}"
    trailers = f"Worker: {wish.worker_id}\nActor: {_line(wish.actor)}\n"
    if wish.request_id:
        trailers += f"Request-Id: {_line(wish.request_id)}\n"
    return f"{subject}\n\n{body}{trailers}"


def author_of(actor: str) -> tuple[str, str]:
    """Name and address of the author: git refuses names of nothing but signs."""
    name = re.sub(r"[<>\x00-\x1f\x7f]", " ", actor).strip() or "unknown"
    local = re.sub(r"[^A-Za-z0-9._+-]+", "-", name).strip("-.") or "unknown"
    return (name if re.search(r"\w", name) else "unknown"), f"{local}@localhost"


def _some(told: list[str]) -> str:
    fields = [one.partition(" ")[0] for one in told]
    names = ", ".join(fields)
    return names if len(names) <= _SUBJECT else f"{len(fields)} fields changed"


def _changes(before: Any, after: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Field by field, mappings looked into."""
    for key in sorted({*before, *after}, key=str):
        inner = f"{path}.{key}" if path else str(key)
        old, new = before.get(key, _ABSENT), after.get(key, _ABSENT)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _changes(old, new, inner)
        elif old is _ABSENT or new is _ABSENT or old != new or type(old) is not type(new):
            yield inner, old, new


def _shown(path: str, value: Any) -> str:
    if value is _ABSENT:
        return "unset"
    text = json.dumps(_hidden(path, value), ensure_ascii=False, default=str)
    return text if len(text) <= _VALUE else f"{text[:_VALUE]}..."


def _hidden(path: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _hidden(f"{path}.{key}", one) for key, one in value.items()}
    return redacted(path, value)


def _line(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f]", " ", text).strip()
