"""The child's side, called directly in this process: what a worker gets, and how each failure is named."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.agent.child import ChildSetup
from controller.agent.request import SpawnError, SpawnRequest
from controller.agent.spawn import (
    Child,
    abandon,
    fork_waiting,
    read_report,
    release,
)
from tests.agent.keeper_harness import everybodys_python, wait_until

# Signals that a Python process ignores or handles, and one that the test itself ignores.
SETUP = ChildSetup((signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGUSR1), (77, 88))
INSPECT = """
import json, os, signal, resource
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({
    "fds": sorted(fd for fd in map(int, os.listdir("/proc/self/fd")) if os.path.exists(f"/proc/self/fd/{fd}")),
    "stdin": os.readlink("/proc/self/fd/0"), "blocked": int(status["SigBlk"], 16),
    "umask": status["Umask"].strip(), "leads": os.getsid(0) == os.getpid() == os.getpgid(0),
    "nofile": resource.getrlimit(resource.RLIMIT_NOFILE), "env": dict(os.environ), "cwd": os.getcwd(),
}))
"""


@pytest.fixture
def children() -> Iterator[list[Child]]:
    started: list[Child] = []
    yield started
    for child in started:
        os.kill(child.pid, signal.SIGKILL)
        os.waitpid(child.pid, 0)
        os.close(child.pidfd)
        os.close(child.errors)


def header(folder: Path, *argv: str, **changes: Any) -> dict[str, Any]:
    out = str(folder / "out")
    return {
        "run": "r1", "slot": "web/0", "argv": list(argv), "env": {"PATH": "/usr/bin:/bin"}, "cwd": str(folder),
        "umask": 0o27, "stdout": out, "stderr": str(folder / "err"), **changes,
    }  # fmt: skip


def decide(children: list[Child], request: SpawnRequest) -> SpawnError | None:
    """Spawn, let go, and wait for exec to succeed or fail."""
    child = fork_waiting(request, SETUP)
    children.append(child)
    release(child)
    assert select.select([child.errors], [], [], 10)[0]
    return read_report(child.errors, request)


def test_a_worker_gets_three_descriptors_default_signals_and_its_own_session(
    tmp_path: Path, children: list[Child]
) -> None:
    extra = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(extra, True)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    try:
        request = SpawnRequest.parse(header(tmp_path, sys.executable, "-c", INSPECT, env={"A": "ä\udcff"}))
        assert decide(children, request) is None
    finally:
        os.close(extra)
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})
    os.waitid(os.P_PID, children[0].pid, os.WEXITED | os.WNOWAIT)
    assert (tmp_path / "err").read_text() == ""
    seen = json.loads((tmp_path / "out").read_text())
    seen["env"].pop("LC_CTYPE", None)
    assert seen == {
        "fds": [0, 1, 2], "stdin": "/dev/null", "blocked": 0, "umask": "0027", "leads": True, "nofile": [77, 88],
        "env": {"A": "ä\udcff", "WORKER_RUN": "r1"}, "cwd": str(tmp_path),
    }  # fmt: skip
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o600


def test_signals_have_their_default_action(tmp_path: Path, children: list[Child]) -> None:
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        assert decide(children, SpawnRequest.parse(header(tmp_path, "grep", "SigIgn", "/proc/self/status"))) is None
    finally:
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    os.waitid(os.P_PID, children[0].pid, os.WEXITED | os.WNOWAIT)
    assert int((tmp_path / "out").read_text().split()[1], 16) == 0


def test_nothing_runs_until_it_is_released_and_nothing_ever_when_the_pipe_ends(
    tmp_path: Path, children: list[Child]
) -> None:
    child = fork_waiting(SpawnRequest.parse(header(tmp_path, "touch", "ran")), SETUP)
    children.append(child)
    os.close(child.go)
    found = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert found is not None
    assert (found.si_code, found.si_status, (tmp_path / "ran").exists()) == (os.CLD_EXITED, 0, False)


# All that a worker can see of who it is and what it was given.
WHO = """
import json, os, resource
status = dict(line.rstrip().split(":", 1) for line in open("/proc/self/status"))
names = ("Uid", "Gid", "Groups", "NoNewPrivs", "CapInh", "CapPrm", "CapEff", "CapAmb", "SigBlk", "SigIgn", "Umask")
found = {name: status[name].split() for name in names}
print(json.dumps({
    **found, "fds": sorted(fd for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")),
    "home": os.environ["HOME"], "nofile": resource.getrlimit(resource.RLIMIT_NOFILE), "nice": os.nice(0),
    "tty": int(open("/proc/self/stat").read().rpartition(")")[2].split()[4]), "stdin": os.readlink("/proc/self/fd/0"),
}))
"""
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run workers as another user")
AS_NOBODY = {"uid": 64001, "gid": 64002, "groups": [64003, 64002]}
CAP_VERSION = 0x20080522


@pytest.fixture
def heir() -> Iterator[None]:
    """This process with all that is permitted also inheritable, which a change of user does not take away."""
    libc = ctypes.CDLL(None)
    head, before = (ctypes.c_uint32 * 2)(CAP_VERSION, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(head, before) == 0
    effective, permitted = (before[0], before[3]), (before[1], before[4])
    generous = (ctypes.c_uint32 * 6)(effective[0], permitted[0], permitted[0], effective[1], permitted[1], permitted[1])
    assert libc.capset(head, generous) == 0
    yield
    assert libc.capset(head, before) == 0


@AS_ROOT
def test_another_user_gets_exactly_its_ids_and_nothing_of_ours(
    tmp_path: Path, children: list[Child], heir: None
) -> None:
    tmp_path.chmod(0o755)
    request = SpawnRequest.parse(
        header(
            tmp_path, everybodys_python(), "-c", WHO, **AS_NOBODY, cwd="/", umask=0o077, nice=7,
            rlimits={"nofile": 60}, env={"HOME": "/home/x"},
        )
    )  # fmt: skip
    assert decide(children, request) is None
    os.waitid(os.P_PID, children[0].pid, os.WEXITED | os.WNOWAIT)
    assert (tmp_path / "err").read_text() == ""
    assert json.loads((tmp_path / "out").read_text()) == {
        "Uid": ["64001"] * 4, "Gid": ["64002"] * 4, "Groups": ["64002", "64003"], "NoNewPrivs": ["1"],
        **{key: ["0" * 16] for key in ("CapInh", "CapPrm", "CapEff", "CapAmb", "SigBlk")},
        "SigIgn": ["0000000001001000"],  # SIGPIPE and SIGXFSZ, which Python itself ignores
        "Umask": ["0077"], "fds": ["0", "1", "2"], "home": "/home/x", "nofile": [60, 60], "nice": 7, "tty": 0,
        "stdin": "/dev/null",
    }  # fmt: skip
    found = (tmp_path / "out").stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (64001, 64002, 0o600)


@AS_ROOT
def test_root_with_another_group_stays_root(tmp_path: Path, children: list[Child]) -> None:
    request = SpawnRequest.parse(
        header(tmp_path, sys.executable, "-c", WHO, uid=0, gid=64002, groups=[64002], env={"HOME": "/root"})
    )
    assert decide(children, request) is None
    os.waitid(os.P_PID, children[0].pid, os.WEXITED | os.WNOWAIT)
    seen = json.loads((tmp_path / "out").read_text())
    assert (seen["Uid"], seen["Gid"], seen["Groups"], seen["NoNewPrivs"]) == (
        ["0"] * 4,
        ["64002"] * 4,
        ["64002"],
        ["0"],
    )
    assert seen["CapEff"] != ["0" * 16]


@AS_ROOT
def test_a_waiting_child_is_the_user_already_and_can_be_traced_by_nobody(tmp_path: Path, children: list[Child]) -> None:
    child = fork_waiting(SpawnRequest.parse(header(tmp_path, "true", **AS_NOBODY)), SETUP)
    children.append(child)
    status = Path(f"/proc/{child.pid}/status")
    wait_until(lambda: "NoNewPrivs:\t1" in status.read_text())
    assert "Uid:\t64001\t64001\t64001\t64001" in status.read_text()
    assert Path(f"/proc/{child.pid}/mem").stat().st_uid == 0  # not dumpable


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A folder of uid 64000 that it can reach; pytest's own are private."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        path = Path(os.path.realpath(folder))
        path.chmod(0o755)
        os.chown(path, 64000, 64000)
        yield path


@AS_ROOT
@pytest.mark.parametrize(
    ("changes", "stage", "number", "message"),
    [
        ({"rlimits": {"nofile": 2**31 - 1}}, "nofile", errno.EPERM, "Cannot set the limit of open files to 2147483647"),
        ({"nice": -5}, "nice", errno.EACCES, "Cannot set nice to -5: Permission denied"),
        ({"uid": 64009, "gid": 64009}, "stdout", errno.EPERM, "Cannot open the output file"),
        ({"cgroup": "/nowhere"}, "cgroup", errno.ENOENT, "Cannot join the control group /nowhere/r1: No such file"),
    ],
)
def test_a_step_that_may_not_be_done_is_named(
    open_path: Path, children: list[Child], changes: dict[str, Any], stage: str, number: int, message: str
) -> None:
    os.seteuid(64000)
    try:
        error = decide(children, SpawnRequest.parse(header(open_path, "true", **changes)))
    finally:
        os.seteuid(0)
    assert error is not None
    assert (error.stage, error.number) == (stage, number)
    assert error.message.startswith(message)


def write(path: Path, text: str, mode: int) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_each_failure_of_exec_is_named_exactly(tmp_path: Path, children: list[Child]) -> None:
    busy = tmp_path / "busy"
    busy.write_bytes(Path("/bin/true").read_bytes())
    busy.chmod(0o755)
    lost = write(tmp_path / "lost", "#!/nonexistent/python\n", 0o755)
    cases = [
        (["nonesuch"], errno.ENOENT, "Cannot execute nonesuch: command not found"),
        (["/nonesuch"], errno.ENOENT, "Cannot execute /nonesuch: command not found"),
        ([lost], errno.ENOENT, f"Cannot execute {lost}: {lost} is there, but the interpreter it names is not"),
        ([write(tmp_path / "plain", "x", 0o644)], errno.EACCES, "Permission denied"),
        ([str(tmp_path)], errno.EACCES, "Permission denied"),
        ([write(tmp_path / "text", "no program", 0o755)], errno.ENOEXEC, "Exec format error"),
        (["true", "x" * 200_000], errno.E2BIG, "Argument list too long"),
        (["/bin/true/x"], errno.ENOTDIR, "Not a directory"),
        ([str(busy)], errno.ETXTBSY, "Text file busy"),
    ]
    with busy.open("ab"):
        for number, (argv, expected, words) in enumerate(cases):
            outputs = {"stdout": str(tmp_path / f"o{number}"), "stderr": str(tmp_path / f"e{number}")}
            error = decide(children, SpawnRequest.parse(header(tmp_path, *argv, **outputs)))
            assert error is not None
            assert (error.stage, error.number, words in error.message) == ("exec", expected, True), error.message


def test_the_path_of_the_new_environment_is_searched_past_what_may_not_be_executed(
    tmp_path: Path, children: list[Child]
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    write(tmp_path / "a" / "tool", "x", 0o644)
    path = f"{tmp_path}/none:{tmp_path}/a:{tmp_path}/b"
    request = SpawnRequest.parse(header(tmp_path, "tool", env={"PATH": path}))
    error = decide(children, request)
    assert error is not None
    assert (error.number, error.message) == (errno.EACCES, f"Cannot execute {tmp_path}/a/tool: Permission denied")
    for name in ("out", "err"):
        (tmp_path / name).unlink()
    write(tmp_path / "b" / "tool", "#!/bin/sh\necho found\n", 0o755)
    assert decide(children, request) is None


@pytest.mark.parametrize(
    ("changes", "stage", "number", "message"),
    [
        ({"cwd": "/nonesuch"}, "cwd", errno.ENOENT, "Cannot change to directory /nonesuch: No such file or directory"),
        ({"stdout": "/dev/null"}, "stdout", errno.EEXIST, "Cannot open the output file /dev/null: File exists"),
        ({"stderr": "/no/e"}, "stderr", errno.ENOENT, "Cannot open the error output file /no/e: No such file or direc"),
    ],
)
def test_each_step_before_exec_is_named(
    tmp_path: Path, children: list[Child], changes: dict[str, str], stage: str, number: int, message: str
) -> None:
    error = decide(children, SpawnRequest.parse(header(tmp_path, "true", **changes)))
    assert error is not None
    assert (error.stage, error.number) == (stage, number)
    assert error.message.startswith(message)


def test_output_never_goes_through_a_link_or_to_a_file_that_is_there(tmp_path: Path, children: list[Child]) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "target")
    error = decide(children, SpawnRequest.parse(header(tmp_path, "true")))
    assert error is not None
    assert (error.stage, error.number, (tmp_path / "target").exists()) == ("stdout", errno.EEXIST, False)


@pytest.mark.parametrize(
    "changes",
    [
        {"argv": []}, {"argv": [""]}, {"argv": ["a\0b"]}, {"argv": [1]}, {"run": "../x"}, {"run": ""}, {"run": ".x"},
        {"run": "x" * 65}, {"umask": "022"}, {"umask": 0o1000}, {"cwd": "relative"}, {"stdout": "x"},
        {"uid": 1}, {"uid": -1, "gid": 1}, {"uid": "1", "gid": 1}, {"uid": 2**32 - 1, "gid": 1},
        {"uid": True, "gid": 1},
        {"uid": 1, "gid": 1, "groups": ["x"]}, {"rlimits": {"nofile": 0}}, {"rlimits": {"nofile": "9"}}, {"rlimits": 3},
        {"nice": 20}, {"nice": -21}, {"nice": "1"}, {"cgroup": "relative"}, {"cgroup": 3},
        {"env": {"A=B": "c"}}, {"env": {"": "c"}}, {"env": {"A": "\0"}}, {"env": None}, {"slot": 3}, {"umask": True},
    ],
)  # fmt: skip
def test_a_request_that_could_not_be_executed_as_it_stands_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(SpawnError) as caught:
        SpawnRequest.parse(header(tmp_path, "true", **changes) if "argv" not in changes else header(tmp_path) | changes)
    assert (caught.value.stage, caught.value.number) == ("request", errno.EINVAL)


def test_without_descriptors_there_is_no_child_and_nothing_is_left_open(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    request = SpawnRequest.parse(header(tmp_path, "true"))
    gaps = [os.open("/dev/null", os.O_RDONLY) for _ in range(64)]
    used = gaps[-1] + 1
    before = sorted(os.listdir("/proc/self/fd"))
    try:
        for room in (3, 10):  # too few for the pipes; enough for them, but inside the headroom
            resource.setrlimit(resource.RLIMIT_NOFILE, (used + room, limits[1]))
            with pytest.raises(SpawnError) as caught:
                fork_waiting(request, SETUP)
            assert (caught.value.stage, caught.value.number) == ("fork", errno.EMFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert sorted(os.listdir("/proc/self/fd")) == before
    for descriptor in gaps:
        os.close(descriptor)
    assert os.waitpid(-1, 0)[1] == signal.SIGKILL  # the one that was given up


def test_a_child_that_is_given_up_never_runs(tmp_path: Path) -> None:
    child = fork_waiting(SpawnRequest.parse(header(tmp_path, "touch", "ran")), SETUP)
    abandon(child)
    assert os.waitpid(child.pid, 0)[1] == signal.SIGKILL
    assert not (tmp_path / "ran").exists()


def test_a_child_that_cannot_be_told_to_go_on_is_still_ours_to_abandon() -> None:
    """At the end of its pipe it would leave with 0: a worker that never ran would have completed."""
    read, write = os.pipe()
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        child = Child(process.pid, -1, os.open("/dev/full", os.O_WRONLY), read)
        with pytest.raises(OSError, match="No space left"):
            release(child)
        abandon(child)
        assert process.wait(10) == -signal.SIGKILL
    os.close(write)
