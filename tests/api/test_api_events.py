"""Events: listed, filtered, followed."""

from __future__ import annotations

import json

from controller.api.ports import EventQuery
from tests.api.api_site import Site
from tests.fakes.api_ports import event

PATH = "/api/v1/events"


async def test_the_newest_events_come_oldest_first(site: Site) -> None:
    site.ports.happen(event(3), event(7), event(9))

    answer = await site.get(PATH + "?limit=2")

    assert answer.json == {"items": [event(7), event(9)], "next_cursor": "9"}


async def test_events_page_forward_by_cursor(site: Site) -> None:
    site.ports.happen(event(3), event(7), event(9))

    assert (await site.get(PATH + "?after=3&limit=1")).json == {"items": [event(7)], "next_cursor": "7"}


async def test_events_page_backward_from_one_that_was_seen(site: Site) -> None:
    site.ports.happen(event(3), event(7), event(9))

    assert (await site.get(PATH + "?before=9&limit=1")).json["items"] == [event(7)]
    assert (await site.get(PATH + "?before=9&after=3")).status == 400
    assert (await site.get(PATH + "?before=9&follow=1")).status == 400


async def test_every_filter_reaches_the_store(site: Site) -> None:
    await site.get(PATH + "?worker_id=web&type=started&type=exited&actor=agent&before=7&limit=0")
    await site.get(PATH)

    assert site.ports.queries == [
        EventQuery(limit=0, worker_id="web", types=("started", "exited"), actors=("agent",), before=7),
        EventQuery(limit=100),
    ]


async def test_events_are_ndjson_on_demand(site: Site) -> None:
    site.ports.happen(event(1), event(2))

    answer = await site.get(PATH, Accept="application/x-ndjson")

    assert [json.loads(row) for row in answer.body.splitlines()] == [event(1), event(2)]


async def test_followed_events_go_on_after_what_was_sent(site: Site) -> None:
    site.ports.happen(event(1), event(2, "exited"))

    async with site.follow(PATH + "?follow=1&type=exited") as follower:
        assert await follower.items() == [event(2, "exited")]
        site.ports.happen(event(3), event(4, "exited"))
        assert await follower.items() == [event(4, "exited")]


async def test_followed_events_are_server_sent_with_their_numbers_as_ids(site: Site) -> None:
    async with site.follow(PATH + "?follow=1&worker_id=web", Accept="text/event-stream") as follower:
        site.ports.happen(event(5))
        chunk = await follower.chunk()

    data = json.dumps(event(5), separators=(",", ":")).encode()
    assert chunk == b"id: 5\ndata: " + data + b"\n\n"
