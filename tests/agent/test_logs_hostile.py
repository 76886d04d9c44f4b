"""A log folder that somebody swaps for a link all the time: nothing outside is read, punched, changed or removed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.agent.logs import ReadError
from tests.agent.logs_shelf import LIMITS, Shelf

SWAP = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
one, other = map(os.fsencode, sys.argv[1:])
print("swapping", flush=True)
while os.getppid() == int(os.environ["PARENT"]):
    libc.renameat2(-100, one, -100, other, 2)
"""
RUNS = 60
SECRET = b"secret! "


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder with files of all the names that ours could have."""
    folder = tmp_path / "victim"
    folder.mkdir()
    for number in range(RUNS):
        for name in (f"r{number}.stdout", f"r{number}.stderr", f"r{number}.stdout.base", f"r{number}.stdout.0.gz"):
            (folder / name).write_bytes(SECRET * (LIMITS.max_bytes if name.endswith("stdout") else 1))
    return folder


@pytest.fixture
def swapped(tmp_path: Path, victim: Path) -> Iterator[int]:
    """The folder of web/0 and a link to the victim change places all the time; a descriptor of the true one."""
    folder, link = tmp_path / "logs/web/0", tmp_path / "link"
    folder.mkdir(parents=True)
    link.symlink_to(victim)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    environment = {**os.environ, "PARENT": str(os.getpid())}
    command = [sys.executable, "-c", SWAP, str(folder), str(link)]
    swapper = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
    assert swapper.stdout is not None
    swapper.stdout.readline()
    yield descriptor
    swapper.kill()
    swapper.communicate()
    os.close(descriptor)


def state_of(folder: Path) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_mtime_ns, path.stat().st_blocks) for path in folder.iterdir()}


async def test_a_folder_that_is_swapped_for_a_link_leads_us_nowhere(tmp_path: Path, victim: Path, swapped: int) -> None:
    before = state_of(victim)
    shelf = Shelf(tmp_path)
    for number in range(RUNS):
        await use(shelf, f"r{number}", swapped)
    shelf.logs.close()
    assert state_of(victim) == before


async def use(shelf: Shelf, run: str, folder: int) -> None:
    """All that is ever done with a run's files, of which some cannot be done now."""
    try:
        shelf.logs.open_run("web/0", run)
    except OSError:
        return
    descriptor = os.open(f"{run}.stdout", os.O_WRONLY | os.O_CREAT, dir_fd=folder)
    os.write(descriptor, b"own output\n" * LIMITS.max_bytes)
    os.close(descriptor)
    for _ in range(5):
        shelf.logs._noticed("web/0", f"{run}.stdout")
        try:
            _, data, _ = shelf.read(run)
        except ReadError:
            continue
        assert SECRET not in data
    shelf.logs.stored(run, "stdout", 100)
    shelf.logs._noticed("web/0", f"{run}.stdout")
    shelf.logs.close_run("web/0", run)
    await shelf.logs.pack()
    shelf.logs.tidy()
