"""Observed: what is, as the supervisors tell it. Values only; the observer builds them from back ends' answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal


class Status(StrEnum):
    """The states of the reference, and `unknown` where the host cannot be asked. Detail lives in conditions."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    CRASHED = "crashed"
    ERROR = "error"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class LastExit:
    """How a run ended. `at` in seconds since the epoch; `cause` is one of the agent protocol's words."""

    cause: str
    code: int | None
    signal: str | None
    at: float
    run: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedInstance:
    """One slot as its supervisor last told it. Times in seconds since the epoch; figures None until first sampled.

    `wanted` is what the supervisor was last told; `run_request` the last restart it served. `revision` and `digest`
    are those it was last given, `fields` the explicit spec fields that came with them (what a plan diffs against);
    `running_revision` is that of the live run (None without one). `removing`: a remove was accepted and is under way.
    `ready`: whether a running instance can do its work, None where nothing says so (then it counts as ready).
    `notify_status` is what the process last said of itself, at most 200 characters. `heartbeat_ms`: so long it may be
    silent, None where no heartbeat is asked for. `cpu_seconds` is what the live run has used since its start: it always
    grows, and what differs in it alone is the same observation, which nobody need be told of.
    """

    worker_id: str
    ordinal: int
    generation: int
    revision: str
    digest: str
    run_request: int
    wanted: Literal["running", "stopped"]
    status: Status
    fields: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    message: str = ""
    since: float = 0.0
    run: str | None = None
    run_number: int = 0
    running_revision: str | None = None
    pid: int | None = None
    started_at: float | None = None
    restart_count: int = 0
    last_exit: LastExit | None = None
    next_retry_at: float | None = None
    cpu_percent: float | None = None
    memory_bytes: int | None = None
    cpu_seconds: float | None = field(default=None, compare=False)
    removing: bool = False
    ready: bool | None = None
    notify_status: str = ""
    heartbeat_ms: int | None = None

    @property
    def instance(self) -> str:
        """The name people see: `web/0`."""
        return f"{self.worker_id}/{self.ordinal}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The supervisor's preflight said that a new launch cannot start; the old run goes on. Valid for one digest."""

    digest: str
    message: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HostView:
    """What one host told us. While `reachable` is false, `instances` are memories, and nothing is acted upon.

    `floors` are the generations of slots that are gone: a new life of such a slot needs a higher one. `enforceable` are
    the limits, by their names in a spec, that the host can enforce now; None while it has not said. `suspended`: all
    was stopped there, and nothing starts before it is told to.
    """

    reachable: bool
    instances: Mapping[str, ObservedInstance] = field(default_factory=dict)
    refusals: Mapping[str, Refusal] = field(default_factory=dict)
    floors: Mapping[str, int] = field(default_factory=dict)
    message: str = ""
    enforceable: frozenset[str] | None = None
    suspended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """All hosts. Instances are keyed `worker_id/ordinal` within their host."""

    hosts: Mapping[str, HostView] = field(default_factory=dict)
