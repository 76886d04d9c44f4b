"""Who belongs to a run beside its leader, when nobody does any more, and signals to those who do.

For an owned run a member is a descendant of the keeper (the subreaper, so nothing started by a worker leaves its
tree) that is in the leader's session, or has the run's token in its environment, or descends from such a process or
from the leader. For an adopted run (its keeper was killed; its processes are another's children now) session and
token must both agree. What matches nothing is never signalled.

Living children of the keeper that are no leaders are called strays. All living members of a run whose leader is dead
are strays or below strays: without strays its group is certainly empty, and nothing has to be scanned. Otherwise one
scan of /proc serves all runs that wait, and scans keep a distance that bounds their cost.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING

from . import procfs
from .failpoints import failpoint
from .keeper_log import log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .procfs import Stat
    from .runs import Run

TOKEN = b"WORKER_RUN"
SCAN_DISTANCE_S = 0.02
SCAN_COST_FACTOR = 4  # the pause after a scan is at least this many times its duration
KILLING_RECHECK_S = 0.1
ADOPTED_RECHECK_S = 0.2
OWNED_RECHECK_S = 1.0
"""Deaths of strays wake us; this is for a member below a stray that is no member."""


class Groups:
    """Watches the groups of `runs` (the keeper's own mapping). `agent_pid`: our other child, if there is one."""

    def __init__(self, runs: Mapping[str, Run], agent_pid: Callable[[], int | None]) -> None:
        self._runs = runs
        self._agent_pid = agent_pid
        self._waiting: dict[str, Run] = {}
        self._sweep_due = True
        self._scan_not_before = 0.0
        self._due: float | None = None

    def touch(self) -> None:
        """A child changed: look at the strays in the next step."""
        self._sweep_due = True

    def watch(self, run: Run) -> None:
        """Its leader is dead, or its members have a signal coming: look at it in the next step."""
        self._waiting[run.run] = run
        self._due = 0.0

    def forget(self, run: Run) -> None:
        """The run is gone. What may be left of it is a stray for the next sweep."""
        self._waiting.pop(run.run, None)
        self._sweep_due = True

    def wait_s(self, now: float) -> float | None:
        """How long the loop may wait before the next step; None: until something happens. Monotonic seconds."""
        if self._sweep_due:
            return 0.0
        return None if self._due is None else max(0.0, self._due - now)

    def step(self, now: float) -> list[Run]:
        """Reap strays, deliver what is due, and return the runs whose groups became empty."""
        if not self._sweep_due and (self._due is None or now < self._due):
            return []
        strays = self._sweep()
        if strays is None:
            self._sweep_due = False
            self._due = now + ADOPTED_RECHECK_S
            return []
        self._due = None
        emptied = [run for run in self._waiting.values() if run.owned and run.exited and not strays]
        for run in emptied:
            del self._waiting[run.run]
        pending = list(self._waiting.values())
        try:
            if pending and not self._quick_look(pending, strays, now):
                emptied += self._look(pending, strays, now)
        except OSError as error:
            log(f"Cannot look at groups: {error}")
            self._again(now + ADOPTED_RECHECK_S)
        for run in emptied:
            run.group_empty = True
        return emptied

    def _sweep(self) -> set[int] | None:
        """Reap dead strays; the living ones, or None where they cannot be told.

        Reaping may hide one that came meanwhile, so the list that counts is one during which nothing was reaped.
        """
        while True:
            strays = self._strays()
            if strays is None:
                # Asked for again by the timer, not by a loop that cannot succeed now.
                return None
            if not [pid for pid in strays if _reap(pid)]:
                self._sweep_due = False
                return strays

    def _strays(self) -> set[int] | None:
        found = _own_children()
        if found is None:
            return None
        found.difference_update(run.pid for run in self._runs.values() if run.owned)
        found.discard(self._agent_pid() or 0)
        return found

    def _quick_look(self, pending: list[Run], strays: set[int], now: float) -> bool:
        """Whether every pending group has a member among the strays themselves, so that no scan is needed."""
        if any(run.killing or run.member_signals or not run.owned for run in pending):
            return False
        table = {stat.pid: stat for stat in map(procfs.read_stat, strays) if stat is not None}
        found = owned_members(table, dict.fromkeys(table), pending)
        if not all(found.values()):
            return False
        self._again(now + OWNED_RECHECK_S)
        return True

    def _look(self, pending: list[Run], strays: set[int], now: float) -> list[Run]:
        """One scan for all of `pending`; those that are empty."""
        if now < self._scan_not_before:
            self._again(self._scan_not_before)
            return []
        started = time.monotonic()
        table = procfs.scan()
        ended = time.monotonic()
        self._scan_not_before = ended + max(SCAN_DISTANCE_S, SCAN_COST_FACTOR * (ended - started))
        if table is None:
            # Unknown is not empty. A kill is not put off for it, as far as it can be done blindly.
            for run in pending:
                if run.killing:
                    signal_leader_group(run, signal.SIGKILL)
            self._again(now + ADOPTED_RECHECK_S)
            return []
        roots: dict[int, str | None] = dict.fromkeys(strays)
        owned = [run for run in pending if run.owned]
        roots.update((run.pid, run.run) for run in owned if run.exited is None)
        members = owned_members(table, roots, owned)
        members.update((run.run, adopted_members(table, run)) for run in pending if not run.owned)
        # A death below a stray may have moved its children to us, past the scan: then the scan proves no absence.
        is_settled = self._strays() == strays
        return [run for run in pending if self._treat(run, members[run.run], is_settled=is_settled, now=now)]

    def _treat(self, run: Run, members: list[Stat], *, is_settled: bool, now: float) -> bool:
        """Deliver what is due to the members. Whether the group is certainly empty."""
        _deliver(run, members)
        if run.exited is None:
            if run.killing:
                self._again(now + KILLING_RECHECK_S)
            else:
                del self._waiting[run.run]
            return False
        if members:
            run.quiet_scans = 0
            self._again(now + _recheck_s(run))
            return False
        run.quiet_scans += 1
        # Two scans in a row must agree. A member that is just then in the middle of exec has no environment to read,
        # and nothing tells when members of an adopted run fork or die while the table is read.
        if run.quiet_scans >= 2 and (is_settled or not run.owned):
            del self._waiting[run.run]
            return True
        self._again(self._scan_not_before)
        return False

    def _again(self, at: float) -> None:
        self._due = at if self._due is None else min(self._due, at)


def owned_members(
    table: Mapping[int, Stat], roots: Mapping[int, str | None], runs: Iterable[Run]
) -> dict[str, list[Stat]]:
    """The living members of each of `runs` at and below `roots` (pid -> the run it is known to belong to)."""
    found: dict[str, list[Stat]] = {run.run: [] for run in runs}
    by_session = {run.pid: run.run for run in runs}
    below: dict[int, list[int]] = {}
    for stat in table.values():
        below.setdefault(stat.ppid, []).append(stat.pid)
    todo = list(roots.items())
    while todo:
        pid, owner = todo.pop()
        process = table.get(pid)
        if process is None or process.is_dead:
            continue
        if owner is None:
            owner = by_session.get(process.session)
        if owner is None:
            token = (procfs.environ_value(pid, TOKEN) or b"").decode("utf-8", "replace")
            owner = token if token in found else None
        if owner is not None:
            found[owner].append(process)
        todo.extend((child, owner) for child in below.get(pid, ()))
    return found


def adopted_members(table: Mapping[int, Stat], run: Run) -> list[Stat]:
    """The living members of an adopted run but its leader: session and token agree."""
    return [
        process
        for process in table.values()
        if process.session == run.pid
        and process.pid != run.pid
        and not process.is_dead
        and procfs.environ_value(process.pid, TOKEN) == run.run.encode()
    ]


def signal_leader(run: Run, number: int) -> None:
    """Signal the leader alone, if it lives."""
    if run.exited is not None:
        return
    if run.pidfd >= 0:
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(run.pidfd, number)
    else:
        signal_process(run.identity, number)


def signal_leader_group(run: Run, number: int) -> None:
    """Signal the leader's process group. Of an adopted run, whose group id nothing pins, the leader alone."""
    if not run.owned:
        signal_leader(run, number)
        return
    # The leader is our unreaped child, alive or zombie: its pid names its group and no other.
    with contextlib.suppress(OSError):
        os.killpg(run.pid, number)


def signal_process(identity: procfs.Identity, number: int) -> None:
    """Signal this very process, or nobody: the pidfd holds it, and only then its start time is compared."""
    try:
        pidfd = os.pidfd_open(identity.pid)
    except OSError:
        return
    try:
        if procfs.is_alive(identity):
            signal.pidfd_send_signal(pidfd, number)
    except OSError:
        pass  # it went, or changed its user: the next look tells
    finally:
        os.close(pidfd)


def _deliver(run: Run, members: list[Stat]) -> None:
    if run.killing:
        run.kill_rounds += 1
        failpoint("keeper.before_member_kill")
        signal_leader_group(run, signal.SIGKILL)
        for process in members:
            signal_process(process.identity, signal.SIGKILL)
    for number in run.member_signals:
        for process in members:
            if _is_addressed(run, process):
                signal_process(process.identity, number)
    run.member_signals.clear()


def _is_addressed(run: Run, process: Stat) -> bool:
    """Whether a signal short of KILL goes to this member one by one.

    In an owned run the process group had it already. In an adopted run whose leader lives it is for the process
    group only, as if killpg could have been used.
    """
    in_group = process.pgrp == run.pid
    return not in_group if run.owned else in_group or run.exited is not None


def _recheck_s(run: Run) -> float:
    if run.killing:
        # Something that cannot be killed now (it waits in the kernel) must not be looked for ten times a second.
        return float(min(KILLING_RECHECK_S * 2 ** min(run.kill_rounds, 8), OWNED_RECHECK_S))
    return OWNED_RECHECK_S if run.owned else ADOPTED_RECHECK_S


def _own_children() -> set[int] | None:
    """All direct children, zombies too."""
    own = os.getpid()
    found = procfs.children(own)
    if found is not None:
        return set(found)
    table = procfs.scan()
    return None if table is None else {stat.pid for stat in table.values() if stat.ppid == own}


def _reap(pid: int) -> bool:
    """Whether it was dead, and is reaped now."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return False
