"""`path=value` on a command line as a JSON merge patch. Used by `create` and `set`. Pure.

A path is names with dots: `stop.grace_ms`. Below `env` and `labels` the rest is one name, and the value is always
text, because it is that in a process. Elsewhere a value is JSON where it can be read as such (3, true, ["a", "b"]),
else text. Nothing after `=` is null: in a merge patch, that takes the field away.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import click

_TEXTS = frozenset({"env", "labels"})


def merge_patch(assignments: Iterable[str]) -> dict[str, Any]:
    """The patch that does all of them. Leaves with 2 where one is no assignment, or contradicts another."""
    patch: dict[str, Any] = {}
    for assignment in assignments:
        path, sign, text = assignment.partition("=")
        names = _names(path)
        if not sign or not all(names):
            raise click.UsageError(f'"{assignment}": expected path=value, as in replicas=3 or env.MODE=fast')
        below = patch
        for name in names[:-1]:
            below = below.setdefault(name, {})
            if not isinstance(below, dict):
                raise click.UsageError(f'"{assignment}" contradicts an assignment before it')
        if names[-1] in below:
            raise click.UsageError(f'"{assignment}": {path} is given twice')
        below[names[-1]] = _value(names, text)
    return patch


def _names(path: str) -> list[str]:
    first, dot, rest = path.partition(".")
    return [first, rest] if dot and first in _TEXTS else path.split(".")


def _value(names: list[str], text: str) -> Any:
    if not text:
        return None
    if len(names) > 1 and names[0] in _TEXTS:
        return "" if text == '""' else text
    try:
        return json.loads(text)
    except ValueError:
        return text
