"""The first spec of a person is right, as it stands and with every comment that shows a field taken at its word."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

from controller.core.spec import WorkerSpec
from controller.sources.formatter import formatted
from controller.sources.offline import validate
from controller.sources.starter import SCHEMA_FILE, starter_spec
from controller.sources.strict_yaml import parse
from controller.sources.tree import is_ignored


def problems(folder: Path, text: str) -> list[str]:
    (folder / "mailer.yaml").write_text(text)
    found = validate(str(folder))
    assert list(found.workers) == ["mailer"] * (not found.problems)
    return [str(problem) for problem in found.problems]


def test_it_is_valid_and_formatted(tmp_path: Path) -> None:
    text = starter_spec("mailer")
    assert problems(tmp_path, text) == []
    assert formatted(text.encode(), "f").content == text.encode()


def test_every_field_in_its_comments_is_valid_when_uncommented(tmp_path: Path) -> None:
    names = "|".join(WorkerSpec.model_fields)
    text, count = re.subn(rf"^# ((?:{names}): )", r"\1", starter_spec("mailer"), flags=re.MULTILINE)
    assert count >= 8
    assert problems(tmp_path, text) == []


def test_it_begins_with_the_modeline_of_a_schema_that_scans_do_not_see() -> None:
    assert starter_spec("mailer").startswith(f"# yaml-language-server: $schema={SCHEMA_FILE}\n")
    assert is_ignored(SCHEMA_FILE)


def wait_until_it_sleeps(pid: int) -> None:
    """Until the shell has a child that is `sleep`: a signal that comes before would be noticed ten seconds later."""
    deadline, pause = time.monotonic() + 10, threading.Event()
    while time.monotonic() < deadline:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if any(Path(f"/proc/{child}/comm").read_text() == "sleep\n" for child in children):
            return
        pause.wait(0.01)
    raise AssertionError("it never slept")


def test_it_runs_as_it_stands_and_ends_when_asked_to() -> None:
    command = parse(starter_spec("mailer").encode(), "f").documents[0].data["command"]
    with subprocess.Popen(
        ["/bin/sh", "-c", command], env={"PATH": "/usr/bin:/bin", "WORKER_INSTANCE": "mailer/0"},
        stdout=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        first = process.stdout.readline()
        wait_until_it_sleeps(process.pid)
        os.killpg(process.pid, signal.SIGTERM)
        last = process.stdout.read()
    assert (first, last, process.returncode) == (
        "mailer/0 says hello, time 1\n",
        "asked to end, goodbye\n",
        0,
    )
