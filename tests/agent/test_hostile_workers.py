"""Workers that are another user's and mean harm. They hurt nobody but themselves, and they can be ended."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.agent import procfs
from tests.agent.keeper_harness import Bench, Peer, everybodys_python, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run workers as another user")

HOSTILE, VICTIM = 64_001, 64_002


def user(uid: int) -> dict[str, Any]:
    return {"uid": uid, "gid": uid, "groups": [uid]}


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    os.mkdir(os.path.join(made.root, "own"))
    os.chown(os.path.join(made.root, "own"), HOSTILE, HOSTILE)
    yield made
    made.close()


@pytest.fixture
def peer(bench: Bench) -> Peer:
    bench.start()
    peer = bench.agent()
    peer.expect("runs")
    return peer


def said_pid(bench: Bench, run: str) -> procfs.Identity:
    wait_until(lambda: bench.output(run).endswith("\n"))
    pid = int(bench.output(run))
    wait_until(lambda: Path(f"/proc/{pid}/comm").read_text(encoding="utf-8") == "sleep\n")
    return bench.remember(pid)


def daemon(token: str) -> list[str]:
    """A daemon in a session of its own that carries a token; the worker goes on."""
    inner = f"WORKER_RUN={token} setsid sleep 60 & echo $!"
    return ["sh", "-c", f"setsid sh -c '{inner}' & wait; exec sleep 60"]


def test_a_forged_token_neither_costs_its_bearer_nor_delays_the_one_it_names(bench: Bench, peer: Peer) -> None:
    peer.spawn("victim", **user(VICTIM))
    peer.spawn("forger", *daemon("victim"), **user(HOSTILE))
    stranger = said_pid(bench, "forger")
    peer.send("signal", run="victim", signal=signal.SIGKILL, scope="group")
    peer.expect("group_empty", run="victim")
    assert procfs.is_alive(stranger)


def test_a_token_of_roots_run_is_not_believed_of_a_user_who_has_runs_here(bench: Bench, peer: Peer) -> None:
    peer.spawn("victim")
    peer.spawn("forger", *daemon("victim"), **user(HOSTILE))
    stranger = said_pid(bench, "forger")
    peer.send("signal", run="victim", signal=signal.SIGKILL, scope="group")
    peer.expect("group_empty", run="victim")
    assert procfs.is_alive(stranger)


def test_a_daemon_of_the_runs_own_user_is_found_by_its_token(bench: Bench, peer: Peer) -> None:
    peer.spawn("r1", *daemon("r1"), **user(HOSTILE))
    child = said_pid(bench, "r1")
    peer.send("signal", run="r1", signal=signal.SIGKILL, scope="main")
    peer.expect("exited", run="r1")
    peer.send("signal", run="r1", signal=signal.SIGKILL, scope="group")
    peer.expect("group_empty", run="r1")
    assert not procfs.is_alive(child)


def test_a_forged_token_is_not_believed_by_the_keeper_that_adopts_either(bench: Bench, peer: Peer) -> None:
    peer.spawn("victim", **user(VICTIM))
    peer.spawn("forger", *daemon("victim"), **user(HOSTILE))
    stranger = said_pid(bench, "forger")
    bench.kill_keeper()
    bench.start()
    after = bench.agent()
    after.expect("runs")
    after.send("signal", run="victim", signal=signal.SIGKILL, scope="group")
    after.expect("group_empty", run="victim")
    assert procfs.is_alive(stranger)


def test_nothing_of_ours_can_be_written_to(bench: Bench, peer: Peer) -> None:
    os.chmod(bench.root, 0o755)  # what protects are the folders themselves
    os.chmod(bench.logs, 0o700)
    log = bench.request("r1")["stdout"]
    targets = [log, f"{bench.paths.runs}/r1.json", f"{bench.paths.state}/x", f"{bench.logs}/x"]
    attempts = "; ".join(f"rm -f {path}; ln -s /etc/passwd {path}; echo x >> {path}" for path in targets)
    before = Path("/etc/passwd").read_bytes()
    peer.spawn("r1", "sh", "-c", f"({attempts}) 2>/dev/null; echo over", **user(HOSTILE))
    peer.expect("group_empty", run="r1")
    assert bench.output("r1") == "over\n"
    assert (os.path.islink(log), Path("/etc/passwd").read_bytes() == before) == (False, True)
    assert sorted(os.listdir(bench.logs)) == ["r1.stderr", "r1.stdout"]
    assert peer.runs()["r1"]["exited"]["code"] == 0


def test_its_output_is_its_own_and_may_be_reopened(bench: Bench, peer: Peer) -> None:
    peer.spawn("r1", "sh", "-c", "echo out; echo again > /dev/stderr", **user(HOSTILE))
    peer.expect("group_empty", run="r1")
    found = os.stat(bench.request("r1")["stdout"])
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (HOSTILE, HOSTILE, 0o600)
    assert bench.output("r1", "stderr") == "again\n"


@pytest.mark.parametrize("kind", ["folder of the worker", "link on the way"])
def test_output_goes_to_no_place_that_a_worker_could_have_prepared(bench: Bench, peer: Peer, kind: str) -> None:
    own = os.path.join(bench.root, "own")
    place, number = f"{own}/x", errno.EPERM
    if kind == "link on the way":
        os.makedirs(os.path.join(bench.root, "precious", "below"))
        os.symlink(os.path.join(bench.root, "precious"), f"{own}/link")
        place, number = f"{own}/link/below/x", errno.ELOOP
    peer.ask("r1", stdout=place, **user(HOSTILE))
    failed = peer.expect("spawn_failed")
    assert (failed["stage"], failed["errno"]) == ("stdout", number)
    assert not os.path.exists(place)


@pytest.mark.parametrize(
    ("changes", "stage", "message"),
    [
        ({"cwd": "{private}"}, "cwd", "Cannot change to directory {private}: Permission denied"),
        ({"argv": ["{private}/tool"]}, "exec", "Cannot execute {private}/tool: Permission denied"),
        ({"argv": ["{tool}"]}, "exec", "Cannot execute {tool}: Permission denied"),
        ({"argv": ["nonesuch"]}, "exec", "Cannot execute nonesuch: command not found"),
    ],
)
def test_what_only_we_could_do_is_named_within_a_second(
    bench: Bench, peer: Peer, changes: dict[str, Any], stage: str, message: str
) -> None:
    os.chmod(bench.root, 0o755)
    names = {"private": os.path.join(bench.root, "private"), "tool": os.path.join(bench.root, "tool")}
    os.mkdir(names["private"], 0o700)
    for path in (names["tool"], os.path.join(names["private"], "tool")):
        shutil.copy("/bin/true", path)
        os.chmod(path, 0o700)
    filled = {
        key: [item.format(**names) for item in value] if isinstance(value, list) else value.format(**names)
        for key, value in changes.items()
    }
    asked = time.time()
    peer.ask("r1", **{"argv": ["true"], **filled}, **user(HOSTILE))
    failed = peer.expect("spawn_failed")
    assert (failed["stage"], failed["errno"]) == (stage, errno.ENOENT if "nonesuch" in message else errno.EACCES)
    assert failed["message"] == message.format(**names)
    assert failed["at"] - asked < 1.0


def test_one_that_ignores_and_is_stopped_is_killed_with_what_it_started(bench: Bench, peer: Peer) -> None:
    peer.spawn("r1", "sh", "-c", "trap '' TERM; setsid sleep 60 & echo $!; kill -STOP $$; sleep 60", **user(HOSTILE))
    child = said_pid(bench, "r1")
    peer.send("signal", run="r1", signal=signal.SIGTERM, scope="group")
    peer.send("signal", run="r1", signal=signal.SIGKILL, scope="group")
    assert peer.expect("exited", run="r1")["signal"] == signal.SIGKILL
    peer.expect("group_empty", run="r1")
    assert not procfs.is_alive(child)


# It calls itself like a dead process of another session, has a command line of 1 MB, and leaves a daemon behind.
DISGUISED = """
import ctypes, os, sys, time
ctypes.CDLL(None).prctl(15, b") Z 0 0 0 (", 0, 0, 0)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        time.sleep(60)
    os._exit(0)
os.wait()
time.sleep(60)
"""


def test_one_that_changes_its_name_and_has_a_huge_command_line_is_found(bench: Bench, peer: Peer) -> None:
    peer.spawn("r1", everybodys_python(), "-c", DISGUISED, *["x" * 100_000] * 10, **user(HOSTILE))
    wait_until(lambda: bench.output("r1").endswith("\n"))
    child = bench.remember(int(bench.output("r1")))
    peer.send("signal", run="r1", signal=signal.SIGKILL, scope="group")
    peer.expect("group_empty", run="r1")
    assert not procfs.is_alive(child)


# Each of them leaves its session, ignores what can be ignored, and starts others as long as its user may.
BOMB = """
import os, resource, signal, sys, time
resource.setrlimit(resource.RLIMIT_NPROC, (40, 40))
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("armed", flush=True)
while True:
    try:
        if os.fork() == 0:
            os.setsid()
    except OSError:
        pass
    time.sleep(0.005)
"""


def test_a_fork_bomb_at_the_limit_of_its_user_is_ended(bench: Bench, peer: Peer) -> None:
    uid = 100_000 + os.getpid()  # nobody else's: its limit counts all processes of the user
    peer.spawn("r1", everybodys_python(), "-c", BOMB, **user(uid))
    wait_until(lambda: len(processes_of(uid)) >= 38)
    peer.send("signal", run="r1", signal=signal.SIGKILL, scope="group")
    peer.expect("group_empty", run="r1")
    assert processes_of(uid) == []


def processes_of(uid: int) -> list[int]:
    found = [stat.pid for stat in (procfs.scan() or {}).values() if not stat.is_dead]
    return [pid for pid in found if procfs.real_uid(pid) == uid]


# Orphans by the thousand: the middle process ends at once, so that its children are the keeper's.
ORPHANS = """
import os
for _ in range(40):
    if os.fork() == 0:
        for _ in range(50):
            if os.fork() == 0:
                os._exit(7)
        os._exit(0)
os._exit(3)
"""


def test_thousands_of_orphans_are_reaped_and_no_exit_is_taken_for_anothers(bench: Bench, peer: Peer) -> None:
    peer.spawn("quiet", "sh", "-c", "read x; exit 5", **user(VICTIM))
    peer.spawn("orphans", everybodys_python(), "-c", ORPHANS, **user(HOSTILE))
    exits = {event["run"]: event["code"] for event in (peer.expect("exited") for _ in range(2))}
    peer.expect("group_empty", run="quiet")
    peer.expect("group_empty", run="orphans")
    assert exits == {"quiet": 5, "orphans": 3}
    pinned = {run["pid"] for run in peer.runs().values()} | {peer.pid}
    wait_until(lambda: set(procfs.children(bench.keepers[-1].pid) or []) == pinned)


def test_one_without_descriptors_hurts_itself_alone(bench: Bench, peer: Peer) -> None:
    code = "import os\ntry:\n while True: os.dup(0)\nexcept OSError as e: print(e.errno, os.dup2(0, 2) is None)"
    peer.spawn("r1", everybodys_python(), "-c", code, rlimits={"nofile": 32}, **user(HOSTILE))
    peer.expect("group_empty", run="r1")
    assert bench.output("r1").split()[0] == str(errno.EMFILE)
    assert peer.spawn("r2")["run"] == "r2"
