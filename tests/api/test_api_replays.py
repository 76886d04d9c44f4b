"""`Idempotency-Key`: what is sent again is answered again and done once; what was refused may be tried again."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from controller.api.doorkeeper import Access
from controller.api.ports import ConfigWritten, Refused
from controller.api.replays import KEPT_S
from controller.core.authorship import SpecRefused
from controller.core.plan import Plan
from tests.api.api_site import FAST, Answer, Site, problem, request, told, until
from tests.api.conftest import OpenSite
from tests.api.test_api_tokens import FakeTokens, access, bearer
from tests.fakes.api_ports import config_item, worker

RESTART = "/api/v1/workers/web/restart"
CONFIGS = "/api/v1/worker-configs"


async def restart(site: Site, key: str, path: str = RESTART, body: object = None, **headers: str) -> Answer:
    return await site.post(path, body, Idempotency_Key=key, **headers)


def kept(answer: Answer) -> tuple[int, bytes, str | None, str | None]:
    """What is the same when it is answered again."""
    return answer.status, answer.body, answer.headers.get("Location"), answer.headers.get("ETag")


async def test_what_is_sent_again_is_done_once_and_answered_the_same(site: Site) -> None:
    first = await restart(site, "k1", body={"reason": "new words"}, X_Request_Id="one")
    again = await restart(site, "k1", body={"reason": "new words"}, X_Request_Id="two")
    other = await restart(site, "k2", body={"reason": "new words"})

    assert first.status == 202
    assert kept(again) == kept(first) != kept(other)
    assert (again.headers["X-Request-Id"], again.headers["Idempotency-Replayed"]) == ("two", "true")
    assert "Idempotency-Replayed" not in first.headers
    assert len(site.ports.wishes) == 2


async def test_a_spec_that_was_created_is_answered_as_created_again(site: Site) -> None:
    site.ports.spec_outcome = ConfigWritten(item=config_item("db"), etag='"e"', is_changed=True, plan=Plan())
    first = await restart(site, "k1", CONFIGS, {"worker_id": "db"})
    site.ports.spec_outcome = SpecRefused(reason="exists", message="it is there")

    again = await restart(site, "k1", CONFIGS, {"worker_id": "db"})

    assert (first.status, kept(again), len(site.ports.spec_wishes)) == (201, kept(first), 1)


async def test_without_a_key_everything_is_done_each_time(site: Site) -> None:
    for _ in range(2):
        await site.post(RESTART)

    assert len(site.ports.wishes) == 2


async def test_a_key_is_for_one_request(site: Site) -> None:
    await restart(site, "k1")
    for path, body in ((RESTART, {"reason": "x"}), ("/api/v1/workers/web/stop", None), (f"{RESTART}?wait_s=1", None)):
        answer = await restart(site, "k1", path, body)
        detail = "this Idempotency-Key was sent with another request; take a new one for each"
        assert told(answer) == problem(422, "key_reused", detail, path.partition("?")[0])

    assert len(site.ports.wishes) == 1


async def test_a_key_is_of_who_sent_it(open_site: OpenSite) -> None:
    tokens = FakeTokens()
    site = await open_site(worker("web"), access=access(tokens))
    for role in ("operator", "admin", "operator"):
        assert (await restart(site, "k1", Authorization=bearer(tokens.text[role]))).status == 202

    assert len(site.ports.wishes) == 2
    assert (await restart(site, "k1", Authorization="Bearer x")).status == 401


async def test_what_was_refused_may_be_tried_again(site: Site) -> None:
    site.ports.refusal = Refused(code="draining", message="it ends")
    assert (await restart(site, "k1")).status == 503
    site.ports.refusal = None
    assert (await restart(site, "k1")).status == 202


async def test_what_broke_may_be_tried_again(site: Site) -> None:
    site.ports.broken = RuntimeError("ours")
    assert (await restart(site, "k1", f"{RESTART}?wait_s=1")).status == 500
    site.ports.broken = None
    assert (await restart(site, "k1", f"{RESTART}?wait_s=0")).status == 504


async def test_who_waited_in_vain_is_told_of_the_same_operation(site: Site) -> None:
    path = f"{RESTART}?wait_s=0"
    first, again = await restart(site, "k1", path), await restart(site, "k1", path)

    assert (first.status, again.status, len(site.ports.wishes)) == (504, 504, 1)
    assert again.json["operation"] == first.json["operation"]
    assert (again.headers["Location"], again.headers["Idempotency-Replayed"]) == (first.headers["Location"], "true")


async def test_while_the_first_is_under_way_the_second_is_told_to_come_back(site: Site) -> None:
    path = f"{RESTART}?wait_s=30"
    first = asyncio.create_task(restart(site, "k1", path))
    await until(lambda: len(site.ports.wishes) == 1)

    second = await restart(site, "k1", path)
    site.ports.move("op1", "succeeded")

    assert told(second) == problem(409, "under_way", "the same request is under way; ask again for its answer", RESTART)
    assert second.headers["Retry-After"] == "1"
    assert kept(await first) == kept(await restart(site, "k1", path))


@pytest.mark.parametrize("keys", [["x" * 129], ["a b"], ["\u00e4"], [""], ["a", "a"]])
async def test_a_key_that_is_none_is_400(site: Site, keys: list[str]) -> None:
    answer = await site.raw(request(f"POST {RESTART} HTTP/1.1", *(f"Idempotency-Key: {key}" for key in keys)))

    assert (answer.status, answer.json["code"], site.ports.wishes) == (400, "malformed_request", [])


async def test_the_limits_of_a_body_hold_with_a_key_too(site: Site) -> None:
    head = (f"POST {RESTART} HTTP/1.1", "Idempotency-Key: k1", "Content-Type: application/json")

    assert (await site.raw(request(*head, "Content-Length: 10000000000", body=b"{"))).status == 413
    assert (await site.raw(request(*head, "Content-Length: 10", body=b"{"))).status == 408
    assert (await restart(site, "k1")).status == 202


async def test_the_oldest_are_forgotten_and_all_after_a_day(open_site: OpenSite) -> None:
    now = [1000.0]
    site = await open_site(worker("web"), access=Access(now=lambda: now[0]), limits=replace(FAST, replays=2))

    async def done(key: str) -> int:
        await restart(site, key)
        return len(site.ports.wishes)

    assert [await done(key) for key in ("a", "b", "b", "c", "c", "a")] == [1, 2, 2, 3, 3, 4]
    now[0] += KEPT_S
    assert await done("a") == 5
