"""What the machine of one slot knows, hears and asks for: values only. The transitions stand in machine.py.

Times are `Now`: `mono` is CLOCK_BOOTTIME in seconds (goes on through suspend, never jumps, the same for every
process of one boot, void in another), `wall` seconds since the epoch, for people. Deadlines are always `mono`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Optional, Union


class Phase(Enum):
    """Where a slot is in its life.

    IDLE       no process, none due: stopped by wish, or waiting for what only others can bring (`reason` says what).
    PREPARING  the hook pre_start runs; the process itself does not exist yet.
    SPAWNING   the keeper was told to spawn; no process is proven yet.
    STARTING   executing; not yet proven started by a probe, by READY=1, or by being alive for its start grace.
    RUNNING    executing, and started.
    LEAVING    it is to end, and the hook pre_stop runs first; the process lives and was not asked yet.
    STOPPING   asked to end; killed at the deadline.
    DRAINING   the leader is gone, others of its group are not yet; they are asked, then killed at the deadline.
    CLEANING   the whole group is gone, and the hook post_stop runs.
    BACKOFF    died; the next try is due at `retry_at`.
    COMPLETED  ended cleanly at this revision; nothing more to do.
    FAILED     gave up or cannot start; an edit, a start or a restart is needed.
    GONE       removed; only the generation is remembered, so that late messages raise nobody from the dead.
    """

    IDLE = "idle"
    PREPARING = "preparing"
    SPAWNING = "spawning"
    STARTING = "starting"
    RUNNING = "running"
    LEAVING = "leaving"
    STOPPING = "stopping"
    DRAINING = "draining"
    CLEANING = "cleaning"
    BACKOFF = "backoff"
    COMPLETED = "completed"
    FAILED = "failed"
    GONE = "gone"


ALIVE = frozenset({Phase.STARTING, Phase.RUNNING, Phase.LEAVING, Phase.STOPPING})
BUSY = ALIVE | {Phase.PREPARING, Phase.SPAWNING, Phase.DRAINING, Phase.CLEANING}
"""Phases in which a process or a hook exists or may exist: no second one may be spawned."""

_BEGIN = frozenset({Phase.PREPARING, Phase.SPAWNING})
_AFTER = _BEGIN | {Phase.IDLE, Phase.BACKOFF, Phase.COMPLETED, Phase.FAILED, Phase.GONE}

MOVES: Mapping[Phase, frozenset[Phase]] = {
    Phase.IDLE: _BEGIN | {Phase.STARTING, Phase.GONE},
    Phase.PREPARING: _BEGIN | {Phase.IDLE, Phase.BACKOFF, Phase.FAILED, Phase.GONE},
    Phase.SPAWNING: _BEGIN | {Phase.STARTING, Phase.BACKOFF, Phase.FAILED, Phase.IDLE, Phase.GONE},
    Phase.STARTING: frozenset({Phase.RUNNING, Phase.LEAVING, Phase.STOPPING, Phase.DRAINING}),
    Phase.RUNNING: frozenset({Phase.LEAVING, Phase.STOPPING, Phase.DRAINING}),
    Phase.LEAVING: frozenset({Phase.STOPPING, Phase.DRAINING}),
    Phase.STOPPING: frozenset({Phase.DRAINING}),
    Phase.DRAINING: _AFTER | {Phase.CLEANING},
    Phase.CLEANING: _AFTER,
    Phase.BACKOFF: _BEGIN | {Phase.STARTING, Phase.IDLE, Phase.GONE},
    Phase.COMPLETED: _BEGIN | {Phase.STARTING, Phase.IDLE, Phase.GONE},
    Phase.FAILED: _BEGIN | {Phase.STARTING, Phase.IDLE, Phase.GONE},
    Phase.GONE: _BEGIN | {Phase.STARTING, Phase.IDLE},
}
"""Every legal move. A run ends through DRAINING only: nothing is decided before its whole group is gone.
A resting phase -> STARTING is adoption: a slot whose record was lost finds its run alive at the keeper.
SPAWNING -> SPAWNING: the keeper never heard of the first order (both of us were killed in between).
PREPARING -> PREPARING: an edit came while the hook ran; what is started is the newest."""


@dataclass(frozen=True)
class Now:
    """One reading of both clocks."""

    mono: float
    wall: float


@dataclass(frozen=True)
class Exit:
    """How a run ended; the words are those of protocol.CAUSE_*. `at` is wall time."""

    cause: str
    code: Optional[int]
    signal: Optional[int]
    at: float
    run: str


@dataclass(frozen=True)
class Wish:
    """What the controller last asked of the slot: the durable half (`slots/*.json`).

    `unclaimed`: nobody of this state folder asked for anything, the run was only found (orphans.py). Never written.
    `at_once`: what this wish ends is killed without being asked first.
    """

    generation: int
    revision: str
    digest: str
    run_request: int
    wanted: str
    launch: Mapping[str, Any]
    fields: Mapping[str, Any] = field(default_factory=dict)
    removed: bool = False
    unclaimed: bool = False
    at_once: bool = False


@dataclass(frozen=True)
class HookRun:
    """One run of a hook. It is killed at its deadline (mono); once killed, it is given up at its next one.

    `killed` says why: `timeout`, `unwanted` (what it prepared is not to start any more), or empty.
    """

    name: str
    run: str
    deadline: float
    killed: str = ""


@dataclass(frozen=True)
class Slot:
    """One slot: the wish, and the runtime half (void in another boot).

    `asked` says that the stop signal has left us, `killed` that the kill has. `why_stopping` is `stop`, `replace`,
    `restart`, `remove`, `adjourn`, `start_timeout`, `liveness` or empty (it ended by itself). `streak` counts crashes
    in a row, `attempts` holds the `mono` times of automatic restarts within the budget's window. `ran_revision` is the
    last revision that was executed: a spawn error is only final for one that never was. `suspended`: stop-all, or a
    start that waits for others; nothing starts. While it is suspended and still STARTING or RUNNING, `deadline` is
    when it is asked to end though others still need it.

    `hook` is the hook that the phase waits for, `aside` a post_start that runs beside the process and that nothing
    waits for. `ready` is None where nothing has said anything about it.
    `ended_mono` is when the last run ended, `asked_mono` when it was asked to, `killed_mono` when it was first killed.
    `watchdog_ms`: how long it may be silent, as told at its start or by itself since; 0 for ever, None: nobody told.
    """

    name: str
    wish: Wish
    phase: Phase = Phase.IDLE
    run: Optional[str] = None
    run_number: int = 0
    running_revision: Optional[str] = None
    ran_revision: Optional[str] = None
    pid: Optional[int] = None
    started_mono: float = 0.0
    started_wall: Optional[float] = None
    since: float = 0.0
    why_stopping: str = ""
    asked: bool = False
    killed: bool = False
    deadline: Optional[float] = None
    retry_at: Optional[float] = None
    last_delay: float = 0.0
    streak: int = 0
    attempts: tuple[float, ...] = ()
    restart_count: int = 0
    last_exit: Optional[Exit] = None
    reason: str = ""
    message: str = ""
    suspended: bool = False
    hook: Optional[HookRun] = None
    aside: Optional[HookRun] = None
    ready: Optional[bool] = None
    notify_status: str = ""
    ended_mono: float = 0.0
    asked_mono: Optional[float] = None
    killed_mono: Optional[float] = None
    watchdog_ms: Optional[int] = None


# --- what it hears ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Applied:
    """The controller says what the slot should be. Generations were checked by `machine.accepts`."""

    wish: Wish


@dataclass(frozen=True)
class Removed:
    """The controller wants the slot gone."""

    generation: int


@dataclass(frozen=True)
class Spawned:
    """The keeper's child executes."""

    run: str
    pid: int
    at: float


@dataclass(frozen=True)
class SpawnFailed:
    """Nothing was executed; `transient` where only the host is at fault (no processes, no memory, no descriptors)."""

    run: str
    message: str
    transient: bool
    at: float


@dataclass(frozen=True)
class Exited:
    """The leader of a run ended; `known` is false where nobody of ours was its parent, code and signal then None.

    `oom`: the kernel has killed for memory in the slot's own cgroup since the run began.
    """

    run: str
    code: Optional[int]
    signal: Optional[int]
    known: bool
    at: float
    oom: bool = False


@dataclass(frozen=True)
class GroupEmptied:
    """After `Exited`: no process of the run is left."""

    run: str


@dataclass(frozen=True)
class StopSent:
    """The stop signal left us. Kept so that an agent that is killed in between asks once, not twice."""

    run: str


@dataclass(frozen=True)
class Ticked:
    """A deadline may have passed."""


@dataclass(frozen=True)
class Adjourned:
    """Stop all; `deadline` (mono) shortens longer graces.

    With `asks_at` (mono), others still need what runs: start nothing, but ask it to end only at the next `Adjourned`,
    at the latest then.
    """

    deadline: float
    asks_at: Optional[float] = None


@dataclass(frozen=True)
class Resumed:
    """A controller claims again: what was adjourned may start."""


@dataclass(frozen=True)
class Missing:
    """After a restart of the agent the keeper does not know the slot's run."""


@dataclass(frozen=True)
class Found:
    """After a restart of the agent the keeper knows a run of this slot: it executes (or is a zombie not yet told)."""

    run: str
    pid: int
    revision: Optional[str]
    at: float


@dataclass(frozen=True)
class HookEnded:
    """A hook of this slot is over; `ok`: it exited with 0. One that nobody knows any more is not ok."""

    hook_run: str
    ok: bool
    message: str
    code: Optional[int]
    signal: Optional[int]
    at: float


@dataclass(frozen=True)
class ProbePassed:
    """A probe of this kind has succeeded as often in a row as it must. Said again while that lasts."""

    run: str
    kind: str


@dataclass(frozen=True)
class ProbeFailed:
    """A probe of this kind has failed as often in a row as it may. `message` tells of the last failure."""

    run: str
    kind: str
    message: str


@dataclass(frozen=True)
class Notified:
    """The run has told something of itself over NOTIFY_SOCKET; None is not told, `fails` is WATCHDOG=trigger."""

    run: str
    ready: bool = False
    status: Optional[str] = None
    stopping: bool = False
    watchdog_ms: Optional[int] = None
    fails: bool = False


@dataclass(frozen=True)
class Withheld:
    """Nothing can be ordered before somebody brings the values of secrets; `message` names them."""

    message: str


@dataclass(frozen=True)
class Waiting:
    """A start waits for other workers of this host; `message` says for which."""

    message: str


Heard = Union[
    Applied, Removed, Spawned, SpawnFailed, Exited, GroupEmptied, StopSent, Ticked, Adjourned, Resumed, Missing, Found,
    HookEnded, ProbePassed, ProbeFailed, Notified, Withheld, Waiting,
]  # fmt: skip


# --- what it asks for ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spawn:
    """Tell the keeper to spawn `run`."""

    run: str


@dataclass(frozen=True)
class RunHook:
    """Tell the keeper to run a hook of the slot."""

    hook: HookRun


@dataclass(frozen=True)
class Signal:
    """Signal a run: its leader, or its whole group. `asks`: this is the polite one; report `StopSent` when sent."""

    run: str
    signal: int
    group: bool
    asks: bool = False


@dataclass(frozen=True)
class Reap:
    """Tell the keeper to forget a run. `force`: even though others of its group live on (`kill: main`)."""

    run: str
    force: bool = False


@dataclass(frozen=True)
class Emit:
    """One event for the journal."""

    type: str
    message: str
    run: Optional[str] = None
    cause: str = ""
    data: dict[str, Any] = field(default_factory=dict)


Effect = Union[Spawn, RunHook, Signal, Reap, Emit]


@dataclass(frozen=True)
class Step:
    """What follows from one event."""

    slot: Slot
    effects: tuple[Effect, ...] = ()


class IllegalMoveError(Exception):
    """A bug of ours: the story is in the message."""
