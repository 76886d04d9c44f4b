"""The spec language, version 1: one set of frozen models, and the truth about it.

The JSON Schema, `workerctl explain`, the user documentation and the API's bodies come from these models, so every
field carries its description. A field that the language reserves but this version cannot honour yet stands in
`NOT_YET`; it is refused by name, never ignored. The groups around a process (probes, hooks, limits ...) are in
spec_processes.py.

What does not belong here: YAML (sources/), expansion of `${...}` (expansion.py), what a change of a field does to a
running instance (effects.py).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from controller.agent.backoff import base_delay_ms
from controller.core.spec_model import DAY_MS, DNS_LABEL, ENV_NAME, EnvName, Model, Text, WorkerId
from controller.core.spec_processes import (
    Account,
    Awaited,
    HooksSpec,
    LimitsSpec,
    LivenessSpec,
    ProbeSpec,
    SecretSource,
    Umask,
)

__all__ = [
    "DAY_MS",
    "DNS_LABEL",
    "ENV_NAME",
    "KINDS_NOT_YET",
    "NOT_YET",
    "Backoff",
    "Logs",
    "Model",
    "Stop",
    "WorkerId",
    "WorkerSpec",
    "explicit_fields",
    "is_worker_id",
]

# Reserved fields and the part of the product that brings them. Refused with "not yet supported".
NOT_YET: dict[str, str] = {
    "watch": "jobs",
    "schedule": "jobs",
    "run": "jobs",
    "update": "rollouts",
    "placement": "placement",
    "autoscale": "autoscaling",
    "alerts": "alerts",
    "docker": "docker",
    "kubernetes": "kubernetes",
}

# Kinds that the language reserves but this version cannot honour yet.
KINDS_NOT_YET: dict[str, str] = {"Host": "hosts", "Channel": "alerts"}

Signal = Literal["TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "KILL"]


class Backoff(Model):
    """How the delay between restarts grows."""

    factor: float = Field(2, ge=1, le=10, description="Each delay is the one before times this.")
    max_delay_ms: int = Field(60_000, ge=0, le=DAY_MS, description="No delay is longer than this, jitter aside.")
    jitter: float = Field(0.1, ge=0, le=1, description="Up to this share is added at random. It only lengthens.")


class Stop(Model):
    """How an instance is asked to end, and what happens when it does not."""

    signal: Signal = Field("TERM", description="The signal that asks the process to end.")
    grace_ms: int = Field(10_000, ge=0, le=DAY_MS, description="How long it may take before it is killed.")
    kill: Literal["group", "main"] = Field(
        "group", description="Whom the signals reach: `group` is the process and all its children, `main` it alone."
    )


class Logs(Model):
    """How much output is kept, per stream and instance."""

    max_bytes: int = Field(52_428_800, ge=65_536, description="Bytes of the newest output that stay in the file.")
    archives: int = Field(5, ge=0, le=1000, description="How many ended runs keep their files.")
    store_rate: int = Field(2000, ge=0, description="Lines per second that go to the database; the rest is counted.")
    retain_days: int = Field(7, ge=1, le=3650, description="How long lines stay in the database.")
    retain_lines: int | None = Field(
        None,
        ge=0,
        description="How many of the worker's newest lines stay in the database, at most. null: no such limit.",
    )
    retain_bytes: int | None = Field(
        None,
        ge=65_536,
        description="How large they may be there, all together: the text, and 160 bytes a line. null: no such limit.",
    )
    capture: Literal["file", "pipe"] = Field("file", description="`file`: the process writes straight to its file.")

    @field_validator("capture")
    @classmethod
    def _only_files_yet(cls, value: str) -> str:
        if value == "pipe":
            raise ValueError("capture: pipe is not yet supported")
        return value


class WorkerSpec(Model):
    """The desired state of one worker."""

    worker_id: WorkerId = Field(
        description="The identity: a DNS label of at most 63 characters (a-z, 0-9, '-'). The file's name is not."
    )
    kind: Literal["Worker"] = Field("Worker", description="What the document describes.")
    name: str = Field("", max_length=200, description="A name for people, in any language.")
    description: str = Field("", max_length=10_000, description="Free text, in any language.")
    labels: dict[Annotated[str, StringConstraints(min_length=1, max_length=63)], str] = Field(
        default_factory=dict, description="Strings to select workers by."
    )
    deployment_type: Literal["local", "ssh", "docker", "kubernetes"] = Field(
        "local", description="Where and how instances run."
    )
    host: str = Field("localhost", min_length=1, max_length=253, description="The host that instances live on.")
    command: Annotated[list[str], Field(min_length=1)] | Text | None = Field(
        None,
        description="A list is executed as it stands after expansion; a string is run by `/bin/sh -c`. "
        "Without it the built-in demonstration worker runs.",
    )
    working_dir: str | None = Field(
        None,
        min_length=1,
        description="Where it runs; the directory of the spec file unless set. A relative path starts there.",
    )
    env: dict[EnvName, str] = Field(
        default_factory=dict, description="Environment variables, over PATH HOME USER LANG TZ."
    )
    env_files: list[Text] = Field(
        default_factory=list,
        description="Files of NAME=value lines, inside the specs directory; `env` wins over them, later over earlier.",
    )
    secrets: dict[EnvName, SecretSource] = Field(
        default_factory=dict,
        description="Environment variables whose values are never shown and never stored: `{NAME: {file: PATH}}`, read "
        "on the worker's host at every start, or `{NAME: {env: VARIABLE}}`, from the controller's environment.",
    )
    user: Account | None = Field(
        None, description="The user that it runs as, by name or number; the supervisor's own unless set."
    )
    group: Account | None = Field(
        None, description="The group that it runs as, by name or number; the user's own unless set."
    )
    umask: Umask | None = Field(
        None, description='Permissions that its new files do not get: quoted octal digits; "022" unless set.'
    )
    port: int | None = Field(
        None, ge=1, le=65_535, description="Base port: instance n gets port + n, exported as PORT."
    )
    max_accounts: int | None = Field(None, ge=0, description="Capacity for account assignment.")
    replicas: int = Field(1, ge=0, le=1000, description="How many instances.")
    auto_start: bool = Field(True, description="false: do not start it by yourself. It never stops a running worker.")
    desired_state: Literal["running", "stopped"] | None = Field(
        None, description="What `start` and `stop` write; from `auto_start` unless set."
    )
    auto_restart: bool | Literal["on_failure", "always", "never"] = Field(
        True, description="true or `on_failure`: after a crash; `always`: also after a clean exit; false or `never`."
    )
    max_restart_attempts: int | None = Field(
        3, ge=0, le=100_000, description="Restarts within `restart_window_ms` before it gives up; null: never give up."
    )
    restart_delay_ms: int = Field(5000, ge=0, le=DAY_MS, description="Before the first restart; 0 is at once.")
    restart_backoff: Backoff = Field(default_factory=Backoff, description="How the delay grows.")
    restart_window_ms: int = Field(600_000, ge=1000, le=7 * DAY_MS, description="The sliding window of the budget.")
    start_grace_ms: int = Field(
        1000, ge=0, le=DAY_MS, description="Alive this long is running, where no startup or readiness probe says more."
    )
    success_exit_codes: list[Annotated[int, Field(ge=0, le=255)]] = Field(
        default_factory=lambda: [0], description="What counts as a clean exit."
    )
    stop: Stop = Field(default_factory=Stop, description="How it is asked to end.")
    startup: ProbeSpec | None = Field(
        None,
        description="When it has started: it is `starting` until the probe succeeds. After `failures` failures in a "
        "row it is stopped and has crashed.",
    )
    readiness: ProbeSpec | None = Field(
        None,
        description="Whether it can do its work now. While it cannot, it goes on running, with the condition Ready "
        "False.",
    )
    liveness: LivenessSpec | None = Field(
        None,
        description="Whether it still works. After `failures` failures in a row, or without a `heartbeat`, it is "
        "stopped, which counts as a crash.",
    )
    hooks: HooksSpec | None = Field(None, description="Commands at moments of an instance's life.")
    limits: LimitsSpec | None = Field(None, description="What an instance may use at most.")
    depends_on: dict[WorkerId, Awaited] = Field(
        default_factory=dict,
        description="Workers that must be there before it is started: `started` (all their instances run or have "
        "completed) or `ready` (all run and are ready). What runs already is not stopped for it.",
    )
    logs: Logs = Field(default_factory=Logs, description="How much output is kept.")

    @model_validator(mode="after")
    def _ports_fit(self) -> WorkerSpec:
        if self.port is not None and self.port + max(self.replicas, 1) - 1 > 65_535:
            raise ValueError(f"port {self.port} with {self.replicas} replicas goes beyond 65535")
        return self

    @model_validator(mode="after")
    def _budget_can_trip(self) -> WorkerSpec:
        """A budget whose delays alone outlast the window never trips: the worker would flap for ever unseen."""
        if self.max_restart_attempts is None or self.restart_policy == "never":
            return self
        backoff = self.restart_backoff
        shortest = sum(
            base_delay_ms(self.restart_delay_ms, backoff.factor, backoff.max_delay_ms, streak)
            for streak in range(self.max_restart_attempts)
        )
        if shortest >= self.restart_window_ms:
            raise ValueError(
                f"max_restart_attempts {self.max_restart_attempts} can never be used up: its delays add up to "
                f"{shortest} ms, the window is {self.restart_window_ms} ms; raise restart_window_ms"
            )
        return self

    @property
    def restart_policy(self) -> Literal["on_failure", "always", "never"]:
        """`auto_restart` as one word."""
        if isinstance(self.auto_restart, bool):
            return "on_failure" if self.auto_restart else "never"
        return self.auto_restart

    @property
    def wanted(self) -> Literal["running", "stopped", "unless_stopped"]:
        """What the spec asks for. `unless_stopped`: leave it as it is (auto_start: false and no desired_state)."""
        if self.desired_state is not None:
            return self.desired_state
        return "running" if self.auto_start else "unless_stopped"


def explicit_fields(spec: Model) -> dict[str, Any]:
    """Only what a person set (with Defaults merged), as plain data: what a revision is made of."""
    return spec.model_dump(mode="json", exclude_unset=True)


def is_worker_id(text: str) -> bool:
    """Whether `text` may name a worker."""
    return re.fullmatch(DNS_LABEL, text) is not None
