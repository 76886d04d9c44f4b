"""What a field of a spec expects, and what a person may have meant instead: words and hints for validation.py.

Pure. The types come from the models; here stands only what those cannot say: advice for values that people write
because another tool takes them (`10s`, `512M`, `service_healthy`, a list where we have a mapping).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from controller.core.spec import WorkerSpec
from controller.core.spec_processes import HOOKS, PROBES, UMASK
from controller.sources.documents import in_words
from controller.sources.strict_yaml import Path
from controller.sources.syntax import excerpt

LABEL_WORDS = "a name of a-z, 0-9 and '-' (at most 63 characters, no '-' at either end)"
UMASK_WORDS = 'three octal digits in quotes, as in "022"'
EXEC_HINT = 'write `exec: [COMMAND, ARGUMENT]`, or `exec: [/bin/sh, -c, "..."]` for a shell'
VARIABLE_WORDS = "a name of letters, digits and '_', no digit first"

# Fields that take more than one type: pydantic reports each alternative, a person needs one sentence.
UNION_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "command": "a list of strings or a string, not empty",
        "auto_restart": "true, false, on_failure, always or never",
    }
)
TYPE_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "string_type": "a string",
        "int_type": "an integer",
        "int_from_float": "an integer",
        "float_type": "a number",
        "bool_type": "true or false",
        "list_type": "a list",
        "dict_type": "a mapping",
        "model_type": "a mapping",
    }
)
_YAML_1_1_BOOLS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
_MEANT = {
    "service_started": "started",
    "running": "started",
    "process_started": "started",
    "service_healthy": "ready",
    "healthy": "ready",
    "process_healthy": "ready",
}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")
_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*(%|m)")
_MS = {"ms": 1, "s": 1000, "sec": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_BYTES = {"b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


def model_at(path: Path) -> type[BaseModel]:
    """The model of the group at `path`; that of the spec where there is no group."""
    found = _bare(_annotation_at(path))
    return found if isinstance(found, type) and issubclass(found, BaseModel) else WorkerSpec


def choices_at(path: Path) -> list[str]:
    """The words that the field at `path` takes."""
    if path[:1] == ("depends_on",):
        return ["started", "ready"]  # `completed` is known, but refused
    choices: list[str] = []
    waiting: list[Any] = [_annotation_at(path)]
    while waiting:
        current = waiting.pop(0)
        if isinstance(current, str):
            choices.append(current)
        else:
            waiting = [*get_args(current), *waiting]
    return choices


def _annotation_at(path: Path) -> Any:
    annotation: Any = WorkerSpec
    for step in path:
        bare = _bare(annotation)
        if isinstance(bare, type) and issubclass(bare, BaseModel):
            field = bare.model_fields.get(str(step))
            annotation = None if field is None else field.annotation
        else:
            annotation = (get_args(bare) or (None,))[-1]  # of a mapping its values, of a list its items
    return annotation


def _bare(annotation: Any) -> Any:
    """The type itself, without what it is annotated with and without `| None`."""
    origin = get_origin(annotation)
    if origin is Annotated or origin in (Union, UnionType):
        return _bare(next(part for part in get_args(annotation) if part is not type(None)))
    return annotation


def type_words(path: Path, kind: str) -> str:
    """The type that the field at `path` expects, where pydantic said `kind`."""
    if path in {("user",), ("group",)}:
        return "a name or a number"
    if path == ("umask",):
        return UMASK_WORDS
    return TYPE_WORDS[kind]


# --- words --------------------------------------------------------------------------------------------------------


def pattern_words(path: Path, *, at_key: bool) -> str:
    """What a text that does not match its pattern should have been."""
    if path == ("worker_id",) or (path[:1] == ("depends_on",) and at_key):
        return LABEL_WORDS
    return UMASK_WORDS if path == ("umask",) else VARIABLE_WORDS


def bound_words(kind: str, context: Mapping[str, Any]) -> str:
    """A bound that a value does not keep."""
    match kind:
        case "greater_than_equal":
            return f"at least {_number(context['ge'])}"
        case "less_than_equal":
            return f"at most {_number(context['le'])}"
        case "greater_than":
            return f"more than {_number(context['gt'])}"
        case "string_too_long":
            return f"at most {context['max_length']} characters"
        case "finite_number":
            return "a finite number"
        case _:
            return f"another value ({kind.replace('_', ' ')})"


def _number(bound: float) -> str:
    return f"{bound:g}" if bound < 1_000_000 else f"{int(bound)}"


def amount_words(value: object) -> str:
    """A value that is out of bounds, as it stands behind `got`."""
    return f"{len(value)} characters" if isinstance(value, str) else in_words(value)


def suggestion(name: str, names: Sequence[str]) -> str:
    """The near one among `names`, as a question."""
    by_lower = {known.lower(): known for known in names}
    text = name.lower()[:100]
    alike = difflib.get_close_matches(text, by_lower, n=5, cutoff=0.6)
    near = [known for known in alike if _is_near(text, known)]
    return f"did you mean `{by_lower[near[0]]}`?" if near else ""


def _is_near(text: str, known: str) -> bool:
    """A slip (`replcas`, `nmae`), a part or an abbreviation (`cmd`); `status` and `startup` are only alike."""
    ratio = difflib.SequenceMatcher(None, text, known).ratio()
    if ratio >= 0.8 or (ratio >= 0.7 and len(text) == len(known)):
        return True
    letters = iter(known)
    abbreviates = text[0] == known[:1] and all(letter in letters for letter in text)
    return len(text) > 2 and (abbreviates or text in known or known in text)


def choice_hint(path: Path, value: object, choices: Sequence[str]) -> str:
    """Which of `choices` was meant."""
    if path[:1] == ("depends_on",) and not isinstance(value, str):
        return f"write `{path[-1]}: started` or `{path[-1]}: ready`"
    if not isinstance(value, str):
        return ""
    if path[:1] == ("depends_on",) and value.lower() in _MEANT:
        return f"write `{path[-1]}: {_MEANT[value.lower()]}`"
    return suggestion(value.upper().removeprefix("SIG") if path == ("stop", "signal") else value, choices)


# --- hints about types --------------------------------------------------------------------------------------------


def type_hint(path: Path, expected: str, value: object) -> str:
    """What to write instead of a value of the wrong type. `{text}` is what stands in the file."""
    special = _special_hint(path, value) if path else ""
    if special:
        return special
    key = path[-1] if path else ""
    name = f"{key}: " if isinstance(key, str) else ""
    if value is None:
        return f'write `{name}""` for an empty string, or remove the line' if expected == "a string" else "give a value"
    if expected == "a string" and isinstance(value, bool | int | float):
        return f'write `{name}"{{text}}"`'
    if expected.startswith("a list") and not isinstance(value, dict | list):
        return _item_hint(path, name, value)
    if isinstance(value, str):
        return _unquoted_hint(name, expected, value.strip())
    if expected == "an integer" and isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return f"write `{name}{int(value)}`"
    return ""


def _item_hint(path: Path, name: str, value: object) -> str:
    """One value where a list of such is expected."""
    text = value.strip() if isinstance(value, str) else "{text}"
    if _bare(_annotation_at((*path, 0))) is not int:
        return f'write `{name}["{excerpt(text)}"]`' if text else ""
    is_number = text.isascii() and text.isdigit() if isinstance(value, str) else type(value) is int
    return f"write `{name}[{text}]`" if is_number else ""


def _special_hint(path: Path, value: object) -> str:
    """How a group is written, for those who wrote something else in its place."""
    if path[:1] == ("umask",):
        is_octal = isinstance(value, int) and not isinstance(value, bool) and re.fullmatch(UMASK, f"{value:03}")
        return f'write `umask: "{value:03}"`' if is_octal else ""
    if path[0] in PROBES and len(path) <= 2:
        return _probe_hint(path, value)
    match path:
        case ("secrets",):
            return "write `secrets: {NAME: {file: PATH}}` or `{NAME: {env: VARIABLE}}`"
        case ("secrets", name):
            return f"write `{name}: {{file: PATH}}` or `{name}: {{env: VARIABLE}}`; a value never stands in a spec"
        case ("hooks", _, "exec") if isinstance(value, str):
            return EXEC_HINT
        case ("hooks", moment) if moment in HOOKS:
            return f"write `{moment}: {{exec: [COMMAND, ARGUMENT]}}`"
        case ("depends_on",):
            return "write `depends_on: {NAME: started}` or `{NAME: ready}`"
    return ""


def _probe_hint(path: Path, value: object) -> str:
    match path:
        case (probe,):
            return f"write `{probe}: {{http: {{path: /}}}}`, or `tcp`, `exec` or `log_line` in place of `http`"
        case (_, "http"):
            return "write `http: {path: /}`"
        case (_, "tcp"):
            return "write `tcp: {port: 4000}`, or `tcp: {}` for the instance's own port"
        case (_, "exec") if isinstance(value, str):
            return EXEC_HINT
        case (_, "heartbeat"):
            return "write `heartbeat: {timeout_ms: 30000}`"
    return ""


def _unquoted_hint(name: str, expected: str, text: str) -> str:
    """What a string could have been meant as."""
    if expected in {"an integer", "a number"}:
        digits = text.replace("_", "")
        if digits.isascii() and digits.isdigit():
            return f"write `{name}{digits}`"
        return _unit_hint(name, text)
    meant = _YAML_1_1_BOOLS.get(text.lower(), text.lower())
    if expected.startswith("true") and meant in {"true", "false"}:
        return f"write `{name}{meant}`"
    return ""


def _unit_hint(name: str, text: str) -> str:
    """`10s`, `512M` and `150%` of a processor in the unit that the field tells."""
    share = _SHARE.fullmatch(text) if name == "cpu: " else None
    if share is not None:
        return f"write `cpu: {float(share[1]) / (100 if share[2] == '%' else 1000):g}`"
    found = _AMOUNT.fullmatch(text)
    if found is None:
        return ""
    unit = found[2].lower()
    factor = _MS.get(unit) if name.endswith("_ms: ") else None
    if name.endswith("_bytes: "):
        factor = _BYTES.get(unit.removesuffix("b").removesuffix("i") or "b")
    return "" if factor is None else f"write `{name}{round(float(found[1]) * factor)}`"
