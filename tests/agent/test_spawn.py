"""The child's side, called directly in this process: what a worker gets, and how each failure is named."""

from __future__ import annotations

import errno
import json
import os
import resource
import select
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.agent.child import ChildSetup
from controller.agent.spawn import (
    Child,
    SpawnError,
    SpawnRequest,
    abandon,
    fork_waiting,
    read_report,
    release,
)

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
