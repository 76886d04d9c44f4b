"""Edits of one field: its value changes, every other byte is the person's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from controller.sources.edits import edited as edited_to
from controller.sources.edits import worker_data
from controller.sources.strict_yaml import BOM, compose, parse
from controller.sources.surgery import EditRefused
from tests.examples import examples

Scalar = str | bool | int | None


def set_field(content: bytes, worker_id: str, field: str, value: Scalar) -> bytes:
    return edited_to(content, worker_id, {**worker_data(content, worker_id), field: value})


def edited(text: str, value: Scalar = "stopped", *, worker_id: str = "web", field: str = "desired_state") -> str:
    return set_field(text.encode(), worker_id, field, value).decode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # replaced where it stands, in its own quotes
        (
            "worker_id: web\ndesired_state: running  # for now\nport: 1\n",
            "worker_id: web\ndesired_state: stopped  # for now\nport: 1\n",
        ),
        ("worker_id: web\ndesired_state: 'running'\n", "worker_id: web\ndesired_state: 'stopped'\n"),
        ('worker_id: web\ndesired_state: "running"', 'worker_id: web\ndesired_state: "stopped"'),
        ("desired_state:    running\r\nworker_id: web\r\n", "desired_state:    stopped\r\nworker_id: web\r\n"),
        ("{worker_id: web, desired_state: running}\n", "{worker_id: web, desired_state: stopped}\n"),
        ("worker_id: web\ndesired_state:\n  running\n", "worker_id: web\ndesired_state: stopped\n"),
        ("worker_id: web\ndesired_state:\nport: 1\n", "worker_id: web\ndesired_state: stopped\nport: 1\n"),
        ("worker_id: web\ndesired_state:  # none\n", "worker_id: web\ndesired_state: stopped  # none\n"),
        ("worker_id: web\ndesired_state: ~\n", "worker_id: web\ndesired_state: stopped\n"),
        ('"worker_id": "web"\n"desired_state": null\n', '"worker_id": "web"\n"desired_state": stopped\n'),
        # already so
        ("worker_id: web\ndesired_state: 'stopped'\n", "worker_id: web\ndesired_state: 'stopped'\n"),
        # appended after the last key
        ("worker_id: web\n", "worker_id: web\ndesired_state: stopped\n"),
        ("worker_id: web", "worker_id: web\ndesired_state: stopped"),
        ("worker_id: web\r\nport: 1", "worker_id: web\r\nport: 1\r\ndesired_state: stopped"),
        (
            "# top\nworker_id: web # x\nenv:\n  A: b  # y\n\n# end\n",
            "# top\nworker_id: web # x\nenv:\n  A: b  # y\ndesired_state: stopped\n\n# end\n",
        ),
        ("  worker_id: web\n  port: 1\n", "  worker_id: web\n  port: 1\n  desired_state: stopped\n"),
        (
            "worker_id: web\ncommand:\n- a\n- [b,\n   c]\n",
            "worker_id: web\ncommand:\n- a\n- [b,\n   c]\ndesired_state: stopped\n",
        ),
        ("worker_id: web\nenv:\n...\n", "worker_id: web\nenv:\ndesired_state: stopped\n...\n"),
        (
            "worker_id: web\ncommand: |\n  a\n  b\n\n# end\n",
            "worker_id: web\ncommand: |\n  a\n  b\ndesired_state: stopped\n\n# end\n",
        ),
        ("worker_id: web\nname: 'a\n  b'\n", "worker_id: web\nname: 'a\n  b'\ndesired_state: stopped\n"),
        # behind a merge key the worker's own value wins
        (
            "labels: &l {a: b}\n<<: {desired_state: running}\nworker_id: web\n",
            "labels: &l {a: b}\n<<: {desired_state: running}\nworker_id: web\ndesired_state: stopped\n",
        ),
        (
            "env: &e {A: b}\nworker_id: web\nlabels: *e\n",
            "env: &e {A: b}\nworker_id: web\nlabels: *e\ndesired_state: stopped\n",
        ),
        (
            "{env: &e {A: b}, worker_id: web, labels: *e }",
            "{env: &e {A: b}, worker_id: web, labels: *e, desired_state: stopped }",
        ),
        # flow mappings
        ("{worker_id: web, }\n", "{worker_id: web, desired_state: stopped, }\n"),
        (
            "{\n  worker_id: web,  # x\n  port: 1\n}\n",
            "{\n  worker_id: web,  # x\n  port: 1, desired_state: stopped\n}\n",
        ),
        ('{"worker_id":"web"}', '{"worker_id":"web", "desired_state": "stopped"}'),
        # what stands there as something else
        (
            "name: &n running\nworker_id: web\ndesired_state: *n\n",
            "name: &n running\nworker_id: web\ndesired_state: stopped\n",
        ),
        ("worker_id: web\ndesired_state: !!str running\n", "worker_id: web\ndesired_state: !!str stopped\n"),
        ("worker_id: web\ndesired_state: >\n  running\n", "worker_id: web\ndesired_state: stopped\n"),
        ("worker_id: web\ndesired_state: [running]\n", "worker_id: web\ndesired_state: stopped\n"),
        # the right one of several documents
        (
            "worker_id: api\n---\n# ü 🙂\nworker_id: web\n---\nworker_id: db\n",
            "worker_id: api\n---\n# ü 🙂\nworker_id: web\ndesired_state: stopped\n---\nworker_id: db\n",
        ),
        ("---\n---\nworker_id: web\n---\n", "---\n---\nworker_id: web\ndesired_state: stopped\n---\n"),
        (
            "kind: Defaults\n---\nkind: Worker\nworker_id: web",
            "kind: Defaults\n---\nkind: Worker\nworker_id: web\ndesired_state: stopped",
        ),
    ],
)
def test_only_the_value_changes(before: str, after: str) -> None:
    assert edited(before) == after


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (True, "true"),
        (7, "7"),
        (None, "null"),
        ("plain", "plain"),
        ("true", '"true"'),
        ("1.5", '"1.5"'),
        ("a: b # c", '"a: b # c"'),
        ("", '""'),
        ("ü\n", "|\n  ü"),
    ],
)
def test_values_are_written_so_that_they_read_back(value: Scalar, written: str) -> None:
    assert edited("worker_id: web\n", value, field="name") == f"worker_id: web\nname: {written}\n"


@pytest.mark.parametrize("value", ["yes", "No", "on", "OFF", "y"])
def test_a_text_that_other_readers_take_for_a_truth_is_quoted(value: str) -> None:
    before = b"worker_id: web\nname: x\n"
    assert set_field(before, "web", "name", value) == f'worker_id: web\nname: "{value}"\n'.encode()


def test_quotes_that_stood_there_are_used_again() -> None:
    assert edited("worker_id: web\nname: 'x'\n", "it's", field="name") == "worker_id: web\nname: 'it''s'\n"
    assert edited("worker_id: web\nname: 'x'\n", "a\nb", field="name") == "worker_id: web\nname: |-\n  a\n  b\n"
    assert edited('worker_id: web\nname: "x"\n', 'a"b', field="name") == 'worker_id: web\nname: "a\\"b"\n'
    assert edited("worker_id: web\nname: 'x'\n", 5, field="name") == "worker_id: web\nname: 5\n"


def test_a_byte_order_mark_stays() -> None:
    assert set_field(BOM + b"worker_id: web\n", "web", "port", 1) == BOM + b"worker_id: web\nport: 1\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("worker_id: api\n", "worker web is not defined in the file"),
        ("kind: Defaults\nworker_id: web\n", "worker web is not defined in the file"),
        ("worker_id: web\n---\nworker_id: web\n", "worker web is defined 2 times in the file"),
        (
            "worker_id: web\nport: 012\n",
            (
                "the file must be corrected first: line 2: `012` has a leading zero, which some read as octal "
                '(write `12` for the number, `"012"` for the text)'
            ),
        ),
        (
            "worker_id: web\ndesired_state: &n running\nname: *n\n",
            (
                "line 2: `desired_state` cannot be changed without changing more of the file; "
                "write `desired_state: stopped` there yourself"
            ),
        ),
        (
            "? worker_id\n: web\n? name\n",
            (
                "line 1: `desired_state` cannot be changed without changing more of the file; "
                "write `desired_state: stopped` there yourself"
            ),
        ),
    ],
)
def test_what_cannot_be_done_surgically_is_refused_with_what_to_write(text: str, message: str) -> None:
    with pytest.raises(EditRefused) as refused:
        edited(text)
    assert str(refused.value) == message


# --- generated files -------------------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Zl", "Zp"]), max_size=8)
COMMENTS = st.one_of(st.just(""), TEXTS.map(lambda text: f"  # {text}"))
GAPS = st.lists(st.one_of(st.just(""), TEXTS.map(lambda text: f"# {text}")), max_size=2)


def quoted(text: str) -> str:
    return json.dumps(text.replace("\ufeff", ""), ensure_ascii=False)


SCALARS = st.one_of(
    st.sampled_from(["running", "x y", "1", "true", "~", "3.5", "", "'it''s'", '"a: b"', "a#b", "yes", "http://x/y"]),
    TEXTS.map(quoted),
)
FLOWS = st.one_of(
    SCALARS,
    st.lists(SCALARS.filter(bool), max_size=3).map(lambda items: f"[{', '.join(items)}]"),
    st.lists(SCALARS.filter(bool), max_size=2).map(
        lambda items: "{" + ", ".join(f"k{number}: {item}" for number, item in enumerate(items)) + "}"
    ),
)
BLOCKS = st.sampled_from(
    [
        "|\n    line one\n\n    line two",
        ">-\n    folded\n    text",
        "|+\n    kept\n\n",
        "\n  - a\n  - b: c\n    d: e\n  -",
        "\n- a\n-   - b",
        "\n  A: b\n  C:\n    D: 'e'",
        "&anchor\n  A: b",
        "'over\n  two lines'",
        "plain over\n  two lines",
    ]
)


@st.composite
def documents(draw: st.DrawFn, worker_id: str) -> str:
    """One document of a person's, as text with `\\n`."""
    names = draw(st.lists(st.sampled_from(["name", "env", "command", "labels", "x"]), unique=True, max_size=4))
    keys = draw(st.permutations(["worker_id", *names, *draw(st.sampled_from([[], ["desired_state"]]))]))
    if draw(st.booleans()):
        pairs = [f"{key}: {worker_id if key == 'worker_id' else draw(SCALARS.filter(bool))}" for key in keys]
        inner = draw(st.sampled_from([", ", ",\n  ", " , "])).join(pairs)
        return "{" + inner + draw(st.sampled_from(["", " ", ",", "\n"])) + "}" + draw(COMMENTS)
    indent = draw(st.sampled_from(["", "  "]))
    lines: list[str] = []
    for key in keys:
        if key == "worker_id":
            lines.append(f"{key}: {draw(st.sampled_from([worker_id, repr(worker_id)]))}{draw(COMMENTS)}")
        elif key == "desired_state" or draw(st.booleans()):
            lines.append(f"{key}: {draw(SCALARS if key == 'desired_state' else FLOWS)}{draw(COMMENTS)}")
        else:
            lines.append(f"{key}: {draw(BLOCKS)}")
        lines += draw(GAPS)
    return "\n".join(indent + line if line else line for line in "\n".join(lines).split("\n"))


@st.composite
def files(draw: st.DrawFn) -> bytes:
    parts = [draw(documents(name)) for name in draw(st.permutations(["web", "api", "db"]))[: draw(st.integers(1, 3))]]
    top = draw(st.sampled_from(["", "---\n", "# top\n"]))
    end = draw(st.sampled_from(["", "\n", "\n\n", "\n...\n"]))
    text = top + "\n---\n".join(parts) + end
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    return (BOM if draw(st.booleans()) else b"") + text.encode()


def data_of(content: bytes) -> list[Any]:
    parsed = parse(content, "f.yaml")
    assert parsed.problems == ()
    return [document.data for document in parsed.documents]


def old_value_span(content: bytes) -> tuple[int, int] | None:
    """The bytes of the value of `desired_state` in the document of `web`, None where it has none."""
    text = content.removeprefix(BOM).decode()
    skipped = len(content) - len(text.encode())
    for root in compose(text.encode()):
        keys = {key.value: (key, value) for key, value in root.value}
        if keys["worker_id"][1].value == "web" and "desired_state" in keys:
            _, value = keys["desired_state"]
            start, end = (len(text[: mark.index].encode()) for mark in (value.start_mark, value.end_mark))
            return start + skipped, end + skipped
    return None


def common(one: bytes, other: bytes) -> int:
    """The length of the common prefix."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))


@examples(2)
@given(files(), st.sampled_from(["stopped", "a: b", True, 7, None]))
def test_any_edit_changes_one_value_and_no_other_byte(content: bytes, value: Scalar) -> None:
    assume(not parse(content, "f.yaml").problems)
    before = data_of(content)
    assume(any(one.get("worker_id") == "web" for one in before))
    result = set_field(content, "web", "desired_state", value)
    wanted = [{**one, "desired_state": value} if one["worker_id"] == "web" else one for one in before]
    assert [repr(sorted(one.items())) for one in data_of(result)] == [repr(sorted(one.items())) for one in wanted]
    head = common(content, result)
    tail = min(common(content[::-1], result[::-1]), min(len(content), len(result)) - head)
    span = old_value_span(content)
    if span is None:
        assert head + tail == len(content), "something was replaced, not only added"
    else:
        start, end = span
        assert result.startswith(content[:start])
        # An empty value stands where the parser stopped looking for one, which is after its colon.
        assert start == end or result.endswith(content[end:])
        assert start < end or head + tail == len(content)
    assert set_field(result, "web", "desired_state", value) == result
