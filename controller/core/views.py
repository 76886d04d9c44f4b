"""What people and programs are shown of a worker: exactly the shapes of API.md, as plain data ready for JSON.

Called by the composition root for `GET /api/v1/workers` (all at once) and `.../status` (one). Every key is always
there; what nobody has reported yet is null. What an unreachable host told before is shown as known (pid, run, start),
but no figure is: a figure is a claim about now.

An instance that should exist and has no slot is listed too, so that counts are those of the spec.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from controller.core.desired import Desired
from controller.core.explain import explain
from controller.core.heartbeats import COUNTS, Beat, Told
from controller.core.observed import LastExit, Observed, Status
from controller.core.picture import Picture, Slot, pictures
from controller.core.plan import FieldChange, Hold
from controller.core.problems import Problem, Source
from controller.core.status import Condition, conditions, is_completed, slots_to_run, worker_status

Item = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What a view of one worker needs beside its picture.

    `holds`: the plan's, of this worker. `conditions`: its own, None where they are to be made as at a first look.
    `reported`: what it told of itself, as heartbeats.py has it. `commit`: that at which its file is, None for none.
    """

    holds: Sequence[Hold] = ()
    conditions: Sequence[Condition] | None = None
    reported: Mapping[str, Any] = field(default_factory=dict)
    commit: str | None = None


def worker_views(desired: Desired, observed: Observed, around: Mapping[str, Beside], *, now: float) -> list[Item]:
    """The list items of all workers of which anything is left to tell, by worker_id. `around`: by worker_id."""
    nothing = Beside()
    return [
        worker_view(picture, around.get(picture.worker_id, nothing), now=now)
        for picture in pictures(desired, observed)
        if not picture.is_gone
    ]


def worker_view(picture: Picture, also: Beside, *, now: float) -> Item:
    """One item of `GET /api/v1/workers`. `now` in seconds since the epoch."""
    worker = picture.desired
    spec = None if worker is None else worker.spec
    instances = _instances(picture, also, now)
    stand = conditions(picture, also.holds, now=now) if also.conditions is None else also.conditions
    return {
        "worker_id": picture.worker_id,
        "name": "" if spec is None else spec.name,
        "status": worker_status(picture).value,
        "desired_state": desired_state(picture),
        "desired_replicas": desired_replicas(picture),
        "revision": None if worker is None else worker.revision,
        "deployment_type": None if spec is None else spec.deployment_type,
        "labels": {} if spec is None else dict(sorted(spec.labels.items())),
        "depends_on": {} if spec is None else dict(sorted(spec.depends_on.items())),
        "source": source_view(source_of(picture), also.commit),
        "conditions": [_condition_view(entry) for entry in stand],
        "restart_count": sum(instance["restart_count"] for instance in instances),
        "error_count": also.reported.get("error_count"),
        "cpu_percent": _sum(instance["cpu_percent"] for instance in instances),
        "memory_bytes": _sum(instance["memory_bytes"] for instance in instances),
        "assigned_accounts": also.reported.get("assigned_accounts"),
        "active_tasks": also.reported.get("active_tasks"),
        "last_heartbeat_at": rfc3339(also.reported.get("last_heartbeat_at")),
        "problems": [problem_view(problem) for problem in _problems(picture)],
        "instances": instances,
    }


def status_view(picture: Picture, also: Beside, *, now: float) -> Item:
    """The answer of `GET /api/v1/workers/{id}/status`: the list item, the explanation, and one worker's figures.

    The figures of one process (`pid`, `started_at`, ...) are those of the lowest instance that has one; `last_exit` is
    the latest, `next_retry_at` the earliest. Instances also carry `message`, `since`, `run_number`, `cpu_seconds` of
    the run, `ready` (null where nothing says so), `notify_status`, and `heartbeat`, the run's last one or null;
    `metrics` are sums over these.
    """
    item = worker_view(picture, also, now=now)
    instances = item["instances"]
    slots = {(slot.host, slot.seen.ordinal): slot for slot in picture.slots}
    for instance in instances:
        slot = slots.get((instance["host"], instance["ordinal"]))
        told = None if slot is None else slot.seen
        instance["message"] = "" if told is None else told.message
        instance["since"] = None if told is None else rfc3339(told.since or None)
        instance["run_number"] = 0 if told is None else told.run_number
        instance["cpu_seconds"] = slot.seen.cpu_seconds if slot is not None and slot.reachable else None
        instance["ready"] = slot.seen.ready if slot is not None and slot.reachable else None
        instance["notify_status"] = "" if told is None else told.notify_status
        limit_ms = None if told is None else told.heartbeat_ms
        instance["heartbeat"] = _heartbeat_view(also.reported.get("told", {}).get(instance["instance"]), limit_ms)
    lead = next((instance for instance in instances if instance["pid"] is not None), None)
    exits = [instance["last_exit"] for instance in instances if instance["last_exit"] is not None]
    retries = [instance["next_retry_at"] for instance in instances if instance["next_retry_at"] is not None]
    told_why = explain(picture, also.holds, now=now)
    return item | {
        "description": "" if picture.desired is None else picture.desired.spec.description,
        "why": told_why.why,
        "next": told_why.next,
        "holds": [hold_view(hold) for hold in also.holds],
        "host": _host(picture),
        "pid": None if lead is None else lead["pid"],
        "started_at": None if lead is None else lead["started_at"],
        "uptime_s": None if lead is None else lead["uptime_s"],
        "last_exit": max(exits, key=lambda entry: str(entry["at"]), default=None),
        "next_retry_at": min(retries, default=None),
        "metrics": dict(also.reported.get("metrics", {})),
    }


def desired_state(picture: Picture) -> str | None:
    """`running`, `stopped`, `absent` (no spec any more), or None where no good spec is known.

    With `auto_start: false` and nothing written, it is what the worker was left at.
    """
    if picture.desired is None:
        return "absent" if picture.broken is None else None
    wanted = picture.desired.wanted
    if wanted == "unless_stopped":
        return "running" if slots_to_run(picture) else "stopped"
    return wanted


def desired_replicas(picture: Picture) -> int:
    """How many instances should run now: those of the spec, whatever is there; not those that have completed."""
    if picture.desired is None:
        return 0
    missing = len(picture.missing) if picture.desired.wanted == "running" else 0
    return missing + sum(not is_completed(slot) for slot in slots_to_run(picture))


def rfc3339(at: float | None) -> str | None:
    """Seconds since the epoch as `2026-01-02T03:04:05.678Z`."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def hold_view(hold: Hold) -> Item:
    """One hold as in API.md's plan."""
    return {
        "worker_id": hold.worker_id, "reason": hold.reason, "message": hold.message, "until": rfc3339(hold.until),
        "confirm": hold.confirm or None, "fields": [change_view(change) for change in hold.fields],
    }  # fmt: skip


def change_view(change: FieldChange) -> Item:
    """One changed field, as in API.md's plan."""
    return {"path": change.path, "from": change.before, "to": change.after, "effect": change.effect}


# --- parts --------------------------------------------------------------------------------------------------------


def _instances(picture: Picture, also: Beside, now: float) -> list[Item]:
    told = also.reported.get("told", {})
    views = [_instance_view(slot, told.get(slot.seen.instance), now) for slot in picture.slots]
    views += [_missing_view(picture, ordinal) for ordinal in picture.missing]
    return sorted(views, key=lambda view: (view["ordinal"], view["host"]))


def _instance_view(slot: Slot, told: Told | None, now: float) -> Item:
    seen = slot.seen
    beat = Beat() if told is None else told.beat
    is_up = slot.reachable and seen.pid is not None and seen.started_at is not None
    return {
        "instance": seen.instance,
        "ordinal": seen.ordinal,
        "status": slot.status.value,
        "reason": seen.reason,
        "pid": seen.pid,
        "host": slot.host,
        "run": seen.run,
        "revision": seen.running_revision or seen.revision,
        "started_at": rfc3339(seen.started_at),
        "uptime_s": round(max(0.0, now - seen.started_at), 1) if is_up and seen.started_at is not None else None,
        "restart_count": seen.restart_count,
        "cpu_percent": seen.cpu_percent if slot.reachable else None,
        "memory_bytes": seen.memory_bytes if slot.reachable else None,
        **{name: getattr(beat, name) for name in COUNTS},
        "last_heartbeat_at": None if told is None else rfc3339(told.at),
        "last_exit": _exit_view(seen.last_exit),
        "next_retry_at": rfc3339(seen.next_retry_at),
    }


def _missing_view(picture: Picture, ordinal: int) -> Item:
    return {
        "instance": f"{picture.worker_id}/{ordinal}",
        "ordinal": ordinal,
        "status": (Status.STOPPED if picture.is_reachable else Status.UNKNOWN).value,
        "reason": "NotThereYet" if picture.is_reachable else "HostUnknown",
        "host": _host(picture),
        "restart_count": 0,
        **dict.fromkeys(
            (
                "pid", "run", "revision", "started_at", "uptime_s", "cpu_percent", "memory_bytes", *COUNTS,
                "last_heartbeat_at", "last_exit", "next_retry_at",
            )
        ),
    }  # fmt: skip


def _host(picture: Picture) -> str | None:
    if picture.desired is not None:
        return picture.desired.spec.host
    return picture.slots[0].host if picture.slots else None


def _exit_view(last_exit: LastExit | None) -> Item | None:
    if last_exit is None:
        return None
    return {
        "cause": last_exit.cause, "code": last_exit.code, "signal": last_exit.signal, "at": rfc3339(last_exit.at),
    }  # fmt: skip


def _heartbeat_view(told: Told | None, limit_ms: int | None) -> Item | None:
    """`due_at`: when the next one has to be there, null where liveness does not ask for any."""
    if told is None:
        return None
    beat = told.beat
    return {
        "at": rfc3339(told.at), "active_tasks": beat.active_tasks, "assigned_accounts": beat.assigned_accounts,
        "error_count": beat.error_count, "metrics": dict(beat.metrics), "status": beat.status,
        "due_at": rfc3339(None if limit_ms is None else told.at + limit_ms / 1000),
    }  # fmt: skip


def _condition_view(condition: Condition) -> Item:
    return {
        "type": condition.type, "status": condition.status, "reason": condition.reason, "message": condition.message,
        "since": rfc3339(condition.since), "observed_revision": condition.observed_revision,
    }  # fmt: skip


def problem_view(problem: Problem) -> Item:
    """A problem as every answer has it."""
    return {
        "pointer": problem.pointer, "file": problem.file, "line": problem.line, "column": problem.column,
        "message": problem.message, "hint": problem.hint,
    }  # fmt: skip


def _problems(picture: Picture) -> Sequence[Problem]:
    if picture.desired is not None:
        return picture.desired.problems
    return picture.broken or ()


def source_of(picture: Picture) -> Source | None:
    """Where its spec stands, stood, or is broken; None where nothing is known of one."""
    if picture.desired is not None:
        return picture.desired.source
    if picture.removal is not None:
        return picture.removal.source
    first = (picture.broken or (None,))[0]
    return None if first is None else Source(file=first.file, line=first.line or 1)


def source_view(source: Source | None, commit: str | None = None) -> Item:
    """Where a spec stands, and the commit at which it stands there unchanged."""
    if source is None:
        return {"file": None, "line": None, "commit": None}
    return {"file": source.file, "line": source.line, "commit": commit}


def _sum(values: Iterable[Any]) -> Any:
    """The sum of what was reported, None where nothing was."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None
