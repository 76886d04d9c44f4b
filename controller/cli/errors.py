"""Exit codes, and the one error that a verb raises.

The codes are part of the interface (scripts read them), so they stand in one table and nowhere else. A verb raises
`CliError`; click shows it on standard error and leaves with its code. Usage errors are click's own and leave with 2.
`from_problem` turns an answer of the API (`application/problem+json`) into such an error: one message, then the
faults with file, line, column and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import IO, Any

import click

from controller.cli.terminal import neutralise, terminal


class Exit(IntEnum):
    """Every exit code, as `workerctl help cli` lists them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_RUNNING = 3
    UNKNOWN = 4
    NOT_FOUND = 5
    CONFLICT = 6
    TIMED_OUT = 7
    UNREACHABLE = 8
    NOT_AUTHORISED = 9
    REFUSED = 10
    INTERRUPTED = 130


MEANINGS: dict[Exit, str] = {
    Exit.OK: "ok",
    Exit.FAILED: "failed; for `plan`: there are changes",
    Exit.USAGE: "wrong usage, or a spec that is not valid",
    Exit.NOT_RUNNING: "`status`: not running, or degraded",
    Exit.UNKNOWN: "`status`: not known",
    Exit.NOT_FOUND: "not found",
    Exit.CONFLICT: "conflict, or a stale plan",
    Exit.TIMED_OUT: "timed out",
    Exit.UNREACHABLE: "the controller cannot be reached",
    Exit.NOT_AUTHORISED: "not authorised",
    Exit.REFUSED: "refused by a guard",
    Exit.INTERRUPTED: "interrupted",
}

_BY_HTTP_STATUS: dict[int, Exit] = {
    400: Exit.USAGE,
    401: Exit.NOT_AUTHORISED,
    403: Exit.NOT_AUTHORISED,
    404: Exit.NOT_FOUND,
    409: Exit.CONFLICT,
    412: Exit.CONFLICT,
    413: Exit.USAGE,
    415: Exit.USAGE,
    421: Exit.NOT_AUTHORISED,
    422: Exit.USAGE,
    428: Exit.CONFLICT,
    504: Exit.TIMED_OUT,
}

# Codes of a problem that mean "a guard said no", whatever the HTTP status.
_GUARD_CODES = frozenset({"guarded", "refused_by_guard"})


class CliError(click.ClickException):
    """What a verb could not do: `Cannot <verb> <object>: <cause>`, then details, then what to do about it."""

    def __init__(self, message: str, code: Exit, *, details: Sequence[str] = (), hints: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.exit_code = int(code)  # type: ignore[misc]  # click calls it a class variable and reads it from the instance
        self.details = tuple(details)
        self.hints = tuple(hints)

    def show(self, file: IO[Any] | None = None) -> None:
        """Print it to standard error (or `file`), in colour on a terminal."""
        screen = terminal(err=True)
        lines = [screen.paint("Error:", "red", bold=True) + " " + neutralise(self.message)]
        lines += [f"  {neutralise(detail)}" for detail in self.details]
        lines += [screen.paint("  hint: ", "cyan") + neutralise(hint) for hint in self.hints]
        click.echo("\n".join(lines), file=file, err=True, color=screen.colour)


def from_problem(status: int, problem: Mapping[str, Any], *, doing: str) -> CliError:
    """The error for a refused request. `doing` is what was tried, as in "stop web"."""
    cause = str(problem.get("detail") or problem.get("title") or f"the controller answered {status}")
    code = _BY_HTTP_STATUS.get(status, Exit.FAILED)
    if problem.get("code") in _GUARD_CODES:
        code = Exit.REFUSED
    details: list[str] = []
    hints: list[str] = []
    for error in problem.get("errors") or ():
        if error.get("message") == cause and not error.get("file"):
            hints += [str(error["hint"])] if error.get("hint") else []  # a general hint stands as an entry of its own
        else:
            details += fault_lines(error)
    if status >= 500 and problem.get("request_id"):
        details.append(f"request {problem['request_id']} (see the controller's log)")
    return CliError(f"Cannot {doing}: {cause}", code, details=details, hints=hints)


def fault_lines(fault: Mapping[str, Any]) -> list[str]:
    """One fault as `file:line:column: message` and, indented beneath, its hint."""
    place = ":".join(str(fault[key]) for key in ("file", "line", "column") if fault.get(key) is not None)
    place = place or str(fault.get("pointer") or "")
    lines = [f"{place}: {fault.get('message', '')}" if place else str(fault.get("message", ""))]
    if fault.get("hint"):
        lines.append(f"    {fault['hint']}")
    return lines
