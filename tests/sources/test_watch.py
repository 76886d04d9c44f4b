"""Hints from a real watcher on real directories: each way in which specs can change gives one."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.sources.watched_tree import crossings
from tests.sources.hint_listener import listening


def touch(path: Path) -> Callable[[], object]:
    return lambda: path.write_text("x")


async def test_a_change_of_a_file_is_a_hint_and_our_own_and_editors_files_are_not(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    async with listening(tmp_path) as listener:
        await listener.hinted(touch(tmp_path / "sub/a.yaml"))
        await listener.until_quiet()
        for name in (".a.yaml.workerctl", "a.yaml~", "#a.yaml#", ".#a.yaml"):
            (tmp_path / name).write_text("x")
        assert await listener.quiet(0.3)
        await listener.hinted((tmp_path / "sub/a.yaml").unlink)


@pytest.mark.parametrize("name", [".env", "web.env", ".env.local", "a.yml"])
async def test_every_change_of_a_file_that_sets_variables_is_a_hint(tmp_path: Path, name: str) -> None:
    async with listening(tmp_path) as listener:
        for _ in range(3):
            await listener.hinted(touch(tmp_path / name))
            await listener.until_quiet()


async def test_a_file_that_is_written_all_day_gives_few_hints(tmp_path: Path) -> None:
    """A worker may well write its own files beside its spec."""
    async with listening(tmp_path) as listener:
        await listener.hinted(touch(tmp_path / "worker.log"))
        before = listener.count
        for number in range(5):
            (tmp_path / "worker.log").write_text(f"{number}\n")
            assert await listener.quiet(0.02)
        assert listener.count == before
        await listener.hinted()  # the last of them is not forgotten


async def test_a_quiet_directory_costs_nothing(tmp_path: Path) -> None:
    async with listening(tmp_path):
        before = time.process_time()
        await asyncio.sleep(1)
        assert time.process_time() - before < 0.02


@pytest.mark.parametrize("way", ["made", "moved in", "moved within", "copied"])
async def test_a_directory_that_appears_is_watched_with_all_below_it(tmp_path: Path, way: str) -> None:
    root, beside = tmp_path / "specs", tmp_path / "beside"
    (root / "before/deep").mkdir(parents=True)
    (beside / "deep").mkdir(parents=True)
    ways: dict[str, Callable[[], object]] = {
        "made": lambda: (root / "new/deep").mkdir(parents=True),
        "moved in": lambda: beside.rename(root / "new"),
        "moved within": lambda: (root / "before").rename(root / "new"),
        "copied": lambda: shutil.copytree(beside, root / "new"),
    }
    async with listening(root) as listener:
        await listener.hinted(ways[way])
        await listener.until_quiet()
        await listener.hinted(touch(root / "new/deep/a.yaml"))
        await listener.until_quiet()
        (root / "new/deep/deeper").mkdir()
        await listener.until_quiet()
        await listener.hinted(touch(root / "new/deep/deeper/b.yaml"))


async def test_what_git_keeps_for_itself_is_not_watched(tmp_path: Path) -> None:
    (tmp_path / ".git/objects").mkdir(parents=True)
    async with listening(tmp_path) as listener:
        (tmp_path / ".git/index.lock").write_text("x")
        (tmp_path / ".git/objects/ab").mkdir()
        assert await listener.quiet(0.3)


async def test_a_directory_that_appears_later_is_a_hint_and_is_watched(tmp_path: Path) -> None:
    root = tmp_path / "specs"
    async with listening(root) as listener:
        assert await listener.quiet(0.1)
        await listener.hinted(root.mkdir)
        await listener.until_quiet()
        await listener.hinted(touch(root / "a.yaml"))


@pytest.mark.parametrize("way", ["made anew", "another moved there"])
async def test_a_directory_that_is_replaced_is_a_hint_and_the_new_one_is_watched(tmp_path: Path, way: str) -> None:
    root, other = tmp_path / "specs", tmp_path / "other"
    root.mkdir()
    other.mkdir()
    async with listening(root) as listener:
        if way == "made anew":
            await listener.hinted(lambda: shutil.rmtree(root))
            await listener.until_quiet()
            await listener.hinted(root.mkdir)
        else:
            await listener.hinted(lambda: (root.rename(tmp_path / "old"), other.rename(root)))
        await listener.until_quiet()
        await listener.hinted(touch(root / "b.yaml"))


async def test_a_link_on_the_way_that_is_flipped_is_a_hint_and_the_new_target_is_watched(tmp_path: Path) -> None:
    for version in ("v1", "v2"):
        (tmp_path / version / "specs").mkdir(parents=True)
    (tmp_path / "current").symlink_to("v1")
    async with listening(tmp_path / "current" / "specs") as listener:
        (tmp_path / "flip").symlink_to("v2")
        await listener.hinted(lambda: (tmp_path / "flip").rename(tmp_path / "current"))
        await listener.until_quiet()
        await listener.hinted(touch(tmp_path / "v2/specs/b.yaml"))


async def test_a_configmap_flip_is_a_hint_each_time(tmp_path: Path) -> None:
    (tmp_path / "..v0").mkdir()
    (tmp_path / "..data").symlink_to("..v0")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    async with listening(tmp_path) as listener:
        for version in ("..v1", "..v2"):
            (tmp_path / version).mkdir()
            (tmp_path / "..tmp").symlink_to(version)
            await listener.until_quiet()
            await listener.hinted(lambda: (tmp_path / "..tmp").rename(tmp_path / "..data"))


async def test_names_that_are_no_text_disturb_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        async with listening(tmp_path) as listener:
            await listener.hinted(touch(tmp_path / os.fsdecode(b"\xff.yaml")))
            await listener.until_quiet()
            await listener.hinted((tmp_path / os.fsdecode(b"\xfe")).mkdir)
            await listener.until_quiet()
            await listener.hinted(touch(tmp_path / os.fsdecode(b"\xfe") / "a.yaml"))
    assert caplog.records == []


def test_the_places_where_a_path_may_be_flipped(tmp_path: Path) -> None:
    (tmp_path / "v1/specs").mkdir(parents=True)
    (tmp_path / "current").symlink_to("v1")
    root = tmp_path / "current" / "specs"
    assert crossings(str(root))[-2:] == ((str(tmp_path), "current"), (str(tmp_path / "v1"), "specs"))
