"""What a launch may use: limits that hold in every process (files, nice) and those of a control group per slot.

The agent asks for the fields of an order before it spawns; `cgroups` finds and claims the subtree, once. A limit that
this host cannot enforce is not in `enforceable`: the controller holds such a worker, unless its spec says best
effort; then the order leaves it out. Never RLIMIT_AS: it breaks programs that map more than they use.

An out-of-memory kill is believed only when the group's own counter grew during the run. What it was when the run began
is kept at the group, for the next agent. A run that outlives such a kill (a child was hit) does not end by it later:
`look` counts it as the past.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import re
import resource
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Optional, Union

from . import cgroups
from .cgroups import Cgroupfs
from .start import is_relative

if TYPE_CHECKING:
    from .paths import AgentPaths

ALWAYS = ("nofile", "nice")
CPU_PERIOD_US = 100_000
_LEAST_QUOTA_US = 1000  # the kernel's
_FIELDS = (("memory_bytes", "memory"), ("cpu", "cpu"), ("pids", "pids"))
_PLAIN = re.compile(r"[A-Za-z0-9_./-]+")
_LONGEST = 100
_KILLS_MARK = "user.workerctl.oom_kills"


class Limiter:
    """The limits of this host. Built once by the agent; a few file operations for each call, none of them slow.

    Built over the agent's paths it looks for the subtree itself. Built over a folder of cgroupfs it divides that one.
    """

    def __init__(self, paths_or_root: Union[AgentPaths, str], files: Optional[Cgroupfs] = None) -> None:
        self._files = files or Cgroupfs()
        self._kills: dict[str, int] = {}
        self._seen: dict[str, tuple[str, int]] = {}
        self._proofs: set[str] = set()  # groups that are removed, in which the kernel has killed
        if isinstance(paths_or_root, str):
            base, name = paths_or_root, "agent"
            ours: tuple[int, ...] = ()
        else:
            base, name = cgroups.find_base(), os.path.basename(paths_or_root.runtime)
            ours = (os.getppid(), os.getpid())
        self._subtree = cgroups.claim(base, name, ours, self._files, is_relative) if base else None
        if self._subtree is not None:
            self._clean(self._subtree.top)

    def enforceable(self) -> list[str]:
        """The names of the limits that hold here."""
        return _names(() if self._subtree is None else self._subtree.controllers)

    def order_fields(self, slot: str, launch: Mapping[str, Any]) -> dict[str, Any]:
        """`rlimits`, `nice` and `cgroup` of an order to spawn, as far as the launch asks and the host can.

        The slot's group is made and its limits are written. Raises OSError, naming the file, where that fails although
        the launch is strict about it.
        """
        limits = launch.get("limits") or {}
        is_strict = limits.get("enforce", "strict") == "strict"
        fields: dict[str, Any] = {}
        if limits.get("nofile") is not None:
            fields["rlimits"] = {"nofile": _nofile(limits["nofile"], is_strict=is_strict)}
        if limits.get("nice") is not None and (is_strict or _may_be_nice(limits["nice"])):
            fields["nice"] = limits["nice"]
        try:
            group = self._prepare(slot, limits)
        except OSError:
            if is_strict and any(limits.get(field) is not None for field, _ in _FIELDS):
                raise
            group = None
        return {**fields, "cgroup": group} if group else fields

    def ended(self, slot: str) -> bool:
        """Whether the kernel killed something of the slot for want of memory since its last order."""
        group = self._group(slot)
        return group is not None and (group in self._proofs or self._kills_since(slot, group) > 0)

    def look(self, runs: Mapping[str, str]) -> list[str]:
        """Now and then, of what runs (slot -> run): the slots that have outlived a kill since the look before.

        Only the next look believes it: a leader that was hit itself is still being buried at the first.
        """
        outlived = []
        for slot, run in runs.items():
            group = self._group(slot)
            if group is None:
                continue
            before, self._seen[slot] = self._seen.get(slot), (run, _oom_kills(group))
            if before is not None and before[0] == run and before[1] > self._baseline(slot, group):
                self._begin(slot, group, before[1])
                outlived.append(slot)
        return outlived

    def run_group(self, slot: str, run: str) -> Optional[str]:
        """The folder of a run's own group, None on a host without. It is not there where the run could not have one."""
        group = self._group(slot)
        return None if group is None else cgroups.leaf(group, run)

    def forget(self, slot: str) -> None:
        """The slot is gone. A group in which something still lives is left to the next start."""
        self._kills.pop(slot, None)
        self._seen.pop(slot, None)
        group = self._group(slot)
        if group is not None:
            self._proofs.discard(group)
            self._remove(group)

    def close(self) -> None:
        """The agent ends: nothing is left behind of slots in which nobody lives."""
        if self._subtree is not None:
            self._clean(self._subtree.top)

    def _group(self, slot: str) -> Optional[str]:
        return None if self._subtree is None else os.path.join(self._subtree.top, group_name(slot))

    def _prepare(self, slot: str, limits: Mapping[str, Any]) -> Optional[str]:
        group = self._group(slot)
        if group is None or self._subtree is None:
            return None
        with contextlib.suppress(FileExistsError):
            self._files.make(group)
        # All of them, also those that the launch no longer has: the group is the same as before.
        for name, text in _settings(self._subtree.controllers, limits):
            try:
                cgroups.write(os.path.join(group, name), text)
            except FileNotFoundError:
                if name != "memory.swap.max":  # only where the kernel accounts swap
                    raise
        self._proofs.discard(group)
        self._begin(slot, group, _oom_kills(group))
        return group

    def _begin(self, slot: str, group: str, kills: int) -> None:
        """Later kills count. Where the group cannot keep it (before 5.7) an agent knows of its own runs only."""
        self._kills[slot] = kills
        with contextlib.suppress(OSError):
            os.setxattr(group, _KILLS_MARK, str(kills).encode("ascii"))

    def _baseline(self, slot: str, group: str) -> float:
        """How many kills are no news; without any record all of them."""
        if slot not in self._kills:
            return _kept_kills(group)
        return self._kills[slot]

    def _kills_since(self, slot: str, group: str) -> float:
        return _oom_kills(group) - self._baseline(slot, group)

    def _clean(self, top: str) -> None:
        """Remove the groups that agents before us left, as far as nothing lives in them.

        A run that the kernel killed while no agent was there is still to be told of: what its group proves is kept.
        """
        with contextlib.suppress(OSError), os.scandir(top) as found:
            for path in [entry.path for entry in found if entry.is_dir(follow_symlinks=False)]:
                if os.path.basename(path) != cgroups.SELF:
                    if _oom_kills(path) > _kept_kills(path):
                        self._proofs.add(path)
                    self._remove(path)

    def _remove(self, group: str) -> None:
        with contextlib.suppress(OSError), os.scandir(group) as found:
            below = [entry.path for entry in found if entry.is_dir(follow_symlinks=False)]
            for path in below:
                with contextlib.suppress(OSError):
                    self._files.remove(path)
            self._files.remove(group)


def enforceable_by(agent: int) -> list[str]:
    """What the agent of this pid can enforce, as it can be seen from outside."""
    return _names(cgroups.limited_by(agent))


def _names(controllers: Collection[str]) -> list[str]:
    return [*ALWAYS, *(field for field, controller in _FIELDS if controller in controllers)]


def group_name(slot: str) -> str:
    """A folder's name for a slot, one to one, which none of cgroupfs's own files has."""
    if len(slot) <= _LONGEST and _PLAIN.fullmatch(slot):
        return "slot-" + slot.replace("_", "__").replace(".", "_d").replace("/", "_s")
    return "slot_x" + hashlib.sha256(slot.encode("utf-8", "surrogateescape")).hexdigest()


def _settings(controllers: tuple[str, ...], limits: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Which control file gets which text."""
    memory, cpu, pids = (limits.get(name) for name in ("memory_bytes", "cpu", "pids"))
    found = []
    if "memory" in controllers:
        found.append(("memory.max", "max" if memory is None else str(memory)))
        found.append(("memory.swap.max", "max" if memory is None else "0"))
    if "cpu" in controllers:
        quota = "max" if cpu is None else str(max(_LEAST_QUOTA_US, round(float(cpu) * CPU_PERIOD_US)))
        found.append(("cpu.max", f"{quota} {CPU_PERIOD_US}"))
    if "pids" in controllers:
        found.append(("pids.max", "max" if pids is None else str(pids)))
    return found


def _oom_kills(group: str) -> int:
    try:
        return cgroups.value_of(cgroups.read(os.path.join(group, "memory.events")), "oom_kill")
    except OSError:
        return 0


def _kept_kills(group: str) -> float:
    """What an agent before us wrote down when the run began; endless where nothing is known: no kill is news then."""
    try:
        return int(os.getxattr(group, _KILLS_MARK))
    except (OSError, ValueError):
        return math.inf


def _nofile(asked: int, *, is_strict: bool) -> int:
    """Best effort takes what it can get."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if is_strict or hard == resource.RLIM_INFINITY or os.geteuid() == 0:
        return asked
    return min(asked, hard)


def _may_be_nice(asked: int) -> bool:
    """Anybody may take less; only root takes more."""
    return os.geteuid() == 0 or asked >= os.getpriority(os.PRIO_PROCESS, 0)
