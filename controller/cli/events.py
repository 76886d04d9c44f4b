"""`workerctl events`: what happened and why; with -w also what happens, across restarts of the controller."""

from __future__ import annotations

import time
from typing import Any

import click

from controller.cli.client import Client, Item, Query
from controller.cli.common import (
    client,
    echo_json,
    echo_lines,
    echo_ndjson,
    examples,
    known_ids,
    not_found,
    output_option,
    server_option,
)
from controller.cli.follow import Stream, follow
from controller.cli.human import clock
from controller.cli.names import worker_names
from controller.cli.table import READABLE, Cell, Column, render
from controller.cli.terminal import Terminal, cut_middle, one_line, pad, terminal

PATH = "/api/v1/events"
_COLUMNS = (
    Column(title="TIME"), Column(title="WORKER", shrinkable=True), Column(title="EVENT"), Column(title="MESSAGE")
)  # fmt: skip
# Actors that are parts of us; who else acts is named.
OURS = frozenset({"agent", "controller", "keeper", "loop", "specs"})
# The first that is part of an event's type gives its colour.
_COLOURS = (
    ("gave_up", "red"), ("error", "red"), ("fail", "red"), ("refused", "red"), ("crash", "yellow"), ("exit", "yellow"),
    ("problem", "yellow"), ("gap", "yellow"), ("held", "yellow"), ("hold", "yellow"), ("stop", "cyan"),
    ("running", "green"), ("start", "green"), ("accepted", "green"),
)  # fmt: skip


@click.command(
    epilog=examples(
        ("workerctl events", "the last 50 events"),
        ("workerctl events web -n 10", "the last 10 of one worker"),
        ("workerctl events -w", "and those to come"),
        ("workerctl events -w -o json", "one JSON object per line"),
    )
)
@click.argument("name", required=False, shell_complete=worker_names)
@click.option("-w", "--watch", is_flag=True, help="Go on with the events to come. Ctrl-C ends.")
@click.option(
    "-n", "--number", type=click.IntRange(0, 1000), default=50, show_default=True, help="How many past events."
)
@output_option("table", "json", default="table")
@server_option
def events(name: str | None, watch: bool, number: int, output: str) -> None:
    """Show what happened, and why."""
    api, screen = client(), terminal()
    page = _page(api, name, number)
    past = page["items"]
    if watch:
        _watch(api, name, page, output)
    elif output == "json":
        echo_json({"items": past})
    elif past:
        echo_lines(event_table(past, screen, time.time()))
    elif name is None:
        click.echo("no events yet", err=True)
    elif name in (known := known_ids(api)):
        click.echo(f"no events of {name}", err=True)
    else:
        raise not_found(name, known)


def fetch_events(api: Client, name: str | None, number: int) -> list[Item]:
    """The last `number` events, oldest first."""
    items: list[Item] = _page(api, name, number)["items"]
    return items


def _page(api: Client, name: str | None, number: int) -> Item:
    return {"items": [], **api.get(PATH, {"worker_id": name, "limit": number}, doing="get events")}


def _watch(api: Client, name: str | None, page: Item, output: str) -> None:
    screen = terminal()

    def show(event: Item) -> None:
        if output == "json":
            echo_ndjson(event)
        else:
            echo_lines([event_line(event, screen, time.time())])

    for event in page["items"]:
        show(event)
    query: Query = {"worker_id": name, "follow": "1"}
    follow(api, Stream(path=PATH, query=query, doing="watch events", after=str(page["next_cursor"])), show)


def _words(event: Item) -> tuple[str, str, str]:
    """Whom it concerns, its type, what it says."""
    subject = str(event.get("instance") or event.get("worker_id") or "-")
    # The line of a plan is padded for the eye; here it stands in a column of its own.
    message, cause, actor = (" ".join(str(event.get(key) or "").split()) for key in ("message", "cause", "actor"))
    text = message or cause
    if cause and cause.lower() not in text.lower():
        text += f" ({cause})"
    if actor and actor not in OURS and actor not in text:
        text += f" by {actor}"
    return one_line(subject), one_line(str(event.get("type") or "")), one_line(text)


def _colour(kind: str) -> str | None:
    return next((colour for part, colour in _COLOURS if part in kind.lower()), None)


def event_table(items: list[Item], screen: Terminal, now: float) -> list[str]:
    """Events as an aligned table."""
    rows: list[list[Any]] = []
    for event in items:
        subject, kind, text = _words(event)
        rows.append(
            [Cell(text=clock(event.get("at"), now), dim=True), Cell(text=subject, bold=True),
             Cell(text=kind, colour=_colour(kind)), text]
        )  # fmt: skip
    return render(_COLUMNS, rows, screen)


def event_line(event: Item, screen: Terminal, now: float) -> str:
    """One event of a stream: columns of a fixed width, for the others are not known yet."""
    subject, kind, text = _words(event)
    if screen.tty:
        subject = cut_middle(subject, READABLE, screen.sign("…", "..."))
    return "  ".join(
        (
            screen.paint(clock(event.get("at"), now), dim=True),
            screen.paint(pad(subject, 16), bold=True),
            screen.paint(pad(kind, 16), _colour(kind)),
            text,
        )
    ).rstrip()
