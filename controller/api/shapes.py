"""The shapes of API.md as JSON Schema: what bodies, answers and parameters look like. Data for contracts.py.

Objects always have all their keys (`record`); a figure that is not known is null. Nothing here is executed for a
request: the tests hold every real answer against these shapes, so that they cannot drift from what is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, get_args

from controller.core.batches import ITEM_STATES, BatchState
from controller.core.log_kinds import KINDS
from controller.core.observed import Status

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
TIME: Schema = {"type": "string", "format": "date-time", "description": "RFC 3339 in UTC."}
STATUS: Schema = {"type": "string", "enum": [status.value for status in Status]}
LABELS: Schema = {"type": "object", "additionalProperties": TEXT}
ANYTHING: Schema = {"type": "object", "additionalProperties": True}
WORKER_ID: Schema = {"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"}


def record(may_have: Mapping[str, Schema] = MappingProxyType({}), /, **properties: Schema) -> Schema:
    """An object with exactly these keys, all of them there but those that it `may_have`."""
    return {"type": "object", "properties": {**properties, **may_have}, "required": list(properties)}


def or_null(schema: Schema) -> Schema:
    """The same, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def listed(schema: Schema) -> Schema:
    """An array."""
    return {"type": "array", "items": schema}


def named(name: str) -> Schema:
    """A reference to one of SHAPES."""
    return {"$ref": f"#/components/schemas/{name}"}


def page_of(name: str) -> Schema:
    """The shape of every list."""
    return record(items=listed(named(name)), next_cursor=or_null(TEXT))


_INSTANCE: Mapping[str, Schema] = MappingProxyType(
    {
        "instance": TEXT,
        "ordinal": COUNT,
        "status": STATUS,
        "reason": TEXT,
        "pid": or_null(COUNT),
        "host": or_null(TEXT),
        "run": or_null(TEXT),
        "revision": or_null(TEXT),
        "started_at": or_null(TIME),
        "uptime_s": or_null({"type": "number", "minimum": 0}),
        "restart_count": COUNT,
        "cpu_percent": or_null({"type": "number"}),
        "memory_bytes": or_null(COUNT),
        "error_count": or_null(COUNT),
        "assigned_accounts": or_null(COUNT),
        "active_tasks": or_null(COUNT),
        "last_heartbeat_at": or_null(TIME),
        "last_exit": or_null(named("LastExit")),
        "next_retry_at": or_null(TIME),
    }
)
_WORKER: Mapping[str, Schema] = MappingProxyType(
    {
        "worker_id": TEXT,
        "name": TEXT,
        "status": STATUS,
        "desired_state": or_null({"type": "string", "enum": ["running", "stopped", "absent"]}),
        "desired_replicas": COUNT,
        "revision": or_null(TEXT),
        "deployment_type": or_null(TEXT),
        "labels": LABELS,
        "depends_on": LABELS,
        "source": named("Source"),
        "conditions": listed(named("Condition")),
        "restart_count": COUNT,
        "error_count": or_null(COUNT),
        "cpu_percent": or_null({"type": "number"}),
        "memory_bytes": or_null(COUNT),
        "assigned_accounts": or_null({}),
        "active_tasks": or_null({}),
        "last_heartbeat_at": or_null(TIME),
        "problems": listed(named("Fault")),
        "instances": listed(named("Instance")),
    }
)
WORKER_FIELDS = tuple(_WORKER)
"""The keys of a list item, in their order."""

_BATCH: Mapping[str, Schema] = MappingProxyType(
    {
        "batch_id": TEXT,
        "action": {"type": "string", "enum": ["start", "stop", "restart"]},
        "state": {"type": "string", "enum": list(get_args(BatchState))},
        "detail": TEXT,
        "options": record(graceful=FLAG, parallel=COUNT, stop_on_failure=FLAG),
        "selector": or_null(TEXT),
        "origin": or_null(TEXT),
        "actor": TEXT,
        "reason": TEXT,
        "created_at": TIME,
        "ended_at": or_null(TIME),
        "total": COUNT,
        "counts": record(**dict.fromkeys(ITEM_STATES, COUNT)),
    }
)
_METRICS: Schema = {"type": "object", "additionalProperties": {"type": "number"}}
_FIELD_CHANGE = record(path=TEXT, **{"from": {}, "to": {}}, effect=TEXT)

SHAPES: Mapping[str, Schema] = MappingProxyType(
    {
        "Fault": record(
            pointer=or_null(TEXT),
            file=or_null(TEXT),
            line=or_null(COUNT),
            column=or_null(COUNT),
            message=TEXT,
            hint=or_null(TEXT),
        ),
        "Problem": {
            **record(
                type=TEXT,
                title=TEXT,
                status={"type": "integer"},
                detail=TEXT,
                instance=or_null(TEXT),
                code=TEXT,
                errors=listed(named("Fault")),
                request_id=TEXT,
            ),
            "additionalProperties": True,  # extension members, as RFC 9457 has them
        },
        "Source": record(file=or_null(TEXT), line=or_null(COUNT), commit=or_null(TEXT)),
        "LastExit": record(cause=TEXT, code=or_null({"type": "integer"}), signal=or_null(TEXT), at=or_null(TIME)),
        "Condition": record(
            type=TEXT,
            status={"type": "string", "enum": ["True", "False", "Unknown"]},
            reason=TEXT,
            message=TEXT,
            since=or_null(TIME),
            observed_revision=or_null(TEXT),
        ),
        "Instance": record(**_INSTANCE),
        "InstanceStatus": record(
            **_INSTANCE,
            message=TEXT,
            since=or_null(TIME),
            run_number=COUNT,
            cpu_seconds=or_null({"type": "number", "minimum": 0}),
            ready=or_null(FLAG),
            notify_status=TEXT,
            heartbeat=or_null(named("HeartbeatTold")),
        ),
        "Worker": record(**_WORKER),
        "WorkerFields": {
            "type": "object",
            "properties": {**_WORKER},
            "required": ["worker_id"],
            "description": "The fields that were asked for.",
        },
        "WorkerStatus": record(
            **{**_WORKER, "instances": listed(named("InstanceStatus"))},
            description=TEXT,
            why=TEXT,
            next=TEXT,
            holds=listed(named("Hold")),
            host=or_null(TEXT),
            pid=or_null(COUNT),
            started_at=or_null(TIME),
            uptime_s=or_null({"type": "number"}),
            last_exit=or_null(named("LastExit")),
            next_retry_at=or_null(TIME),
            operations=listed(named("Operation")),
            metrics=_METRICS,
        ),
        "HeartbeatTold": record(
            at=TIME,
            active_tasks=or_null(COUNT),
            assigned_accounts=or_null(COUNT),
            error_count=or_null(COUNT),
            metrics=_METRICS,
            status=TEXT,
            due_at=or_null(TIME),
        ),
        "WorkerHealth": record(
            worker_id=TEXT,
            healthy=FLAG,
            status=STATUS,
            summary=TEXT,
            last_heartbeat_at=or_null(TIME),
            instances=listed(
                record(instance=TEXT, healthy=FLAG, status=STATUS, ready=or_null(FLAG), says=listed(TEXT))
            ),
        ),
        "Overview": record(
            workers=COUNT,
            instances=COUNT,
            with_problems=COUNT,
            by_status=record(**{status.value: COUNT for status in Status}),
            restart_count=or_null({"type": "number"}),
            error_count=or_null({"type": "number"}),
            cpu_percent=or_null({"type": "number"}),
            memory_bytes=or_null({"type": "number"}),
            assigned_accounts=or_null({"type": "number"}),
            active_tasks=or_null({"type": "number"}),
        ),
        "WorkerConfig": record(
            worker_id=TEXT,
            spec=or_null(ANYTHING),
            explicit=listed(TEXT),
            revision=or_null(TEXT),
            source=named("Source"),
            valid=FLAG,
            problems=listed(named("Fault")),
        ),
        "SpecRevision": record(
            seq=COUNT,
            at=TIME,
            kind={"type": "string", "enum": ["accepted", "rejected", "removed"]},
            revision=or_null(TEXT),
            actor=or_null(TEXT),
            reason=TEXT,
            message=TEXT,
            source=named("Source"),
            commit=or_null(record(id=TEXT, author=TEXT, at=TIME, message=TEXT)),
            spec=or_null(ANYTHING),
            fields=or_null(listed(_FIELD_CHANGE)),
            orders={"type": "object", "additionalProperties": listed(TEXT)},
            gave_up=listed(TEXT),
            is_current=FLAG,
        ),
        "SpecText": record(
            worker_id=TEXT,
            file=TEXT,
            etag=TEXT,
            text=TEXT,
            line=COUNT,
            last_line=COUNT,
            origins={"type": "object", "additionalProperties": record(file=TEXT, line=COUNT)},
        ),
        "GoneWorker": record(
            worker_id=TEXT, name=TEXT, labels=LABELS, revision=TEXT, source=named("Source"), gone_at=TIME
        ),
        "Draft": record(
            text=TEXT,
            document=or_null(ANYTHING),
            problems=listed(named("Fault")),
            rewritten=FLAG,
            changed=FLAG,
            config=or_null(named("WorkerConfig")),
            plan=or_null(named("Plan")),
            refusal=or_null(record(code=TEXT, message=TEXT, hint=or_null(TEXT))),
            file=or_null(TEXT),
            etag=or_null(TEXT),
        ),
        "ConfigPreview": record(changed=FLAG, config=or_null(named("WorkerConfig")), plan=named("Plan")),
        "ConfigSummary": {"type": "object", "properties": {"total": COUNT}, "additionalProperties": True},
        "Operation": record(
            operation_id=TEXT,
            worker_id=or_null(TEXT),
            action=TEXT,
            state={"type": "string", "enum": ["accepted", "running", "succeeded", "failed", "superseded"]},
            detail=TEXT,
        ),
        "BatchSummary": record(**_BATCH),
        "Batch": record(
            **_BATCH,
            results=listed(
                record(
                    worker_id=TEXT,
                    state={"type": "string", "enum": list(ITEM_STATES)},
                    detail=TEXT,
                    operation_id=or_null(TEXT),
                )
            ),
        ),
        "LogLine": record(
            {"id": COUNT, "data": or_null(ANYTHING)},
            at=TIME,
            approximate=FLAG,
            worker_id=TEXT,
            instance=TEXT,
            run=or_null(TEXT),
            stream=or_null({"type": "string", "enum": ["stdout", "stderr"]}),
            kind={"type": "string", "enum": list(KINDS)},
            seq=COUNT,
            level=or_null(TEXT),
            text=TEXT,
            partial=FLAG,
        ),
        "MetricsHistory": record(
            worker_id=or_null(TEXT),
            since=TIME,
            until=TIME,
            step_s=COUNT,
            times=listed(COUNT),
            series=listed(
                record(
                    worker_id=TEXT,
                    instance=or_null(TEXT),
                    metric=TEXT,
                    values=listed(or_null({"type": "number"})),
                )
            ),
            annotations=listed(record(at=TIME, type=TEXT, instance=or_null(TEXT), actor=TEXT, message=TEXT)),
        ),
        "Event": record(
            seq=COUNT,
            at=TIME,
            type=TEXT,
            worker_id=or_null(TEXT),
            instance=or_null(TEXT),
            run=or_null(TEXT),
            actor=TEXT,
            cause=TEXT,
            message=TEXT,
            data=ANYTHING,
        ),
        "Action": record(worker_id=TEXT, instance=TEXT, action=TEXT, cause=TEXT, fields=listed(_FIELD_CHANGE)),
        "Hold": record(
            worker_id=or_null(TEXT),
            reason=TEXT,
            message=TEXT,
            until=or_null(TIME),
            confirm=or_null(TEXT),
            fields=listed(_FIELD_CHANGE),
        ),
        "Plan": record(actions=listed(named("Action")), holds=listed(named("Hold")), next_wake=or_null(TIME)),
        "Whoami": record(
            name=TEXT,
            role={"type": "string", "enum": ["viewer", "operator", "admin"]},
            via={"type": "string", "enum": ["peer", "token", "session"]},
            token_id=or_null(TEXT),
            expires_at=or_null(TIME),
        ),
        "Health": record(
            ready=FLAG,
            waiting_for=listed(TEXT),
            ticking=FLAG,
            draining=FLAG,
            database={"type": "string", "enum": ["ok", "unavailable"]},
            workers=COUNT,
            problems=COUNT,
            holds=COUNT,
        ),
    }
)
"""Every shape with a name, for `#/components/schemas`."""
