"""Records that are removed under a keeper, and keepers that find live workers without a record."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.agent.keeper_harness import PYTHON, Bench, Peer, wait_until

CHILD = "import os, time\nif os.fork() == 0:\n    os.setsid()\ntime.sleep(60)\n"
SILENT = (
    "import os, time\nfd = os.open('/dev/null', 1)\nos.dup2(fd, 1); os.dup2(fd, 2)\nopen({}, 'x')\ntime.sleep(60)\n"
)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    made.paths.prepare()
    yield made
    made.close()


def worker(bench: Bench, run: str, slot: str = "web/0", **env: str) -> dict[str, Any]:
    """What the agent asks for: output in the tree of logs, instance and run in the environment."""
    folder = Path(bench.paths.logs, slot)
    folder.mkdir(parents=True, exist_ok=True)
    environ = {"PATH": "/usr/bin:/bin", "WORKER_INSTANCE": slot, "WORKER_RUN": run, **env}
    name = f"{slot}#{run}" if "HOOK" in env else slot
    return {"slot": name, "env": environ, "stdout": f"{folder}/{run}.stdout", "stderr": f"{folder}/{run}.stderr"}


def records(bench: Bench) -> list[str]:
    return sorted(name for name in os.listdir(bench.paths.runs) if name.endswith(".json"))


def next_keeper(bench: Bench) -> Peer:
    bench.kill_keeper()
    shutil.rmtree(bench.paths.runtime)
    bench.start()
    return bench.agent()


def test_live_workers_without_a_record_are_adopted_by_the_next_keeper(bench: Bench) -> None:
    bench.start()
    peer = bench.agent()
    before = peer.spawn("r1", **worker(bench, "r1"))
    hook = peer.spawn("r1-post_start", **worker(bench, "r1-post_start", HOOK="post_start"))
    shutil.rmtree(bench.paths.logs)  # the kernel still knows where they write to
    peer = next_keeper(bench)
    found = peer.runs()
    assert {run: (one["slot"], one["pid"], one["adopted"]) for run, one in found.items()} == {
        "r1": ("web/0", before["pid"], True),
        "r1-post_start": ("web/0#r1-post_start", hook["pid"], True),
    }
    assert abs(found["r1"]["spawned_at"] - before["at"]) < 2
    peer.send("signal", run="r1", signal=signal.SIGTERM, scope="group")
    assert peer.expect("exited", run="r1")["known"] is False


def test_a_leader_is_taken_and_not_the_child_that_leads_a_session_of_its_own(bench: Bench) -> None:
    bench.start()
    before = bench.agent().spawn("r1", PYTHON, "-c", CHILD, **worker(bench, "r1"))
    peer = next_keeper(bench)
    assert [one["pid"] for one in peer.runs().values()] == [before["pid"]]
    peer.send("signal", run="r1", signal=signal.SIGKILL, scope="group")
    peer.expect("group_empty", run="r1")


def test_what_writes_elsewhere_is_nobody_of_ours(bench: Bench, tmp_path: Path) -> None:
    """A copy of the state folder has its own logs; who replaced both outputs cannot be told from a stranger."""
    bench.start()
    peer = bench.agent()
    peer.spawn("r1", PYTHON, "-c", SILENT.format(repr(str(tmp_path / "silent"))), **worker(bench, "r1"))
    elsewhere = {**worker(bench, "r2", "web/1"), "stdout": f"{bench.logs}/r2.o", "stderr": f"{bench.logs}/r2.e"}
    peer.spawn("r2", **elsewhere)
    wait_until((tmp_path / "silent").exists)
    assert next_keeper(bench).runs() == {}


@pytest.mark.parametrize("with_folder", [True, False])
def test_records_that_were_removed_are_written_anew_when_the_agent_asks(bench: Bench, *, with_folder: bool) -> None:
    bench.start()
    peer = bench.agent()
    peer.spawn("r1", **worker(bench, "r1"))
    if with_folder:
        shutil.rmtree(bench.paths.runs)
        assert list(peer.runs()) == ["r1"], "told also where nothing can be written"
        bench.paths.prepare()
    else:
        os.unlink(f"{bench.paths.runs}/r1.json")
    assert list(peer.runs()) == ["r1"]
    assert records(bench) == ["r1.json"]
    peer.spawn("r2", **worker(bench, "r2", "web/1"))
    assert records(bench) == ["r1.json", "r2.json"]
