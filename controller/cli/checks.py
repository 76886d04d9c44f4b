"""What `doctor` looks at, one function per question. Each looks and judges; none changes anything.

A check is `ok`, `warn` (it works, but not as promised; what to do is said) or `fail` (it does not work). `proc` and
the like are arguments, so that tests bring their own. Talking to the controller and printing are in doctor.py.
"""

from __future__ import annotations

import os
import pwd
import re
import socket
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from controller.agent.limits import enforceable_by
from controller.cli.human import memory

OLDEST_LINUX = (5, 3)
OLDEST_PYTHON = (3, 11)
FEW_WATCHES, FEW_INSTANCES = 8192, 64
LITTLE_SPACE, NO_SPACE = 1 << 30, 64 << 20
PROBE_S = 1.0
LIMITS_BY_GROUP = ("memory_bytes", "cpu", "pids")
UNITS = ("etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system")
AGENT_UNIT, CONTROLLER_UNIT = "workerctl-agent.service", "workerctl.service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One answer: about what, how it stands, in words, and what to do (empty where nothing)."""

    name: str
    level: Literal["ok", "warn", "fail"]
    message: str
    advice: str = ""


def linux(system: str, release: str) -> Check:
    """Linux, recent enough for pidfds."""
    found = re.match(r"(\d+)\.(\d+)", release)
    if system != "Linux" or found is None:
        return Check(
            name="system", level="fail", message=f"{system} {release}", advice="workerctl needs Linux 5.3 or later"
        )
    if (int(found[1]), int(found[2])) < OLDEST_LINUX:
        return Check(
            name="system", level="fail", message=f"Linux {release}", advice="Linux 5.3 or later is needed (pidfd)"
        )
    return Check(name="system", level="ok", message=f"Linux {release}")


def pidfd() -> Check:
    """Whether the kernel lets us hold a process by a descriptor; a sandbox may forbid it."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError) as error:
        advice = "allow pidfd_open (Linux 5.3; a seccomp profile may forbid it): workers are signalled through it"
        return Check(name="pidfd", level="fail", message=f"not available: {error}", advice=advice)
    return Check(name="pidfd", level="ok", message="available")


def python(version: Sequence[int]) -> Check:
    """The interpreter that runs this command."""
    text = ".".join(str(part) for part in version[:3])
    if tuple(version[:2]) < OLDEST_PYTHON:
        return Check(name="python", level="fail", message=text, advice="Python 3.11 or later is needed")
    return Check(name="python", level="ok", message=text)


def user(uid: int) -> Check:
    """Who we are: workers run as the same user, unless we are root and their specs name another."""
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        advice = "add the user to /etc/passwd; some programs need their name and home"
        return Check(name="user", level="warn", message=f"uid {uid}, which has no name", advice=advice)
    whom = "workers run as this user unless their specs name another" if uid == 0 else "workers run as this user"
    return Check(name="user", level="ok", message=f"{name} (uid {uid}); {whom}")


def processes(mountinfo: str, uid: int) -> Check:
    """Whether /proc shows us what we need."""
    mount = next((line for line in mountinfo.splitlines() if line.split()[4:5] == ["/proc"]), "")
    hidden = re.search(r"hidepid=(\w+)", mount)
    if hidden and hidden[1] not in {"0", "off"} and uid != 0:
        advice = "workers are seen all the same; processes of other users on our ports cannot be named"
        return Check(name="/proc", level="warn", message=f"mounted with hidepid={hidden[1]}", advice=advice)
    return Check(name="/proc", level="ok", message="readable")


def inotify(sys_inotify: Path) -> Check:
    """Limits of file watching. Low ones do not stop us: files are also compared every 30 s."""
    try:
        instances = int((sys_inotify / "max_user_instances").read_text())
        watches = int((sys_inotify / "max_user_watches").read_text())
    except (OSError, ValueError):
        advice = "changes of files are then found by looking every 30 s"
        return Check(name="inotify", level="warn", message="limits cannot be read", advice=advice)
    message = f"{instances} instances, {watches} watches per user"
    if instances < FEW_INSTANCES or watches < FEW_WATCHES:
        advice = f"sysctl fs.inotify.max_user_instances={FEW_INSTANCES * 2} fs.inotify.max_user_watches=65536"
        return Check(name="inotify", level="warn", message=message, advice=advice)
    return Check(name="inotify", level="ok", message=message)


def state_dir(path: Path, uid: int) -> Iterator[Check]:
    """Owner, mode and free space of the state directory, or whether it can be made."""
    name = "state directory"
    try:
        found = path.lstat()
    except FileNotFoundError:
        yield _creatable(name, path)
        return
    except OSError as error:
        yield Check(
            name=name, level="fail", message=f"{path}: {error.strerror}", advice="name another with --state-dir"
        )
        return
    if not stat.S_ISDIR(found.st_mode):
        yield Check(name=name, level="fail", message=f"{path} is no directory", advice="name another with --state-dir")
    elif found.st_uid != uid:
        advice = f"run as uid {found.st_uid}, or name another with --state-dir"
        yield Check(name=name, level="fail", message=f"{path} belongs to uid {found.st_uid}", advice=advice)
    elif found.st_mode & 0o077:
        message = f"{path} is open to others (mode {stat.S_IMODE(found.st_mode):04o})"
        yield Check(name=name, level="warn", message=message, advice=f"chmod 700 {path}")
    else:
        yield Check(name=name, level="ok", message=f"{path}, ours alone")
    yield _space(path)


def _creatable(name: str, path: Path) -> Check:
    parent = next(parent for parent in path.parents if parent.exists())
    if os.access(parent, os.W_OK):
        return Check(name=name, level="ok", message=f"{path} does not exist yet; serve creates it")
    advice = "create it for this user, or name another with --state-dir"
    return Check(name=name, level="fail", message=f"{path} cannot be created: {parent} is not writable", advice=advice)


def _space(path: Path) -> Check:
    found = os.statvfs(path)
    free = found.f_bavail * found.f_frsize
    message = f"{memory(free)} free"
    if free < NO_SPACE:
        return Check(name="free space", level="fail", message=message, advice=f"make room on the file system of {path}")
    if free < LITTLE_SPACE:
        advice = "logs need room: 50 MiB per stream and instance unless logs.max_bytes says less"
        return Check(name="free space", level="warn", message=message, advice=advice)
    return Check(name="free space", level="ok", message=message)


def runtime_dir(path: str, mountinfo: str) -> Check:
    """Whether what must not outlive a boot is in memory."""
    kind = _file_system(path, mountinfo)
    if kind in {"tmpfs", "ramfs"}:
        return Check(name="runtime directory", level="ok", message=f"{path} ({kind})")
    advice = "it works; a tmpfs (XDG_RUNTIME_DIR, or /run for root) spares the disk and is faster"
    return Check(
        name="runtime directory", level="warn", message=f"{path} is on {kind or 'a disk'}, not in memory", advice=advice
    )


def _file_system(path: str, mountinfo: str) -> str:
    """The type of the file system that `path` is on: that of the longest mount point above it, the last one there."""
    best, kind = "", ""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) < 5 or not after:
            continue
        point = fields[4].replace("\\040", " ")
        if (path == point or path.startswith(point.rstrip("/") + "/")) and len(point) >= len(best):
            best, kind = point, after.split()[0]
    return kind


def agent(socket_path: str) -> Check:
    """Whether an agent answers at its socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_S)
        try:
            probe.connect(socket_path)
        except FileNotFoundError:
            return Check(name="agent", level="ok", message="not running; serve starts it")
        except OSError as error:
            advice = "`workerctl serve` starts it anew and adopts what runs"
            message = f"does not answer at {socket_path}: {error.strerror or error}"
            return Check(name="agent", level="warn", message=message, advice=advice)
    return Check(name="agent", level="ok", message="running")


def limits(agent_lock: Path) -> Check:
    """Which limits of a spec the running agent can enforce. Its pid stands in its lock."""
    try:
        names = enforceable_by(int(agent_lock.read_text()))
    except (OSError, ValueError) as error:
        return Check(name="limits", level="warn", message=f"the agent's pid cannot be read from {agent_lock}: {error}")
    lacking = [name for name in LIMITS_BY_GROUP if name not in names]
    message = f"{', '.join(names)} can be enforced"
    if not lacking:
        return Check(name="limits", level="ok", message=message)
    message += f"; {', '.join(lacking)} cannot: workers whose specs set them are held"
    return Check(name="limits", level="ok", message=message, advice="see Limits in `workerctl help processes`")


def boot_entry(root: Path, home: Path) -> Check:
    """Whether something starts us after a reboot: systemd units that are there, and enabled (linked from a target)."""
    ours, users = [root / folder for folder in UNITS], home / ".config/systemd/user"
    units = [unit for folder in [*ours, users] for unit in sorted(folder.glob("workerctl*.service"))]
    enabled = {link.name for folder in [*ours, users] for link in folder.glob("*.wants/workerctl*.service")}
    if not units:
        advice = "install the units of deploy/systemd, or start `workerctl serve` from your own boot scripts"
        return Check(
            name="boot", level="warn", message="no entry: after a reboot nothing starts by itself", advice=advice
        )
    names = sorted({unit.name for unit in units})
    command = "systemctl --user enable" if all(unit.parent == users for unit in units) else "systemctl enable"
    if not enabled:
        message = f"{', '.join(map(str, units))}: not enabled, so after a reboot nothing starts by itself"
        return Check(name="boot", level="warn", message=message, advice=f"{command} {' '.join(names)}")
    if AGENT_UNIT in enabled and CONTROLLER_UNIT in names and CONTROLLER_UNIT not in enabled:
        message = f"{AGENT_UNIT} is enabled, {CONTROLLER_UNIT} is not: workers start, edits wait for a controller"
        return Check(name="boot", level="warn", message=message, advice=f"{command} {CONTROLLER_UNIT}")
    return Check(name="boot", level="ok", message=f"enabled: {', '.join(sorted(enabled))}")
