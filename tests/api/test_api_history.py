"""Figures over time, over HTTP: what is asked for, and how."""

from __future__ import annotations

import pytest

from controller.api.history import USUAL
from controller.api.past_ports import HistoryWish
from tests.api.api_site import Site, told

DRAWN = {
    "worker_id": "web", "since": "2026-01-31T12:00:00Z", "until": "2026-01-31T13:00:00Z", "step_s": 10,
    "times": [1, 11],
    "series": [{"worker_id": "web", "instance": None, "metric": "cpu_percent", "values": [1.5, None]}],
    "annotations": [
        {"at": "2026-01-31T12:00:00Z", "type": "started", "instance": "web/0", "actor": "agent", "message": "m"}
    ],
}  # fmt: skip


async def test_series_are_answered_as_they_are(site: Site) -> None:
    site.ports.drawn = DRAWN
    answer = await site.get("/api/v1/metrics-history?worker=web&since=1000&until=4600")
    assert (answer.status, answer.json) == (200, DRAWN)
    assert site.ports.history_wishes == [HistoryWish(worker_id="web", since=1000.0, until=4600.0, metrics=USUAL)]


async def test_without_times_it_is_the_last_hour(site: Site) -> None:
    site.ports.drawn = DRAWN
    await site.get("/api/v1/metrics-history?worker=web")
    (wish,) = site.ports.history_wishes
    assert wish.until - wish.since == 3600


async def test_without_a_worker_it_is_the_last_two_minutes_of_all(site: Site) -> None:
    everything = {**DRAWN, "worker_id": None, "annotations": []}
    site.ports.drawn = everything
    answer = await site.get("/api/v1/metrics-history?metric=cpu_percent")
    (wish,) = site.ports.history_wishes
    assert (answer.json, wish.worker_id, wish.until - wish.since) == (everything, None, 120)


@pytest.mark.parametrize("instance", ["2", "web/2"])
async def test_one_instance_one_metric_and_the_step_can_be_chosen(site: Site, instance: str) -> None:
    site.ports.drawn = DRAWN
    query = f"worker=web&instance={instance}&metric=cpu_max&metric=cpu_max&step=60&by=instance&since=0&until=60"
    await site.get(f"/api/v1/metrics-history?{query}")
    assert site.ports.history_wishes == [
        HistoryWish(
            worker_id="web", since=0.0, until=60.0, metrics=("cpu_max",), step=60, instance="web/2", by_instance=True
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "pointer", "message"),
    [
        ("instance=0", "instance", "expected a `worker` with it"),
        ("by=instance", "by", "expected a `worker` with it"),
        ("since=0&until=121", "since", "expected a `worker`; without one, at most 120 seconds before `until`"),
        ("worker=web&metric=speed", "metric", "expected one of cpu_percent, "),
        ("worker=web&step=5", "step", "expected one of 10, 60, 600"),
        ("worker=web&by=host", "by", "expected one of worker, instance"),
        ("worker=web&since=20&until=10", "since", "expected a time before `until`"),
        ("worker=web&instance=mail/0", "instance", "expected web/N or N"),
        ("worker=web&instance=x", "instance", "expected web/N or N"),
        ("worker=web&instance=" + "9" * 5000, "instance", "expected web/N or N"),
        ("worker=web&instance=%D9%A3", "instance", "expected web/N or N"),
        ("worker=web&foo=1", "foo", "unknown parameter"),
    ],
)
async def test_what_is_not_understood_is_refused(site: Site, query: str, pointer: str, message: str) -> None:
    answer = await site.get(f"/api/v1/metrics-history?{query}")
    (fault,) = told(answer)["errors"]
    assert (answer.status, fault["pointer"]) == (400, f"/query/{pointer}")
    assert fault["message"].startswith(message)


async def test_a_worker_of_which_nothing_is_known_is_404(site: Site) -> None:
    answer = await site.get("/api/v1/metrics-history?worker=other")
    assert (answer.status, told(answer)["code"]) == (404, "unknown_worker")
