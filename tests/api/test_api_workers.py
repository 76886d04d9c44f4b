"""The list of workers, its stream, one worker's status, the overview."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.api.api_site import DEADLINE_S, Site, fault, problem, told, until
from tests.api.conftest import OpenSite
from tests.fakes.api_ports import instance, status_of, worker


async def test_list_is_exactly_the_items_of_memory_in_order(open_site: OpenSite) -> None:
    site = await open_site(worker("web"), worker("api", name="Schnittstelle für 人"))

    answer = await site.get("/api/v1/workers")

    assert (answer.status, answer.media_type) == (200, "application/json")
    assert answer.json == {"items": [worker("api", name="Schnittstelle für 人"), worker("web")], "next_cursor": None}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["api", "db", "web"]),
        ("?status=running", ["api", "web"]),
        ("?status=error&status=running", ["api", "db", "web"]),
        ("?status=starting", []),
        ("?label=team", ["api", "db"]),
        ("?label=team=a", ["api"]),
        ("?label=team&label=tier=1", ["db"]),
        ("?q=MÖB", ["db"]),
        ("?q=eam=A", ["api"]),
        ("?q=we", ["web"]),
        ("?q=e&status=error", ["db"]),
        ("?q=&label=nothing", []),
    ],
)
async def test_list_is_filtered_by_label_status_and_text(open_site: OpenSite, query: str, expected: list[str]) -> None:
    site = await open_site(
        worker("web"),
        worker("api", labels={"team": "a"}),
        worker("db", status="error", name="Möbel", labels={"team": "b", "tier": "1"}),
    )

    answer = await site.get("/api/v1/workers" + query)

    assert [item["worker_id"] for item in answer.json["items"]] == expected


async def test_list_is_paged_by_cursor_until_null(open_site: OpenSite) -> None:
    site = await open_site(*(worker(f"w{n}") for n in range(5)))
    pages: list[list[str]] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = (await site.get(f"/api/v1/workers?limit=2&cursor={cursor}")).json
        pages.append([item["worker_id"] for item in answer["items"]])
        cursor = answer["next_cursor"]

    assert pages == [["w0", "w1"], ["w2", "w3"], ["w4"]]


async def test_list_is_ndjson_on_demand(open_site: OpenSite) -> None:
    site = await open_site(worker("a"), worker("b"))

    answer = await site.get("/api/v1/workers", Accept="application/x-ndjson")

    assert answer.media_type == "application/x-ndjson"
    assert [json.loads(row) for row in answer.body.splitlines()] == [worker("a"), worker("b")]


@pytest.mark.parametrize(
    ("query", "message", "pointer", "hint"),
    [
        ("limit=0", "expected a whole number from 1 to 1000", "/query/limit", None),
        ("limit=1001", "expected a whole number from 1 to 1000", "/query/limit", None),
        ("limit=%D9%A3", "expected a whole number from 1 to 1000", "/query/limit", None),
        ("limit=1&limit=2", "given more than once", "/query/limit", None),
        ("lable=x", "unknown parameter", "/query/lable", "did you mean label?"),
        ("follow=maybe", "expected 1 or 0", "/query/follow", None),
        (
            "status=state",
            "expected one of stopped, starting, running, stopping, crashed, error, unknown",
            "/query/status",
            None,
        ),
    ],
)
async def test_wrong_parameters_are_told_not_ignored(
    site: Site, query: str, message: str, pointer: str, hint: str | None
) -> None:
    answer = await site.get("/api/v1/workers?" + query)

    detail = f"a query parameter is wrong: {message}"
    errors = [fault(message, pointer=pointer, hint=hint)]
    assert told(answer) == problem(400, "bad_parameter", detail, "/api/v1/workers", errors=errors)


async def test_followed_list_sends_all_then_what_changed_then_what_went(open_site: OpenSite) -> None:
    site = await open_site(worker("a"), worker("b"))

    async with site.follow("/api/v1/workers?follow=1") as follower:
        assert follower.head.headers["Content-Type"] == "application/x-ndjson"
        assert await follower.items() == [worker("a"), worker("b")]
        site.ports.put(worker("b", instances=[instance("b/0", uptime_s=99)]))
        site.ports.put(worker("a", status="crashed"))
        assert await follower.items() == [worker("a", status="crashed")]
        site.ports.put(worker("c"))
        assert await follower.items() == [worker("c")]
        site.ports.drop("b")
        assert await follower.items() == [{"worker_id": "b", "gone": True}]


async def test_followed_list_tells_when_a_worker_no_longer_matches(open_site: OpenSite) -> None:
    site = await open_site(worker("a"), worker("b", status="error"))

    async with site.follow("/api/v1/workers?follow&status=error", Accept="text/event-stream") as follower:
        assert follower.head.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert await follower.chunk() == b"data: " + _compact(worker("b", status="error")) + b"\n\n"
        site.ports.put(worker("b"))
        assert await follower.chunk() == b'data: {"worker_id":"b","gone":true}\n\n'


def _compact(item: object) -> bytes:
    return json.dumps(item, separators=(",", ":")).encode()


async def test_a_client_that_leaves_frees_its_place(site: Site) -> None:
    async with site.follow("/api/v1/workers?follow=1") as follower:
        await follower.items()
        assert site.server.follower_count == 1

    await until(lambda: site.server.follower_count == 0)


async def test_status_is_the_item_with_why_next_and_operations(site: Site) -> None:
    answer = await site.get("/api/v1/workers/web/status")

    assert answer.json == status_of(worker("web"))


async def test_status_of_an_unknown_worker_is_404(site: Site) -> None:
    answer = await site.get("/api/v1/workers/nope/status")

    expected = problem(404, "unknown_worker", "there is no worker nope", "/api/v1/workers/nope/status")
    assert told(answer) == expected


async def test_overview_sums_what_is_known(open_site: OpenSite) -> None:
    site = await open_site(
        worker("a", cpu_percent=1.5, memory_bytes=100, restart_count=2, problems=[{"message": "x"}]),
        worker("b", cpu_percent=2.0, status="error", instances=[]),
    )

    answer = await site.get("/api/v1/workers/stats/overview")

    assert answer.json == {
        "workers": 2,
        "instances": 1,
        "with_problems": 1,
        "by_status": {
            "stopped": 0, "starting": 0, "running": 1, "stopping": 0, "crashed": 0, "error": 1, "unknown": 0,
        },
        "restart_count": 2,
        "error_count": None,
        "cpu_percent": 3.5,
        "memory_bytes": 100,
        "assigned_accounts": None,
        "active_tasks": None,
    }  # fmt: skip


async def test_head_answers_like_get_without_a_body_and_never_streams(site: Site) -> None:
    async with asyncio.timeout(DEADLINE_S):
        answer = await site.ask("HEAD", "/api/v1/workers?follow=1")

    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["Content-Length"]) == len((await site.get("/api/v1/workers")).body)


FLEET = (
    worker("a", memory_bytes=5, cpu_percent=None),
    worker("b", memory_bytes=9, name="Zoo"),
    worker("c", memory_bytes=None),
    worker("d", memory_bytes=5),
)


async def _pages(site: Site, query: str) -> list[str]:
    """The names of each page, as one word."""
    pages, cursor = [], ""
    while True:
        page = (await site.get(f"/api/v1/workers?{query}&cursor={cursor}")).json
        pages.append("".join(item["worker_id"] for item in page["items"]))
        cursor = page["next_cursor"]
        if cursor is None:
            return pages


async def test_list_is_sorted_with_the_unknown_last_and_paged_in_that_order(open_site: OpenSite) -> None:
    site = await open_site(*FLEET)

    assert await _pages(site, "sort=memory_bytes&limit=1") == ["a", "d", "b", "c"]
    assert await _pages(site, "sort=-memory_bytes&limit=3") == ["bad", "c"]
    assert await _pages(site, "sort=-worker_id&limit=3") == ["dcb", "a"]
    assert await _pages(site, "sort=name") == ["acdb"]


async def test_list_shows_the_fields_that_were_asked_for(open_site: OpenSite) -> None:
    site = await open_site(*FLEET)

    answer = await site.get("/api/v1/workers?fields=status,name&fields=memory_bytes&limit=1&sort=-memory_bytes")
    rows = await site.get("/api/v1/workers?fields=memory_bytes", Accept="application/x-ndjson")

    shown = {"worker_id": "b", "name": "Zoo", "status": "running", "memory_bytes": 9}
    assert answer.json["items"] == [shown]
    assert rows.body.splitlines()[2] == b'{"worker_id":"c","memory_bytes":null}'


@pytest.mark.parametrize(
    ("query", "name", "message"),
    [
        ("sort=memory", "sort", "expected the name of a field; did you mean memory_bytes?"),
        ("fields=name,statsu", "fields", "there is no such field; did you mean status?"),
        ("sort=name&follow=1", "sort", "a followed list is always whole; leave out follow or sort"),
        ("sort=name&cursor=x", "cursor", "expected next_cursor of the page before"),
        ("sort=name&cursor=WzEsICJhIl0=", "cursor", "expected next_cursor of the page before, in the same order"),
    ],
)
async def test_an_order_or_field_that_is_none_is_refused(site: Site, query: str, name: str, message: str) -> None:
    answer = await site.get(f"/api/v1/workers?{query}")

    path, errors = "/api/v1/workers", [fault(message, pointer=f"/query/{name}")]
    assert told(answer) == problem(400, "bad_parameter", f"a query parameter is wrong: {message}", path, errors=errors)
