"""`workerctl describe NAME`: everything that is known of one worker, its last events included."""

from __future__ import annotations

import time
from dataclasses import replace

import click

from controller.cli import fleet, wording
from controller.cli.client import Client, Item
from controller.cli.common import client, echo_lines, examples, fetch_worker, fetch_workers, server_option
from controller.cli.errors import CliError, Exit
from controller.cli.events import event_table, fetch_events
from controller.cli.human import age, clock, cpu, duration, memory, seconds_of
from controller.cli.names import worker_names
from controller.cli.status import headline
from controller.cli.table import Cell, Column, pairs, render
from controller.cli.terminal import Terminal, neutralise, one_line, terminal

LAST_EVENTS = 10
_READY: dict[bool | None, str] = {True: "yes", False: "no", None: "-"}

_CONDITIONS = tuple(Column(title=title) for title in ("TYPE", "STATUS", "REASON", "SINCE", "MESSAGE"))
_INSTANCES = (
    Column(title="INSTANCE", shrinkable=True),
    Column(title="STATUS"),
    Column(title="READY", droppable=True),
    Column(title="PID", right=True),
    Column(title="UPTIME", right=True),
    Column(title="RESTARTS", right=True),
    Column(title="CPU", right=True, droppable=True),
    Column(title="MEMORY", right=True, droppable=True),
    Column(title="REVISION", droppable=True),
    Column(title="RUN", droppable=True),
    Column(title="REASON"),
)
_BEATS = (
    Column(title="INSTANCE", shrinkable=True),
    *(Column(title=title, right=True) for title in ("TASKS", "ACCOUNTS", "ERRORS", "HEARTBEAT")),
    Column(title="SAYS", droppable=True),
)
_OPERATIONS = tuple(Column(title=title) for title in ("ACTION", "STATE", "DETAIL"))
_EXITS = (
    Column(title="INSTANCE", shrinkable=True),
    *(Column(title=title) for title in ("LAST EXIT", "WHEN", "NEXT TRY")),
)


@click.command(
    epilog=examples(
        ("workerctl describe web", "why is it so, what comes next, what happened"),
        ("workerctl describe web | less -R", "page by page"),
    )
)
@click.argument("name", shell_complete=worker_names)
@server_option
def describe(name: str) -> None:
    """Tell everything about one worker: why, what next."""
    api, screen, now = client(), terminal(), time.time()
    item = fetch_worker(api, name)
    lines = [headline(item, screen, now)]
    if item.get("description"):
        lines.append(screen.paint(f"  {neutralise(str(item['description']).strip())}".replace("\n", "\n  "), dim=True))
    lines += ["", *pairs([*_facts(item, now), *_dependencies(item, fetch_workers(api))], screen), ""]
    lines += pairs(
        [("Why", one_line(str(item.get("why") or ""))), ("Next", one_line(str(item.get("next") or "")))], screen
    )
    lines += _section("Problems", fleet.problem_lines(fleet.problems_of([item]), screen), screen)
    lines += _section("Instances", _instances(item, screen, now), screen)
    lines += _section("Heartbeats", _beats(item, screen, now), screen)
    lines += _section("Last exits", _exits(item, screen, now), screen)
    lines += _section("Conditions", _conditions(item, screen, now), screen)
    lines += _section("Operations", _operations(item, screen), screen)
    lines += _section(f"Last {LAST_EVENTS} events", _events(api, name, screen, now), screen)
    echo_lines(lines)


def _section(title: str, lines: list[str], screen: Terminal) -> list[str]:
    return ["", screen.paint(title, bold=True), *(f"  {line}" for line in lines)] if lines else []


def _facts(item: Item, now: float) -> list[tuple[str, str]]:
    commit = (item.get("source") or {}).get("commit")
    heartbeat = seconds_of(item.get("last_heartbeat_at"))
    rows = [
        ("Spec", wording.place_of(item) + (f" at commit {str(commit)[:12]}" if commit else "")),
        ("Revision", item.get("revision")),
        ("Desired", _desired(item)),
        ("Deployment", item.get("deployment_type")),
        ("Labels", fleet.labels(item.get("labels"))),
        ("Restarts", item.get("restart_count")),
        ("Errors", item.get("error_count")),
        ("CPU", _cpu(item)),
        ("Memory", memory(item.get("memory_bytes"))),
        ("Accounts", item.get("assigned_accounts")),
        ("Tasks", item.get("active_tasks")),
        ("Heartbeat", None if heartbeat is None else f"{age(now - heartbeat)} ago{_next_heartbeat(item, now)}"),
    ]
    return [(label, "" if value is None else one_line(str(value))) for label, value in rows]


def _desired(item: Item) -> str | None:
    """`running`, and how many of it."""
    state, count = item.get("desired_state"), item.get("desired_replicas")
    return f"{state}, {count} instances" if state == "running" and count is not None and count != 1 else state


def _cpu(item: Item) -> str:
    """Now, and since the starts of its runs."""
    known = [one["cpu_seconds"] for one in item.get("instances") or () if one.get("cpu_seconds") is not None]
    used = f"; {sum(known):.1f} s since the start" if known else ""
    return cpu(item.get("cpu_percent")) + used


def _beats(item: Item, screen: Terminal, now: float) -> list[str]:
    """What each instance tells of itself; nothing where none does."""
    rows: list[list[str | Cell]] = []
    for entry in wording.instances_of(item):
        told = entry.get("heartbeat")
        if not told:
            continue
        figures = [told.get(name) for name in ("active_tasks", "assigned_accounts", "error_count")]
        at = seconds_of(told.get("at"))
        rows.append(
            [
                Cell(text=str(entry["instance"]), bold=True),
                *("-" if figure is None else str(figure) for figure in figures),
                "-" if at is None else f"{age(now - at)} ago",
                one_line(str(told.get("status") or "")),
            ]
        )
    return render(_BEATS, rows, _inside(screen)) if rows else []


def _next_heartbeat(item: Item, now: float) -> str:
    """When one has to be there, where liveness asks for it: of the instance that has the least time left."""
    told = [instance.get("heartbeat") or {} for instance in item.get("instances") or ()]
    due = min((at for at in (seconds_of(one.get("due_at")) for one in told) if at is not None), default=None)
    if due is None:
        return ""
    return f"; the next one is due within {age(due - now)}" if due > now else f"; one was due {age(now - due)} ago"


def _dependencies(item: Item, fleet_items: list[Item]) -> list[tuple[str, str]]:
    """What it depends on, as each is now, and who depends on it."""
    status = {str(other["worker_id"]): str(other["status"]) for other in fleet_items}
    needed = [
        f"{name} to be {awaited} ({'it is ' + status[name] if name in status else 'no spec has that name'})"
        for name, awaited in sorted((item.get("depends_on") or {}).items())
    ]
    awaited_by = {str(other["worker_id"]): (other.get("depends_on") or {}) for other in fleet_items}
    by = [f"{name} ({found[item['worker_id']]})" for name, found in awaited_by.items() if item["worker_id"] in found]
    return [("Depends on", one_line(", ".join(needed))), ("Needed by", one_line(", ".join(sorted(by))))]


def _conditions(item: Item, screen: Terminal, now: float) -> list[str]:
    rows: list[list[str | Cell]] = []
    for entry in item.get("conditions") or ():
        start = seconds_of(entry.get("since"))
        rows.append(
            [
                str(entry.get("type")),
                str(entry.get("status")),
                str(entry.get("reason") or ""),
                age(None if start is None else now - start),
                str(entry.get("message") or ""),
            ]
        )
    return render(_CONDITIONS, rows, _inside(screen))


def _instances(item: Item, screen: Terminal, now: float) -> list[str]:
    rows: list[list[str | Cell]] = []
    for entry in wording.instances_of(item):
        uptime = entry.get("uptime_s")
        rows.append(
            [
                Cell(text=str(entry["instance"]), bold=True),
                wording.status_cell(entry["status"], screen),
                _READY[entry.get("ready")],
                str(entry.get("pid") or "-"),
                "-" if uptime is None else duration(uptime),
                str(entry.get("restart_count") or 0),
                cpu(entry.get("cpu_percent")),
                memory(entry.get("memory_bytes")),
                str(entry.get("revision") or "-"),
                str(entry.get("run") or "-"),
                wording.instance_reason(entry, now),
            ]
        )
    return render(_INSTANCES, rows, _inside(screen))


def _exits(item: Item, screen: Terminal, now: float) -> list[str]:
    rows: list[list[str | Cell]] = []
    for entry in wording.instances_of(item):
        last = entry.get("last_exit")
        if last:
            when, at = clock(last.get("at"), now), seconds_of(last.get("at"))
            ago = "" if at is None else f" ({age(now - at)} ago)"
            again = wording.next_try(entry, now).removeprefix("next try ")
            rows.append([str(entry["instance"]), wording.exit_words(last), when + ago, again or "-"])
    return render(_EXITS, rows, _inside(screen))


def _operations(item: Item, screen: Terminal) -> list[str]:
    rows = [
        [str(entry.get(key) or "") for key in ("action", "state", "detail")] for entry in item.get("operations") or ()
    ]
    return render(_OPERATIONS, rows, _inside(screen))


def _events(api: Client, name: str, screen: Terminal, now: float) -> list[str]:
    try:
        return event_table(fetch_events(api, name, LAST_EVENTS), _inside(screen), now)
    except CliError as error:
        # The rest of the description is worth having; a worker without history is no fault either.
        return [] if error.exit_code == Exit.NOT_FOUND else [screen.paint(f"not available: {error.message}", "yellow")]


def _inside(screen: Terminal) -> Terminal:
    """The same screen, less the indent of a section."""
    return replace(screen, columns=max(screen.columns - 2, 1))
