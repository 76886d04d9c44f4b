"""Many files changed one after the other: one change for what follows, and no brake for a few."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.sources.bursts import FEW, LONGEST_S, PAUSE_S, Burst
from tests.sources.specs_builder import SETTLE_S, SpecsDirectory, worker

Look = tuple[frozenset[str], float]
LOOKS = st.lists(
    st.tuples(st.frozensets(st.sampled_from("abcdefgh")), st.sampled_from([0.0, 0.1, 0.3, 0.9, 1.5, 40.0, -3.0]))
)


@pytest.fixture
def specs(tmp_path: Path) -> SpecsDirectory:
    """Eight workers in a file each, known since long ago."""
    found = SpecsDirectory(tmp_path)
    for number in range(8):
        found.write(f"{number}.yaml", worker(f"w{number}"))
    found.scan()
    found.later(60)
    return found


def edit(specs: SpecsDirectory, *numbers: int, text: str = "replicas: 2\n") -> None:
    for number in numbers:
        specs.write(f"{number}.yaml", worker(f"w{number}", text), age_s=0.0)


def changed(specs: SpecsDirectory) -> int:
    return sum(one.spec.replicas == 2 for one in specs.scan().workers.values())


@given(LOOKS)
def test_no_change_waits_for_longer_than_the_longest_burst_whatever_the_clock_does(looks: list[Look]) -> None:
    burst, now = Burst(), 100.0
    for names, passed in looks:
        now += passed
        burst.step(names, now)
        assert all(burst.counts_at(name) <= now + LONGEST_S for name in "abcdefgh")
        assert all(burst.counts_at(name) <= now + PAUSE_S for name in names)
        if len(names) <= FEW and passed >= LONGEST_S:
            assert all(burst.counts_at(name) <= now for name in names)


def test_a_few_changed_files_wait_only_until_they_have_settled(specs: SpecsDirectory) -> None:
    edit(specs, 0, 1, 2)
    assert changed(specs) == 0
    assert specs.result().again_at == pytest.approx(specs.now + SETTLE_S)
    assert changed(specs.later()) == 3


@pytest.mark.parametrize("pause_s", [0.0, 0.02, 0.1, 0.15])
def test_many_files_that_change_one_after_the_other_count_all_at_once(specs: SpecsDirectory, pause_s: float) -> None:
    for number in range(8):
        edit(specs, number)
        assert changed(specs) <= FEW
        specs.later(pause_s)
    before = changed(specs)
    specs.later(PAUSE_S - 0.2)
    waiting = specs.result()
    assert (before <= FEW, changed(specs)) == (True, before)
    assert waiting.again_at is not None
    specs.now = waiting.again_at
    assert changed(specs) == 8


def test_a_file_that_is_written_again_and_again_holds_up_nobody(specs: SpecsDirectory) -> None:
    edit(specs, 0, 1, 2, 3, 4)
    specs.scan()
    for _ in range(12):
        edit(specs, 7)
        specs.later(0.1).scan()
    assert changed(specs) == 5


def test_a_burst_that_does_not_end_counts_in_pieces(specs: SpecsDirectory) -> None:
    for number in range(8, 50):
        specs.write(f"{number}.yaml", worker(f"w{number}"))
    specs.scan()
    begun = specs.now
    edit(specs, 0, 1, 2, 3)
    for number in range(4, 50):
        if changed(specs):
            break
        specs.later(0.9)
        edit(specs, number)
    assert LONGEST_S <= specs.now - begun < LONGEST_S + 1
    assert changed(specs) > 30


def test_new_files_wait_for_nobody(specs: SpecsDirectory) -> None:
    for number in range(8, 16):
        specs.write(f"{number}.yaml", worker(f"w{number}"), age_s=0.0)
        specs.later(0.05).scan()
    assert len(specs.later().scan().workers) == 16


def test_the_files_of_another_directory_count_together_and_at_once(specs: SpecsDirectory) -> None:
    for number in range(8):
        specs.write(f"v2/{number}.yaml", worker(f"w{number}", "replicas: 2\n"), root=specs.root.parent)
    specs.root.rename(specs.root.with_name("v1"))
    specs.root.symlink_to("v1")
    assert changed(specs.later()) == 0
    specs.root.unlink()
    specs.root.symlink_to("v2")
    assert changed(specs) == 8


def test_env_files_are_part_of_a_burst(specs: SpecsDirectory) -> None:
    for number in range(8):
        specs.write(f"{number}.env", "COLOUR=red\n")
        specs.write(f"{number}.yaml", worker(f"w{number}", f"env_files: [{number}.env]\n"))
    specs.scan()
    before = specs.later(PAUSE_S).scan()
    assert before.workers["w7"].spec.env_files == ["7.env"]
    for number in range(8):
        specs.write(f"{number}.env", "COLOUR=blue\n", age_s=0.0)
        specs.later(0.1).scan()
    after = specs.scan()
    assert sum(after.workers[name].revision != before.workers[name].revision for name in before.workers) <= FEW
    after = specs.later(PAUSE_S).scan()
    assert all(after.workers[name].revision != before.workers[name].revision for name in before.workers)


def test_a_replaced_directory_is_not_believed_before_its_files_have_settled(specs: SpecsDirectory) -> None:
    specs.root.rename(specs.root.with_name("moved"))
    specs.root.mkdir()
    edit(specs, *range(8))
    waiting = specs.result().desired
    assert waiting.hold_reason.endswith("was replaced by another one, which is still being written")
    assert specs.later().scan().hold_digest != ""
