"""Specs that are being written: the schema, drafts, and texts that are put."""

from __future__ import annotations

from typing import Any

from controller.api.draft_ports import Draft, DraftWish
from controller.api.ports import ConfigWritten
from controller.core.authorship import SpecRefused, SpecUnknown, SpecWish
from controller.core.plan import Plan
from controller.core.problems import Problem
from controller.core.schema import editor_schema
from tests.api.api_site import Site
from tests.fakes.api_ports import config_item

PATH = "/api/v1/drafts"
ITEM = config_item("web", spec={"labels": {}, "desired_state": None, "auto_start": True})


async def asked(site: Site, **body: Any) -> Any:
    return await site.post(PATH, body)


async def test_the_schema_is_that_of_the_command_line(site: Site) -> None:
    assert (await site.get("/api/v1/schema")).json == editor_schema()


async def test_a_draft_is_judged_and_nothing_is_written(site: Site) -> None:
    site.ports.judged = Draft(
        text="worker_id: web\n", document={"worker_id": "web"}, is_changed=True, config=ITEM, plan=Plan(),
        file="web.yaml", etag='"e1"',
    )  # fmt: skip
    answer = await asked(site, worker_id="web", text="worker_id: web", document={"worker_id": "web"})
    assert (answer.status, answer.json) == (
        200,
        {
            "text": "worker_id: web\n", "document": {"worker_id": "web"}, "problems": [], "rewritten": False,
            "changed": True, "config": ITEM, "plan": {"actions": [], "holds": [], "next_wake": None},
            "refusal": None, "file": "web.yaml", "etag": '"e1"',
        },
    )  # fmt: skip
    wish = site.ports.draft_wishes[0]
    assert wish == DraftWish(
        actor=wish.actor, worker_id="web", text="worker_id: web", document={"worker_id": "web"}
    )  # fmt: skip
    assert site.ports.spec_wishes == []


async def test_faults_of_a_draft_are_no_error(site: Site) -> None:
    site.ports.judged = Draft(text="a", problems=(Problem(file="", message="no", line=2, pointer="/a", hint="b?"),))
    answer = await asked(site, text="a")
    fault = {"pointer": "/a", "file": None, "line": 2, "column": None, "message": "no", "hint": "b?"}
    assert (answer.status, answer.json["problems"]) == (200, [fault])
    refusal = SpecRefused(reason="source_held", message="it waits")
    site.ports.judged = Draft(text="a", document={}, refusal=refusal)
    told = {"code": "source_held", "message": "it waits", "hint": None}
    assert (await asked(site, text="a")).json["refusal"] == told


async def test_a_draft_of_nobody_and_of_a_broken_file_are_errors(site: Site) -> None:
    site.ports.judged = SpecUnknown()
    assert (await asked(site, worker_id="web")).json["code"] == "unknown_worker"
    site.ports.judged = SpecRefused(reason="broken_file", message="no")
    assert (await asked(site, worker_id="web")).status == 409
    assert (await asked(site, worker_id="NO")).status == 422
    assert (await asked(site, test="x")).json["errors"][0]["hint"] == "did you mean text?"


async def test_a_text_is_put_as_it_is(site: Site) -> None:
    site.ports.spec_outcome = ConfigWritten(item=ITEM, etag='"e2"', is_changed=True, plan=Plan())
    text, sent = "# mine\nworker_id: web\n", {"Content_Type": "application/yaml"}
    path = "/api/v1/worker-configs/web"
    answer = await site.ask("PUT", path, text.encode(), If_Match='"e1"', **sent)
    assert (answer.status, answer.headers["ETag"]) == (200, '"e2"')
    wish = site.ports.spec_wishes[0]
    assert wish == SpecWish(
        action="replace", worker_id="web", actor=wish.actor, request_id=wish.request_id, text=text,
        if_match=frozenset(['"e1"']),
    )  # fmt: skip
    assert (await site.ask("PUT", path, text.encode(), If_None_Match="*", **sent)).status == 201
    assert (await site.ask("PUT", path, b"\xff", If_Match="*", **sent)).json["code"] == "not_text"
    assert (await site.ask("PUT", path, text.encode(), **sent)).status == 428
