"""`workerctl create|set|scale|delete`: one or a few values of specs, from the command line."""

from __future__ import annotations

import re

import click

from controller.cli.assignments import merge_patch
from controller.cli.common import client, examples
from controller.cli.errors import CliError, Exit
from controller.cli.names import worker_names
from controller.cli.writing import Change, Manner, Seen, carry_out, must_see, write_options

_SCALE = re.compile(r"(?P<name>[^=]+)=(?P<sign>[-+]?)(?P<number>[0-9]{1,4})")


@click.command(
    epilog=examples(
        ("workerctl create demo", "the built-in demonstration worker"),
        ('workerctl create web --set \'command=["python3", "web.py"]\' --set port=8000', "a list is JSON"),
        ("workerctl create web --set script='exec ./web' --set env.MODE=fast --dry-run", "only show the plan"),
    )
)
@click.argument("name")
@click.option("--set", "assignments", multiple=True, metavar="PATH=VALUE", help="A field; may be repeated.")
@write_options
def create(name: str, assignments: tuple[str, ...], manner: Manner) -> None:
    """Create a worker: writes NAME.yaml where the controller reads specs."""
    carry_out(client(), [Change(action="create", worker_id=name, body=merge_patch(assignments))], manner)


@click.command(
    name="set",
    epilog=examples(
        ("workerctl set web replicas=3", "one value; comments and all else of the file stay"),
        ("workerctl set web env.MODE=fast stop.grace_ms=20000", "several, in one write"),
        ("workerctl set web env.MODE=", "take it away"),
        ('workerctl set web description="3"', "below env and labels, and in quotes within quotes, it is text"),
    ),
)
@click.argument("name", shell_complete=worker_names)
@click.argument("assignments", nargs=-1, required=True, metavar="PATH=VALUE...")
@write_options
def set_(name: str, assignments: tuple[str, ...], manner: Manner) -> None:
    """Change fields of a worker's spec, in place.

    Values are JSON where they can be read as such, else text; those of env and labels are always text. PATH= takes a
    field away.
    """
    api, patch = client(), merge_patch(assignments)
    carry_out(api, [Change(action="patch", worker_id=name, body=patch, seen=must_see(api, name))], manner)


@click.command(
    epilog=examples(
        ("workerctl scale web=5", "five instances"),
        ("workerctl scale web=+2 mailer=-1", "relative to what the specs say"),
    )
)
@click.argument("wishes", nargs=-1, required=True, metavar="NAME=N...")
@write_options
def scale(wishes: tuple[str, ...], manner: Manner) -> None:
    """Change how many instances a worker has: sets replicas in its spec.

    N is a number, or +N or -N relative to what the spec says.
    """
    parsed = [_wish(text) for text in wishes]
    if len({match["name"] for match in parsed}) < len(parsed):
        raise click.UsageError("a worker is named twice")
    api = client()
    changes = []
    for match in parsed:
        seen = must_see(api, match["name"])
        body = {"replicas": _replicas(match, seen)}
        changes.append(Change(action="patch", worker_id=match["name"], body=body, seen=seen))
    carry_out(api, changes, manner)


@click.command(
    epilog=examples(
        ("workerctl delete web", "stops it, and takes its document out of its file"),
        ("workerctl delete web mailer --dry-run", "only show the plan"),
    )
)
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=worker_names)
@write_options
def delete(names: tuple[str, ...], manner: Manner) -> None:
    """Delete workers: takes their specs away, and so stops them.

    A file goes with its last document; other documents of it stay. Logs and events stay readable.
    """
    api = client()
    changes = [Change(action="delete", worker_id=name, seen=must_see(api, name)) for name in dict.fromkeys(names)]
    carry_out(api, changes, manner)


def _wish(text: str) -> re.Match[str]:
    match = _SCALE.fullmatch(text)
    if match is None:
        raise click.UsageError(f'"{text}": expected NAME=N, NAME=+N or NAME=-N')
    return match


def _replicas(match: re.Match[str], seen: Seen) -> int:
    number = int(match["number"])
    if not match["sign"]:
        return number
    spec = seen.item.get("spec")
    if spec is None:
        raise CliError(
            f"Cannot scale {match['name']}: its file is broken, so how many there are is not known",
            Exit.CONFLICT,
            hints=[f"`workerctl describe {match['name']}` tells what is wrong"],
        )
    return max(0, int(spec["replicas"]) + (number if match["sign"] == "+" else -number))
