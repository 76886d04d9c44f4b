"""The parts that a contract is made of: parameters, body, answers. contracts.py has the contracts themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel

from controller.api.responses import JSON
from controller.api.shapes import COUNT, TEXT, Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of the query or one header. `repeated`: may be given several times."""

    name: str
    schema: Schema
    description: str
    place: str = "query"
    repeated: bool = False
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What is sent: a model, or a schema. `types` are the media types that are taken."""

    schema: Schema | type[BaseModel]
    types: tuple[str, ...] = (JSON,)
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One expected answer: what it means, and its shape by media type (none: no content)."""

    description: str
    content: Mapping[str, Schema] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """See the header."""

    summary: str
    answers: Mapping[int, Answer]
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    problems: tuple[int, ...] = ()


def json_of(description: str, schema: Schema, *others: str) -> Answer:
    """An answer in JSON; `others` are media types whose content is text."""
    return Answer(description=description, content={JSON: schema, **dict.fromkeys(others, TEXT)})


def query(name: str, schema: Schema, description: str, *, repeated: bool = False) -> Parameter:
    """A parameter of the query."""
    return Parameter(name=name, schema=schema, description=description, repeated=repeated)


def flag(name: str, description: str) -> Parameter:
    """1 or 0."""
    return query(name, {"type": "string", "enum": ["1", "0", "true", "false", ""]}, description)


def number(name: str, low: int, high: int, description: str) -> Parameter:
    """A whole number."""
    return query(name, {"type": "integer", "minimum": low, "maximum": high}, description)


FOLLOW = flag("follow", "Keep the answer open and send what is new: NDJSON, or server-sent events by `Accept`.")
AFTER = query("after", COUNT, "Go on after this cursor.")
LAST_EVENT = Parameter(
    name="Last-Event-ID", schema=TEXT, description="The id of the last event seen: resumes a stream.", place="header"
)
