"""For machines: is it alive, is it ready. One body for both and for every answer; the status code is the verdict.

Problems in specs never make the controller unready: it does its work, and one bad file must not take it out of service.
No error document here, so that a probe's log always shows the same figures. Public: it says nothing about any worker.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from controller.api.call import Call
from controller.api.ports import Health
from controller.api.responses import json_response


async def healthz(call: Call) -> web.StreamResponse:
    """`GET /healthz`: 200 while the loop ticks."""
    health = call.ports.snapshots.health()
    return json_response(health_document(health), call.request_id, status=200 if health.ticking else 503)


async def readyz(call: Call) -> web.StreamResponse:
    """`GET /readyz`: 200 once the first turn ran and the agent answered, until draining or without the database."""
    health = call.ports.snapshots.health()
    return json_response(health_document(health), call.request_id, status=503 if waiting_for(health) else 200)


def waiting_for(health: Health) -> list[str]:
    """What keeps the controller from being ready, in words."""
    why = f": {health.database_trouble}" if health.database_trouble else ""
    reasons = {
        "the loop has not ended its first turn": not health.first_turn,
        "the agent has not answered": not health.agent,
        "the controller ends": health.draining,
        f"the database is away{why}": not health.database,
    }
    return [reason for reason, holds in reasons.items() if holds]


def health_document(health: Health) -> dict[str, Any]:
    """The body."""
    reasons = waiting_for(health)
    return {
        "ready": not reasons,
        "waiting_for": reasons,
        "ticking": health.ticking,
        "draining": health.draining,
        "database": "ok" if health.database else "unavailable",
        "workers": health.workers,
        "problems": health.problems,
        "holds": health.holds,
    }
