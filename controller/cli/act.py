"""`workerctl start|stop|restart NAME...`: ask for it, and wait for the end where told to.

Start and stop write `desired_state` into the spec; restart is a wish beside it, as are suspend and resume (suspend.py,
which goes through here). Several workers are asked for at the
same time, so that waiting takes as long as the slowest. Each gets its line; the exit code is that of the first that
failed, in the order given.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from controller.cli.client import Answer, Client
from controller.cli.common import client, examples, known_ids, not_found, quoted, server_option
from controller.cli.errors import CliError, Exit, from_problem
from controller.cli.human import moment
from controller.cli.names import worker_names
from controller.cli.terminal import Terminal, neutralise, terminal

_Function = TypeVar("_Function", bound=Callable[..., Any])

AT_ONCE = 8

_DONE = {
    "start": "started",
    "stop": "stopped",
    "restart": "restarted",
    "suspend": "suspended",
    "resume": "resumed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked for: the verb, why, and how long to wait for its end (None: not at all).

    `action` is what the API calls it, `for_s` how long it is to last (None: for good).
    """

    verb: str
    action: str
    reason: str | None
    wait_s: float | None
    for_s: float | None = None

    @property
    def body(self) -> dict[str, object] | None:
        """What is sent with it."""
        given = {"reason": self.reason, "for_ms": None if self.for_s is None else round(self.for_s * 1000)}
        return {key: value for key, value in given.items() if value} or None


def _command(action: str, text: str, more: str) -> click.Command:
    @click.command(
        name=action,
        help=f"{text}\n\n{more}",
        epilog=examples(
            (f"workerctl {action} web", "ask for it"),
            (f"workerctl {action} web mailer --wait 30", "and wait for the end, at most 30 s"),
            (f'workerctl {action} web --reason "new certificate"', "the reason stands in the event"),
        ),
    )
    @acting_options
    def command(names: tuple[str, ...], reason: str | None, wait_s: float | None) -> None:
        act(Wish(verb=action, action=action, reason=reason, wait_s=wait_s), names)

    return command


def acting_options(function: _Function) -> _Function:
    """What every wish about workers takes: their names, `--reason`, `--wait`, `--server`."""
    function = server_option(function)
    function = click.option(
        "--wait", "wait_s", type=click.FloatRange(0, 600), metavar="S", help="Wait for the end, S seconds at most."
    )(function)
    function = click.option("--reason", metavar="TEXT", help="Why; it is kept with the event.")(function)
    return click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=worker_names)(function)


def act(wish: Wish, names: Sequence[str]) -> None:
    """Ask for it for each, show what came of it, and leave with the code of the first failure."""
    api, screen = client(), terminal()
    until = None if wish.for_s is None else time.time() + wish.for_s
    first_failure: CliError | None = None
    for name, outcome in _outcomes(lambda name: _ask(api, wish, name), list(dict.fromkeys(names))):
        if isinstance(outcome, CliError):
            error = not_found(name, known_ids(api)) if outcome.exit_code == Exit.NOT_FOUND else outcome
            if error.exit_code == Exit.UNREACHABLE:
                raise error
            error.show()
            first_failure = first_failure or error
        else:
            words = _words(wish, outcome, until)
            click.echo(f"{_mark(screen, outcome)} {screen.paint(name, bold=True)}: {words}", color=True)
    if first_failure is not None:
        click.get_current_context().exit(first_failure.exit_code)


def _outcomes(ask: Callable[[str], Answer | CliError], names: list[str]) -> list[tuple[str, Answer | CliError]]:
    if len(names) == 1:
        return [(names[0], ask(names[0]))]
    with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(names))) as pool:
        return list(zip(names, pool.map(ask, names), strict=True))


def _ask(api: Client, wish: Wish, name: str) -> Answer | CliError:
    """The answer, or what went wrong as a value: one worker's failure must not hide the others' outcomes."""
    query = None if wish.wait_s is None else {"wait_s": f"{wish.wait_s:.3f}"}
    doing = f"{wish.verb} {name}"
    try:
        answer = api.ask(
            "POST",
            f"/api/v1/workers/{quoted(name)}/{wish.action}",
            query=query,
            body=wish.body,
            patience_s=wish.wait_s or 0.0,
        )
    except CliError as error:
        return error
    document = answer.document
    if answer.status == 504:
        return CliError(f"Cannot {doing} in {wish.wait_s:g} s: {_stands(document)}", Exit.TIMED_OUT)
    if answer.status >= 400:
        return _with_a_way_out(wish, name, document, from_problem(answer.status, document, doing=doing))
    if document.get("state") in {"failed", "superseded"}:
        return CliError(f"Cannot {doing}: {document.get('detail') or document['state']}", Exit.FAILED)
    return answer


def _with_a_way_out(wish: Wish, name: str, document: dict[str, Any], error: CliError) -> CliError:
    """What stops a worker whose file is broken (it runs on by its last good spec), or not ours to write."""
    if wish.verb != "stop":
        return error
    for_a_while = f"`workerctl suspend {name} --for 1h` stops it for a while and needs no file"
    fault = next((fault for fault in document.get("errors") or () if fault.get("file")), None)
    if document.get("code") == "broken_file" and fault is not None:
        place = f"{fault['file']}:{fault['line']}" if fault.get("line") else str(fault["file"])
        error.hints = (
            f"correct {place} and set `desired_state: stopped` there, or `replicas: 0`",
            f"or remove {fault['file']}: a worker without a spec is stopped",
            for_a_while,
        )
    elif document.get("code") == "read_only_source":
        error.hints = ("set `desired_state: stopped` where its spec comes from, in git for example", for_a_while)
    return error


def _stands(document: dict[str, object]) -> str:
    """Where an operation stands that was not done in time."""
    return str(document.get("detail") or document.get("state") or "it goes on; `workerctl events` shows how")


def _mark(screen: Terminal, answer: Answer) -> str:
    if answer.document.get("state") == "succeeded":
        return screen.paint(screen.sign("✓", "ok"), "green")
    return screen.paint(screen.sign("→", "->"), "cyan")


def _words(wish: Wish, answer: Answer, until: float | None) -> str:
    detail = neutralise(str(answer.document.get("detail") or ""))
    if answer.document.get("state") == "succeeded":
        if until is not None:
            return f"{_DONE[wish.verb]} until {moment(until)}"
        return _DONE[wish.verb] if detail in {"", "done"} else detail
    accepted = f"{wish.verb} accepted" + (f", until {moment(until)}" if until is not None else "")
    return accepted + (f"; {detail}" if detail else "")


start = _command(
    "start",
    "Start workers: sets desired_state in their specs.",
    "The YAML file is edited in place, one value; comments and all else stay.",
)
stop = _command(
    "stop",
    "Stop workers: sets desired_state in their specs.",
    "The YAML file is edited in place, one value; comments and all else stay.",
)
restart = _command(
    "restart",
    "Restart workers once; their specs stay as they are.",
    "Each instance gets one new run, one after the other. A worker that gave up tries again, with a fresh budget.",
)
