"""What a worker's document is to say when a client replaces or patches its spec. Pure; called by writer.py.

A document holds what a person set; a client sees the accepted spec, with Defaults and defaults filled in and secrets
hidden. So what a client sends back unchanged stays as the person wrote it, and what only repeats what holds anyway is
not written: whoever gets a spec, changes one field and puts it back has changed one field.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.core.redaction import HIDDEN
from controller.sources.surgery import same

Data = dict[str, Any]


def replaced(have: Mapping[str, Any], shown: Mapping[str, Any], body: Mapping[str, Any]) -> Data:
    """The document that says `have`, shown as `shown`, replaced by `body`. A field that `body` leaves out goes."""
    result: Data = {}
    for key, value in have.items():
        if key in body:
            result[key] = _kept(value, shown.get(key), body[key])
    for key, value in body.items():
        if key not in have and not (key in shown and same(shown[key], value)):
            result[key] = _without_shown(shown.get(key), value)
    return result


def _kept(have: Any, shown: Any, wanted: Any) -> Any:
    """A value that the document has: as it is written there, where nothing else is wanted."""
    if same(shown, wanted):
        return have
    if isinstance(have, dict) and isinstance(shown, dict) and isinstance(wanted, dict):
        return replaced(have, shown, wanted)
    if isinstance(have, list) and isinstance(shown, list) and isinstance(wanted, list) and len(have) == len(shown):
        # A list is put back as a whole: what was hidden in it is known by what it was shown as.
        hidden = {one: own for one, own in zip(shown, have, strict=True) if _is_hidden(one)}
        return [hidden.get(one, one) if isinstance(one, str) else one for one in wanted]
    return wanted


def _without_shown(shown: Any, wanted: Any) -> Any:
    """A value that the document does not have: only what differs from what holds anyway."""
    if isinstance(shown, dict) and isinstance(wanted, dict) and shown.keys() <= wanted.keys():
        return {
            key: _without_shown(shown.get(key), value)
            for key, value in wanted.items()
            if not (key in shown and same(shown[key], value))
        }
    return wanted


def merged(have: Mapping[str, Any], patch: Mapping[str, Any]) -> Data:
    """A JSON merge patch (RFC 7396) of the document: null takes a field away."""
    result = dict(have)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            below = result.get(key)
            result[key] = merged(below if isinstance(below, dict) else {}, value)
        else:
            result[key] = value
    return result


def still_hidden(data: Any, have: Any = None, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Where the document would hold the sign for a hidden value, which is no value."""
    if _is_hidden(data):
        return [] if data == have else [path]
    found: list[tuple[str | int, ...]] = []
    if isinstance(data, dict):
        for key, value in data.items():
            found += still_hidden(value, have.get(key) if isinstance(have, dict) else None, (*path, key))
    elif isinstance(data, list):
        for number, value in enumerate(data):
            known = value if isinstance(have, list) and value in have else None
            found += still_hidden(value, known, (*path, number))
    return found


def _is_hidden(value: object) -> bool:
    return isinstance(value, str) and HIDDEN in value
