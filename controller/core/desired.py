"""Desired: what should be, as the sources say it. Values only; sources/ builds them, the planner reads them.

A `Desired` is always safe to act on in one direction: a worker that is present should exist as described. Absence
means nothing by itself. Only a worker listed in `removed` may be taken down, because only there the source has
proof that its last document is gone (DESIGN section 5). Everything else that is not present is held.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from controller.core.intents import Keep
from controller.core.problems import Problem, Source
from controller.core.spec import WorkerSpec
from controller.core.spec_processes import Check


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One question put to an instance again and again; at 127.0.0.1 where it is `http` or `tcp`.

    `check` is `http`, `tcp`, `exec`, `log_line`, or `heartbeat`, which is not asked: within
    `timeout_ms` the instance must tell. Set are: `port` of http and tcp; `path` and `status` (from, to) of http; `argv`
    of exec; `pattern` of log_line.
    """

    kind: Literal["startup", "readiness", "liveness"]
    check: Check
    port: int | None = None
    path: str | None = None
    status: tuple[int, int] | None = None
    argv: tuple[str, ...] = ()
    pattern: str | None = None
    period_ms: int
    timeout_ms: int
    failures: int
    successes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A command at one moment of an instance's life."""

    argv: tuple[str, ...]
    timeout_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an instance may use at most; None is no limit. `cpu` in processors."""

    memory_bytes: int | None = None
    cpu: float | None = None
    nofile: int | None = None
    pids: int | None = None
    nice: int | None = None
    enforce: Literal["strict", "best_effort"] = "strict"


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Everything that one instance needs to run, expanded and absolute. What a back end hands to its supervisor.

    `argv` is what is executed, never empty. `env` holds what the spec and we add; the host adds PATH HOME USER LANG
    TZ beneath. Times in ms, sizes in bytes.

    `user` and `group` are names or numbers, None for the supervisor's own (the user's own group). `secret_files` are
    read on the host at every start, absolute path by variable. `secret_names` are variables whose values come apart,
    never in a launch. `hooks` by moment: pre_start, post_start, pre_stop, post_stop. `depends_on` are worker ids: the
    order of stopping, the other way round.
    """

    argv: tuple[str, ...]
    working_dir: str
    env: Mapping[str, str]
    port: int | None
    restart_policy: Literal["on_failure", "always", "never"]
    max_restart_attempts: int | None
    restart_delay_ms: int
    backoff_factor: float
    backoff_max_delay_ms: int
    backoff_jitter: float
    restart_window_ms: int
    start_grace_ms: int
    success_exit_codes: tuple[int, ...]
    stop_signal: str
    stop_grace_ms: int
    stop_kill: Literal["group", "main"]
    log_max_bytes: int
    log_archives: int
    log_store_rate: int
    log_retain_days: int
    user: str | None = None
    group: str | None = None
    umask: int = 0o022
    secret_files: Mapping[str, str] = field(default_factory=dict)
    secret_names: tuple[str, ...] = ()
    probes: tuple[Probe, ...] = ()
    hooks: Mapping[str, Hook] = field(default_factory=dict)
    limits: Limits | None = None
    depends_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredInstance:
    """One replica as it should be. `digest` covers the whole launch; `revision` only what a restart is worth.

    `secrets` are the values of `launch.secret_names`. They go to the supervisor beside the launch and nowhere else:
    not into a record, a log or a message.
    """

    ordinal: int
    revision: str
    digest: str
    launch: Launch
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredWorker:
    """One worker as accepted, with where it came from.

    `problems` are those of its file now; when there are any, `spec` is the last good one (`stale`) and goes on.
    `absent` says that its document is not there, before that is certain: what lives goes on, nothing is begun.
    `instances` are in ordinal order, as many as `spec.replicas`. `keep` is laid over by keeps.py.
    """

    worker_id: str
    spec: WorkerSpec
    source: Source
    revision: str
    instances: tuple[DesiredInstance, ...]
    problems: tuple[Problem, ...] = ()
    stale: bool = False
    absent: str = ""
    keep: Keep | None = None

    @property
    def wanted(self) -> Literal["running", "stopped", "unless_stopped"]:
        """What the spec asks for, or what somebody keeps it at for a while."""
        return self.spec.wanted if self.keep is None else self.keep.wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A worker whose spec is gone for certain, and how we know. `asked`: somebody asked us to delete it, by name."""

    worker_id: str
    proof: str
    source: Source
    asked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """A consistent snapshot of all specs.

    `hold_reason` is set when the source cannot be trusted now (directory missing, empty, replaced, a rebase in
    progress): workers are then the last good ones, and nothing may be removed. `broken` are workers of which no good
    spec is known at all, with their problems. `problems` are all problems of all files, sorted. `commits` are those at
    which the files are, by file; one that is not as committed has none.
    """

    workers: Mapping[str, DesiredWorker] = field(default_factory=dict)
    removed: Mapping[str, Removal] = field(default_factory=dict)
    broken: Mapping[str, tuple[Problem, ...]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    commits: Mapping[str, str] = field(default_factory=dict)
    hold_reason: str = ""
    hold_digest: str = ""
