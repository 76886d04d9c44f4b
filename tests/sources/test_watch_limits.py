"""When the kernel cannot tell: its queue overflows, its watches are used up, the file system is a network's.

A change is found all the same, and people are told once why it takes a little longer.
"""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

import pytest

from controller.sources.watch import hints
from tests.sources.hint_listener import apart, listening, needs_namespaces
from tests.sources.test_watch import touch

QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")
IN_USER_NAMESPACE = ("--user", "--map-root-user")


def fill_the_queue(folder: Path) -> None:
    """More events than the kernel keeps: equal ones in a row would be merged, so two files take turns."""
    files = [os.open(folder / name, os.O_WRONLY | os.O_CREAT, 0o600) for name in ("x~", "y~")]
    for number in range(int(QUEUE.read_text()) + 1000):
        os.write(files[number % 2], b"x")
    for file in files:
        os.close(file)


async def test_what_is_lost_in_an_overflowing_queue_is_found_and_watched(tmp_path: Path) -> None:
    """All that fills the queue is worth no look, and what comes after it is not in the queue: only the overflow is."""
    async with listening(tmp_path) as listener:

        def burst() -> None:  # the loop that would read the queue runs this, and nothing else meanwhile
            fill_the_queue(tmp_path)
            (tmp_path / "new").mkdir()

        await listener.hinted(burst)
        await listener.until_quiet()
        await listener.hinted(touch(tmp_path / "new/a.yaml"))


@pytest.mark.parametrize(
    ("limit", "left", "message"),
    [
        ("max_inotify_instances", 0, "no inotify instance is left to have (raise fs.inotify.max_user_instances"),
        ("max_inotify_watches", 3, "no inotify watch is left to have (raise fs.inotify.max_user_watches)"),
    ],
)
def test_without_inotify_the_directory_is_looked_at_and_that_is_said_once(
    tmp_path: Path, limit: str, left: int, message: str
) -> None:
    needs_namespaces(*IN_USER_NAMESPACE)
    root = tmp_path / "specs"
    (root / "deep/er/still").mkdir(parents=True)
    given = ("unshare", *IN_USER_NAMESPACE, "sh", "-c", f'echo {left} > /proc/sys/user/{limit}; exec "$@"', "sh")
    with apart(root, *given) as listener:
        told = listener.until("hint")
        (root / "deep/er/still/a.yaml").write_text("x")
        told += listener.until("hint")
        (root / "deep/er/still/a.yaml").write_text("xy")
        told += listener.until("hint")
        root.rename(tmp_path / "moved")
        told += listener.until("hint")
        root.mkdir()
        told += listener.until("hint")
        told += listener.until_quiet()
        (root / "b.yaml").write_text("x")
        told += listener.until("hint")
    lines = [line for line in told if line != "hint"]
    assert len(lines) == 1, told
    assert lines[0].startswith(f"the specs directory is looked at every 0.1 s: {message}")


async def test_watches_that_run_out_later_cost_no_change(tmp_path: Path) -> None:
    """Directories that appear may be what is too many."""
    needs_namespaces(*IN_USER_NAMESPACE)
    given = ("unshare", *IN_USER_NAMESPACE, "sh", "-c", 'echo 6 > /proc/sys/user/max_inotify_watches; exec "$@"', "sh")
    with apart(tmp_path, *given) as listener:
        listener.until("hint")
        for number in range(8):
            (tmp_path / f"{number}").mkdir()
        assert "looked at every 0.1 s" in listener.until("looked at every 0.1 s")[-1]
        listener.until_quiet()
        (tmp_path / "7/a.yaml").write_text("x")
        listener.until("hint")


@pytest.fixture
def network(tmp_path: Path) -> str:
    """A table of mounts by which the test's directory is a network's."""
    table = tmp_path / "mountinfo"
    table.write_text(f"22 1 0:20 / / rw - ext4 /dev/sda1 rw\n30 22 0:30 / {tmp_path}/specs rw - nfs4 server:/ rw\n")
    return str(table)


async def test_a_network_file_system_is_looked_at_and_every_kind_of_change_is_found(
    tmp_path: Path, network: str, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "specs"
    (root / "team").mkdir(parents=True)
    (root / "team/a.yaml").write_text("one")
    for version in ("v1", "v2"):
        (root / version).mkdir()
    (root / "..data").symlink_to("v1")
    with caplog.at_level(logging.INFO):
        async with listening(root, mountinfo=network) as listener:
            await listener.hinted(lambda: (root / "team/a.yaml").write_text("two"))  # of the same size
            await listener.hinted(lambda: (root / "team/b.yaml").write_text("new"))
            await listener.hinted(lambda: (root / "team/b.yaml").rename(root / "team/c.yaml"))
            await listener.hinted((root / "team/c.yaml").unlink)
            await listener.hinted(lambda: (root / "team").chmod(0o500))
            (root / "..tmp").symlink_to("v2")
            await listener.hinted(lambda: (root / "..tmp").rename(root / "..data"))
            await listener.hinted(lambda: root.rename(tmp_path / "away"))
            await listener.until_quiet(0.5)
            await listener.hinted(root.mkdir)
    assert [record.getMessage() for record in caplog.records] == [
        "the specs directory is looked at every 0.1 s: it is on nfs4, where changes by others are not reported"
    ]


async def test_a_watcher_that_fails_tries_again_less_and_less_often_and_then_looks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A table of mounts that is a loop fails each life of a watcher; another fault would do as well."""
    (tmp_path / ".loop").symlink_to(".loop")
    async with listening(tmp_path, mountinfo=str(tmp_path / ".loop")) as listener:
        await listener.hinted(touch(tmp_path / "a.yaml"))
        await listener.until_quiet(1.0)
        await listener.hinted(touch(tmp_path / "b.yaml"))
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [
        *["watching the specs directory failed"] * 3,
        "the specs directory is looked at every 0.1 s: watching failed again and again",
    ]


def test_nothing_is_left_open(tmp_path: Path) -> None:
    """Also where the last life never came to stand."""

    async def briefly() -> None:
        stop = asyncio.Event()
        async for _ in hints(str(tmp_path), stop):
            stop.set()

    def kernel_objects() -> int:
        links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
        return sum(os.path.islink(link) and os.readlink(link).startswith("anon_inode") for link in links)

    before = kernel_objects()
    for _ in range(3):
        asyncio.run(briefly())
    assert kernel_objects() == before
