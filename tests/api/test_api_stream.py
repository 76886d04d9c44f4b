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

    hello = {
        "topics": ["events", "logs", "workers", "operations", "plan"],
        "worker_id": "web",
        "worker_ids": ["web"],
        "labels": [],
    }
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
        ("&".join(f"worker=w{n}" for n in range(101)), "worker", "expected at most 100 of them"),
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


async def test_lines_of_all_workers_come_in_one_stream_and_a_client_that_comes_back_misses_none(site: Site) -> None:
    said = [line(f"line {number}", worker_id=("web", "db")[number % 2]) for number in range(1203)]
    site.ports.say(*said)
    async with site.follow(f"{PATH}?topics=logs&after=logs:2") as follower:
        seen: list[Any] = []
        while len(seen) < 1201:
            seen += [(place, item) for place, topic, item in await events(follower) if topic == "logs"]

    assert [item for _, item in seen] == said[2:]
    assert [place for place, _ in seen] == [f"logs:{number}" for number in range(3, 1204)]


@pytest.mark.parametrize(
    ("query", "told_of"),
    [
        ("worker=web&worker=api", ["web", "api"]),
        ("label=tier=front", ["web", "api"]),
        ("label=tier", ["web", "db", "api"]),
        ("label=tier&worker=db", ["db"]),
        ("label=tier=none", []),
        ("", ["web", "db", "api", "other"]),
    ],
)
async def test_some_workers_are_chosen_by_name_and_label(open_site: OpenSite, query: str, told_of: list[str]) -> None:
    tiers = {"web": {"tier": "front"}, "db": {"tier": "back"}, "api": {"tier": "front"}, "other": {}}
    site = await open_site(*(worker(name, labels=labels) for name, labels in tiers.items()))
    seen: dict[str, list[str]] = {"events": [], "logs": [], "workers": []}
    async with site.follow(f"{PATH}?topics=events,logs,workers&{query}&after=events:0,logs:0") as follower:
        await events(follower)
        site.ports.say(*(line("x", worker_id=name) for name in tiers))
        site.ports.happen(*(event(number, worker_id=name) for number, name in enumerate(tiers, 1)))
        for name, labels in tiers.items():
            site.ports.put(worker(name, labels=labels, status="error"))
        while not told_of or any(len(found) < len(told_of) for found in seen.values()):
            if not told_of:
                break
            for _, topic, item in await events(follower):
                seen[topic].append(item["worker_id"])

    assert {topic: sorted(found) for topic, found in seen.items()} == dict.fromkeys(seen, sorted(told_of))


@pytest.mark.parametrize("topic", ["events", "logs", "workers", "operations", "plan"])
async def test_a_client_that_reads_nothing_is_dropped_whatever_it_follows(open_site: OpenSite, topic: str) -> None:
    site = await open_site(worker("web"), limits=Limits(write_s=0.2, idle_s=60))
    long = "x" * 50_000
    async with site.follow(f"{PATH}?topics={topic}&worker=web") as follower:
        await events(follower)
        follower._reader._transport.pause_reading()  # type: ignore[attr-defined]
        site.ports.say(*(line(long) for _ in range(500)))
        site.ports.happen(*(event(seq, message=long) for seq in range(1, 501)))
        holds = tuple(Hold(worker_id="web", reason="R", message=long) for _ in range(500))
        site.ports.next_plan = Plan(holds=holds)
        site.ports.put(worker("web", name=long * 400))
        await site.post("/api/v1/workers/web/stop")
        site.ports.move("op1", "running", long * 400)
        await until(lambda: site.server.connection_count == 0)


async def test_a_topic_is_read_when_its_bell_rings_and_the_plan_at_its_own_pace(site: Site) -> None:
    async with site.follow(f"{PATH}?topics=events,logs,workers,plan") as follower:
        await events(follower)
        await until(lambda: len(site.ports.tower) == 4)
        before = dict(site.ports.reads)
        for number in range(1, 21):
            site.ports.happen(event(number))
            while [item["seq"] for _, _, item in await events(follower)] != [number]:
                pass

    assert site.ports.reads["events"] - before["events"] >= 20
    assert {topic: site.ports.reads[topic] - before[topic] for topic in ("logs", "workers", "plan")} == {
        "logs": 0, "workers": 0, "plan": 0,
    }  # fmt: skip
