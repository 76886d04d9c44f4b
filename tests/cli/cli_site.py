"""How the command line's tests run it: in this process for speed, as a program where a process is the point."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from click.testing import CliRunner, Result

from controller.cli.main import root
from controller.cli.terminal import Terminal
from tests.fakes.api_server import FakeApi

PLAIN = Terminal(tty=False, colour=False, unicode=True, columns=0, lines=0)
SCREEN = Terminal(tty=True, colour=False, unicode=True, columns=80, lines=24)
COLOUR = Terminal(tty=True, colour=True, unicode=True, columns=80, lines=24)


def run(api: FakeApi | None, *arguments: str, env: Mapping[str, str] | None = None) -> Result:
    """Run one command in this process, against `api` unless the environment says otherwise."""
    server = {"WORKERCTL_SERVER": api.url if api else None}
    return CliRunner().invoke(root, arguments, prog_name="workerctl", env={**server, **(env or {})})


def shown(api: FakeApi | None, *arguments: str) -> str:
    """The standard output of a command that must succeed."""
    result = run(api, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def program(api: FakeApi | None, *arguments: str, **more: str) -> subprocess.Popen[str]:
    """Start the real program with pipes."""
    env = {**os.environ, "PYTHONUNBUFFERED": "1", **({"WORKERCTL_SERVER": api.url} if api else {}), **more}
    return subprocess.Popen(
        [sys.executable, "-m", "controller", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
    )


@contextmanager
def meanwhile(action: Callable[[], object]) -> Iterator[None]:
    """Do something in a thread while the body runs; its failure is the test's."""
    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            action()
        except BaseException as error:  # handed over to the test below
            failures.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    try:
        yield
    finally:
        thread.join(20)
        if failures:
            raise failures[0]
