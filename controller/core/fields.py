"""Every field of a spec in words: its type, bounds, default, meaning, and what a change of it does.

Called by `workerctl explain`. Made from the same schema that editors get (schema.py) and from the tables of effects
and of reserved fields; so whatever the models gain is explained without a line here.

What does not belong here: how it looks on a terminal (cli/explain.py).
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from controller.core.effects import effect_of
from controller.core.schema import KINDS, SUPPORTED, Schema, narrowed, worker_schema
from controller.core.spec import NOT_YET, WorkerSpec

GROUP = "group"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field. `path` is dotted; the spec itself has an empty one.

    `default` is the value as it would be written, empty where there is none. `effect` is `restart`, `in_place` or
    `none`, and empty for a group whose fields differ. `comes_with` names the part of the product that will bring a
    reserved field, and is empty for all others. `fields` are those of a group, and of the groups in a mapping, where
    `NAME` stands for each name.
    """

    path: str
    type: str
    description: str
    default: str = ""
    required: bool = False
    constraints: tuple[str, ...] = ()
    effect: str = ""
    comes_with: str = ""
    fields: tuple[Field, ...] = ()

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]

    def below(self) -> Iterator[Field]:
        """All fields below, in the order of the language, groups before their fields."""
        for field in self.fields:
            yield field
            yield from field.below()


def whole_spec() -> Field:
    """The spec as a group, reserved fields last."""
    schema = worker_schema()
    required = frozenset(schema.get("required", ()))
    properties = {**schema["properties"]}
    properties["kind"] = {**properties["kind"], "enum": list(KINDS)}
    known = [_field(name, node, name in required) for name, node in properties.items() if name not in NOT_YET]
    reserved = [_reserved(name, part) for name, part in sorted(NOT_YET.items())]
    description = (WorkerSpec.__doc__ or "").strip()
    return Field(path="", type=GROUP, description=description, fields=(*known, *reserved))


def find(path: str, spec: Field) -> Field | None:
    """The field at a dotted path. An entry of a mapping (`env.QUEUE`, `secrets.DB`) is the mapping itself."""
    fields = {field.path: field for field in spec.below()}
    found = fields.get(path)
    if found is None:
        parent = fields.get(path.partition(".")[0])
        found = parent if parent is not None and parent.type.startswith("mapping") else None
    return found


def suggestions(path: str, spec: Field) -> tuple[str, ...]:
    """Paths that a mistyped one may mean: those with that very name in a group first, then the most alike."""
    paths = [field.path for field in spec.below()]
    last = path.rpartition(".")[2]
    inside = [known for known in paths if known.rpartition(".")[2] == last]
    alike = difflib.get_close_matches(path, paths, n=3, cutoff=0.6)
    names = {known.rpartition(".")[2]: known for known in reversed(paths)}
    alike += [names[name] for name in difflib.get_close_matches(last, names, n=1, cutoff=0.7)]
    return tuple(dict.fromkeys([*inside, *alike]))[:3]


def _reserved(name: str, part: str) -> Field:
    text = "Reserved. A spec that uses it is refused, it is never ignored."
    return Field(path=name, type="not yet supported", description=text, comes_with=part)


def _field(path: str, node: Schema, required: bool = False) -> Field:
    notes = _unsupported(path, node)
    node = narrowed(path, node)
    group = _group_of(node)
    fields = _fields_of(path, group) if group is not None else _fields_of(f"{path}.NAME", _value_of(node))
    effects = {effect_of(field.path).value for field in _leaves(fields)} or {effect_of(path).value}
    return Field(
        path=path,
        type=GROUP if group is not None and len(_choices(node)) == 1 else _type(node),
        description=str(node.get("description", "")),
        default=_written(node["default"]) if node.get("default") not in (None, "") else "",
        required=required,
        constraints=(*(() if path in SUPPORTED else _constraints(node)), *notes),
        effect=effects.pop() if len(effects) == 1 else "",
        fields=fields,
    )


def _fields_of(path: str, group: Schema) -> tuple[Field, ...]:
    """Those of the group at `path`; none where it is no group."""
    needed = frozenset(group.get("required", ()))
    return tuple(_field(f"{path}.{name}", inner, name in needed) for name, inner in group.get("properties", {}).items())


def _leaves(fields: tuple[Field, ...]) -> Iterator[Field]:
    for field in fields:
        yield from _leaves(field.fields) if field.fields else (field,)


def _choices(node: Schema) -> list[Schema]:
    """The alternatives of a node, without null."""
    return [part for part in node.get("anyOf", [node]) if part.get("type") != "null"]


def _group_of(node: Schema) -> Schema | None:
    return next((part for part in _choices(node) if "properties" in part), None)


def _type(node: Schema) -> str:
    """A node in words: `integer`, `list of strings`, `running, stopped or null`."""
    words = [word for part in node.get("anyOf", [node]) for word in _type_words(part)]
    return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else words[0]


def _type_words(node: Schema) -> list[str]:
    if "enum" in node:
        return [_written(value) for value in node["enum"]]
    if "const" in node:
        return [_written(node["const"])]
    match node.get("type"):
        case "array":
            return [f"list of {_plural(_type(node['items']))}"]
        case "object" if "properties" in node:
            return [GROUP]
        case "object":
            return [f"mapping of {_plural(_type(_value_of(node)))}"]
        case kind:
            return [str(kind or "any value")]


def _plural(words: str) -> str:
    return words if " " in words else f"{words}s"


def _value_of(mapping: Schema) -> Schema:
    patterns: Mapping[str, Schema] = mapping.get("patternProperties", {})
    value = next(iter(patterns.values()), None) or mapping.get("additionalProperties")
    return value if isinstance(value, dict) else {}


def _constraints(node: Schema) -> tuple[str, ...]:
    """All bounds, in words."""
    found: list[str] = []
    for part in _choices(node):
        found += _bounds(part)
        if isinstance(part.get("items"), dict):
            found += [f"each {words}" for words in _bounds(part["items"])]
        names = part.get("propertyNames")
        found += [f"names {words}" for words in _bounds(names if isinstance(names, dict) else {})]
        found += [f"names match {pattern}" for pattern in part.get("patternProperties", ())]
    return tuple(dict.fromkeys(found))


def _bounds(node: Schema) -> list[str]:
    low, high = node.get("minimum"), node.get("maximum")
    shortest, longest = node.get("minLength", node.get("minItems")), node.get("maxLength", node.get("maxItems"))
    found: list[str] = []
    if "exclusiveMinimum" in node:
        found.append(f"more than {node['exclusiveMinimum']:g}")
    if low is not None and high is not None:
        found.append(f"{low:g} to {high}" if isinstance(high, int) else f"{low:g} to {high:g}")
    elif low is not None or high is not None:
        found.append(f"at least {low}" if low is not None else f"at most {high}")
    unit = "characters" if "maxLength" in node else "entries"
    if shortest:
        found.append("not empty" if shortest == 1 else f"at least {shortest} {unit}")
    if longest is not None:
        found.append(f"at most {longest} {unit}")
    if longest is not None and shortest == longest:
        found[-2:] = [f"exactly {longest} {unit}"]
    if "pattern" in node:
        found.append(f"matches {node['pattern']}")
    return found


def _unsupported(path: str, node: Schema) -> tuple[str, ...]:
    """What of a field's values this version cannot honour."""
    supported = SUPPORTED.get(path) or SUPPORTED.get(f"{path}.*")
    if supported is None:
        return ()
    known = node if path in SUPPORTED else _value_of(node)
    others = [str(value) for value in known.get("enum", ()) if value not in supported]
    return (f"not yet supported: {', '.join(others) or 'all others'}",)


def _written(value: Any) -> str:
    """A value as it stands in a file."""
    return value if isinstance(value, str) else json.dumps(value)
