"""Both halves of a slot's memory, after kills, power cuts and rot."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from controller.agent.flusher import Flusher
from controller.agent.records import TOMBSTONES_KEPT, Records, Stamp, Tombstone, expired, file_name
from controller.agent.states import Exit, HookRun, Phase, Slot
from tests.agent.agent_builders import wish

ENDED = Exit("exited", 1, None, 5.0, "r0")
RUNNING = Slot(
    name="web/0", wish=wish(3), phase=Phase.RUNNING, run="r1", run_number=2, running_revision="1-a", ran_revision="1-a",
    pid=7, started_mono=1.5, started_wall=2.5, since=3.5, attempts=(1.0, 2.0), restart_count=4, last_exit=ENDED,
    hook=HookRun("pre_stop", "r2-pre_stop", 9.5, "timeout"), aside=HookRun("post_start", "r3-post_start", 8.5),
    ready=True, notify_status="half way", ended_mono=0.5,
)  # fmt: skip


async def records(folder: Path, boot: str = "b1", incarnation: str = "j1") -> tuple[Records, Flusher]:
    flusher = Flusher()
    stamp = Stamp(boot, incarnation)
    return Records(str(folder / "durable"), str(folder / "runtime"), stamp, flusher), flusher


async def test_a_slot_is_read_back_as_it_was(tmp_path: Path) -> None:
    before, flusher = await records(tmp_path)
    before.save(RUNNING)
    before.save_runtime(RUNNING)
    await flusher.close()
    after, flusher = await records(tmp_path)
    loaded = after.load()
    assert (loaded.slots["web/0"].slot, loaded.slots["web/0"].newest) == (RUNNING, RUNNING.wish)
    assert (loaded.tombstones, loaded.quarantined) == ({}, [])
    await flusher.close()


async def test_a_record_of_the_first_version_is_read_with_defaults(tmp_path: Path) -> None:
    before, flusher = await records(tmp_path)
    before.save_runtime(RUNNING)
    await flusher.close()
    path = tmp_path / "runtime" / file_name("web/0")
    value = json.loads(path.read_text())
    for name in ("hook", "aside", "ready", "notify_status", "ended_mono"):
        del value["state"][name]
    path.write_text(json.dumps(value))
    after, flusher = await records(tmp_path)
    expected = replace(RUNNING, hook=None, aside=None, ready=None, notify_status="", ended_mono=0.0)
    assert after.load().slots["web/0"].slot == expected
    await flusher.close()


async def test_the_higher_generation_of_both_halves_is_the_newest_wish(tmp_path: Path) -> None:
    before, flusher = await records(tmp_path)
    before.save(replace(RUNNING, wish=wish(5, revision="1-b")))
    before.save_runtime(RUNNING)
    ahead = replace(RUNNING, name="web/1", wish=wish(9))
    before.save(replace(ahead, wish=wish(2)))
    before.save_runtime(ahead)
    await flusher.close()
    after, flusher = await records(tmp_path)
    slots = after.load().slots
    assert (slots["web/0"].slot, slots["web/0"].newest.generation) == (RUNNING, 5)
    assert (slots["web/1"].slot, slots["web/1"].newest.generation) == (ahead, 9)
    await flusher.close()


async def test_in_another_boot_only_the_wish_and_what_had_completed_are_left(tmp_path: Path) -> None:
    before, flusher = await records(tmp_path)
    completed = replace(RUNNING, name="done/0", phase=Phase.COMPLETED, run=None, pid=None, reason="Completed")
    failed = replace(RUNNING, name="sick/0", phase=Phase.FAILED, run=None, pid=None, reason="GaveUp")
    for slot in (RUNNING, completed, failed):
        before.save(slot)
        before.save_runtime(slot)
    await flusher.close()
    after, flusher = await records(tmp_path, "b2")
    slots = {name: remembered.slot for name, remembered in after.load().slots.items()}
    assert {name: (slot.phase, slot.pid) for name, slot in slots.items()} == {
        "web/0": (Phase.IDLE, None),
        "done/0": (Phase.COMPLETED, None),
        "sick/0": (Phase.IDLE, None),
    }
    assert slots["web/0"].last_exit == Exit("host_rebooted", None, None, 3.5, "r1")
    assert (slots["done/0"].last_exit, slots["done/0"].run_number, slots["done/0"].restart_count) == (ENDED, 2, 4)
    await flusher.close()


async def test_a_gone_slot_stays_gone_although_its_tombstone_was_never_written(tmp_path: Path) -> None:
    before, flusher = await records(tmp_path)
    before.save(RUNNING)
    await flusher.flushed()
    before.save_runtime(replace(RUNNING, phase=Phase.GONE, run=None, wish=replace(wish(4), removed=True)))
    after, other = await records(tmp_path)
    loaded = after.load()
    assert (loaded.slots, loaded.tombstones["web/0"].generation) == ({}, 4)
    await other.close()
    await flusher.close()


async def test_a_buried_slot_leaves_its_generation_and_an_older_runtime_half_raises_nothing(tmp_path: Path) -> None:
    before, flusher = await records(tmp_path)
    before.save_runtime(RUNNING)
    before.bury("web/0", Tombstone(4, 9.0))
    await flusher.close()
    after, flusher = await records(tmp_path)
    loaded = after.load()
    assert (loaded.slots, loaded.tombstones) == ({}, {"web/0": Tombstone(4, 9.0)})
    await flusher.close()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\xfe", b'{"slot": "web/0"}', b'{"slot": "../x"}', b"1" * 9000]
)
@pytest.mark.parametrize("half", ["durable", "runtime"])
async def test_a_record_that_does_not_read_is_set_aside_and_the_others_load(
    tmp_path: Path, half: str, content: bytes
) -> None:
    before, flusher = await records(tmp_path)
    for name in ("web/0", "web/1"):
        before.save(replace(RUNNING, name=name))
        before.save_runtime(replace(RUNNING, name=name))
    await flusher.close()
    (tmp_path / half / file_name("web/0")).write_bytes(content)
    after, flusher = await records(tmp_path)
    loaded = after.load()
    assert [name for name, _ in loaded.quarantined] == [file_name("web/0")]
    assert loaded.slots["web/1"].slot == replace(RUNNING, name="web/1")
    assert sorted(loaded.slots) == ["web/0", "web/1"]  # the other half still tells of it
    assert (tmp_path / half / "bad" / file_name("web/0")).read_bytes() == content
    await flusher.close()


async def test_a_record_under_the_name_of_another_is_set_aside(tmp_path: Path) -> None:
    before, flusher = await records(tmp_path)
    before.save(RUNNING)
    await flusher.close()
    os.rename(tmp_path / "durable" / file_name("web/0"), tmp_path / "durable" / file_name("web/1"))
    after, flusher = await records(tmp_path)
    loaded = after.load()
    assert (loaded.slots, len(loaded.quarantined)) == ({}, 1)
    await flusher.close()


async def test_a_runtime_half_of_another_state_folder_is_a_leftover_and_no_slot(tmp_path: Path) -> None:
    before, flusher = await records(tmp_path)
    before.save_runtime(RUNNING)
    before.save_runtime(replace(RUNNING, name="web/1"))
    await flusher.close()
    after, flusher = await records(tmp_path, incarnation="j2")
    after.save(replace(RUNNING, name="web/1"))
    await flusher.flushed()
    loaded = after.load()
    assert (list(loaded.leftovers.values()), loaded.tombstones) == ([RUNNING], {})
    assert list(loaded.slots) == ["web/1"]
    await flusher.close()


async def test_of_an_older_copy_of_the_durable_halves_the_life_and_the_newer_wish_of_this_boot_count(
    tmp_path: Path,
) -> None:
    before, flusher = await records(tmp_path)
    before.save(replace(RUNNING, wish=wish(1, wanted="running")))
    stopped = replace(RUNNING, wish=wish(4, wanted="stopped"), phase=Phase.IDLE, run=None, pid=None)
    before.save_runtime(stopped)
    await flusher.close()
    after, flusher = await records(tmp_path, incarnation="j2")
    loaded = after.load()
    assert (loaded.slots["web/0"].slot, loaded.slots["web/0"].newest, loaded.leftovers) == (stopped, stopped.wish, {})
    await flusher.close()


@pytest.mark.parametrize(("boot", "phase"), [("b1", Phase.FAILED), ("b2", Phase.IDLE)])
async def test_what_gave_up_in_this_boot_stays_so_without_its_runtime_half(
    tmp_path: Path, boot: str, phase: Phase
) -> None:
    before, flusher = await records(tmp_path)
    before.save(replace(RUNNING, phase=Phase.FAILED, run=None, pid=None, reason="GaveUp"))
    await flusher.close()
    after, flusher = await records(tmp_path, boot)
    assert after.load().slots["web/0"].slot.phase is phase
    await flusher.close()


async def test_both_halves_and_the_tombstones_are_written_again(tmp_path: Path) -> None:
    before, flusher = await records(tmp_path)
    unclaimed = replace(RUNNING, name="web/1", wish=replace(wish(0), unclaimed=True))
    for half in ("durable", "runtime"):
        (tmp_path / half).rmdir()
        (tmp_path / half).mkdir()
    before.write_again({"web/0": RUNNING, "web/1": unclaimed}, {"web/2": Tombstone(4, 9.0)})
    await flusher.close()
    after, flusher = await records(tmp_path)
    loaded = after.load()
    assert {name: found.slot for name, found in loaded.slots.items()} == {"web/0": RUNNING}
    assert (list(loaded.leftovers), loaded.tombstones) == (["web/1"], {"web/2": Tombstone(4, 9.0)})
    await flusher.close()


@pytest.mark.parametrize("has_other", [True, False])
async def test_a_runtime_half_without_a_stamp_counts_where_the_slot_has_its_other_half(
    tmp_path: Path, *, has_other: bool
) -> None:
    before, flusher = await records(tmp_path)
    before.save_runtime(RUNNING)
    if has_other:
        before.save(RUNNING)
    await flusher.close()
    path = tmp_path / "runtime" / file_name("web/0")
    value = json.loads(path.read_text())
    del value["incarnation"]
    path.write_text(json.dumps(value))
    after, flusher = await records(tmp_path)
    loaded = after.load()
    assert (list(loaded.slots), list(loaded.leftovers)) == ((["web/0"], []) if has_other else ([], ["web/0"]))
    await flusher.close()


def test_tombstones_are_kept_for_their_time_and_number() -> None:
    now = 1e9
    tombstones = {f"w/{at}": Tombstone(1, now - at) for at in range(TOMBSTONES_KEPT + 2)}
    tombstones["old/0"] = Tombstone(1, now - 31 * 86400)
    assert sorted(expired(tombstones, now)) == ["old/0", f"w/{TOMBSTONES_KEPT}", f"w/{TOMBSTONES_KEPT + 1}"]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def test_what_was_flushed_is_there_and_the_newest_content_wins(tmp_path: Path) -> None:
    flusher = Flusher()
    path = str(tmp_path / "a")
    for number in range(50):
        flusher.replace(path, str(number).encode())
    flusher.replace(str(tmp_path / "b"), b"x")
    flusher.remove(str(tmp_path / "b"))
    await flusher.flushed()
    assert content(tmp_path) == {"a": b"49"}
    await flusher.close()


async def test_a_disk_that_takes_nothing_is_told_to_those_who_wait_and_tried_again(tmp_path: Path) -> None:
    flusher = Flusher()
    folder = tmp_path / "folder"
    folder.write_text("a file in its place")
    flusher.replace(str(folder / "a"), b"x")
    with pytest.raises(OSError, match="cannot write") as raised:
        await flusher.flushed()
    assert (raised.value.errno, flusher.failure != "") == (errno.EEXIST, True)
    folder.unlink()
    folder.mkdir()
    await asyncio.wait_for(flusher.flushed(), 10.0)
    assert ((folder / "a").read_bytes(), flusher.failure) == (b"x", "")
    await flusher.close()


async def test_a_folder_that_was_removed_is_made_anew_and_whoever_knows_the_rest_is_told(tmp_path: Path) -> None:
    flusher = Flusher()
    told: list[bool] = []
    flusher.on_lost = lambda: told.append(True)
    for folder in ("there", "gone"):
        (tmp_path / folder).mkdir()
        flusher.replace(str(tmp_path / folder / "a"), b"x")
        await flusher.flushed()
    shutil.rmtree(tmp_path / "gone")
    flusher.replace(str(tmp_path / "there" / "b"), b"y")
    await flusher.flushed()
    assert told == []
    flusher.replace(str(tmp_path / "gone" / "b"), b"y")
    await flusher.flushed()
    assert (content(tmp_path / "gone"), told, (tmp_path / "gone").stat().st_mode & 0o777) == (
        {"b": b"y"},
        [True],
        0o700,
    )
    await flusher.close()


async def test_a_runtime_half_is_whole_json_with_its_boot(tmp_path: Path) -> None:
    before, flusher = await records(tmp_path)
    before.save_runtime(RUNNING)
    value = json.loads((tmp_path / "runtime" / file_name("web/0")).read_bytes())
    assert (sorted(value), value["boot_id"], value["wish"]["generation"]) == (
        ["boot_id", "incarnation", "slot", "state", "wish"],
        "b1",
        3,
    )
    await flusher.close()
