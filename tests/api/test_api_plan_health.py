"""The plan in two notations; liveness and readiness with one body."""

from __future__ import annotations

from typing import Any

import pytest

from controller.core.plan import Action, ActionKind, FieldChange, Hold, Plan
from tests.api.api_site import Site
from tests.fakes.api_ports import healthy

CHANGE = FieldChange(path="env.A", before=None, after="1", effect="restart")
PLAN = Plan(
    actions=(
        Action(
            worker_id="web",
            ordinal=0,
            host="localhost",
            kind=ActionKind.REPLACE,
            cause="the spec changed",
            generation=4,
            fields=(CHANGE,),
        ),
    ),
    holds=(
        Hold(worker_id=None, reason="PruneGuard", message="4 of 5 workers would go", confirm="3f9a1c"),
        Hold(worker_id="db", reason="Suspended", message="until noon", until=1769857200.25, fields=(CHANGE,)),
    ),
    next_wake=1769857200.0,
)


async def test_plan_is_a_document_with_its_holds_and_their_digests(site: Site) -> None:
    site.ports.next_plan = PLAN

    assert (await site.get("/api/v1/plan")).json == {
        "actions": [
            {
                "worker_id": "web",
                "instance": "web/0",
                "action": "replace",
                "cause": "the spec changed",
                "fields": [{"path": "env.A", "from": None, "to": "1", "effect": "restart"}],
            }
        ],
        "holds": [
            {
                "worker_id": None,
                "reason": "PruneGuard",
                "message": "4 of 5 workers would go",
                "until": None,
                "confirm": "3f9a1c",
                "fields": [],
            },
            {
                "worker_id": "db",
                "reason": "Suspended",
                "message": "until noon",
                "until": "2026-01-31T11:00:00.250Z",
                "confirm": None,
                "fields": [{"path": "env.A", "from": None, "to": "1", "effect": "restart"}],
            },
        ],
        "next_wake": "2026-01-31T11:00:00.000Z",
    }


async def test_plan_as_text_is_what_everything_else_prints(site: Site) -> None:
    empty = await site.get("/api/v1/plan", Accept="text/plain")
    site.ports.next_plan = PLAN
    full = await site.get("/api/v1/plan", Accept="text/plain")

    assert (empty.body, full.body.decode()) == (b"", f"{PLAN}\n")


BODY = {
    "ready": True,
    "waiting_for": [],
    "ticking": True,
    "draining": False,
    "database": "ok",
    "workers": 3,
    "problems": 2,
    "holds": 1,
}


@pytest.mark.parametrize(
    ("state", "alive", "ready", "body"),
    [
        ({}, 200, 200, {}),
        ({"ticking": False}, 503, 200, {"ticking": False}),
        (
            {"first_turn": False, "agent": False},
            200,
            503,
            {"waiting_for": ["the loop has not ended its first turn", "the agent has not answered"]},
        ),
        ({"draining": True}, 200, 503, {"waiting_for": ["the controller ends"], "draining": True}),
        ({"database": False}, 200, 503, {"waiting_for": ["the database is away"], "database": "unavailable"}),
        (
            {"database": False, "database_trouble": "the disk is full"},
            200,
            503,
            {"waiting_for": ["the database is away: the disk is full"], "database": "unavailable"},
        ),
    ],
)
async def test_both_probes_have_one_body_and_the_status_is_the_verdict(
    site: Site, state: dict[str, Any], alive: int, ready: int, body: dict[str, Any]
) -> None:
    site.ports.state = healthy(**state)

    answers = [await site.get(path) for path in ("/healthz", "/readyz")]

    expected = {**BODY, **body, "ready": ready == 200}
    assert [(answer.status, answer.media_type, answer.json) for answer in answers] == [
        (alive, "application/json", expected),
        (ready, "application/json", expected),
    ]
