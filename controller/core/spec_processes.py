"""The groups of the spec language that say what surrounds a process: secrets, probes, hooks, limits, dependencies.

Part of spec.py, which puts them together; the same rules hold. What a group means for an instance (ports and paths
filled in, texts expanded) is made by launch_processes.py; what the supervisor makes of it is the agent's.

A number that a person may write in two ways (a user, an HTTP status) has one form after reading, so that writing it
the other way is no change.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from controller.core.patterns import fault_of_pattern
from controller.core.spec_model import DAY_MS, ENV_NAME, Model, Text

Check = Literal["http", "tcp", "exec", "log_line", "heartbeat"]
CHECKS: tuple[Check, ...] = ("http", "tcp", "exec", "log_line")
COUNTS = ("period_ms", "timeout_ms", "failures", "successes")
PROBES = ("startup", "readiness", "liveness")
HOOKS = ("pre_start", "post_start", "pre_stop", "post_stop")
LIMITS = ("memory_bytes", "cpu", "nofile", "pids", "nice")
UMASK = r"^0?[0-7]{3}$"
HTTP_PATH = r"/[!-~]*"

STATUS_WORDS = "a status from 100 to 599, or a range such as [200, 399]"
COMPLETED_NOT_YET = "depends_on: completed is not yet supported; wait for `started` or `ready`"


def _account(value: Any) -> Any:
    """`user: 0` is the user "0": ids are texts from here on."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Account = Annotated[
    str,
    StringConstraints(min_length=1, max_length=256),
    BeforeValidator(_account),
    WithJsonSchema({"anyOf": [{"type": "string", "minLength": 1}, {"type": "integer", "minimum": 0}]}),
]
"""A user's or group's name or number. Expandable, so what it names is checked after expansion."""

Umask = Annotated[str, StringConstraints(pattern=UMASK)]


class SecretSource(Model):
    """Where the value of a secret comes from. Exactly one of the two."""

    file: Text | None = Field(None, description="A file on the worker's host, read at every start.")
    env: Annotated[str, StringConstraints(pattern=ENV_NAME)] | None = Field(
        None, description="A variable of the controller's environment."
    )

    @model_validator(mode="after")
    def _has_one_source(self) -> SecretSource:
        if (self.file is None) == (self.env is None):
            raise ValueError("needs exactly one of `file` and `env`; write `{file: PATH}` or `{env: NAME}`")
        return self


def _status_range(value: Any) -> Any:
    """One status is a range of one."""
    ends = [value, value] if isinstance(value, int) else value
    is_range = isinstance(ends, list | tuple) and len(ends) == 2
    if not is_range or not all(isinstance(end, int) and not isinstance(end, bool) for end in ends):
        raise ValueError(f"expected {STATUS_WORDS}, got {{got}}")
    if not 100 <= ends[0] <= ends[1] <= 599:
        raise ValueError(f"expected {STATUS_WORDS}; 200 to 399 counts unless set")
    return tuple(ends)


_STATUS = {"type": "integer", "minimum": 100, "maximum": 599}
StatusRange = Annotated[
    tuple[int, int],
    BeforeValidator(_status_range),
    WithJsonSchema({"anyOf": [_STATUS, {"type": "array", "items": _STATUS, "minItems": 2, "maxItems": 2}]}),
]

Port = Annotated[int, Field(ge=1, le=65_535)]


class HttpCheck(Model):
    """A GET request to 127.0.0.1. Redirects are answers, they are not followed."""

    path: Annotated[str, StringConstraints(max_length=2000)] = Field("/", description="The path, beginning with `/`.")
    port: Port | None = Field(None, description="The instance's own port unless set.")
    status: StatusRange = Field(
        (200, 399), description="The status, or `[from, to]`, that counts as success; 200 to 399 unless set."
    )

    @field_validator("path")
    @classmethod
    def _begins_with_slash(cls, value: str) -> str:
        if not value.startswith("/"):
            raise ValueError("a path begins with `/`; host and port are not part of it")
        if not re.fullmatch(HTTP_PATH, value):
            raise ValueError("a path holds visible ASCII characters only; write others as `%20` and the like")
        return value


class TcpCheck(Model):
    """A connection to 127.0.0.1 that is accepted."""

    port: Port | None = Field(None, description="The instance's own port unless set.")


class HeartbeatCheck(Model):
    """The worker must tell that it lives: by the API's heartbeat, or by `WATCHDOG=1` over NOTIFY_SOCKET."""

    timeout_ms: int = Field(
        30_000,
        ge=1000,
        le=DAY_MS,
        description="Silent for so long, it has failed. Its process is told so as WATCHDOG_USEC, and less than before "
        "counts from its next start on.",
    )


class ProbeSpec(Model):
    """One question that is put to an instance again and again. Exactly one of `http`, `tcp`, `exec`, `log_line`."""

    checks: ClassVar[tuple[Check, ...]] = CHECKS

    http: HttpCheck | None = Field(None, description="Succeeds when a GET on 127.0.0.1 is answered as expected.")
    tcp: TcpCheck | None = Field(None, description="Succeeds when 127.0.0.1 accepts a connection.")
    exec: Annotated[list[str], Field(min_length=1)] | None = Field(
        None, description="Succeeds when this command ends with code 0; run as the worker's user, in its directory."
    )
    log_line: Text | None = Field(
        None, description="Succeeds when a line of output matches this regular expression anywhere."
    )
    period_ms: int = Field(10_000, ge=100, le=DAY_MS, description="From one try to the next.")
    timeout_ms: int = Field(3000, ge=10, le=DAY_MS, description="A try that takes longer has failed.")
    failures: int = Field(3, ge=1, le=1000, description="So many failures in a row count.")
    successes: int = Field(1, ge=1, le=1000, description="So many successes in a row count.")

    @field_validator("log_line")
    @classmethod
    def _is_a_harmless_pattern(cls, value: str | None) -> str | None:
        fault = "" if value is None else fault_of_pattern(value)
        if fault:
            raise ValueError(fault)
        return value

    @model_validator(mode="after")
    def _asks_one_thing(self) -> ProbeSpec:
        if len([name for name in self.checks if getattr(self, name) is not None]) != 1:
            names = [f"`{name}`" for name in self.checks]
            words = f"{', '.join(names[:-1])} and {names[-1]}"
            raise ValueError(f"needs exactly one of {words}; as in `http: {{path: /}}`")
        return self

    @property
    def check(self) -> Check:
        """Which of its checks it is."""
        return next(name for name in self.checks if getattr(self, name) is not None)


class LivenessSpec(ProbeSpec):
    """A probe that may also wait for heartbeats instead of asking. Exactly one of the five."""

    checks: ClassVar[tuple[Check, ...]] = (*CHECKS, "heartbeat")

    heartbeat: HeartbeatCheck | None = Field(
        None, description="Succeeds as long as the worker tells by itself that it lives. `liveness` only."
    )

    @model_validator(mode="after")
    def _is_asked_or_waits(self) -> LivenessSpec:
        beside = [name for name in COUNTS if name in self.model_fields_set]
        if self.heartbeat is not None and beside:
            raise ValueError(
                f"`{beside[0]}` means nothing beside `heartbeat`, which is not asked; "
                "leave it out: `heartbeat.timeout_ms` alone decides"
            )
        return self


class HookSpec(Model):
    """One command beside the worker, at one moment of its life."""

    exec: Annotated[list[str], Field(min_length=1)] = Field(
        description="The command, executed as it stands after expansion."
    )
    timeout_ms: int = Field(30_000, ge=1, le=DAY_MS, description="A hook that takes longer is killed and has failed.")


class HooksSpec(Model):
    """Commands that run as the worker's user at moments of an instance's life. Each is a recorded run."""

    pre_start: HookSpec | None = Field(None, description="Before every start; when it fails, so has the start.")
    post_start: HookSpec | None = Field(None, description="After every start. Nothing waits for it.")
    pre_stop: HookSpec | None = Field(
        None, description="Before the stop signal; its time comes on top of `stop.grace_ms`."
    )
    post_stop: HookSpec | None = Field(None, description="When the last process is gone, also after a crash.")


class LimitsSpec(Model):
    """What an instance may use at most. At least one of them is set."""

    memory_bytes: int | None = Field(
        None, ge=4 * 1024 * 1024, description="Memory of all its processes; beyond it the kernel kills one of them."
    )
    cpu: float | None = Field(
        None,
        gt=0,
        le=10_000,
        allow_inf_nan=False,
        description="Processors of all its processes; 1.5 is one and a half.",
    )
    nofile: int | None = Field(None, ge=16, le=2**30, description="Open files of each process.")
    pids: int | None = Field(None, ge=1, le=2**22, description="Processes and threads at the same time.")
    nice: int | None = Field(None, ge=-20, le=19, description="Priority, from -20 (first) to 19 (last).")
    enforce: Literal["strict", "best_effort"] = Field(
        "strict", description="Where a limit cannot be enforced: `strict`: not started; `best_effort`: without it."
    )

    @model_validator(mode="after")
    def _limits_something(self) -> LimitsSpec:
        if not self.names:
            raise ValueError("limits nothing; set at least one of `memory_bytes`, `cpu`, `nofile`, `pids` and `nice`")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The limits that are set, in the order of the language."""
        return tuple(name for name in LIMITS if getattr(self, name) is not None)


def _not_completed(value: str) -> str:
    if value == "completed":
        raise ValueError(COMPLETED_NOT_YET)
    return value


Awaited = Annotated[Literal["started", "ready", "completed"], AfterValidator(_not_completed)]
"""What a dependency must be before those who need it are started."""
