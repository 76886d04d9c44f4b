"""`workerctl status`: some lines on one worker, or on the fleet, and an exit code for scripts (0, 3, 4)."""

from __future__ import annotations

import time

import click

from controller.cli import fleet, wording
from controller.cli.client import Item
from controller.cli.common import (
    client,
    echo_lines,
    examples,
    fetch_holds,
    fetch_worker,
    fetch_workers,
    server_option,
)
from controller.cli.errors import Exit
from controller.cli.human import count, cpu, memory
from controller.cli.names import worker_names
from controller.cli.table import GAP, SHORTEST_NAME, pairs
from controller.cli.terminal import Terminal, cut, cut_middle, one_line, terminal, width_of


@click.command(
    epilog=examples(
        ("workerctl status", "the fleet, and what is not as it should be"),
        ("workerctl status web", "one worker"),
        (
            "workerctl status web >/dev/null || echo down",
            "for scripts: 0 as desired, 3 not running or degraded, 4 unknown",
        ),
    )
)
@click.argument("name", required=False, shell_complete=worker_names)
@server_option
def status(name: str | None) -> None:
    """Tell how a worker, or the fleet, is doing.

    Leaves with 0 when all is as the specs ask, with 3 when something is not running or degraded, with 4 when that
    cannot be known.
    """
    api, screen, now = client(), terminal(), time.time()
    if name is not None:
        item = fetch_worker(api, name)
        echo_lines(_one(item, screen, now))
        items = [item]
    else:
        items = fetch_workers(api)
        echo_lines([*_fleet(items, screen, now), *fleet.hold_block(items, fetch_holds(api), screen)])
    click.get_current_context().exit(verdict(items))


def verdict(items: list[Item]) -> Exit:
    """The exit code for these workers."""
    if any(item["status"] == "unknown" for item in items):
        return Exit.UNKNOWN
    return Exit.OK if all(wording.as_desired(item) for item in items) else Exit.NOT_RUNNING


def headline(item: Item, screen: Terminal, now: float) -> str:
    """`● web  running 2/2 for 3h 2m  Web front end`."""
    name, title, more = str(item["worker_id"]), one_line(str(item.get("name") or "")), screen.sign("…", "...")
    state = wording.status_cell(item["status"], screen)
    rest = " ".join(filter(None, (wording.running_of(item), wording.lasting(item, now))))
    if screen.tty:
        room = screen.columns - width_of(state.text) - 1 - width_of(rest) - len(GAP)
        name = cut_middle(name, max(room, SHORTEST_NAME), more)
        left = room - width_of(name) - len(GAP)
        title = cut(title, left, more) if left >= SHORTEST_NAME else ""
    words = f"{wording.painted_status(item['status'], screen)} {rest}"
    return GAP.join(part for part in (screen.paint(name, bold=True), words, screen.paint(title, dim=True)) if part)


def _one(item: Item, screen: Terminal, now: float) -> list[str]:
    restarts = int(item.get("restart_count") or 0)
    usage = f"cpu {cpu(item.get('cpu_percent'))}, memory {memory(item.get('memory_bytes'))}"
    rows = [
        ("Spec", wording.place_of(item)),
        ("Desired", str(item.get("desired_state") or "")),
        ("Usage", f"{usage}, {count(restarts, 'restart')}"),
        ("Why", one_line(str(item.get("why") or ""))),
        ("Next", one_line(str(item.get("next") or ""))),
    ]
    lines = [headline(item, screen, now), *pairs(rows, screen, indent="  ")]
    faults = fleet.problems_of([item])
    if faults:
        lines += [screen.paint("  Problems", "yellow")]
        lines += [f"    {line}" for line in fleet.problem_lines(faults, screen)]
    return lines


def _fleet(items: list[Item], screen: Terminal, now: float) -> list[str]:
    lines = [fleet.summary(items, screen)]
    amiss = [item for item in items if not wording.as_desired(item)]
    if amiss:
        lines += ["", *fleet.table(amiss, screen, now)]
    return lines + fleet.problem_block(items, screen)
