"""What somebody sends who wants harm: shapes that two programs read in two ways, crowds of values and of connections.

Every answer is a problem document, or the connection ends where HTTP has no answer; and nothing is done.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from controller.api.body import MAX_DEPTH, MAX_FAULTS, MAX_VALUES
from controller.api.connection import Limits
from controller.api.doorkeeper import Write
from controller.api.tokens import TokenRole
from tests.api.api_site import FAST, Answer, Site, fault, parse, problem, request, told, until
from tests.api.conftest import OpenSite
from tests.api.test_api_tokens import FakeTokens, access, bearer
from tests.fakes.api_ports import worker

STOP = "/api/v1/workers/web/stop"
POST = f"POST {STOP} HTTP/1.1"
CONFIGS = "/api/v1/worker-configs"
JSON = "Content-Type: application/json"
CHUNKS = b"2\r\n{}\r\n0\r\n\r\n"


# --- shapes of requests -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines",
    [
        (POST, "Content-Length: 4", "Transfer-Encoding: chunked"),
        (POST, "Transfer-Encoding: chunked", "Content-Length: 4"),
        (POST, "Transfer-Encoding: xchunked"),
        (POST, "Transfer-Encoding: gzip, chunked"),
        (POST, "Transfer-Encoding: chunked, identity"),
        (POST, "Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        (POST, "Transfer-Encoding : chunked"),
        (POST, "Transfer-Encoding: \x0bchunked"),
        (POST, "Transfer-Encoding:\r\n chunked"),
        (POST.replace("1.1", "1.0"), "Transfer-Encoding: chunked"),
        (POST, "Content-Length: 2, 2"),
        (POST, "Content-Length: 2", "Content-Length: 2"),
        *((POST, f"Content-Length: {length}") for length in ("-1", "0x2", "1_0", "9" * 30, "\u00b2", "")),
    ],
)
async def test_a_body_whose_end_is_a_matter_of_opinion_is_400_and_closes(site: Site, lines: tuple[str, ...]) -> None:
    answer = await site.raw(request(lines[0], JSON, *lines[1:], body=CHUNKS + request("GET /healthz HTTP/1.1")))

    assert (answer.status, answer.json["code"]) == (400, "malformed_request")
    assert answer.body.count(b"HTTP/1.") == 0, "what follows is taken for another request"
    assert site.ports.wishes == []


@pytest.mark.parametrize(
    "body",
    [
        b"2;a\nxx\r\n{}\r\n0\r\n\r\n",
        b"2\n{}\n0\n\n",
        b"0x2\r\n{}\r\n0\r\n\r\n",
        b"+2\r\n{}\r\n0\r\n\r\n",
        b"-2\r\n{}\r\n0\r\n\r\n",
        b"f" * 18 + b"\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}0\r\n\r\n",
        b"2\r\n{}\r\n0\r\n" + b"A: " + b"b" * 100_000 + b"\r\n\r\n",
    ],
)
async def test_chunks_that_are_none_are_400(site: Site, body: bytes) -> None:
    answer = await site.raw(request(POST, JSON, "Transfer-Encoding: chunked", body=body))

    assert (answer.status, answer.json["code"], site.ports.wishes) == (400, "malformed_request", [])


@pytest.mark.parametrize(
    "data",
    [
        b"GET /healthz HTTP/1.1\nHost: localhost\n\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\rX: y\r\n\r\n",
        b"GET /healthz HTTP/1.2\r\nHost: localhost\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"get /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        request("GET /api/v1/workers/\xff\xfe/status HTTP/1.1"),
        request("GET /healthz HTTP/1.1", "Origin: http://localhost", "Origin: http://evil.example"),
        request("GET /healthz HTTP/1.1", "Sec-Fetch-Site: none", "Sec-Fetch-Site: cross-site"),
    ],
)
async def test_heads_that_could_be_read_in_two_ways_are_400(site: Site, data: bytes) -> None:
    answer = await site.raw(data)

    assert (answer.status, answer.json["code"]) == (400, "malformed_request")


@pytest.mark.parametrize("version", ["0.9", "2.0"])
async def test_another_version_is_505(site: Site, version: str) -> None:
    answer = await site.raw(request(f"GET /healthz HTTP/{version}"))

    assert told(answer) == problem(505, "wrong_version", "this server speaks HTTP/1.1", "/healthz")


@pytest.mark.parametrize("protocol", ["websocket", "h2c", "TLS/1.3"])
async def test_an_upgrade_is_answered_as_without_and_what_follows_it_is_never_a_request(
    site: Site, protocol: str
) -> None:
    head = f"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n"
    websocket = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    answer = await site.raw((head + websocket).encode() + request("POST /api/v1/reconcile HTTP/1.1"))

    assert (answer.status, answer.headers["Connection"], answer.body.count(b"HTTP/1.1")) == (200, "close", 0)
    assert site.ports.wishes == []


async def test_half_a_body_does_nothing_and_ends_without_a_word_to_nobody(site: Site) -> None:
    reader, writer = await site.connect()
    writer.write(request(POST, JSON, "Content-Length: 10", body=b"{"))
    writer.write_eof()
    async with asyncio.timeout(10):
        assert await reader.read() == b""

    assert site.ports.wishes == []


async def test_a_body_without_end_is_413_and_cut(open_site: OpenSite) -> None:
    site = await open_site(worker("web"), limits=replace(FAST, body_bytes=10_000, body_s=10.0))
    reader, writer = await site.connect()
    writer.write(request(POST, JSON, "Transfer-Encoding: chunked"))
    with suppress(ConnectionError):
        async with asyncio.timeout(10):
            while site.server.connection_count:  # it listens on for a moment, so that the client can read why
                writer.write(b"400\r\n" + b" " * 1024 + b"\r\n")
                await writer.drain()
                await asyncio.sleep(0)
    with suppress(ConnectionError):
        assert b" 413 " in await reader.readline()

    assert (site.ports.wishes, site.server.connection_count) == ([], 0)


async def test_tiny_chunks_are_a_body_like_any_other(site: Site) -> None:
    whole = b'{"reason": "' + b"x" * 400 + b'"}'
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in whole) + b"0\r\n\r\n"

    assert (await site.raw(request(POST, JSON, "Transfer-Encoding: chunked", body=chunks))).status == 202


async def test_more_requests_than_are_read_ahead_are_all_answered_in_order(site: Site) -> None:
    count = 300
    reader, writer = await site.connect()
    asked = [f"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: n{number}\r\n\r\n" for number in range(count)]
    writer.write("".join(asked).encode())
    seen = []
    async with asyncio.timeout(10):
        for _ in range(count):
            head = parse(await reader.readuntil(b"\r\n\r\n"))
            await reader.readexactly(int(head.headers["Content-Length"]))
            seen.append(head.headers["X-Request-Id"])

    assert seen == [f"n{number}" for number in range(count)]


async def test_a_refused_request_takes_those_behind_it_along(site: Site) -> None:
    behind = request("POST /api/v1/reconcile HTTP/1.1")
    for first in (request("GET /healthz HTTP/1.1", host="evil.example"), b"GET /healthz HTTP/1.1\r\nA\r\n\r\n"):
        answer = await site.raw(first.replace(b"Connection: close\r\n", b"") + behind)
        assert (answer.status // 100, answer.body.count(b"HTTP/1.1")) == (4, 0)

    assert site.ports.wishes == []


# --- crowds of values -------------------------------------------------------------------------------------------


def crowd(count: int) -> dict[str, int]:
    return {f"k{number}": 1 for number in range(count)}


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


async def send(site: Site, method: str, path: str, body: Any) -> Answer:
    return await site.ask(method, path, json.dumps(body).encode(), Content_Type="application/json", If_Match="*")


@pytest.mark.parametrize(
    "body",
    [crowd(60_000), {"env": crowd(60_000)}, {"command": ["x"] * 60_000}, {"labels": [[1] * 300] * 300}],
)
@pytest.mark.parametrize(("method", "path"), [("POST", CONFIGS), ("PUT", f"{CONFIGS}/web"), ("POST", STOP)])
async def test_a_body_of_very_many_values_is_413_before_anybody_judges_them(
    site: Site, method: str, path: str, body: dict[str, Any]
) -> None:
    answer = await send(site, method, path, body)

    assert told(answer) == problem(413, "too_many_values", f"a body may have {MAX_VALUES} values", path)
    assert (site.ports.wishes, site.ports.spec_wishes) == ([], [])


async def test_of_very_many_faults_so_many_are_told_as_a_person_reads(site: Site) -> None:
    answer = await send(site, "POST", STOP, crowd(MAX_VALUES - 1))

    errors = answer.json["errors"]
    assert (answer.status, len(errors), errors[0]) == (422, MAX_FAULTS + 1, fault("unknown field", pointer="/k0"))
    assert errors[-1] == fault(f"{MAX_VALUES - 1 - MAX_FAULTS} more faults", hint="correct these first")


async def test_as_many_values_as_are_allowed_reach_the_writer(site: Site) -> None:
    await send(site, "POST", CONFIGS, {"worker_id": "x", "env": crowd(MAX_VALUES - 3)})

    assert len(site.ports.spec_wishes) == 1


async def test_a_deep_body_costs_nothing_where_it_does_not_fit(site: Site) -> None:
    answer = await send(site, "POST", STOP, {"reason": nested(50)})

    assert told(answer)["errors"] == [fault("expected a string", pointer="/reason")]


@pytest.mark.parametrize("levels", [MAX_DEPTH, 900, 5000, 200_000])
@pytest.mark.parametrize(("opened", "closed"), [('{"a":', "}"), ("[", "]")])
async def test_a_very_deep_body_is_refused_before_anybody_goes_into_it(
    site: Site, levels: int, opened: str, closed: str
) -> None:
    body = f"{opened * levels}1{closed * levels}"
    answer = await site.ask("PATCH", f"{CONFIGS}/web", body.encode()[: 1024 * 1024], Content_Type="application/json")

    assert (answer.status, answer.json["code"]) == (400, "not_json")
    assert site.ports.spec_wishes == []


# --- crowds of connections --------------------------------------------------------------------------------------


async def test_who_says_nothing_makes_room_for_who_asks(open_site: OpenSite) -> None:
    site = await open_site(worker("web"), limits=replace(FAST, open=8, idle_s=60.0))
    silent = [await site.connect() for _ in range(40)]
    for _, writer in silent[::2]:
        with suppress(ConnectionError):
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: loc")

    for _ in range(20):
        assert (await site.get("/api/v1/workers")).status == 200

    assert site.server.connection_count <= 9
    async with asyncio.timeout(10):
        with suppress(ConnectionError):
            assert await silent[0][0].read() == b"", "the one that waited longest is cut"


async def test_streams_of_somebody_known_are_not_cut_by_a_crowd(open_site: OpenSite) -> None:
    site = await open_site(worker("web"), limits=replace(FAST, open=6, idle_s=60.0))
    async with site.follow("/api/v1/workers?follow=1") as follower:
        await follower.items()
        for _ in range(30):
            await site.connect()
        await until(lambda: site.server.connection_count <= 7)
        site.ports.put(worker("web", status="stopped"))
        assert [item["status"] for item in await follower.items()] == ["stopped"]


async def test_where_all_are_busy_the_newcomer_is_cut(open_site: OpenSite) -> None:
    site = await open_site(worker("web"), limits=replace(FAST, open=2))
    async with site.follow("/api/v1/workers?follow=1"), site.follow("/api/v1/workers?follow=1"):
        reader, writer = await site.connect()
        async with asyncio.timeout(10):
            with suppress(ConnectionError):
                writer.write(request())
                assert await reader.read() == b""
        assert site.server.follower_count == 2


# --- crowds of writes -------------------------------------------------------------------------------------------


async def test_writes_beyond_the_rate_leave_no_trace_but_one_line(
    open_site: OpenSite, caplog: pytest.LogCaptureFixture
) -> None:
    tokens, heard = FakeTokens(), list[Write]()
    limits = replace(FAST, write_burst=3, writes_per_s=2.0)
    site = await open_site(worker("web"), access=access(tokens, audit=heard.append), limits=limits)

    async def sent(role: TokenRole) -> list[int]:
        return [(await site.post(STOP, Authorization=bearer(tokens.text[role]))).status for _ in range(60)]

    found = await asyncio.gather(sent("viewer"), sent("operator"), sent("operator"))

    statuses = sorted(itertools.chain(*found))
    assert set(statuses) == {202, 403, 429}
    assert sorted(write.status or 0 for write in heard) == [status for status in statuses if status != 429]
    warned = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.getMessage() for record in warned] == ["too many writes"] * 2


def test_what_is_held_against_crowds_is_meant_for_the_network() -> None:
    limits = Limits()

    assert (limits.idle_s, limits.body_s, limits.write_s) <= (30.0, 10.0, 10.0)
    assert (limits.open <= 1024, limits.body_bytes <= 1024 * 1024, limits.writes_per_s <= 100) == (True, True, True)
