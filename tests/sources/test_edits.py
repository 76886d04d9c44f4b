"""Edits of people's files: exactly what was wanted, and every other byte as it was."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.sources.edits import edited, renewed, without, worker_data
from controller.sources.strict_yaml import BOM, parse
from controller.sources.surgery import EditRefused, same
from tests.examples import examples
from tests.sources.yaml_texts import Writer, changed, some_mapping

REALWORLD = sorted((Path(__file__).parents[1] / "realworld").glob("*/specs/**/*.yaml"))
EXAMPLES = sorted((Path(__file__).parents[2] / "specs").glob("**/*.yaml"))


def texts(seed: int) -> tuple[Random, dict[str, Any], str, list[str]]:
    """Data of a worker, and its text with the comments in it."""
    random = Random(seed)
    data = {"worker_id": "w", **some_mapping(random)}
    writer = Writer(random, random.choice(("\n", "\n", "\r\n")))
    return random, data, writer.document(data), writer.comments


def read(content: bytes, worker_id: str = "w") -> dict[str, Any]:
    parsed = parse(content, "f")
    assert parsed.problems == ()
    return next(found.data for found in parsed.documents if found.data.get("worker_id") == worker_id)


def is_subsequence(part: list[str], whole: list[str]) -> bool:
    rest = iter(whole)
    return all(line in rest for line in part)


@given(st.integers(0, 10**9))
@examples(3)
def test_any_change_of_any_text_is_what_was_wanted(seed: int) -> None:
    random, data, text, _ = texts(seed)
    assert same(read(text.encode()), data)
    want = changed(data, random)
    if not isinstance(want, dict) or want.get("worker_id") != "w":
        want = {**data, "new": want}
    result = edited(text.encode(), "w", want)
    assert same(read(result), want)
    assert edited(result, "w", want) == result


@given(st.integers(0, 10**9))
@examples(1.5)
def test_a_changed_scalar_changes_one_place_of_the_text(seed: int) -> None:
    _, data, text, _ = texts(seed)
    content = text.replace(": w", ": &w w", 1).encode() if seed % 2 else text.encode()
    data = read(content)
    result = edited(content, "w", {**data, "port": 4001})
    again = edited(result, "w", {**data, "port": 4002})
    assert again == result.replace(b"4001", b"4002")


@given(st.integers(0, 10**9))
@examples(1.5)
def test_what_is_added_leaves_every_line_and_what_is_cut_adds_none(seed: int) -> None:
    random, data, text, comments = texts(seed)
    if text.lstrip().startswith(("{", "#")) and "{" in text.splitlines()[0]:
        return  # all on one line
    more = edited(text.encode(), "w", {**data, "added": [1, {"x": None}], "env": {"A": "1"}}).decode()
    if not text.lstrip("# \r\n").startswith("{"):
        assert is_subsequence(text.splitlines(), more.splitlines())
    assert all(comment in more for comment in comments)
    gone = random.choice([key for key in data if key != "worker_id"])
    less = edited(text.encode(), "w", {key: value for key, value in data.items() if key != gone}).decode()
    if "\n" in text.strip():
        assert len(less) < len(text)


@pytest.mark.parametrize("path", [*REALWORLD, *EXAMPLES], ids=lambda path: "-".join(path.parts[-3:]))
def test_real_files_keep_every_other_byte(path: Path) -> None:
    content = path.read_bytes()
    for document in parse(content, "f").documents:
        worker_id = document.data.get("worker_id")
        if worker_id is None:
            continue
        data = worker_data(content, worker_id)
        assert edited(content, worker_id, data) == content
        more = edited(content, worker_id, {**data, "max_accounts": 7})
        assert edited(more, worker_id, {**data, "max_accounts": 8}) == more.replace(
            b"max_accounts: 7", b"max_accounts: 8"
        )
        back = edited(more, worker_id, data)
        assert back.split() == content.split()
        for key in data:
            if key != "worker_id":
                left = {name: value for name, value in data.items() if name != key}
                assert same(read(edited(content, worker_id, left), worker_id), left)


WEB = b"""\
# the front door
worker_id: web   # name
command: [python3, -m, http.server]
env:
  A: "1"  # one
  # about B
  B: 'two'
hooks:
- command: x
  timeout_ms: 5
- command: y   # why

replicas: 3  # three
"""


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"replicas": 5}, [("replicas: 3", "replicas: 5")]),
        ({"env": {"A": "1", "B": "it's"}}, [("'two'", "'it''s'")]),
        ({"env": {"A": "one\ntwo\n", "B": "two"}}, [('A: "1"  # one', "A: |  # one\n    one\n    two")]),
        ({"env": {"A": "1", "B": "two", "C": 3}}, [("'two'\n", "'two'\n  C: 3\n")]),
        ({"env": {"B": "two"}}, [('  A: "1"  # one\n', "")]),
        ({"command": ["python3", "-u", "-m", "http.server"]}, [("python3, ", "python3, -u, ")]),
        ({"command": "sh -c true"}, [("[python3, -m, http.server]", "sh -c true")]),
        ({"hooks": [{"command": "y"}]}, [("- command: x\n  timeout_ms: 5\n", "")]),
        ({"hooks": [{"timeout_ms": 5}, {"command": "y"}]}, [("- command: x\n", "-\n")]),
        ({"labels": {"a": "b", "c": ["d"]}}, [("# three\n", "# three\nlabels:\n  a: b\n  c: [d]\n")]),
    ],
)
def test_a_change_touches_its_own_place_only(change: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    text = WEB.decode()
    for before, after in expected:
        assert text.count(before) == 1
        text = text.replace(before, after)
    assert edited(WEB, "web", {**read(WEB, "web"), **change}).decode() == text


def test_the_byte_order_mark_and_the_line_ends_stay() -> None:
    content = BOM + b"worker_id: w\r\nport: 1\r\n"
    assert edited(content, "w", {"worker_id": "w", "port": 2, "tags": {"a": 1}}) == (
        BOM + b"worker_id: w\r\nport: 2\r\ntags:\r\n  a: 1\r\n"
    )


def test_json_stays_json() -> None:
    content = b'{"worker_id": "w", "port": 1}\n'
    want = {"worker_id": "w", "port": 1, "name": "a\u2028b", "env": {"x": None}}
    assert json.loads(edited(content, "w", want)) == want


ALIASES = b"""\
worker_id: w
base: &base {A: "1", B: "2"}
env:
  <<: *base
  C: "3"
other: *base
"""


def test_an_alias_is_replaced_where_it_stands_and_nowhere_else() -> None:
    data = read(ALIASES)
    result = edited(ALIASES, "w", {**data, "other": {"X": 1}})
    assert result == ALIASES.replace(b"other: *base", b"other:\n  X: 1")
    result = edited(ALIASES, "w", {**data, "env": {"A": "9", "B": "2", "C": "3"}})
    assert result == ALIASES.replace(b'C: "3"\n', b'C: "3"\n  A: "9"\n')


@pytest.mark.parametrize(
    "change",
    [
        {"env": {"B": "2", "C": "3"}},  # A comes with the alias
        {"base": {"A": "changed", "B": "2"}},  # and would change what else has it
    ],
)
def test_what_an_alias_shares_is_refused_and_can_be_written_anew(change: dict[str, Any]) -> None:
    want = {**read(ALIASES), **change}
    with pytest.raises(EditRefused):
        edited(ALIASES, "w", want)
    assert same(read(renewed(ALIASES, "w", want)), want)


SEVERAL = b"""\
# about a
worker_id: a
---
# about b
worker_id: b  # b
...
---
worker_id: c
"""


def test_other_documents_of_the_file_are_untouched() -> None:
    assert edited(SEVERAL, "b", {"worker_id": "b", "port": 1}) == SEVERAL.replace(b"# b\n", b"# b\nport: 1\n")
    assert without(SEVERAL, "a") == SEVERAL.split(b"worker_id: a\n")[1]
    assert without(SEVERAL, "b") == b"# about a\nworker_id: a\n---\nworker_id: c\n"
    assert without(SEVERAL, "c") == SEVERAL.removesuffix(b"---\nworker_id: c\n")
    assert renewed(SEVERAL, "b", {"worker_id": "b", "port": 1}).startswith(
        b"# about a\nworker_id: a\n---\nworker_id: b\nport: 1\n"
    )
    assert without(b"# only\nworker_id: a\n", "a") is None


@pytest.mark.parametrize("content", [b"worker_id: a\n---\nworker_id: a\n", b"worker_id: b\n", b"worker_id: a\nx: [\n"])
def test_a_document_that_is_not_there_once_is_refused(content: bytes) -> None:
    with pytest.raises(EditRefused):
        edited(content, "a", {"worker_id": "a", "port": 1})
    with pytest.raises(EditRefused):
        without(content, "a")
