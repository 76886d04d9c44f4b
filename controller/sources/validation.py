"""Validation: the merged fields of one worker to a `WorkerSpec`, or to problems in a person's words.

Called by assembly.py and defaults.py. Pure. pydantic says what is wrong; the words, the place and the advice are ours:
what was expected, what stands there (never more than 60 characters of it, and no secret), and what to write instead.
A fault that came with a `kind: Defaults` is reported where it stands, in the Defaults' file.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from controller.core.problems import Problem
from controller.core.redaction import HIDDEN, names_a_secret
from controller.core.spec import KINDS_NOT_YET, NOT_YET, WorkerSpec
from controller.sources.documents import DEFAULTS, WORKER, Document, in_words, layered, pointer
from controller.sources.places import Places
from controller.sources.strict_yaml import Path
from controller.sources.syntax import excerpt

LABEL_WORDS = "a name of a-z, 0-9 and '-' (at most 63 characters, no '-' at either end)"

# Fields that take more than one type: pydantic reports each alternative, a person needs one sentence.
_UNION_WORDS = {
    "command": "a list of strings or a string, not empty",
    "auto_restart": "true, false, on_failure, always or never",
}
_TYPE_WORDS = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
_YAML_1_1_BOOLS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One fault before it is placed.

    `at_key`: the key is wrong, not the value. `is_rule`: it is about several fields.
    """

    path: Path
    message: str
    hint: str = ""
    at_key: bool = False
    is_rule: bool = False
    code: str = "invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A worker's spec with the fields that made it, or its problems."""

    spec: WorkerSpec | None
    data: Mapping[str, Any]
    problems: tuple[Problem, ...] = ()


def judge_worker(document: Document, defaults: Sequence[Document], places: Places) -> Judged:
    """Validates one worker over its Defaults, nearest first."""
    data = layered(document.data, defaults)
    spec, findings = _judge(data, document.data)
    if not findings:
        return Judged(spec=spec, data=data)
    owners = (document, *defaults)
    problems = [placed(finding, owners, data, places, document.worker_id) for finding in findings]
    return Judged(spec=None, data=data, problems=tuple(dict.fromkeys(problems)))


def judge_defaults(document: Document, places: Places) -> tuple[Problem, ...]:
    """The problems of a `kind: Defaults` by itself. What only shows once merged is told per worker."""
    data = {key: value for key, value in document.data.items() if key != "kind"}
    findings = []
    if "worker_id" in data:
        del data["worker_id"]
        findings.append(
            Finding(path=("worker_id",), message="Defaults have no worker_id", hint="remove it", at_key=True)
        )
    _, found = _judge({**data, "worker_id": "defaults"}, data)
    findings += [finding for finding in found if not finding.is_rule]
    return tuple(placed(finding, (document,), document.data, places, None) for finding in findings)


def judge_kind(document: Document, places: Places) -> Problem | None:
    """What is wrong with the document's kind, or None."""
    if document.kind in {WORKER, DEFAULTS}:
        return None
    kind = document.data["kind"]
    if document.kind in KINDS_NOT_YET:
        message = f"`kind: {document.kind}` is not yet supported"
        finding = Finding(path=("kind",), message=message, hint=f"it comes with {KINDS_NOT_YET[kind]}", code="not_yet")
    else:
        message = f"expected Worker or Defaults, got {in_words(kind)}"
        finding = Finding(path=("kind",), message=message, hint=_suggestion(document.kind, [WORKER, DEFAULTS]))
    return placed(finding, (document,), document.data, places, document.worker_id)


def _judge(data: Mapping[str, Any], own: Mapping[str, Any]) -> tuple[WorkerSpec | None, list[Finding]]:
    findings = [*_not_yet(data)]
    fields = {key: value for key, value in data.items() if key not in NOT_YET}
    try:
        spec = WorkerSpec.model_validate(fields)
    except ValidationError as error:
        found = [(_path_of(detail, fields), detail) for detail in error.errors(include_url=False)]
        findings += [_fault(path, detail, fields, own) for path, detail in _without_alternatives(found)]
        return None, findings
    return spec, findings


def _not_yet(data: Mapping[str, Any]) -> Iterator[Finding]:
    for name, part in NOT_YET.items():
        if name in data:
            message = f"`{name}` is not yet supported"
            yield Finding(path=(name,), message=message, hint=f"it comes with {part}", at_key=True, code="not_yet")
    deployment, host = data.get("deployment_type"), data.get("host")
    if deployment in {"ssh", "docker", "kubernetes"}:
        message = f"`deployment_type: {deployment}` is not yet supported"
        yield Finding(path=("deployment_type",), message=message, hint="only `local` is", code="not_yet")
    if isinstance(host, str) and host not in {"localhost", ""}:
        message = f'host "{excerpt(host)}" is not known: other hosts are not yet supported'
        yield Finding(path=("host",), message=message, hint="only `localhost` is", code="not_yet")


def _path_of(detail: ErrorDetails, data: Mapping[str, Any]) -> Path:
    """The location without pydantic's names of alternatives and its `[key]` mark: only what indexes the data."""
    path: list[str | int] = []
    node: Any = data
    for step in detail["loc"]:
        indexes = step in node if isinstance(node, dict) else isinstance(node, list) and isinstance(step, int)
        if indexes:
            node = node[step]
        if indexes or detail["type"] == "missing":
            path.append(step)
    return tuple(path)


def _without_alternatives(found: Sequence[tuple[Path, ErrorDetails]]) -> list[tuple[Path, ErrorDetails]]:
    """For a field with alternatives keeps the deepest findings, one per path."""
    kept: list[tuple[Path, ErrorDetails]] = []
    for path, detail in found:
        if path and path[0] in _UNION_WORDS:
            others = [other for other, _ in found if other[:1] == path[:1]]
            deeper = any(len(other) > len(path) for other in others)
            if deeper or any(other == path for other, _ in kept):
                continue
        kept.append((path, detail))
    return kept


def _fault(path: Path, detail: ErrorDetails, data: Mapping[str, Any], own: Mapping[str, Any]) -> Finding:
    value, kind, context = detail["input"], detail["type"], detail.get("ctx", {})
    if path and path[0] in _UNION_WORDS and len(path) == 1:
        return _type_fault(path, _UNION_WORDS[str(path[0])], value)
    match kind:
        case "missing":
            return Finding(path=(), message=f"`{path[-1]}` is missing", hint="every worker needs one")
        case "extra_forbidden":
            return _unknown_field(path)
        case "value_error":
            return _rule_fault(path, str(context["error"]), own, data)
        case "literal_error":
            return _choice_fault(path, value)
        case _ if kind in _TYPE_WORDS:
            return _type_fault(path, _TYPE_WORDS[kind], value)
        case _:
            return _value_fault(path, detail)


def _value_fault(path: Path, detail: ErrorDetails) -> Finding:
    value, kind, context = detail["input"], detail["type"], detail.get("ctx", {})
    at_key = detail["loc"][-1:] == ("[key]",)
    match kind:
        case "string_pattern_mismatch":
            words = LABEL_WORDS if path == ("worker_id",) else "a name of letters, digits and '_', no digit first"
            return Finding(path=path, message=f"expected {words}, got {in_words(value)}", at_key=at_key)
        case "string_too_short" | "too_short" if context["min_length"] == 1:
            return Finding(path=path, message="must not be empty", at_key=at_key)
        case _:
            return Finding(path=path, message=f"expected {_bound(kind, context)}, got {_amount(value)}", at_key=at_key)


def _bound(kind: str, context: Mapping[str, Any]) -> str:
    match kind:
        case "greater_than_equal":
            return f"at least {context['ge']:g}"
        case "less_than_equal":
            return f"at most {context['le']:g}" if context["le"] < 1_000_000 else f"at most {int(context['le'])}"
        case "string_too_long":
            return f"at most {context['max_length']} characters"
        case _:
            return f"another value ({kind.replace('_', ' ')})"


def _amount(value: object) -> str:
    return f"{len(value)} characters" if isinstance(value, str) else in_words(value)


def _type_fault(path: Path, expected: str, value: object) -> Finding:
    """The `got` is filled in once the place, and with it the text that a person wrote, is known."""
    return Finding(path=path, message=f"expected {expected}, got {{got}}", hint=_type_hint(path, expected, value))


def _type_hint(path: Path, expected: str, value: object) -> str:
    key = path[-1] if path else ""
    name = f"{key}: " if isinstance(key, str) else ""
    if value is None:
        return f'write `{name}""` for an empty string, or remove the line' if expected == "a string" else "give a value"
    if expected == "a string" and isinstance(value, bool | int | float):
        return f'write `{name}"{{text}}"`'
    if isinstance(value, str):
        return _unquoted_hint(name, expected, value.strip())
    if expected == "an integer" and isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return f"write `{name}{int(value)}`"
    if expected.startswith("a list") and not isinstance(value, dict | list):
        return f'write `{name}["{{text}}"]`'
    return ""


def _unquoted_hint(name: str, expected: str, text: str) -> str:
    """What a string could have been meant as."""
    if expected in {"an integer", "a number"}:
        digits = text.replace("_", "")
        return f"write `{name}{digits}`" if digits.isascii() and digits.isdigit() else ""
    meant = _YAML_1_1_BOOLS.get(text.lower(), text.lower())
    if expected.startswith("true") and meant in {"true", "false"}:
        return f"write `{name}{meant}`"
    if expected == "a list":
        return f'write `{name}["{excerpt(text)}"]`'
    return ""


def _unknown_field(path: Path) -> Finding:
    name = str(path[-1])
    model = _model_at(path[:-1])
    names = [*model.model_fields, *(NOT_YET if model is WorkerSpec else ())]
    inside = f" in `{'.'.join(map(str, path[:-1]))}`" if path[:-1] else ""
    hint = _suggestion(name, names)
    if not hint:
        hint = "`workerctl help specs` lists the fields" if model is WorkerSpec else f"it has {', '.join(names)}"
    return Finding(
        path=path, message=f"unknown field `{excerpt(name)}`{inside}", hint=hint, at_key=True, code="unknown"
    )


def _choice_fault(path: Path, value: object) -> Finding:
    choices = _choices_at(path)
    listed = f"{', '.join(choices[:-1])} or {choices[-1]}" if len(choices) > 1 else choices[0]
    if not isinstance(value, str):
        return Finding(path=path, message=f"expected {listed}, got {{got}}")
    hint = _suggestion(value.upper().removeprefix("SIG") if path == ("stop", "signal") else value, choices)
    return Finding(path=path, message=f'expected {listed}, got "{excerpt(value)}"', hint=hint)


def _rule_fault(path: Path, text: str, own: Mapping[str, Any], data: Mapping[str, Any]) -> Finding:
    """A rule over several fields: it stands at the first field it speaks of that a person wrote."""
    message, _, hint = text.partition("; ")
    code = "not_yet" if "not yet supported" in text else "invalid"
    if path:
        return Finding(path=path, message=message, hint=hint, code=code)
    words = [word.strip(",.;:") for word in text.split()]
    named = [word for word in words if word in own] or [word for word in words if word in data]
    return Finding(path=tuple(named[:1]), message=message, hint=hint, is_rule=True, code=code)


def _model_at(path: Path) -> type[BaseModel]:
    model: type[BaseModel] = WorkerSpec
    for step in path:
        annotation = model.model_fields[str(step)].annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            model = annotation
    return model


def _choices_at(path: Path) -> list[str]:
    annotation = _model_at(path[:-1]).model_fields[str(path[-1])].annotation
    choices: list[str] = []
    waiting: list[Any] = [annotation]
    while waiting:
        current = waiting.pop(0)
        if isinstance(current, str):
            choices.append(current)
        else:
            waiting = [*get_args(current), *waiting]
    return choices


def _suggestion(name: str, names: Sequence[str]) -> str:
    by_lower = {known.lower(): known for known in names}
    near = difflib.get_close_matches(name.lower()[:100], by_lower, n=1, cutoff=0.6)
    return f"did you mean `{by_lower[near[0]]}`?" if near else ""


def _has(data: object, path: Path) -> bool:
    node: Any = data
    for step in path:
        if isinstance(node, dict):
            if step not in node:
                return False
        elif not (isinstance(node, list) and isinstance(step, int) and step < len(node)):
            return False
        node = node[step]
    return True


def _at(data: object, path: Path) -> object:
    node: Any = data
    for step in path:
        node = node[step]
    return node


def placed(
    finding: Finding, owners: Sequence[Document], data: Mapping[str, Any], places: Places, worker_id: str | None
) -> Problem:
    """A finding as a problem of the document that says it: the first of `owners` that holds the value."""
    path = finding.path
    owner = next((document for document in owners if _has(document.data, path)), owners[0])
    place = places.find(owner, path, key=finding.at_key)
    value = _at(data, path) if _has(data, path) else None
    text = place.text if place is not None else None
    if path[:1] == ("env",) and len(path) > 1 and names_a_secret(str(path[1])):
        value, text = HIDDEN if isinstance(value, str) else value, HIDDEN
    shown = excerpt(text) if text is not None else str(value).lower() if isinstance(value, bool) else str(value)
    return Problem(
        file=owner.file,
        line=place.line if place is not None else owner.line,
        column=place.column if place is not None else None,
        pointer=pointer(path),
        message=finding.message.replace("{got}", in_words(value, text)),
        hint=finding.hint.replace("{text}", shown),
        worker_id=worker_id,
        code=finding.code,
    )
