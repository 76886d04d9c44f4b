"""Holds an answer against the OpenAPI document, more strictly than clients may: no key that its shape does not name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from controller.api.openapi import document
from controller.api.routes import TABLE, find

BASE = "urn:workerctl:openapi"


def breaches(method: str, target: str, status: int, headers: Mapping[str, str], body: bytes) -> list[str]:
    """What an answer breaks of its contract; empty where it keeps it."""
    path, _, asked = target.partition("?")
    media_type = headers.get("Content-Type", "").partition(";")[0]
    found = find(method, path)
    if found is None or found.route is None:
        return _problem_breaches(status, media_type, body)
    operation = _document()["paths"][found.route.path][found.route.method.lower()]
    declared = operation["responses"].get(str(status))
    if declared is None or "application/problem+json" in declared.get("content", {}):
        return _problem_breaches(status, media_type, body)
    wrong = _parameter_breaches(operation, asked)
    if method == "HEAD" or status in {204, 304}:
        return [*wrong, *(["a body where there must be none"] if body else [])]
    if media_type not in declared["content"]:
        return [*wrong, f"{media_type} is not declared for {status}"]
    if media_type == "application/json":
        wrong += _faults(declared["content"][media_type]["schema"], json.loads(body))
    return wrong


def _problem_breaches(status: int, media_type: str, body: bytes) -> list[str]:
    if media_type != "application/problem+json":
        return [f"{status} as {media_type} is not declared"]
    if not body:
        return []  # HEAD
    told = json.loads(body)
    same = [] if told.get("status") == status else ["the document has another status"]
    return [*same, *_faults({"$ref": "#/components/schemas/Problem"}, told)]


def _parameter_breaches(operation: Mapping[str, Any], asked: str) -> list[str]:
    declared = {entry["name"] for entry in operation["parameters"] if entry["in"] == "query"}
    names = {name for name, _ in parse_qsl(asked, keep_blank_values=True)}
    return [f"?{name}= is taken but not declared" for name in sorted(names - declared)]


def faults_of(shape: str, value: Any) -> list[str]:
    """What is wrong with a value of a named shape."""
    return _faults({"$ref": f"#/components/schemas/{shape}"}, value)


def _faults(schema: Mapping[str, Any], value: Any) -> list[str]:
    validator = Draft202012Validator(_absolute(schema), registry=_registry())
    return [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(value)]


def _absolute(node: Any) -> Any:
    if isinstance(node, list):
        return [_absolute(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    found = {key: _absolute(value) for key, value in node.items()}
    if "$ref" in found:
        found["$ref"] = BASE + found["$ref"]
    if "properties" in found:
        found.setdefault("additionalProperties", False)
    return found


@cache
def _document() -> dict[str, Any]:
    return document(TABLE)


@cache
def _registry() -> Registry[Any]:
    resource = Resource.from_contents(_absolute(_document()), default_specification=DRAFT202012)
    registry: Registry[Any] = Registry().with_resource(BASE, resource)
    return registry
