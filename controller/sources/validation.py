"""Validation: the merged fields of one worker to a `WorkerSpec`, or to problems in a person's words.

Called by assembly.py, defaults.py and files.py. Pure. pydantic says what is wrong; the words, the place and the advice
are ours: what was expected, what stands there (never more than 60 characters of it, and no secret), and what to write
instead.
A fault that came with a `kind: Defaults` is reported where it stands, in the Defaults' file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from controller.core.launch_processes import OURS
from controller.core.problems import Problem
from controller.core.redaction import HIDDEN, names_a_secret
from controller.core.spec import KINDS_NOT_YET, NOT_YET, WorkerSpec
from controller.sources.accidents import accident
from controller.sources.documents import DEFAULTS, WORKER, Document, SpecFile, in_words, layered, pointer
from controller.sources.expected import (
    TYPE_WORDS,
    UNION_WORDS,
    amount_words,
    bound_words,
    choice_hint,
    choices_at,
    model_at,
    pattern_words,
    suggestion,
    type_hint,
    type_words,
)
from controller.sources.places import Places
from controller.sources.strict_yaml import MAX_PROBLEMS, Path
from controller.sources.syntax import excerpt

LEAVE_OUT = "leave it out; `workerctl help not-yet` tells what there is meanwhile"
"""What to do about a reserved name. `INSTEAD`: where there is more to say."""

INSTEAD: Mapping[str, str] = MappingProxyType(
    {
        "run": "leave it out; a command that ends with 0 is not run again unless `auto_restart: always`",
        "watch": "leave it out; `workerctl restart NAME` when files have changed",
        "schedule": "leave it out; let cron call `workerctl restart NAME`",
        "update": "leave it out; replicas are replaced one at a time, and a failed one stops the rest",
    }
)


_SOMETIMES_OURS = frozenset({"PORT", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WORKERCTL_URL", "WORKERCTL_HEARTBEAT_TOKEN"})
"""Set only where the spec or the settings ask for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One fault before it is placed.

    `at_key`: the key is wrong, not the value. `is_rule`: it is about several fields, which may come from several files.
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
    """Validates one worker over its Defaults, nearest first. What is wrong with its kind, `judge_kind` tells."""
    try:
        return _judged(document, defaults, places)
    except Exception as error:  # one document; the others are judged all the same
        problem = accident(error, document.file, line=document.line, worker_id=document.worker_id)
        return Judged(spec=None, data=dict(document.data), problems=(problem,))


def _judged(document: Document, defaults: Sequence[Document], places: Places) -> Judged:
    data = layered(document.data, defaults)
    if document.kind not in {WORKER, DEFAULTS}:
        return Judged(spec=None, data=data)
    spec, found = _judge(data, document.data)
    findings = [finding for finding in found if finding.path != ("kind",)]
    if not findings:
        return Judged(spec=spec, data=data)
    owners = (document, *defaults)
    problems = [placed(finding, owners, data, places, document.worker_id) for finding in findings]
    return Judged(spec=None, data=data, problems=tuple(dict.fromkeys(problems)))


def judge_defaults(document: Document, places: Places) -> tuple[Problem, ...]:
    """The problems of a `kind: Defaults` by itself. What only shows once merged is told per worker."""
    try:
        return _faults_of_defaults(document, places)
    except Exception as error:  # one document, as above
        return (accident(error, document.file, line=document.line),)


def _faults_of_defaults(document: Document, places: Places) -> tuple[Problem, ...]:
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


def with_faults_of_values(file: SpecFile) -> SpecFile:
    """A file that is no good YAML, told with what else is wrong in what could be read of it; any other as it is.

    Only what no Defaults and no unread value can explain: faults of one value, and names of fields.
    """
    if not file.problems or not file.documents:
        return file
    places = Places(files={file.path: file})
    told = {(problem.line, problem.column) for problem in file.problems}
    more: list[Problem] = []
    for document in file.documents:
        problems = [placed(one, (document,), document.data, places, None) for one in _faults_of_values(document)]
        kind = judge_kind(document, places)
        problems += [replace(kind, worker_id=None)] if kind is not None else []
        # Where YAML's own fault stands, the data has nothing, which is not what the person wrote.
        more += [problem for problem in problems if (problem.line, problem.column) not in told]
    return replace(file, problems=(*file.problems, *dict.fromkeys(more))[:MAX_PROBLEMS])


def _faults_of_values(document: Document) -> Iterator[Finding]:
    data = {key: value for key, value in document.data.items() if key != "kind"}
    named = document.kind == WORKER and "worker_id" in data
    _, found = _judge(data if named else {**data, "worker_id": "defaults"}, data)
    for finding in found:
        is_whole = document.sound or not (_has(data, finding.path) and _has_gap(_at(data, finding.path)))
        if finding.path and not finding.is_rule and is_whole:
            yield finding


def _has_gap(value: object) -> bool:
    """Whether nothing stands somewhere within a list or mapping."""
    if isinstance(value, dict | list):
        return any(part is None or _has_gap(part) for part in (value.values() if isinstance(value, dict) else value))
    return False


def judge_kind(document: Document, places: Places) -> Problem | None:
    """What is wrong with the document's kind, or None."""
    if document.kind in {WORKER, DEFAULTS}:
        return None
    if document.kind in KINDS_NOT_YET:
        message = f"`kind: {document.kind}` is not yet supported"
        finding = Finding(path=("kind",), message=message, hint=LEAVE_OUT, code="not_yet")
    else:
        message = f"expected Worker or Defaults, got {in_words(document.data['kind'])}"
        finding = Finding(path=("kind",), message=message, hint=suggestion(document.kind, [WORKER, DEFAULTS]))
    return placed(finding, (document,), document.data, places, document.worker_id)


def _judge(data: Mapping[str, Any], own: Mapping[str, Any]) -> tuple[WorkerSpec | None, list[Finding]]:
    findings = [*_not_yet(data)]
    refused = {finding.path[0] for finding in findings if finding.at_key}
    findings += _ours(data)
    fields = {key: value for key, value in data.items() if key not in refused}
    try:
        spec = WorkerSpec.model_validate(fields)
    except ValidationError as error:
        details = error.errors(include_url=False)
        found = [(_path_of(detail, fields), detail) for detail in details[:MAX_PROBLEMS]]
        findings += [_fault(path, detail, fields, own) for path, detail in _without_alternatives(found)]
        if len(details) > MAX_PROBLEMS:
            message = f"more than {MAX_PROBLEMS} problems in one spec"
            findings.append(Finding(path=(), message=message, hint="correct these first", code="too_large"))
        return None, findings
    return spec, findings


def _not_yet(data: Mapping[str, Any]) -> Iterator[Finding]:
    for name in NOT_YET:
        if name in data:
            message = f"`{name}` is not yet supported"
            yield Finding(path=(name,), message=message, hint=INSTEAD.get(name, LEAVE_OUT), at_key=True, code="not_yet")
    deployment, host = data.get("deployment_type"), data.get("host")
    if isinstance(deployment, str) and deployment in {"ssh", "docker", "kubernetes"}:
        message = f"`deployment_type: {deployment}` is not yet supported"
        yield Finding(path=("deployment_type",), message=message, hint="only `local` is", code="not_yet")
    if isinstance(host, str) and host not in {"localhost", ""}:
        message = f'host "{excerpt(host)}" is not known: other hosts are not yet supported'
        yield Finding(path=("host",), message=message, hint="only `localhost` is", code="not_yet")


def _ours(data: Mapping[str, Any]) -> Iterator[Finding]:
    """Variables that a spec cannot set: a value there would be lost without a word."""
    env = data.get("env")
    for name in env if isinstance(env, Mapping) else ():
        if name in OURS - _SOMETIMES_OURS or (name == "PORT" and data.get("port") is not None):
            hint = "remove `port`, or this line" if name == "PORT" else "remove it, or use another name"
            message = f"`{name}` is set by workerctl for every instance; a spec cannot set it"
            yield Finding(path=("env", name), message=message, hint=hint, at_key=True)


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
        if path and path[0] in UNION_WORDS:
            others = [other for other, _ in found if other[:1] == path[:1]]
            deeper = any(len(other) > len(path) for other in others)
            if deeper or any(other == path for other, _ in kept):
                continue
        kept.append((path, detail))
    return kept


def _fault(path: Path, detail: ErrorDetails, data: Mapping[str, Any], own: Mapping[str, Any]) -> Finding:
    value, kind, context = detail["input"], detail["type"], detail.get("ctx", {})
    if path and path[0] in UNION_WORDS and len(path) == 1:
        return _type_fault(path, UNION_WORDS[str(path[0])], value)
    match kind:
        case "missing":
            return _missing_field(path)
        case "extra_forbidden":
            return _unknown_field(path)
        case "value_error":
            finding = _rule_fault(path, str(context["error"]), own, data)
            return replace(finding, is_rule=finding.is_rule or isinstance(value, Mapping))
        case "literal_error":
            return _choice_fault(path, value)
        case _ if kind in TYPE_WORDS:
            return _type_fault(path, type_words(path, kind), value)
        case _:
            return _value_fault(path, detail)


def _value_fault(path: Path, detail: ErrorDetails) -> Finding:
    value, kind, context = detail["input"], detail["type"], detail.get("ctx", {})
    at_key = detail["loc"][-1:] == ("[key]",)
    match kind:
        case "string_pattern_mismatch":
            words = pattern_words(path, at_key=at_key)
            got = in_words(value) if at_key or path[:1] != ("secrets",) else "another text"
            return Finding(path=path, message=f"expected {words}, got {got}", at_key=at_key)
        case "string_too_short" | "too_short" if context["min_length"] == 1:
            return Finding(path=path, message="must not be empty", at_key=at_key)
        case _:
            message = f"expected {bound_words(kind, context)}, got {amount_words(value)}"
            return Finding(path=path, message=message, at_key=at_key)


def _type_fault(path: Path, expected: str, value: object) -> Finding:
    """The `got` is filled in once the place, and with it the text that a person wrote, is known."""
    return Finding(path=path, message=f"expected {expected}, got {{got}}", hint=type_hint(path, expected, value))


def _missing_field(path: Path) -> Finding:
    name, group = str(path[-1]), path[:-1]
    if not group:
        return Finding(path=(), message=f"`{name}` is missing", hint="every worker needs one")
    message = f"`{name}` is missing in `{'.'.join(map(str, group))}`"
    return Finding(path=group, message=message, hint=type_hint(group, "a mapping", ""), is_rule=True)


def _unknown_field(path: Path) -> Finding:
    name = str(path[-1])
    model = model_at(path[:-1])
    names = [*model.model_fields, *(NOT_YET if model is WorkerSpec else ())]
    inside = f" in `{'.'.join(map(str, path[:-1]))}`" if path[:-1] else ""
    hint = suggestion(name, names)
    if not hint:
        hint = "`workerctl help specs` lists the fields" if model is WorkerSpec else f"it has {', '.join(names)}"
    return Finding(
        path=path, message=f"unknown field `{excerpt(name)}`{inside}", hint=hint, at_key=True, code="unknown"
    )


def _choice_fault(path: Path, value: object) -> Finding:
    choices = choices_at(path)
    listed = f"{', '.join(choices[:-1])} or {choices[-1]}" if len(choices) > 1 else choices[0]
    got = f'"{excerpt(value)}"' if isinstance(value, str) else "{got}"
    return Finding(path=path, message=f"expected {listed}, got {got}", hint=choice_hint(path, value, choices))


def _rule_fault(path: Path, text: str, own: Mapping[str, Any], data: Mapping[str, Any]) -> Finding:
    """A rule over several fields: it stands at the first field it speaks of that a person wrote."""
    message, _, hint = text.partition("; ")
    code = "not_yet" if "not yet supported" in text else "invalid"
    if path:
        return Finding(path=path, message=message, hint=hint, code=code)
    words = [word.strip(",.;:") for word in text.split()]
    named = [word for word in words if word in own] or [word for word in words if word in data]
    return Finding(path=tuple(named[:1]), message=message, hint=hint, is_rule=True, code=code)


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
    if path[:1] == ("secrets",) or (path[:1] == ("env",) and len(path) > 1 and names_a_secret(str(path[1]))):
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
