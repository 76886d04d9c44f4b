"""The part of JSON Schema draft-07 that our schema uses, as a checker for tests. An unknown keyword is an error."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_SILENT = frozenset(
    {"$schema", "$id", "$comment", "title", "description", "default", "errorMessage", "deprecationMessage",
     "doNotSuggest", "then", "else"}
)  # fmt: skip
_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def faults(schema: Any, value: Any, path: str = "") -> list[str]:
    """Where `value` breaks `schema`, as `path: keyword`."""
    if isinstance(schema, bool):
        return [] if schema else [f"{path}: false"]
    return [fault for keyword in schema for fault in _of(keyword, schema, value, path)]


def _of(keyword: str, schema: Mapping[str, Any], value: Any, path: str) -> Iterator[str]:
    if keyword in _SILENT:
        return
    if keyword in _SIMPLE:
        if not _SIMPLE[keyword](schema[keyword], value):
            yield f"{path}: {keyword}"
    else:
        yield from _NESTED[keyword](schema, value, path)


def _is(kind: str, rule: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda bound, value: not _TYPES[kind](value) or rule(bound, value)


_SIMPLE: Mapping[str, Callable[[Any, Any], bool]] = {
    "type": lambda kinds, value: any(_TYPES[kind](value) for kind in ([kinds] if isinstance(kinds, str) else kinds)),
    "enum": lambda values, value: any(value == one and type(value) is type(one) for one in values),
    "const": lambda one, value: value == one,
    "minimum": _is("number", lambda bound, value: bool(value >= bound)),
    "maximum": _is("number", lambda bound, value: bool(value <= bound)),
    "minLength": _is("string", lambda bound, value: len(value) >= bound),
    "maxLength": _is("string", lambda bound, value: len(value) <= bound),
    "pattern": _is("string", lambda pattern, value: re.search(pattern, value) is not None),
    "exclusiveMinimum": _is("number", lambda bound, value: bool(value > bound)),
    "minItems": _is("array", lambda bound, value: len(value) >= bound),
    "maxItems": _is("array", lambda bound, value: len(value) <= bound),
    "required": _is("object", lambda names, value: all(name in value for name in names)),
}


def _properties(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[str]:
    for name, inner in schema["properties"].items():
        if isinstance(value, dict) and name in value:
            yield from faults(inner, value[name], f"{path}/{name}")


def _pattern_properties(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[str]:
    for pattern, inner in schema["patternProperties"].items():
        for name in value if isinstance(value, dict) else ():
            if re.search(pattern, name):
                yield from faults(inner, value[name], f"{path}/{name}")


def _additional(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[str]:
    for name in value if isinstance(value, dict) else ():
        known = name in schema.get("properties", {})
        if not known and not any(re.search(pattern, name) for pattern in schema.get("patternProperties", {})):
            yield from faults(schema["additionalProperties"], value[name], f"{path}/{name}")


def _names(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[str]:
    for name in value if isinstance(value, dict) else ():
        yield from faults(schema["propertyNames"], name, f"{path}/{name}")


def _items(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[str]:
    for index, item in enumerate(value if isinstance(value, list) else ()):
        yield from faults(schema["items"], item, f"{path}/{index}")


def _any_of(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[str]:
    if all(faults(part, value) for part in schema["anyOf"]):
        yield f"{path}: anyOf"


def _not(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[str]:
    if not faults(schema["not"], value):
        yield f"{path}: not"


def _if(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[str]:
    yield from faults(schema["else" if faults(schema["if"], value) else "then"], value, path)


_NESTED: Mapping[str, Callable[[Mapping[str, Any], Any, str], Iterator[str]]] = {
    "properties": _properties,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional,
    "propertyNames": _names,
    "items": _items,
    "anyOf": _any_of,
    "not": _not,
    "if": _if,
}
