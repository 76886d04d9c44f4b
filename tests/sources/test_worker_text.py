"""A worker's document edited as a text: what was hidden stays what it was, and others of the file are not touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from controller.core.authorship import SpecInvalid, SpecOutcome, SpecStale, SpecWish, SpecWritten
from controller.core.config_views import shown_spec
from controller.sources.edits import lines_before, own_text
from controller.sources.surgery import EditRefused
from controller.sources.worker_text import WorkerText, read_text, restated, shown_own_text
from controller.sources.writer import SpecWriter
from tests.sources.specs_builder import SpecsDirectory

FILE = """\
# two of them
worker_id: web
command: [sleep, '60']  # forever
env:
  API_TOKEN: abc  # TOKEN=old
  MODE: fast
---
# the other
worker_id: db
command: [sleep, "1"]
"""
WEB = FILE.partition("---\n")[0]
DB = FILE.partition("---\n")[2]


class Place:
    """A directory with one file of two workers."""

    def __init__(self, folder: Path, text: str = FILE) -> None:
        self.specs = SpecsDirectory(folder)
        self.path = self.specs.root / "all.yaml"
        self.specs.write("all.yaml", text)
        self.specs.result()
        self.writer = SpecWriter(self.specs.source, shown=shown_spec, now=lambda: self.specs.now)

    def write(self, text: str, worker_id: str = "web", action: Any = "replace", **more: Any) -> SpecOutcome:
        return self.writer.write(SpecWish(action=action, worker_id=worker_id, actor="ann", text=text, **more))

    def read(self) -> str:
        return self.path.read_bytes().decode()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def problems(outcome: SpecOutcome) -> list[tuple[str, int | None, str]]:
    assert isinstance(outcome, SpecInvalid), outcome
    return [(one.pointer, one.line, one.message) for one in outcome.problems]


def test_each_document_has_a_text_of_its_own() -> None:
    assert (own_text(FILE.encode(), "web"), own_text(FILE.encode(), "db")) == (WEB, DB)
    assert (lines_before(FILE.encode(), "web"), lines_before(FILE.encode(), "db")) == (0, 7)


def test_secrets_are_hidden_in_values_and_comments_and_it_stays_yaml() -> None:
    shown = shown_own_text(FILE.encode(), "web")
    assert shown == WEB.replace("abc", '"***"').replace("=old", "=***")
    found = read_text(shown)
    assert isinstance(found, WorkerText)
    assert found.data["env"] == {"API_TOKEN": "***", "MODE": "fast"}


def test_a_text_is_written_as_it_was_typed_and_hidden_values_stay(place: Place) -> None:
    typed = shown_own_text(FILE.encode(), "web").replace("fast", "slow  # for now") + "# the end\n"
    assert isinstance(place.write(typed), SpecWritten)
    assert place.read() == WEB.replace("fast", "slow  # for now") + "# the end\n---\n" + DB


def test_a_hidden_value_stays_also_where_its_line_was_touched(place: Place) -> None:
    typed = shown_own_text(FILE.encode(), "web").replace('"***"  # TOKEN=***', '"***"  # mine')
    assert isinstance(place.write(typed), SpecWritten)
    assert 'API_TOKEN: "abc"  # mine\n' in place.read()


def test_the_sign_of_a_hidden_value_is_never_written(place: Place) -> None:
    typed = shown_own_text(FILE.encode(), "web").replace("API_TOKEN", "OTHER_TOKEN")
    message = "this is the sign for a hidden value, not a value"
    assert problems(place.write(typed)) == [("/env/OTHER_TOKEN", None, message)]
    assert place.read() == FILE


def test_faults_are_told_at_lines_of_the_text(place: Place) -> None:
    assert problems(place.write(DB + "replicsa: 2\n", "db")) == [("/replicsa", 4, "unknown field `replicsa`")]
    assert [line for _, line, _ in problems(place.write(DB + "replicas: [\n", "db"))] == [5]
    assert problems(place.write("worker_id: else\n", "db")) == [("/worker_id", None, "expected `worker_id: db`")]
    assert problems(place.write(f"{DB}---\nworker_id: more\n", "db")) == [
        ("", 5, "expected one worker; this begins another document")
    ]
    assert problems(place.write("", "db")) == [("", 1, "expected the fields of a worker")]
    assert place.read() == FILE


def test_a_text_is_not_written_over_somebody_elses(place: Place) -> None:
    assert isinstance(place.write(WEB, if_match=frozenset(['"other"'])), SpecStale)


def test_a_new_worker_is_the_text_as_it_was_typed(place: Place) -> None:
    typed = "# mine\nworker_id: new\ncommand: [sleep, '9']"
    assert isinstance(place.write(typed, "new", "create"), SpecWritten)
    assert (place.specs.root / "new.yaml").read_text() == typed + "\n"


def test_line_ends_of_the_file_stay(tmp_path: Path) -> None:
    place = Place(tmp_path, FILE.replace("\n", "\r\n"))
    place.write(DB.replace('"1"', '"2"'), "db")
    assert place.read() == FILE.replace('"1"', '"2"').replace("\n", "\r\n")


def test_a_form_changes_the_text_where_it_says_something_else() -> None:
    text = "# mine\nworker_id: a  # the first\nreplicas: 1 # one\n"
    assert restated(text, {"worker_id": "a", "replicas": 2}) == (text.replace(" 1 ", " 2 "), False)
    assert restated(text, {"worker_id": "b", "replicas": 1}) == (text.replace(": a", ": b"), False)
    assert restated("", {"worker_id": "a"}) == ("worker_id: a\n", False)
    assert restated("a: &x [1]\nb: *x\n# c\n", {"a": [2], "b": [1]})[1]
    with pytest.raises(EditRefused):
        restated("a: [", {"a": 1})
