"""Faults of what lies on disk: the database, the file system, the agent's folder, the specs. Registered by import."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.campaign.campaign_faults import OURS, Absent, Scene, fault
from tests.campaign.campaign_ground import INODES

# --- the database ---


@fault("database deleted", 2)
def _deleted(scene: Scene) -> Iterator[None]:
    scene.lost_database()
    for suffix in ("", "-wal", "-shm"):
        Path(f"{scene.ground.database}{suffix}").unlink(missing_ok=True)
    yield


@fault("database locked", 2)
def _locked(scene: Scene) -> Iterator[None]:
    connection = sqlite3.connect(scene.ground.database, timeout=20, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        scene.dwell(4)
    finally:
        connection.close()


@fault("database read-only", 1)
def _read_only(scene: Scene) -> Iterator[None]:
    path = scene.ground.database
    if os.geteuid() == 0:
        files = [str(path), f"{path}-wal"]
        if subprocess.run(["chattr", "+i", *files], capture_output=True, check=False).returncode != 0:
            raise Absent("chattr +i does not work on this file system")
        undo: list[str] = ["chattr", "-i", *files]
    else:
        path.parent.chmod(0o500)
        undo = ["chmod", "0700", str(path.parent)]
    try:
        yield
        scene.dwell(2)
    finally:
        subprocess.run(undo, check=False, capture_output=True)


@fault("disk full", 2)
def _disk_full(scene: Scene) -> Iterator[None]:
    if not scene.ground.is_mounted:
        raise Absent("no file system of its own could be mounted")
    filler = scene.ground.state / "filler"
    with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (1 << 20, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"\0" * size)
    try:
        yield
        scene.dwell(3)
    finally:
        filler.unlink()


@fault("no inodes left", 1)
def _inodes(scene: Scene) -> Iterator[None]:
    """There is room, and no more file can be made."""
    if not scene.ground.is_mounted:
        raise Absent("no file system of its own could be mounted")
    folder = scene.ground.state / "fillers"
    with contextlib.suppress(OSError):
        folder.mkdir()
        for number in range(INODES):
            (folder / str(number)).touch()
    try:
        yield
        scene.dwell(3)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# --- the agent's folder ---


def _folder_lost(*parts: str) -> Callable[[Scene], Iterator[None]]:
    def lose(scene: Scene) -> Iterator[None]:
        scene.lost_journal()
        for part in parts:
            shutil.rmtree(scene.ground.state / "agent" / part, ignore_errors=True)
        scene.dwell(0.5)
        scene.ground.strike(signal.SIGKILL, *scene.chance.choice([("agent",), ("agent", "keeper"), ("keeper",)]))
        yield

    return lose


for _parts in (("journal",), ("slots",), ("",)):
    fault(f"agent folder lost: {_parts[0] or 'all'}", 1)(_folder_lost(*_parts))


@fault("agent folder restored", 1)
def _restored(scene: Scene) -> Iterator[None]:
    """An older copy of it, from before the traffic of this fault."""
    scene.lost_journal()
    folder, copy = scene.ground.state / "agent", scene.ground.root / "agent-copy"
    shutil.copytree(folder, copy, symlinks=True)
    scene.traffic.some(2)
    scene.dwell(3)
    yield
    scene.ground.strike(signal.SIGKILL, *OURS)
    shutil.rmtree(folder)
    shutil.move(copy, folder)
    scene.ground.tend()


# --- specs ---


@fault("specs moved away", 2)
def _moved(scene: Scene) -> Iterator[None]:
    specs, away = scene.ground.specs, scene.ground.root / "away"
    scene.traffic.settle()
    specs.rename(away)
    kinds = scene.chance.choice(["gone", "empty"])
    if kinds == "empty":
        specs.mkdir(mode=0o700)
    scene.dwell(3)
    if kinds == "empty":
        shutil.rmtree(specs)
    away.rename(specs)
    yield


@fault("broken specs", 3)
def _broken(scene: Scene) -> Iterator[None]:
    """Two files break and are mended, and one names a worker of another file: nothing of that touches anybody."""
    harms = ("worker_id: [\n", "", "\x00\xff", "command: 7\nworker_id: X\n", "&a [*a, *a]\n")
    broken = [wanted for _ in range(2) if (wanted := scene.fleet.pick(scene.chance)) is not None]
    for wanted in broken:
        scene.ground.write(f"{wanted.worker_id}.yaml", scene.chance.choice(harms))
    twice = scene.fleet.pick(scene.chance)
    if twice is not None:
        scene.ground.write("zz-twice.yaml", scene.fleet.text(twice))
    scene.ground.write("zz-torn.yaml", scene.ground.spec("zz-torn")[:40])
    yield
    scene.dwell(1.5)
    for wanted in broken:
        scene.traffic.write(wanted)
    for name in ("zz-twice", "zz-torn"):
        (scene.ground.specs / f"{name}.yaml").unlink(missing_ok=True)


@fault("specs saved in bursts", 1)
def _bursts(scene: Scene) -> Iterator[None]:
    """Somebody saves the same file again and again, torn in between: it ends as the last one says, started once."""
    wanted = scene.fleet.pick(scene.chance)
    if wanted is not None:
        path, text = scene.ground.specs / f"{wanted.worker_id}.yaml", scene.fleet.text(wanted)
        for _ in range(10):
            path.write_text(text[: scene.chance.randint(0, len(text))])
            scene.dwell(0.02)
            path.write_text(text)
    yield
