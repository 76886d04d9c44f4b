"""The formatter: white space only, and nothing that could be something else."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from controller.sources.formatter import INDENTATION, Formatted, formatted
from controller.sources.strict_yaml import BOM, parse
from tests.examples import examples

SPECS = Path(__file__).parents[2] / "specs"


def after(text: str | bytes) -> bytes:
    """The formatted content, which must be formatted already when it is formatted again."""
    content = text if isinstance(text, bytes) else text.encode()
    result = formatted(content, "f.yaml")
    assert (result.notes, result.problems) == ((), ())
    assert formatted(result.content, "f.yaml") == Formatted(content=result.content)
    return result.content


@pytest.mark.parametrize("path", sorted(SPECS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_examples_stay_as_they_are(path: Path) -> None:
    assert after(path.read_bytes()) == path.read_bytes()


@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        ("a: 1  \nb: 2\t\n", "a: 1\nb: 2\n"),
        ("# note \t \na: 1 # one  \n", "# note\na: 1 # one\n"),
        ("#\ttabs\tstay\n\n\na: 1\n", "#\ttabs\tstay\n\n\na: 1\n"),
        ("a: 1", "a: 1\n"),
        ("a: 1\n\n \n\n", "a: 1\n"),
        ("a: 1\r\nb: 2\r\nc: 3\n", "a: 1\r\nb: 2\r\nc: 3\r\n"),
        ("a: 1\nb: 2\nc: 3\r\n", "a: 1\nb: 2\nc: 3\n"),
        ("a: 1\r\nb: 2", "a: 1\r\nb: 2\r\n"),
        ("", ""),
        (" \n\n", ""),
        ("# only a note", "# only a note\n"),
        ("z: 1\na: 2\n", "z: 1\na: 2\n"),
        ("a:   x\n'b': \"yes\"\nc: '012'\n", "a:   x\n'b': \"yes\"\nc: '012'\n"),
    ],
)
def test_ends_of_lines_and_of_the_file_are_put_in_order(before: str, wanted: str) -> None:
    assert after(before).decode() == wanted


@pytest.mark.parametrize(
    "text",
    [
        "a: |\n  x  \n   \n  y\n",
        'a: "x  \n\n  y"\n',
        "a: x  \n  y\n",
        "a: |+\n  x\n\n\n",
        "a: {b: 1,\n     c: 2}\n",
        "a: |2\n    x\n  y\n",
        "- a\n- b\n",
        "a:\n- x\n- b: 1\n  c: 2\n",
        "a: 1     # instance 0\n         # and 1\n",
    ],
)
def test_what_is_data_or_taste_stays(text: str) -> None:
    assert after(text).decode() == text


@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        ("a:\n    b: 1\n    c:\n        d: 2\n", "a:\n  b: 1\n  c:\n    d: 2\n"),
        ("a:\n b: 1\n", "a:\n  b: 1\n"),
        ("a:\n    - x\n    - y\n", "a:\n  - x\n  - y\n"),
        ("a:\n-   b: 1\n    c:\n    - d\n", "a:\n- b: 1\n  c:\n  - d\n"),
        ("-   -   a\n    -   b\n", "- -   a\n  -   b\n"),
        ("a:\n      b: [x,\n       y]\n", "a:\n  b: [x,\n    y]\n"),
        ("a:\n      b:\n              x\n       y\n", "a:\n  b:\n    x\n    y\n"),
        ("a:\n      5\n", "a:\n  5\n"),
        ("a:\n    b: x\n      y\n    c: {d: 1,\n        e: 2}\n", "a:\n  b: x\n    y\n  c: {d: 1,\n      e: 2}\n"),
        ("a: >\n      x\n\n        y\n", "a: >\n  x\n\n    y\n"),
        ("a:\n    b: |1\n       x\n      y\n", "a:\n  b: |1\n     x\n    y\n"),
        ("a:\n    - |\n          x\n    - b\n", "a:\n  - |\n    x\n  - b\n"),
        ("a: |\n     x", "a: |\n  x"),  # a line end would be one more in the text
        ("a: &x\n     b: 1\nc: *x\n", "a: &x\n  b: 1\nc: *x\n"),
        ("a:\n    ? b\n    : c\n", "a:\n  ? b\n  : c\n"),
        ("--- # one\na: 1\n---\nb:\n   c: 1\n...\n", "--- # one\na: 1\n---\nb:\n  c: 1\n...\n"),
    ],
)
def test_levels_are_two_spaces_apart(before: str, wanted: str) -> None:
    assert after(before).decode() == wanted


@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        ("a:\n    # on b\n    b: 1\n# on c\nc: 1\n", "a:\n  # on b\n  b: 1\n# on c\nc: 1\n"),
        ("a:\n    b: 1\n    # c: 2\nd: 1\n", "a:\n  b: 1\n  # c: 2\nd: 1\n"),
        ("a:\n    b:\n        c: 1\n    # of a\nd: 1\n", "a:\n  b:\n    c: 1\n  # of a\nd: 1\n"),
        ("a:\n     b: |\n       x\n    # note\nc: 1\n", "a:\n  b: |\n    x\n  # note\nc: 1\n"),
        ("   - |\n    a\n # note\n", "- |\n  a\n# note\n"),
        ("a:\n    b: 1   # one\n           # and more\n", "a:\n  b: 1   # one\n         # and more\n"),
    ],
)
def test_a_comment_goes_with_its_level(before: str, wanted: str) -> None:
    assert after(before).decode() == wanted


def test_a_byte_order_mark_stays() -> None:
    assert after(BOM + b"a: 1  \n") == BOM + b"a: 1\n"


def test_what_is_no_yaml_is_left_alone_and_told() -> None:
    result = formatted(b"a: [1  \n", "f.yaml")
    assert (result.content, [problem.line for problem in result.problems]) == (b"a: [1  \n", [1])


def test_indentation_that_cannot_be_proved_is_left_alone_and_said_so() -> None:
    text = b"      a: |\n  # in the text or not?\n"
    assert formatted(text, "f.yaml") == Formatted(content=text, notes=(INDENTATION,))


# --- any document ------------------------------------------------------------------------------------------------

_TEXTS = st.text("ab #:-|>'\"{}[]\n\t,&*!yes012", max_size=12)
_DATA = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-99, 99), _TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_TEXTS, inner, max_size=3)),
    max_leaves=12,
)


@st.composite
def spaced(draw: st.DrawFn) -> str:
    """Some data as YAML, as another indentation has it, with blanks, comments and line ends put between its lines."""
    data = draw(st.dictionaries(_TEXTS, _DATA, min_size=1, max_size=4))
    text = yaml.safe_dump(data, indent=draw(st.integers(2, 7)), width=20, default_flow_style=draw(st.booleans()))
    lines = []
    for line in text.splitlines():
        if draw(st.integers(0, 5)) == 0:
            lines.append(" " * draw(st.integers(0, 8)) + "# note" + " " * draw(st.integers(0, 2)))
        lines.append(line + " " * draw(st.sampled_from([0, 0, 0, 2])))
    return draw(st.sampled_from(["\n", "\r\n"])).join(lines)


@examples(1.5)
@given(spaced())
def test_any_document_stays_the_same_and_formatting_twice_is_formatting_once(text: str) -> None:
    before = parse(text.encode(), "f")
    result = formatted(text.encode(), "f")
    again = parse(result.content, "f")
    assert [one.data for one in again.documents] == [one.data for one in before.documents]
    assert result.content.count(b"# note") == text.count("# note")
    if not before.problems:
        assert formatted(result.content, "f").content == result.content
