"""The worker's own door, and a worker's health in words."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from controller.api.ports import Sender, StoreUnavailable, Topic, Turned
from controller.api.worker_health import worker_health
from controller.core.heartbeats import Beat, OwnRecord
from tests.api.api_site import Answer, Site, request
from tests.fakes.api_ports import FakePorts, instance, status_of, worker

PATH = "/api/v1/workers/web/heartbeat"
WEB = Sender(instance="web/0", run="run1")


def admit(site: Site, found: Sender | Turned = WEB) -> FakePorts:
    site.ports.admitted["web", "good"] = found
    return site.ports


async def beat(site: Site, body: Any = None, token: str = "good") -> Answer:
    return await site.post(PATH, body, Authorization=f"Bearer {token}")


async def test_a_heartbeat_with_the_runs_token_is_kept(site: Site) -> None:
    ports = admit(site)

    answer = await beat(
        site, {"active_tasks": 2, "assigned_accounts": 3, "error_count": 1, "metrics": {"lag": 1.5}, "status": "fine"}
    )

    assert (answer.status, answer.body) == (204, b"")
    assert ports.beats == [
        (WEB, Beat(active_tasks=2, assigned_accounts=3, error_count=1, metrics={"lag": 1.5}, status="fine"))
    ]


async def test_to_be_there_is_enough(site: Site) -> None:
    ports = admit(site)

    assert (await beat(site)).status == 204
    assert ports.beats == [(WEB, Beat())]


@pytest.mark.parametrize(
    ("found", "status", "code"),
    [
        (Turned.FORGED, 401, "wrong_token"),
        (Turned.FOREIGN, 403, "not_authorised"),
    ],
)
async def test_a_token_that_does_not_count_keeps_nothing(site: Site, found: Turned, status: int, code: str) -> None:
    ports = admit(site, found)

    answer = await beat(site, {"active_tasks": 1})

    assert (answer.status, answer.json["code"], ports.beats) == (status, code, [])


@pytest.mark.parametrize("header", ["", "Authorization: Basic good", "Authorization: Bearer", "Authorization: good"])
async def test_without_a_token_the_controllers_own_user_is_nobody_here(site: Site, header: str) -> None:
    admit(site)

    answer = await site.raw(request(f"POST {PATH} HTTP/1.1", *([header] if header else [])))

    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="workerctl heartbeat"'


async def test_a_run_whose_start_is_news_is_waited_for(site: Site) -> None:
    ports = admit(site, Turned.NOT_LIVE)

    sent = asyncio.create_task(beat(site))
    async with asyncio.timeout(10):
        while not len(ports.tower):
            await asyncio.wait([sent], timeout=0.01)
    ports.admitted["web", "good"] = WEB
    ports.tower.ring(Topic.WORKERS, "web")

    assert (await sent).status == 204
    assert ports.beats == [(WEB, Beat())]


async def test_a_run_that_is_over_has_no_say(site: Site) -> None:
    ports = admit(site, Turned.NOT_LIVE)

    answer = await beat(site)

    assert (answer.status, answer.json["code"], ports.beats) == (401, "run_over", [])


async def test_too_many_heartbeats_are_429_with_when_to_come_again(site: Site) -> None:
    ports = admit(site)
    ports.wait_s = 0.2

    answer = await beat(site)

    assert (answer.status, answer.json["code"], answer.headers["Retry-After"]) == (429, "too_many_heartbeats", "1")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"tasks": 1}, "/tasks"),
        ({"active_tasks": -1}, "/active_tasks"),
        ({"active_tasks": "1"}, "/active_tasks"),
        ({"active_tasks": 2**60}, "/active_tasks"),
        ({"assigned_accounts": [1]}, "/assigned_accounts"),
        ({"metrics": {"a b": 1}}, "/metrics/a b"),
        ({"metrics": {"x" * 65: 1}}, "/metrics/" + "x" * 65),
        ({"metrics": {"lag": "much"}}, "/metrics/lag"),
        ({"metrics": {"lag": True}}, "/metrics/lag"),
        ({"metrics": {f"m{number}": 1 for number in range(65)}}, "/metrics"),
        ({"status": "one\ntwo"}, "/status"),
        ({"status": "x" * 201}, "/status"),
    ],
)
async def test_what_no_heartbeat_has_is_422(site: Site, body: Any, pointer: str) -> None:
    ports = admit(site)

    answer = await beat(site, body)

    assert (answer.status, [fault["pointer"] for fault in answer.json["errors"]], ports.beats) == (422, [pointer], [])


async def test_a_metric_is_told_what_its_name_and_its_value_may_be(site: Site) -> None:
    admit(site)

    answer = await beat(site, {"metrics": {"a b": 1, "lag": "much"}})

    assert {fault["pointer"]: fault["message"] for fault in answer.json["errors"]} == {
        "/metrics/a b": "expected a name of letters, digits and _ . : -, at most 64 characters, a letter or _ first",
        "/metrics/lag": "expected a number",
    }


TASK = {"kind": "task", "message": "job 7 done"}


async def test_records_reach_its_log_after_its_figures_are_kept(site: Site) -> None:
    ports = admit(site)
    error = {"kind": "error", "message": "lost\nit", "data": {"job": [7]}, "age_ms": 1500, "seq": 4}

    answer = await beat(site, {"source": "w.1", "records": [TASK, error, {**TASK, "level": "warning", "seq": 9}]})

    assert (answer.status, ports.beats) == (204, [(WEB, Beat())])
    assert ports.told_records == [
        (WEB, "w.1", OwnRecord(kind="task", message="job 7 done", level="info")),
        (WEB, "w.1", OwnRecord(
            kind="error", message="lost\nit", level="error", data={"job": [7]}, age_s=1.5, number=4
        )),
        (WEB, "w.1", OwnRecord(kind="task", message="job 7 done", level="warning", number=9)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "pointer", "message"),
    [
        ({"records": [{**TASK, "kind": "line"}]}, "/records/0/kind", "expected 'task' or 'error'"),
        ({"records": [{"kind": "task"}]}, "/records/0/message", "this is needed"),
        ({"records": [{**TASK, "message": ""}]}, "/records/0/message", "expected some text"),
        ({"records": [{**TASK, "message": "x" * 4001}]}, "/records/0/message", "expected at most 4000 characters"),
        ({"records": [TASK, {**TASK, "level": "bad"}]}, "/records/1/level",
         "expected 'debug', 'info', 'warning', 'error' or 'critical'"),
        ({"records": [{**TASK, "data": [1]}]}, "/records/0/data", "expected an object"),
        ({"records": [{**TASK, "data": {"a": "x" * 4096}}]}, "/records/0/data",
         "expected at most 4096 characters of JSON"),
        ({"records": [{**TASK, "seq": 0}]}, "/records/0/seq", "expected at least 1"),
        ({"records": [{**TASK, "seq": 2}, TASK, {**TASK, "seq": 2}]}, "/records",
         "expected each seq to be above the one before"),
        ({"records": [TASK] * 51}, "/records", "expected at most 50 of them"),
        ({"source": "a b"}, "/source", "expected a name of letters, digits and _ . : -, at most 64 characters"),
    ],
)  # fmt: skip
async def test_a_record_that_is_none_is_told_what_was_expected(
    site: Site, body: Any, pointer: str, message: str
) -> None:  # fmt: skip
    ports = admit(site)

    answer = await beat(site, body)

    errors = [(fault["pointer"], fault["message"]) for fault in answer.json["errors"]]
    assert (answer.status, errors, ports.beats, ports.told_records) == (422, [(pointer, message)], [], [])


async def test_records_that_cannot_be_stored_now_are_503_and_the_figures_are_kept_all_the_same(site: Site) -> None:
    ports = admit(site)
    ports.broken = StoreUnavailable("it is away")

    answer = await beat(site, {"active_tasks": 1, "records": [TASK]})

    assert (answer.status, answer.json["code"], answer.headers["Retry-After"]) == (503, "database_unavailable", "5")
    assert answer.json["detail"] == "the records were not stored, the figures are kept: it is away"
    assert ports.beats == [(WEB, Beat(active_tasks=1))]


async def test_a_body_without_end_is_not_read(site: Site) -> None:
    admit(site)

    assert (await beat(site, {"status": "x" * 20_000})).status == 413


# --- health -------------------------------------------------------------------------------------------------------


def health(*instances: dict[str, Any], **more: Any) -> dict[str, Any]:
    item = status_of(worker("web", instances=[instance("web/0")], **more))
    merged = [{**item["instances"][0], **one} for one in instances or ({},)]
    return worker_health({**item, "instances": merged})


def test_without_a_probe_it_is_healthy_exactly_when_it_runs() -> None:
    assert health() == {
        "worker_id": "web",
        "healthy": True,
        "status": "running",
        "summary": "it is well",
        "last_heartbeat_at": None,
        "instances": [{"instance": "web/0", "healthy": True, "status": "running", "ready": None, "says": ["runs"]}],
    }


def test_what_is_not_ready_is_not_healthy_and_says_why() -> None:
    told = health({"ready": False, "message": "the readiness probe fails: connection refused"})

    assert (told["healthy"], told["summary"]) == (
        False,
        "1 of 1 not well; web/0 runs and is not ready: the readiness probe fails: connection refused",
    )


def test_heartbeat_and_own_words_are_told() -> None:
    beat = {"at": "2026-01-31T12:00:00.000Z", "status": "busy"}
    told = health({"ready": True, "notify_status": "indexing", "heartbeat": beat})

    assert told["instances"][0]["says"] == [
        "runs and says that it is ready",
        "in its own words: indexing",
        "its last heartbeat came at 12:00:00 UTC, which said: busy",
    ]


def test_when_the_next_heartbeat_has_to_be_there_is_told_where_liveness_asks_for_it() -> None:
    beat = {"at": "2026-01-31T12:00:00.000Z", "status": "", "due_at": "2026-01-31T12:00:30.000Z"}

    assert health({"heartbeat": beat})["instances"][0]["says"] == [
        "runs",
        "its last heartbeat came at 12:00:00 UTC; without another one by 12:00:30 UTC it is ended",
    ]


@pytest.mark.parametrize("status", ["starting", "stopping", "stopped", "crashed", "error", "unknown"])
async def test_what_does_not_run_is_503(site: Site, status: str) -> None:
    one = instance("web/0", status=status, reason="Because")
    site.ports.put(worker("web", status=status, instances=[one]))

    answer = await site.get("/api/v1/workers/web/health")

    assert (answer.status, answer.json["summary"]) == (503, f"1 of 1 not well; web/0 is {status}: Because")


async def test_health_is_200_for_what_runs_and_404_for_nobody(site: Site) -> None:
    assert (await site.get("/api/v1/workers/web/health")).status == 200
    assert (await site.get("/api/v1/workers/nobody/health")).json["code"] == "unknown_worker"
