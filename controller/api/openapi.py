"""The OpenAPI document: made from the table of routes and the contracts, whole, for one table.

What the document says and what the server does are compared by the tests: every answer in them is held against it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import Any, Protocol

from controller.api.contract import Answer, Contract, Parameter
from controller.api.contracts import CONTRACTS, schema_of
from controller.api.replays import WITHOUT
from controller.api.responses import PROBLEM
from controller.api.shapes import SHAPES, named

_PROBLEM = {"content": {PROBLEM: {"schema": named("Problem")}}}
_IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A text of your own: the same request with it is done once, and answered the same again.",
    "required": False,
    "schema": {"type": "string", "pattern": "^[!-~]{1,128}$"},
}
_WORDS = {
    400: "Malformed, or a wrong parameter.",
    401: "The token is wrong, or its time is over.",
    403: "This token may not do that.",
    404: "There is none.",
    406: "Nothing that `Accept` allows.",
    409: "It conflicts with what is.",
    412: "It was changed since.",
    413: "Too large.",
    415: "Another media type is expected.",
    422: "JSON, but not what is expected.",
    428: "`If-Match` is missing.",
    429: "Too many requests.",
    503: "Not now.",
    504: "Still under way.",
    507: "The disk is full, or cannot be written.",
}


class Row(Protocol):
    """What the document tells of a route. The table itself is not imported: it names what serves this document."""

    @property
    def method(self) -> str:
        """GET, say."""

    @property
    def path(self) -> str:
        """With names in braces."""

    @property
    def handler(self) -> Callable[..., Any]:
        """Its name is the operation's."""

    @property
    def role(self) -> str:
        """Who may."""


def document(table: Iterable[Row]) -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, Any] = {}
    for route in table:
        contract = CONTRACTS[route.method, route.path]
        found = _operation(contract, route.path, route.role)
        found["operationId"] = route.handler.__name__
        if route.method == "POST" and route.role != "worker" and route.path not in WITHOUT:
            found["parameters"].append(_IDEMPOTENCY)
        paths.setdefault(route.path, {})[route.method.lower()] = found
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "workerctl",
            "version": version("workerctl"),
            "description": "Reads snapshots; writes specs and intents. `workerctl help api` explains it.",
        },
        "paths": paths,
        "components": {"schemas": dict(SHAPES)},
    }


def _operation(contract: Contract, path: str, role: str) -> dict[str, Any]:
    parameters = [_path_parameter(name) for name in re.findall(r"\{(\w+)\}", path)]
    parameters += [_parameter(parameter) for parameter in contract.parameters]
    answers = {str(status): _answer(answer) for status, answer in contract.answers.items()}
    problems = {str(status): {"description": _WORDS[status], **_PROBLEM} for status in sorted(contract.problems)}
    found = {
        "summary": contract.summary,
        "x-role": role,
        "parameters": parameters,
        "responses": {**answers, **problems, "default": {"description": "Another problem.", **_PROBLEM}},
    }
    if contract.body is not None:
        content = {media_type: {"schema": schema_of(contract.body)} for media_type in contract.body.types}
        found["requestBody"] = {"required": contract.body.required, "content": content}
    return found


def _answer(answer: Answer) -> dict[str, Any]:
    content = {media_type: {"schema": schema} for media_type, schema in answer.content.items()}
    return {"description": answer.description, **({"content": content} if content else {})}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema = {"type": "array", "items": parameter.schema} if parameter.repeated else parameter.schema
    return {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "required": parameter.required,
        "schema": schema,
    }


def _path_parameter(name: str) -> dict[str, Any]:
    schema = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"}
    return {"name": name, "in": "path", "required": True, "schema": schema}
