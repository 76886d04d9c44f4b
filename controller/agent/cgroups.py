"""Control groups (v2) as folders: a run's own group, and the subtree that was given to us. Plain files, no state.

The keeper uses the first half: the child joins `SLOT GROUP/RUN` before exec, a kill is one write, and a group with
nobody in it is empty whatever its members did to their session, parent or environment. Limits are on the slot's group
above (`limits`, in the agent), where they hold for all runs of the slot.

The subtree: systemd gives one to a unit with `Delegate=yes`; without systemd (a container) root has its own group. We
live in BASE ourselves, and a group with processes cannot pass controllers on: so keeper and agent move to a leaf.

  BASE / workerctl-HASH / self                      keeper and agent
                        / SLOT / RUN                the limits are on SLOT, the processes in RUN

The controller that started us goes with us where it is in BASE, too. Strangers in it (a container's first process) do
so only where BASE was given away as a whole: in a terminal's group they are left alone, and nothing is divided.

Everything degrades: without a subtree there are no groups, and callers go by session, token and descent.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterable
from typing import NamedTuple, Optional

CONTROLLERS = ("memory", "cpu", "pids")
PREFIX = "workerctl-"
SELF = "self"
PROBE = "probe"
_DELEGATED = ("user.delegate", "trusted.delegate")
_SYSTEMD = "/run/systemd/system"
_VACATE_PASSES = 10


# --- a run's own group: the keeper's side ---


def leaf(slot_group: str, run: str) -> str:
    """The group of one run below its slot's."""
    return os.path.join(slot_group, run)


def join(group: str) -> None:
    """Move this process into the group, which is made where it is not there. Raises OSError."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(group, 0o755)
    write(os.path.join(group, "cgroup.procs"), "0")


def is_populated(group: str) -> Optional[bool]:
    """Whether a living process is in it or below; None where that cannot be told. A group that is gone is empty."""
    try:
        return value_of(read(os.path.join(group, "cgroup.events")), "populated") != 0
    except (FileNotFoundError, ProcessLookupError):
        return False if not os.path.isdir(group) else None
    except OSError as error:
        return False if error.errno == errno.ENODEV else None


def kill(group: str) -> bool:
    """SIGKILL to everything in it, at once, whatever forks meanwhile. False where the kernel has none (before 5.14)."""
    try:
        write(os.path.join(group, "cgroup.kill"), "1")
    except OSError:
        return False
    return True


def members(group: str) -> list[int]:
    """The pids in it, not those below; empty where it cannot be read."""
    try:
        return [int(text) for text in read(os.path.join(group, "cgroup.procs")).split()]
    except (OSError, ValueError):
        return []


def cpu_seconds(group: str) -> Optional[float]:
    """What all that ever were in it have used; None where nobody can tell."""
    try:
        text = read(os.path.join(group, "cpu.stat"))
    except OSError:
        return None
    return value_of(text, "usage_usec") / 1e6 if "usage_usec" in text else None


def remove(group: str) -> bool:
    """Remove it and what is below, the deepest first. False where something lives in it; no process is touched."""
    try:
        with os.scandir(group) as found:
            below = [entry.path for entry in found if entry.is_dir(follow_symlinks=False)]
        for path in below:
            remove(path)
        os.rmdir(group)
    except OSError as error:
        return error.errno in (errno.ENOENT, errno.ENODEV)
    return True


# --- files ---


def read(path: str) -> str:
    """A control file, whole. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 65_536).decode("ascii", "replace")
    finally:
        os.close(descriptor)


def write(path: str, text: str) -> None:
    """One write to a control file. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode("ascii"))
    finally:
        os.close(descriptor)


def value_of(text: str, key: str) -> int:
    """A number of a flat keyed file (`key number` a line); 0 where it is not in it."""
    for line in text.splitlines():
        name, _, number = line.partition(" ")
        if name == key and number.isdigit():
            return int(number)
    return 0


# --- the subtree: the agent's side ---


class Cgroupfs:
    """What makes and removes groups. A test's double fills and empties the folders, as the kernel does."""

    def make(self, path: str) -> None:
        """Raises OSError."""
        os.mkdir(path, 0o755)

    def remove(self, path: str) -> None:
        """Raises OSError."""
        os.rmdir(path)


class Subtree(NamedTuple):
    """A subtree of ours. `top` is BASE/workerctl-HASH; `controllers` those that its groups can be limited by."""

    top: str
    controllers: tuple[str, ...]


def find_base(proc: str = "/proc") -> str:
    """The folder of the group that this process is in, where it may be divided by us; empty where there is none."""
    try:
        own = _own_group(read(os.path.join(proc, "self/cgroup")))
        mounts = read_all(os.path.join(proc, "self/mountinfo"))
    except OSError:
        return ""
    found = "" if own is None else _folder(own, mounts)
    if not found:
        return ""
    above, name = os.path.split(found)
    # An agent before us, or our keeper, has moved already.
    if name == SELF and os.path.basename(above).startswith(PREFIX):
        found = os.path.dirname(above)
    elif name == SELF and _is_marked(above):
        found = above  # systemd itself has put us there: DelegateSubgroup=
    return found if _is_ours(found) else ""


def limited_by(pid: int, proc: str = "/proc") -> tuple[str, ...]:
    """The controllers of the subtree that is held by this agent; empty where it has none, or cannot be told."""
    try:
        own = _own_group(read(os.path.join(proc, str(pid), "cgroup")))
        found = "" if own is None else _folder(own, read_all(os.path.join(proc, "self/mountinfo")))
        top, name = os.path.split(found)
        if name != SELF or not os.path.basename(top).startswith(PREFIX):
            return ()
        passed_on = read(os.path.join(top, "cgroup.subtree_control")).split()
    except OSError:
        return ()
    return tuple(each for each in CONTROLLERS if each in passed_on)


def claim(
    base: str,
    name: str,
    processes: tuple[int, ...],
    files: Cgroupfs,
    is_ours: Callable[[int], bool] = lambda _pid: False,
) -> Optional[Subtree]:
    """Make BASE/workerctl-NAME, move `processes` (keeper and agent) to its leaf, and pass controllers on.

    Who is in BASE as well may go with us where `is_ours` says so, or where BASE was given away.

    Checked by making a group and looking for its limit's file. None where there is nothing to limit by.
    """
    offered = _controllers(base)
    if not offered:
        return None
    top = os.path.join(base, PREFIX + name)
    own = os.path.join(top, SELF)
    try:
        for group in (top, own):
            with contextlib.suppress(FileExistsError):
                files.make(group)
        _move(processes, own)
        is_given = _is_given(base)
        for _ in range(_VACATE_PASSES):  # they fork meanwhile
            if _pass_on(base, offered):
                break
            _move([pid for pid in members(base) if is_given or is_ours(pid)], own)
        _pass_on(top, offered)
        usable = _probe(top, files)
    except OSError:
        usable = ()
    if not usable:
        _go_back(base, own, files)
        return None
    return Subtree(top, usable)


def read_all(path: str) -> str:
    """A file of /proc that may be longer than one read. Raises OSError."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def _own_group(text: str) -> Optional[str]:
    """The path of the v2 hierarchy in /proc/self/cgroup."""
    for line in text.splitlines():
        if line.startswith("0::"):
            return line[3:]
    return None


def _folder(own: str, mounts: str) -> str:
    """Where the group is mounted; empty where it is not to be seen from here."""
    for line in mounts.splitlines():
        fields, _, after = line.partition(" - ")
        parts = fields.split(" ")
        if after.split(" ")[0] != "cgroup2" or len(parts) < 5:
            continue
        root, place = _unescaped(parts[3]), _unescaped(parts[4])
        inside = os.path.relpath(own, root)
        if root == "/.." or inside.startswith(".."):
            continue
        found = os.path.normpath(os.path.join(place, inside))
        if os.path.isfile(os.path.join(found, "cgroup.procs")):
            return found
    return ""


def _unescaped(field: str) -> str:
    for code, character in ((r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", "\\")):
        field = field.replace(code, character)
    return field


def _is_ours(base: str) -> bool:
    """Whether this group was given to us to divide."""
    if os.geteuid() != 0:
        return all(os.access(os.path.join(base, name), os.W_OK) for name in ("", "cgroup.procs"))
    return _is_given(base)


def _is_given(base: str) -> bool:
    """To its tree systemd alone writes, but for what it has marked as given away, whole."""
    return not os.path.isdir(_SYSTEMD) or _is_marked(base)


def _is_marked(group: str) -> bool:
    return any(_has_mark(group, mark) for mark in _DELEGATED)


def _has_mark(base: str, mark: str) -> bool:
    try:
        return os.getxattr(base, mark) == b"1"
    except OSError:
        return False


def _controllers(group: str) -> tuple[str, ...]:
    try:
        there = read(os.path.join(group, "cgroup.controllers")).split()
    except OSError:
        return ()
    return tuple(name for name in CONTROLLERS if name in there)


def _pass_on(group: str, controllers: tuple[str, ...]) -> bool:
    """Let the groups below be limited. One refused does not cost the others. False: refused while somebody is in it."""
    path = os.path.join(group, "cgroup.subtree_control")
    done = read(path).split()
    is_free = True
    for name in controllers:
        if name not in done:
            try:
                write(path, f"+{name}")
            except OSError as error:
                is_free = is_free and error.errno != errno.EBUSY
    return is_free


def _move(processes: Iterable[int], group: str) -> None:
    """One that is gone is no loss. Raises OSError."""
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            write(os.path.join(group, "cgroup.procs"), str(pid))


def _go_back(base: str, leaf: str, files: Cgroupfs) -> None:
    """Nothing can be limited: leave everything as it was found, as far as that goes."""
    with contextlib.suppress(OSError):
        _move(members(leaf), base)
        for group in (leaf, os.path.dirname(leaf)):
            files.remove(group)


_FILES = {"memory": "memory.max", "cpu": "cpu.max", "pids": "pids.max"}


def _probe(top: str, files: Cgroupfs) -> tuple[str, ...]:
    """The controllers whose limit really can be written to a fresh group."""
    group = os.path.join(top, PROBE)
    with contextlib.suppress(FileExistsError):
        files.make(group)
    usable = []
    for name in CONTROLLERS:
        try:
            write(os.path.join(group, _FILES[name]), "max")
        except OSError:
            continue
        usable.append(name)
    files.remove(group)
    return tuple(usable)
