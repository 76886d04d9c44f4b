"""Workers that tell of themselves: by curl, by controller/client.py, by the demonstration; who may, and who must."""

from __future__ import annotations

import re
import shutil
import signal
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.e2e_installation import PYTHON, Installation, Item
from tests.e2e.e2e_processes import eventually

pytestmark = pytest.mark.e2e

CLIENT = Path(__file__).parents[2] / "controller/client.py"
BY_CURL = """
while :; do
  curl -s -m 5 -X POST "$WORKERCTL_URL/api/v1/workers/$WORKER_ID/heartbeat" \
    -H "Authorization: Bearer $WORKERCTL_HEARTBEAT_TOKEN" -H 'Content-Type: application/json' \
    -d '{"active_tasks": 2, "metrics": {"ordinal": '"$WORKER_ORDINAL"'}, "status": "by curl"}'
  sleep 0.5
done
"""
BY_CLIENT = """
import itertools, sys, time
sys.path.insert(0, sys.argv[1])
from client import Heartbeat
heartbeat = Heartbeat(period_s=0.3)
heartbeat.error_count, heartbeat.assigned_accounts, heartbeat.status = 1, 5, "by client"
heartbeat.metrics["done"] = 7
with heartbeat:
    for number in itertools.count():
        heartbeat.record(f"task {number}", data={"number": number})
        time.sleep(0.2)
"""


BEATS_AT_WORK = """
import os, signal, socket, sys, time
sys.path.insert(0, sys.argv[1])
from client import Heartbeat
heartbeat = Heartbeat()
told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
while not os.path.exists(f"{sys.argv[1]}/hang.{os.getpid()}"):
    if sys.argv[2] == "api":
        heartbeat.beat()
    else:
        told.sendto(b"WATCHDOG=1", os.environ["NOTIFY_SOCKET"])
    time.sleep(0.3)
signal.pause()
"""


def token_of(site: Installation, worker_id: str) -> str:
    """The token that its first instance was started with."""
    pid = site.until_running(worker_id)[f"{worker_id}/0"]
    variables = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return next(text.partition("=")[2] for text in variables if text.startswith("WORKERCTL_HEARTBEAT_TOKEN="))


def until_told(site: Installation, worker_id: str, **figures: object) -> Item:
    def told() -> Item | None:
        item = site.worker(worker_id)
        return item if {name: item[name] for name in figures} == figures else None

    return eventually(told, told=f"{worker_id} told {figures}")


def records(site: Installation, worker_id: str, kind: str) -> list[str]:
    """What its log holds of this kind, oldest first."""
    answer = site.ask(f"/api/v1/workers/{worker_id}/logs?tail=10000&kind={kind}")
    return [item["text"] for item in answer.body["items"]]


def restarted(site: Installation, worker_id: str) -> Item | None:
    item = site.worker(worker_id)
    return item if item["status"] == "running" and item["restart_count"] else None


def beat(site: Installation, worker_id: str, token: str, body: object = None) -> int:
    path = f"/api/v1/workers/{worker_id}/heartbeat"
    return site.ask(path, "POST", body, Authorization=f"Bearer {token}").status


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this machine")
def test_a_shell_worker_tells_by_curl_and_its_replicas_are_summed(site: Installation) -> None:
    site.add("sheller", command=BY_CURL, replicas=2, stop={"signal": "TERM", "grace_ms": 2000})
    site.serve()

    item = until_told(site, "sheller", active_tasks=4, metrics={"ordinal": 1})

    assert [one["heartbeat"]["status"] for one in item["instances"]] == ["by curl", "by curl"]
    assert (item["error_count"], item["assigned_accounts"]) == (None, None)
    assert site.workers()["sheller"]["active_tasks"] == 4


def test_a_python_worker_tells_by_the_client_also_after_the_controller_was_killed(site: Installation) -> None:
    folder = site.root / "lib"
    folder.mkdir()
    shutil.copy(CLIENT, folder / "client.py")
    site.add("pythonic", command=[PYTHON, "-I", "-c", BY_CLIENT, str(folder)])
    site.serve()
    figures = {"error_count": 1, "assigned_accounts": 5, "metrics": {"done": 7}}
    until_told(site, "pythonic", **figures)
    pids = site.pids("pythonic")
    before = len(eventually(lambda: records(site, "pythonic", "task"), told="records of tasks"))

    site.kill("controller")
    site.serve()

    until_told(site, "pythonic", **figures)
    assert site.pids("pythonic") == pids
    tasks = eventually(
        lambda: found if len(found := records(site, "pythonic", "task")) > before + 2 else None, told="more of them"
    )
    assert tasks == [f"task {number}" for number in range(len(tasks))]
    lifecycle = records(site, "pythonic", "lifecycle")
    assert [text.split(" at ")[0] for text in lifecycle] == [
        f"started as pid {pids['pythonic/0']}", "became running: alive for 200 ms"
    ]  # fmt: skip


def test_the_demonstration_worker_tells_its_tasks(site: Installation) -> None:
    site.write("demo.yaml", "worker_id: demo\n")
    site.serve()

    item = eventually(lambda: site.worker("demo") if site.worker("demo")["last_heartbeat_at"] else None, told="it told")

    assert (item["error_count"], item["assigned_accounts"]) == (0, 0)
    answer = site.ask("/api/v1/workers/demo/health")
    assert (answer.status, answer.body["healthy"]) == (200, True)


def test_a_token_is_good_for_its_own_run_only(site: Installation) -> None:
    site.add("web")
    site.add("api")
    site.serve()
    token = token_of(site, "web")
    forged = token[:-1] + ("0" if token[-1] != "0" else "1")

    assert beat(site, "web", token, {"active_tasks": 3}) == 204
    assert beat(site, "api", token) == 403
    assert beat(site, "web", forged) == 401
    assert beat(site, "web", token, {"tasks": 3}) == 422
    assert site.worker("web")["active_tasks"] == 3

    before = site.kill_worker("web/0")
    site.until_reborn("web/0", before)

    assert beat(site, "web", token) == 401
    assert beat(site, "web", token_of(site, "web")) == 204
    assert site.worker("web")["active_tasks"] is None


def test_a_run_that_the_agent_starts_while_no_controller_is_there_has_a_good_token(site: Installation) -> None:
    site.add("web")
    site.serve()
    site.until_running("web")
    site.kill("controller", "agent")
    before = site.kill_worker("web/0")
    site.until_reborn("web/0", before)

    site.serve()

    assert beat(site, "web", token_of(site, "web"), {"active_tasks": 1}) == 204
    assert token_of(site, "web") not in site.log()


def test_who_must_beat_is_restarted_when_it_does_not_and_never_because_the_controller_was_away(
    site: Installation,
) -> None:
    shutil.copy(CLIENT, site.root / "client.py")
    for way in ("api", "socket"):
        command = [PYTHON, "-I", "-c", BEATS_AT_WORK, str(site.root), way]
        liveness = {"heartbeat": {"timeout_ms": 3000}}
        site.add(f"by-{way}", command=command, liveness=liveness, restart_delay_ms=100, stop={"grace_ms": 500})
    site.serve()
    pids = site.until_running("by-api", "by-socket")
    eventually(lambda: site.worker("by-api")["last_heartbeat_at"] or None, told="it beats")
    assert "; without another one by " in str(site.ask("/api/v1/workers/by-api/health").body)

    site.kill("controller")
    signal.sigtimedwait([], 7.0)  # more than twice the time that each of them has
    site.serve()
    eventually(lambda: site.worker("by-api")["last_heartbeat_at"] or None, told="it beats again")
    assert site.pids("by-api", "by-socket") == pids

    for pid in pids.values():
        (site.root / f"hang.{pid}").touch()
    for worker_id in ("by-api", "by-socket"):
        item = eventually(partial(restarted, site, worker_id), told=f"{worker_id} is restarted")
        assert (item["restart_count"], item["last_exit"]["cause"]) == (1, "liveness")
        [event] = site.events(worker_id, "liveness_lost")
        assert re.fullmatch(
            r"the liveness probe failed: no heartbeat for \d+\.\d s, asked for every 3 s", event["message"]
        )
