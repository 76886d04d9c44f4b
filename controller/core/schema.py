"""The spec language as JSON Schema, in the draft-07 flavour that editors understand (yaml-language-server, VS Code).

Called by `workerctl schema`, by `init`, which puts the file beside the specs, and by fields.py, which explains fields
from the same document. Made from the models in spec.py, so a new field needs nothing here.

One schema judges each document of a file by itself. So it can say less than `workerctl validate`: what stands in
`kind: Defaults` elsewhere is not known to it, and rules over several fields or files are not its business. What it
refuses is refused by `validate` too; a test holds the two against each other.

Differences from what pydantic makes: references are inlined (draft-07 ignores what stands beside a `$ref`), nested
`required` is dropped (Defaults may bring the rest), titles go, reserved fields are there to be refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from controller.core.effects import Effect, effect_of
from controller.core.spec import NOT_YET, WorkerSpec

Schema = dict[str, Any]

DRAFT = "http://json-schema.org/draft-07/schema#"
SCHEMA_ID = "urn:workerctl:spec:1"

KINDS = ("Worker", "Defaults")

SUPPORTED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "deployment_type": ("local",),
        "host": ("localhost",),
        "depends_on.*": ("started", "ready"),
        "logs.capture": ("file",),
    }
)
"""Fields of which this version supports some values only (`.*`: the values of a mapping). The others are refused as
not yet supported."""

_EFFECT_WORDS: Mapping[Effect, str] = MappingProxyType(
    {
        Effect.RESTART: "a change replaces the process",
        Effect.IN_PLACE: "a change counts from the next decision on; the process is not touched",
        Effect.NONE: "a change touches no process",
    }
)

_CHANGE_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "worker_id": "another name is another worker, and the one of the former name is removed",
        "replicas": "a change adds or removes instances at the end; the others are not touched",
        "desired_state": "a change starts or stops it",
        "auto_start": "true starts it; false never stops it",
    }
)
"""Fields whose change restarts nothing, and yet does something."""

_NOISE = frozenset({"title", "$defs"})
_SCALARS = frozenset({"string", "integer", "number", "boolean"})


def change_words(path: str) -> str:
    """What changing the field at `path` does, in words."""
    return _CHANGE_WORDS.get(path) or _EFFECT_WORDS[effect_of(path)]


def editor_schema() -> Schema:
    """The whole schema: a document is a Worker, or Defaults, which have the same fields but no worker_id."""
    worker = worker_schema()
    properties = {name: _for_editors(name, node) for name, node in worker["properties"].items()}
    properties["kind"] = {**properties["kind"], "type": "string", "enum": list(KINDS)}
    properties["kind"].pop("const", None)
    properties |= {name: _reserved(name) for name in NOT_YET}
    return {
        "$schema": DRAFT,
        "$id": SCHEMA_ID,
        "$comment": "Made by `workerctl schema`. Do not edit: it is written anew.",
        "title": "workerctl spec",
        "description": worker["description"],
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "if": {"properties": {"kind": {"const": "Defaults"}}, "required": ["kind"]},
        "then": {"properties": {"worker_id": False}},
        "else": {"required": ["worker_id"]},
    }


def worker_schema() -> Schema:
    """What pydantic says of `WorkerSpec`, with all references inlined."""
    whole = WorkerSpec.model_json_schema()
    found = _inlined(whole, whole.get("$defs", {}))
    assert isinstance(found, dict)
    for name, info in WorkerSpec.model_fields.items():
        node = found["properties"][name]
        default = None if info.is_required() else info.get_default(call_default_factory=True)
        if isinstance(default, list) and default:
            node["default"] = default  # pydantic leaves out what a factory makes
    return found


def _inlined(node: Any, definitions: Mapping[str, Any]) -> Any:
    """A copy in which every reference is replaced by what it names. The models do not recurse."""
    if isinstance(node, list):
        return [_inlined(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = definitions[node["$ref"].rpartition("/")[2]]
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    result: Schema = {}
    for key, value in node.items():
        if key == "properties":
            result[key] = {name: _inlined(inner, definitions) for name, inner in value.items()}
        elif key not in _NOISE:
            result[key] = value if key in ("default", "enum", "const") else _inlined(value, definitions)
    return result


def _for_editors(path: str, node: Schema) -> Schema:
    """One field, and the fields of a group: narrowed to what works, with the effect of a change said."""
    found = narrowed(path, _plain_union({key: value for key, value in node.items() if key != "required"}))
    if found.get("default", ...) is None:
        del found["default"]
    if "patternProperties" in found:
        found.setdefault("additionalProperties", False)
        found["patternProperties"] = {
            pattern: _for_editors(f"{path}.*", inner) for pattern, inner in found["patternProperties"].items()
        }
    if "properties" in found:
        found["properties"] = {
            name: _for_editors(f"{path}.{name}", inner) for name, inner in found["properties"].items()
        }
    elif "anyOf" in found:
        found["anyOf"] = [_for_editors(path, part) for part in found["anyOf"]]
    is_group = any("properties" in part for part in found.get("anyOf", [found]))
    if "description" in found and not is_group:
        words = change_words(path)
        found["description"] = f"{found['description']}\n\n{words[0].upper()}{words[1:]}."
    return found


def narrowed(path: str, node: Schema) -> Schema:
    """The node with those values only that this version supports."""
    if path in SUPPORTED:
        return {**node, "enum": list(SUPPORTED[path])}
    values = SUPPORTED.get(f"{path}.*")
    if values is None:
        return node
    patterns = {pattern: {**inner, "enum": list(values)} for pattern, inner in node["patternProperties"].items()}
    return {**node, "patternProperties": patterns}


def _plain_union(node: Schema) -> Schema:
    """`{"type": ["integer", "null"], ...}` instead of a choice: editors then name the type in their messages."""
    parts = node.get("anyOf", [])
    simple = [part for part in parts if _is_group(part) or (part.get("type") in _SCALARS and not _is_choice(part))]
    if len(parts) != 2 or len(simple) != 1 or {"type": "null"} not in parts:
        return node
    kept = {key: value for key, value in node.items() if key != "anyOf"}
    whole = {key: value for key, value in simple[0].items() if key != "required"}
    return {**whole, "type": [simple[0]["type"], "null"], **kept}


def _is_group(part: Schema) -> bool:
    return part.get("type") == "object" and "properties" in part


def _is_choice(part: Schema) -> bool:
    return "enum" in part or "const" in part


def _reserved(name: str) -> Schema:
    """A field that the language reserves: never offered, and refused with the reason where an editor can show it."""
    message = f"`{name}` is not yet supported: leave it out."
    return {
        "description": message,
        "not": {},
        "errorMessage": message,
        "deprecationMessage": message,
        "doNotSuggest": True,
    }
