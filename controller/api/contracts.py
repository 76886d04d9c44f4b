"""What each route promises: parameters, body, answers. One entry for every row of routes.py; a test fails without.

openapi.py makes the document from it. To add a route: one entry in CONTRACTS, and its shapes in shapes.py where they
are new. Every route may also answer with a problem (the `default` of the document); `problems` names the statuses that
a client of this route should expect. A room with many routes may keep its contracts beside them and be joined here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from controller.api.actions import ActionBody, ReconcileBody, ResumeBody
from controller.api.batches import BATCH_SCHEMA
from controller.api.contract import (
    AFTER,
    FOLLOW,
    LAST_EVENT,
    Answer,
    Body,
    Contract,
    Parameter,
    flag,
    json_of,
    number,
    query,
)  # fmt: skip
from controller.api.draft_contracts import DRAFT_CONTRACTS
from controller.api.heartbeat import HeartbeatBody
from controller.api.history import METRICS, STEPS
from controller.api.log_contracts import LOG_CONTRACTS
from controller.api.metrics import OPENMETRICS
from controller.api.order import SORTABLE
from controller.api.own_contracts import OWN_CONTRACTS
from controller.api.responses import EVENTS, JSON, NDJSON, PLAIN
from controller.api.session import SessionBody
from controller.api.shapes import (
    ANYTHING,
    COUNT,
    STATUS,
    TEXT,
    WORKER_ID,
    Schema,
    named,
    page_of,
)  # fmt: skip

MERGE_PATCH = "application/merge-patch+json"
YAML = "application/yaml"


_LABEL = query("label", TEXT, "`key=value`, or `key`: whether it is there.", repeated=True)
_Q = query("q", TEXT, "Part of an id, a name or a label, whatever the case.")
_LIMIT = number("limit", 1, 1000, "How many at most.")
_CURSOR = query("cursor", TEXT, "`next_cursor` of the page before.")
_WAIT = query("wait_s", {"type": "number", "minimum": 0, "maximum": 600}, "Wait this long for the end; 200 or 504.")
_IF_MATCH = Parameter(name="If-Match", schema=TEXT, description="The ETag of what you have seen.", place="header")
_IF_NONE_MATCH = Parameter(name="If-None-Match", schema=TEXT, description="`*`, or an ETag.", place="header")
_DRY_RUN = flag("dry_run", "Write nothing; say what would be.")
_REWRITE = flag("rewrite", "Write the document anew where it cannot be edited in place.")
_WRITE_PROBLEMS = (400, 409, 412, 415, 422)

_SPEC: Schema = {**ANYTHING, "description": "Fields of a worker: `workerctl schema` prints them all."}
_NEW_SPEC: Schema = {
    "type": "object",
    "properties": {"worker_id": WORKER_ID},
    "required": ["worker_id"],
    "additionalProperties": True,
    "description": "A worker: `workerctl schema` prints all fields.",
}
_WRITTEN: Schema = {"anyOf": [named("WorkerConfig"), named("ConfigPreview")]}
_WORKERS: Schema = {"anyOf": [page_of("Worker"), page_of("WorkerFields")]}
_SORTS = [sign + name for name in SORTABLE for sign in ("", "-")]


def _act(summary: str, body: type[BaseModel] = ActionBody) -> Contract:
    return Contract(
        summary=summary,
        parameters=(_WAIT,),
        body=Body(schema=body, required=False),
        answers={
            200: json_of("It has ended (`state` says how), as `wait_s` asked.", named("Operation")),
            202: json_of("Accepted; see `Location`.", named("Operation")),
        },
        problems=(400, 404, 409, 415, 422, 503, 504),
    )


def _batch(summary: str, body: Body) -> Contract:
    return Contract(
        summary=summary,
        parameters=(_WAIT,),
        body=body,
        answers={
            200: json_of("It is over (`state` and `results` say how), as `wait_s` asked.", named("Batch")),
            202: json_of("Accepted; see `Location`.", named("Batch")),
        },
        problems=(400, 404, 409, 415, 422, 503, 504),
    )


def _probe(summary: str) -> Contract:
    return Contract(
        summary=summary,
        answers={200: json_of("Yes.", named("Health")), 503: json_of("No, and why.", named("Health"))},
    )


CONTRACTS: Mapping[tuple[str, str], Contract] = MappingProxyType(
    {
        **OWN_CONTRACTS,
        **LOG_CONTRACTS,
        **DRAFT_CONTRACTS,
        ("GET", "/healthz"): _probe("Whether the controller's loop ticks."),
        ("GET", "/readyz"): _probe("Whether the controller does its work."),
        ("GET", "/metrics"): Contract(
            summary="Figures of workers and controller, for Prometheus.",
            answers={200: Answer(description="OpenMetrics 1.0.", content={OPENMETRICS: TEXT, PLAIN: TEXT})},
            problems=(406,),
        ),
        ("GET", "/api/v1/worker-configs"): Contract(
            summary="All specs as accepted.",
            parameters=(
                _LABEL,
                query("valid", {"type": "string", "enum": ["true", "false"]}, "Only valid or only invalid ones."),
                query("desired_state", {"type": "string", "enum": ["running", "stopped"]}, "What is asked of it."),
                _Q,
                _LIMIT,
                _CURSOR,
            ),
            answers={200: json_of("A page of specs.", page_of("WorkerConfig"))},
            problems=(400,),
        ),
        ("POST", "/api/v1/worker-configs"): Contract(
            summary="Write a new spec.",
            parameters=(_DRY_RUN, _REWRITE, _IF_MATCH),
            body=Body(schema=_NEW_SPEC),
            answers={
                200: json_of("What it would be (`dry_run`).", named("ConfigPreview")),
                201: json_of("Written; see `Location`.", named("WorkerConfig")),
            },
            problems=_WRITE_PROBLEMS,
        ),
        ("GET", "/api/v1/worker-configs/stats/summary"): Contract(
            summary="Counts over all specs.", answers={200: json_of("Counts.", named("ConfigSummary"))}
        ),
        ("GET", "/api/v1/worker-configs/{id}"): Contract(
            summary="One spec, with the ETag of its file.",
            parameters=(_IF_NONE_MATCH,),
            answers={
                200: json_of("The spec.", named("WorkerConfig")),
                304: Answer(description="You have it."),
            },
            problems=(400, 404),
        ),
        ("GET", "/api/v1/worker-configs/{id}/history"): Contract(
            summary="What became of a spec, the newest first; also of a worker that is gone.",
            parameters=(number("limit", 1, 100, "How many at most."), _CURSOR),
            answers={200: json_of("A page of revisions.", page_of("SpecRevision"))},
            problems=(400, 404, 503),
        ),
        ("GET", "/api/v1/worker-configs/{id}/text"): Contract(
            summary="The file that a spec stands in, secrets hidden, and where each of its fields comes from.",
            answers={200: json_of("The text.", named("SpecText"))},
            problems=(400, 404),
        ),
        ("GET", "/api/v1/gone-workers"): Contract(
            summary="Workers whose specs are gone, those that went last first.",
            parameters=(_LIMIT, _CURSOR),
            answers={200: json_of("A page of them.", page_of("GoneWorker"))},
            problems=(400, 503),
        ),
        ("PUT", "/api/v1/worker-configs/{id}"): Contract(
            summary="Replace a spec.",
            parameters=(_DRY_RUN, _REWRITE, _IF_MATCH, _IF_NONE_MATCH),
            body=Body(schema=_SPEC, types=(JSON, YAML)),
            answers={
                200: json_of("Written, or what it would be.", _WRITTEN),
                201: json_of("Created.", named("WorkerConfig")),
            },
            problems=(*_WRITE_PROBLEMS, 404, 428),
        ),
        ("PATCH", "/api/v1/worker-configs/{id}"): Contract(
            summary="Change a spec by a merge patch.",
            parameters=(_DRY_RUN, _REWRITE, _IF_MATCH),
            body=Body(schema=_SPEC, types=(MERGE_PATCH, JSON)),
            answers={200: json_of("Written, or what it would be.", _WRITTEN)},
            problems=(*_WRITE_PROBLEMS, 404),
        ),
        ("DELETE", "/api/v1/worker-configs/{id}"): Contract(
            summary="Take a spec out of its file.",
            parameters=(_DRY_RUN, _REWRITE, _IF_MATCH),
            answers={
                200: json_of("What it would be (`dry_run`).", named("ConfigPreview")),
                204: Answer(description="It is out."),
            },
            problems=(400, 404, 409, 412),
        ),
        ("GET", "/api/v1/workers"): Contract(
            summary="All workers with state and figures.",
            parameters=(
                _LABEL,
                query("status", STATUS, "Only these.", repeated=True),
                _Q,
                query("sort", {"type": "string", "enum": _SORTS}, "By this field; downwards with a minus."),
                query("fields", TEXT, "Only these fields, with commas between, and `worker_id`."),
                _LIMIT,
                _CURSOR,
                FOLLOW,
            ),
            answers={200: json_of("A page of workers.", _WORKERS, NDJSON, EVENTS)},
            problems=(400, 406, 503),
        ),
        ("GET", "/api/v1/workers/stats/overview"): Contract(
            summary="The fleet at a glance.", answers={200: json_of("Counts and sums.", named("Overview"))}
        ),
        ("GET", "/api/v1/workers/{id}/status"): Contract(
            summary="One worker with everything.",
            answers={200: json_of("The worker.", named("WorkerStatus"))},
            problems=(400, 404, 503),
        ),
        ("GET", "/api/v1/workers/{id}/health"): Contract(
            summary="Whether a worker is well, in words.",
            answers={
                200: json_of("Every instance runs and can do its work.", named("WorkerHealth")),
                503: json_of("Not so, and why.", named("WorkerHealth")),
            },
            problems=(400, 404),
        ),
        ("POST", "/api/v1/workers/{id}/heartbeat"): Contract(
            summary="From the worker itself, with the token of its run.",
            body=Body(schema=HeartbeatBody, required=False),
            answers={204: Answer(description="Taken.")},
            problems=(400, 401, 403, 413, 415, 422, 429),
        ),
        ("POST", "/api/v1/workers/{id}/start"): _act("Start a worker."),
        ("POST", "/api/v1/workers/{id}/stop"): _act("Stop a worker."),
        ("POST", "/api/v1/workers/{id}/restart"): _act("Restart a worker."),
        ("POST", "/api/v1/workers/{id}/resume"): _act("Let its spec decide again.", ResumeBody),
        ("POST", "/api/v1/workers/batch"): _batch(
            "Start, stop or restart many workers, some at a time.", Body(schema=BATCH_SCHEMA)
        ),
        ("GET", "/api/v1/batches"): Contract(
            summary="All batches that are kept, the newest first, without their results.",
            parameters=(_LIMIT, _CURSOR),
            answers={200: json_of("A page of batches.", page_of("BatchSummary"))},
            problems=(400,),
        ),
        ("GET", "/api/v1/batches/{id}"): Contract(
            summary="How a batch goes, with a result per worker.",
            answers={200: json_of("The batch.", named("Batch"))},
            problems=(400, 404),
        ),
        ("POST", "/api/v1/batches/{id}/cancel"): _batch(
            "Leave out what has not begun.", Body(schema=ResumeBody, required=False)
        ),
        ("POST", "/api/v1/batches/{id}/retry"): _batch(
            "Try what failed again, as a new batch.", Body(schema=ResumeBody, required=False)
        ),
        ("GET", "/api/v1/operations/{id}"): Contract(
            summary="How an operation goes.",
            answers={200: json_of("The operation.", named("Operation"))},
            problems=(400, 404, 503),
        ),
        ("GET", "/api/v1/metrics-history"): Contract(
            summary="Figures of a worker over time, as series that can be drawn, with what happened meanwhile.",
            parameters=(
                query("worker", TEXT, "Whose; without: sums of each worker, of two minutes at most."),
                query("instance", TEXT, "Only this instance: its ordinal or name."),
                query(
                    "by", {"type": "string", "enum": ["worker", "instance"]}, "A sum, or a series for each instance."
                ),
                query("metric", {"type": "string", "enum": list(METRICS)}, "Only these.", repeated=True),
                query("since", TEXT, "From then on; without: an hour before `until`, two minutes for all workers."),
                query("until", TEXT, "Up to then; without: now."),
                query("step", {"type": "string", "enum": [str(step) for step in STEPS]}, "Seconds between values."),
            ),
            answers={200: json_of("The series.", named("MetricsHistory"))},
            problems=(400, 404, 503),
        ),
        ("GET", "/api/v1/events"): Contract(
            summary="What happened, oldest first.",
            parameters=(
                AFTER,
                query("before", COUNT, "The newest before this `seq`."),
                query("worker_id", TEXT, "Of this worker."),
                query("type", TEXT, "Only these.", repeated=True),
                query("actor", TEXT, "Only what these did: `agent`, `controller`, a person.", repeated=True),
                number("limit", 0, 1000, "How many at most."),
                FOLLOW,
                LAST_EVENT,
            ),
            answers={200: json_of("Events; `next_cursor` is where to go on.", page_of("Event"), NDJSON, EVENTS)},
            problems=(400, 406, 503),
        ),
        ("GET", "/api/v1/stream"): Contract(
            summary="Everything that changes, as server-sent events; see `workerctl help api`.",
            parameters=(
                query("topics", TEXT, "Of `workers,events,logs,operations,batches,plan`; without: workers and events."),
                query("worker", TEXT, "Only this worker; several may be named.", repeated=True),
                query("label", TEXT, "Only workers with this label, `key` or `key=value`.", repeated=True),
                query("after", TEXT, "The id of the last event seen, where the header cannot be sent."),
                LAST_EVENT,
            ),
            answers={200: Answer(description="The stream.", content={EVENTS: TEXT})},
            problems=(400, 404, 406, 503),
        ),
        ("GET", "/api/v1/plan"): Contract(
            summary="What the loop would do now, and what it holds.",
            answers={200: json_of("The plan; as text, one line per entry.", named("Plan"), PLAIN)},
            problems=(400, 406, 503),
        ),
        ("POST", "/api/v1/reconcile"): Contract(
            summary="Look now; or confirm what a guard holds.",
            parameters=(_WAIT,),
            body=Body(schema=ReconcileBody, required=False),
            answers={
                200: json_of("It has ended, as `wait_s` asked.", named("Operation")),
                202: json_of("Accepted.", named("Operation")),
            },
            problems=(400, 409, 415, 422, 503, 504),
        ),
        ("POST", "/api/v1/session"): Contract(
            summary="Log a browser in: the token of `Authorization` for a session's cookie.",
            body=Body(schema=SessionBody, required=False),
            answers={
                200: json_of("No cookie is needed: it is a session already, or the peer is trusted.", named("Whoami")),
                201: json_of("The session's cookie is set.", named("Whoami")),
            },
            problems=(400, 401, 415, 422, 429),
        ),
        ("DELETE", "/api/v1/session"): Contract(
            summary="Log out: the session ends wherever it is open.",
            answers={204: Answer(description="It is over.")},
            problems=(400, 401, 403),
        ),
        ("GET", "/api/v1/whoami"): Contract(
            summary="Who asks, with which role.",
            answers={200: json_of("That is you.", named("Whoami"))},
            problems=(400, 401),
        ),
        ("GET", "/api/v1/openapi.json"): Contract(
            summary="This document.", answers={200: json_of("OpenAPI 3.1.", ANYTHING)}
        ),
    }
)


def schema_of(body: Body) -> dict[str, Any]:
    """The JSON Schema of what is sent."""
    if isinstance(body.schema, dict):
        return body.schema
    schema = body.schema.model_json_schema()
    schema.pop("$defs", None)
    return schema
