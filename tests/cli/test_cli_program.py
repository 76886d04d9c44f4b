"""The real program: what only a process can show (imports, signals, terminals, pipes)."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from controller.cli.errors import Exit
from tests.cli.cli_site import program
from tests.fakes.api_server import FakeApi, event, line, problem, worker

HEAVY = ("aiohttp", "alembic", "psutil", "pydantic", "sqlalchemy", "yaml")
READ_VERBS = (
    ["get"], ["get", "-o", "json"], ["get", "-o", "wide"], ["status"], ["status", "web"], ["describe", "web"],
    ["logs", "web"], ["events"], ["plan"], ["version"], ["help"], ["--help"], ["get", "--help"],
)  # fmt: skip


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=20)
    return process.returncode, out, err


@pytest.mark.parametrize("arguments", READ_VERBS, ids=" ".join)
def test_a_read_verb_imports_nothing_heavy(api: FakeApi, arguments: list[str]) -> None:
    api.workers, api.lines, api.events = [worker("web", problems=[problem()])], [line("x")], [event(1)]
    probe = (
        "import sys\nfrom controller.cli.main import root\n"
        f"root({arguments!r}, prog_name='workerctl', standalone_mode=False)\n"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    env = {**os.environ, "WORKERCTL_SERVER": api.url}
    done = subprocess.run([sys.executable, "-c", probe], env=env, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == ""


def test_the_program_leaves_with_the_exit_code_of_its_verb(api: FakeApi) -> None:
    api.workers = [worker("web", "error")]
    assert finished(program(api, "status", "web"))[0] == Exit.NOT_RUNNING
    assert finished(program(api, "get", "-o", "name")) == (0, "web\n", "")


def test_what_the_encoding_cannot_show_is_escaped(api: FakeApi) -> None:
    api.workers = [worker("web", "error", instances=[], why="问\udc80")]
    code, out, err = finished(program(api, "status", "web", PYTHONIOENCODING="latin-1"))
    assert (code, "\\u95ee" in out, err) == (Exit.NOT_RUNNING, True, "")


def test_an_output_that_is_full_or_closed_is_told_in_a_line() -> None:
    command = f'"{sys.executable}" -m controller explain'
    full = subprocess.run(["sh", "-c", f"{command} >/dev/full"], capture_output=True, text=True, check=False)
    assert (full.returncode, full.stderr) == (Exit.FAILED, "Error: Cannot write the output: No space left on device\n")
    closed = subprocess.run(["sh", "-c", f"{command} >&-"], capture_output=True, text=True, check=False)
    assert (closed.returncode, closed.stderr) == (0, "")


def test_ctrl_c_while_following_leaves_with_130_and_without_a_word(api: FakeApi) -> None:
    api.workers, api.lines = [worker("web")], [line("one")]
    process = program(api, "logs", "web", "-f")
    assert process.stdout is not None
    assert process.stdout.readline() == "one\n"
    api.wait_for(lambda: any("follow" in asked.query for asked in api.requests))
    process.send_signal(signal.SIGINT)
    assert finished(process) == (Exit.INTERRUPTED, "", "")


def test_a_reader_that_goes_away_is_no_error_worth_a_word(api: FakeApi) -> None:
    api.lines = [line("x" * 1000) for _ in range(500)]
    process = program(api, "logs", "web", "-n", "500")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    assert process.stderr is not None
    error = process.stderr.read()
    process.stderr.close()
    assert (process.wait(20), error) == (Exit.FAILED, "")


@contextmanager
def on_a_terminal(api: FakeApi, *arguments: str, **env: str) -> Iterator[tuple[subprocess.Popen[bytes], list[str]]]:
    """The program with a terminal of 80 x 24: what it writes is collected in the list, `stdin` is the keyboard."""
    ours, theirs = pty.openpty()
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TERM": "xterm", "WORKERCTL_SERVER": api.url, **env}
    process = subprocess.Popen(
        [sys.executable, "-m", "controller", *arguments],
        stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    os.close(theirs)
    process.stdin = os.fdopen(os.dup(ours), "wb", 0)
    seen: list[str] = []

    def collect() -> None:
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:  # the other side is closed
                return
            with api.changed:
                seen.append(data.decode("utf-8", "replace"))
                api.changed.notify_all()

    reader = threading.Thread(target=collect)
    reader.start()
    try:
        yield process, seen
        process.wait(20)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        reader.join(20)
        process.stdin.close()
        os.close(ours)


def test_a_terminal_gets_colour_signs_and_harmless_text(api: FakeApi) -> None:
    api.workers = [worker("web", name="Web")]
    api.lines = [line("\x1b]0;owned\x07\x9b2J")]
    with on_a_terminal(api, "get") as (process, seen):
        pass
    assert (process.returncode, "\x1b[32m● running\x1b[0m" in "".join(seen)) == (0, True)
    with on_a_terminal(api, "logs", "web") as (process, seen):
        pass
    assert "".join(seen) == "^[]0;owned^G<9B>2J\r\n"
    with on_a_terminal(api, "logs", "web", "--raw") as (process, seen):
        pass
    assert "".join(seen) == "\x1b]0;owned\x07\x9b2J\r\n"


@pytest.mark.parametrize("variable", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_may_ask_for_no_colour(api: FakeApi, variable: dict[str, str]) -> None:
    api.workers = [worker("web")]
    with on_a_terminal(api, "get", **variable) as (_, seen):
        pass
    assert ("● running" in "".join(seen), "\x1b" in "".join(seen)) == (True, False)


def test_watching_redraws_in_place_and_waits_for_a_controller_that_went(api: FakeApi) -> None:
    api.workers = [worker("web")]
    with on_a_terminal(api, "get", "-w", NO_COLOR="1") as (process, seen):
        api.wait_for(lambda: "● running" in "".join(seen))
        api.publish(lambda: api.workers.__setitem__(0, worker("web", "error")))
        api.wait_for(lambda: "✗ error" in "".join(seen))
        api.answers["GET", "/api/v1/workers"] = (503, {"detail": "the controller ends"})
        api.cut_streams()
        api.wait_for(lambda: "waiting for the controller" in "".join(seen))
        api.workers = [worker("web"), worker("mail", "crashed")]
        api.answers.clear()
        api.wait_for(lambda: "↻ crashed" in "".join(seen))
        process.send_signal(signal.SIGINT)
    text = "".join(seen)
    assert process.returncode == Exit.INTERRUPTED
    assert re.search(r"\x1b\[\d+A\r\x1b\[J", text)
    assert text.startswith("\x1b[?25l")
    assert text.endswith("\x1b[?25h")


def test_watching_ends_when_the_controller_refuses(api: FakeApi) -> None:
    api.answers["GET", "/api/v1/workers"] = (403, {"detail": "not you"})
    with on_a_terminal(api, "get", "-w", NO_COLOR="1") as (process, seen):
        pass
    assert (process.returncode, "Cannot watch workers: not you" in "".join(seen)) == (Exit.NOT_AUTHORISED, True)


def test_help_uses_a_pager_on_a_terminal(api: FakeApi) -> None:
    with on_a_terminal(api, "help", "cli", PAGER="head -n 1") as (process, seen):
        pass
    assert (process.returncode, "The command line" in "".join(seen)) == (0, True)


def test_a_pager_shows_colour_only_where_it_can(api: FakeApi, tmp_path: Path) -> None:
    less, other = tmp_path / "less", tmp_path / "other"
    less.write_text('#!/bin/sh\necho "LESS is <$LESS>"\ncat\n')
    other.write_text("#!/bin/sh\ncat\n")
    for pager in (less, other):
        pager.chmod(0o755)
    with on_a_terminal(api, "help", "cli", PAGER=str(less), LESS="", NO_COLOR="", TERM="xterm") as (_, coloured):
        pass
    with on_a_terminal(api, "help", "cli", PAGER=str(other), LESS="", NO_COLOR="", TERM="xterm") as (_, plain):
        pass
    assert "LESS is <-R>" in "".join(coloured)
    assert ["\x1b[" in "".join(seen) for seen in (coloured, plain)] == [True, False]
