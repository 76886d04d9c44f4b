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

    IDLE       no process, none due: stopped by wish.
    SPAWNING   the keeper was told to spawn; no process is proven yet.
    STARTING   executing, not yet alive for its start grace.
    RUNNING    executing, past its start grace.
    STOPPING   asked to end; killed at the deadline.
    DRAINING   the leader is gone, others of its group are not yet; they are asked, then killed at the deadline.
    BACKOFF    died; the next try is due at `retry_at`.
    COMPLETED  ended cleanly at this revision; nothing more to do.
    FAILED     gave up or cannot start; an edit, a start or a restart is needed.
    GONE       removed; only the generation is remembered, so that late messages raise nobody from the dead.
    """

    IDLE = "idle"
    SPAWNING = "spawning"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    DRAINING = "draining"
    BACKOFF = "backoff"
    COMPLETED = "completed"
    FAILED = "failed"
    GONE = "gone"


ALIVE = frozenset({Phase.STARTING, Phase.RUNNING, Phase.STOPPING})
BUSY = ALIVE | {Phase.SPAWNING, Phase.DRAINING}
"""Phases in which a process exists or may exist: no second one may be spawned."""

MOVES: Mapping[Phase, frozenset[Phase]] = {
    Phase.IDLE: frozenset({Phase.SPAWNING, Phase.STARTING, Phase.GONE}),
    Phase.SPAWNING: frozenset({Phase.SPAWNING, Phase.STARTING, Phase.BACKOFF, Phase.FAILED, Phase.IDLE, Phase.GONE}),
    Phase.STARTING: frozenset({Phase.RUNNING, Phase.STOPPING, Phase.DRAINING}),
    Phase.RUNNING: frozenset({Phase.STOPPING, Phase.DRAINING}),
    Phase.STOPPING: frozenset({Phase.DRAINING}),
    Phase.DRAINING: frozenset({Phase.IDLE, Phase.SPAWNING, Phase.BACKOFF, Phase.COMPLETED, Phase.FAILED, Phase.GONE}),
    Phase.BACKOFF: frozenset({Phase.SPAWNING, Phase.STARTING, Phase.IDLE, Phase.GONE}),
    Phase.COMPLETED: frozenset({Phase.SPAWNING, Phase.STARTING, Phase.IDLE, Phase.GONE}),
    Phase.FAILED: frozenset({Phase.SPAWNING, Phase.STARTING, Phase.IDLE, Phase.GONE}),
    Phase.GONE: frozenset({Phase.SPAWNING, Phase.STARTING, Phase.IDLE}),
}
"""Every legal move. A run ends through DRAINING only: nothing is decided before its whole group is gone.
A resting phase -> STARTING is adoption: a slot whose record was lost finds its run alive at the keeper.
SPAWNING -> SPAWNING: the keeper never heard of the first order (both of us were killed in between)."""


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
    """What the controller last asked of the slot: the durable half (`slots/*.json`)."""

    generation: int
    revision: str
    digest: str
    run_request: int
    wanted: str
    launch: Mapping[str, Any]
    fields: Mapping[str, Any] = field(default_factory=dict)
    removed: bool = False


@dataclass(frozen=True)
class Slot:
    """One slot: the wish, and the runtime half (void in another boot).

    `asked` says that the stop signal has left us, `killed` that the kill has. `why_stopping` is `stop`, `replace`,
    `restart`, `remove`, `adjourn` or empty (it ended by itself). `streak` counts crashes in a row, `attempts` holds
    the `mono` times of automatic restarts within the budget's window. `ran_revision` is the last revision that was
    executed: a spawn error is only final for one that never was. `suspended`: stop-all; nothing starts.
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
    """The leader of a run ended; `known` is false where nobody of ours was its parent, code and signal then None."""

    run: str
    code: Optional[int]
    signal: Optional[int]
    known: bool
    at: float


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
    """Stop all; `deadline` (mono) shortens longer graces."""

    deadline: float


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


Heard = Union[
    Applied, Removed, Spawned, SpawnFailed, Exited, GroupEmptied, StopSent, Ticked, Adjourned, Resumed, Missing, Found
]


# --- what it asks for ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spawn:
    """Tell the keeper to spawn `run`."""

    run: str


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


Effect = Union[Spawn, Signal, Reap, Emit]


@dataclass(frozen=True)
class Step:
    """What follows from one event."""

    slot: Slot
    effects: tuple[Effect, ...] = ()


class IllegalMoveError(Exception):
    """A bug of ours: the story is in the message."""
