"""Logging a browser in: what a session is worth, what ends it, and what its cookie cannot be made to do."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from controller.api.connection import Limits
from controller.api.ports import ActionWish
from controller.api.sessions import LIFETIME_S, MOST_PER_TOKEN, MemorySessions, SessionBook, Sessions, set_cookie
from controller.api.tokens import mint
from controller.desk.sessions import SessionFiles
from tests.api.api_site import FAST, Follower, Site, problem, request, told
from tests.api.conftest import OpenSite
from tests.api.test_api_tokens import FakeTokens, access, bearer, tokens
from tests.fakes.api_ports import worker

__all__ = ["tokens"]
PATH = "/api/v1/session"
OWN_PAGE = {"Sec_Fetch_Site": "same-origin"}


@pytest.fixture
async def site(open_site: OpenSite, tokens: FakeTokens) -> Site:
    """A server that wants a token of everybody."""
    return await open_site(worker("web"), access=access(tokens))


async def log_in(site: Site, tokens: FakeTokens, role: str = "operator") -> str:
    """What the browser sends from then on."""
    answer = await site.ask("POST", PATH, Authorization=bearer(tokens.text[role]))
    assert answer.status == 201
    return answer.headers["Set-Cookie"].partition(";")[0]


async def test_a_token_is_exchanged_for_a_cookie_that_no_script_and_no_other_site_can_use(
    site: Site, tokens: FakeTokens
) -> None:
    answer = await site.ask("POST", PATH, Authorization=bearer(tokens.text["viewer"]))

    cookie, *attributes = answer.headers["Set-Cookie"].split("; ")
    assert attributes == ["Path=/", f"Max-Age={LIFETIME_S:.0f}", "HttpOnly", "SameSite=Strict"]
    assert tokens.text["viewer"] not in cookie
    token_id = tokens.text["viewer"].split("_")[1]
    expected = {"name": "token:a-viewer", "role": "viewer", "via": "session", "token_id": token_id}
    assert answer.json == {**expected, "expires_at": "1970-01-15T00:16:40.000Z"}
    assert (await site.get("/api/v1/whoami", Cookie=cookie)).json == answer.json


def test_over_tls_the_cookie_never_travels_in_the_clear() -> None:
    assert set_cookie("x", 1, secure=True).endswith("; Secure")


async def test_a_session_may_what_its_token_may_and_acts_in_its_name(site: Site, tokens: FakeTokens) -> None:
    viewer, operator = await log_in(site, tokens, "viewer"), await log_in(site, tokens, "operator")

    assert (await site.get("/api/v1/workers", Cookie=viewer)).status == 200
    answer = await site.post("/api/v1/workers/web/stop", Cookie=viewer, **OWN_PAGE)
    assert (answer.status, answer.json["code"]) == (403, "not_authorised")
    assert (await site.post("/api/v1/workers/web/stop", Cookie=operator, **OWN_PAGE)).status == 202
    assert [wish.actor for wish in site.ports.wishes if isinstance(wish, ActionWish)] == ["token:a-operator"]


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Sec_Fetch_Site": "same-origin"}, 202, ""),
        ({"Sec_Fetch_Site": "none"}, 202, ""),
        ({"Origin": "http://localhost"}, 202, ""),
        ({}, 403, "cross_site"),
        ({"Sec_Fetch_Site": "same-site"}, 403, "cross_site"),
        ({"Sec_Fetch_Site": "cross-site"}, 403, "cross_site"),
        ({"Sec_Fetch_Site": "cross-site", "Origin": "http://localhost"}, 403, "cross_site"),
        ({"Origin": "http://evil.example"}, 403, "foreign_origin"),
        ({"Origin": "null"}, 403, "foreign_origin"),
    ],
)
async def test_a_write_with_a_cookie_must_come_from_our_own_page(
    site: Site, tokens: FakeTokens, headers: dict[str, str], status: int, code: str
) -> None:
    cookie = await log_in(site, tokens)
    answer = await site.post("/api/v1/workers/web/stop", Cookie=cookie, Host="localhost", **headers)

    assert (answer.status, answer.json.get("code", "")) == (status, code)
    assert len(site.ports.wishes) == (status == 202)


async def test_a_logout_ends_the_session_wherever_its_cookie_is_kept(site: Site, tokens: FakeTokens) -> None:
    cookie = await log_in(site, tokens)
    answer = await site.ask("DELETE", PATH, None, Cookie=cookie, **OWN_PAGE)

    assert answer.status == 204
    assert answer.headers["Set-Cookie"] == "workerctl_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"
    assert (await site.get("/api/v1/workers", Cookie=cookie)).status == 401


async def test_a_session_ends_with_its_token_and_after_its_time(site: Site, tokens: FakeTokens) -> None:
    first, second = await log_in(site, tokens, "viewer"), await log_in(site, tokens, "admin")
    tokens.revoke(tokens.text["viewer"])
    assert (await site.get("/api/v1/workers", Cookie=first)).status == 401
    tokens.now += LIFETIME_S - 1
    assert (await site.get("/api/v1/workers", Cookie=second)).status == 200
    tokens.now += 1
    assert (await site.get("/api/v1/workers", Cookie=second)).status == 401


async def test_a_session_lives_no_longer_than_its_token(site: Site, tokens: FakeTokens) -> None:
    text = tokens.add("viewer", 60)
    answer = await site.ask("POST", PATH, Authorization=bearer(text))

    assert "; Max-Age=60;" in answer.headers["Set-Cookie"]


async def until_cut(follower: Follower) -> None:
    while True:
        await follower.chunk()


async def test_a_running_stream_is_cut_by_the_logout(open_site: OpenSite, tokens: FakeTokens) -> None:
    site = await open_site(worker("web"), access=access(tokens), limits=Limits(pause_s=0.001, recheck_s=0.02))
    cookie = await log_in(site, tokens)
    async with site.follow("/api/v1/stream", Accept="text/event-stream", Cookie=cookie) as follower:
        await follower.chunk()
        await site.ask("DELETE", PATH, None, Cookie=cookie, **OWN_PAGE)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError, ValueError)):
            await until_cut(follower)


@pytest.mark.parametrize("cookie", ["", "workerctl_session=", "workerctl_session=wcs_{id}_{bad}", "other={text}", "="])
async def test_what_is_no_session_is_nobody_and_no_failed_login(site: Site, tokens: FakeTokens, cookie: str) -> None:
    text = (await log_in(site, tokens)).partition("=")[2]
    sent = cookie.format(id=text.split("_")[1], bad="A" * 43, text=text)
    for _ in range(FAST.failed_logins + 1):
        answer = await site.get("/api/v1/workers", Cookie=sent)
        assert (answer.status, answer.json["code"]) == (401, "not_authenticated")


async def test_a_cookie_of_another_service_beside_ours_does_no_harm(site: Site, tokens: FakeTokens) -> None:
    cookie = await log_in(site, tokens)

    assert (await site.get("/api/v1/whoami", Cookie=f"a=b; {cookie}; workerctl_session=old")).status == 200


async def test_a_token_that_is_sent_decides_and_no_cookie_helps_it(site: Site, tokens: FakeTokens) -> None:
    cookie = await log_in(site, tokens)
    answer = await site.get("/api/v1/whoami", Cookie=cookie, Authorization="Bearer nonsense")

    detail = "this token does not exist, or was revoked"
    assert told(answer) == problem(401, "bad_token", detail, "/api/v1/whoami")


async def test_wrong_tokens_at_the_login_are_counted(site: Site) -> None:
    statuses = [(await site.ask("POST", PATH, Authorization="Bearer x")).status for _ in range(FAST.failed_logins + 1)]

    assert statuses == [401] * FAST.failed_logins + [429]


async def test_who_needs_no_token_is_somebody_and_gets_no_cookie(open_site: OpenSite) -> None:
    site = await open_site(worker("web"))
    answer = await site.post(PATH)

    assert (answer.status, "Set-Cookie" in answer.headers) == (200, False)
    assert (answer.json["role"], answer.json["via"], answer.json["token_id"]) == ("admin", "peer", None)
    old = "workerctl_session=wcs_0123456789abcdef_" + "A" * 43
    assert (await site.get("/api/v1/whoami", Cookie=old)).json == answer.json


async def test_nobody_is_401_and_so_learns_that_a_login_is_needed(site: Site) -> None:
    assert (await site.get("/api/v1/whoami")).status == 401
    assert (await site.raw(request(f"POST {PATH} HTTP/1.1"))).status == 401


@pytest.mark.parametrize("kind", ["memory", "files"])
def test_wherever_they_are_kept_sessions_are_few_and_hold_no_secret(kind: str, tmp_path: Path) -> None:
    now = [1000.0]
    sessions: Sessions = MemorySessions() if kind == "memory" else SessionFiles(tmp_path)
    book, token = SessionBook(sessions, lambda: now[0]), mint("ann", "viewer", 0.0)[0]
    begun = []
    for _ in range(MOST_PER_TOKEN + 2):
        now[0] += 1
        begun.append(book.begin(token, secure=False))
    alive = [session for session, _ in begun if sessions.find(session.session_id) == session]
    assert alive == [session for session, _ in begun][2:]
    assert book.proved([begun[-1][1].partition(";")[0]]) == begun[-1][0]
    for path in tmp_path.rglob("*.json"):
        assert (path.stat().st_mode & 0o777) == 0o600
        secrets = [header.partition(";")[0].partition("=")[2].split("_", 2)[2] for _, header in begun]
        assert [len(secret) for secret in secrets] == [43] * len(begun)
        assert not [secret for secret in secrets if secret in path.read_text()]

    now[0] += LIFETIME_S
    last, _ = book.begin(token, secure=False)
    assert [session for session, _ in begun if sessions.find(session.session_id)] == []
    book.end(last)
    book.end(last)
    assert sessions.find(last.session_id) is None


def test_a_file_that_is_no_session_lets_nobody_in(tmp_path: Path) -> None:
    (tmp_path / "sessions").mkdir()
    for number, text in enumerate(["", "{}", "[]", '{"id": "x"}']):
        (tmp_path / f"sessions/{number:016x}.json").write_text(text)
    sessions = SessionFiles(tmp_path)

    assert [sessions.find(f"{number:016x}") for number in range(4)] == [None] * 4
    assert sessions.find("../../etc/passwd") is None
