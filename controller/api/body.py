"""How a request's body is read: after all checks, whole, within a size and a time.

It is JSON in the strict sense (no NaN, no repeated keys) and then a pydantic model. Not JSON is 400; JSON that does not
fit the model is 422 with all faults, of which so many are told as a person may read. What costs time for each value
(to judge it, to write it, to find a word like it) would stop everybody else for seconds where a megabyte is nothing but
values: so a body has far fewer than fit into it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NoReturn, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from controller.api.call import Call
from controller.api.problem import ApiProblem, Fault, suggestion

MAX_VALUES = 10_000
MAX_DEPTH = 100
MAX_FAULTS = 100

_Body = TypeVar("_Body", bound=BaseModel)
_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "bool_type": "true or false",
        "dict_type": "an object",
        "float_parsing": "a number",
        "float_type": "a number",
        "int_type": "an integer",
        "list_type": "a list",
        "model_type": "an object",
        "string_type": "a string",
    }
)
_BOUNDS: Mapping[str, str] = MappingProxyType(
    {
        "missing": "this is needed",
        "literal_error": "expected {expected}",
        "greater_than_equal": "expected at least {ge}",
        "less_than_equal": "expected at most {le}",
        "string_too_short": "expected some text",
        "string_too_long": "expected at most {max_length} characters",
        "too_long": "expected at most {max_length} of them",
    }
)
_TOO_DEEP = "it is nested too deeply"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


async def read_body(call: Call, model: type[_Body]) -> _Body:
    """The request's JSON body as a model; no body is the model's defaults. Raises ApiProblem."""
    if not call.request.body_exists:
        return _fitting({}, model)
    if call.request.content_type != "application/json":
        raise ApiProblem(
            status=415,
            code="wrong_content_type",
            detail="send the body with Content-Type: application/json",
            close=True,
        )
    return _fitting(_parse(await read_content(call)), model)


def _fitting(value: Any, model: type[_Body]) -> _Body:
    """The value as a model. Raises ApiProblem with all that does not fit."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        faults = tuple(_fault(entry, model) for entry in found[:MAX_FAULTS])
        if len(found) > MAX_FAULTS:
            faults += (Fault(message=f"{len(found) - MAX_FAULTS} more faults", hint="correct these first"),)
        raise ApiProblem(
            status=422, code="invalid_body", detail="the body is JSON but not what is expected here", errors=faults
        ) from None


async def read_object(call: Call, *types: str) -> dict[str, Any]:
    """The request's JSON object, sent as one of these media types. Raises ApiProblem."""
    if call.request.content_type not in types:
        detail = f"send the body with Content-Type: {' or '.join(types)}"
        raise ApiProblem(status=415, code="wrong_content_type", detail=detail, close=call.request.body_exists)
    value = _parse(await read_content(call))
    if not isinstance(value, dict):
        fault = Fault(message="expected an object", pointer="")
        raise ApiProblem(status=422, code="invalid_body", detail="the body is not a JSON object", errors=(fault,))
    return value


async def read_text(call: Call) -> str:
    """The request's body as text. Raises ApiProblem."""
    try:
        return (await read_content(call)).decode("utf-8")
    except UnicodeDecodeError:
        raise ApiProblem(status=400, code="not_text", detail="the body is not UTF-8") from None


def too_large(limit: int) -> ApiProblem:
    """413."""
    return ApiProblem(status=413, code="body_too_large", detail=f"a body may have {limit} bytes", close=True)


async def read_content(call: Call) -> bytes:
    """The body's bytes, within the limits. Raises ApiProblem."""
    if call.content is not None:
        return call.content
    request, limits = call.request, call.connection.limits
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(_CONTINUE)
        request.writer.output_size = 0  # not yet part of the response
    body = bytearray()
    try:
        async with asyncio.timeout(limits.body_s):
            async for piece in request.content.iter_any():
                body += piece
                if len(body) > limits.body_bytes:
                    raise too_large(limits.body_bytes)
    except TimeoutError:
        raise ApiProblem(status=408, code="body_too_slow", detail="the body did not arrive", close=True) from None
    except web.RequestPayloadError:  # aiohttp's parser in Python tells it here, the one in C before
        raise ApiProblem(status=400, code="malformed_request", detail="the body is damaged", close=True) from None
    return bytes(body)


def _parse(body: bytes) -> Any:
    """Strict JSON of not too many values and levels."""
    value = _loaded(body)
    left, depth, level = MAX_VALUES, 0, [value]
    while level:
        left, depth = left - len(level), depth + 1
        if left < 0:
            raise ApiProblem(status=413, code="too_many_values", detail=f"a body may have {MAX_VALUES} values")
        if depth > MAX_DEPTH:  # how deep Python's own parser goes differs by its version
            raise _no_json(_TOO_DEEP)
        level = [inner for one in level for inner in _within(one)]
    return value


def _within(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _loaded(body: bytes) -> Any:
    """Strict JSON. The parser's own message names only positions, so it may be shown."""
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except UnicodeDecodeError:
        message = "it is not UTF-8"
    except RecursionError:
        message = _TOO_DEEP
    except json.JSONDecodeError as error:
        message = f"{error.msg} (line {error.lineno}, column {error.colno})"
    except ValueError as error:
        message = str(error)
    raise _no_json(message)


def _no_json(why: str) -> ApiProblem:
    """400."""
    return ApiProblem(status=400, code="not_json", detail=f"the body is not JSON: {why}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, unless a key stands in it twice: readers disagree on which one counts."""
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key is repeated")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _fault(entry: Any, model: type[BaseModel]) -> Fault:
    """One fault of a body, with a suggestion where a name is misspelt."""
    location = entry["loc"]
    if _is_of_a_name(entry):
        location = location[:-1]  # pydantic's "[key]" is no part of the body
    unknown = entry["type"] == "extra_forbidden"
    return Fault(
        message="unknown field" if unknown else _words(entry),
        pointer="".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location),
        hint=suggestion(str(location[-1]), model.model_fields) if unknown else None,
    )


def _is_of_a_name(entry: Any) -> bool:
    """Whether a key of a mapping is the fault, not what stands below it."""
    return bool(entry["type"] == "string_pattern_mismatch" and entry["loc"][-1:] == ("[key]",))


def _words(entry: Any) -> str:
    """What was expected, in a person's words. What was sent is not repeated: it may be anything."""
    kind, context = entry["type"], entry.get("ctx", {})
    if kind in _BOUNDS:
        return _BOUNDS[kind].format(**context)
    match kind:
        case "string_pattern_mismatch" if entry["loc"][-1:] == ("confirm",):
            return "expected a digest as `workerctl plan` shows it"
        case "string_pattern_mismatch" if "worker_ids" in entry["loc"]:
            return "expected the name of a worker"
        case "string_pattern_mismatch" if _is_of_a_name(entry):
            return "expected a name of letters, digits and _ . : -, at most 64 characters, a letter or _ first"
        case "string_pattern_mismatch" if entry["loc"][-1:] == ("source",):
            return "expected a name of letters, digits and _ . : -, at most 64 characters"
        case "not_rising" | "too_large":
            return str(entry["msg"])
        case "string_pattern_mismatch":
            return "expected one line of text without control characters"
        case _:
            return f"expected {_TYPES.get(kind, 'another value')}"
