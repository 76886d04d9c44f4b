"""`workerctl get`: the table of workers, or their documents. Watching is in watch.py."""

from __future__ import annotations

import time
from typing import Any

import click

from controller.cli import fleet
from controller.cli.client import Client, Item
from controller.cli.common import (
    client,
    echo_json,
    echo_lines,
    echo_yaml,
    examples,
    fetch_holds,
    fetch_workers,
    not_found,
    output_option,
    server_option,
)
from controller.cli.errors import CliError, Exit
from controller.cli.names import worker_names
from controller.cli.selection import Selection
from controller.cli.terminal import terminal
from controller.cli.wording import SEVERITY


def _parse_labels(_ctx: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[Any, ...]:
    pairs = [pair for value in values for pair in value.split(",")]
    for pair in pairs:
        if "=" not in pair:
            raise click.BadParameter(f'"{pair}": expected label=value')
    return tuple((name, value) for name, _, value in (pair.partition("=") for pair in pairs))


@click.command(
    epilog=examples(
        ("workerctl get", "all workers, failed first"),
        ("workerctl get web mailer -o wide", "two of them, with pids and sources"),
        ("workerctl get -l team=growth -w", "watch those with a label"),
        ("workerctl get --status error -o name", "names only, for scripts"),
        ("workerctl get web -o json", "the document, as the API has it"),
    )
)
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=worker_names)
@output_option("table", "wide", "json", "yaml", "name", default="table")
@click.option("-w", "--watch", is_flag=True, help="Keep showing changes. Ctrl-C ends.")
@click.option(
    "-l",
    "--label",
    "labels",
    multiple=True,
    metavar="LABEL=VALUE",
    callback=_parse_labels,
    help="Only workers with this label; may be repeated.",
)
@click.option(
    "--status", "statuses", multiple=True, type=click.Choice(SEVERITY), help="Only this status; may be repeated."
)
@server_option
def get(output: str, watch: bool, **chosen: Any) -> None:
    """Show workers: status, figures, reasons."""
    selection, api = Selection(**chosen), client()
    if watch:
        from controller.cli.watch import watch_workers  # noqa: PLC0415 - only for -w

        watch_workers(api, selection, output)
        return
    items = fetch_workers(api)
    missing = selection.missing(items)
    show(selection, selection.of(items), output, api)
    if missing:
        raise _missing(missing, items)


def show(selection: Selection, items: list[Item], output: str, api: Client) -> None:
    """Print once, in the format asked for. One name alone prints its document, not a list."""
    document: Any = {"items": items}
    if len(selection.names) == 1:
        if not items and output in {"json", "yaml"}:
            return
        document = items[0] if items else document
    match output:
        case "json":
            echo_json(document)
        case "yaml":
            echo_yaml(document)
        case "name":
            echo_lines(str(item["worker_id"]) for item in items)
        case _:
            _show_table(selection, items, api, wide=output == "wide")


def _show_table(selection: Selection, items: list[Item], api: Client, *, wide: bool) -> None:
    screen = terminal()
    holds = fleet.hold_block(items, fetch_holds(api), screen)
    if items:
        table = fleet.table(items, screen, time.time(), wide=wide)
        echo_lines([*table, *fleet.problem_block(items, screen), *holds])
        return
    echo_lines(holds[1:])
    if not selection.names:
        chosen = selection.labels or selection.statuses
        click.echo("no worker matches" if chosen else f"no workers at {api.address.text}", err=True)


def _missing(missing: list[str], items: list[Item]) -> CliError:
    errors = [not_found(name, [str(item["worker_id"]) for item in items]) for name in missing]
    if len(errors) == 1:
        return errors[0]
    return CliError(
        f"{len(errors)} of the workers do not exist",
        Exit.NOT_FOUND,
        details=[error.message for error in errors],
        hints=errors[0].hints,
    )
