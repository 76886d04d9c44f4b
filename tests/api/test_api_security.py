"""What a web page in the user's own browser can send, and what every answer carries against it."""

from __future__ import annotations

import pytest

from controller.api.admission import NOBODY, OPEN, Principal, Role, check_host, principal_of, require
from controller.api.problem import ApiProblem
from controller.api.routes import TABLE
from tests.api.api_site import Site, problem, request, told
from tests.api.conftest import OpenSite
from tests.fakes.api_ports import worker


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:3000", "localhost:9", "127.0.0.1", "127.0.0.1:80", "[::1]:3000", "localhost.", "box"],
)
async def test_our_own_names_are_answered(open_site: OpenSite, host: str) -> None:
    site = await open_site(worker("web"), allowed_hosts=["Box"])

    assert (await site.raw(request(host=host))).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "localhost.evil.example", "evil@localhost", "127.0.0.1.nip.io", "0.0.0.0:3000", "127.1", "",
        "localhost:", "localhost:123456", "[::1", "::1", "box", "localhost/", "2130706433", "127.0.0.2",
        "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::1%25lo]", "localhost:80@evil.example", "localhost#",
        "0x7f.1", "localhost\t.evil.example", "xn--localhost", "127.0.0.1:3000:3000",
        "user:pass@127.0.0.1", "localhost,evil",
    ],
)  # fmt: skip
async def test_another_name_is_421(site: Site, host: str) -> None:
    answer = await site.raw(request(host=host))

    detail = "this server does not answer to the name in the Host header; start it with --allowed-host NAME"
    assert told(answer) == problem(421, "wrong_host", detail, "/api/v1/workers")


async def test_no_name_is_refused_and_so_are_two(site: Site) -> None:
    assert (await site.raw(request("GET /healthz HTTP/1.0", host=None))).status == 421
    assert (await site.raw(request(host=None))).status == 400
    assert (await site.raw(request("GET /healthz HTTP/1.1", "Host: evil.example"))).status == 400


def test_two_names_are_refused_also_when_the_parser_lets_them_through() -> None:
    with pytest.raises(ApiProblem) as refused:
        check_host(["localhost", "evil.example"], set())

    assert (refused.value.status, refused.value.code) == (400, "malformed_request")


@pytest.mark.parametrize("line", ["GET /healthz HTTP/1.1", "GET /nothing HTTP/1.1", "POST /api/v1/reconcile HTTP/1.1"])
async def test_the_name_is_checked_before_everything_else(site: Site, line: str) -> None:
    assert (await site.raw(request(line, host="evil.example"))).status == 421


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:3000", "http://localhost:3000"),
        ("localhost", "http://localhost:80"),
        ("LOCALHOST", "http://localhost"),
        ("localhost", "https://localhost:443"),
        ("[::1]:3000", "http://[::1]:3000"),
    ],
)
async def test_our_own_origin_passes(site: Site, host: str, origin: str) -> None:
    answer = await site.raw(request("POST /api/v1/workers/web/stop HTTP/1.1", f"Origin: {origin}", host=host))

    assert answer.status == 202


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:3000", "http://evil.example"),
        ("localhost:3000", "http://localhost:5173"),
        ("localhost:3000", "http://127.0.0.1:3000"),
        ("localhost:3000", "null"),
        ("localhost:3000", ""),
        ("localhost:3000", "file://"),
        ("localhost:3000", "http://localhost:x"),
        ("localhost:3000", "http://[broken"),
        ("localhost:3000", "chrome-extension://localhost:3000"),
    ],
)
async def test_another_origin_is_403(site: Site, host: str, origin: str) -> None:
    answer = await site.raw(request("POST /api/v1/workers/web/stop HTTP/1.1", f"Origin: {origin}", host=host))

    path = "/api/v1/workers/web/stop"
    assert told(answer) == problem(403, "foreign_origin", "requests of other origins are refused", path)
    assert site.ports.wishes == []


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors"], 200),
        ("GET", ["Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate"], 200),
        ("GET", ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"], 200),
        ("GET", ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"], 403),
        ("GET", ["Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: no-cors"], 403),
        ("GET", ["Sec-Fetch-Site: cross-site"], 403),
        ("GET", ["Sec-Fetch-Site: odd"], 403),
        ("POST", ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"], 403),
    ],
)
async def test_other_sites_may_only_navigate(site: Site, method: str, headers: list[str], status: int) -> None:
    path = "/api/v1/workers" if method == "GET" else "/api/v1/reconcile"

    assert (await site.raw(request(f"{method} {path} HTTP/1.1", *headers))).status == status
    assert site.ports.wishes == []


async def test_a_form_of_another_page_cannot_act_even_without_its_headers(site: Site) -> None:
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = await site.ask("POST", "/api/v1/workers/web/stop", b"{}", Content_Type=media_type)
        assert answer.status == 415

    assert site.ports.wishes == []


async def test_no_answer_allows_other_origins(site: Site) -> None:
    answer = await site.raw(request("OPTIONS /api/v1/workers HTTP/1.1", "Access-Control-Request-Method: POST"))

    assert answer.status == 405
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize(
    "data",
    [
        request(),
        request("GET /healthz HTTP/1.1"),
        request("GET /nothing HTTP/1.1"),
        request("POST /api/v1/workers HTTP/1.1"),
        request("POST /api/v1/reconcile HTTP/1.1"),
        request(host="evil.example"),
        request("GET /api/v1/workers/web/logs HTTP/1.1", "Accept: text/plain"),
        b"\x16\x03\x01 not http\r\n\r\n",
    ],
)
async def test_every_answer_carries_the_protective_headers(site: Site, data: bytes) -> None:
    answer = await site.raw(data)

    kept = {
        name: value for name, value in answer.headers.items() if name not in {"Content-Length", "Date", "Content-Type"}
    }
    kept.pop("Allow", None)
    kept.pop("Location", None)
    assert len(kept.pop("X-Request-Id")) == 16
    assert kept == {
        "Server": "workerctl",
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Connection": "close",
    }


async def test_streams_carry_the_protective_headers_too(site: Site) -> None:
    async with site.follow("/api/v1/events?follow=1", X_Request_Id="mine") as follower:
        headers = follower.head.headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert (headers["Cache-Control"], headers["X-Request-Id"]) == ("no-store", "mine")


@pytest.mark.parametrize("given", ["a1", "0-._Z", "x" * 64])
async def test_a_harmless_request_id_is_echoed(site: Site, given: str) -> None:
    answer = await site.get("/nothing", X_Request_Id=given)

    assert (answer.headers["X-Request-Id"], answer.json["request_id"]) == (given, given)


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "é", '{"a":1}', "-rf"])
async def test_any_other_request_id_is_replaced(site: Site, given: str) -> None:
    answer = await site.raw(request("GET /nothing HTTP/1.1", f"X-Request-Id: {given}"))

    assert len(answer.headers["X-Request-Id"]) == 16
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]


ROLES = ("public", "viewer", "operator", "admin")


def _admits(principal: Principal, role: Role) -> bool:
    try:
        require(principal, role)
    except ApiProblem as refused:
        return (refused.status, refused.code) != (403, "not_authorised")
    return True


@pytest.mark.parametrize("holds", ROLES)
def test_a_role_opens_exactly_the_routes_of_its_rank(holds: str) -> None:
    principal = Principal(name="x", role=holds)  # type: ignore[arg-type]
    opened = [route for route in TABLE if _admits(principal, route.role)]

    assert opened == [route for route in TABLE if route.role in OPEN or ROLES.index(route.role) <= ROLES.index(holds)]


@pytest.mark.parametrize(("uid", "role"), [(0, "admin"), (1000, "admin"), (1001, "public"), (None, "public")])
def test_only_trusted_uids_are_somebody(uid: int | None, role: str) -> None:
    principal = principal_of(uid, "name", {0, 1000})

    assert principal == (NOBODY if role == "public" else Principal(name="name", role="admin"))
