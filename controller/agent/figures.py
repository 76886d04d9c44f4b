"""CPU and memory of each slot's process tree: one sweep over the process table every 10 s, never one per slot.

A tree is what shares its leader's session or descends from it. `cpu_percent` is the time used since the sweep before,
over the seconds between (100 = one core); so the first sweep of a run knows no percentage. `cpu_seconds` is what the
run has used since its start and never falls within a run: the kernel's own account where the run has a control group,
else summed up here from what its processes used and what those left behind that ended and were waited for. Not in it
is what nobody can tell any more: the last seconds before a run's end, and without a group a process that came and went
between two sweeps and was waited for by nobody of the tree. A new agent begins with what it finds: less, then, where
the sum was its own.

One sweep of a thousand processes reads one small file of each, some 20 ms of CPU; it runs in a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Optional

from . import cgroups, procfs
from .procfs import Usage
from .states import Slot
from .views import Figures

PERIOD_S = 10.0


class Leader(NamedTuple):
    """The first process of a slot's run; `group` is the folder of the run's control group, where there may be one."""

    pid: int
    run: str
    group: Optional[str] = None


def leaders_of(
    slots: Mapping[str, Slot], group_of: Callable[[str, str], Optional[str]] = lambda _slot, _run: None
) -> dict[str, Leader]:
    """Of the slots that have a process. `group_of(slot, run)`: the folder of the run's control group, if any."""
    return {
        name: Leader(slot.pid, slot.run, group_of(name, slot.run))
        for name, slot in slots.items()
        if slot.pid is not None and slot.run
    }


def figures_push(figures: Mapping[str, Figures], runs: Mapping[str, str]) -> dict[str, Any]:
    """The `figures` push. CPU seconds stand beside: pairs are what every version reads, and these are of one run."""
    return {
        "push": "figures",
        "figures": {name: (found.cpu_percent, found.memory_bytes) for name, found in figures.items()},
        "cpu_seconds": {name: (runs[name], found.cpu_seconds) for name, found in figures.items()},
    }


class _Account(NamedTuple):
    """What a run has used; `of_group`: by its control group's account."""

    run: str
    used_s: float
    of_group: bool


class Sweeper:
    """Keeps what the sweep before has seen. `sweep` is called in a thread, one at a time."""

    def __init__(self) -> None:
        self._before: dict[int, Usage] = {}
        self._accounts: dict[str, _Account] = {}
        self._at = 0.0

    def sweep(self, leaders: Mapping[str, Leader], mono: float) -> dict[str, Figures]:
        """The figures of each slot that has a run."""
        if not leaders:
            return {}
        table = procfs.usages()
        slot_of = _members({slot: leader.pid for slot, leader in leaders.items()}, table)
        trees: dict[str, dict[int, Usage]] = {slot: {} for slot in leaders}
        for pid, slot in slot_of.items():
            trees[slot][pid] = table[pid]
        used = used_since(table, self._before)
        accounts: dict[str, _Account] = {}
        figures: dict[str, Figures] = {}
        elapsed = mono - self._at
        for slot, leader in leaders.items():
            if leader.pid not in table:
                continue
            before = self._accounts.get(slot)
            if before is not None and before.run != leader.run:
                before = None
            now = accounts[slot] = _account(leader, trees[slot], used, before)
            percent: Optional[float] = None
            if before is not None and before.of_group == now.of_group and elapsed > 0:
                percent = round(100.0 * (now.used_s - before.used_s) / elapsed, 1)
            memory = sum(seen.memory for seen in trees[slot].values())
            figures[slot] = Figures(percent, memory, round(now.used_s, 2))
        self._before, self._accounts, self._at = {pid: table[pid] for pid in slot_of}, accounts, mono
        return figures


def _account(
    leader: Leader, tree: Mapping[int, Usage], used: Mapping[int, float], before: Optional[_Account]
) -> _Account:
    """Of a run, after what it was at the sweep before."""
    least = 0.0 if before is None else before.used_s
    by_kernel = None if leader.group is None else cgroups.cpu_seconds(leader.group)
    if by_kernel is not None:
        return _Account(leader.run, max(least, by_kernel), of_group=True)
    if before is None:
        return _Account(leader.run, sum(seen.cpu_s + seen.ended_s for seen in tree.values()), of_group=False)
    return _Account(leader.run, least + sum(used[pid] for pid in tree), of_group=False)


def used_since(table: Mapping[int, Usage], before: Mapping[int, Usage]) -> dict[int, float]:
    """The seconds since the sweep before that each process tells of: its own, and of those that ended under it.

    What had been seen of these already comes again with the parent that waited for them, and is taken off there. It
    does not come where nobody waited (an orphan, a parent that ignores its children): no process tells less than 0.
    """
    known = {pid: seen for pid, seen in before.items() if pid in table and table[pid].started == seen.started}
    counted: dict[int, float] = {}
    for pid, seen in before.items():
        if pid in known:
            continue
        heir = seen.parent
        while heir in before and heir not in known and before[heir].parent != heir:
            heir = before[heir].parent
        counted[heir] = counted.get(heir, 0.0) + seen.cpu_s + seen.ended_s
    used: dict[int, float] = {}
    for pid, seen in table.items():
        was = known.get(pid)
        own, ended = (0.0, 0.0) if was is None else (was.cpu_s, was.ended_s)
        used[pid] = max(0.0, seen.cpu_s - own) + max(0.0, seen.ended_s - ended - counted.get(pid, 0.0))
    return used


def _members(leaders: Mapping[str, int], table: Mapping[int, Usage]) -> dict[int, str]:
    """The slot that each process belongs to: by its session, else by its nearest ancestor that belongs to one."""
    by_leader = {pid: slot for slot, pid in leaders.items()}
    owner: dict[int, Optional[str]] = {}
    for pid in table:
        path: list[int] = []
        at = pid
        slot: Optional[str] = None
        while at in table and at not in path:
            if at in owner:
                slot = owner[at]
                break
            path.append(at)
            slot = by_leader.get(at) or by_leader.get(table[at].session)
            if slot is not None:
                break
            at = table[at].parent
        for member in path:
            owner[member] = slot
    return {pid: slot for pid, slot in owner.items() if slot is not None}
