"""Batches of the real program: killed at each of its lines in turn, in the middle of many restarts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.e2e_installation import Installation
from tests.e2e.test_e2e_failpoints import Life, all_names, end_gracefully

pytestmark = pytest.mark.e2e

POINTS = [name for name in all_names() if name.startswith("controller.batch_")]
WORKERS = ["a", "b", "c", "d"]


def test_a_controller_that_dies_at_every_line_of_a_batch_restarts_each_worker_exactly_once(site: Installation) -> None:
    life = Life(site, "=kill@once;".join(POINTS))
    for name in (*WORKERS, "calm"):
        site.add(name, labels={"tier": "front" if name in "ab" else "back"})
    life.serve()
    for name in (*WORKERS, "calm"):
        life.runs(name)
    calm = site.living()["calm/0"]

    def batches() -> list[Any]:
        return list(site.ask("/api/v1/batches").body["items"])

    def begun() -> bool:
        if not batches():
            body = {"action": "restart", "worker_ids": [*WORKERS, "nobody"], "options": {"parallel": 2}}
            site.ask("/api/v1/workers/batch", "POST", body)
        return bool(batches())

    life.until(begun, "a batch is begun")
    life.until(lambda: batches()[0]["ended_at"], "the batch is over")
    (summary,) = batches()
    done = site.ask(f"/api/v1/batches/{summary['batch_id']}").body
    assert [life.was_killed(name) for name in POINTS] == [True] * len(POINTS)
    assert (done["state"], done["detail"]) == ("succeeded", "4 restarted, 1 not found")
    assert [(one["worker_id"], one["state"]) for one in done["results"]] == [
        *((name, "succeeded") for name in WORKERS),
        ("nobody", "not_found"),
    ]
    assert {name: len(site.journal(f"{name}/0").starts) for name in WORKERS} == dict.fromkeys(WORKERS, 2)
    told = site.run("batch", "restart", "-l", "tier=front")
    assert (told.code, told.err) == (0, "")
    assert told.out.startswith("restart 2 workers, 4 at a time: a, b\n✓ batch ")
    assert [len(site.journal(f"{name}/0").starts) for name in WORKERS] == [3, 3, 2, 2]
    assert site.living()["calm/0"] == calm
    end_gracefully(life)
