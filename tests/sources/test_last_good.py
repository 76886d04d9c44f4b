"""The journal of last good specs: what it costs to keep, and what is left of it after damage."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from controller.sources.assembly import LastGood, Memory
from controller.sources.documents import Document
from controller.sources.last_good import JOURNAL, LastGoodFiles, RootIdentity
from tests.sources.specs_builder import SpecsDirectory, states, worker

ROOT = RootIdentity(path="/srv/specs", real="/srv/specs", dev=1, ino=2)


@pytest.fixture
def specs(tmp_path: Path) -> SpecsDirectory:
    return SpecsDirectory(tmp_path)


def known(*names: str, replicas: int = 1) -> Memory:
    """What is remembered of these workers, each from a file of its own."""
    return Memory(
        workers={
            name: LastGood(
                document=Document(file=f"{name}.yaml", index=-1, line=1, data={"worker_id": name, "replicas": replicas})
            )
            for name in names
        }
    )


def replicas_of(memory: Memory) -> dict[str, int]:
    return {name: one.document.data["replicas"] for name, one in memory.workers.items()}


def loaded(folder: Path) -> dict[str, int]:
    """What a start would find, without touching the folder."""
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    found = replicas_of(LastGoodFiles(str(copy)).load()[0])
    shutil.rmtree(copy)
    return found


def count_of_lines(folder: Path) -> int:
    return (folder / JOURNAL).read_bytes().count(b"\n")


# --- what is kept ----------------------------------------------------------------------------------------------------


def test_what_was_saved_is_found_after_a_start(tmp_path: Path) -> None:
    defaults = {"team/all.yaml": Document(file="team/all.yaml", index=-1, line=3, data={"kind": "Defaults"})}
    memory = Memory(workers=known("a", "b").workers, defaults=defaults)
    LastGoodFiles(str(tmp_path)).save(memory, ROOT)
    assert LastGoodFiles(str(tmp_path)).load() == (memory, ROOT)


def test_what_is_forgotten_is_not_found_again(tmp_path: Path) -> None:
    records = LastGoodFiles(str(tmp_path))
    both = known("a", "b")
    records.save(both, None)
    records.save(Memory(workers={"b": both.workers["b"]}), None)
    assert loaded(tmp_path) == {"b": 1}


def test_a_worker_that_moved_to_another_file_is_kept_once(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a") + "---\n" + worker("moving"))
    specs.write("b.yaml", worker("b"))
    specs.scan()
    specs.write("a.yaml", worker("a"), age_s=5)
    specs.write("b.yaml", worker("b") + "---\n" + worker("moving"), age_s=5)
    specs.scan()
    specs.write("a.yaml", "}")
    specs.start()
    assert states(specs.later().scan()) == {"a": "stale", "b": "good", "moving": "good"}


# --- what it costs ---------------------------------------------------------------------------------------------------


def test_a_change_appends_one_line_and_a_look_without_one_nothing(specs: SpecsDirectory) -> None:
    for number in range(100):
        specs.write(f"{number}.yaml", worker(f"w{number}"))
    specs.scan()
    journal = specs.state / "last_good" / JOURNAL
    first, identity = journal.read_bytes(), journal.stat().st_ino
    specs.later().scan()
    specs.start()
    specs.later().scan()
    assert journal.read_bytes() == first
    specs.write("7.yaml", worker("w7", "replicas: 2\n"), age_s=5)
    specs.scan()
    added = journal.read_bytes().removeprefix(first)
    assert (first.count(b"\n"), json.loads(added)["path"], journal.stat().st_ino) == (100, "7.yaml", identity)


def test_the_journal_does_not_grow_for_ever(tmp_path: Path) -> None:
    records = LastGoodFiles(str(tmp_path))
    for replicas in range(1000):
        records.save(known("a", "b", replicas=replicas), None)
        assert count_of_lines(tmp_path) < 300
    assert loaded(tmp_path) == {"a": 999, "b": 999}


# --- damage ----------------------------------------------------------------------------------------------------------


def test_wherever_a_write_is_cut_off_all_before_it_counts_and_it_goes_on_from_there(tmp_path: Path) -> None:
    records = LastGoodFiles(str(tmp_path / "full"))
    records.save(known("a", "b"), None)
    records.save(known("a", "b", replicas=2), None)
    content = (tmp_path / "full" / JOURNAL).read_bytes()
    states_by_lines = [{}, {"a": 1}, {"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 2, "b": 2}]
    for end in range(0, len(content) + 1, 7):
        folder = tmp_path / "cut"
        folder.mkdir()
        (folder / JOURNAL).write_bytes(content[:end])
        records = LastGoodFiles(str(folder))
        before, _ = records.load()
        assert replicas_of(before) == states_by_lines[content[:end].count(b"\n")]
        records.save(Memory(workers={**before.workers, **known("c").workers}), None)
        assert loaded(folder) == {**replicas_of(before), "c": 1}
        assert [one.name for one in folder.iterdir()] == [JOURNAL]
        shutil.rmtree(folder)


def test_a_damaged_record_is_set_aside_and_the_others_count(specs: SpecsDirectory) -> None:
    for name in ("a", "b", "c"):
        specs.write(f"{name}.yaml", worker(name))
    specs.scan()
    journal = specs.state / "last_good" / JOURNAL
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[0] = b'{"version": 1, "path": "a.yaml", "workers"\n'
    lines[2] = lines[2].replace(b'"version": 1', b'"version": 2')
    journal.write_bytes(b"".join(lines))
    for name in ("a", "b", "c"):
        specs.write(f"{name}.yaml", "}")
    specs.start()
    assert states(specs.later().scan()) == {"b": "stale"}
    assert journal.with_name(JOURNAL + ".bad").read_bytes() == lines[0] + lines[2]


def test_a_damaged_root_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "root.json").write_text('{"path": 1}')
    assert LastGoodFiles(str(tmp_path)).load() == (Memory(), None)
    assert [one.name for one in tmp_path.iterdir()] == ["root.json.bad"]


@pytest.mark.parametrize("damage", ["removed", "emptied"])
def test_a_journal_that_is_lost_while_we_run_is_written_anew_with_the_next_change(tmp_path: Path, damage: str) -> None:
    records = LastGoodFiles(str(tmp_path))
    memory = known("a", "b")
    records.save(memory, ROOT)
    if damage == "removed":
        (tmp_path / JOURNAL).unlink()
    else:
        (tmp_path / JOURNAL).write_bytes(b"")
    records.save(Memory(workers={**memory.workers, **known("c").workers}), ROOT)
    assert loaded(tmp_path) == {"a": 1, "b": 1, "c": 1}


def test_what_could_not_be_written_is_written_with_the_next_save(tmp_path: Path) -> None:
    records = LastGoodFiles(str(tmp_path))
    memory = known("a")
    records.save(memory, None)
    (tmp_path / JOURNAL).unlink()
    (tmp_path / JOURNAL).mkdir()
    with pytest.raises(IsADirectoryError):
        records.save(known("a", "b", replicas=2), None)
    (tmp_path / JOURNAL).rmdir()
    records.save(known("a", "b", replicas=2), None)
    assert loaded(tmp_path) == {"a": 2, "b": 2}
