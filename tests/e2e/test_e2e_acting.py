"""What people ask for beside the specs: kills, holds until a time, and many workers at once."""

from __future__ import annotations

import re

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


def test_on_a_read_only_directory_a_worker_is_suspended_through_a_death_of_the_controller_resumed_and_ends_by_itself(
    site: Installation,
) -> None:
    site.add("web")
    file = site.specs / "web.yaml"
    before = file.read_bytes()
    site.specs.chmod(0o555)
    try:
        site.serve("--writes", "readonly")
        first = site.until_running()["web/0"]
        refused = site.run("stop", "web")
        assert (refused.code, "`workerctl suspend web --for 1h`" in refused.err) == (6, True)
        told = site.run("suspend", "web", "--for", "1h", "--reason", "maintenance", "--wait", "20")
        assert (told.code, "suspended until " in told.out) == (0, True)
        site.kill("controller")
        site.serve("--writes", "readonly")
        status = site.worker("web")
        assert (status["status"], status["desired_state"], site.living()) == ("stopped", "stopped", {})
        for verb in ("get", "describe", "plan"):
            told = site.run(verb, *(["web"] if verb != "plan" else []))
            assert re.search(r"kept stopped until \S+Z \(maintenance, by \w+\)", " ".join(told.out.split())), told
        assert site.run("resume", "web", "--wait", "20").code == 0
        assert site.until_running()["web/0"] != first
        assert site.run("resume", "web").code == 6
        assert site.run("suspend", "web", "--for", "2s", "--wait", "20").code == 0
        site.until_running("web", patience_s=40)
        assert site.worker("web")["holds"] == []
    finally:
        site.specs.chmod(0o755)
    assert file.read_bytes() == before
    assert [path.name for path in site.specs.iterdir()] == ["web.yaml"]
