"""`workerctl logs NAME`: what a worker printed, as it printed it.

On a terminal the text is made safe (no escape, no bare CR, no change of direction reaches it) unless --raw; into a
pipe it is as it was. A prefix stands only where several instances are shown. Gaps in the record and lost connections
are told on standard error, so that standard output holds the worker's words alone.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import click

from controller.cli.client import Client, Item
from controller.cli.common import client, examples, fetch_worker, known_ids, not_found, quoted, server_option
from controller.cli.errors import CliError, Exit
from controller.cli.follow import Stream
from controller.cli.follow import follow as follow_stream
from controller.cli.human import parse_duration, rfc3339
from controller.cli.names import worker_names
from controller.cli.terminal import Terminal, neutralise, terminal

DEFAULT_LINES = 100
MAX_LINES = 10_000  # what the API gives at once
_PREFIX_COLOURS = ("cyan", "green", "magenta", "blue", "yellow", "bright_cyan", "bright_green", "bright_magenta")


def _parse_since(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    seconds = parse_duration(value)
    if seconds is not None:
        return rfc3339(time.time() - seconds)
    try:
        return rfc3339(datetime.fromisoformat(value).astimezone().timestamp())
    except ValueError:
        raise click.BadParameter(f'"{value}": expected a duration (10m, 2h) or a time (2025-01-31T12:00)') from None


@click.command(
    epilog=examples(
        ("workerctl logs web", "the last 100 lines of all its instances"),
        ("workerctl logs web -f -n 0", "only what comes from now on"),
        ("workerctl logs web --instance 2 --stream stderr", "one instance, one stream"),
        ("workerctl logs web --since 10m | grep timeout", "raw text, for pipes"),
    )
)
@click.argument("name", shell_complete=worker_names)
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, also across restarts. Ctrl-C ends.")
@click.option(
    "-n",
    "--lines",
    "tail",
    type=click.IntRange(0, MAX_LINES),
    metavar="N",
    help=f"How many of the newest lines.  [default: {DEFAULT_LINES}; with --since all]",
)
@click.option("--stream", type=click.Choice(["stdout", "stderr"]), help="Only this stream.")
@click.option("--instance", metavar="N", help="Only this instance: its ordinal, or NAME/N.")
@click.option("--since", metavar="TIME", callback=_parse_since, help="Only lines since: 10m, 2h, 2025-01-31T12:00.")
@click.option("--no-prefix", is_flag=True, help="No `web/0 | ` before the lines of several instances.")
@click.option("--raw", is_flag=True, help="Do not make escapes harmless on a terminal.")
@server_option
def logs(name: str, tail: int | None, follow: bool, **given: Any) -> None:
    """Show what a worker printed."""
    no_prefix, raw = given.pop("no_prefix"), given.pop("raw")
    api, screen = client(), terminal()
    query = {key: value for key, value in given.items() if value is not None}
    if "instance" in query:
        query["instance"] = _instance(name, query["instance"])
    past = {**query, "tail": _tail(tail, since="since" in query)}
    path, doing = f"/api/v1/workers/{quoted(name)}/logs", f"get the logs of {name}"
    printer = Printer(screen, safe=screen.tty and not raw)
    try:
        page = api.get(path, past, doing=doing)
        lines = page.get("items") or []
        several = len({line.get("instance") for line in lines}) > 1
        printer.prefixed = not no_prefix and (
            several or (follow and "instance" not in query and _has_several(api, name))
        )
        for line in lines:
            printer.show(line)
        if follow:
            beyond = Stream(path=path, query={**query, "follow": "1"}, doing=doing, after=str(page["next_cursor"]))
            follow_stream(api, beyond, printer.show)
    except CliError as error:
        raise (not_found(name, known_ids(api)) if error.exit_code == Exit.NOT_FOUND else error) from None
    printer.finish()
    if not lines:
        click.echo(f"no lines of {name}" + (" match" if query else " yet"), err=True)


def _tail(given: int | None, *, since: bool) -> int:
    """How many lines: as given; else all that may be had since a time, or the usual number."""
    if given is not None:
        return given
    return MAX_LINES if since else DEFAULT_LINES


def _instance(name: str, given: str) -> str:
    """`web/2` for `2`, `web/2` or `/2`."""
    worker, _, ordinal = given.rpartition("/")
    if not ordinal.isdecimal() or worker not in {"", name}:
        raise click.BadParameter(f'"{given}": expected an ordinal, as in --instance 0', param_hint="--instance")
    return f"{name}/{int(ordinal)}"


def _has_several(api: Client, name: str) -> bool:
    try:
        return len(fetch_worker(api, name).get("instances") or ()) > 1
    except CliError as error:
        if error.exit_code != Exit.NOT_FOUND:
            raise
        return False  # its spec is gone; the lines may still be there


class Printer:
    """Prints log lines: joins the pieces of a long one, adds prefixes, makes it safe."""

    def __init__(self, screen: Terminal, *, safe: bool) -> None:
        self.prefixed = False
        self._screen = screen
        self._safe = safe
        self._open: tuple[Any, ...] | None = None  # whose line has not ended yet

    def show(self, line: Item) -> None:
        """One line, or one piece of a line."""
        text = str(line.get("text") or "")
        if line.get("kind") == "gap":
            self._note(line, text)
            return
        whose = (line.get("instance"), line.get("stream"), line.get("run"))
        continues = self._open == whose
        if not continues:
            self.finish()
        partial = bool(line.get("partial"))
        self._open = whose if partial else None
        shown = neutralise(text) if self._safe else text
        prefix = "" if continues else self._prefix(line)
        click.echo(prefix + shown, nl=not partial, color=True)

    def finish(self) -> None:
        """End a line that is still open."""
        if self._open is not None:
            click.echo()
            self._open = None

    def _note(self, line: Item, text: str) -> None:
        self.finish()
        screen = terminal(err=True)
        note = f"[{line.get('instance')}: {neutralise(text)}]"
        click.echo(screen.paint(note, "yellow", dim=True), err=True, color=screen.colour)

    def _prefix(self, line: Item) -> str:
        if not self.prefixed:
            return ""
        instance = str(line.get("instance") or line.get("worker_id") or "")
        ordinal = instance.rpartition("/")[2]
        colour = _PREFIX_COLOURS[int(ordinal) % len(_PREFIX_COLOURS)] if ordinal.isdecimal() else None
        return f"{self._screen.paint(instance + ' |', colour)} "
