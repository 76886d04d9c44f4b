"""Specs as they were, their files, and workers that are gone, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.api_site import Site, fault, problem, told


def revision(seq: int, **more: Any) -> dict[str, Any]:
    return {
        "seq": seq, "at": "2026-01-31T12:00:00.000Z", "kind": "accepted", "revision": "1-0000000001", "actor": "ann",
        "reason": "", "message": "web.yaml:1 at revision 1-0000000001",
        "source": {"file": "web.yaml", "line": 1, "commit": "c1"},
        "commit": {"id": "c1", "author": "Ann", "at": "2026-01-31T11:00:00.000Z", "message": "more of it"},
        "spec": {"worker_id": "web"}, "fields": [{"path": "replicas", "from": 1, "to": 2, "effect": "none"}],
        "orders": {"create": ["web/1"]}, "gave_up": [], "is_current": False, **more,
    }  # fmt: skip


async def test_what_became_of_a_spec_comes_page_by_page(site: Site) -> None:
    site.ports.past["web"] = [revision(9, is_current=True), revision(4, kind="rejected", spec=None), revision(1)]
    first = (await site.get("/api/v1/worker-configs/web/history?limit=2")).json
    assert ([one["seq"] for one in first["items"]], first["next_cursor"]) == ([9, 4], "4")
    rest = (await site.get("/api/v1/worker-configs/web/history?cursor=4")).json
    assert rest == {"items": [revision(1)], "next_cursor": None}


async def test_a_file_is_shown_with_where_fields_come_from(site: Site) -> None:
    text = {
        "worker_id": "web", "file": "web.yaml", "etag": '"e"', "text": "worker_id: web\n", "line": 1, "last_line": 1,
        "origins": {"replicas": {"file": "base.yaml", "line": 2}},
    }  # fmt: skip
    site.ports.texts["web"] = text
    assert (await site.get("/api/v1/worker-configs/web/text")).json == text


async def test_gone_workers_are_those_that_went_before_the_cursor(site: Site) -> None:
    gone = {
        "worker_id": "old", "name": "", "labels": {"tier": "back"}, "revision": "1-0000000001",
        "source": {"file": "old.yaml", "line": 1, "commit": None}, "gone_at": "2026-01-31T12:00:00.000Z",
    }  # fmt: skip
    site.ports.gone.append(gone)
    answer = await site.get("/api/v1/gone-workers?limit=5&cursor=1769864400.250000000/old-1")
    assert answer.json == {"items": [gone], "next_cursor": None}
    assert site.ports.gone_asked == [(5, (1769864400.25, "old-1"))]


@pytest.mark.parametrize("path", ["history", "text"])
async def test_nothing_is_told_of_who_never_was(site: Site, path: str) -> None:
    answer = await site.get(f"/api/v1/worker-configs/nobody/{path}")
    expected = problem(404, "unknown_worker", "there is no worker nobody", f"/api/v1/worker-configs/nobody/{path}")
    assert (answer.status, told(answer)) == (404, expected)


async def test_a_wrong_cursor_is_refused(site: Site) -> None:
    answer = await site.get("/api/v1/gone-workers?cursor=soon")
    message = "expected `next_cursor` of the page before"
    assert told(answer)["errors"] == [fault(message, pointer="/query/cursor")]
