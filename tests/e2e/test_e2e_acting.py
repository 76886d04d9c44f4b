"""What people ask for beside the specs: kills, holds until a time, and many workers at once."""

from __future__ import annotations

import pytest

from tests.e2e.e2e_installation import Installation

pytestmark = pytest.mark.e2e


def test_what_is_not_stopped_gracefully_is_killed_at_once_and_told_with_the_name_of_who_asked(
    site: Installation,
) -> None:
    site.add("web", "--ignore-term", stop={"grace_ms": 600000})
    site.serve()
    before = site.until_running()["web/0"]
    again = site.ask("/api/v1/workers/web/restart?wait_s=20", "POST", {"graceful": False, "reason": "it hangs"})
    assert (again.status, again.body["state"]) == (200, "succeeded")
    assert site.until_running()["web/0"] != before
    asked = site.ask("/api/v1/workers/web/stop", "POST", {})
    assert asked.status == 202
    site.until_status("web", "stopping")
    killed = site.ask("/api/v1/workers/web/stop?wait_s=20", "POST", {"graceful": False})
    assert (killed.status, killed.body["state"]) == (200, "succeeded")
    assert site.living() == {}
    told = [event["message"] for event in site.events("web", "restart_requested")]
    assert len(told) == 1
    assert told[0].startswith("restart at once asked for by ")
    assert told[0].endswith(": it hangs")


def test_what_is_kept_stopped_stays_so_through_a_death_of_the_controller_and_starts_again_by_itself(
    site: Installation,
) -> None:
    site.add("web")
    file = site.specs / "web.yaml"
    site.serve()
    site.until_running()
    before = file.read_bytes()
    kept = site.ask("/api/v1/workers/web/stop?wait_s=20", "POST", {"for_ms": 15000, "reason": "maintenance"})
    assert (kept.status, kept.body["state"]) == (200, "succeeded")
    site.kill("controller")
    site.serve()
    status = site.ask("/api/v1/workers/web/status").body
    assert status["status"] == "stopped"
    assert "it is kept stopped by " in status["why"]
    assert "maintenance" in site.run("describe", "web").out
    site.until_running("web", patience_s=40)
    assert file.read_bytes() == before
    assert site.ask("/api/v1/workers/web/status").body["holds"] == []


def test_resume_ends_what_was_to_last_longer(site: Installation) -> None:
    site.add("web")
    site.serve()
    site.until_running()
    assert site.ask("/api/v1/workers/web/stop?wait_s=20", "POST", {"for_ms": 3600000}).status == 200
    assert site.ask("/api/v1/workers/web/resume?wait_s=20", "POST", {}).status == 200
    site.until_running("web")
    assert site.ask("/api/v1/workers/web/resume", "POST", {}).status == 409
