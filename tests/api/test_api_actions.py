"""Start, stop, restart, reconcile, and the operations that they become."""

from __future__ import annotations

import asyncio
import os
import pwd
from typing import Any

import pytest

from controller.api.ports import ActionWish, Refused
from controller.core.authorship import SpecRefused
from controller.core.problems import Problem
from tests.api.api_site import Site, fault, problem, told, until

START = "/api/v1/workers/web/start"


def _operation(state: str = "accepted", detail: str = "", action: str = "start") -> dict[str, Any]:
    return {"operation_id": "op1", "worker_id": "web", "action": action, "state": state, "detail": detail}


@pytest.fixture
def actor() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name


@pytest.mark.parametrize("action", ["start", "stop", "restart"])
async def test_a_wish_is_accepted_as_an_operation(site: Site, actor: str, action: Any) -> None:
    answer = await site.post(f"/api/v1/workers/web/{action}")

    assert (answer.status, answer.headers["Location"]) == (202, "/api/v1/operations/op1")
    assert answer.json == _operation(action=action)
    assert site.ports.wishes == [ActionWish(worker_id="web", action=action, actor=actor)]


async def test_the_body_says_how_and_why(site: Site, actor: str) -> None:
    await site.post("/api/v1/workers/web/stop", {"graceful": False, "reason": "Wartung, 保守", "for_ms": 60000})

    assert site.ports.wishes == [
        ActionWish(worker_id="web", action="stop", actor=actor, graceful=False, reason="Wartung, 保守", for_ms=60000)
    ]


async def test_an_unknown_worker_is_404(site: Site) -> None:
    answer = await site.post("/api/v1/workers/nope/start")

    expected = problem(404, "unknown_worker", "there is no worker nope", "/api/v1/workers/nope/start")
    assert told(answer) == expected


async def test_a_broken_file_is_409_with_its_places_and_what_to_do(site: Site) -> None:
    site.ports.refusal = Refused(
        code="broken_file",
        message="web.yaml cannot be edited while it is broken",
        hint="mend the file, or pass for_ms",
        problems=(
            Problem(file="web.yaml", line=3, column=7, pointer="/port", message="expected a number", hint="4001"),
        ),
    )

    answer = await site.post(START)

    assert told(answer) == problem(
        409,
        "broken_file",
        "web.yaml cannot be edited while it is broken",
        START,
        errors=[
            fault("expected a number", pointer="/port", file="web.yaml", line=3, column=7, hint="4001"),
            fault("web.yaml cannot be edited while it is broken", hint="mend the file, or pass for_ms"),
        ],
    )


async def test_a_controller_that_ends_refuses_with_503(site: Site) -> None:
    site.ports.refusal = Refused(code="draining", message="the controller ends")

    assert told(await site.post(START)) == problem(503, "draining", "the controller ends", START)


@pytest.mark.parametrize("code", ["state_unwritable", "disk_full"])
async def test_what_finds_no_room_is_refused_with_507(site: Site, code: str) -> None:
    site.ports.refusal = Refused(code=code, message="cannot write: no space left on device")

    assert told(await site.post(START)) == problem(507, code, "cannot write: no space left on device", START)


@pytest.mark.parametrize(
    ("code", "status", "retry_after_s"),
    [("busy", 409, 2), ("not_pushed", 503, 30), ("not_pulled", 409, None), ("read_only_source", 409, None),
     ("disk_full", 507, None)],
)  # fmt: skip
async def test_a_file_that_cannot_be_written_is_answered_as_to_who_changes_a_spec(
    site: Site, code: str, status: int, retry_after_s: int | None
) -> None:
    said: dict[str, Any] = {"message": "not now", "hint": "wait", "retry_after_s": retry_after_s}
    site.ports.refusal = Refused(code=code, **said)
    site.ports.spec_outcome = SpecRefused(reason=code, **said)

    asked = await site.post(START)
    changed = await site.ask(
        "PATCH", "/api/v1/worker-configs/web", b"{}", Content_Type="application/merge-patch+json"
    )  # fmt: skip

    assert told(asked) == told(changed) | {"instance": START}
    assert (asked.status, changed.status) == (status, status)
    expected = None if retry_after_s is None else str(retry_after_s)
    assert [answer.headers.get("Retry-After") for answer in (asked, changed)] == [expected, expected]


async def test_the_id_of_the_request_goes_along(site: Site) -> None:
    await site.post(START, None, X_Request_Id="deploy-7")

    (wish,) = site.ports.wishes
    assert isinstance(wish, ActionWish)
    assert wish.request_id == "deploy-7"


async def test_waiting_answers_when_the_operation_ends(site: Site) -> None:
    asked = asyncio.create_task(site.post(START + "?wait_s=9.5"))
    await until(lambda: "op1" in site.ports.operations)
    site.ports.move("op1", "running", "starting web/0")
    site.ports.move("op1", "failed", "it exited with 1")
    answer = await asked

    assert (answer.status, answer.json) == (200, _operation("failed", "it exited with 1"))


async def test_waiting_too_long_is_504_with_where_it_stands(site: Site) -> None:
    answer = await site.post(START + "?wait_s=0.02")

    detail = "the operation is accepted and goes on"
    assert told(answer) == problem(504, "still_under_way", detail, START, operation=_operation())
    assert answer.headers["Location"] == "/api/v1/operations/op1"


async def test_the_end_of_the_server_ends_the_waiting(site: Site) -> None:
    asked = asyncio.create_task(site.post(START + "?wait_s=600"))
    await until(lambda: len(site.ports.tower) == 1)
    await site.server.stop()

    assert (await asked).status == 504


@pytest.mark.parametrize("wait", ["-1", "601", "1e3", "x"])
async def test_a_wrong_time_to_wait_is_refused_before_anything_happens(site: Site, wait: str) -> None:
    answer = await site.post(f"{START}?wait_s={wait}")

    assert (answer.status, answer.json["code"], site.ports.wishes) == (400, "bad_parameter", [])


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({"gracefull": 1}, [fault("unknown field", pointer="/gracefull", hint="did you mean graceful?")]),
        (
            {"graceful": "yes", "for_ms": 5},
            [
                fault("expected true or false", pointer="/graceful"),
                fault("expected at least 1000", pointer="/for_ms"),
            ],
        ),
        (["x"], [fault("expected an object", pointer="")]),
        ({"reason": "a\nb"}, [fault("expected one line of text without control characters", pointer="/reason")]),
        (
            {"reason": "x" * 501, "for_ms": "1s"},
            [
                fault("expected at most 500 characters", pointer="/reason"),
                fault("expected an integer", pointer="/for_ms"),
            ],
        ),
        ({"a/b~": 1}, [fault("unknown field", pointer="/a~1b~0")]),
    ],
)
async def test_json_that_does_not_fit_is_422_with_all_faults(site: Site, body: Any, errors: list[Any]) -> None:
    answer = await site.post(START, body)

    detail = "the body is JSON but not what is expected here"
    assert told(answer) == problem(422, "invalid_body", detail, START, errors=errors)
    assert site.ports.wishes == []


@pytest.mark.parametrize("reason", ["a\nb", "x\x1b]0;t\x07", "\x9b31m", "a\u2028b", "x" * 501])
async def test_a_reason_is_one_plain_line(site: Site, reason: str) -> None:
    answer = await site.post(START, {"reason": reason})

    assert (answer.status, [entry["pointer"] for entry in answer.json["errors"]]) == (422, ["/reason"])


async def test_an_operation_is_polled_by_its_id(site: Site) -> None:
    await site.post(START)

    assert (await site.get("/api/v1/operations/op1")).json == _operation()
    missing = "/api/v1/operations/op2"
    assert told(await site.get(missing)) == problem(404, "unknown_operation", "there is no operation op2", missing)


async def test_reconcile_looks_now_and_confirms_a_digest(site: Site, actor: str) -> None:
    answers = [await site.post("/api/v1/reconcile", body) for body in (None, {}, {"confirm": "3f9a1c"})]

    assert [answer.status for answer in answers] == [202, 202, 202]
    expected = {"operation_id": "op3", "worker_id": None, "action": "reconcile", "state": "accepted", "detail": ""}
    assert answers[2].json == expected
    assert site.ports.wishes == [(None, actor), (None, actor), ("3f9a1c", actor)]


async def test_a_digest_that_no_hold_has_is_a_conflict(site: Site) -> None:
    site.ports.refusal = Refused(code="stale_plan", message="no hold has this digest")

    answer = await site.post("/api/v1/reconcile", {"confirm": "old"})

    assert told(answer) == problem(409, "stale_plan", "no hold has this digest", "/api/v1/reconcile")
