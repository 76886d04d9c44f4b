"""`workerctl tree`: workers and what they depend on, as a drawing; who waits for whom stands beside.

The drawing is that of core/tree.py over the items of the API; who waits is what the controller's own plan holds back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import click

from controller.cli import wording
from controller.cli.client import Item
from controller.cli.common import (
    client,
    echo_json,
    echo_lines,
    examples,
    fetch_workers,
    not_found,
    output_option,
    server_option,
)
from controller.cli.names import worker_names
from controller.cli.table import Cell
from controller.cli.terminal import Terminal, cut, one_line, pad, terminal, width_of
from controller.core.tree import ABOVE, Node, TreeLine, dependency_tree

GAP = "   "
TELLING = ("WaitsFor", "DependencyDown")
"""Holds that are about a dependency."""


@click.command(
    epilog=examples(
        ("workerctl tree", "all workers"),
        ("workerctl tree web mailer", "two of them, and all that they need"),
        ("workerctl tree --deps --ascii", "in plain characters"),
        ("workerctl tree -o json", "for programs"),
    )
)
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=worker_names)
@click.option(
    "--deps", is_flag=True, default=True, expose_value=False, help="What each depends on: the only view there is yet."
)
@click.option("--ascii", "ascii_only", is_flag=True, help="Draw in plain characters.")
@output_option("text", "json", default="text")
@server_option
def tree(names: tuple[str, ...], ascii_only: bool, output: str) -> None:
    """Draw what workers depend on, and who waits for whom.

    What a worker depends on stands beneath it, with what is awaited of it. With names: these, and all that they need.
    """
    api, screen = client(), terminal()
    every = fetch_workers(api)
    known = {str(item["worker_id"]): item for item in every}
    for name in names:
        if name not in known:
            raise not_found(name, known)
    holds = api.get("/api/v1/plan", doing="get the plan").get("holds") or []
    waits = _waits(known.values(), holds)
    items = _needed(names, known) if names else known
    if output == "json":
        echo_json({"items": [_document(item, waits) for item in items.values()]})
        return
    drawn = dependency_tree(
        [_node(item) for item in items.values()], ascii_only=ascii_only or (screen.tty and not screen.unicode)
    )
    echo_lines(tree_lines(drawn, waits, screen))
    if items and not any(item.get("depends_on") for item in items.values()):
        click.echo("no worker here depends on another", err=True)
    elif not items:
        click.echo(f"no workers at {api.address.text}", err=True)


def tree_lines(drawn: Iterable[TreeLine], waits: Mapping[str, str], screen: Terminal) -> list[str]:
    """The drawing, with who waits beside each worker where it is drawn in full. Columns are measured, then coloured."""
    rows = [(line, _status(line, screen), _beside(line, waits)) for line in drawn]
    width = max((width_of(line.stem + line.worker_id) for line, _, _ in rows), default=0)
    status_width = max((width_of(cell.text) for _, cell, _ in rows), default=0)
    lines = []
    for line, cell, beside in rows:
        name = screen.paint(line.stem, dim=True) + screen.paint(line.worker_id, bold=True)
        blanks = " " * (width - width_of(line.stem + line.worker_id))
        status = screen.paint(pad(cell.text, status_width), cell.colour, bold=cell.bold, dim=cell.dim)
        text = beside
        if screen.tty:
            room = screen.columns - width - status_width - 2 * len(GAP)
            text = cut(beside, max(room, 1), screen.sign("…", "..."))
        colour = "yellow" if line.worker_id in waits and ABOVE not in line.note else None
        painted = screen.paint(text, colour, dim=colour is None)
        lines.append(f"{name}{blanks}{GAP}{status}{GAP}{painted}".rstrip())
    return lines


def _status(line: TreeLine, screen: Terminal) -> Cell:
    return wording.status_cell(line.status, screen) if line.status else Cell(text="")


def _beside(line: TreeLine, waits: Mapping[str, str]) -> str:
    more = waits.get(line.worker_id, "") if ABOVE not in line.note else ""
    return "; ".join(part for part in (line.note, more) if part)


def _waits(items: Iterable[Item], holds: Iterable[Item]) -> dict[str, str]:
    """What is to be said beside a worker: the holds about its dependencies, else that it is not ready."""
    found: dict[str, list[str]] = {}
    for hold in holds:
        if hold.get("reason") in TELLING:
            found.setdefault(str(hold.get("worker_id")), []).append(one_line(str(hold.get("message") or "")))
    for item in items:
        ready = wording.condition(item, "Ready") or {}
        if item["worker_id"] not in found and item["status"] == "running" and ready.get("reason") == "NotReady":
            found[str(item["worker_id"])] = ["not ready"]
    return {name: "; ".join(words) for name, words in found.items()}


def _needed(names: Iterable[str], known: Mapping[str, Item]) -> dict[str, Item]:
    """The named workers and all that they depend on, directly or through others, in the order of the list."""
    wanted: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in known and name not in wanted:
            wanted.add(name)
            waiting += known[name].get("depends_on") or {}
    return {name: item for name, item in known.items() if name in wanted}


def _node(item: Item) -> Node:
    return Node(
        worker_id=str(item["worker_id"]), status=str(item["status"]), depends_on=dict(item.get("depends_on") or {})
    )


def _document(item: Item, waits: Mapping[str, str]) -> Item:
    return {
        "worker_id": item["worker_id"],
        "status": item["status"],
        "depends_on": item.get("depends_on") or {},
        "note": waits.get(str(item["worker_id"]), ""),
    }
