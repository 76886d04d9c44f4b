"""Tokens at the door: which routes each role opens, what is no token, how often it may be tried, and the audit."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, get_args

import pytest

from controller.api.admission import OPEN
from controller.api.connection import Limits, Peer
from controller.api.doorkeeper import Access, Write
from controller.api.routes import TABLE, Route
from controller.api.throttle import MOST, Throttle
from controller.api.tokens import Listed, Token, TokenError, TokenRole, is_proved, mint, read
from tests.api.api_site import FAST, Follower, Site, problem, request, told, until
from tests.api.conftest import OpenSite
from tests.fakes.api_ports import worker

RANKS = ["nobody", *get_args(TokenRole)]
FOLLOWED = ["/api/v1/workers", "/api/v1/workers/{id}/logs", "/api/v1/events"]


class FakeTokens:
    """Tokens in memory, one of each role, and the time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.kept: dict[str, Token] = {}
        self.uses: list[str] = []
        self.trouble = ""
        self.text = {role: self.add(role) for role in get_args(TokenRole)}

    def add(self, role: TokenRole, lifetime_s: float | None = None) -> str:
        return self.create(f"a-{role}", role, lifetime_s)[1]

    def create(self, name: str, role: TokenRole, lifetime_s: float | None = None) -> tuple[Token, str]:
        if self.trouble:
            raise TokenError(self.trouble)
        token, text = mint(name, role, self.now, lifetime_s)
        self.kept[token.token_id] = token
        return token, text

    def all(self) -> list[Listed]:
        return [Listed(token=token, last_used_at=None) for token in self.kept.values()]

    def revoke(self, token_id: str) -> bool:
        """By its id, or its text."""
        if self.trouble:
            raise TokenError(self.trouble)
        return self.kept.pop(token_id.split("_")[1] if "_" in token_id else token_id, None) is not None

    def find(self, token_id: str) -> Token | None:
        return self.kept.get(token_id)

    def used(self, token_id: str) -> None:
        self.uses.append(token_id)


@pytest.fixture
def tokens() -> FakeTokens:
    return FakeTokens()


def access(tokens: FakeTokens, **more: Any) -> Access:
    return Access(**{"tokens": tokens, "trusts_peers": False, "now": lambda: tokens.now, **more})


@pytest.fixture
async def site(open_site: OpenSite, tokens: FakeTokens) -> Site:
    """A server that wants a token of everybody."""
    return await open_site(worker("web"), access=access(tokens))


def bearer(text: str) -> str:
    return f"Bearer {text}"


def every_request() -> Iterator[tuple[Route, str, str]]:
    """Every row of the table, and every stream that a row may become: the route, its target, what is accepted."""
    for route in TABLE:
        path = route.path.replace("{id}", "web")
        yield route, path, "*/*"
        if route.path in FOLLOWED:
            yield route, f"{path}?follow=1", "application/x-ndjson"
            yield route, f"{path}?follow=1", "text/event-stream"
        if route.path.endswith("/stream"):
            yield route, path, "text/event-stream"


@pytest.mark.parametrize("rank", RANKS)
async def test_each_role_opens_exactly_its_routes_streams_too(site: Site, tokens: FakeTokens, rank: str) -> None:
    sent = [f"Authorization: Bearer {tokens.text[rank]}"] if rank in tokens.text else []
    found, expected = {}, {}
    for route, target, accept in every_request():
        if route.role in OPEN:
            continue
        reader, writer = await site.connect()
        # HEAD would follow as well; the first line is enough, and a stream that is let in never ends.
        writer.write(request(f"{route.method} {target} HTTP/1.1", f"Accept: {accept}", *sent))
        async with asyncio.timeout(10):
            status = int((await reader.readline()).split()[1])
        writer.close()
        name = f"{route.method} {target} {accept}"
        found[name] = status if status in {401, 403} else 0
        may = RANKS.index(rank) >= RANKS.index(route.role)
        expected[name] = 0 if may else 401 if rank == "nobody" else 403
    assert found == expected
    await until(lambda: site.server.follower_count == 0)


async def test_what_is_open_asks_for_no_token_and_takes_a_wrong_one(site: Site) -> None:
    for path in [route.path for route in TABLE if route.role == "public"]:
        assert (await site.get(path, Authorization="Bearer nonsense")).status in {200, 503}


async def test_too_low_a_role_is_told_which_one_is_needed(site: Site, tokens: FakeTokens) -> None:
    answer = await site.post("/api/v1/workers/web/stop", Authorization=bearer(tokens.text["viewer"]))

    path = "/api/v1/workers/web/stop"
    assert told(answer) == problem(403, "not_authorised", "this needs the role operator", path)
    assert site.ports.wishes == []


@pytest.mark.parametrize("wrong", ["secret", "id", "short", "basic", "empty", "two"])
async def test_what_is_no_token_is_401_and_says_nothing_of_it(site: Site, tokens: FakeTokens, wrong: str) -> None:
    right = tokens.text["admin"]
    headers = {
        "secret": [f"Authorization: Bearer {right[:-2]}{'AA' if right[-2:] != 'AA' else 'BB'}"],
        "id": [f"Authorization: Bearer wctl_00000000{right[13:]}"],
        "short": [f"Authorization: Bearer {right[:-1]}"],
        "basic": ["Authorization: Basic YWRtaW46YWRtaW4="],
        "empty": ["Authorization: "],
        "two": [f"Authorization: Bearer {right}", f"Authorization: Bearer {right}"],
    }[wrong]
    answer = await site.raw(request("GET /api/v1/workers HTTP/1.1", *headers))

    if answer.status == 400:  # aiohttp's parser itself refuses some headers that are sent twice
        assert wrong == "two"
        return
    path = "/api/v1/workers"
    assert told(answer) == problem(401, "bad_token", "this token does not exist, or was revoked", path)
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="workerctl", error="invalid_token"'
    assert tokens.uses == []


async def test_a_token_that_expired_is_401_and_says_so(site: Site, tokens: FakeTokens) -> None:
    text = tokens.add("viewer", 60)
    tokens.now += 59
    assert (await site.get("/api/v1/workers", Authorization=bearer(text))).status == 200
    tokens.now += 1
    answer = await site.get("/api/v1/workers", Authorization=bearer(text))

    detail = f"the token {text.split('_')[1]} has expired"
    assert told(answer) == problem(401, "expired_token", detail, "/api/v1/workers")


async def test_a_revoked_token_is_refused_on_the_connection_that_it_was_good_on(site: Site, tokens: FakeTokens) -> None:
    text = tokens.text["viewer"]
    reader, writer = await site.connect()
    asking = f"GET /healthz HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {text}\r\n\r\n".replace(
        "/healthz", "/api/v1/workers/stats/overview"
    ).encode()
    writer.write(asking)
    assert b" 200 " in await reader.readline()
    tokens.revoke(text)
    writer.write(asking)
    async with asyncio.timeout(10):
        rest = await reader.read()
    assert b"HTTP/1.1 401 " in rest


async def test_our_own_user_needs_none_but_a_wrong_one_counts(open_site: OpenSite, tokens: FakeTokens) -> None:
    site = await open_site(worker("web"), access=access(tokens, trusts_peers=True))

    assert (await site.get("/api/v1/workers")).status == 200
    assert (await site.get("/api/v1/workers", Authorization="Bearer x")).status == 401
    assert (await site.post("/api/v1/reconcile", Authorization=bearer(tokens.text["viewer"]))).status == 403


async def test_whoever_fails_too_often_waits_the_right_token_as_well(open_site: OpenSite, tokens: FakeTokens) -> None:
    limits = replace(FAST, failed_logins=3, failed_login_s=3600.0)
    site = await open_site(worker("web"), access=access(tokens), limits=limits)

    statuses = [(await site.get("/api/v1/workers", Authorization="Bearer x")).status for _ in range(5)]
    right = await site.get("/api/v1/workers", Authorization=bearer(tokens.text["admin"]))

    assert statuses == [401, 401, 401, 429, 429]
    assert (right.status, right.json["code"], right.headers["Retry-After"]) == (429, "failed_logins", "3600")
    assert (await site.get("/healthz")).status == 200


async def test_attempts_at_the_same_time_get_no_further(open_site: OpenSite, tokens: FakeTokens) -> None:
    limits = replace(FAST, failed_logins=3, failed_login_s=3600.0)
    site = await open_site(worker("web"), access=access(tokens), limits=limits)

    answers = await asyncio.gather(*(site.get("/api/v1/workers", Authorization="Bearer x") for _ in range(20)))

    assert sorted(answer.status for answer in answers) == [401] * 3 + [429] * 17


async def test_a_token_writes_so_often_and_reads_as_often_as_it_likes(open_site: OpenSite, tokens: FakeTokens) -> None:
    limits = replace(FAST, write_burst=2, writes_per_s=0.001)
    site = await open_site(worker("web"), access=access(tokens, trusts_peers=True), limits=limits)
    sent = bearer(tokens.text["operator"])

    writes = [await site.post("/api/v1/workers/web/stop", Authorization=sent) for _ in range(3)]

    assert [answer.status for answer in writes] == [202, 202, 429]
    assert (writes[2].json["code"], int(writes[2].headers["Retry-After"]) > 900) == ("too_many_writes", True)
    assert (await site.get("/api/v1/workers", Authorization=sent)).status == 200
    assert (await site.post("/api/v1/workers/web/stop", Authorization=bearer(tokens.text["admin"]))).status == 202
    assert [(await site.post("/api/v1/workers/web/stop")).status for _ in range(3)] == [202, 202, 202]


async def to_its_end(stream: Follower) -> None:
    while await stream.chunk():
        pass


@pytest.mark.parametrize("end", ["revoked", "expired"])
@pytest.mark.parametrize("accept", ["application/x-ndjson", "text/event-stream"])
async def test_a_stream_is_cut_when_its_token_ends(
    open_site: OpenSite, tokens: FakeTokens, end: str, accept: str
) -> None:
    site = await open_site(worker("web"), access=access(tokens), limits=replace(FAST, recheck_s=0.05))
    text = tokens.add("viewer", 60)
    async with (
        site.follow("/api/v1/events?follow=1", Authorization=bearer(text), Accept=accept) as cut,
        site.follow("/api/v1/events?follow=1", Authorization=bearer(tokens.text["viewer"]), Accept=accept),
    ):
        await until(lambda: site.server.follower_count == 2)
        if end == "revoked":
            tokens.revoke(text)
        else:
            tokens.now += 61
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError, ValueError)):
            await to_its_end(cut)
        await until(lambda: site.server.follower_count == 1)


def test_a_token_is_looked_at_again_in_time() -> None:
    assert Limits().recheck_s <= 2.5


async def test_every_write_of_somebody_known_is_told_with_its_outcome(open_site: OpenSite, tokens: FakeTokens) -> None:
    heard: list[Write] = []
    site = await open_site(worker("web"), access=access(tokens, trusts_peers=True, audit=heard.append))

    await site.post("/api/v1/workers/web/stop", Authorization=bearer(tokens.text["operator"]), X_Request_Id="one")
    await site.post("/api/v1/workers/web/stop", Authorization=bearer(tokens.text["viewer"]), X_Request_Id="two")
    await site.post("/api/v1/workers/none/stop?wait_s=1", X_Request_Id="three")
    await site.post("/api/v1/workers/web/stop", Authorization="Bearer x")
    await site.get("/api/v1/workers", Authorization=bearer(tokens.text["admin"]))
    await site.ask("DELETE", "/api/v1/nothing")
    await site.post("/api/v1/drafts", {"text": "worker_id: web"})  # asks, and writes nothing

    told_of = [(write.principal.name, write.method, write.path, write.status, write.request_id) for write in heard]
    user = heard[2].principal.name
    assert told_of == [
        ("token:a-operator", "POST", "/api/v1/workers/web/stop", 202, "one"),
        ("token:a-viewer", "POST", "/api/v1/workers/web/stop", 403, "two"),
        (user, "POST", "/api/v1/workers/none/stop", 404, "three"),
    ]
    assert [(write.peer.address, write.principal.token is None) for write in heard] == [
        ("127.0.0.1", False), ("127.0.0.1", False), ("127.0.0.1", True)
    ]  # fmt: skip


async def test_what_a_token_does_is_done_in_its_name(site: Site, tokens: FakeTokens) -> None:
    await site.post("/api/v1/workers/web/stop", Authorization=bearer(tokens.text["operator"]))

    assert [wish.actor for wish in site.ports.wishes if not isinstance(wish, tuple)] == ["token:a-operator"]


# --- parts ------------------------------------------------------------------------------------------------------


def test_a_token_is_its_own_text_and_no_other() -> None:
    token, text = mint("ci", "viewer", 1.0)
    other, other_text = mint("ci", "viewer", 1.0)
    presented, wrong = read(text), read(other_text)
    assert presented is not None
    assert wrong is not None
    assert (is_proved(presented, token), is_proved(wrong, token), is_proved(presented, None)) == (True, False, False)
    assert text.split("_", 2)[2] not in repr((token, presented))
    assert (token.token_id == other.token_id, token.digest == other.digest) == (False, False)


def test_no_digest_of_zeros_is_anybodys() -> None:
    _token, text = mint("ci", "viewer", 1.0)
    presented = read(text)
    assert presented is not None
    assert not is_proved(replace(presented, digest="0" * 64), None)


def test_a_bucket_refills_and_a_clock_that_is_set_back_refills_nothing() -> None:
    throttle = Throttle(burst=2, per_s=0.5)
    for _ in range(2):
        throttle.take("a", 100.0)

    assert [throttle.wait_s("a", now) for now in (100.0, 101.0, 102.0, 50.0)] == [2.0, 1.0, 0.0, 2.0]
    assert throttle.wait_s("b", 100.0) == 0.0


def test_a_flood_of_peers_fills_no_memory_and_locks_nobody_out() -> None:
    throttle = Throttle(burst=1, per_s=0.001)
    for number in range(MOST + 10):
        throttle.take(str(number), 1.0)

    assert len(throttle) == MOST
    assert (throttle.wait_s("0", 1.0), throttle.wait_s(str(MOST), 1.0) > 0) == (0.0, True)


@pytest.mark.parametrize(
    ("address", "uid", "key"),
    [
        ("192.168.1.7", None, "192.168.1.7"),
        ("2001:db8:1:2:3:4:5:6", None, "2001:db8:1:2::/64"),
        ("127.0.0.1", 1000, "uid:1000"),
        ("unix", 1000, "uid:1000"),
    ],
)
def test_failures_are_counted_by_user_or_network(address: str, uid: int | None, key: str) -> None:
    assert Peer(address=address, uid=uid, user="").key == key
