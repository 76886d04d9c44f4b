"""`GET /api/v1/workers/{id}/health`: whether a worker is well, in words; for people, load balancers and scripts.

200: every instance runs and none says, or is said by its readiness probe, that it cannot do its work. 503: anything
else, starting included; a worker without probes is healthy exactly when it runs. A heartbeat that is late makes nobody
unhealthy here: whether it has to come is the spec's (`liveness`), and what follows is the agent's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from aiohttp import web

from controller.api.call import Call
from controller.api.ports import Document
from controller.api.problem import unknown_worker
from controller.api.query import Query
from controller.api.responses import json_response


async def show_health(call: Call) -> web.StreamResponse:
    """`GET /api/v1/workers/{id}/health`."""
    Query(call.request)
    item = await call.ports.records.status(call.params["id"])
    if item is None:
        raise unknown_worker(call.params["id"])
    health = worker_health(item)
    return json_response(health, call.request_id, status=200 if health["healthy"] else 503)


def worker_health(item: Document) -> dict[str, Any]:
    """The body, from the worker's status document."""
    instances = [_instance_health(instance) for instance in item["instances"]]
    ill = [instance for instance in instances if not instance["healthy"]]
    return {
        "worker_id": item["worker_id"],
        "healthy": item["status"] == "running" and not ill,
        "status": item["status"],
        "summary": _summary(item, instances, ill),
        "last_heartbeat_at": item["last_heartbeat_at"],
        "instances": instances,
    }


def _summary(item: Document, instances: list[dict[str, Any]], ill: list[dict[str, Any]]) -> str:
    if not instances:
        return f"it is {item['status']}: {item['why']}"
    if not ill and item["status"] == "running":
        return f"all {len(instances)} instances are well" if len(instances) > 1 else "it is well"
    if not ill:
        return f"it is {item['status']}"
    return f"{len(ill)} of {len(instances)} not well; {ill[0]['instance']} {ill[0]['says'][0]}"


def _instance_health(instance: Mapping[str, Any]) -> dict[str, Any]:
    is_unready = instance.get("ready") is False
    says = [_state(instance)]
    if instance["status"] == "running":
        says += _words(instance)
    if instance.get("heartbeat") is not None:
        says.append(_heartbeat(instance["heartbeat"]))
    return {
        "instance": instance["instance"],
        "healthy": instance["status"] == "running" and not is_unready,
        "status": instance["status"],
        "ready": instance.get("ready"),
        "says": says,
    }


def _state(instance: Mapping[str, Any]) -> str:
    """The first sentence: it completes `web/0 ...`."""
    message = instance.get("message") or instance.get("notify_status") or instance["reason"]
    because = f": {message}" if message else ""
    if instance["status"] != "running":
        return f"is {instance['status']}{because}"
    if instance.get("ready") is False:
        return f"runs and is not ready{because}"
    return "runs and says that it is ready" if instance.get("ready") else "runs"


def _words(instance: Mapping[str, Any]) -> list[str]:
    """What its probes say that is no verdict yet, and what it says of itself."""
    said = [instance.get("message", "")] if instance.get("ready") is not False else []
    own = instance.get("notify_status", "")
    return [text for text in (*said, f"in its own words: {own}" if own else "") if text]


def _heartbeat(heartbeat: Mapping[str, Any]) -> str:
    own = f", which said: {heartbeat['status']}" if heartbeat["status"] else ""
    due = heartbeat.get("due_at")
    by = "" if due is None else f"; without another one by {_clock(due)} it is ended"
    return f"its last heartbeat came at {_clock(heartbeat['at'])}{own}{by}"


def _clock(at: str) -> str:
    return datetime.fromisoformat(at).strftime("%H:%M:%S UTC")
