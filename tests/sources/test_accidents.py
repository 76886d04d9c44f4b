"""An error of ours while one document is read is that document's problem; all others are read as ever."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from controller.sources.documents import DEFAULTS, Document
from controller.sources.places import Places
from controller.sources.validation import judge_defaults, judge_worker
from tests.sources.specs_builder import SURROUNDINGS, SpecsDirectory, states, told, worker


class Broken(Mapping[str, str]):
    """An environment that cannot be asked for one name."""

    def __getitem__(self, name: str) -> str:
        if name == "CURSED":
            raise ZeroDivisionError
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class Cursed:
    """A value that cannot be looked at."""

    def __repr__(self) -> str:
        raise ZeroDivisionError

    def __str__(self) -> str:
        raise ZeroDivisionError

    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError

    __hash__ = None  # type: ignore[assignment]


def test_a_worker_that_cannot_be_built_goes_on_as_it_was_and_the_others_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    specs = SpecsDirectory(tmp_path, replace(SURROUNDINGS, environment=Broken()))
    specs.write("a.yaml", worker("a"))
    specs.write("b.yaml", worker("b"))
    before = specs.scan()
    specs.write("a.yaml", worker("a", "secrets: {X: {env: CURSED}}\n"), age_s=5)
    specs.write("b.yaml", worker("b", "replicas: 2\n"), age_s=5)
    after = specs.later().scan()
    assert (states(after), after.hold_reason) == ({"a": "stale", "b": "good"}, "")
    assert (after.workers["a"].spec, after.workers["b"].spec.replicas) == (before.workers["a"].spec, 2)
    hint = "a fault of workerctl, not of the file: the log has the details; what it said before goes on"
    assert told(after) == [f"a.yaml:1: internal error while reading it (ZeroDivisionError) ({hint})"]
    specs.later(60).scan()
    assert caplog.text.count("Traceback") == 1, "once, until the document is another one"
    specs.write("a.yaml", worker("a", "replicas: 3\n"), age_s=2)
    assert states(specs.later().scan()) == {"a": "good", "b": "good"}


def test_a_document_that_cannot_be_judged_is_a_problem_of_its_file() -> None:
    document = Document(file="a.yaml", index=0, line=7, data={"worker_id": "a", "command": Cursed()})
    judged = judge_worker(document, (), Places(files={}))
    assert (judged.spec, [(one.line, one.worker_id, one.code) for one in judged.problems]) == (
        None,
        [(7, "a", "internal")],
    )
    below = Document(file="d.yaml", index=0, line=2, data={"kind": DEFAULTS, "command": Cursed()})
    assert [(one.line, one.code) for one in judge_defaults(below, Places(files={}))] == [(2, "internal")]
