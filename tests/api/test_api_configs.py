"""Specs over HTTP: etags, preconditions, bodies, and how each outcome of a write is answered."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controller.api.ports import Config, ConfigWritten
from controller.core.authorship import SpecInvalid, SpecRefused, SpecStale, SpecUnknown, SpecWish
from controller.core.plan import Plan
from controller.core.problems import Problem
from tests.api.api_site import Site, request
from tests.fakes.api_ports import config_item

PATH = "/api/v1/worker-configs"
ITEM = config_item("web", spec={"labels": {}, "desired_state": None, "auto_start": True})
DONE = ConfigWritten(item=ITEM, etag='"e2"', is_changed=True, plan=Plan())


def config(worker_id: str, *, valid: bool = True, **spec: Any) -> Config:
    fields = {"name": "", "description": "", "labels": {}, "desired_state": None, "auto_start": True, **spec}
    return Config(item=config_item(worker_id, spec=fields if valid else None, valid=valid), etag='"e1"')


async def write(site: Site, method: str, path: str, body: Any = None, **headers: str) -> Any:
    sent = {"Content_Type": "application/json", **headers}
    return await site.ask(method, PATH + path, None if body is None else json.dumps(body).encode(), **sent)


async def test_the_list_is_filtered_and_paged(site: Site) -> None:
    site.ports.specs = {
        "api": config("api", labels={"team": "a"}, name="The front"),
        "db": config("db", desired_state="stopped"),
        "odd": config("odd", valid=False),
        "web": config("web", labels={"team": "b"}, auto_start=False),
    }

    async def names(query: str) -> list[str]:
        return [item["worker_id"] for item in (await site.get(PATH + query)).json["items"]]

    assert await names("") == ["api", "db", "odd", "web"]
    assert await names("?label=team") == ["api", "web"]
    assert await names("?label=team=b") == ["web"]
    assert await names("?valid=false") == ["odd"]
    assert await names("?desired_state=stopped") == ["db", "web"]
    assert await names("?desired_state=running&q=FRONT") == ["api"]
    page = (await site.get(PATH + "?limit=2")).json
    assert page["next_cursor"] == "db"
    assert await names("?limit=2&cursor=db") == ["odd", "web"]
    assert (await site.get(PATH + "?lable=x")).status == 400


async def test_one_spec_has_the_etag_of_its_file(site: Site) -> None:
    site.ports.specs = {"web": config("web")}
    answer = await site.get(PATH + "/web")
    assert (answer.status, answer.headers["ETag"], answer.json["worker_id"]) == (200, '"e1"', "web")
    for known in ('"e1"', '"x", "e1"', "*"):
        again = await site.get(PATH + "/web", If_None_Match=known)
        assert (again.status, again.body, again.headers["ETag"]) == (304, b"", '"e1"')
    assert (await site.get(PATH + "/web", If_None_Match='W/"e1"')).status == 200
    assert (await site.get(PATH + "/nobody")).json["code"] == "unknown_worker"
    assert (await site.get(PATH + "/stats/summary")).json == {"total": 1}


async def test_a_created_spec_is_answered_with_its_place(site: Site) -> None:
    site.ports.spec_outcome = DONE
    answer = await write(site, "POST", "", {"worker_id": "web", "replicas": 2})
    assert (answer.status, answer.headers["Location"], answer.headers["ETag"]) == (201, f"{PATH}/web", '"e2"')
    wish = site.ports.spec_wishes[0]
    assert wish == SpecWish(
        action="create", worker_id="web", actor=wish.actor, request_id=answer.headers["X-Request-Id"],
        body={"replicas": 2},
    )  # fmt: skip
    again = await write(site, "PUT", "/web", {"replicas": 2}, If_None_Match="*")
    assert (again.status, site.ports.spec_wishes[1].action) == (201, "create")


@pytest.mark.parametrize("worker_id", [None, 5, "", "A", "../x", "a" * 64, "-a", "a.b"])
async def test_a_name_that_is_none_is_refused(site: Site, worker_id: object) -> None:
    answer = await write(site, "POST", "", {"worker_id": worker_id})
    assert (answer.status, [error["pointer"] for error in answer.json["errors"]]) == (422, ["/worker_id"])
    assert all(wish.dry_run for wish in site.ports.spec_wishes)


async def test_a_name_that_is_none_hides_no_other_fault(site: Site) -> None:
    site.ports.spec_outcome = SpecInvalid(problems=(Problem(file="", pointer="/port", message="no"),))
    answer = await write(site, "POST", "", {"worker_id": "../x", "port": 99999})
    faults = [(error["pointer"], error["message"]) for error in answer.json["errors"]]
    named = "expected a name of a-z, 0-9 and '-', at most 63 characters"
    assert (answer.status, faults) == (422, [("/worker_id", named), ("/port", "no")])
    assert [(wish.dry_run, wish.body) for wish in site.ports.spec_wishes] == [(True, {"port": 99999})]


async def test_put_needs_to_say_what_it_has_seen(site: Site) -> None:
    site.ports.spec_outcome = DONE
    assert (await write(site, "PUT", "/web", {})).status == 428
    assert site.ports.spec_wishes == []
    answer = await write(site, "PUT", "/web", {"worker_id": "web"}, If_Match='"e1", W/"weak"')
    assert (answer.status, answer.json, answer.headers["ETag"]) == (200, ITEM, '"e2"')
    assert site.ports.spec_wishes[0].if_match == frozenset(['"e1"'])
    assert (await write(site, "PUT", "/web", {"worker_id": "api"}, If_Match="*")).status == 422
    assert (await write(site, "PUT", "/web", {}, If_Match="e1")).status == 400


async def test_patch_takes_both_media_types_and_delete_needs_no_body(site: Site) -> None:
    site.ports.spec_outcome = DONE
    for media_type in ("application/json", "application/merge-patch+json"):
        answer = await write(site, "PATCH", "/web?rewrite=1", {"replicas": None}, Content_Type=media_type)
        assert answer.status == 200
    assert [(wish.body, wish.rewrite) for wish in site.ports.spec_wishes] == [({"replicas": None}, True)] * 2
    gone = await site.ask("DELETE", PATH + "/web", None, If_Match='"e1"')
    assert (gone.status, gone.body) == (204, b"")
    assert (site.ports.spec_wishes[2].action, site.ports.spec_wishes[2].if_match) == ("delete", frozenset(['"e1"']))


async def test_a_dry_run_shows_what_would_be_and_its_plan(site: Site) -> None:
    site.ports.spec_outcome = DONE
    answer = await write(site, "PATCH", "/web?dry_run=1", {"replicas": 2})
    assert answer.json == {"changed": True, "config": ITEM, "plan": {"actions": [], "holds": [], "next_wake": None}}
    assert site.ports.spec_wishes[0].dry_run


@pytest.mark.parametrize(
    ("body", "media_type", "status", "code"),
    [
        (b"{", "application/json", 400, "not_json"),
        (b'{"a": 1, "a": 2}', "application/json", 400, "not_json"),
        (b"[" * 100_000, "application/json", 400, "not_json"),
        (b'{"a": NaN}', "application/json", 400, "not_json"),
        (b"\xff", "application/json", 400, "not_json"),
        (b"[]", "application/json", 422, "invalid_body"),
        (b"", "application/json", 400, "not_json"),
        (b"{}", "text/plain", 415, "wrong_content_type"),
        (b"{}", "application/merge-patch+json", 415, "wrong_content_type"),
    ],
)
async def test_a_body_that_is_none_is_told_apart(
    site: Site, body: bytes, media_type: str, status: int, code: str
) -> None:
    answer = await site.ask("POST", PATH, body, Content_Type=media_type)
    assert (answer.status, answer.json["code"]) == (status, code)
    assert site.ports.spec_wishes == []


async def test_a_body_that_is_too_large_is_refused_by_its_head(site: Site) -> None:
    answer = await site.raw(
        request(f"POST {PATH} HTTP/1.1", "Content-Type: application/json", "Content-Length: 10000000000")
    )
    assert (answer.status, answer.json["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("outcome", "status", "code"),
    [
        (SpecUnknown(), 404, "unknown_worker"),
        (SpecStale(etag='"e9"'), 412, "stale"),
        (SpecInvalid(problems=(Problem(file="", pointer="/port", message="no"),)), 422, "invalid_spec"),
        (SpecRefused(reason="not_surgical", message="cannot", hint="rewrite=true"), 409, "not_surgical"),
        (SpecRefused(reason="busy", message="git", retry_after_s=2), 409, "busy"),
        (SpecRefused(reason="draining", message="ends"), 503, "draining"),
        (SpecRefused(reason="disk_full", message="full"), 507, "disk_full"),
    ],
)
async def test_each_outcome_has_its_answer(site: Site, outcome: Any, status: int, code: str) -> None:
    site.ports.spec_outcome = outcome
    answer = await write(site, "PATCH", "/web", {})
    assert (answer.status, answer.json["code"], answer.media_type) == (status, code, "application/problem+json")
    assert answer.headers.get("ETag") == ('"e9"' if code == "stale" else None)
    assert answer.headers.get("Retry-After") == ("2" if code == "busy" else None)
    if code == "invalid_spec":
        assert answer.json["errors"] == [
            {"pointer": "/port", "file": None, "line": None, "column": None, "message": "no", "hint": None}
        ]
