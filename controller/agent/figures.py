"""CPU and memory of each slot's process tree: one sweep over the process table every 10 s, never one per slot.

A tree is what shares its leader's session or descends from it. CPU is the time used since the sweep before, over the
seconds between (100 = one core); so the first sweep of a run knows its memory only. One sweep of a thousand processes
costs about 0.1 s of CPU; it runs in a thread. Without psutil, which is optional here, all figures are None.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from .views import Figures

psutil: Any = None
with contextlib.suppress(ImportError):
    psutil = importlib.import_module("psutil")

PERIOD_S = 10.0


class _Seen(NamedTuple):
    """One process in one sweep. `session` is 0 where it could not be told."""

    pid: int
    parent: int
    session: int
    started: float
    cpu_s: float
    memory: int


class Sweeper:
    """Keeps the times of the sweep before. `sweep` is called in a thread, one at a time."""

    def __init__(self) -> None:
        self._before: dict[tuple[int, float], float] = {}
        self._known: dict[str, int] = {}
        self._at = 0.0

    @property
    def degraded(self) -> str:
        """Why there are no figures; empty where there are."""
        return "" if psutil is not None else "psutil is not installed: no CPU and memory figures"

    def sweep(self, leaders: Mapping[str, int], mono: float) -> dict[str, Figures]:
        """The figures of each slot, by the pid of its leader."""
        if psutil is None or not leaders:
            return {}
        table = _table()
        slot_of = _members(leaders, table)
        elapsed = mono - self._at
        cpu: dict[str, float] = dict.fromkeys(leaders, 0.0)
        memory: dict[str, int] = dict.fromkeys(leaders, 0)
        after: dict[tuple[int, float], float] = {}
        for pid, slot in slot_of.items():
            seen = table[pid]
            memory[slot] += seen.memory
            identity = (pid, seen.started)
            after[identity] = seen.cpu_s
            cpu[slot] += max(0.0, seen.cpu_s - self._before.get(identity, 0.0))
        figures: dict[str, Figures] = {}
        for slot, pid in leaders.items():
            if pid not in table:
                continue
            was_seen = self._known.get(slot) == pid and elapsed > 0
            percent: Optional[float] = round(100.0 * cpu[slot] / elapsed, 1) if was_seen else None
            figures[slot] = (percent, memory[slot])
        self._before, self._known, self._at = after, dict(leaders), mono
        return figures


def _table() -> dict[int, _Seen]:
    """All processes that can be read."""
    found: dict[int, _Seen] = {}
    for process in psutil.process_iter():
        try:
            with process.oneshot():
                times = process.cpu_times()
                found[process.pid] = _Seen(
                    process.pid,
                    process.ppid(),
                    os.getsid(process.pid),
                    process.create_time(),
                    times.user + times.system,
                    process.memory_info().rss,
                )
        except (psutil.Error, OSError):
            continue
    return found


def _members(leaders: Mapping[str, int], table: Mapping[int, _Seen]) -> dict[int, str]:
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
