"""`workerctl logs [NAME]...`: what workers printed, as they printed it; searched, followed, of one or of many.

On a terminal the text is made safe (no escape, no bare CR, no change of direction reaches it) unless --raw; into a
pipe it is as it was. A prefix stands only where several instances are shown. Gaps in the record and lost connections
are told on standard error, so that standard output holds the workers' words alone; see log_lines.

Lines of several workers, and lines with what happened meanwhile woven in (--events), are sorted by their times, page by
page; what is followed comes as it is stored. A search that the server ends early is gone on with until there are enough
lines or no more; that, and what more there would have been than is shown at once, is told on standard error.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from controller.cli.client import Client, Item
from controller.cli.common import (
    client,
    examples,
    fetch_worker,
    known_ids,
    not_found,
    output_option,
    quoted,
    server_option,
)  # fmt: skip
from controller.cli.errors import CliError, Exit
from controller.cli.follow import Stream
from controller.cli.follow import follow as follow_stream
from controller.cli.human import parse_duration, rfc3339
from controller.cli.log_lines import Printer
from controller.cli.names import worker_names
from controller.cli.terminal import terminal
from controller.core.log_kinds import KINDS

DEFAULT_LINES = 100
MAX_LINES = 10_000  # what the API gives at once
LEVELS = ("debug", "info", "warning", "error", "critical")  # as core.levels has them, from harmless to worst


def _parse_moment(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    seconds = parse_duration(value)
    try:
        if seconds is not None:
            return rfc3339(max(0.0, time.time() - seconds))
        return rfc3339(datetime.fromisoformat(value).astimezone().timestamp())
    except (ValueError, OverflowError):
        raise click.BadParameter(f'"{value}": expected a duration (10m, 2h) or a time (2025-01-31T12:00)') from None


WITH_EVENTS = ("line", "gap", "lifecycle", "error")


def _and_worse(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    return None if value is None else LEVELS[LEVELS.index(value) :]


@click.command(
    epilog=examples(
        ("workerctl logs web", "the last 100 lines of all its instances"),
        ("workerctl logs web -f -n 0", "only what comes from now on"),
        ("workerctl logs web mail -f", "two workers, each in its colour"),
        ("workerctl logs --all --level error --since 2h", "what went wrong anywhere"),
        ("workerctl logs -l tier=front --grep timeout", "a word, in all with a label"),
        ("workerctl logs web --run previous", "what it printed before it was started anew"),
        ("workerctl logs web --events", "with its starts, ends and errors among the lines"),
        ("workerctl logs web --json-fields user,took_ms", "lines of JSON as message and these fields"),
    )
)
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=worker_names)
@click.option("-l", "--selector", metavar="LABEL=VALUE", help="All workers with these labels, with commas between.")
@click.option("--all", "everyone", is_flag=True, help="All workers, also those that are gone.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, also across restarts. Ctrl-C ends.")
@click.option(
    "-n",
    "--lines",
    "tail",
    type=click.IntRange(0, MAX_LINES),
    metavar="N",
    help=f"How many of the newest lines.  [default: {DEFAULT_LINES}; with --since {MAX_LINES}]",
)
@click.option("--since", metavar="TIME", callback=_parse_moment, help="Only lines since: 10m, 2h, 2025-01-31T12:00.")
@click.option("--until", metavar="TIME", callback=_parse_moment, help="Only lines until then.")
@click.option("--grep", multiple=True, metavar="TEXT", help="Only lines with this text; repeated: with all of them.")
@click.option("-i", "--ignore-case", is_flag=True, help="--grep takes either case.")
@click.option("--invert", is_flag=True, help="Only lines with none of the texts of --grep.")
@click.option("--level", type=click.Choice(LEVELS), callback=_and_worse, help="Only this level and worse.")
@click.option("--stream", type=click.Choice(["stdout", "stderr"]), help="Only this stream.")
@click.option("--instance", metavar="N", help="Only this instance: its ordinal, or NAME/N.")
@click.option("--run", metavar="RUN", help="Only this run of each instance: current, previous, or an id.")
@click.option("--events", is_flag=True, help="Starts, ends, restarts (marked *) and errors (!) among the lines.")
@click.option(
    "--kind", multiple=True, type=click.Choice(KINDS), help="Only records of this kind; repeated: of these kinds."
)
@click.option(
    "--json-fields",
    "fields",
    metavar="FIELD,...",
    help="A line of JSON as its message and these fields (a.b: within one; *: all). Others stay as they are.",
)
@output_option("raw", "json", default="raw")
@click.option("-t", "--timestamps", is_flag=True, help="The time before each line.")
@click.option("--no-prefix", is_flag=True, help="No `web/0 | ` before the lines of several instances.")
@click.option("--raw", is_flag=True, help="Do not make escapes harmless on a terminal.")
@server_option
def logs(names: tuple[str, ...], follow: bool, tail: int | None, **given: Any) -> None:
    """Show what workers printed."""
    whose = _Whose(names=tuple(dict.fromkeys(names)), selector=given.pop("selector"), everyone=given.pop("everyone"))
    whose.check(instance=given["instance"])
    if follow and given["until"] is not None:
        raise click.UsageError("a followed log has no end: leave out -f or --until")
    api, printer, no_prefix = client(), _printer(given), given.pop("no_prefix")
    printer.by_worker = whose.is_several
    query = {**whose.query, **_conditions(given)}
    if "instance" in query:
        query["instance"] = _instance(whose.names[0], str(query["instance"]))
    past = _Past(api, whose, query, quiet=printer.as_json)
    try:
        lines, cursor = past.read(_tail(tail, since="since" in query))
        several = whose.is_several or len({line.get("instance") for line in lines}) > 1
        printer.prefixed = not no_prefix and (
            several or (follow and "instance" not in query and _has_several(api, whose.names[0]))
        )
        printer.make_room(lines)
        if tail is None and "since" in query:
            past.tell_of_older(lines)
        for line in lines:
            printer.show(line)
        if follow:
            beyond = Stream(path=whose.path, query={**query, "follow": "1"}, doing=whose.doing, after=cursor)
            follow_stream(api, beyond, printer.show)
    except CliError as error:
        raise (_unknown(api, whose, error) if error.exit_code == Exit.NOT_FOUND else error) from None
    printer.finish()
    if not lines:
        click.echo(f"no lines of {whose}" + (" match" if query.keys() - whose.query.keys() else " yet"), err=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Whose:
    """Of which workers lines are asked for."""

    names: tuple[str, ...]
    selector: str | None
    everyone: bool

    def check(self, *, instance: str | None) -> None:
        """Raises UsageError where it does not say whose, or says it twice."""
        if not (self.names or self.selector or self.everyone):
            raise click.UsageError("name workers, choose them with -l SELECTOR, or ask for --all")
        if self.everyone and (self.names or self.selector):
            raise click.UsageError("--all stands alone: leave it out, or the names and -l")
        if instance is not None and self.is_several:
            raise click.UsageError("--instance is about one worker: name one, and leave out -l and --all")

    @property
    def is_several(self) -> bool:
        """Whether it may be more than one worker."""
        return len(self.names) != 1 or self.selector is not None

    @property
    def path(self) -> str:
        """Where the lines are."""
        return "/api/v1/logs" if self.is_several else f"/api/v1/workers/{quoted(self.names[0])}/logs"

    @property
    def query(self) -> dict[str, Any]:
        """What tells the server whose."""
        if not self.is_several:
            return {}
        chosen = {"worker": self.names or None, "selector": self.selector}
        return {key: value for key, value in chosen.items() if value is not None}

    @property
    def doing(self) -> str:
        """For errors: Cannot ..."""
        return f"get the logs of {self}"

    def __str__(self) -> str:
        return ", ".join(self.names) or (f"workers with {self.selector}" if self.selector else "any worker")


def _printer(given: dict[str, Any]) -> Printer:
    screen = terminal()
    printer = Printer(screen, safe=screen.tty and not given.pop("raw"))
    printer.timed, printer.as_json = given.pop("timestamps"), given.pop("output") == "json"
    printer.fields = tuple(name for part in (given["fields"] or "").split(",") if (name := part.strip()))
    if not given["invert"]:
        printer.highlight(given["grep"], ignore_case=given["ignore_case"])
    return printer


def _conditions(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options as parameters of the API."""
    own = {"ignore_case", "invert", "events", "fields", "kind"}
    plain = {key: value for key, value in given.items() if value and key not in own}
    flags = {
        "case": "ignore" if given["ignore_case"] else None,
        "invert": "1" if given["invert"] else None,
        "kind": tuple(dict.fromkeys((*given["kind"], *(WITH_EVENTS if given["events"] else ())))) or None,
        "parsed": None if given["fields"] is None else "1",
    }
    return plain | {key: value for key, value in flags.items() if value is not None}


class _Past:
    """What there is already. `quiet`: the answer is for a program, which is told nothing in words."""

    def __init__(self, api: Client, whose: _Whose, query: Mapping[str, Any], *, quiet: bool) -> None:
        self._api, self._whose, self._query, self._quiet = api, whose, query, quiet
        self._further: str | None = None

    def read(self, tail: int) -> tuple[list[Item], str]:
        """The newest lines, oldest first, and the cursor to follow from."""
        page = self._page(tail=tail)
        lines, cursor = list(page.get("items") or []), str(page["next_cursor"])
        is_told = self._quiet
        while page.get("stopped_early") and page.get("prev_cursor") and len(lines) < tail:
            if not is_told:
                _note(
                    "this search takes long; not all lines are looked at yet. It goes on further back; Ctrl-C ends it"
                )
                is_told = True
            page = self._page(tail=tail - len(lines), before=page["prev_cursor"])
            lines = [*(page.get("items") or []), *lines]
        self._further = page.get("prev_cursor") if len(lines) >= tail > 0 else None
        if (removed := page.get("removed")) and not self._quiet:
            _note(
                f"{removed['lines']} older lines, printed until {removed['until']}, were removed from the database; "
                "see retain_days, retain_lines and retain_bytes"
            )
        by_time = self._whose.is_several or "kind" in self._query
        return sorted(lines, key=lambda line: str(line["at"])) if by_time else lines, cursor

    def tell_of_older(self, lines: list[Item]) -> None:
        """Say where the number of lines, which nobody asked for, has cut something off."""
        if self._further is None:
            return
        page = self._page(tail=1, before=self._further)
        if page.get("items") or page.get("stopped_early"):
            are = "are" if page.get("items") else "may be"
            _note(
                f"only the newest {len(lines)} lines since then; there {are} older ones. Further back: --until "
                f"{lines[0]['at']}; everything at once: download=1 of the API"
            )

    def _page(self, **more: Any) -> Item:
        return self._api.get(self._whose.path, {**self._query, **more}, doing=self._whose.doing)


def _note(text: str) -> None:
    screen = terminal(err=True)
    click.echo(screen.paint(f"[{text}]", "yellow", dim=True), err=True, color=screen.colour)


def _unknown(api: Client, whose: _Whose, error: CliError) -> CliError:
    """The error for a worker that does not exist, with near names where it is clear which one."""
    known = known_ids(api)
    missing = whose.names if len(whose.names) == 1 else [name for name in whose.names if name not in known]
    return not_found(missing[0], known) if len(missing) == 1 else error


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
