"""The wall clock jumps: run inside a machine of `e2e_vm`, never on the host.

One installation: two calm workers, one that waits before its next try, one that is kept stopped for an hour. The clock
goes 400 days ahead, then 800 days back; after each jump the same is done. test_e2e_clock.py judges what was seen.
"""

from __future__ import annotations

import time
import traceback
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.e2e.e2e_installation import Installation
from tests.e2e.e2e_processes import eventually
from tests.e2e.vm_disk import answered, loopback

PATIENCE_S = 60.0
DAY_S = 86_400
WAIT_MS = 600_000
Facts = dict[str, Any]


def jumped(days: int) -> None:
    """The wall clock is set; the clocks that only go on are not."""
    time.clock_settime(time.CLOCK_REALTIME, time.time() + days * DAY_S)


def after_jump(site: Installation, number: int) -> Facts:
    """What people do, and what they see, when the clock has just been set."""
    old, waiting = site.pids("calm", "busy"), len(site.journal("waiting/0").starts)
    site.add("calm", labels={"jump": str(number)})
    site.add(f"new-{number}")
    eventually(lambda: site.workers()["calm"]["labels"] == {"jump": str(number)}, PATIENCE_S, told="the edit is seen")
    fresh = site.until_running(f"new-{number}", patience_s=PATIENCE_S)
    assert site.ask("/api/v1/workers/wished/restart", "POST").status == 202
    eventually(lambda: len(site.journal("wished/0").starts) == 1 + number, PATIENCE_S, told="the restart is done")
    (site.specs / f"new-{number}.yaml").unlink()
    eventually(lambda: f"new-{number}" not in site.workers(), PATIENCE_S, told="the removal is seen")
    seen = last_line(site)
    eventually(lambda: last_line(site) > seen, PATIENCE_S, told="new lines are stored, and are the last ones")
    newest = site.ask("/api/v1/events?limit=1000").body["items"]
    return {
        "calm": site.pids("calm", "busy") == old,
        "waiting": len(site.journal("waiting/0").starts) - waiting,
        "retry_in_s": eventually(lambda: soon(retry_in(site)), PATIENCE_S, told="the next try is shown anew"),
        "kept": site.workers()["kept"]["status"],
        "gone": not any(Path(f"/proc/{pid}").exists() for pid in fresh.values()),
        "restarts": len(site.journal("wished/0").starts),
        "told": [event["type"] for event in newest if event["worker_id"] == f"new-{number}" and event["run"]],
    }


def last_line(site: Installation) -> int:
    """The number of the line that `logs` shows last."""
    items = site.ask("/api/v1/workers/busy/logs?limit=1").body["items"]
    return int(items[-1]["text"].split()[1]) if items else 0


def soon(seconds: float) -> float:
    """Zero for what cannot be: who waits ten minutes does not wait for longer, nor since long ago."""
    return seconds if 0 < seconds <= WAIT_MS / 1000 else 0.0


def retry_in(site: Installation) -> float:
    """In how many seconds the worker that waits is to be tried again, as it is shown."""
    at = site.workers()["waiting"]["instances"][0]["next_retry_at"]
    return 0.0 if at is None else datetime.fromisoformat(at).timestamp() - time.time()


def main(site: Installation) -> Facts:
    site.add("calm")
    site.add("busy", "--lines=1000000", "--every=100")
    site.add("wished")
    site.add("kept")
    waits = {
        "max_restart_attempts": None,
        "restart_delay_ms": WAIT_MS,
        "restart_backoff": {"factor": 1, "max_delay_ms": WAIT_MS, "jitter": 0},
    }
    site.add("waiting", "--exit=1", **waits)
    site.serve(ready=False)
    eventually(site.is_ready, PATIENCE_S, told="it is ready")
    site.until_running("calm", "busy", "wished", "kept", patience_s=PATIENCE_S)
    site.until_status("waiting", "crashed", PATIENCE_S)
    wish = {"for_ms": 3_600_000, "reason": "work"}
    assert site.ask("/api/v1/workers/kept/stop", "POST", wish).status == 202
    site.until_status("kept", "stopped", PATIENCE_S)
    eventually(lambda: last_line(site) > 10, PATIENCE_S, told="lines are stored")
    jumps = []
    for number, days in enumerate((400, -800), 1):
        jumped(days)
        jumps.append(after_jump(site, number))
    return {"jumps": jumps, "wrong": site.close()}


if __name__ == "__main__":
    loopback()
    site = Installation()
    try:
        answered(main(site))
    except BaseException:
        answered({"error": f"{traceback.format_exc()}\n{site.story()}"})
