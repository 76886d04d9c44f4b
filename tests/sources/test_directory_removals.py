"""Files and documents that vanish from a real directory: when their workers are removed, and when not."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.core.desired import Removal
from controller.core.problems import Source
from tests.sources.specs_builder import START, SpecsDirectory, states, told, worker


@pytest.fixture
def specs(tmp_path: Path) -> SpecsDirectory:
    return SpecsDirectory(tmp_path)


def test_a_removed_file_removes_its_workers_once_two_scans_agree(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    specs.write("b.yaml", worker("b"))
    specs.scan()
    specs.remove("a.yaml")
    first = specs.result()
    assert states(first.desired) == {"a": "good", "b": "good"}
    assert {name: one.absent for name, one in first.desired.workers.items()} == {"a": "a.yaml is gone", "b": ""}
    assert first.again_at == pytest.approx(START + 0.2)
    assert states(specs.later(0.1).scan()) == {"a": "good", "b": "good"}
    second = specs.later(0.11).result()
    assert (states(second.desired), second.again_at) == ({"a": "removed", "b": "good"}, None)
    assert second.desired.removed == {
        "a": Removal(worker_id="a", proof="a.yaml is gone", source=Source(file="a.yaml", line=1))
    }


def test_a_document_taken_out_of_a_file_removes_its_worker(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a") + "---\n" + worker("b"))
    specs.scan()
    specs.write("a.yaml", worker("b"))
    desired = specs.later().settled()
    assert states(desired) == {"a": "removed", "b": "good"}
    assert desired.removed["a"].proof == "a.yaml no longer defines it"


def test_a_removed_worker_stays_removed_until_it_is_forgotten(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    specs.write("b.yaml", worker("b"))
    specs.scan()
    specs.remove("a.yaml")
    specs.settled()
    assert states(specs.later(60).scan()) == {"a": "removed", "b": "good"}
    specs.source.forget("a")
    specs.source.forget("b")
    specs.source.forget("unknown")
    assert states(specs.scan()) == {"b": "good"}
    specs.start()
    assert states(specs.settled()) == {"b": "good"}


def test_a_worker_that_comes_back_is_not_removed(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    specs.write("b.yaml", worker("b"))
    specs.scan()
    specs.remove("a.yaml")
    assert states(specs.settled()) == {"a": "removed", "b": "good"}
    specs.source.forget("a")
    specs.write("a.yaml", worker("a"))
    assert states(specs.later().scan()) == {"a": "good", "b": "good"}
    specs.remove("a.yaml")
    assert states(specs.later().scan()) == {"a": "good", "b": "good"}


def test_a_file_that_vanished_while_the_controller_was_down_removes_its_workers(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    specs.write("b.yaml", worker("b"))
    specs.scan()
    specs.remove("a.yaml")
    specs.start()
    assert states(specs.scan()) == {"a": "good", "b": "good"}
    assert states(specs.later().scan()) == {"a": "removed", "b": "good"}


def test_a_renamed_file_changes_nothing(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    before = specs.scan()
    (specs.root / "a.yaml").rename(specs.root / "z.yaml")
    after = specs.later().settled()
    assert states(after) == {"a": "good"}
    assert after.workers["a"].instances == before.workers["a"].instances
    specs.write("z.yaml", "}")
    specs.start()
    assert states(specs.later().settled()) == {"a": "stale"}


def test_nothing_is_removed_while_a_file_that_broke_since_might_hold_it(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    specs.write("b.yaml", worker("b"))
    specs.scan()
    specs.remove("a.yaml")
    specs.write("b.yaml", worker("b") + "---\n" + worker("a", "replicas: [\n"))
    specs.later().settled()
    desired = specs.later(60).scan()
    assert states(desired) == {"a": "stale", "b": "stale"}
    assert str(desired.workers["a"].problems[0]) == (
        "a.yaml:1: a.yaml is gone, but a goes on: it may be in b.yaml, which cannot be understood now (correct b.yaml)"
    )
    specs.write("b.yaml", worker("b"))
    assert states(specs.later().settled()) == {"a": "removed", "b": "good"}


def test_a_file_that_was_broken_long_before_does_not_stop_a_removal(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    specs.write("b.yaml", "}")
    specs.scan()
    specs.remove("a.yaml")
    assert states(specs.later().settled()) == {"a": "removed"}


def test_a_file_still_being_written_only_delays_a_removal(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    specs.write("b.yaml", worker("b"))
    specs.scan()
    specs.remove("a.yaml")
    specs.scan()
    specs.later()
    specs.write("c.yaml", worker("a"), age_s=0.0)
    waiting = specs.result()
    assert (states(waiting.desired), waiting.desired.problems) == ({"a": "good", "b": "good"}, ())
    assert waiting.again_at == pytest.approx(specs.now + 0.2)
    assert states(specs.later().scan()) == {"a": "good", "b": "good"}


def test_a_name_nobody_can_read_is_no_proof(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    specs.scan()
    specs.write("a.yaml", worker("A!"))
    desired = specs.later().settled()
    assert states(desired) == {"a": "stale"}
    assert desired.workers["a"].problems[0].pointer == "/worker_id"


def test_a_document_of_another_kind_keeps_the_worker(specs: SpecsDirectory) -> None:
    specs.write("a.yaml", worker("a"))
    specs.scan()
    specs.write("a.yaml", worker("a", "kind: Wroker\n"))
    specs.write("b.yaml", "kind: Channel\nurl: x\n")
    desired = specs.later().settled()
    assert states(desired) == {"a": "stale"}
    assert told(desired) == [
        'a.yaml:3:7: expected Worker or Defaults, got "Wroker" (a string) (did you mean `Worker`?)',
        (
            "b.yaml:1:7: `kind: Channel` is not yet supported "
            "(leave it out; `workerctl help not-yet` tells what there is meanwhile)"
        ),
    ]
