"""Bodies and bytes that are wrong, and errors of ours: always problem+json, never more than it should say."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from controller.api.connection import Limits
from controller.api.ports import StoreUnavailable
from tests.api.api_site import Site, problem, request, told, until
from tests.api.conftest import OpenSite
from tests.fakes.api_ports import line, worker

START = "/api/v1/workers/web/start"
POST = f"POST {START} HTTP/1.1"
JSON = "Content-Type: application/json"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{", "Expecting property name enclosed in double quotes (line 1, column 2)"),
        (b'{"reason":\n}', "Expecting value (line 2, column 1)"),
        (b'{"reason": "a", "reason": "b"}', "a key is repeated"),
        (b'{"for_ms": NaN}', "NaN is no JSON"),
        (b'{"for_ms": -Infinity}', "-Infinity is no JSON"),
        (b'{"reason": "\xff"}', "it is not UTF-8"),
        ('{"reason": "x"}'.encode("utf-16"), "it is not UTF-8"),
        (b"[" * 100_000, "it is nested too deeply"),
    ],
)
async def test_what_is_not_json_is_400(site: Site, body: bytes, why: str) -> None:
    answer = await site.ask("POST", START, body, Content_Type="application/json")

    assert told(answer) == problem(400, "not_json", f"the body is not JSON: {why}", START)


async def test_a_number_that_is_too_long_is_400(site: Site) -> None:
    answer = await site.ask("POST", START, b"1" * 5000, Content_Type="application/json")

    assert (answer.status, answer.json["code"]) == (400, "not_json")


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "*/*"])
async def test_another_content_type_is_415(site: Site, media_type: str) -> None:
    answer = await site.ask("POST", START, b"{}", Content_Type=media_type)

    detail = "send the body with Content-Type: application/json"
    assert told(answer) == problem(415, "wrong_content_type", detail, START)


async def test_no_content_type_is_415_and_parameters_are_fine(site: Site) -> None:
    missing = await site.raw(request(POST, "Content-Length: 2", body=b"{}"))
    fine = await site.ask("POST", START, b"{}", Content_Type="application/json; charset=utf-8")

    assert (missing.status, fine.status) == (415, 202)


async def test_a_compressed_body_is_415(site: Site) -> None:
    answer = await site.raw(request(POST, JSON, "Content-Encoding: gzip", "Content-Length: 2", body=b"\x1f\x8b"))

    assert told(answer) == problem(415, "encoded_body", "send the body without Content-Encoding", START)


async def test_a_body_that_says_it_is_too_large_is_413_unread(site: Site) -> None:
    answer = await site.raw(request(POST, JSON, "Content-Length: 10000000000", body=b"{"))

    assert told(answer) == problem(413, "body_too_large", "a body may have 1048576 bytes", START)
    assert answer.headers["Connection"] == "close"


async def test_a_body_that_turns_out_too_large_is_413(open_site: OpenSite) -> None:
    site = await open_site(worker("web"), limits=Limits(body_bytes=1000))
    chunk = b"258\r\n" + b" " * 600 + b"\r\n"
    data = request(POST, JSON, "Transfer-Encoding: chunked", body=chunk + chunk + b"0\r\n\r\n")

    assert told(await site.raw(data)) == problem(413, "body_too_large", "a body may have 1000 bytes", START)


async def test_a_body_of_exactly_the_limit_is_read(open_site: OpenSite) -> None:
    site = await open_site(worker("web"), limits=Limits(body_bytes=1000))
    chunk = b"1f4\r\n" + b" " * 498 + b"%s\r\n"
    data = request(POST, JSON, "Transfer-Encoding: chunked", body=chunk % b" {" + chunk % b"} " + b"0\r\n\r\n")

    assert (await site.raw(data)).status == 202


async def test_a_body_that_trickles_is_408(site: Site) -> None:
    answer = await site.raw(request(POST, JSON, "Content-Length: 10", body=b"{"))

    assert told(answer) == problem(408, "body_too_slow", "the body did not arrive", START)


async def test_a_body_with_broken_chunks_is_400(site: Site) -> None:
    data = request(POST, JSON, "Transfer-Encoding: chunked", body=b"2\r\n{}\r\nzz\r\n\r\n")

    assert (await site.raw(data)).json["code"] == "malformed_request"
    assert site.ports.wishes == []


async def test_a_client_that_leaves_in_the_middle_of_its_body_does_nothing(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await site.connect()
    writer.write(request(POST, JSON, "Content-Length: 20", "Expect: 100-continue"))
    await reader.readuntil(b"\r\n\r\n")  # it reads the body now
    writer.close()
    await until(lambda: site.server.connection_count == 0)

    assert (site.ports.wishes, [record for record in caplog.records if record.levelno >= logging.WARNING]) == ([], [])


async def test_a_body_where_none_is_taken_is_400(site: Site) -> None:
    answer = await site.raw(request("GET /api/v1/workers HTTP/1.1", JSON, "Content-Length: 2", body=b"{}"))

    assert told(answer) == problem(400, "unexpected_body", "this request takes no body", "/api/v1/workers")


async def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(site: Site) -> None:
    reader, writer = await site.connect()
    writer.write(request(POST, JSON, "Content-Length: 2", "Expect: 100-continue"))
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"{}")

    assert (await reader.read()).startswith(b"HTTP/1.1 202 ")


async def test_an_expectation_is_no_way_around_the_checks(site: Site) -> None:
    for expected in ("100-continue", "something"):
        answer = await site.raw(request("GET /nothing HTTP/1.1", f"Expect: {expected}", host="evil.example"))
        assert answer.status == 421


MALFORMED = problem(400, "malformed_request", "this is not a valid HTTP request")


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /<script>secret</script> HTTP/secret\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        request("GET /healthz HTTP/1.1", "X: " + "a" * 20_000),
        request("GET /healthz HTTP/1.1", *(f"X{n}: 1" for n in range(1000))),
        request("GET /healthz HTTP/1.1", "A\x00B: 1"),
        request("GET /healthz HTTP/1.1", "A : 1"),
        request(POST, JSON, "Content-Length: 2", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        request(POST, JSON, "Content-Length: 2", "Content-Length: 3", body=b"{}"),
        request(POST, JSON, "Content-Length: +2", body=b"{}"),
    ],
)
async def test_what_is_not_http_is_400_without_its_bytes(site: Site, data: bytes) -> None:
    answer = await site.raw(data)

    document = answer.json
    assert document.pop("request_id") == answer.headers["X-Request-Id"]
    assert (answer.media_type, document) == ("application/problem+json", MALFORMED)


@pytest.mark.parametrize("target", ["http://localhost/healthz", "*", "localhost:80"])
async def test_a_target_that_is_no_path_is_400(site: Site, target: str) -> None:
    method = {"*": "OPTIONS", "localhost:80": "CONNECT"}.get(target, "GET")

    assert (await site.raw(request(f"{method} {target} HTTP/1.1"))).status == 400


async def test_a_connection_that_never_completes_a_request_is_cut(open_site: OpenSite) -> None:
    site = await open_site(limits=Limits(idle_s=0.2))
    reader, writer = await site.connect()
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: local")

    async with asyncio.timeout(5):
        assert await reader.read() == b""


async def test_a_bug_of_ours_is_500_with_an_id_and_nothing_else(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.ports.broken = RuntimeError("password=hunter2")

    answer = await site.get("/api/v1/workers", X_Request_Id="mine")

    detail = "internal error: see the controller's log for request mine"
    assert told(answer) == problem(500, "internal_error", detail, "/api/v1/workers")
    [record] = [record for record in caplog.records if record.name.startswith("controller")]
    assert (record.levelno, record.getMessage(), record.request_id) == (logging.ERROR, "internal error", "mine")  # type: ignore[attr-defined]


async def test_a_connection_of_ours_that_breaks_is_not_the_clients(site: Site) -> None:
    site.ports.broken = ConnectionRefusedError("the database's")

    assert (await site.get("/api/v1/events")).json["code"] == "internal_error"


async def test_a_figure_that_json_has_no_word_for_is_our_bug(open_site: OpenSite) -> None:
    site = await open_site(worker("web", cpu_percent=float("nan")))

    assert (await site.get("/api/v1/workers")).json["code"] == "internal_error"


async def test_a_database_that_is_away_is_503(site: Site) -> None:
    site.ports.broken = StoreUnavailable("the disk is full")

    answer = await site.get("/api/v1/events")

    detail = "the database cannot be read now: the disk is full"
    assert told(answer) == problem(503, "database_unavailable", detail, "/api/v1/events")
    assert answer.headers["Retry-After"] == "5"


async def test_a_client_that_does_not_read_is_cut(open_site: OpenSite) -> None:
    site = await open_site(worker("web"))
    site.ports.say(*(line("x" * 10_000) for _ in range(2000)))
    _, writer = await site.connect()
    await until(lambda: site.server.connection_count == 1)
    writer.write(b"GET /api/v1/workers/web/logs?tail=2000 HTTP/1.1\r\nHost: localhost\r\n\r\n")

    await until(lambda: site.server.connection_count == 0)


async def test_pipelined_requests_are_answered_in_order(site: Site) -> None:
    first = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: a\r\n\r\n"
    last = request("GET /nothing HTTP/1.1", "X-Request-Id: b")
    reader, writer = await site.connect()
    writer.write(first + last)
    data = await reader.read()

    assert data.index(b"X-Request-Id: a") < data.index(b"X-Request-Id: b")
    assert json.loads(data.rpartition(b"\r\n\r\n")[2])["code"] == "unknown_route"
