"""`workerctl get -w`: on a terminal the table is redrawn in place; into a pipe each change is one record.

The controller tells what changes (`follow=1`), nothing is asked for again and again. A controller that goes away is
waited for; the last picture stays, with a note. On a terminal a thread listens while the main one draws: at once when
something changed, but not more often than the eye can follow, and every second, because ages grow.

What counts as a change in a pipe: status, readiness, reasons, revisions, problems, restarts; not the figures.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import click

from controller.cli import fleet, wording
from controller.cli.client import OPENED, Client, Item
from controller.cli.common import echo_ndjson, echo_yaml, fetch_holds, fetch_workers, pause
from controller.cli.errors import CliError
from controller.cli.follow import Stream, endless
from controller.cli.human import clock, rfc3339
from controller.cli.selection import Selection
from controller.cli.terminal import Terminal, cut, one_line, pad, terminal, width_of

PERIOD_S = 1.0
SHORTEST_S = 0.1
HOLDS_PERIOD_S = 2.0
# Redrawing needs these: wrap off and on, cursor hide and show.
_WRAP_OFF, _WRAP_ON = "\x1b[?7l", "\x1b[?7h"
_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"

Change = tuple[str, Item | None]
"""A worker's id and its document; None: it is gone."""


def watch_workers(api: Client, selection: Selection, output: str) -> None:
    """Watch until Ctrl-C. Raises CliError when the first look fails or the controller refuses."""
    if output in {"table", "wide"} and terminal().tty:
        _redraw(api, selection, wide=output == "wide")
    else:
        _print_changes(api, selection, output)


def changes(api: Client, selection: Selection, note: Callable[[str], None]) -> Iterator[Change]:
    """Every chosen worker once, then each change, without end.

    The stream does not say what vanished while we were not connected. So the list is read once a stream is open: what
    it lacks is gone, and what goes later, the stream tells.
    """
    shown: set[str] = set()
    stream = Stream(path="/api/v1/workers", query={"follow": "1"}, doing="watch workers")
    with closing(endless(api, stream, note)) as items:
        for item in items:
            if item is OPENED:
                present = {str(worker["worker_id"]) for worker in selection.of(fetch_workers(api))}
                news: list[Change] = [(name, None) for name in sorted(shown - present)]
            else:
                news = [_news(item.document, selection)]
            for name, worker in news:
                if worker is not None:
                    shown.add(name)
                    yield name, worker
                elif name in shown:
                    shown.discard(name)
                    yield name, None


def _news(document: Item, selection: Selection) -> Change:
    chosen = not document.get("gone") and selection.of([document])
    return str(document["worker_id"]), document if chosen else None


class Picture:
    """What the listener knows and the drawer draws."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: dict[str, Item] = {}
        self._holds: list[Item] = []
        self._note = ""
        self._news = False
        self._error: CliError | None = None

    def listen(self, api: Client, selection: Selection) -> None:
        """Take in changes, without end; an error is kept for the drawer."""
        try:
            for name, item in changes(api, selection, self.note):
                with self._changed:
                    if item is None:
                        self._items.pop(name, None)
                    else:
                        self._items[name] = item
                    self._wake()
        except CliError as error:
            with self._changed:
                self._error = error
                self._wake()

    def look_at_holds(self, api: Client) -> None:
        """Ask what is held back, now and then, without end: no stream tells it. While nobody answers, it stays."""
        while True:
            found = fetch_holds(api)
            with self._changed:
                if found != self._holds and not self._note:
                    self._holds = found
                    self._wake()
            pause(HOLDS_PERIOD_S)

    def note(self, text: str) -> None:
        """Why nothing comes; empty when it goes on."""
        with self._changed:
            self._note = f"{text}; waiting for the controller" if text else ""
            self._wake()

    def wake(self) -> None:
        """Let the drawer draw, for a reason of its own."""
        with self._changed:
            self._wake()

    def _wake(self) -> None:
        """With the lock held: what happens while the drawer draws is not missed."""
        self._news = True
        self._changed.notify()

    def next(self) -> tuple[list[Item], list[Item], str]:
        """Wait for a change or a second; the items, the holds and the note. Raises CliError when listening ended."""
        threading.Event().wait(SHORTEST_S)
        with self._changed:
            self._changed.wait_for(lambda: self._news, PERIOD_S - SHORTEST_S)
            self._news = False
            if self._error is not None:
                raise self._error
            return list(self._items.values()), self._holds, self._note


def _redraw(api: Client, selection: Selection, *, wide: bool) -> None:
    picture, height = Picture(), 0
    threading.Thread(target=picture.listen, args=(api, selection), daemon=True, name="listener").start()
    threading.Thread(target=picture.look_at_holds, args=(api,), daemon=True, name="holds").start()
    click.echo(_HIDE, nl=False, color=True)
    try:
        while True:
            items, holds, note = picture.next()
            lines = picture_lines(items, holds, note, terminal(), wide=wide)
            back = f"\x1b[{height}A\r\x1b[J" if height else ""
            click.echo(f"{back}{_WRAP_OFF}" + "\n".join(lines) + f"{_WRAP_ON}\n", nl=False, color=True)
            height = len(lines)
    finally:
        click.echo(_SHOW, nl=False, color=True)


def picture_lines(items: list[Item], holds: list[Item], note: str, screen: Terminal, *, wide: bool) -> list[str]:
    """The table, the problems, what is held back, and a last line; never higher than the terminal."""
    now = time.time()
    table = fleet.table(items, screen, now, wide=wide, most=1)
    lines = [*table, *fleet.problem_block(items, screen), *fleet.hold_block(items, holds, screen)]
    room = max(screen.lines - 3, 1)
    if len(lines) > room:
        lines = [*lines[: room - 1], screen.paint(f"{len(lines) - room + 1} more lines", dim=True)]
    total = fleet.summary(items, screen)
    last = screen.paint(clock(rfc3339(now), now), dim=True)
    if note:
        room = screen.columns - width_of(fleet.summary(items, replace(screen, colour=False))) - 2
        last = screen.paint(cut(one_line(note), max(room, 1)), "yellow")
    return [*lines, "", f"{total}  {last}"]


def _print_changes(api: Client, selection: Selection, output: str) -> None:
    emit = _emitter(output)
    known: dict[str, str] = {}
    for name, item in changes(api, selection, _tell):
        if item is None:
            known.pop(name, None)
            emit({"worker_id": name, "gone": True})
        elif known.get(name) != (key := _key(item)):
            known[name] = key
            emit(item)


def _tell(cause: str) -> None:
    click.echo(f"[{cause}; waiting for the controller]" if cause else "[connected again]", err=True)


def _key(item: Item) -> str:
    """What a change is: the item without what moves all the time."""
    instances = [
        [entry.get(field) for field in ("instance", "status", "reason", "pid", "revision")]
        for entry in wording.instances_of(item)
    ]
    fields = [item.get(field) for field in ("status", "desired_state", "revision", "restart_count", "problems")]
    ready = (wording.condition(item, "Ready") or {}).get("status")
    return json.dumps([fields, ready, instances], sort_keys=True)


def _emitter(output: str) -> Callable[[Item], None]:
    match output:
        case "json":
            return echo_ndjson
        case "yaml":
            return _echo_document
        case "name":
            return _echo_name
        case _:
            return _echo_change


def _echo_document(item: Item) -> None:
    click.echo("---")
    echo_yaml(item)


def _echo_name(item: Item) -> None:
    click.echo(str(item["worker_id"]))


def _echo_change(item: Item) -> None:
    now = time.time()
    parts = [clock(rfc3339(now), now), pad(str(item["worker_id"]), 20)]
    if item.get("gone"):
        parts.append("gone")
    else:
        parts += [pad(item["status"], 8), pad(wording.running_of(item), 5), one_line(wording.reason(item, now))]
    click.echo("  ".join(parts).rstrip())
