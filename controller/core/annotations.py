"""Problems in the formats that code hosts show beside the lines: GitHub's workflow commands, and SARIF 2.1.0.

Called by `workerctl validate`. Pure. Paths in problems are relative to the specs directory, annotations need them
relative to the repository: `folder` is put before them.

In both formats a problem without a line (a file that cannot be read) is shown at the file's first line, because code
hosts drop what has none. Columns count characters from 1, as ours do. Braces in messages stay single, although SARIF
would have them doubled: viewers show a message without arguments as it stands, and `${name}` must be read as written.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from controller.core.problems import Problem

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"

RULES: Mapping[str, str] = MappingProxyType(
    {
        "circle": "Workers depend on each other in a circle.",
        "conflict": "A file holds unresolved merge conflicts.",
        "duplicate": "A worker, or the Defaults of a directory, stand in more than one place.",
        "duplicate_key": "A mapping has the same key twice.",
        "empty_file": "A file that defined workers is empty.",
        "encoding": "A file is not UTF-8 text.",
        "env_file": "An env file is missing, wrong, or out of bounds.",
        "internal": "A fault of workerctl kept it from reading the file.",
        "invalid": "A value is not what its field takes.",
        "not_yet": "A field or value is reserved, but not yet supported.",
        "port_overlap": "Two workers ask for the same port.",
        "removal_held": "A worker goes on because its removal is not certain.",
        "syntax": "A file is no valid YAML.",
        "tag": "YAML tags are not supported.",
        "too_large": "A file is too large, too deep, or has too much in it.",
        "unknown": "A field does not exist.",
        "unreadable": "A file or directory cannot be read.",
        "yaml": "A YAML value is ambiguous or has the wrong form.",
    }
)
"""Every code that a problem may have, and what it means."""


def place_in(folder: str, file: str) -> str:
    """`file` as seen from where `folder` is relative to. A problem of the directory itself names it already."""
    if file == folder or posixpath.isabs(file):
        return file
    return posixpath.normpath(posixpath.join(folder, file))


# --- GitHub ------------------------------------------------------------------------------------------------------


def workflow_commands(problems: Sequence[Problem], folder: str) -> Iterator[str]:
    """One `::error file=...,line=...,col=...::message` per problem; the hint is a second line of its message."""
    for problem in problems:
        place = [f"file={_property(place_in(folder, problem.file))}", f"line={problem.line or 1}"]
        if problem.line is not None and problem.column is not None:
            place.append(f"col={problem.column}")
        text = f"{problem.message}\n{problem.hint}" if problem.hint else problem.message
        yield f"::error {','.join(place)}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


# --- SARIF -------------------------------------------------------------------------------------------------------


def sarif(problems: Sequence[Problem], folder: str, *, version: str) -> dict[str, Any]:
    """The log of one run, as a JSON document. `version` is the program's. Told are the rules that were broken."""
    codes = sorted({problem.code for problem in problems})
    driver = {
        "name": "workerctl",
        "version": version,
        "rules": [
            {"id": code, "shortDescription": {"text": RULES.get(code, "A spec is not valid.")}} for code in codes
        ],
    }
    results = [_result(problem, folder, codes.index(problem.code)) for problem in problems]
    return {
        "$schema": SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }


def _result(problem: Problem, folder: str, rule: int) -> dict[str, Any]:
    region: dict[str, int] = {"startLine": problem.line or 1}
    if problem.line is not None and problem.column is not None:
        region["startColumn"] = problem.column
    text = f"{problem.message}. {problem.hint[0].upper()}{problem.hint[1:]}." if problem.hint else f"{problem.message}."
    location: dict[str, Any] = {
        "physicalLocation": {"artifactLocation": _artifact(place_in(folder, problem.file)), "region": region}
    }
    if problem.worker_id is not None:
        name = problem.worker_id + problem.pointer
        location["logicalLocations"] = [{"fullyQualifiedName": name}]
    return {
        "ruleId": problem.code,
        "ruleIndex": rule,
        "level": "error",
        "message": {"text": _plain(text)},
        "locations": [location],
    }


def _artifact(path: str) -> dict[str, str]:
    """A path as a URI, relative to the repository where it lies in it."""
    uri = quote(path.encode(errors="surrogateescape"), safe="/~")
    return {"uri": f"file://{uri}"} if path.startswith("/") else {"uri": uri, "uriBaseId": "%SRCROOT%"}


def _plain(text: str) -> str:
    """Text without the marks of Markdown, and without what SARIF takes for a link: `](`."""
    return text.replace("`", "'").replace("](", "] (").replace("?.", "?")
