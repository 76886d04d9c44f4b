"""`workerctl plan`: what the controller would do now, and what it holds back and why. One line each.

The lines are those of `controller.core.plan`, so that a person reads the same text here, in the log and in the API.
"""

from __future__ import annotations

import time

import click

from controller.cli.client import Item
from controller.cli.common import client, echo_json, echo_lines, examples, output_option, server_option
from controller.cli.errors import Exit
from controller.cli.human import age, count, seconds_of
from controller.cli.terminal import Terminal, one_line, terminal

_COLOURS = {
    "create": "green",
    "start": "green",
    "stop": "yellow",
    "replace": "yellow",
    "restart": "yellow",
    "update": "cyan",
    "remove": "red",
}


@click.command(
    epilog=examples(
        ("workerctl plan", "what would be done now"),
        ("workerctl plan -o json", "the same as a document"),
        ("workerctl plan >/dev/null && echo in sync", "for scripts: 1 when there are actions, else 0"),
    )
)
@output_option("text", "json", default="text")
@click.option("--offline", metavar="DIR", help="Compare a directory with the last accepted specs (not yet supported).")
@server_option
def plan(output: str, offline: str | None) -> None:
    """Show what the controller would do now, and what it holds.

    Leaves with 1 when there are actions, with 0 when there are none; holds alone are 0.
    """
    if offline is not None:
        raise click.UsageError("--offline is not yet supported; `workerctl validate DIR` checks the files")
    document = client().get("/api/v1/plan", doing="get the plan")
    actions, holds = document.get("actions") or [], document.get("holds") or []
    if output == "json":
        echo_json(document)
    else:
        echo_lines(plan_lines(actions, holds, terminal()))
        click.echo(_footer(actions, holds, document.get("next_wake"), time.time()), err=True)
    click.get_current_context().exit(Exit.FAILED if actions else Exit.OK)


def plan_lines(actions: list[Item], holds: list[Item], screen: Terminal) -> list[str]:
    """One line per entry, in the plan's order."""
    return [_action(entry, screen) for entry in actions] + [hold_line(entry, screen) for entry in holds]


def _action(entry: Item, screen: Terminal) -> str:
    kind = str(entry.get("action") or "")
    changes = "".join(
        f"; {field['path']}: {field.get('from')!r} -> {field.get('to')!r} ({field.get('effect')})"
        for field in entry.get("fields") or ()
    )
    verb = screen.paint(f"{kind:<8}", _COLOURS.get(kind))
    subject = screen.paint(str(entry.get("instance") or entry.get("worker_id") or ""), bold=True)
    return f"{verb} {subject}: {one_line(str(entry.get('cause') or '') + changes)}"


def hold_line(entry: Item, screen: Terminal) -> str:
    """One hold, with the digest that lets it happen where there is one."""
    confirm = f" [confirm {entry['confirm']}]" if entry.get("confirm") else ""
    subject = screen.paint(str(entry.get("worker_id") or "*"), bold=True)
    text = one_line(f"{entry.get('reason')}: {entry.get('message')}{confirm}")
    return f"{screen.paint('hold    ', 'magenta')} {subject}: {text}"


def _footer(actions: list[Item], holds: list[Item], next_wake: str | float | None, now: float) -> str:
    if not actions and not holds:
        return "nothing to do: everything is as the specs say"
    parts = [count(len(actions), "action"), count(len(holds), "hold")]
    at = seconds_of(next_wake) if isinstance(next_wake, str) else next_wake
    if at is not None:
        parts.append(f"looks again in {age(at - now)}" if at > now else "looks again now")
    return ", ".join(parts)
