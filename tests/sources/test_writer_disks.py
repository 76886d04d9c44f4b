"""Specs are written to a disk that is full, or mounted read-only: nothing is lost, and who asked is told why.

In a mount namespace of its own, so that root, too, meets a real end of the disk.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sources.hint_listener import needs_namespaces

ROOT = Path(__file__).parents[2]
PROGRAM = """
import subprocess, sys
from controller.core.authorship import SpecRefused
from pathlib import Path
from tests.sources.test_writer import WEB, Place
folder = Path(sys.argv[1])

def mount(*what):
    subprocess.run(["mount", *what, str(folder)], check=True)

def told(action, worker_id="web", **more):
    outcome = place.write(action, worker_id, **more)
    reason = outcome.reason if isinstance(outcome, SpecRefused) else "written"
    print(f"{action}: {reason}, {'same' if (place.read(), place.names()) == before else 'changed'}")

mount("-t", "tmpfs", "-o", "size=64k", "specs")
place = Place(folder, web=WEB)
"""
FULL = """
with open(folder / "ballast", "wb", buffering=0) as ballast:
    try:
        while True:
            ballast.write(bytes(4096))
    except OSError:
        pass
before = place.read(), place.names()
told("create", "db", body={"command": ["x"]})
told("patch", body={"replicas": 2})
(folder / "ballast").unlink()
told("patch", body={"replicas": 2})
"""
READ_ONLY = """
mount("-o", "remount,ro")
before = place.read(), place.names()
told("create", "db", body={"command": ["x"]})
told("patch", body={"replicas": 2})
told("delete")
mount("-o", "remount,rw")
told("patch", body={"replicas": 2})
"""


@pytest.mark.parametrize(
    ("program", "lines"),
    [
        (FULL, ["create: disk_full, same", "patch: disk_full, same", "patch: written, changed"]),
        (
            READ_ONLY,
            [
                "create: read_only_source, same", "patch: read_only_source, same", "delete: read_only_source, same",
                "patch: written, changed",
            ],
        ),
    ],
    ids=["full", "read-only"],
)  # fmt: skip
def test_a_disk_that_takes_nothing_loses_nothing_and_the_next_write_works(
    tmp_path: Path, program: str, lines: list[str]
) -> None:
    needs_namespaces("--mount")
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", PROGRAM + program, str(tmp_path)], cwd=ROOT, timeout=60,
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip

    assert (done.stderr, done.stdout.splitlines()) == ("", lines)
