"""What the agent shows and hands over of a slot: its view for the controller, its environment and order for the keeper.

Pure but for `base_environment`, which reads the agent's own. Called by the supervisor and the commands.
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from .probe_counts import heartbeat_limit
from .shapes import exit_value
from .states import Now, Phase, Slot

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
UMASK = 0o022

_STATUS: Mapping[Phase, str] = {
    Phase.IDLE: "stopped",
    Phase.PREPARING: "starting",
    Phase.SPAWNING: "starting",
    Phase.STARTING: "starting",
    Phase.RUNNING: "running",
    Phase.LEAVING: "stopping",
    Phase.STOPPING: "stopping",
    Phase.DRAINING: "stopping",
    Phase.CLEANING: "stopping",
    Phase.BACKOFF: "crashed",
    Phase.COMPLETED: "stopped",
    Phase.FAILED: "error",
    Phase.GONE: "stopped",
}

_UP = (Phase.STARTING, Phase.RUNNING)


class Figures(NamedTuple):
    """What figures.py found out about a run; None is not known."""

    cpu_percent: Optional[float] = None
    memory_bytes: Optional[int] = None
    cpu_seconds: Optional[float] = None


NO_FIGURES = Figures()


def status(slot: Slot) -> str:
    """The phase in the words of the reference. What follows a crash is `crashed` already."""
    if slot.phase in (Phase.DRAINING, Phase.CLEANING) and not slot.why_stopping:
        return "crashed"
    return _STATUS[slot.phase]


def view(slot: Slot, now: Now, figures: Figures, remark: str = "") -> dict[str, Any]:
    """The SLOT VIEW of the protocol. `remark`: what failing probes say now of a run that is up."""
    wish = slot.wish
    run = slot.run or (slot.last_exit.run if slot.last_exit is not None else None)
    retry = None if slot.retry_at is None else now.wall + (slot.retry_at - now.mono)
    return {
        "slot": slot.name,
        "generation": wish.generation,
        "revision": wish.revision,
        "digest": wish.digest,
        "run_request": wish.run_request,
        "wanted": wish.wanted,
        "fields": wish.fields,
        "status": status(slot),
        "reason": slot.reason,
        "message": (remark if slot.phase in _UP else "") or slot.message,
        "since": slot.since,
        "run": slot.run,
        "run_number": slot.run_number,
        "running_revision": slot.running_revision,
        "pid": slot.pid,
        "started_at": slot.started_wall,
        "restart_count": slot.restart_count,
        "last_exit": exit_value(slot.last_exit),
        "next_retry_at": retry,
        "removing": wish.removed,
        "ready": slot.ready,
        "notify_status": slot.notify_status,
        "heartbeat_ms": heartbeat_limit(slot),
        "cpu_percent": figures.cpu_percent,
        "memory_bytes": figures.memory_bytes,
        "cpu_seconds": figures.cpu_seconds,
        "logs": {} if run is None else {"stdout": run, "stderr": run},
    }


def base_environment() -> dict[str, str]:
    """What every worker of this host gets beneath its spec: PATH HOME USER LANG TZ, never the rest of ours."""
    try:
        user = pwd.getpwuid(os.geteuid())
        home, name = user.pw_dir, user.pw_name
    except KeyError:
        # A uid without an entry, as containers have it.
        home, name = os.environ.get("HOME", "/"), str(os.geteuid())
    environment = {
        "PATH": DEFAULT_PATH,
        "HOME": home,
        "USER": name,
        "LANG": os.environ.get("LANG") or "C.UTF-8",
    }
    if os.environ.get("TZ"):
        environment["TZ"] = os.environ["TZ"]
    return environment


def environment(slot: Slot, given: Mapping[str, str], secrets: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of the slot's next run or hook. `given` is what this host adds beneath the spec's own."""
    merged = {**given, **slot.wish.launch["env"], **secrets}
    merged.setdefault("WORKER_REVISION", slot.running_revision or slot.wish.revision)
    return merged


def spawn_order(slot: Slot, run: str, environ: Mapping[str, str], outputs: tuple[str, str]) -> dict[str, Any]:
    """The keeper's `spawn` for a run of the slot."""
    launch = slot.wish.launch
    return {
        "op": "spawn",
        "run": run,
        "slot": slot.name,
        "argv": launch["argv"],
        "env": {**environ, "WORKER_RUN": run},
        "cwd": launch["working_dir"],
        "umask": launch.get("umask", UMASK),
        "stdout": outputs[0],
        "stderr": outputs[1],
    }


def plain_text(text: str, limit: int) -> str:
    """One line that is safe to show: controls removed, bounded."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+", " ", text).strip()[:limit]
