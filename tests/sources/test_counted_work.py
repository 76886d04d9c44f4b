"""What a scan does, counted and not timed: it follows what changed, not how much there is."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from controller.core.launch import build
from controller.sources.strict_yaml import parse
from controller.sources.validation import judge_worker
from tests.sources.specs_builder import SpecsDirectory, states, worker

OURS = {function.__code__: function.__name__ for function in (parse, judge_worker, build)}
THE_SYSTEMS = frozenset({"open", "read", "write", "fsync", "replace"})


def counted(act: Callable[[], object]) -> dict[str, int]:
    """How often `act` parsed a file, judged and built a worker, and had files opened, read, written and synced."""
    found: Counter[str] = Counter()

    def note(frame: FrameType, event: str, called: Any) -> None:
        if event == "call" and frame.f_code in OURS:
            found[OURS[frame.f_code]] += 1
        elif event == "c_call" and called.__module__ == "posix" and called.__name__ in THE_SYSTEMS:
            found[called.__name__] += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(before)
    return dict(found)


@pytest.fixture
def specs(tmp_path: Path) -> SpecsDirectory:
    """Two hundred workers, scanned."""
    return filled(tmp_path, 200)


def filled(folder: Path, count: int) -> SpecsDirectory:
    folder.mkdir(exist_ok=True)
    specs = SpecsDirectory(folder)
    for number in range(count):
        specs.write(f"{number}.yaml", worker(f"w{number}", f"port: {2000 + number}\n"))
    assert len(specs.scan().workers) == count
    return specs


def test_one_change_among_a_thousand_files_costs_the_reading_of_one(tmp_path: Path) -> None:
    specs = filled(tmp_path, 1000)
    nothing = counted(specs.later().scan)
    specs.write("7.yaml", worker("w7", "port: 1007\n"), age_s=5)
    changed = counted(specs.later().scan)
    more = {name: count - nothing.get(name, 0) for name, count in changed.items()}
    # The file is opened and so is the journal; the second read meets the end of the file.
    assert more == {"parse": 1, "judge_worker": 1, "build": 1, "open": 2, "read": 2, "fsync": 1}


def test_a_scan_that_finds_nothing_new_costs_the_same_calls_over_ten_files_and_hundreds(
    specs: SpecsDirectory, tmp_path: Path
) -> None:
    few = filled(tmp_path / "few", 10)
    found = counted(specs.later().scan)
    assert found == counted(few.later().scan)
    assert found.keys() == {"open"}


def test_the_first_scan_of_hundreds_of_files_syncs_as_often_as_that_of_ten(tmp_path: Path) -> None:
    syncs = []
    for count in (10, 200):
        specs = filled(tmp_path / str(count), count)
        specs.start()
        (specs.state / "last_good" / "records.jsonl").unlink()
        specs.start()
        work = counted(specs.scan)
        assert (work["parse"], work["judge_worker"], work["build"]) == (count, count, count)
        syncs.append(work["fsync"])
    assert syncs[0] == syncs[1] <= 4


def test_changed_defaults_build_the_workers_below_them_and_no_others(specs: SpecsDirectory) -> None:
    specs.write("team/defaults.yaml", "kind: Defaults\nrestart_delay_ms: 10\n")
    for number in range(3):
        specs.write(f"team/{number}.yaml", worker(f"t{number}"))
    specs.later().scan()
    specs.write("team/defaults.yaml", "kind: Defaults\nrestart_delay_ms: 20\n", age_s=5)
    work = counted(specs.later().scan)
    assert (work["parse"], work["judge_worker"], work["build"], work["fsync"]) == (1, 3, 3, 1)


def test_a_file_that_breaks_costs_the_reading_of_it(specs: SpecsDirectory) -> None:
    specs.write("7.yaml", "}", age_s=5)
    work = counted(specs.later().scan)
    assert (work["parse"], work.get("judge_worker"), work.get("build"), work.get("fsync")) == (1, None, None, None)
    assert states(specs.later().scan())["w7"] == "stale"


def test_an_edit_of_the_same_size_and_time_is_read(specs: SpecsDirectory) -> None:
    specs.write("7.yaml", worker("w7", "port: 3999\n"), age_s=10.0)
    assert specs.scan().workers["w7"].spec.port == 3999
