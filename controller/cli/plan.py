"""`workerctl plan`: what the controller would do now, and what it holds back and why. One line each.

The lines are those of `controller.core.plan`, so that a person reads the same text here, in the log and in the API.
With `--offline` the plan is made here (plan_offline.py); it looks the same.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from controller.cli.client import Item
from controller.cli.common import client, echo_json, echo_lines, examples, output_option, server_option
from controller.cli.errors import Exit
from controller.cli.fleet import problem_lines
from controller.cli.human import age, count, seconds_of
from controller.cli.offline import allow_env_option, specs_dir
from controller.cli.table import hanging
from controller.cli.terminal import Terminal, one_line, terminal
from controller.core.plan import shown

_COLOURS = {
    "create": "green",
    "start": "green",
    "stop": "yellow",
    "replace": "yellow",
    "restart": "yellow",
    "update": "cyan",
    "remove": "red",
    "hold": "magenta",
}
_SUBJECT_COLUMN = 9


@click.command(
    epilog=examples(
        ("workerctl plan", "what would be done now"),
        ("workerctl plan -o json", "the same as a document"),
        ("workerctl plan >/dev/null && echo in sync", "for scripts: 1 when there are actions, else 0"),
        ("workerctl plan --offline specs", "what these specs would change, without a controller"),
    )
)
@output_option("text", "json", default="text")
@click.option(
    "--offline",
    type=specs_dir,
    metavar="DIR",
    help="Plan this directory over the last accepted specs of the state directory; where there are none, all is new.",
)
@click.option("--state-dir", metavar="DIR", help="With --offline: the state directory.  [default: as for serve]")
@allow_env_option
@server_option
def plan(output: str, offline: Path | None, state_dir: str | None, allow_env: tuple[str, ...]) -> None:
    """Show what the controller would do now, and what it holds.

    Leaves with 1 when there are actions, with 0 when there are none; holds alone are 0.

    With --offline no controller is asked and nothing is written. Every worker that was accepted is taken to run; what
    env files held then is not known. Leaves with 2 when a spec is not valid.
    """
    now = time.time()
    if offline is None:
        if state_dir is not None or allow_env:
            raise click.UsageError("--state-dir and --allow-env go with --offline")
        document, against = client().get("/api/v1/plan", doing="get the plan"), ""
    else:
        from controller.cli.plan_offline import offline_plan  # noqa: PLC0415 - brings YAML and pydantic

        document, against = offline_plan(offline, state_dir, allow_env, now)
    actions, holds = document.get("actions") or [], document.get("holds") or []
    if output == "json":
        echo_json(document)
    else:
        echo_lines(plan_lines(actions, holds, terminal()))
        _tell_problems(document.get("problems") or [])
        click.echo(_footer(actions, holds, document.get("next_wake"), now), err=True)
        if against:
            click.echo(against, err=True)
    code = Exit.USAGE if document.get("problems") else Exit.FAILED if actions else Exit.OK
    click.get_current_context().exit(code)


def _tell_problems(problems: list[Item]) -> None:
    screen = terminal(err=True)
    for line in problem_lines(problems, screen):
        click.echo(line, err=True, color=screen.colour)


def plan_lines(actions: list[Item], holds: list[Item], screen: Terminal) -> list[str]:
    """One line per entry, in the plan's order; a long one goes on in further lines on a terminal."""
    entries = [_action(entry) for entry in actions] + [_hold(entry) for entry in holds]
    return [line for kind, subject, text in entries for line in _hung(kind, subject, text, screen)]


def _action(entry: Item) -> tuple[str, str, str]:
    subject = str(entry.get("instance") or entry.get("worker_id") or "")
    return str(entry.get("action") or ""), subject, str(entry.get("cause") or "") + _changes(entry)


def _hold(entry: Item) -> tuple[str, str, str]:
    confirm = f" [confirm {entry['confirm']}]" if entry.get("confirm") else ""
    text = f"{entry.get('reason')}: {entry.get('message')}{_changes(entry)}{confirm}"
    return "hold", str(entry.get("worker_id") or "*"), text


def _changes(entry: Item) -> str:
    return "".join(
        f"; {field['path']}: {shown(field.get('from'))} -> {shown(field.get('to'))} ({field.get('effect')})"
        for field in entry.get("fields") or ()
    )


def _hung(kind: str, subject: str, text: str, screen: Terminal) -> Iterator[str]:
    """`create   web/0: not there yet`, what does not fit beneath the subject."""
    first, *more = hanging(one_line(f"{subject}: {text}"), screen, _SUBJECT_COLUMN)
    verb = screen.paint(f"{kind:<8}", _COLOURS.get(kind))
    rest = first.removeprefix(subject)
    yield f"{verb} {screen.paint(subject, bold=True) + rest if rest != first else first}"
    for line in more:
        yield " " * _SUBJECT_COLUMN + line


def hold_line(entry: Item, screen: Terminal) -> str:
    """One hold, with the digest that lets it happen where there is one, on one line."""
    return next(_hung(*_hold(entry), replace(screen, tty=False)))


def _footer(actions: list[Item], holds: list[Item], next_wake: str | float | None, now: float) -> str:
    if not actions and not holds:
        return "nothing to do: everything is as the specs say"
    parts = [count(len(actions), "action"), count(len(holds), "hold")]
    at = seconds_of(next_wake) if isinstance(next_wake, str) else next_wake
    if at is not None:
        parts.append(f"looks again in {age(at - now)}" if at > now else "looks again now")
    return ", ".join(parts)
