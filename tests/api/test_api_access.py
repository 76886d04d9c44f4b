"""Tokens and sessions over HTTP: made, listed and ended, each secret shown once, and only by whom they concern."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controller.api.sessions import COOKIE
from controller.api.tokens import Token
from controller.desk.sessions import SessionFiles
from tests.api.api_site import Site, fault, problem, told
from tests.api.conftest import OpenSite
from tests.api.test_api_sessions import OWN_PAGE, log_in
from tests.api.test_api_tokens import FakeTokens, access, bearer, tokens
from tests.fakes.api_ports import worker

__all__ = ["tokens"]
TOKENS, SESSIONS = "/api/v1/tokens", "/api/v1/sessions"


@pytest.fixture
async def site(open_site: OpenSite, tokens: FakeTokens) -> Site:
    """A server that wants a token of everybody."""
    return await open_site(worker("web"), access=access(tokens))


def admin(tokens: FakeTokens) -> dict[str, str]:
    return {"Authorization": bearer(tokens.text["admin"])}


def document(token: Token) -> dict[str, object]:
    times = {"created_at": "1970-01-01T00:16:40.000Z", "expires_at": None, "last_used_at": None}
    return {"id": token.token_id, "name": token.name, "role": token.role, **times}


async def test_tokens_are_listed_without_their_secrets(site: Site, tokens: FakeTokens) -> None:
    answer = await site.get(TOKENS, **admin(tokens))

    assert answer.json == {"items": [document(one) for one in tokens.kept.values()], "next_cursor": None}
    for text in tokens.text.values():
        assert text.split("_", 2)[2] not in answer.body.decode()
    for token in tokens.kept.values():
        assert token.digest not in answer.body.decode()


async def test_a_token_is_shown_once_and_opens_the_door_at_once(site: Site, tokens: FakeTokens) -> None:
    body = {"name": "ci", "role": "operator", "expires_in_s": 3600}
    answer = await site.post(TOKENS, body, **admin(tokens))

    made = answer.json
    token = tokens.kept[made["id"]]
    assert answer.status == 201
    assert made == {**document(token), "expires_at": "1970-01-01T01:16:40.000Z", "token": made["token"]}
    who = await site.get("/api/v1/whoami", Authorization=bearer(made["token"]))
    assert (who.json["name"], who.json["role"]) == ("token:ci", "operator")


async def test_a_secret_is_kept_nowhere_also_not_to_be_answered_again(site: Site, tokens: FakeTokens) -> None:
    sent = {**admin(tokens), "Idempotency_Key": "once"}
    first = await site.post(TOKENS, {"name": "ci"}, **sent)
    second = await site.post(TOKENS, {"name": "ci"}, **sent)

    assert (first.status, second.status) == (201, 409)
    assert first.json["token"] not in second.body.decode()
    hint = "revoke that one first, or take another name"
    errors = [fault("the name is taken", pointer="/name", hint=hint)]
    assert told(second) == problem(409, "exists", "there is a token named ci", TOKENS, errors=errors)


@pytest.mark.parametrize(
    "body",
    [
        {}, {"name": ""}, {"name": "A"}, {"name": "a b"}, {"name": "-a"}, {"name": "a" * 64}, {"name": "../x"},
        {"name": "a", "role": "root"}, {"name": "a", "role": None}, {"name": "a", "expires_in_s": 0},
        {"name": "a", "expires_in_s": 1.5}, {"name": "a", "expires_in_s": 10**10}, {"name": "a", "secret": "mine"},
    ],
)  # fmt: skip
async def test_what_is_no_wish_for_a_token_makes_none(site: Site, tokens: FakeTokens, body: dict[str, object]) -> None:
    before = dict(tokens.kept)
    answer = await site.post(TOKENS, body, **admin(tokens))

    assert (answer.status, answer.json["code"], tokens.kept) == (422, "invalid_body", before)
    assert answer.json["errors"]


async def test_what_is_revoked_holds_no_more_and_takes_its_sessions_along(site: Site, tokens: FakeTokens) -> None:
    cookie = await log_in(site, tokens, "viewer")
    token_id = tokens.text["viewer"].split("_")[1]
    answer = await site.ask("DELETE", f"{TOKENS}/{token_id}", None, **admin(tokens))

    assert (answer.status, answer.body) == (204, b"")
    assert (await site.get("/api/v1/workers", Cookie=cookie)).status == 401
    assert (await site.get(SESSIONS, **admin(tokens))).json["items"] == []
    again = await site.ask("DELETE", f"{TOKENS}/{token_id}", None, **admin(tokens))
    assert (again.status, again.json["code"]) == (404, "unknown_token")


async def test_a_state_directory_that_cannot_be_written_is_told(site: Site, tokens: FakeTokens) -> None:
    tokens.trouble = "Cannot write /state/tokens: No space left on device"
    made = await site.post(TOKENS, {"name": "ci"}, **admin(tokens))
    gone = await site.ask("DELETE", f"{TOKENS}/{tokens.text['viewer'].split('_')[1]}", None, **admin(tokens))

    assert {(one.status, one.json["code"], one.json["detail"]) for one in (made, gone)} == {
        (507, "token_not_kept", tokens.trouble)
    }


async def test_a_server_without_tokens_lists_and_makes_none(open_site: OpenSite) -> None:
    site = await open_site(worker("web"))
    assert (await site.get(TOKENS)).json["items"] == []
    assert (await site.post(TOKENS, {"name": "ci"})).status == 507
    assert (await site.ask("DELETE", f"{TOKENS}/00000000", None)).status == 404


async def test_each_sees_the_browsers_of_their_own_token_and_an_admin_all(site: Site, tokens: FakeTokens) -> None:
    viewer, operator = await log_in(site, tokens, "viewer"), await log_in(site, tokens, "operator")
    await log_in(site, tokens, "viewer")

    own = (await site.get(SESSIONS, Cookie=viewer)).json["items"]
    assert [(one["name"], one["role"], one["is_own"]) for one in own].count(("a-viewer", "viewer", True)) == 1
    assert {one["name"] for one in own} == {"a-viewer"}
    assert own[0]["begun_at"] == "1970-01-01T00:16:40.000Z"
    everybody = await site.get(SESSIONS, **admin(tokens))
    assert sorted(one["name"] for one in everybody.json["items"]) == ["a-operator", "a-viewer", "a-viewer"]
    for cookie in (viewer, operator):
        assert cookie.split("_")[-1] not in everybody.body.decode()
        assert cookie.removeprefix(f"{COOKIE}=") not in everybody.body.decode()


async def test_a_browser_is_logged_out_from_afar_but_not_a_strangers(site: Site, tokens: FakeTokens) -> None:
    viewer, lost = await log_in(site, tokens, "viewer"), await log_in(site, tokens, "viewer")
    foreign = await log_in(site, tokens, "operator")
    lost_id, foreign_id = (cookie.split("_")[2] for cookie in (lost, foreign))

    refused = await site.ask("DELETE", f"{SESSIONS}/{foreign_id}", None, Cookie=viewer, **OWN_PAGE)
    assert (refused.status, refused.json["code"]) == (404, "unknown_session")
    ended = await site.ask("DELETE", f"{SESSIONS}/{lost_id}", None, Cookie=viewer, **OWN_PAGE)
    assert ended.status == 204
    left = [await site.get("/api/v1/whoami", Cookie=cookie) for cookie in (viewer, lost, foreign)]
    assert [answer.status for answer in left] == [200, 401, 200]
    assert (await site.ask("DELETE", f"{SESSIONS}/{foreign_id}", None, **admin(tokens))).status == 204


async def test_sessions_in_files_are_listed_also_those_of_before(
    open_site: OpenSite, tokens: FakeTokens, tmp_path: Path
) -> None:
    site = await open_site(worker("web"), access=access(tokens, sessions=SessionFiles(tmp_path)))
    assert (await site.get(SESSIONS, **admin(tokens))).json["items"] == []
    await log_in(site, tokens, "viewer")
    (path,) = (tmp_path / "sessions").iterdir()
    old = json.loads(path.read_text())
    del old["begun_at"]
    path.write_text(json.dumps(old))

    (listed,) = (await site.get(SESSIONS, **admin(tokens))).json["items"]
    assert (listed["id"], listed["begun_at"]) == (path.stem, None)
