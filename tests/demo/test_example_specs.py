"""The examples in specs/ are right, and run with what every host has."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import yaml

from controller.sources.offline import validate

SPECS = Path(__file__).parents[2] / "specs"


@contextmanager
def running(command: list[str] | str, **env: str) -> Iterator[subprocess.Popen[str]]:
    """A command as the agent would run it: in the specs directory, a new session, a bare environment."""
    process = subprocess.Popen(
        ["/bin/sh", "-c", command] if isinstance(command, str) else command,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", **env},
        cwd=SPECS, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def command_of(name: str) -> list[str] | str:
    command: list[str] | str = yaml.safe_load((SPECS / f"{name}.yaml").read_text("utf-8"))["command"]
    return command


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Ask its group to end; its exit code and its last words."""
    os.killpg(process.pid, signal.SIGTERM)
    # Longer than the greeter sleeps: a sleep that is just being forked misses the signal and keeps the output open.
    out, _ = process.communicate(timeout=30)
    return process.returncode, out


def test_the_examples_are_valid() -> None:
    found = validate(str(SPECS))
    assert (found.problems, sorted(found.workers)) == ((), ["consumer", "flaky", "greeter", "hello-http", "uptime"])


def test_hello_http_answers_and_ends_gracefully() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with running(command_of("hello-http"), PORT=str(port), GREETING="hello from hello-http/0") as process:
        assert line_of(process) == f"listening on http://127.0.0.1:{port}/\n"
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"hello from hello-http/0\n"
        connection.close()
        code, last = ended(process)
    assert (code, last.splitlines()[-1]) == (0, "goodbye")


def test_the_consumer_prints_a_line_for_each_job_and_finishes_the_last() -> None:
    with running(command_of("consumer"), JOB_MS="50", QUEUE="letters", WORKER_ORDINAL="2") as process:
        assert line_of(process) == "letters: job 2-0001 done\n"
        code, last = ended(process)
    assert (code, last.endswith("jobs done, goodbye\n")) == (0, True)


def test_the_flaky_one_crashes_and_ends_cleanly_when_asked_to() -> None:
    with running(command_of("flaky"), MIN_S="0", MAX_S="0") as process:
        out, _ = process.communicate(timeout=10)
        assert (process.returncode, out) == (1, "working\nout of luck after 0 s\n")
    with running(command_of("flaky")) as process:
        assert line_of(process) == "working\n"
        assert ended(process) == (0, "asked to end, goodbye\n")


def test_the_greeter_speaks_chinese_and_says_goodbye() -> None:
    with running(command_of("greeter"), WORKER_INSTANCE="greeter/0") as process:
        first = line_of(process)
        code, last = ended(process)
    assert ("你好" in first, "greeter/0" in first) == (True, True)
    assert (code, "再见" in last) == (0, True)


def test_the_one_liner_prints_the_load() -> None:
    with running(command_of("uptime")) as process:
        assert len(line_of(process).split()) == 3
        assert ended(process)[0] == -signal.SIGTERM
