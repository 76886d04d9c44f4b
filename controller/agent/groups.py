"""When nobody belongs to a run any more, and signals to those who do. Who they are is `members`.

Living children of the keeper that are no leaders are called strays. All living members of a run whose leader is dead
are strays or below strays: without strays its group is certainly empty, and nothing has to be scanned. Otherwise one
scan of /proc serves all runs that wait. Sweeps and scans keep a distance that bounds their cost, whatever a worker
does: ten thousand orphans a second are reaped in bulk, and a flood of them delays no other run's end.
"""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from . import cgroups, procfs
from .failpoints import failpoint
from .keeper_log import log
from .members import (
    add_group_members,
    adopted_members,
    has_group_members,
    owned_members,
    seen_before,
    signal_leader,
    signal_leader_group,
    signal_process,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .procfs import Stat
    from .runs import Run

SCAN_DISTANCE_S = 0.02
SCAN_COST_FACTOR = 4  # the pause after a scan is at least this many times its duration
SWEEP_COST_FACTOR = 2
SWEEP_PASSES = 4
UNSETTLED_SCANS = 5
"""So many scans in a row that find nobody are believed even if children come and go all the time."""
STORM_ROUNDS = 2
STORM_KILL_EVERY = 8
KILLING_RECHECK_S = 0.1
ADOPTED_RECHECK_S = 0.2
OWNED_RECHECK_S = 1.0
"""Deaths of strays wake us; this is for a member below a stray that is no member."""
FIRST_GROUP_LOOK_S = 0.005
"""A control group is empty a moment after its last member has become a zombie."""


class Groups:
    """Watches the groups of `runs` (the keeper's own mapping). `agent_pid`: our other child, if there is one."""

    def __init__(self, runs: Mapping[str, Run], agent_pid: Callable[[], int | None]) -> None:
        self._runs = runs
        self._agent_pid = agent_pid
        self._waiting: dict[str, Run] = {}
        self._leaders: set[int] = set()
        self._left: set[str] = set()
        self._seen: dict[str, frozenset[procfs.Identity]] = {}
        self._sweep_due = True
        self._sweep_not_before = 0.0
        self._scan_not_before = 0.0
        self._due: float | None = None
        self._had_strays, self._had_strays_until = False, 0.0

    def add(self, run: Run) -> None:
        """A new run, in the mapping already."""
        if run.owned:
            self._leaders.add(run.pid)
        elif run.exited is None:
            # Who belongs to it is seen now, while all who descend from its leader still do.
            self.watch(run)

    def touch(self) -> None:
        """A child changed: look at the strays in the next step."""
        self._sweep_due = True

    def watch(self, run: Run) -> None:
        """Its leader is dead, or its members have a signal coming: look at it in the next step."""
        self._waiting[run.run] = run
        self._due = 0.0

    def needs_look(self, run: Run) -> bool:
        """Whether a polite signal may concern others than the leader's process group.

        Then all is sent in the next look, the leader's share too: whoever descends from it and from nothing else that
        is known is seen before it may be gone. Most leaders have no children, and cost no look.
        """
        if run.exited is not None or not run.owned:
            return True
        return procfs.children(run.pid) != [] or self._has_strays()

    def _has_strays(self) -> bool:
        """Seen a moment ago, or looked for: a thousand workers that are stopped at once cost one look."""
        now = time.monotonic()
        if now >= self._had_strays_until:
            self._had_strays = bool(self._strays())
            self._had_strays_until = time.monotonic() + SCAN_DISTANCE_S
        return self._had_strays

    def forget(self, run: Run) -> None:
        """The run is gone. What may be left of it is a stray for the next sweep."""
        self._waiting.pop(run.run, None)
        self._seen.pop(run.run, None)
        if run.owned:
            self._leaders.discard(run.pid)
        self.leave(run.cgroup)

    def leave(self, cgroup: str) -> None:
        """Remove the control group (empty: none), now or as soon as nobody is in it; and look for strays."""
        if cgroup and not cgroups.remove(cgroup):
            self._left.add(cgroup)
        self._sweep_due = True

    def wait_s(self, now: float) -> float | None:
        """How long the loop may wait before the next step; None: until something happens. Monotonic seconds."""
        if self._sweep_due:
            return max(0.0, self._sweep_not_before - now)
        return None if self._due is None else max(0.0, self._due - now, self._sweep_not_before - now)

    def step(self, now: float) -> list[Run]:
        """Reap strays, deliver what is due, and return the runs whose groups became empty."""
        if now < self._sweep_not_before or not (self._sweep_due or (self._due is not None and now >= self._due)):
            return []
        started = time.monotonic()
        strays, is_settled = self._sweep()
        ended = time.monotonic()
        self._sweep_not_before = ended + SWEEP_COST_FACTOR * (ended - started)
        if strays is None:
            self._due = now + ADOPTED_RECHECK_S
            return []
        self._due = None
        emptied = self._childless() if is_settled and not strays else []
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

    def _childless(self) -> list[Run]:
        """The owned runs whose leader is dead, when we have no other child. They wait no more."""
        emptied = [run for run in self._waiting.values() if run.owned and run.exited and not has_group_members(run)]
        for run in emptied:
            del self._waiting[run.run]
        return emptied

    def _sweep(self) -> tuple[set[int] | None, bool]:
        """Reap dead strays; the living ones, or None where they cannot be told. And whether that is all of them.

        Reaping may hide one that came meanwhile, so the list that counts is one during which nothing was reaped.
        """
        self._sweep_due = False
        for group in list(self._left):
            if cgroups.remove(group):
                self._left.discard(group)
        strays: set[int] | None = None
        for _ in range(SWEEP_PASSES):
            strays = self._strays()
            if strays is None:
                # Asked for again by the timer, not by a loop that cannot succeed now.
                return None, False
            dead = [pid for pid in strays if _reap(pid)]
            if not dead:
                return strays, True
            strays.difference_update(dead)
        self._sweep_due = True
        return strays, False

    def _strays(self) -> set[int] | None:
        found = _own_children()
        if found is None:
            return None
        found -= self._leaders
        found.discard(self._agent_pid() or 0)
        return found

    def _quick_look(self, pending: list[Run], strays: set[int], now: float) -> bool:
        """Whether every pending group has a member among the strays themselves, so that no scan is needed."""
        if any(run.killing or run.member_signals or not run.owned for run in pending):
            return False
        table = {stat.pid: stat for stat in map(procfs.read_stat, strays) if stat is not None}
        found = owned_members(table, dict.fromkeys(table), pending, self._users())
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
        members = {} if table is None else self._members(pending, table, strays)
        ended = time.monotonic()
        # Against a flood of forks every pause is lost ground.
        factor = 1 if any(run.storming for run in pending) else SCAN_COST_FACTOR
        self._scan_not_before = ended + max(SCAN_DISTANCE_S, factor * (ended - started))
        if table is None:
            # Unknown is not empty. A kill is not put off for it, as far as it can be done blindly.
            for run in pending:
                _reach_blindly(run)
            self._again(now + ADOPTED_RECHECK_S)
            return []
        # A death below a stray may have moved its children to us, past the scan: then the scan proves no absence.
        is_settled = self._strays() == strays
        return [run for run in pending if self._treat(run, members[run.run], is_settled=is_settled, now=now)]

    def _members(self, pending: list[Run], table: Mapping[int, Stat], strays: set[int]) -> dict[str, list[Stat]]:
        """The living members of each of `pending`."""
        roots: dict[int, str | None] = dict.fromkeys(strays)
        owned = [run for run in pending if run.owned]
        roots.update((run.pid, run.run) for run in owned if run.exited is None)
        seen = {run.run: self._seen.get(run.run, frozenset()) for run in pending}
        roots.update(seen_before(table, owned, seen))
        users = self._users()
        members = owned_members(table, roots, owned, users)
        adopted = [run for run in pending if not run.owned]
        if adopted:
            members.update(adopted_members(table, adopted, users, seen))
        self._seen.update({name: frozenset(stat.identity for stat in found) for name, found in members.items()})
        for run in pending:
            if run.cgroup:
                add_group_members(members[run.run], table, run)
        return members

    def _treat(self, run: Run, members: list[Stat], *, is_settled: bool, now: float) -> bool:
        """Deliver what is due to the members. Whether the group is certainly empty."""
        _deliver(run, members)
        if run.exited is None:
            if run.killing:
                self._again(now + _recheck_s(run))
            else:
                del self._waiting[run.run]
            return False
        if members:
            run.quiet_scans = 0
            self._again(now + _recheck_s(run))
            return False
        run.quiet_scans += 1
        if has_group_members(run):
            run.group_looks += 1
            self._again(now + min(FIRST_GROUP_LOOK_S * 2**run.group_looks, OWNED_RECHECK_S))
            return False
        # Two scans in a row must agree. A member that is just then in the middle of exec has no environment to read,
        # and nothing tells when members of an adopted run fork or die while the table is read.
        is_believed = is_settled or not run.owned or run.quiet_scans >= UNSETTLED_SCANS
        if run.quiet_scans >= 2 and is_believed:
            del self._waiting[run.run]
            return True
        self._again(self._scan_not_before)
        return False

    def _users(self) -> frozenset[int]:
        """Whoever has a run here."""
        return frozenset(run.uid for run in self._runs.values())

    def _again(self, at: float) -> None:
        self._due = at if self._due is None else min(self._due, at)


def _deliver(run: Run, members: list[Stat]) -> None:
    if run.killing:
        _kill_members(run, members)
    for number in run.member_signals:
        # Only now: what descends from the leader and from nothing else has been seen.
        _signal_first(run, number)
        for process in members:
            if _is_addressed(run, process):
                signal_process(process.identity, number)
    run.member_signals.clear()


def _kill_at_once(run: Run) -> None:
    """What needs no look: the control group and the process group; of an adopted run its leader."""
    if run.cgroup:
        cgroups.kill(run.cgroup)
    _signal_first(run, signal.SIGKILL)


def _signal_first(run: Run, number: int) -> None:
    """The leader and, where its pid certainly names it, its process group."""
    if run.owned:
        signal_leader_group(run, number)
    else:
        signal_leader(run, number)


def _reach_blindly(run: Run) -> None:
    """What can be done where nobody can be looked for. A kill is asked for again; what is polite is said once."""
    if run.killing:
        _kill_at_once(run)
    for number in run.member_signals:
        _signal_first(run, number)
    run.member_signals.clear()


def _kill_members(run: Run, members: list[Stat]) -> None:
    """One round. Where new ones keep coming, they are stopped first: who is stopped holds its place and forks no more.

    Killed one by one, a fork bomb at the limit of its user's processes would refill each place at once.
    """
    run.kill_rounds += 1
    failpoint("keeper.before_member_kill")
    _kill_at_once(run)
    found = frozenset(process.identity for process in members)
    run.storming = run.kill_rounds > STORM_ROUNDS and not found <= run.killed
    number = signal.SIGKILL
    if run.storming and run.kill_rounds % STORM_KILL_EVERY and any(process.state != "T" for process in members):
        number = signal.SIGSTOP
    else:
        run.killed = found
    for process in members:
        signal_process(process.identity, number)


def _is_addressed(run: Run, process: Stat) -> bool:
    """Whether a signal short of KILL goes to this member one by one.

    In an owned run the process group had it already. In an adopted run whose leader lives it is for the process
    group only, as if killpg could have been used.
    """
    in_group = process.pgrp == run.pid
    return not in_group if run.owned else in_group or run.exited is not None


def _recheck_s(run: Run) -> float:
    if run.storming:
        return 0.0
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
