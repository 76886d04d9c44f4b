"""How streams end, and what they may cost."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from controller.api.connection import Limits
from controller.api.ports import StoreUnavailable, Topic
from tests.api.api_site import Site, problem, told, until
from tests.api.conftest import OpenSite
from tests.fakes.api_ports import event, line, worker

EVENTS = "/api/v1/events?follow=1"
DRAINING = problem(503, "draining", "the controller ends", "/api/v1/events")


def _end(record: dict[str, Any]) -> dict[str, Any]:
    """A final record without its request id."""
    assert len(record.pop("request_id")) == 16
    return record


async def test_the_end_of_the_server_ends_every_stream_with_a_last_word(site: Site) -> None:
    headers: dict[str, str] = {"Accept": "text/event-stream"}
    async with (
        site.follow(EVENTS) as ndjson,
        site.follow(EVENTS, **headers) as sse,
        site.follow("/api/v1/workers/web/logs?follow=1", Accept="text/plain") as text,
    ):
        await until(lambda: len(site.ports.tower) == 3)
        site.ports.say(line("half", partial=True))
        assert await text.chunk() == b"half"
        async with asyncio.timeout(2):
            await site.server.stop()
            [record] = await ndjson.items()
            name, data = (await sse.chunk()).decode().split("\n", 1)
            assert await text.chunk() == b"\n[the controller ends]\n"
            assert [await stream.chunk() for stream in (ndjson, sse, text)] == [b"", b"", b""]

    assert _end(record["error"]) == DRAINING
    assert (name, _end(json.loads(data.removeprefix("data: ")))) == ("event: error", DRAINING)


async def test_no_stream_begins_beyond_the_limit(open_site: OpenSite) -> None:
    site = await open_site(worker("web"), limits=Limits(followers=1))

    async with site.follow("/api/v1/workers?follow=1"):
        answer = await site.get(EVENTS)
        assert (await site.get("/api/v1/events")).status == 200

    detail = "1 streams are open, and no more are allowed now"
    assert told(answer) == problem(503, "too_many_followers", detail, "/api/v1/events")
    assert answer.headers["Retry-After"] == "10"


async def test_a_database_that_goes_away_ends_the_stream_with_the_reason(site: Site) -> None:
    async with site.follow(EVENTS) as follower:
        site.ports.broken = StoreUnavailable("it is gone")
        site.ports.tower.ring(Topic.EVENTS)
        [record] = await follower.items()
        assert await follower.chunk() == b""

    expected = problem(503, "database_unavailable", "the database cannot be read now: it is gone", "/api/v1/events")
    assert _end(record["error"]) == expected


@pytest.mark.parametrize("error", [RuntimeError("password=hunter2"), BrokenPipeError("ours"), TimeoutError("ours")])
async def test_a_bug_of_ours_ends_the_stream_without_its_text(site: Site, error: Exception) -> None:
    async with site.follow(EVENTS, X_Request_Id="mine") as follower:
        site.ports.broken = error
        site.ports.tower.ring(Topic.EVENTS)
        [record] = await follower.items()

    detail = "internal error: see the controller's log for request mine"
    expected = problem(500, "internal_error", detail, "/api/v1/events", request_id="mine")
    assert record == {"error": expected}


async def test_an_error_at_first_is_a_status(site: Site) -> None:
    site.ports.broken = StoreUnavailable("it is gone")

    assert (await site.get(EVENTS)).status == 503


async def test_an_idle_event_stream_gives_signs_of_life_and_ndjson_is_silent(open_site: OpenSite) -> None:
    site = await open_site(worker("web"), limits=Limits(heartbeat_s=0.02, pause_s=0.001))
    logs = "/api/v1/workers/web/logs?follow=1"

    async with (
        site.follow(EVENTS, Accept="text/event-stream") as sse,
        site.follow(EVENTS) as ndjson,
        site.follow(logs, Accept="text/plain") as text,
    ):
        assert [await sse.chunk() for _ in range(3)] == [b":\n\n"] * 3
        site.ports.happen(event(1))
        site.ports.say(line("x"))
        assert await ndjson.items() == [event(1)]
        assert await text.chunk() == b"x\n"


async def _drain(reader: asyncio.StreamReader) -> bytes:
    """What is left, also when the connection is reset after it."""
    data = bytearray()
    try:
        while piece := await reader.read(1 << 20):
            data += piece
    except ConnectionResetError:
        pass
    return bytes(data)


async def test_a_follower_that_does_not_read_is_dropped_with_a_last_word(site: Site) -> None:
    site.ports.say(*(line("x" * 20_000) for _ in range(1000)))
    async with site.follow("/api/v1/workers/web/logs?after=0&follow=1") as follower:
        reader = follower._reader
        transport = reader._transport  # type: ignore[attr-defined]
        transport.pause_reading()
        await until(lambda: site.server.follower_count == 0)
        transport.resume_reading()
        async with asyncio.timeout(5):
            data = await _drain(reader)

    last = json.loads(data.removesuffix(b"\n\r\n0\r\n\r\n").rpartition(b"\n")[2])
    path = "/api/v1/workers/web/logs"
    assert _end(last["error"]) == problem(503, "slow_follower", "this stream was not read fast enough", path)


async def test_a_follower_that_never_reads_again_is_cut(open_site: OpenSite) -> None:
    site = await open_site(worker("web"), limits=Limits(write_s=0.2, idle_s=60))  # not by the kernel's time
    site.ports.say(*(line("x" * 20_000) for _ in range(1000)))
    async with site.follow("/api/v1/workers/web/logs?after=0&follow=1") as follower:
        follower._reader._transport.pause_reading()  # type: ignore[attr-defined]
        await until(lambda: site.server.connection_count == 0)


async def test_a_server_that_stops_does_not_wait_for_those_who_do_not_read(open_site: OpenSite) -> None:
    site = await open_site(worker("web"), limits=Limits(write_s=30))
    site.ports.say(*(line("x" * 20_000) for _ in range(1000)))
    async with site.follow("/api/v1/workers/web/logs?after=0&follow=1") as follower:
        follower._reader._transport.pause_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(4):
            await site.server.stop()

    assert site.server.connection_count == 0


async def test_a_client_that_vanishes_while_much_is_sent_costs_nothing(site: Site) -> None:
    site.ports.say(*(line("x" * 20_000) for _ in range(1000)))
    async with site.follow("/api/v1/workers/web/logs?after=0&follow=1") as follower:
        follower._reader._transport.abort()  # type: ignore[attr-defined]
        await until(lambda: site.server.follower_count == 0)


async def test_http_1_0_can_follow_until_the_connection_closes(site: Site) -> None:
    site.ports.happen(event(1))
    reader, writer = await site.connect()
    writer.write(f"GET {EVENTS} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert b"chunked" not in head.lower()
    assert json.loads(await reader.readline()) == event(1)
    await site.server.stop()
    assert json.loads(await reader.read())["error"]["code"] == "draining"


async def test_stopping_again_is_nothing(site: Site) -> None:
    await site.server.stop()
    await site.server.stop()
