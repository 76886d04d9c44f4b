"""Runs under a living keeper: spawned, told, pinned, stopped with all that belongs to them, reaped."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.agent import procfs
from tests.agent.keeper_harness import PYTHON, Bench, Peer, wait_until

# A worker that leaves a process of its own group behind in its session, says its pid, and goes on.
GRANDCHILD = "sleep 60 & echo $!; exec sleep 60"
# A daemon as in the books: two forks, a session of its own. It says its pid when it is one.
DAEMON = """
import os, sys, time
{before}
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        {scrub}
        print(os.getpid(), flush=True)
        time.sleep(60)
    os._exit(0)
os.wait()
time.sleep(60)
"""


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


@pytest.fixture
def peer(bench: Bench) -> Peer:
    bench.start()
    peer = bench.agent()
    assert peer.expect("runs")["runs"] == []
    return peer


def said_pid(bench: Bench, run: str, command: str = "sleep") -> procfs.Identity:
    """The pid that a worker printed, once that process is `command`: before exec it still handles signals its way."""
    wait_until(lambda: bench.output(run).endswith("\n"))
    pid = int(bench.output(run))
    wait_until(lambda: Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").startswith(command))
    return bench.remember(pid)


def daemon(*, before: str = "", scrub: str = "pass") -> list[str]:
    return [PYTHON, "-c", DAEMON.format(before=before, scrub=scrub)]


def test_a_run_is_spawned_exits_and_empties_in_this_order_with_its_output_in_files(bench: Bench, peer: Peer) -> None:
    spawned = peer.spawn("r1", "sh", "-c", "echo out; echo err >&2; exit 3", slot="web/0")
    exited = peer.expect("exited")
    assert peer.expect("group_empty") == {"ev": "group_empty", "run": "r1"}
    assert peer.events == []
    assert {**exited, "at": 0} == {
        "ev": "exited", "run": "r1", "slot": "web/0", "pid": spawned["pid"], "code": 3, "signal": None, "core": False,
        "known": True, "at": 0,
    }  # fmt: skip
    assert (bench.output("r1"), bench.output("r1", "stderr")) == ("out\n", "err\n")


def test_a_signal_that_ended_a_run_is_told(peer: Peer) -> None:
    os.kill(peer.spawn("r1")["pid"], signal.SIGKILL)
    exited = peer.expect("exited")
    assert (exited["code"], exited["signal"], exited["core"]) == (None, 9, False)


def test_the_zombie_pins_its_pid_until_the_run_is_reaped(bench: Bench, peer: Peer) -> None:
    pid = peer.spawn("r1", "true")["pid"]
    peer.expect("group_empty")
    stat = procfs.read_stat(pid)
    assert stat is not None
    assert stat.state == "Z"
    listed = peer.runs()["r1"]
    assert (listed["pid"], listed["group_empty"], listed["exited"]["code"]) == (pid, True, 0)
    assert os.listdir(bench.paths.runs) == ["r1.json"]
    peer.send("reap", run="r1")
    assert peer.runs() == {}
    assert procfs.read_stat(pid) is None
    assert os.listdir(bench.paths.runs) == []


def test_a_live_run_is_not_reaped(peer: Peer) -> None:
    pid = peer.spawn("r1")["pid"]
    peer.send("reap", run="r1", force=True)
    assert peer.runs()["r1"]["exited"] is None
    assert procfs.start_time(pid) is not None


def test_a_failed_exec_is_named_and_leaves_nothing(bench: Bench, peer: Peer) -> None:
    peer.ask("r1", "nonesuch", slot="web/0")
    failed = peer.expect("spawn_failed")
    assert {**failed, "at": 0} == {
        "ev": "spawn_failed", "run": "r1", "slot": "web/0", "stage": "exec", "errno": errno.ENOENT,
        "message": "Cannot execute nonesuch: command not found", "at": 0,
    }  # fmt: skip
    assert (peer.runs(), os.listdir(bench.paths.runs)) == ({}, [])
    wait_until(lambda: children(bench) == [peer.pid])


def children(bench: Bench) -> list[int]:
    return procfs.children(bench.keepers[-1].pid) or []


def test_an_unreadable_request_is_refused_without_harm(peer: Peer) -> None:
    peer.send("spawn", run="r1", slot="web/0")
    assert peer.expect("spawn_failed")["stage"] == "request"
    peer.send("dance")
    peer.send("signal", run="r1", signal="many", scope="main")
    assert peer.runs() == {}


def test_a_slot_never_has_two_live_processes(peer: Peer) -> None:
    first = peer.spawn("r1", slot="web/0")
    peer.ask("r2", slot="web/0")
    failed = peer.expect("spawn_failed", run="r2")
    message = f"Cannot start: web/0 has a live process, {first['pid']} of run r1"
    assert (failed["stage"], failed["errno"], failed["message"]) == ("slot", errno.EBUSY, message)
    assert list(peer.runs()) == ["r1"]


def test_a_signal_reaches_the_main_process_alone_or_its_group(bench: Bench, peer: Peer) -> None:
    peer.spawn("r1", "sh", "-c", "trap 'exit 5' TERM; sleep 60 & echo $!; wait")
    child = said_pid(bench, "r1")
    peer.send("signal", run="r1", signal=signal.SIGTERM, scope="main")
    assert peer.expect("exited", run="r1")["code"] == 5
    assert procfs.is_alive(child)
    assert peer.runs()["r1"]["group_empty"] is False
    peer.send("signal", run="r1", signal=signal.SIGTERM, scope="group")
    peer.expect("group_empty", run="r1")
    assert not procfs.is_alive(child)


def test_a_child_left_behind_keeps_the_group_until_it_is_killed(bench: Bench, peer: Peer) -> None:
    peer.spawn("r1", "sh", "-c", GRANDCHILD)
    child = said_pid(bench, "r1")
    peer.send("signal", run="r1", signal=signal.SIGKILL, scope="main")
    peer.expect("exited", run="r1")
    assert peer.runs()["r1"]["group_empty"] is False
    assert [event for event in peer.events if event["ev"] == "group_empty"] == []
    peer.send("reap", run="r1")
    assert list(peer.runs()) == ["r1"]
    peer.send("signal", run="r1", signal=signal.SIGKILL, scope="group")
    peer.expect("group_empty", run="r1")
    assert procfs.liveness(child) == procfs.GONE


def test_what_is_left_of_a_run_may_stay_when_the_reap_is_forced(bench: Bench, peer: Peer) -> None:
    peer.spawn("r1", "sh", "-c", GRANDCHILD)
    child = said_pid(bench, "r1")
    peer.send("signal", run="r1", signal=signal.SIGKILL, scope="main")
    peer.expect("exited", run="r1")
    peer.send("reap", run="r1", force=True)
    assert peer.runs() == {}
    assert procfs.is_alive(child)


def test_a_daemon_that_left_the_session_is_found_by_its_token_and_killed(bench: Bench, peer: Peer) -> None:
    peer.spawn("r1", *daemon())
    child = said_pid(bench, "r1", "python")
    assert procfs.session(child.pid) not in (None, peer.runs()["r1"]["pid"])
    peer.send("signal", run="r1", signal=signal.SIGKILL, scope="main")
    peer.expect("exited", run="r1")
    assert peer.runs()["r1"]["group_empty"] is False
    assert procfs.is_alive(child)
    peer.send("signal", run="r1", signal=signal.SIGKILL, scope="group")
    peer.expect("group_empty", run="r1")
    assert procfs.liveness(child) == procfs.GONE


def test_a_kill_of_the_group_reaches_a_descendant_without_session_or_token(bench: Bench, peer: Peer) -> None:
    code = (
        "import os, subprocess, time\n"
        "child = subprocess.Popen(['sleep', '60'], env={}, start_new_session=True, executable='/bin/sleep')\n"
        "print(child.pid, flush=True)\ntime.sleep(60)"
    )
    peer.spawn("r1", PYTHON, "-c", code)
    child = said_pid(bench, "r1")
    peer.send("signal", run="r1", signal=signal.SIGKILL, scope="group")
    peer.expect("group_empty", run="r1")
    assert not procfs.is_alive(child)


def test_a_polite_signal_reaches_who_left_the_process_group_and_the_session(bench: Bench, peer: Peer) -> None:
    code = "import os, sys, time; getattr(os, sys.argv[1])(*map(int, sys.argv[2:])); print('.', flush=True)"
    code += "; time.sleep(60)"
    script = '"$0" -c "$1" setpgid 0 0 & "$0" -c "$1" setsid & exec sleep 60'
    peer.spawn("r1", "sh", "-c", script, PYTHON, code)
    wait_until(lambda: bench.output("r1") == ".\n.\n")
    peer.send("signal", run="r1", signal=signal.SIGTERM, scope="group")
    assert peer.expect("exited", run="r1")["signal"] == signal.SIGTERM
    peer.expect("group_empty", run="r1")


def test_a_child_without_session_or_token_is_remembered_when_its_leader_ends_at_a_polite_signal(
    bench: Bench, peer: Peer
) -> None:
    deaf = "trap : TERM; echo $$; while :; do /bin/sleep 1; done"
    peer.spawn("r1", "sh", "-c", 'env -i setsid /bin/sh -c "$0" & exec sleep 60', deaf)
    wait_until(lambda: bench.output("r1").endswith("\n"))
    child = bench.remember(int(bench.output("r1")))
    peer.send("signal", run="r1", signal=signal.SIGTERM, scope="group")
    peer.expect("exited", run="r1")
    assert peer.runs()["r1"]["group_empty"] is False
    peer.send("signal", run="r1", signal=signal.SIGKILL, scope="group")
    peer.expect("group_empty", run="r1")
    assert not procfs.is_alive(child)


def test_a_descendant_that_matches_nothing_is_never_signalled(bench: Bench, peer: Peer) -> None:
    scrub = "os.environ.clear(); os.execve('/bin/sh', ['sh', '-c', 'echo $$; exec sleep 60'], {'PATH': '/bin'})"
    peer.spawn("r1", *daemon(scrub=scrub))
    child = said_pid(bench, "r1")
    stat = procfs.read_stat(child.pid)
    assert stat is not None
    assert stat.ppid == bench.keepers[-1].pid
    peer.send("signal", run="r1", signal=signal.SIGKILL, scope="group")
    peer.expect("group_empty", run="r1")
    assert procfs.is_alive(child)


def test_a_bystander_with_the_token_is_never_signalled(peer: Peer) -> None:
    with subprocess.Popen(["/bin/sleep", "60"], env={"WORKER_RUN": "r1"}, start_new_session=True) as bystander:
        peer.spawn("r1", *daemon())
        for number in (signal.SIGTERM, signal.SIGKILL):
            peer.send("signal", run="r1", signal=number, scope="group")
        peer.expect("group_empty", run="r1")
        assert bystander.poll() is None
        bystander.kill()


def test_orphans_of_workers_are_reaped_at_once_also_while_a_zombie_is_pinned(bench: Bench, peer: Peer) -> None:
    peer.spawn("pinned", "true")
    peer.expect("group_empty", run="pinned")
    peer.spawn("r1", "sh", "-c", "for i in 1 2 3 4 5; do (sh -c 'exit 7' & ) ; done; exec sleep 60")
    pids = {run["pid"] for run in peer.runs().values()} | {peer.pid}
    wait_until(lambda: set(children(bench)) == pids)


def test_a_stopped_process_can_be_killed(peer: Peer) -> None:
    peer.spawn("r1")
    for number in (signal.SIGSTOP, signal.SIGKILL):
        peer.send("signal", run="r1", signal=number, scope="group")
    assert peer.expect("exited", run="r1")["signal"] == signal.SIGKILL


def test_shutdown_waits_for_the_last_run_and_then_ends_both(bench: Bench, peer: Peer) -> None:
    peer.spawn("r1")
    peer.send("shutdown")
    assert peer.expect("busy") == {"ev": "busy", "runs": ["r1"]}
    peer.send("signal", run="r1", signal=signal.SIGKILL, scope="group")
    peer.expect("group_empty")
    peer.send("reap", run="r1")
    peer.send("shutdown")
    assert peer.expect("bye") == {"ev": "bye"}
    peer.ask("r2")
    assert peer.expect("spawn_failed", run="r2")["errno"] == errno.ESHUTDOWN
    peer.hang_up()
    assert bench.keepers[-1].wait(10) == 0
    assert list(Path(bench.paths.runs).iterdir()) == []
