"""The fleet on a screen: the table of `get` and `status`, the summary line, and the problems of files beneath.

Lines only; who prints them decides where. `now` in seconds since the epoch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from controller.cli import wording
from controller.cli.client import Item
from controller.cli.errors import fault_lines
from controller.cli.human import count, cpu, memory
from controller.cli.table import SHORTEST, Cell, Column, hanging, render
from controller.cli.terminal import Terminal, neutralise, one_line

_TABLE = (
    Column(title="NAME", shrinkable=True),
    Column(title="STATUS"),
    Column(title="INSTANCES", right=True),
    Column(title="RESTARTS", right=True),
    Column(title="CPU", right=True, droppable=True),
    Column(title="MEMORY", right=True, droppable=True),
    Column(title="AGE", right=True, droppable=True),
)
_WIDE = (
    Column(title="DESIRED"),
    Column(title="ERRORS", right=True),
    Column(title="PIDS"),
    Column(title="REVISION"),
    Column(title="SOURCE"),
    Column(title="LABELS"),
)
_REASON = Column(title="REASON")
REASON_LINES = 3  # of a row: what is longer, `describe` tells
UNBOUNDED = 100_000  # columns
NAMES_TOLD = 5
_INDENT = 4  # of what belongs to a line, and at most of the block it stands in
_REASON_COLOUR = {"error": "red", "crashed": "yellow", "unknown": "magenta"}


def table(
    items: Sequence[Item], screen: Terminal, now: float, *, wide: bool = False, most: int = REASON_LINES
) -> list[str]:
    """One row per worker, failed first. Who asks for a wide one gets all of it, on a narrow terminal too."""
    columns = (*_TABLE, *(_WIDE if wide else ()), _REASON)
    rows = [_row(item, screen, now, wide=wide) for item in wording.failed_first(items)]
    return render(columns, rows, replace(screen, columns=UNBOUNDED) if wide else screen, most=most)


def _row(item: Item, screen: Terminal, now: float, *, wide: bool) -> list[str | Cell]:
    restarts = int(item.get("restart_count") or 0)
    row: list[str | Cell] = [
        Cell(text=str(item["worker_id"]), bold=True),
        wording.status_cell(item["status"], screen),
        wording.running_of(item),
        Cell(text=str(restarts), colour="yellow" if restarts else None),
        cpu(item.get("cpu_percent")),
        memory(item.get("memory_bytes")),
        wording.age_of(item, now),
    ]
    if wide:
        row += _wide_cells(item)
    colour = _REASON_COLOUR.get(item["status"], "yellow" if item.get("problems") else None)
    reason, name = wording.reason(item, now), str(item["worker_id"])
    if screen.tty and len(name) > SHORTEST:
        reason = reason.replace(f"{name}/", screen.sign("…/", ".../"))  # the row has the name already
    return [*row, Cell(text=reason, colour=colour)]


def _wide_cells(item: Item) -> list[str]:
    pids = [str(instance["pid"]) for instance in wording.instances_of(item) if instance.get("pid")]
    return [
        str(item.get("desired_state") or "-"),
        str(item.get("error_count") if item.get("error_count") is not None else "-"),
        ",".join(pids) or "-",
        str(item.get("revision") or "-"),
        wording.place_of(item) or "-",
        labels(item.get("labels")) or "-",
    ]


def labels(given: Mapping[str, str] | None) -> str:
    """`team=growth,tier=front`."""
    return ",".join(f"{name}={value}" for name, value in sorted((given or {}).items()))


def problems_of(items: Iterable[Item]) -> list[Item]:
    """All problems of the workers' files, each once, by place."""
    unique = {
        (
            str(fault.get("file")),
            int(fault.get("line") or 0),
            int(fault.get("column") or 0),
            str(fault.get("message")),
        ): (fault)
        for item in items
        for fault in item.get("problems") or ()
    }
    return [unique[key] for key in sorted(unique)]


def problem_lines(faults: Sequence[Mapping[str, Any]], screen: Terminal) -> list[str]:
    """`web.yaml:7:3: message`, the hint beneath; place in bold, hint in another colour."""
    lines: list[str] = []
    for fault in faults:
        first, *hints = (neutralise(line) for line in fault_lines(fault))
        place, separator, _ = first.partition(": ")
        head, *more = hanging(first, screen, 2 * _INDENT)
        is_whole = separator and head.startswith(place)
        lines.append(screen.paint(place, bold=True) + head.removeprefix(place) if is_whole else head)
        lines += [" " * _INDENT + line for line in more]
        for hint in hints:
            told = hanging(hint.strip(), screen, 2 * _INDENT)
            lines += [screen.paint(" " * _INDENT + line, "cyan") for line in told]
    return lines


def problem_block(items: Sequence[Item], screen: Terminal) -> list[str]:
    """The problems beneath a table, with a heading. Empty without any."""
    faults = problems_of(items)
    if not faults:
        return []
    return ["", screen.paint(f"{count(len(faults), 'problem')} in spec files", "yellow", bold=True)] + [
        f"  {line}" for line in problem_lines(faults, screen)
    ]


def hold_block(items: Sequence[Item], holds: Sequence[Item], screen: Terminal) -> list[str]:
    """What is held back, once per reason and digest, with the way out.

    That is what concerns the whole source or a host, and what waits for a confirmation for one of these workers; other
    holds stand in `plan` and `describe`. Empty without any.
    """
    shown = {item["worker_id"] for item in items}
    told: dict[tuple[str, str], list[Item]] = {}
    for hold in holds:
        if hold.get("worker_id") is None or (hold.get("confirm") and hold["worker_id"] in shown):
            key = (str(hold.get("reason")), str(hold.get("confirm") or hold.get("message")))
            told.setdefault(key, []).append(hold)
    lines: list[str] = []
    for together in told.values():
        hold, reason = together[0], one_line(str(together[0].get("reason")))
        head, *more = hanging(f"{reason}: {_of_all(together)}", screen, 2 * _INDENT)
        lines += [f"  {screen.paint(reason, bold=True)}{head.removeprefix(reason)}"]
        lines += [f"      {line}" for line in more]
        if hold.get("confirm"):
            advice = f"to let it happen: workerctl reconcile --confirm {one_line(str(hold['confirm']))}"
            lines.append("      " + screen.paint(advice, "cyan"))
    return ["", screen.paint("Held back", "yellow", bold=True), *lines] if lines else []


def _of_all(holds: Sequence[Item]) -> str:
    """What holds with one reason and digest say; of several workers with their names in place of what differs."""
    message = str(holds[0].get("message"))
    names = [str(hold["worker_id"]) for hold in holds if hold.get("worker_id") is not None]
    if len(names) > 1:
        if any(hold.get("message") != message for hold in holds):
            message = message.rpartition(" (")[0] or message
        more = f" and {len(names) - NAMES_TOLD} more" if len(names) > NAMES_TOLD else ""
        message += f": {', '.join(names[:NAMES_TOLD])}{more}"
    return one_line(message)


def summary(items: Sequence[Item], screen: Terminal) -> str:
    """`5 workers: 1 error, 3 running, 1 stopped`."""
    totals = Counter(item["status"] for item in items)
    known = sorted(totals, key=lambda status: (wording.severity(status), status))
    parts = [screen.paint(f"{totals[status]} {status}", wording.status_cell(status, screen).colour) for status in known]
    return f"{count(len(items), 'worker')}: {', '.join(parts)}" if parts else "no workers"
