"""What is bounded: descriptors, backlog, time; and that there is one keeper."""

from __future__ import annotations

import errno
import os
import resource
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.agent import procfs
from controller.agent.paths import AgentPaths, PathsError
from controller.agent.protocol import encode
from controller.agent.start import lock_holder, start_keeper
from tests.agent.keeper_harness import PYTHON, Bench, wait_until


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_a_second_keeper_ends_in_peace_while_the_first_serves(bench: Bench) -> None:
    first = bench.start()
    peer = bench.agent()
    second = bench.start()
    assert second.wait(10) == 0
    assert (first.poll(), peer.runs()) == (None, {})
    holder = lock_holder(bench.paths)
    assert holder is not None
    assert holder.pid == first.pid


def test_there_is_one_keeper_per_state_folder_whatever_the_environment_says(bench: Bench) -> None:
    first = bench.start()
    bench.agent()
    os.mkdir(os.path.join(bench.root, "run2"), 0o700)
    environ = {**os.environ, "XDG_RUNTIME_DIR": os.path.join(bench.root, "run2")}
    argv = [PYTHON, str(Path(__file__).with_name("keeper_harness.py")), "keeper", bench.state, "nowhere"]
    assert subprocess.run(argv, env=environ, timeout=10, check=False, capture_output=True).returncode == 0
    assert first.poll() is None


def test_a_keeper_that_waits_takes_over_when_the_first_is_killed(bench: Bench) -> None:
    bench.start()
    spawned = bench.agent().spawn("r1")
    first = bench.keepers[0]
    bench.start()
    first.kill()
    first.wait()
    assert bench.agent().runs()["r1"]["pid"] == spawned["pid"]


def test_two_hundred_spawns_are_quick(bench: Bench) -> None:
    bench.start()
    peer = bench.agent()
    started = time.monotonic()
    for number in range(200):
        peer.ask(f"r{number}")
    for number in range(200):
        peer.expect("spawned", run=f"r{number}")
    # A generous bound: the machine that runs the tests may be busy.
    assert time.monotonic() - started < 5
    for number in range(200):
        peer.send("signal", run=f"r{number}", signal=signal.SIGKILL, scope="group")
    for number in range(200):
        peer.expect("group_empty", run=f"r{number}")


def limit_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48))


def test_without_descriptors_spawns_fail_and_the_rest_is_still_kept(bench: Bench) -> None:
    keeper = bench.start(preexec_fn=limit_descriptors)
    peer = bench.agent()
    for number in range(40):
        peer.ask(f"r{number}")
    outcomes = [peer.expect_any("spawned", "spawn_failed") for _ in range(40)]
    spawned = [event["run"] for event in outcomes if event["ev"] == "spawned"]
    failed = {(event["stage"], event["errno"]) for event in outcomes if event["ev"] == "spawn_failed"}
    assert (failed, len(spawned) >= 8) == ({("fork", errno.EMFILE)}, True)
    assert sorted(peer.runs()) == sorted(spawned)
    before = cpu_ticks(keeper.pid)
    os.kill(peer.runs()[spawned[0]]["pid"], signal.SIGKILL)
    assert peer.expect("exited")["run"] == spawned[0]
    peer.expect("group_empty")
    peer.send("reap", run=spawned[0])
    assert peer.spawn("again")["run"] == "again"
    peer.send("signal", run="again", signal=signal.SIGKILL, scope="group")
    peer.expect("group_empty", run="again")
    assert cpu_ticks(keeper.pid) - before < 50


def test_more_runs_than_descriptors_are_adopted_by_polling(bench: Bench) -> None:
    bench.start()
    first = bench.agent()
    pids = {f"r{number}": first.spawn(f"r{number}")["pid"] for number in range(40)}
    bench.kill_keeper()
    bench.start(preexec_fn=limit_descriptors)
    peer = bench.agent()
    assert {run: listed["pid"] for run, listed in peer.runs().items()} == pids
    for run in ("r0", "r9", "r39"):  # r9 is the last by name: polled
        peer.send("signal", run=run, signal=signal.SIGTERM, scope="group")
        assert peer.expect("exited", run=run)["known"] is False
        peer.expect("group_empty", run=run)


def test_a_worker_gets_the_limit_that_the_keeper_was_started_with(bench: Bench) -> None:
    bench.start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200)), becomes_keeper=True)
    bench.agent().spawn("r1", "sh", "-c", "ulimit -Sn; ulimit -Hn")
    bench.kill_keeper()
    peer = bench.agent()
    peer.spawn("r2", "sh", "-c", "ulimit -Sn; ulimit -Hn")
    peer.expect("group_empty", run="r2")
    assert (bench.output("r1"), bench.output("r2")) == ("100\n200\n", "100\n200\n")
    peer.hang_up()


def test_an_agent_that_does_not_read_costs_bounded_memory_and_is_told_everything_later(bench: Bench) -> None:
    keeper = bench.start()
    peer = bench.agent()
    first = peer.spawn("r0")
    for number in range(1, 20):
        peer.spawn(f"r{number}")
    asked = 3000
    kill = encode({"op": "signal", "run": "r0", "signal": 9, "scope": "group"})
    peer.send_raw(encode({"op": "list"}) * asked + kill)
    wait_until(lambda: not procfs.is_alive(procfs.Identity(first["pid"], first["start_time"])))
    heard = 0
    while not tells_the_exit(peer.expect_any("runs", "exited")):
        heard += 1
    assert 0 < heard < asked
    assert peak_memory(keeper.pid) < 60_000_000
    assert peer.runs().keys() == {f"r{number}" for number in range(20)}


def tells_the_exit(event: dict[str, Any]) -> bool:
    return event["ev"] == "exited" or any(run["exited"] for run in event["runs"])


def peak_memory(pid: int) -> int:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def test_an_idle_keeper_does_nothing(bench: Bench) -> None:
    keeper = bench.start()
    peer = bench.agent()
    for number in range(5):
        peer.spawn(f"r{number}")

    def sleeps_on() -> bool:
        before = switches(keeper.pid)
        wait_for(0.5)
        return switches(keeper.pid) == before

    wait_until(sleeps_on)


def switches(pid: int) -> str:
    return next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("voluntary"))


def wait_for(seconds: float) -> None:
    """The time is what is tested: in it nothing may happen."""
    select.select([], [], [], seconds)


def test_a_keeper_that_was_started_detached_serves_on_its_own(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", os.path.join(bench.root, "run"))
    start_keeper(AgentPaths(bench.state))
    wait_until(lambda: lock_holder(bench.paths) is not None)
    holder = lock_holder(bench.paths)
    assert holder is not None
    stat = procfs.read_stat(holder.pid)
    assert stat is not None
    assert stat.ppid != os.getpid()
    assert stat.session not in (os.getsid(0), holder.pid)  # it can never get a terminal
    wait_until(lambda: "serves" in Path(bench.paths.keeper_log).read_text(encoding="utf-8"))


def test_a_keeper_that_cannot_be_started_is_an_error_with_its_reason(bench: Bench) -> None:
    os.makedirs(bench.state, 0o700)
    os.chmod(bench.state, 0o777)
    with pytest.raises(PathsError, match="others may write to it"):
        start_keeper(bench.paths)


def spare_ourselves() -> None:
    Path("/proc/self/oom_score_adj").write_text("-100")


def test_who_is_spared_when_memory_is_short_spares_no_worker(bench: Bench) -> None:
    """As under a unit with OOMScoreAdjust: keeper and agent keep it, workers do not get it."""
    if subprocess.run(["sh", "-c", "echo -100 >/proc/self/oom_score_adj"], capture_output=True, check=False).returncode:
        pytest.skip("the kernel lets nobody be spared here; tests/e2e/test_e2e_systemd.py has a kernel of its own")
    keeper = bench.start(preexec_fn=spare_ourselves)
    agent = bench.agent()
    agent.spawn("r1", "sh", "-c", "cat /proc/self/oom_score_adj")
    agent.expect("exited", run="r1")
    scores = [Path(f"/proc/{pid}/oom_score_adj").read_text().strip() for pid in (keeper.pid, agent.pid)]
    assert (bench.output("r1").strip(), scores) == ("0", ["-100", "-100"])
