"""Which processes belong to a run, and signals to this very process or to nobody. `groups` decides when.

For an owned run a member is a descendant of the keeper (the subreaper, so nothing started by a worker leaves its
tree) that is in the leader's session, or has the run's token in its environment, or was found to be one before, or
descends from such a process or from the leader. For an adopted run (its keeper was killed; its processes are another's
children now) a member has the token and is in the leader's session, or has it and was inherited by whoever inherited
the leader, or was found to be one before, or descends from such a process or from the leader. Whoever left session and
environment behind and lost its parent before anybody looked is none of these: it cannot be told from a stranger, but
by a control group. Anybody can put a token into an environment: it counts for processes of the run's user only
(`_may_be_of`). Whoever is in the run's own control group is a member, too. What matches nothing is never signalled.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING

from . import cgroups, procfs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .procfs import Stat
    from .runs import Run

TOKEN = b"WORKER_RUN"


def owned_members(
    table: Mapping[int, Stat], roots: Mapping[int, str | None], runs: Iterable[Run], users: frozenset[int]
) -> dict[str, list[Stat]]:
    """The living members of each of `runs` at and below `roots` (pid -> the run it is known to belong to)."""
    by_name = {run.run: run for run in runs}
    found: dict[str, list[Stat]] = {name: [] for name in by_name}
    by_session = {run.pid: run.run for run in by_name.values()}
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
            run = by_name.get((procfs.environ_value(pid, TOKEN) or b"").decode("utf-8", "replace"))
            owner = run.run if run is not None and _may_be_of(run, pid, users) else None
        if owner is not None:
            found[owner].append(process)
        todo.extend((child, owner) for child in below.get(pid, ()))
    # Who is a root and below another one was met twice.
    return {name: list({each.pid: each for each in met}.values()) for name, met in found.items()}


def seen_before(
    table: Mapping[int, Stat], runs: Iterable[Run], seen: Mapping[str, frozenset[procfs.Identity]]
) -> dict[int, str]:
    """Those of `seen` (by run) who are still there, the very same: pid -> run. They stay members without parents."""
    found: dict[int, str] = {}
    for run in runs:
        for identity in seen.get(run.run, ()):
            process = table.get(identity.pid)
            if process is not None and process.identity == identity:
                found[identity.pid] = run.run
    return found


def _may_be_of(run: Run, pid: int, users: frozenset[int]) -> bool:
    """Whether a process that carries the run's token, which anybody can forge, may be believed.

    Its user must be the run's. A daemon that root started and that has dropped its privileges is of a user that has
    no run here: one who has could forge the token to have its own process taken for root's.
    """
    uid = procfs.real_uid(pid)
    return uid is not None and (uid == run.uid or (run.uid == 0 and uid not in users))


def add_group_members(members: list[Stat], table: Mapping[int, Stat], run: Run) -> None:
    """Whoever is in the run's control group and has left its session, its tree and its environment behind."""
    known = {process.pid for process in members}
    for pid in cgroups.members(run.cgroup):
        process = table.get(pid)
        if process is not None and pid != run.pid and pid not in known and not process.is_dead:
            members.append(process)


def has_group_members(run: Run) -> bool:
    """Whether somebody certainly lives in its control group."""
    return bool(run.cgroup) and cgroups.is_populated(run.cgroup) is True


def adopted_members(
    table: Mapping[int, Stat],
    runs: Iterable[Run],
    users: frozenset[int],
    seen: Mapping[str, frozenset[procfs.Identity]],
) -> dict[str, list[Stat]]:
    """The living members of each of `runs` but its leader, by one look at each environment.

    `seen` are those that were found before, by run: they stay members when their parents die.
    """
    by_token = {run.run.encode(): run for run in runs}
    own = os.getpid()
    # A keeper that was started from within a worker must not end itself with it.
    others = {pid: stat for pid, stat in table.items() if pid != own}
    oldest = min((run.identity.start_time for run in by_token.values()), default=0)
    roots: dict[int, str | None] = {}
    for run in by_token.values():
        leader = others.get(run.pid)
        if leader is not None and leader.identity == run.identity:
            roots[run.pid] = run.run
            run.reaper = leader.ppid
    roots.update(seen_before(others, by_token.values(), seen))
    for process in others.values():
        if process.is_dead or process.start_time < oldest or process.pid in roots:
            continue
        found = by_token.get(procfs.environ_value(process.pid, TOKEN) or b"")
        if found is not None and _is_left_behind(process, found) and _may_be_of(found, process.pid, users):
            roots[process.pid] = found.run
    members = owned_members(others, roots, by_token.values(), users)
    leaders = {run.run: run.pid for run in by_token.values()}
    return {name: [process for process in found if process.pid != leaders[name]] for name, found in members.items()}


def _is_left_behind(process: Stat, run: Run) -> bool:
    """Whether a bearer of the token can have come from the run: one whose parent is a stranger has not."""
    if process.start_time < run.identity.start_time:
        return False
    inheritors = (run.reaper,) if run.reaper else (1, os.getppid())
    return process.session == run.pid or process.ppid in inheritors


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
    """Signal the process group of an owned run's leader. Nothing pins the group id of an adopted one."""
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
