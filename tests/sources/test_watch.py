"""Hints from a real watcher on real directories: each way in which specs can change gives one."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from controller.sources.watch import crossings, file_system_type, hints, must_poll

DEADLINE_S = 10.0


class Listening:
    """Counts hints. `hinted` waits for one that came after the last call."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self._hint = asyncio.Event()

    async def run(self, root: Path) -> None:
        async for _ in hints(str(root), self.stop):
            self._hint.set()

    async def hinted(self, act: Callable[[], object] | None = None) -> None:
        """Repeats the act until a hint comes: a watch takes a moment to stand."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                if act is not None:
                    act()
                try:
                    await asyncio.wait_for(self._hint.wait(), 0.3)
                except TimeoutError:
                    continue
                self._hint.clear()
                return

    async def quiet(self, seconds: float) -> bool:
        """Whether no hint comes for a while."""
        self._hint.clear()
        try:
            await asyncio.wait_for(self._hint.wait(), seconds)
        except TimeoutError:
            return True
        return False


@asynccontextmanager
async def listening(root: Path) -> AsyncIterator[Listening]:
    listener = Listening()
    task = asyncio.create_task(listener.run(root))
    try:
        yield listener
    finally:
        listener.stop.set()
        async with asyncio.timeout(DEADLINE_S):
            await task


def touch(path: Path) -> Callable[[], object]:
    return lambda: path.write_text("x")


async def test_a_change_of_a_file_is_a_hint_and_an_ignored_file_is_not(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    async with listening(tmp_path) as listener:
        await listener.hinted(touch(tmp_path / "sub/a.yaml"))
        assert await listener.quiet(0.2) or await listener.quiet(0.2)
        (tmp_path / ".a.yaml.workerctl").write_text("x")
        assert await listener.quiet(0.3)
        await listener.hinted((tmp_path / "sub/a.yaml").unlink)


async def test_a_directory_that_appears_later_is_a_hint_and_is_watched(tmp_path: Path) -> None:
    root = tmp_path / "specs"
    async with listening(root) as listener:
        assert await listener.quiet(0.1)
        root.mkdir()
        await listener.hinted()
        await listener.hinted(touch(root / "a.yaml"))


async def test_a_directory_that_is_replaced_is_a_hint_and_the_new_one_is_watched(tmp_path: Path) -> None:
    root = tmp_path / "specs"
    root.mkdir()
    async with listening(root) as listener:
        await listener.hinted(touch(root / "a.yaml"))
        shutil.rmtree(root)
        await listener.hinted()
        root.mkdir()
        await listener.hinted()
        await listener.hinted(touch(root / "b.yaml"))


async def test_a_link_on_the_way_that_is_flipped_is_a_hint_and_the_new_target_is_watched(tmp_path: Path) -> None:
    for version in ("v1", "v2"):
        (tmp_path / version / "specs").mkdir(parents=True)
    (tmp_path / "current").symlink_to("v1")
    async with listening(tmp_path / "current" / "specs") as listener:
        await listener.hinted(touch(tmp_path / "v1/specs/a.yaml"))
        (tmp_path / "flip").symlink_to("v2")
        (tmp_path / "flip").rename(tmp_path / "current")
        await listener.hinted()
        await listener.hinted(touch(tmp_path / "v2/specs/b.yaml"))


async def test_a_configmap_flip_is_a_hint(tmp_path: Path) -> None:
    (tmp_path / "..v1").mkdir()
    (tmp_path / "..v2").mkdir()
    (tmp_path / "..data").symlink_to("..v1")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    async with listening(tmp_path) as listener:
        await listener.hinted(touch(tmp_path / "b.yaml"))
        (tmp_path / "..tmp").symlink_to("..v2")
        (tmp_path / "..tmp").rename(tmp_path / "..data")
        await listener.hinted()


async def test_a_watcher_that_fails_is_started_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    # A name that is no UTF-8 ends a watch with an error.
    with caplog.at_level(logging.WARNING):
        async with listening(tmp_path) as listener:
            await listener.hinted(touch(tmp_path / "a.yaml"))
            (tmp_path / os.fsdecode(b"\xff.yaml")).write_text("x")
            await listener.hinted(touch(tmp_path / "b.yaml"))
            await listener.hinted(touch(tmp_path / "c.yaml"))


MOUNTINFO = """\
22 1 0:20 / / rw,relatime - ext4 /dev/sda1 rw
30 22 0:30 / /srv rw - nfs4 server:/srv rw
31 30 0:31 / /srv/local\\040disk rw shared:1 - xfs /dev/sdb rw
32 22 0:32 / /cloud rw - fuse.sshfs host:/ rw
33 22 0:33 / /cover rw - ext4 /dev/sdc rw
34 33 0:34 / /cover rw - tmpfs tmpfs rw
nonsense
"""


@pytest.mark.parametrize(
    ("path", "found", "polls"),
    [
        ("/", "ext4", False),
        ("/srvx/specs", "ext4", False),
        ("/srv", "nfs4", True),
        ("/srv/specs", "nfs4", True),
        ("/srv/local disk/specs", "xfs", False),
        ("/cloud/specs", "fuse.sshfs", True),
        ("/cover/specs", "tmpfs", False),
    ],
)
def test_network_file_systems_are_polled(path: str, found: str, polls: bool) -> None:
    assert (file_system_type(path, MOUNTINFO), must_poll(path, MOUNTINFO)) == (found, polls)


def test_an_unknown_mount_is_not_polled() -> None:
    assert (file_system_type("/x", ""), must_poll("/x", "")) == ("", False)


def test_the_places_where_a_path_may_be_flipped(tmp_path: Path) -> None:
    (tmp_path / "v1/specs").mkdir(parents=True)
    (tmp_path / "current").symlink_to("v1")
    root = tmp_path / "current" / "specs"
    assert crossings(str(root))[-2:] == ((str(tmp_path), "current"), (str(tmp_path / "v1"), "specs"))
