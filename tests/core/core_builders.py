"""Builders for the tests of the core: they default the irrelevant, so that a test names only what it is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal

from controller.core.desired import Desired, DesiredWorker, Removal
from controller.core.intents import Intents, RunIntent
from controller.core.launch import LaunchContext, build
from controller.core.observed import HostView, Observed, ObservedInstance, Refusal, Status
from controller.core.picture import Picture, picture_of
from controller.core.plan import Plan
from controller.core.planner import plan
from controller.core.problems import Problem, Source
from controller.core.spec import WorkerSpec, explicit_fields

NOW = 1_000_000.0
CONTEXT = LaunchContext(
    directory="/srv/specs", host="localhost", cpu_count=4, interpreter="/usr/bin/python3",
    secret_values={"DB_PASSWORD": "hunter2"},
)  # fmt: skip


def spec(worker_id: str = "web", **fields: Any) -> WorkerSpec:
    return WorkerSpec.model_validate({"worker_id": worker_id, "command": ["run"], **fields})


def worker(worker_id: str = "web", *, problems: tuple[Problem, ...] = (), **fields: Any) -> DesiredWorker:
    """An accepted worker; with `problems` its last good spec."""
    made = spec(worker_id, **fields)
    built = build(made, CONTEXT)
    assert built.faults == ()
    return DesiredWorker(
        worker_id=worker_id,
        spec=made,
        source=Source(file=f"{worker_id}.yaml", line=3),
        revision=built.revision,
        instances=built.instances,
        problems=problems,
        stale=bool(problems),
    )


def problem(worker_id: str = "web", message: str = "expected an integer") -> Problem:
    return Problem(file=f"{worker_id}.yaml", line=4, column=7, message=message, worker_id=worker_id)


def desired(*workers: DesiredWorker, removed: Iterable[str] = (), **fields: Any) -> Desired:
    removals = {name: Removal(worker_id=name, proof=f"file {name}.yaml is gone", source=Source(file=f"{name}.yaml"))
                for name in removed}  # fmt: skip
    return Desired(workers={entry.worker_id: entry for entry in workers}, removed=removals, **fields)


def seen(of: DesiredWorker, ordinal: int = 0, status: Status = Status.RUNNING, **fields: Any) -> ObservedInstance:
    """A slot that was given exactly what `of` says, with a run where its status has one."""
    instance = of.instances[min(ordinal, len(of.instances) - 1)] if of.instances else None
    revision = fields.pop("revision", of.revision)
    is_live = status in (Status.STARTING, Status.RUNNING, Status.STOPPING)
    values: dict[str, Any] = {
        "worker_id": of.worker_id,
        "ordinal": ordinal,
        "generation": 1,
        "revision": revision,
        "digest": instance.digest if instance is not None else "digest",
        "run_request": 0,
        "wanted": "running",
        "status": status,
        "fields": explicit_fields(of.spec),
        "since": NOW - 60,
        "run": f"run-{of.worker_id}-{ordinal}" if is_live else None,
        "running_revision": revision if is_live else None,
        "pid": 4000 + ordinal if is_live else None,
        "started_at": NOW - 60 if is_live else None,
    }
    return ObservedInstance(**values | fields)


def row(of: DesiredWorker, count: int | None = None, **fields: Any) -> list[ObservedInstance]:
    """All replicas of `of`, or the first `count`, running as they should."""
    return [seen(of, ordinal, **fields) for ordinal in range(len(of.instances) if count is None else count)]


def view(*instances: ObservedInstance, reachable: bool = True, **fields: Any) -> HostView:
    return HostView(reachable=reachable, instances={entry.instance: entry for entry in instances}, **fields)


def observed(*instances: ObservedInstance, **fields: Any) -> Observed:
    """Everything on localhost."""
    return Observed(hosts={"localhost": view(*instances, **fields)})


def wish(
    worker_id: str = "web", kind: Literal["restart", "start", "stop"] = "restart", *, number: int = 7,
    at: float = NOW, reason: str = "", at_once: bool = False,
) -> Intents:  # fmt: skip
    intent = RunIntent(
        worker_id=worker_id, kind=kind, number=number, at=at, actor="alice", reason=reason, at_once=at_once
    )
    return Intents(runs={worker_id: intent})


def refusals(of: DesiredWorker, *ordinals: int, at: float, message: str = "no such command: run") -> Mapping[str, Any]:
    """For `view`: the preflight said no to what `of` wants now."""
    return {
        "refusals": {
            f"{of.worker_id}/{ordinal}": Refusal(digest=of.instances[ordinal].digest, message=message, at=at)
            for ordinal in ordinals
        }
    }


def planned(want: Desired, have: Observed, intents: Intents | None = None, *, now: float = NOW,
            only: frozenset[str] | None = None) -> Plan:  # fmt: skip
    return plan(want, have, intents or Intents(), now=now, only=only)


def picture(want: Desired, have: Observed, worker_id: str = "web") -> Picture:
    return picture_of(worker_id, want, have)


def removing(instance: ObservedInstance) -> ObservedInstance:
    return replace(instance, removing=True, status=Status.STOPPING)
