"""How a request's body is read: after all checks, whole, within a size and a time.

It is JSON in the strict sense (no NaN, no repeated keys) and then a pydantic model. Not JSON is 400; JSON that does not
fit the model is 422 with all faults.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NoReturn, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from controller.api.call import Call
from controller.api.problem import ApiProblem, Fault, suggestion

_Body = TypeVar("_Body", bound=BaseModel)
_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "bool_type": "true or false",
        "int_type": "an integer",
        "model_type": "an object",
        "string_type": "a string",
    }
)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


async def read_body(call: Call, model: type[_Body]) -> _Body:
    """The request's JSON body as a model; no body is the model's defaults. Raises ApiProblem."""
    if not call.request.body_exists:
        return model()
    if call.request.content_type != "application/json":
        raise ApiProblem(
            status=415,
            code="wrong_content_type",
            detail="send the body with Content-Type: application/json",
            close=True,
        )
    value = _parse(await _read(call))
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = tuple(_fault(entry, model) for entry in error.errors(include_url=False))
        raise ApiProblem(
            status=422, code="invalid_body", detail="the body is JSON but not what is expected here", errors=faults
        ) from None


async def read_object(call: Call, *types: str) -> dict[str, Any]:
    """The request's JSON object, sent as one of these media types. Raises ApiProblem."""
    if call.request.content_type not in types:
        detail = f"send the body with Content-Type: {' or '.join(types)}"
        raise ApiProblem(status=415, code="wrong_content_type", detail=detail, close=call.request.body_exists)
    value = _parse(await _read(call))
    if not isinstance(value, dict):
        fault = Fault(message="expected an object", pointer="")
        raise ApiProblem(status=422, code="invalid_body", detail="the body is not a JSON object", errors=(fault,))
    return value


def too_large(limit: int) -> ApiProblem:
    """413."""
    return ApiProblem(status=413, code="body_too_large", detail=f"a body may have {limit} bytes", close=True)


async def _read(call: Call) -> bytes:
    """The body's bytes, within the limits."""
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
    """Strict JSON. The parser's own message names only positions, so it may be shown."""
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except UnicodeDecodeError:
        message = "it is not UTF-8"
    except RecursionError:
        message = "it is nested too deeply"
    except json.JSONDecodeError as error:
        message = f"{error.msg} (line {error.lineno}, column {error.colno})"
    except ValueError as error:
        message = str(error)
    raise ApiProblem(status=400, code="not_json", detail=f"the body is not JSON: {message}")


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
    unknown = entry["type"] == "extra_forbidden"
    return Fault(
        message="unknown field" if unknown else _words(entry),
        pointer="".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location),
        hint=suggestion(str(location[-1]), model.model_fields) if unknown else None,
    )


def _words(entry: Any) -> str:
    """What was expected, in a person's words. What was sent is not repeated: it may be anything."""
    kind, context = entry["type"], entry.get("ctx", {})
    match kind:
        case "greater_than_equal":
            return f"expected at least {context['ge']}"
        case "less_than_equal":
            return f"expected at most {context['le']}"
        case "string_too_long":
            return f"expected at most {context['max_length']} characters"
        case "string_pattern_mismatch" if entry["loc"][-1:] == ("confirm",):
            return "expected a digest as `workerctl plan` shows it"
        case "string_pattern_mismatch":
            return "expected one line of text without control characters"
        case _:
            return f"expected {_TYPES.get(kind, 'another value')}"
