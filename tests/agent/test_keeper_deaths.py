"""Deaths of our own: the agent's, the keeper's, both, at every place where it would matter. Workers never notice."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.agent import procfs
from controller.agent.protocol import encode
from tests.agent.keeper_harness import PYTHON, Bench, wait_until


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def processes_with_token(run: str) -> list[int]:
    table = procfs.scan() or {}
    alive = (pid for pid, stat in table.items() if not stat.is_dead)
    return [pid for pid in alive if procfs.environ_value(pid, b"WORKER_RUN") == run.encode()]


def test_a_killed_agent_is_replaced_and_told_how_things_stand(bench: Bench) -> None:
    bench.start()
    first = bench.agent()
    spawned = first.spawn(bench.token)
    os.kill(first.pid, signal.SIGKILL)
    second = bench.agent()
    (listed,) = second.expect("runs")["runs"]
    assert second.pid != first.pid
    assert listed == {
        "run": bench.token, "slot": bench.token, "pid": spawned["pid"], "start_time": spawned["start_time"],
        "spawned_at": spawned["at"], "adopted": False, "spawning": False, "exited": None, "group_empty": False,
    }  # fmt: skip


def test_what_a_dead_agent_had_asked_for_is_done(bench: Bench) -> None:
    keeper = bench.start()
    first = bench.agent()
    first.expect("runs")
    keeper.send_signal(signal.SIGSTOP)
    first.ask(bench.token)
    first.hang_up()
    wait_until(lambda: not procfs.is_alive(procfs.Identity(first.pid, procfs.start_time(first.pid) or 0)))
    keeper.send_signal(signal.SIGCONT)
    (listed,) = bench.agent().expect("runs")["runs"]
    assert (listed["run"], listed["exited"]) == (bench.token, None)


def test_an_exit_while_no_agent_is_there_is_remembered_with_its_code(bench: Bench) -> None:
    bench.start(fail="keeper.before_agent_start=sleep(0.5)@2")
    first = bench.agent()
    first.spawn(bench.token, "sh", "-c", "read x < fifo; exit 4", cwd=_with_fifo(bench))
    os.kill(first.pid, signal.SIGKILL)
    wait_until(lambda: procfs.read_stat(first.pid) is None)
    with open(os.path.join(bench.root, "fifo"), "w", encoding="ascii"):
        pass
    second = bench.agent()
    second.expect("runs")
    wait_until(lambda: second.runs()[bench.token]["group_empty"])
    exited = second.runs()[bench.token]["exited"]
    assert (exited["code"], exited["known"]) == (4, True)


def _with_fifo(bench: Bench) -> str:
    os.mkfifo(os.path.join(bench.root, "fifo"))
    return bench.root


def test_an_agent_that_cannot_stay_is_started_again_and_again_more_and_more_slowly(bench: Bench) -> None:
    bench.start()
    worker = None
    for turn in range(4):
        peer = bench.agent()
        peer.expect("runs")
        if turn == 0:
            worker = peer.spawn(bench.token)["pid"]
        assert peer.runs()[bench.token]["pid"] == worker
        os.kill(peer.pid, signal.SIGKILL)
    assert bench.agent().runs()[bench.token]["pid"] == worker


def test_an_agent_that_talks_nonsense_is_replaced(bench: Bench) -> None:
    bench.start()
    first = bench.agent()
    pid = first.spawn(bench.token)["pid"]
    first.send_raw(b"\xff" * 64)
    assert [run["pid"] for run in bench.agent().expect("runs")["runs"]] == [pid]


def test_a_keeper_is_not_ended_by_a_polite_signal(bench: Bench) -> None:
    keeper = bench.start()
    peer = bench.agent()
    peer.spawn(bench.token)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1):
        os.kill(keeper.pid, number)
    assert peer.runs()[bench.token]["exited"] is None
    assert keeper.poll() is None


def test_the_agent_of_a_killed_keeper_becomes_the_next_one_and_adopts_the_same_process(bench: Bench) -> None:
    bench.start(becomes_keeper=True)
    first = bench.agent()
    spawned = first.spawn(bench.token, "sh", "-c", "read x < fifo; exit 4", cwd=_with_fifo(bench))
    bench.kill_keeper()
    second = bench.agent()
    (listed,) = second.expect("runs")["runs"]
    assert (listed["pid"], listed["start_time"]) == (spawned["pid"], spawned["start_time"])
    assert (listed["adopted"], listed["exited"], listed["spawned_at"]) == (True, None, spawned["at"])
    stat = procfs.read_stat(second.pid)
    assert stat is not None
    assert stat.ppid == first.pid  # the old agent is the keeper now
    with open(os.path.join(bench.root, "fifo"), "w", encoding="ascii"):
        pass
    exited = second.expect("exited")
    assert (exited["code"], exited["signal"], exited["known"]) == (None, None, False)
    second.expect("group_empty")
    second.send("reap", run=bench.token)
    second.send("shutdown")
    second.expect("bye")
    second.hang_up()
    wait_until(lambda: not bench.ours())


def adopt(bench: Bench, *argv: str) -> tuple[Any, dict[str, Any]]:
    """A run of a killed keeper under a fresh one."""
    bench.start()
    spawned = bench.agent().spawn(bench.token, *argv)
    bench.kill_keeper()
    bench.start()
    peer = bench.agent()
    peer.expect("runs")
    return peer, spawned


def said_pid(bench: Bench) -> int:
    """The pid that the shell printed, once that process is no shell any more."""
    wait_until(lambda: bench.output(bench.token).endswith("\n"))
    pid = int(bench.output(bench.token))
    wait_until(lambda: Path(f"/proc/{pid}/comm").read_text(encoding="utf-8") == "sleep\n")
    return pid


def test_an_adopted_group_is_signalled_member_by_member(bench: Bench) -> None:
    peer, spawned = adopt(bench, "sh", "-c", "sleep 60 & echo $!; exec sleep 60")
    child = bench.remember(said_pid(bench))
    with subprocess.Popen(["/bin/sleep", "60"], env={"WORKER_RUN": bench.token}, start_new_session=True) as bystander:
        peer.send("signal", run=bench.token, signal=signal.SIGTERM, scope="main")
        assert peer.expect("exited")["pid"] == spawned["pid"]
        assert procfs.is_alive(child)
        assert peer.runs()[bench.token]["group_empty"] is False
        peer.send("signal", run=bench.token, signal=signal.SIGKILL, scope="group")
        peer.expect("group_empty")
        assert not procfs.is_alive(child)
        assert bystander.poll() is None
        bystander.kill()


def test_what_left_the_session_of_an_adopted_run_keeps_it_from_being_over_and_is_killed(bench: Bench) -> None:
    deaf = "trap '' TERM; echo $$; while :; do sleep 1; done"
    peer, _ = adopt(bench, "sh", "-c", 'setsid sh -c "$0" & exec sleep 60', deaf)
    wait_until(lambda: bench.output(bench.token).endswith("\n"))
    survivor = bench.remember(int(bench.output(bench.token)))
    peer.send("signal", run=bench.token, signal=signal.SIGTERM, scope="group")
    peer.expect("exited")
    assert peer.runs()[bench.token]["group_empty"] is False
    assert procfs.is_alive(survivor)
    peer.send("signal", run=bench.token, signal=signal.SIGKILL, scope="group")
    peer.expect("group_empty")
    assert not procfs.is_alive(survivor)


NAMELESS = "env -i /bin/sh -c 'exec setsid /bin/sh -c \"trap : TERM; echo \\$\\$; while :; do /bin/sleep 1; done\"' & "


@pytest.mark.parametrize("is_born_later", [False, True])
def test_a_child_without_session_and_token_is_killed_with_the_adopted_run_that_it_descended_from(
    bench: Bench, *, is_born_later: bool
) -> None:
    go = os.path.join(bench.root, "go")
    wait = f"until [ -e {go} ]; do sleep 0.02; done; " if is_born_later else ""
    peer, _ = adopt(bench, "sh", "-c", f"{wait}{NAMELESS} exec sleep 60")
    with open(go, "x", encoding="ascii"):
        pass
    wait_until(lambda: bench.output(bench.token).endswith("\n"))
    survivor = bench.remember(int(bench.output(bench.token)))
    peer.send("signal", run=bench.token, signal=signal.SIGTERM, scope="group")
    peer.expect("exited")
    assert peer.runs()[bench.token]["group_empty"] is False
    peer.send("signal", run=bench.token, signal=signal.SIGKILL, scope="group")
    peer.expect("group_empty")
    assert not procfs.is_alive(survivor)


def test_a_child_without_session_and_token_is_remembered_when_its_adopted_leader_crashes(bench: Bench) -> None:
    bench.start()
    leader = bench.agent().spawn(bench.token, "sh", "-c", f"{NAMELESS} exec sleep 60")["pid"]
    wait_until(lambda: bench.output(bench.token).endswith("\n"))
    survivor = bench.remember(int(bench.output(bench.token)))
    bench.kill_keeper()
    bench.start()
    peer = bench.agent()
    peer.expect("runs")
    for _ in range(3):
        peer.runs()  # rounds of its loop: it has looked
    os.kill(leader, signal.SIGKILL)
    peer.expect("exited")
    assert peer.runs()[bench.token]["group_empty"] is False
    peer.send("signal", run=bench.token, signal=signal.SIGKILL, scope="group")
    peer.expect("group_empty")
    assert not procfs.is_alive(survivor)


def test_a_child_without_session_token_and_parent_is_taken_for_a_stranger_and_lives(bench: Bench) -> None:
    bench.start()
    bench.agent().spawn(bench.token, "sh", "-c", f"({NAMELESS}); exec sleep 60")
    wait_until(lambda: bench.output(bench.token).endswith("\n"))
    survivor = bench.remember(int(bench.output(bench.token)))
    bench.kill_keeper()
    bench.start()
    peer = bench.agent()
    peer.expect("runs")
    peer.send("signal", run=bench.token, signal=signal.SIGKILL, scope="group")
    peer.expect("group_empty")
    assert procfs.is_alive(survivor)


def _without_room() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


@pytest.mark.parametrize("is_published", [True, False])
def test_a_keeper_that_can_write_nothing_adopts_what_runs(bench: Bench, *, is_published: bool) -> None:
    bench.start()
    pid = bench.agent().spawn(bench.token)["pid"]
    bench.kill_keeper()
    if not is_published:
        os.unlink(os.path.join(bench.state, "runtime"))
    bench.start(preexec_fn=_without_room)
    (listed,) = bench.agent().expect("runs")["runs"]
    assert (listed["pid"], listed["adopted"]) == (pid, True)


def test_a_term_to_an_adopted_group_reaches_all_of_it(bench: Bench) -> None:
    peer, _ = adopt(bench, "sh", "-c", "sleep 60 & echo $!; exec sleep 60")
    child = bench.remember(said_pid(bench))
    peer.send("signal", run=bench.token, signal=signal.SIGTERM, scope="group")
    peer.expect("group_empty")
    assert not procfs.is_alive(child)


def test_an_exit_that_a_killed_keeper_had_seen_keeps_its_code(bench: Bench) -> None:
    bench.start()
    first = bench.agent()
    first.spawn(bench.token, "sh", "-c", "exit 4")
    first.expect("group_empty")
    bench.kill_keeper()
    bench.start()
    peer = bench.agent()
    peer.expect("runs")
    wait_until(lambda: peer.runs()[bench.token]["group_empty"])
    listed = peer.runs()[bench.token]
    assert (listed["exited"]["code"], listed["exited"]["known"], listed["adopted"]) == (4, True, True)


def test_a_pid_that_is_anothers_now_is_not_adopted(bench: Bench) -> None:
    with subprocess.Popen(["/bin/sleep", "60"], start_new_session=True) as bystander:
        start_time = procfs.start_time(bystander.pid)
        assert start_time is not None
        record(bench, bench.token, pid=bystander.pid, start_time=start_time - 1)
        bench.start()
        peer = bench.agent()
        assert peer.runs()[bench.token]["exited"]["known"] is False
        for scope in ("main", "group"):
            peer.send("signal", run=bench.token, signal=signal.SIGKILL, scope=scope)
        wait_until(lambda: peer.runs()[bench.token]["group_empty"])
        assert bystander.poll() is None
        bystander.kill()


def record(bench: Bench, name: str, **changes: Any) -> None:
    bench.paths.prepare()
    value = {
        "run": name, "slot": name, "pid": 2**22 + 1, "start_time": 1, "boot_id": procfs.boot_id(), "spawned_at": 1.0,
        "stdout": "", "stderr": "", "exited": None, **changes,
    }  # fmt: skip
    Path(bench.paths.runs, f"{name}.json").write_text(json.dumps(value))


def test_bad_records_are_set_aside_and_the_others_adopted(bench: Bench) -> None:
    record(bench, "good")
    record(bench, "boot", boot_id="another")
    record(bench, "pid", pid=1)
    record(bench, "name", run="other")
    runs = Path(bench.paths.runs)
    (runs / "torn.json").write_text('{"run": "to')
    (runs / "list.json").write_text("[]")
    (runs / "link.json").symlink_to("/etc/passwd")
    (runs / ".half").write_text("")
    bench.start()
    assert list(bench.agent().runs()) == ["good"]
    assert sorted(path.name for path in runs.iterdir()) == ["bad", "good.json"]
    assert sorted(path.name for path in (runs / "bad").iterdir()) == [
        "link.json", "list.json", "name.json", "pid.json", "torn.json",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "place",
    ["keeper.before_fork", "keeper.after_fork", "keeper.before_record", "keeper.record_written", "keeper.after_record"],
)
def test_a_keeper_killed_before_it_let_go_leaves_no_process_behind(bench: Bench, place: str) -> None:
    keeper = bench.start(fail=f"{place}=kill")
    peer = bench.agent()
    peer.expect("runs")
    peer.ask(bench.token, "sh", "-c", f"touch {bench.root}/ran; sleep 60")
    assert keeper.wait(10) == -signal.SIGKILL
    wait_until(lambda: not bench.ours("keeper"))
    bench.start()
    listed = bench.agent().runs()
    assert [run["exited"]["known"] for run in listed.values()] == [False] * (place == "keeper.after_record")
    assert not os.path.exists(f"{bench.root}/ran")


@pytest.mark.parametrize("place", ["keeper.after_go", "keeper.before_spawned_event"])
def test_a_keeper_killed_after_it_let_go_leaves_one_process_that_the_next_adopts(bench: Bench, place: str) -> None:
    keeper = bench.start(fail=f"{place}=kill")
    bench.agent().ask(bench.token)
    assert keeper.wait(10) == -signal.SIGKILL
    bench.start()
    listed = bench.agent().runs()[bench.token]
    wait_until(lambda: processes_with_token(bench.token) == [listed["pid"]])
    assert (listed["adopted"], listed["exited"]) == (True, None)


@pytest.mark.parametrize(
    ("place", "known"),
    [("keeper.before_exit_recorded", False), ("keeper.before_exited_event", True), ("keeper.before_reap", True)],
)
def test_a_keeper_killed_around_an_exit_says_what_it_knew(bench: Bench, place: str, known: bool) -> None:
    keeper = bench.start(fail=f"{place}=kill")
    first = bench.agent()
    first.spawn(bench.token, "sh", "-c", "exit 4")
    if place == "keeper.before_reap":
        first.expect("group_empty")
        first.send("reap", run=bench.token)
    assert keeper.wait(10) == -signal.SIGKILL
    bench.start()
    exited = bench.agent().runs()[bench.token]["exited"]
    assert (exited["known"], exited["code"]) == (known, 4 if known else None)


def test_a_keeper_killed_in_the_middle_of_a_reap_has_forgotten_the_run(bench: Bench) -> None:
    keeper = bench.start(fail="keeper.after_record_removed=kill")
    first = bench.agent()
    first.spawn(bench.token, "true")
    first.expect("group_empty")
    first.send("reap", run=bench.token)
    assert keeper.wait(10) == -signal.SIGKILL
    bench.start()
    assert bench.agent().runs() == {}


@pytest.mark.parametrize("place", ["keeper.before_signal", "keeper.before_member_kill", "keeper.after_signal"])
def test_a_group_kill_cut_short_is_finished_by_asking_again(bench: Bench, place: str) -> None:
    keeper = bench.start(fail=f"{place}=kill")
    first = bench.agent()
    first.spawn(bench.token, "sh", "-c", "sleep 60 & exec sleep 60")
    first.send("signal", run=bench.token, signal=signal.SIGKILL, scope="group")
    assert keeper.wait(10) == -signal.SIGKILL
    bench.start()
    peer = bench.agent()
    peer.send("signal", run=bench.token, signal=signal.SIGKILL, scope="group")
    wait_until(lambda: peer.runs()[bench.token]["group_empty"])
    assert processes_with_token(bench.token) == []


@pytest.mark.parametrize(
    "place", ["before_adopt", "after_adopt", "before_agent_start", "before_greeting", "before_drain"]
)
def test_a_keeper_killed_around_its_agent_costs_no_worker(bench: Bench, place: str) -> None:
    bench.start()
    spawned = bench.agent().spawn(bench.token)
    bench.kill_keeper()
    keeper = bench.start(fail=f"keeper.{place}=kill")
    if place == "before_drain":
        os.kill(bench.agent().pid, signal.SIGKILL)
    assert keeper.wait(10) == -signal.SIGKILL
    bench.start()
    peer = bench.agent()
    if place == "before_greeting":
        peer = bench.agent()  # the first was the killed keeper's
    listed = peer.runs()[bench.token]
    assert (listed["pid"], listed["exited"], listed["adopted"]) == (spawned["pid"], None, True)


@pytest.mark.parametrize("action", ["kill", "exit", "raise", "enospc"])
def test_a_child_that_dies_before_exec_never_runs_and_is_told(bench: Bench, action: str) -> None:
    bench.start(fail=f"keeper.child_before_exec={action}")
    peer = bench.agent()
    peer.ask(bench.token, "touch", f"{bench.root}/ran")
    if action in ("kill", "exit"):
        exited = peer.expect("exited")
        assert (exited["code"], exited["signal"]) == ((None, 9) if action == "kill" else (70, None))
    else:
        assert peer.expect("spawn_failed")["stage"] == "exec"
        assert peer.runs() == {}
    assert not os.path.exists(f"{bench.root}/ran")


def test_a_record_that_cannot_be_written_is_a_failed_spawn(bench: Bench) -> None:
    bench.start(fail="keeper.before_record=enospc@1;keeper.after_record=raise@1")
    peer = bench.agent()
    for run, number in ((bench.token, 28), ("r2", 5)):
        peer.ask(run)
        failed = peer.expect("spawn_failed", run=run)
        assert (failed["stage"], failed["errno"]) == ("record", number)
    assert os.listdir(bench.paths.runs) == []
    assert peer.spawn("r3")["run"] == "r3"
    wait_until(lambda: len(procfs.children(bench.keepers[-1].pid) or []) == 2)
    assert bench.reached("keeper.after_go")


def test_dropped_events_are_in_the_list(bench: Bench) -> None:
    places = ("spawned", "exited", "group_empty")
    bench.start(fail=";".join(f"keeper.before_{place}_event=drop" for place in places))
    peer = bench.agent()
    peer.expect("runs")
    peer.ask(bench.token, "sh", "-c", "exit 4")
    wait_until(lambda: peer.runs()[bench.token]["group_empty"])
    assert [event["ev"] for event in peer.events] == []
    assert peer.runs()[bench.token]["exited"]["code"] == 4


def test_a_half_sent_request_of_a_killed_agent_is_no_request(bench: Bench) -> None:
    bench.start()
    first = bench.agent()
    first.expect("runs")
    frame = encode({"op": "spawn", **bench.request(bench.token)})
    first.send_raw(frame[:-1])
    first.hang_up()
    assert bench.agent().expect("runs")["runs"] == []


def test_a_real_agent_module_is_started_isolated(bench: Bench) -> None:
    done = subprocess.run(
        [PYTHON, "-I", "-m", "controller.agent", "keeper"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.split()[0]) == (2, "usage:")
