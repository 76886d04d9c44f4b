"""The one stream: topics, one worker of it, and coming back without loss or repetition."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controller.api.connection import Limits
from controller.api.stream import TOPICS
from controller.core.plan import Hold, Plan
from tests.api.api_site import Follower, Site, fault, problem, told, until
from tests.api.conftest import OpenSite
from tests.fakes.api_ports import event, line, worker

PATH = "/api/v1/stream"


async def events(follower: Follower) -> list[tuple[str, str, Any]]:
    """Id, topic and item of each event of one chunk."""
    found = []
    for frame in (await follower.chunk()).decode().strip().split("\n\n"):
        fields = dict(row.split(": ", 1) for row in frame.split("\n"))
        found.append((fields["id"], fields["event"], json.loads(fields["data"])))
    return found


async def test_all_topics_come_on_one_connection(site: Site) -> None:
    site.ports.happen(event(4))
    site.ports.say(line("before"))
    async with site.follow(f"{PATH}?topics=workers,events,logs,operations,plan&worker=web") as follower:
        first = await events(follower)
        await until(lambda: len(site.ports.tower) == 5)
        site.ports.happen(event(5), event(6, worker_id="db"))
        assert await events(follower) == [("events:5,logs:1", "events", event(5))]
        site.ports.say(line("now"))
        assert ("events:6,logs:2", "logs", line("now")) in await events(follower)
        site.ports.next_plan = Plan(holds=(Hold(worker_id="web", reason="R", message="m"),))
        site.ports.put(worker("web", status="error"))
        changed = await events(follower)
        await site.post("/api/v1/workers/web/stop")
        site.ports.move("op1", "running")
        operations = await events(follower)

    hello = {"topics": ["events", "logs", "workers", "operations", "plan"], "worker_id": "web"}
    plan: Any = {"actions": [], "holds": [], "next_wake": None}
    assert [entry[1:] for entry in first] == [("hello", hello), ("workers", worker("web")), ("plan", plan)]
    assert first[0][0] == "events:4,logs:1"
    assert [entry[1] for entry in changed] == ["workers", "plan"]
    assert changed[1][2]["holds"][0]["reason"] == "R"
    assert [(topic, item["state"]) for _, topic, item in operations] == [("operations", "running")]


@pytest.mark.parametrize("by_header", [True, False])
async def test_a_client_that_comes_back_misses_nothing_and_sees_nothing_twice(site: Site, by_header: bool) -> None:
    site.ports.happen(*(event(seq) for seq in range(1, 1204)))
    again = {"Last_Event_ID": "events:2"} if by_header else {}
    async with site.follow(f"{PATH}?topics=events" + ("" if by_header else "&after=events:2"), **again) as follower:
        seen: list[int] = []
        while len(seen) < 1201:
            seen += [item["seq"] for _, topic, item in await events(follower) if topic == "events"]

    assert seen == list(range(3, 1204))


async def test_a_worker_that_is_gone_is_told(open_site: OpenSite) -> None:
    site = await open_site(worker("db"), worker("web"))
    async with site.follow(PATH) as follower:
        assert [item.get("worker_id") for _, _, item in await events(follower)] == [None, "db", "web"]
        await until(lambda: len(site.ports.tower) == 2)
        site.ports.drop("db")
        assert [entry[1:] for entry in await events(follower)] == [("workers", {"worker_id": "db", "gone": True})]


@pytest.mark.parametrize(
    ("query", "name", "message"),
    [
        ("topics=worker", "topics", f"expected some of {', '.join(TOPICS)}; did you mean workers?"),
        ("topics=logs", "worker", "logs are followed of one worker: name it, or leave the topic out"),
        ("after=12", "after", "expected the id of an event of this stream"),
    ],
)  # fmt: skip
async def test_what_cannot_be_streamed_is_refused(site: Site, query: str, name: str, message: str) -> None:
    answer = await site.get(f"{PATH}?{query}")

    errors = [fault(message, pointer=f"/query/{name}")]
    assert told(answer) == problem(400, "bad_parameter", f"a query parameter is wrong: {message}", PATH, errors=errors)


async def test_a_stream_of_an_unknown_worker_s_logs_is_404_and_one_too_many_is_503(open_site: OpenSite) -> None:
    site = await open_site(worker("web"), limits=Limits(followers=1))

    assert (await site.get(f"{PATH}?topics=logs&worker=nope")).status == 404
    async with site.follow(PATH):
        answer = await site.get(PATH)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "10")
