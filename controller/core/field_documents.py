"""A field of a spec as plain data, for programs: what `workerctl explain -o json` and `GET /api/v1/explain` show.

Made from fields.py (what a field is), field_examples.py (what a person would write) and schema.py (what a change does).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from controller.core.field_examples import example_of
from controller.core.fields import Field
from controller.core.schema import change_words


def document(field: Field, *, recursive: bool) -> dict[str, Any]:
    """A field for programs. Without `recursive` the fields of a group's groups are names only."""
    facts: dict[str, Any] = {
        "path": field.path,
        "type": field.type,
        "required": field.required,
        "default": field.default or None,
        "constraints": list(field.constraints),
        "description": field.description,
        "effect": field.effect or None,
        "change": change_of(field) or None,
        "example": example_of(field.path) or None,
        "supported": not field.comes_with,
        "comes_with": field.comes_with or None,
    }
    if field.fields:
        facts["fields"] = [
            document(one, recursive=recursive) if recursive or not one.fields else _of_group(one)
            for one in field.fields
        ]
    return facts


def change_of(field: Field) -> str:
    """What a change of it does, in words; empty where that differs by field, or is not known yet."""
    if not field.effect or field.comes_with:
        return ""
    return change_words(next((below.path for below in field.below() if not below.fields), field.path))


def _of_group(group: Field) -> dict[str, Any]:
    """A group with the names of its fields."""
    return {**document(replace(group, fields=()), recursive=False), "fields": [one.path for one in group.fields]}
