"""Errors as the API shows them: application/problem+json (RFC 9457), always the same eight members.

A handler raises `ApiProblem`; dispatch.py turns it into a response. Nothing that a client sent is quoted in a title,
and nothing of ours (paths, tracebacks) in an internal error.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from controller.core.problems import Problem

_REFUSALS = {"draining": 503, "not_pushed": 503, "disk_full": 507, "state_unwritable": 507}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One entry of `errors`. `pointer` is a JSON pointer into the body, or `/query/NAME` for a parameter."""

    message: str
    pointer: str | None = None
    file: str | None = None
    line: int | None = None
    column: int | None = None
    hint: str | None = None

    def document(self) -> dict[str, Any]:
        """As it is sent: all six members, always."""
        return {
            "pointer": self.pointer,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "message": self.message,
            "hint": self.hint,
        }


@dataclass(kw_only=True, eq=False)
class ApiProblem(Exception):
    """The request cannot be answered as asked.

    `headers` go with the response. `extra` are further members of the document. `close`: the connection is of no more
    use (an unread body may follow).
    """

    status: int
    code: str
    detail: str
    errors: tuple[Fault, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    close: bool = False

    def document(self, *, instance: str | None, request_id: str) -> dict[str, Any]:
        """As it is sent."""
        return {
            "type": f"urn:workerctl:problem:{self.code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
            "code": self.code,
            "errors": [fault.document() for fault in self.errors],
            "request_id": request_id,
            **self.extra,
        }


def from_problem(problem: Problem) -> Fault:
    """A fault of a person's file, as an entry of `errors`."""
    return Fault(
        message=problem.message,
        pointer=problem.pointer or None,
        file=problem.file or None,
        line=problem.line,
        column=problem.column,
        hint=problem.hint or None,
    )


def refused(
    code: str,
    message: str,
    *,
    hint: str = "",
    problems: Iterable[Problem] = (),
    retry_after_s: int | None = None,
) -> ApiProblem:
    """What cannot be done as things are: 409; 503 while we or the remote are away, 507 without room.

    The same answer for the same outcome, whatever was asked for. A general hint stands as an entry of its own.
    """
    faults = [from_problem(problem) for problem in problems]
    if hint:
        faults.append(Fault(message=message, hint=hint))
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    status = _REFUSALS.get(code, 409)
    return ApiProblem(status=status, code=code, detail=message, errors=tuple(faults), headers=headers)


def suggestion(name: str, known: Iterable[str]) -> str | None:
    """`did you mean X?` for a misspelt name, or None."""
    close = difflib.get_close_matches(name[:64], sorted(known), n=1)
    return f"did you mean {close[0]}?" if close else None


def unknown_worker(worker_id: str) -> ApiProblem:
    """404 for a worker. The id has passed the router, so it is plain text."""
    return ApiProblem(status=404, code="unknown_worker", detail=f"there is no worker {worker_id}")


def unknown_route() -> ApiProblem:
    """404 for a path that names nothing."""
    return ApiProblem(status=404, code="unknown_route", detail="nothing lives at this path")


def not_read() -> ApiProblem:
    """503 in the first moments: what there is, is not known yet."""
    return ApiProblem(
        status=503,
        code="starting",
        detail="the controller has just started and has not read the specs yet",
        headers={"Retry-After": "1"},
    )


def store_unavailable(message: str) -> ApiProblem:
    """503 while the database is away; supervision goes on."""
    return ApiProblem(
        status=503,
        code="database_unavailable",
        detail=f"the database cannot be read now: {message}",
        headers={"Retry-After": "5"},
    )


def internal_error(request_id: str) -> ApiProblem:
    """500 for a bug of ours. The log has the traceback under the request id; the client gets only the id."""
    return ApiProblem(
        status=500, code="internal_error", detail=f"internal error: see the controller's log for request {request_id}"
    )
