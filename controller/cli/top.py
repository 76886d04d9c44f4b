"""`workerctl top`: the workers as they are now, sorted by what they use. On a terminal live; into a pipe once.

What changes comes by the stream that `get -w` follows too; keys are read in a thread of their own. Sparklines begin
with what the controller's history knows of the time before, which is asked for once; without an answer they fill as
time goes on. What is drawn, and what a key means, is in top_screen.py.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click

from controller.cli.client import Client, Item
from controller.cli.common import client, echo_lines, examples, fetch_workers, server_option
from controller.cli.errors import CliError
from controller.cli.selection import Selection
from controller.cli.terminal import terminal
from controller.cli.top_screen import FIGURES, SORTS, History, View, chosen, pressed, room_of, screen_lines, table_lines
from controller.cli.watch import Picture

_UNBOUNDED = 1000  # columns


@click.command(
    epilog=examples(
        ("workerctl top", "live; keys sort, filter and scroll"),
        ("workerctl top --sort memory", "who uses most memory"),
        ("workerctl top --once | head", "one look, for scripts"),
    )
)
@click.option("--sort", type=click.Choice(list(SORTS)), default="status", help="What stands on top.", show_default=True)
@click.option("--once", is_flag=True, help="Print one look and end, as into a pipe.")
@server_option
def top(sort: str, once: bool) -> None:
    """Show what workers use, live."""
    api, view = client(), View(sort=sort)
    if once or not (terminal().tty and sys.stdin.isatty()):
        _print_once(api, view)
        return
    from controller.cli.keys import full_screen, listen  # noqa: PLC0415 - only on a terminal

    picture = Picture()
    typed: queue.SimpleQueue[str] = queue.SimpleQueue()
    fetch_workers(api)  # what refuses us says so before the screen is borrowed

    def take(key: str) -> None:
        typed.put(key)
        picture.wake()

    past: queue.SimpleQueue[Item] = queue.SimpleQueue()

    def remember() -> None:
        past.put(_past(api))
        picture.wake()

    with full_screen():
        _in_background(picture.listen, api, Selection())
        _in_background(listen, take)
        _in_background(remember)
        _show(picture, typed, past, view)


def _past(api: Client) -> Item:
    """The figures of the time before. A picture is worth having without it, so no error is raised."""
    try:
        return api.get("/api/v1/metrics-history", {"metric": FIGURES}, doing="get the history")
    except CliError:
        return {}


def _print_once(api: Client, view: View) -> None:
    items, screen, history = fetch_workers(api), terminal(), History()
    if screen.tty:
        history.take(items, time.time())
        history.fill(_past(api))
    else:
        screen = replace(screen, columns=_UNBOUNDED, unicode=False)
    rows = chosen(items, view)
    echo_lines(table_lines(rows, rows, history, screen, time.time()))


def _in_background(work: Callable[..., None], *arguments: Any) -> None:
    threading.Thread(target=work, args=arguments, daemon=True).start()


def _show(picture: Picture, typed: queue.SimpleQueue[str], past: queue.SimpleQueue[Item], view: View) -> None:
    history = History()
    items: list[Item] = []
    while True:
        current, _, note = picture.next()
        now, screen = time.time(), terminal()
        history.take(current, now)
        while not past.empty():
            history.fill(past.get())
        while not typed.empty():
            after = pressed(view, typed.get(), rows=len(chosen(items, view)), room=room_of(screen))
            if after is None:
                return
            view = after
        if not view.paused:
            items = current
        lines = screen_lines(items, history, replace(view, note=note), screen, now=now)
        click.echo("\x1b[H" + "\n".join(f"\x1b[2K{line}" for line in lines) + "\x1b[J", nl=False, color=True)
