"""Generated specs, right and wrong in every field: validation never fails, and agrees with the editors' schema.

What validation refuses and the schema cannot is listed here, and nothing else may differ.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controller.core.schema import editor_schema
from controller.sources.offline import validate
from tests.core.draft7 import faults
from tests.examples import examples

SCHEMA = editor_schema()

BEYOND_THE_SCHEMA = (
    r"can never be used up",  # rules over several fields
    r"replicas goes beyond 65535",
    r"needs exactly one of",
    r"needs a port",
    r"limits nothing",
    r"is missing in `",  # Defaults may bring it
    r"is in `env` too",
    r"depends on itself",
    r"is set by workerctl",
    r"the first is beyond the second|is less than|ends before it begins|expected a status",
    r"expected an integer, got [0-9.]+ \(a number\)",  # draft-07 takes 3.0 for an integer
    r"expected a name or a number, got [0-9.]+ \(a number\)",
    r"`\$\{|`\$\{` without|is not known",  # expansion
    r"a path begins with `/`|leads out of|cannot be read|cannot be the name of",  # what texts name
    r"is one name or number|expected at most 256 characters|number is at most|is no path",
    r"is no regular expression|could take for ever|matches the empty text|is no pattern|NUL byte",
    r"must not be empty|is empty",
)

_ODD = st.sampled_from(
    [None, True, 0, 1, -1, 65536, 10**15, 1.5, 3.0, "", "x", "/", "../x", "a b", "1:2", "x" * 70, "TERM", "022", "${a}",
     "ssh", "docker", "Worker", "Defaults", "Host", [], {}, ["a"], [1], [[1]], {"a": 1}, {"A-B": "x"}, [200, 399], [9],
     "(a+)+b", "[x", {"x": None}, {"file": "/s"}]
)  # fmt: skip
_TEXTS = st.sampled_from(["x", "/a", "022", "web", "TERM", "A=b", "127", "ü", "a\nb", r"\d+", "$", "${ordinal}", ""])
_NAMES = st.sampled_from(["web", "A", "a_b", "database", "A-B", "1x", "PORT", "WORKER_ID", "x" * 64])


def values_of(node: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a field may have, values at and beyond its bounds, and some of another type."""
    if "anyOf" in node:
        return st.one_of(_ODD, *(values_of(part) for part in node["anyOf"]))
    if "enum" in node:
        return st.one_of(st.sampled_from(node["enum"]), _ODD)
    kinds = node.get("type")
    return st.one_of(_ODD, *(_of_type(kind, node) for kind in (kinds if isinstance(kinds, list) else [kinds])))


def _of_type(kind: str | None, node: dict[str, Any]) -> st.SearchStrategy[Any]:
    match kind:
        case "integer":
            low, high = node.get("minimum", 0), node.get("maximum", 10**9)
            return st.one_of(st.sampled_from([low, high, low - 1, high + 1]), st.integers(low, min(high, low + 50)))
        case "number":
            return st.sampled_from([node.get("minimum", 0), 0.5, 1, node.get("maximum", 10), 1e9])
        case "boolean":
            return st.booleans()
        case "string":
            return _TEXTS
        case "array":
            return st.lists(values_of(node.get("items", {})), max_size=3)
        case "object" if "properties" in node:
            fields = {name: values_of(inner) for name, inner in node["properties"].items()}
            return st.fixed_dictionaries({}, optional=fields)
        case "object":
            inner = next(iter(node.get("patternProperties", {}).values()), node.get("additionalProperties", {}))
            return st.dictionaries(_NAMES, values_of(inner), max_size=2)
        case _:
            return _ODD


_FIELDS = {name: values_of(node) for name, node in SCHEMA["properties"].items() if name != "worker_id"}


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    """A worker with one to three fields."""
    names = draw(st.lists(st.sampled_from(sorted(_FIELDS)), min_size=1, max_size=3, unique=True))
    return {"worker_id": "web", **{name: draw(_FIELDS[name]) for name in names}}


@examples(2)
@given(specs())
def test_validation_agrees_with_the_schema_but_for_what_a_schema_cannot_say(spec: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "web.yaml").write_text(json.dumps(spec), "utf-8")
        problems = validate(folder).problems
    refused = faults(SCHEMA, spec)
    assert not refused or problems, refused
    if not refused:
        assert [
            str(problem) for problem in problems if not re.search("|".join(BEYOND_THE_SCHEMA), problem.message)
        ] == []


@examples(1)
@given(specs(), st.sampled_from(["kind", "worker_id", "deployment_type", "host", "depends_on", "env"]), _ODD)
def test_a_spec_with_a_value_of_any_type_is_judged_and_told_by_place(
    spec: dict[str, Any], field: str, value: object
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "sub").mkdir()  # so that it speaks for nobody else where it is Defaults
        (Path(folder) / "sub" / "web.yaml").write_text(json.dumps({**spec, field: value}), "utf-8")
        (Path(folder) / "good.yaml").write_text("worker_id: good\n", "utf-8")
        found = validate(folder)
    assert "good" in found.workers
    assert all(problem.file == "sub/web.yaml" and problem.line and problem.column for problem in found.problems)
