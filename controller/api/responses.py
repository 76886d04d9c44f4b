"""Every response is made here, so that every response carries the same protective headers.

No response is a page: scripts, frames and sniffing are refused wholesale, nothing is cached (figures and logs age at
once and may be private), and there is no CORS. Text is UTF-8; a character that is none (a lone surrogate) is escaped,
so that one odd byte in a worker's output never costs the whole answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiohttp import web

from controller.api.problem import ApiProblem

JSON = "application/json"
NDJSON = "application/x-ndjson"
PLAIN = "text/plain"
EVENTS = "text/event-stream"
PROBLEM = "application/problem+json"

_HEADERS = {
    "Server": "workerctl",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def encode(value: Any) -> bytes:
    """One JSON value on one line, UTF-8."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")


def lines(items: Iterable[Any]) -> bytes:
    """NDJSON."""
    return b"".join(encode(item) + b"\n" for item in items)


def head(media_type: str, request_id: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The headers of any response. Text carries its charset; JSON is UTF-8 by definition."""
    charset = "; charset=utf-8" if media_type.startswith("text/") else ""
    return {**_HEADERS, "Content-Type": media_type + charset, "X-Request-Id": request_id, **(extra or {})}


def json_response(
    value: Any, request_id: str, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A JSON document, with a final line end for people's terminals."""
    return web.Response(status=status, body=encode(value) + b"\n", headers=head(JSON, request_id, headers))


def body_response(body: bytes, media_type: str, request_id: str) -> web.Response:
    """Bytes of another media type."""
    return web.Response(body=body, headers=head(media_type, request_id))


def page(items: Sequence[Any], next_cursor: str | None) -> dict[str, Any]:
    """The shape of every list."""
    return {"items": list(items), "next_cursor": next_cursor}


def encoded_page(items: Sequence[bytes], next_cursor: str | None) -> bytes:
    """The same, of items that are JSON already."""
    return b'{"items":[' + b",".join(items) + b'],"next_cursor":' + encode(next_cursor) + b"}\n"


def problem_response(problem: ApiProblem, *, instance: str | None, request_id: str) -> web.Response:
    """An error."""
    body = encode(problem.document(instance=instance, request_id=request_id)) + b"\n"
    headers = head(PROBLEM, request_id, problem.headers)
    response = web.Response(status=problem.status, body=body, headers=headers)
    if problem.close:
        response.force_close()
        response.headers["Connection"] = "close"  # also to a client of HTTP/1.0, which aiohttp would not tell
    return response
