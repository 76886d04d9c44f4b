"""Batches over HTTP: what is asked for, the answers, the list, waiting, and the stream of them."""

from __future__ import annotations

import asyncio
import os
import pwd
from typing import Any

import pytest

from controller.api.ports import BatchWish, Refused
from tests.api.api_site import Site, fault, problem, told, until
from tests.api.conftest import OpenSite
from tests.api.test_api_stream import events
from tests.fakes.api_ports import Json, batch, worker

PATH = "/api/v1/workers/batch"
ACTOR = pwd.getpwuid(os.geteuid()).pw_name


@pytest.fixture
async def fleet(open_site: OpenSite) -> Site:
    front = {"labels": {"tier": "front", "team": "a"}}
    return await open_site(worker("api", **front), worker("db", labels={"tier": "back"}), worker("web", **front))


async def test_the_reference_s_body_begins_a_batch_with_a_result_per_worker(fleet: Site) -> None:
    body = {"action": "restart", "worker_ids": ["web", "nope", "web"], "options": {"graceful": True}}
    answer = await fleet.post(PATH, body)

    assert (answer.status, answer.headers["Location"]) == (202, "/api/v1/batches/b1")
    assert answer.json == batch("b1", "web", "nope", states=["pending", "not_found"])
    assert fleet.ports.batch_wishes == [
        BatchWish(action="restart", actor=ACTOR, worker_ids=("web", "nope"), parallel=4)
    ]


async def test_all_that_can_be_said_is_handed_on(fleet: Site) -> None:
    options = {"graceful": False, "parallel": 2, "stop_on_failure": True}
    await fleet.post(PATH, {"action": "stop", "selector": "tier=front, team", "options": options, "reason": "Wartung"})

    expected = BatchWish(
        action="stop", actor=ACTOR, worker_ids=("api", "web"), graceful=False, parallel=2, stop_on_failure=True,
        reason="Wartung", selector="tier=front, team",
    )  # fmt: skip
    assert fleet.ports.batch_wishes == [expected]


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        (None, [fault("this is needed", pointer="/action")]),
        ({"action": "kill", "worker_ids": ["web"]}, [
            fault("expected 'start', 'stop' or 'restart'", pointer="/action"),
        ]),
        ({"action": "stop"}, [fault("expected either worker_ids or selector", pointer="/worker_ids")]),
        ({"action": "stop", "worker_ids": ["web"], "selector": "a"}, [
            fault("expected either worker_ids or selector", pointer="/worker_ids"),
        ]),
        ({"action": "stop", "worker_ids": []}, [fault("expected at least one worker", pointer="/worker_ids")]),
        ({"action": "stop", "worker_ids": "web"}, [fault("expected a list", pointer="/worker_ids")]),
        ({"action": "stop", "worker_ids": ["web", "../x"]}, [
            fault("expected the name of a worker", pointer="/worker_ids/1"),
        ]),
        ({"action": "stop", "worker_ids": ["w"] * 1001}, [
            fault("expected at most 1000 of them", pointer="/worker_ids"),
        ]),
        ({"action": "stop", "selector": "tier=nowhere"}, [fault("no worker has these labels", pointer="/selector")]),
        ({"action": "stop", "selector": "=a,,b"}, [
            fault("expected labels, key=value or key, with commas between", pointer="/selector"),
        ]),
        ({"action": "stop", "worker_ids": ["web"], "options": {"parallel": 0, "gracefull": True}}, [
            fault("expected at least 1", pointer="/options/parallel"),
            fault("unknown field", pointer="/options/gracefull"),
        ]),
    ],
)  # fmt: skip
async def test_what_is_no_batch_is_422_with_all_faults(fleet: Site, body: Any, faults: list[Json]) -> None:
    answer = await fleet.post(PATH, body)

    detail = "the body is JSON but not what is expected here"
    assert told(answer) == problem(422, "invalid_body", detail, PATH, errors=faults)
    assert fleet.ports.batch_wishes == []


async def test_a_refusal_is_told(fleet: Site) -> None:
    fleet.ports.refusal = Refused(code="too_many_batches", message="50 batches are under way already", hint="wait")
    answer = await fleet.post(PATH, {"action": "stop", "worker_ids": ["web"]})

    errors = [fault("50 batches are under way already", hint="wait")]
    assert told(answer) == problem(409, "too_many_batches", "50 batches are under way already", PATH, errors=errors)


async def test_the_newest_come_first_page_by_page_without_results(fleet: Site) -> None:
    kept = [fleet.ports.begin(batch(f"b{number}", "web")) for number in range(1, 4)]
    shown = [{key: value for key, value in one.items() if key != "results"} for one in kept]

    first = (await fleet.get("/api/v1/batches?limit=2")).json
    assert first["items"] == [shown[2], shown[1]]
    fleet.ports.begin(batch("b4", "web"))
    rest = (await fleet.get(f"/api/v1/batches?limit=2&cursor={first['next_cursor']}")).json
    assert rest == {"items": [shown[0]], "next_cursor": None}
    assert (await fleet.get("/api/v1/batches?cursor=x")).status == 400


async def test_one_is_shown_cancelled_and_tried_again_by_its_id(fleet: Site) -> None:
    fleet.ports.begin(batch("b1", "web", "db"))

    assert (await fleet.get("/api/v1/batches/b1")).json == batch("b1", "web", "db")
    cancelled = await fleet.post("/api/v1/batches/b1/cancel")
    assert (cancelled.status, cancelled.headers["Location"]) == (202, "/api/v1/batches/b1")
    again = await fleet.post("/api/v1/batches/b1/retry", {"reason": "once more"})
    assert (again.status, again.json["origin"], again.headers["Location"]) == (202, "b1", "/api/v1/batches/b2")
    assert fleet.ports.batch_wishes == [("cancel", "b1", ACTOR), ("retry", "b1", ACTOR, "once more")]


@pytest.mark.parametrize(("method", "end"), [("GET", ""), ("POST", "/cancel"), ("POST", "/retry")])
async def test_an_unknown_batch_is_404(fleet: Site, method: str, end: str) -> None:
    answer = await fleet.ask(method, f"/api/v1/batches/b9{end}")

    assert told(answer) == problem(404, "unknown_batch", "there is no batch b9", f"/api/v1/batches/b9{end}")


async def test_waiting_answers_when_the_batch_is_over(fleet: Site) -> None:
    asked = asyncio.create_task(fleet.post(PATH + "?wait_s=9.5", {"action": "stop", "worker_ids": ["web"]}))
    await until(lambda: "b1" in fleet.ports.begun and len(fleet.ports.tower) == 1)
    fleet.ports.begin(batch("b1", "web", states=["running"]))
    over = fleet.ports.begin(batch("b1", "web", states=["failed"], state="failed"))
    answer = await asked

    assert (answer.status, answer.json) == (200, over)


async def test_waiting_too_long_is_504_with_where_it_stands(fleet: Site) -> None:
    answer = await fleet.post(PATH + "?wait_s=0.02", {"action": "stop", "worker_ids": ["web"]})

    assert told(answer) == problem(504, "still_under_way", "the batch goes on", PATH, batch=batch("b1", "web"))
    assert answer.headers["Location"] == "/api/v1/batches/b1"


async def test_the_stream_tells_what_is_under_way_and_then_each_change(fleet: Site) -> None:
    fleet.ports.begin(batch("b1", "web", state="succeeded"))
    fleet.ports.begin(batch("b2", "web"))
    fleet.ports.begin(batch("b3", "db"))
    async with fleet.follow("/api/v1/stream?topics=batches&worker=web") as follower:
        first = await events(follower)
        await until(lambda: len(fleet.ports.tower) == 1)
        fleet.ports.begin(batch("b3", "db", states=["running"]))
        changed = fleet.ports.begin(batch("b2", "web", states=["running"]))
        second = await events(follower)

    assert [(topic, item.get("batch_id")) for _, topic, item in first] == [("hello", None), ("batches", "b2")]
    assert [(topic, item) for _, topic, item in second] == [("batches", changed)]
