"""Which regular expressions may be matched against every line of a worker's output."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.patterns import FEW, MAX_CHOICES, MAX_LENGTH, MAX_OPEN, fault_of_pattern

REPEATED = "could take for ever: a choice or repetition is repeated; write it as one class, as in `[a-z ]+`"


@pytest.mark.parametrize(
    "pattern",
    [
        "ready",
        r"listening on .*:\d+",
        r"^\[\d+\] (?:worker|master) \w+ started\.$",
        r"(?i)ready to accept connections",
        r"(?:\d{1,3}\.){3}\d{1,3}",
        "(ab|cd)*",
        "(a|b)*c",
        "(a{2}){9}",
        "[]a]+[^]b]*",
        "a{,}b{2}c{",
        "a{}b{x}",
        "(?#a remark (with a bracket)x",
        "(?P<name>a)(?=b)(?!c)(?<=d)(?<!e)",
        "(?i:a)b*?",
        r"\.\(\x41",
        "",
    ],
)
def test_what_people_write_is_taken(pattern: str) -> None:
    assert fault_of_pattern(pattern) == ""


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("(a+)+", REPEATED),
        ("(a*)*b", REPEATED),
        ("(?:[a-z]+ )*x", REPEATED),
        ("(a?a)*", REPEATED),
        ("(a|a)*", REPEATED),
        ("(a|ab)*", REPEATED),
        ("(|a)*", REPEATED),
        ("(?i)(a|A)*", REPEATED),
        ("(a|.)+", REPEATED),
        ("((a|b)+)+", REPEATED),
        (f"(a?){{{FEW + 1}}}", REPEATED),
        (".*" * (MAX_OPEN + 1), "has more than 3 of `*`, `+` and their like; take some out, or say less of the line"),
        ("(.*.*.*){3}", "has more than 3 of `*`, `+` and their like; take some out, or say less of the line"),
        ("a?" * (MAX_CHOICES + 1), "has too many choices; say less of the line"),
        ("(a|a)" * (MAX_CHOICES + 1), "has too many choices; say less of the line"),
        (r"(a)\1", "refers to an earlier group; that can take for ever, write the pattern out"),
        (
            "(?P<n>a)(?(n)b|c)",
            "uses a kind of group that is not supported; `(...)`, `(?:...)`, `(?=...)` and `(?!...)` are",
        ),
        ("(?>a)", "uses a kind of group that is not supported; `(...)`, `(?:...)`, `(?=...)` and `(?!...)` are"),
        ("a++", "uses a possessive quantifier; leave out the `+` after it"),
        ("(?x) a b", "uses the flag x; write the pattern without blanks and comments"),
        ("(" * 21 + ")" * 21, "nests groups deeper than 20"),
        ("x" * (MAX_LENGTH + 1), "is longer than 500 characters"),
        ("a{99999999999999999999}", "is too large for a regular expression"),
        (
            "[a",
            "is no regular expression: unterminated character set (character 1); quote it in single quotes",
        ),
    ],
)
def test_what_could_take_for_ever_or_is_none_is_refused(pattern: str, fault: str) -> None:
    assert fault_of_pattern(pattern) == fault


ATOMS = st.sampled_from(["a", "b", ".", "[ab]", r"\w", "(a|b)", "(a|ab)", "(ab|cd)", "(a)", "(?:a+)"])
QUANTIFIERS = st.sampled_from(["", "", "*", "+", "?", "{2}", "{0,3}", "{,9}", "*?"])
PATTERNS = st.lists(st.tuples(ATOMS, QUANTIFIERS), max_size=6).map(lambda parts: "".join(map("".join, parts)))
NESTED = st.tuples(PATTERNS, QUANTIFIERS, PATTERNS).map(lambda parts: f"(?:{parts[0]}){parts[1]}{parts[2]}")


@given(NESTED)
def test_what_is_taken_ends_soon_on_the_worst_of_lines(pattern: str) -> None:
    if fault_of_pattern(pattern) == "":
        begun = time.monotonic()
        re.search(pattern + "$", "a" * 40 + "!")
        assert time.monotonic() - begun < 5
