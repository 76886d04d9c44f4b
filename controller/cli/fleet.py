"""The fleet on a screen: the table of `get` and `status`, the summary line, and the problems of files beneath.

Lines only; who prints them decides where. `now` in seconds since the epoch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from controller.cli import wording
from controller.cli.client import Item
from controller.cli.errors import fault_lines
from controller.cli.human import count, cpu, memory
from controller.cli.table import Cell, Column, render
from controller.cli.terminal import Terminal, neutralise

_TABLE = (
    Column(title="NAME"),
    Column(title="STATUS"),
    Column(title="INSTANCES", right=True),
    Column(title="RESTARTS", right=True),
    Column(title="CPU", right=True, droppable=True),
    Column(title="MEMORY", right=True, droppable=True),
    Column(title="AGE", right=True, droppable=True),
)
_WIDE = (
    Column(title="DESIRED", droppable=True),
    Column(title="ERRORS", right=True, droppable=True),
    Column(title="PIDS", droppable=True),
    Column(title="REVISION", droppable=True),
    Column(title="SOURCE", droppable=True),
    Column(title="LABELS", droppable=True),
)
_REASON = Column(title="REASON")
_REASON_COLOUR = {"error": "red", "crashed": "yellow", "unknown": "magenta"}


def table(items: Sequence[Item], screen: Terminal, now: float, *, wide: bool = False) -> list[str]:
    """One row per worker, failed first."""
    columns = (*_TABLE, *(_WIDE if wide else ()), _REASON)
    return render(columns, [_row(item, screen, now, wide=wide) for item in wording.failed_first(items)], screen)


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
    return [*row, Cell(text=wording.reason(item, now), colour=colour)]


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
        place, separator, message = first.partition(": ")
        lines.append(screen.paint(place, bold=True) + separator + message)
        lines += [screen.paint(hint, "cyan") for hint in hints]
    return lines


def problem_block(items: Sequence[Item], screen: Terminal) -> list[str]:
    """The problems beneath a table, with a heading. Empty without any."""
    faults = problems_of(items)
    if not faults:
        return []
    return ["", screen.paint(f"{count(len(faults), 'problem')} in spec files", "yellow", bold=True)] + [
        f"  {line}" for line in problem_lines(faults, screen)
    ]


def summary(items: Sequence[Item], screen: Terminal) -> str:
    """`5 workers: 1 error, 3 running, 1 stopped`."""
    totals = Counter(item["status"] for item in items)
    known = sorted(totals, key=lambda status: (wording.severity(status), status))
    parts = [screen.paint(f"{totals[status]} {status}", wording.status_cell(status, screen).colour) for status in known]
    return f"{count(len(items), 'worker')}: {', '.join(parts)}" if parts else "no workers"
