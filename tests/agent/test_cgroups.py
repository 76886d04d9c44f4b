"""Control groups: found through /proc, and what a keeper does with a run's own; on a folder, and on a real cgroup2.

The real ones need a cgroup2 that this process may divide. Where there is none (no root, cgroup v1 only) these cases
are not collected; the same code runs over the folder, which is never left out.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.agent import cgroups, procfs
from controller.agent.limits import Limiter
from controller.agent.start import STARTER_VARIABLE
from tests.agent.keeper_harness import PYTHON, Bench, Peer, wait_until
from tests.fakes.cgroupfs import FakeCgroupfs


def usable_base() -> str:
    """A real cgroup2 in which groups can be made now; empty where there is none."""
    base = cgroups.find_base()
    if not base:
        return ""
    probe = os.path.join(base, f"workerctl-try-{os.getpid()}")
    try:
        os.mkdir(probe)
        os.rmdir(probe)
    except OSError:
        return ""
    return base


REAL_BASE = usable_base()
MOUNT = "41 31 0:38 / {place} rw,relatime shared:1 - cgroup2 cgroup2 rw\n"
V1 = "36 31 0:33 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


@pytest.fixture
def peer(bench: Bench) -> Peer:
    bench.start()
    peer = bench.agent()
    peer.expect("runs")
    return peer


def proc(folder: Path, own: str, mounts: str) -> str:
    (folder / "self").mkdir()
    (folder / "self" / "cgroup").write_text(f"4:memory:/elsewhere\n{own}")
    (folder / "self" / "mountinfo").write_text(V1 + mounts)
    return str(folder)


def group_at(path: Path) -> str:
    path.mkdir(parents=True)
    (path / "cgroup.procs").write_text("")
    return str(path)


@pytest.mark.parametrize("own", ["/unit.service", "/unit.service/workerctl-ab12/self"])
def test_the_base_is_our_own_group_wherever_it_is_mounted_also_after_we_moved(tmp_path: Path, own: str) -> None:
    place = tmp_path / "with space"
    base = group_at(place / "unit.service")
    group_at(place / "unit.service/workerctl-ab12/self")
    mounts = MOUNT.format(place=str(place).replace(" ", r"\040"))
    assert cgroups.find_base(proc(tmp_path, f"0::{own}\n", mounts)) == base


@pytest.mark.parametrize(
    ("own", "mounts"),
    [
        ("", MOUNT),  # v1 only
        ("0::/unit\n", ""),  # nothing is mounted
        ("0::/unit\n", MOUNT.replace(" / {place}", " /other {place}")),  # another part of it is
        ("0::/gone\n", MOUNT),
        ("0::/../outside\n", MOUNT),
    ],
)
def test_a_group_that_cannot_be_seen_is_no_base(tmp_path: Path, own: str, mounts: str) -> None:
    group_at(tmp_path / "cg" / "unit")
    assert cgroups.find_base(proc(tmp_path, own, mounts.format(place=tmp_path / "cg"))) == ""


def test_a_missing_proc_is_no_base(tmp_path: Path) -> None:
    assert cgroups.find_base(str(tmp_path)) == ""


def test_claiming_moves_us_to_a_leaf_and_passes_controllers_on(tmp_path: Path) -> None:
    files = FakeCgroupfs(tmp_path / "base")
    found = cgroups.claim(str(tmp_path / "base"), "ab12", (os.getpid(),), files)
    top = tmp_path / "base" / "workerctl-ab12"
    assert found == cgroups.Subtree(str(top), ("memory", "cpu", "pids"))
    assert (top / "self" / "cgroup.procs").read_text() == str(os.getpid())
    assert [path.name for path in top.iterdir() if path.is_dir()] == ["self"]


def test_a_subtree_that_limits_nothing_is_left_as_it_was_found(tmp_path: Path) -> None:
    files = FakeCgroupfs(tmp_path / "base", offered=("memory",), refused="memory")
    assert cgroups.claim(str(tmp_path / "base"), "ab12", (), files) is None
    assert [path.name for path in (tmp_path / "base").iterdir() if path.is_dir()] == []


def test_a_controller_and_what_else_it_started_are_known_to_its_keeper() -> None:
    own = os.getpid()
    code = "import os; from controller.agent.start import is_relative as known; "
    code += "print(*map(known, (os.getppid(), os.getpid(), 1)))"
    marks = {
        f"{own}:{procfs.start_time(own)}": "True True False",
        f"{own}:1": "False True False",
        "": "False False False",
    }
    for mark, told in marks.items():
        environ = {**os.environ, STARTER_VARIABLE: mark}
        done = subprocess.run([PYTHON, "-c", code], env=environ, capture_output=True, text=True, timeout=60, check=True)
        assert done.stdout == f"{told}\n"


def test_what_an_agent_can_limit_is_seen_from_outside(tmp_path: Path) -> None:
    top = tmp_path / "cg" / "unit.service" / "workerctl-ab12"
    group_at(top / "self")
    (top / "cgroup.subtree_control").write_text("cpu memory\n")
    found = proc(tmp_path, "0::/\n", MOUNT.format(place=tmp_path / "cg"))
    for pid, own in {1: "/unit.service/workerctl-ab12/self", 2: "/unit.service", 3: "/gone/self"}.items():
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "cgroup").write_text(f"0::{own}\n")
    told = [cgroups.limited_by(pid, found) for pid in (1, 2, 3, 4)]
    assert told == [("memory", "cpu"), (), (), ()]


def fake_group(bench: Bench, run: str, populated: int) -> Path:
    """The slot's group with the run's in it, as the kernel would have made it: a plain folder cannot."""
    group = Path(bench.root, "slot-group", run)
    group.mkdir(parents=True)
    for name, text in {"cgroup.procs": "", "cgroup.kill": "", "cgroup.events": f"populated {populated}\n"}.items():
        (group / name).write_text(text)
    return group


def test_a_run_joins_its_group_and_is_not_empty_before_the_group_is(bench: Bench, peer: Peer) -> None:
    group = fake_group(bench, "r1", populated=1)
    peer.spawn("r1", cgroup=str(group.parent))
    assert (group / "cgroup.procs").read_text() == "0"
    (group / "cgroup.procs").write_text("")
    peer.send("signal", run="r1", signal=signal.SIGKILL, scope="group")
    peer.expect("exited", run="r1")
    wait_until(lambda: (group / "cgroup.kill").read_text() == "1")
    assert peer.runs()["r1"]["group_empty"] is False
    (group / "cgroup.events").write_text("populated 0\nfrozen 0\n")
    peer.expect("group_empty", run="r1")


def test_a_group_that_cannot_be_joined_is_named(bench: Bench, peer: Peer) -> None:
    peer.ask("r1", cgroup="/nonesuch/group")
    failed = peer.expect("spawn_failed")
    assert (failed["stage"], failed["errno"], failed["message"]) == (
        "cgroup", errno.ENOENT, "Cannot join the control group /nonesuch/group/r1: No such file or directory",
    )  # fmt: skip


@pytest.fixture
def real_group() -> Iterator[str]:
    group = tempfile.mkdtemp(prefix="workerctl-test-", dir=REAL_BASE)
    yield group
    cgroups.kill(group)
    wait_until(lambda: cgroups.remove(group))


# A daemon that leaves everything that it could be known by: session, parents, environment.
ESCAPE = (
    "import os\nif os.fork() == 0:\n os.setsid()\n if os.fork() == 0:\n"
    "  os.execve('/bin/sh', ['sh', '-c', 'echo $$; exec sleep 60'], {'PATH': '/bin:/usr/bin'})\n os._exit(0)\n"
    "os.wait()\nos.execvp('sleep', ['sleep', '60'])"
)


def escaped(bench: Bench, run: str) -> procfs.Identity:
    wait_until(lambda: bench.output(run).endswith("\n"))
    return bench.remember(int(bench.output(run)))


if REAL_BASE:

    def test_a_kill_reaches_who_left_session_tree_and_environment(bench: Bench, peer: Peer, real_group: str) -> None:
        peer.spawn("r1", PYTHON, "-c", ESCAPE, cgroup=real_group)
        child = escaped(bench, "r1")
        peer.send("signal", run="r1", signal=signal.SIGKILL, scope="main")
        peer.expect("exited", run="r1")
        assert peer.runs()["r1"]["group_empty"] is False
        peer.send("signal", run="r1", signal=signal.SIGKILL, scope="group")
        peer.expect("group_empty", run="r1")
        assert not procfs.is_alive(child)
        peer.send("reap", run="r1")
        wait_until(lambda: not os.path.exists(f"{real_group}/r1"))

    def test_the_group_is_known_to_the_next_keeper(bench: Bench, peer: Peer, real_group: str) -> None:
        peer.spawn("r1", PYTHON, "-c", ESCAPE, cgroup=real_group)
        child = escaped(bench, "r1")
        bench.kill_keeper()
        bench.start()
        after = bench.agent()
        after.expect("runs")
        after.send("signal", run="r1", signal=signal.SIGKILL, scope="group")
        after.expect("group_empty", run="r1")
        assert not procfs.is_alive(child)

    def test_two_runs_of_a_slot_have_a_group_each(bench: Bench, peer: Peer, real_group: str) -> None:
        peer.spawn("r1", cgroup=real_group)
        peer.spawn("hook", cgroup=real_group)
        peer.send("signal", run="hook", signal=signal.SIGKILL, scope="group")
        peer.expect("group_empty", run="hook")
        assert peer.runs()["r1"]["exited"] is None

    def test_a_failed_exec_leaves_no_group(bench: Bench, peer: Peer, real_group: str) -> None:
        peer.ask("r1", "nonesuch", cgroup=real_group)
        peer.expect("spawn_failed")
        wait_until(lambda: peer.runs() == {} and not os.path.exists(f"{real_group}/r1"))

    def test_a_real_base_is_divided_or_declined_and_left_clean(real_group: str) -> None:
        found = Limiter(real_group)
        assert found.enforceable()[:2] == ["nofile", "nice"]
        fields = found.order_fields("web/0", {"limits": {"pids": 5, "enforce": "best_effort"}})
        if "pids" in found.enforceable():
            assert cgroups.read(f"{fields['cgroup']}/pids.max") == "5\n"
        else:
            assert fields == {}
        found.forget("web/0")
