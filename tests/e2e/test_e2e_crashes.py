"""What dies comes back after the delay that its spec asks for; what dies again and again gives up, and says so."""

from __future__ import annotations

import os
import signal

import pytest

from tests.e2e.e2e_installation import Installation, Item
from tests.e2e.e2e_processes import eventually, process

pytestmark = pytest.mark.e2e

BUDGET = {"max_restart_attempts": 2, "restart_delay_ms": 100, "restart_backoff": {"factor": 3, "jitter": 0}}


def event(site: Installation, worker_id: str, kind: str) -> Item:
    """The newest event of a kind, once there is one."""
    return eventually(lambda: next(iter(site.events(worker_id, kind)[-1:]), None), told=f"{kind} of {worker_id}")


def test_a_killed_worker_is_back_after_its_delay_and_its_event_tells_cause_and_next_try(site: Installation) -> None:
    site.add("web", restart_delay_ms=1500, restart_backoff={"jitter": 0})
    site.add("api")
    site.serve()
    before = site.until_running()
    site.kill_worker("web/0")
    site.until_status("web", "crashed")
    crashed = eventually(lambda: (w := site.worker("web"))["next_retry_at"] and w, 1.5, told="the next try is shown")
    assert crashed["last_exit"]["cause"] == "signaled"
    assert "KILL" in str(crashed["last_exit"]["signal"]) or crashed["last_exit"]["signal"] == 9
    assert site.run("status", "web").code in (0, 3)
    site.until_reborn("web/0", before["web/0"])
    after = site.until_running("web", "api")
    assert after["api/0"] == before["api/0"]
    told = event(site, "web", "restart_scheduled")
    assert "KILL" in told["message"]
    assert "next try in 1.5 s" in told["message"]
    exited, started = event(site, "web", "exited"), site.events("web", "started")[-1]
    assert seconds(exited["at"], started["at"]) == pytest.approx(1.5, abs=0.4)
    assert site.worker("web")["restart_count"] == 1


def seconds(earlier: str, later: str) -> float:
    """Between two RFC 3339 times of one hour."""
    minute, second = (later[14:16], earlier[14:16]), (later[17:-1], earlier[17:-1])
    return (int(minute[0]) - int(minute[1])) * 60 + float(second[0]) - float(second[1])


def test_a_delay_of_zero_restarts_at_once(site: Installation) -> None:
    site.add("web", restart_delay_ms=0)
    site.serve()
    site.until_running("web")
    site.until_reborn("web/0", site.kill_worker("web/0"), 5)


def test_a_crash_loop_backs_off_and_ends_in_error_with_its_reason(site: Installation) -> None:
    site.add("flaky", "--exit=3", "--after=20", **BUDGET)
    site.add("calm")
    site.serve()
    item = site.until_status("flaky", "error")
    assert "gave up after 2 restarts" in item["why"]
    assert item["last_exit"]["code"] == 3
    assert len(site.journal("flaky/0").starts) == 3
    times = [start.at for start in site.journal("flaky/0").starts]
    assert times[1] - times[0] >= 0.1
    assert times[2] - times[1] >= 0.3
    assert site.run("status", "flaky").code == 3
    assert "gave up" in site.run("get", "flaky").out
    assert "exited with code 3" in event(site, "flaky", "gave_up")["message"]
    assert len(site.journal("calm/0").starts) == 1


@pytest.mark.parametrize("way", ["start", "restart", "edit"])
def test_what_gave_up_is_brought_back_with_a_fresh_budget(site: Installation, way: str) -> None:
    flag = site.root / "mended"
    site.write("flaky.yaml", flaky(site, str(flag)))
    site.serve()
    site.until_status("flaky", "error")
    ask_again(site, way, str(flag))
    eventually(lambda: len(site.events("flaky", "gave_up")) == 2, told="it gave up once more")
    assert len(site.events("flaky", "started")) == 6, "each time one start and two restarts"
    flag.touch()
    ask_again(site, "restart", str(flag))
    site.until_running("flaky")


def ask_again(site: Installation, way: str, flag: str) -> None:
    if way == "edit":
        site.write("flaky.yaml", flaky(site, flag, env={"EDITED": "yes"}))
    else:
        assert site.run(way, "flaky").code == 0


def flaky(site: Installation, flag: str, **fields: object) -> str:
    """A worker that fails until the file `flag` is there."""
    return site.spec("flaky", **{"command": f"test -e {flag} && exec sleep 1000; exit 3", **BUDGET, **fields})


def test_a_clean_exit_is_completed_and_satisfies_the_spec(site: Installation) -> None:
    site.add("once", "--exit=0", "--after=300")
    site.serve()

    def has_completed() -> bool:
        # Before its first start it is `stopped` as well.
        return {c["type"]: c["status"] for c in site.worker("once")["conditions"]}.get("Completed") == "True"

    eventually(has_completed, told="it has completed")
    assert site.worker("once")["status"] == "stopped"
    assert site.run("status", "once").code == 0
    assert site.run("plan").code == 0


def test_always_restarts_a_clean_exit_and_never_restarts_nothing(site: Installation) -> None:
    site.add("always", "--exit=0", "--after=50", auto_restart="always", restart_delay_ms=50, max_restart_attempts=None)
    site.add("never", "--exit=3", "--after=50", auto_restart="never")
    site.serve()
    eventually(lambda: len(site.journal("always/0").starts) >= 3, told="it is started again and again")
    assert "auto_restart is never" in site.until_status("never", "error")["why"]
    assert len(site.journal("never/0").starts) == 1


def test_children_of_a_crashed_worker_are_gone_before_the_next_one_starts(site: Installation) -> None:
    """The canary's child keeps the lock of its slot: a start beside it would be a second process."""
    site.add("web", "--child", stop={"grace_ms": 500})
    site.serve()
    site.until_running("web")
    child = site.journal("web/0").children[0]
    site.until_reborn("web/0", site.kill_worker("web/0"))
    assert process(child) is None


def test_a_child_in_a_session_of_its_own_dies_with_its_worker(site: Installation) -> None:
    site.add("web", "--child-setsid", stop={"grace_ms": 500})
    site.serve()
    site.until_running("web")
    child = site.journal("web/0").children[0]
    assert site.run("stop", "web", "--wait", "20").code == 0
    eventually(lambda: process(child) is None, 5, told="the child is gone")


def test_a_worker_that_is_stopped_by_a_stranger_signal_is_told_with_that_signal(site: Installation) -> None:
    site.add("web", command="exec sleep 1000")
    site.serve()
    pid = site.until_running("web")["web/0"]
    os.kill(pid, signal.SIGSEGV)
    eventually(lambda: site.pids("web").get("web/0") not in (None, pid), told="it is back")
    assert "SEGV" in event(site, "web", "restart_scheduled")["message"]
