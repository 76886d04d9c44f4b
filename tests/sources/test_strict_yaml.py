"""Every trap of YAML that a person can step into, with the whole message that is shown for it."""

from __future__ import annotations

from typing import Any

import pytest

from controller.sources.places import locate
from controller.sources.strict_yaml import BOM, compose, parse


def problems_of(text: str | bytes) -> list[str]:
    return [str(problem) for problem in parse(text if isinstance(text, bytes) else text.encode(), "f.yaml").problems]


def data_of(text: str | bytes) -> list[Any]:
    parsed = parse(text if isinstance(text, bytes) else text.encode(), "f.yaml")
    assert parsed.problems == ()
    return [document.data for document in parsed.documents]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[yes, no, on, off, Yes, y]", ["yes", "no", "on", "off", "Yes", "y"]),
        ("[true, True, TRUE, false, False, FALSE]", [True, True, True, False, False, False]),
        ("[~, null, Null, NULL, ]", [None, None, None, None]),
        ("[1:30, 12:30:45, 22:22]", ["1:30", "12:30:45", "22:22"]),
        ("[2024-01-02, 2024-01-02T10:00:00Z]", ["2024-01-02", "2024-01-02T10:00:00Z"]),
        ("[0, -1, +7, 0o17, 0xff, 1_000]", [0, -1, 7, 15, 255, "1_000"]),
        ("[1e3, .5, 3.10, 5., -1.5E-2, .inf, -.INF]", [1000.0, 0.5, 3.1, 5.0, -0.015, float("inf"), float("-inf")]),
        ("['5', \"true\", 'null']", ["5", "true", "null"]),
        ("[=, '<<', 0b11, 1., 0o8, ., '-', 1.2.3]", ["=", "<<", "0b11", 1.0, "0o8", ".", "-", "1.2.3"]),
        ("[!!str 5, !!int 5, !!float 5, !!float 0x10, !!bool true, !!null ~]", ["5", 5, 5.0, 16.0, True, None]),
    ],
)
def test_plain_values_mean_what_yaml_1_2_says(text: str, expected: list[object]) -> None:
    assert repr(data_of(text)) == repr([expected])


def test_not_a_number_is_a_number() -> None:
    assert repr(data_of("[.nan, .NaN]")) == "[[nan, nan]]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"a: b\r\nc: d\r\n", [{"a": "b", "c": "d"}]),
        (BOM + b"a: b\n", [{"a": "b"}]),
        (b"a: \tb\n", [{"a": "b"}]),
        (b"", []),
        (b"# nothing\n---\n# nothing\n", []),
        (b"--- \na: 1\n...\n---\nb: 2\n", [{"a": 1}, {"b": 2}]),
        ("ü: 'größe 漢字 🙂'\n".encode(), [{"ü": "größe 漢字 🙂"}]),
        (b"a: &x {q: 1, w: 1}\nb: {<<: *x, w: 2}\n", [{"a": {"q": 1, "w": 1}, "b": {"w": 2, "q": 1}}]),
        (
            b"a: &x {q: 1}\nb: &y {q: 2, z: 3}\nc: {<<: [*x, *y]}\n",
            [{"a": {"q": 1}, "b": {"q": 2, "z": 3}, "c": {"q": 1, "z": 3}}],
        ),
    ],
)
def test_what_is_fine_is_read(text: bytes, expected: list[object]) -> None:
    assert data_of(text) == expected


def test_aliases_share_nothing_once_read() -> None:
    [data] = data_of("a: &x [1]\nb: *x\n")
    assert data["a"] is not data["b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: duplicate key `a`, first on line 1 (keep one)"),
        ("a: 1\n<<: {}\n<<: {}\n", "f.yaml:3:1: duplicate key `<<`, first on line 2 (keep one)"),
        (
            "a: 012\n",
            (
                'f.yaml:1:4: `012` has a leading zero, which some read as octal (write `12` for the number, `"012"` '
                "for the text)"
            ),
        ),
        (
            "a: -007\n",
            (
                "f.yaml:1:4: `-007` has a leading zero, which some read as octal (write `-7` for the number, "
                '`"-007"` for the text)'
            ),
        ),
        (
            "a: 99999999999999999999\n",
            ("f.yaml:1:4: the number `99999999999999999999` is too large (quote it if it is a text)"),
        ),
        ("a: 1e999\n", "f.yaml:1:4: the number `1e999` is too large (quote it if it is a text)"),
        ("1: a\n", 'f.yaml:1:1: expected a string as key, got 1 (write `"1":`)'),
        ("true: a\n", 'f.yaml:1:1: expected a string as key, got true (write `"true":`)'),
        ("?\n: a\n", "f.yaml:1:2: expected a string as key, got nothing (write a key before the colon)"),
        ("? [a]\n: b\n", "f.yaml:1:3: expected a string as key, got a list or mapping (quote the key)"),
        ("!!binary a: b\n", "f.yaml:1:1: the tag `!!binary` is not supported (leave it out)"),
        (
            "a: !!python/object/apply:os.system [x]\n",
            "f.yaml:1:4: the tag `!!python/object/apply:os.system` is not supported (leave it out)",
        ),
        ("a: !ref x\n", "f.yaml:1:4: the tag `!ref` is not supported (leave it out)"),
        (
            "a: !e!ref x\n",
            "f.yaml:1:4: this tag is not supported (leave it out, or quote a value that starts with `!`)",
        ),
        ("a: !!int x\n", "f.yaml:1:4: this value is no !!int (leave the tag out)"),
        ("a: !!map [x]\n", "f.yaml:1:4: this value is no !!map (leave the tag out)"),
        ("a: {<<: 5}\n", "f.yaml:1:9: `<<` merges mappings only (write `<<: *anchor` with the anchor on a mapping)"),
        ('a: "\\0"\n', "f.yaml:1:4: this text contains a NUL byte (no process can be given one)"),
        ("&a [*a]", "f.yaml:1:1: this anchor contains itself (an alias must not stand inside its own anchor)"),
        (
            "a: &a\n  <<: *a\n",
            "f.yaml:1:4: this anchor contains itself (an alias must not stand inside its own anchor)",
        ),
        ("a: *b\n", "f.yaml:1:4: this alias has no anchor before it in the document (check its name)"),
        (
            "&x a: 1\n&x b: 2\n",
            ("f.yaml:2:1: this anchor's name is taken (give each anchor of a document a name of its own)"),
        ),
        ("\ta: b\n", "f.yaml:1:1: a tab cannot indent (indent with spaces)"),
        ("a:\n\tb: 1\n", "f.yaml:2:1: a tab cannot indent (indent with spaces)"),
        ("a: @x\n", "f.yaml:1:4: a plain value cannot start with `@` (quote the value)"),
        ("a: `x\n", "f.yaml:1:4: a plain value cannot start with ``` (quote the value)"),
        ("a: *\n", "f.yaml:1:4: `*` and `&` cannot start a plain value (quote the value)"),
        (
            "a: b: c\n",
            (
                "f.yaml:1:5: a second `: ` in one line, or a line that is indented too far "
                "(quote a value that contains `: `, or align the line with the others)"
            ),
        ),
        ("a: 1\nb\nc: 2\n", "f.yaml:2:1: expected `key: value`, got a line without a colon (add the colon)"),
        ("a: [1\nb: 2\n", "f.yaml:1:4: this list never ends, or lacks a comma (check its commas and its `]`)"),
        ("a: {b: 1\nc", "f.yaml:1:4: this mapping never ends, or lacks a comma (check its commas and its `}`)"),
        ("a: 'x\n", "f.yaml:1:4: this quoted text never ends (add the closing quote)"),
        (
            'a: "\\q"\n',
            ("f.yaml:1:5: an unknown escape in double quotes (write `\\\\` for a backslash, or use single quotes)"),
        ),
        (
            "a:\n  b: 1\n c: 2\n",
            (
                "f.yaml:3:2: this line fits no mapping: its indentation or a value before it is wrong "
                "(keys of one mapping start in the same column)"
            ),
        ),
        (
            "- a\nb: 1\n",
            (
                "f.yaml:2:1: this line fits no list: its indentation or an item before it is wrong "
                "(items of one list start with `- ` in the same column)"
            ),
        ),
        ("a: - b\n", "f.yaml:1:4: a list cannot start here (put its first `- ` on a line of its own, under the key)"),
        (
            "  a: 1\n b: 2\n",
            (
                "f.yaml:2:2: the document ends before this line "
                "(check the indentation, or separate documents with `---`)"
            ),
        ),
        ("%YAML 3.0\n---\na: 1\n", "f.yaml:1:1: this version of YAML is not supported (remove the %YAML line)"),
        ("%TAG ! x\n%TAG ! y\n---\na: 1\n", "f.yaml:2:1: no valid YAML: found duplicate %TAG directive"),
        (
            "a: 1\n<<<<<<< HEAD\nb: 1\n=======\nb: 2\n>>>>>>> x\n",
            (
                "f.yaml:2:1: unresolved merge conflict "
                "(resolve the conflict: keep one side and remove the <<<<<<<, ======= and >>>>>>> lines)"
            ),
        ),
    ],
)
def test_a_trap_is_named_with_its_place_and_what_to_write(text: str, message: str) -> None:
    assert problems_of(text) == [message]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: b\n".encode("utf-16"), "f.yaml:1:1: the file is UTF-16 (save it as UTF-8)"),
        ("a: b\n".encode("utf-16-be"), "f.yaml:1:1: the file contains a NUL byte (save it as UTF-8 text)"),
        (b"a: 1\nb: \xe4\n", "f.yaml:2:4: byte 0xe4 is not UTF-8 (save it as UTF-8)"),
        (
            "ä: 1\r\nü: \udcff\n".encode(errors="surrogateescape"),
            "f.yaml:2:4: byte 0xff is not UTF-8 (save it as UTF-8)",
        ),
        (b"a: b\x00c\n", "f.yaml:1:5: the file contains a NUL byte (save it as UTF-8 text)"),
        (
            b"a: 1\rb: \x1b[0m\n",
            'f.yaml:2:4: the character U+001B is not allowed (write it as "\\x1b" in double quotes)',
        ),
        (
            "a: x\u2028b: 1\n".encode(),
            ('f.yaml:1:5: the character U+2028 is not allowed (write it as "\\u2028" in double quotes)'),
        ),
    ],
)
def test_bytes_that_are_no_text_are_named(content: bytes, message: str) -> None:
    assert problems_of(content) == [message]


def test_all_faults_of_all_documents_are_told_at_once_and_the_sound_documents_are_kept() -> None:
    parsed = parse(b"a: 1\n---\nb: 2\nb: 012\n---\nc: [\n", "f.yaml")
    assert [(one.index, one.line, one.data, one.sound) for one in parsed.documents] == [
        (0, 1, {"a": 1}, True),
        (1, 3, {"b": 2}, False),
    ]
    assert [(one.line, one.code) for one in parsed.problems] == [(4, "yaml"), (4, "duplicate_key"), (7, "syntax")]


LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n" for before, name in zip("abcdef", "bcdefg", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x" * (1024 * 1024 + 1), "f.yaml: the file is larger than 1024 KiB (split it)"),
        ("[" * 100_000, "f.yaml: more than 32 levels of nesting (no spec needs that depth)"),
        ("? " * 100_000, "f.yaml: more than 32 levels of nesting (no spec needs that depth)"),
        ("- a\n" * 110_000, "f.yaml: more than 100000 values in one file (split the file)"),
        ("---\na\n" * 1001, "f.yaml: more than 1000 documents in one file (split the file)"),
        (LAUGHS, "f.yaml:1:10: more than 100000 values once aliases are expanded"),
        (
            "a: &a x\nb: [" + "*a," * 101 + "]",
            "f.yaml:1:4: more than 100 aliases in one document (use `kind: Defaults`)",
        ),
        (
            "a: &a " + "[" * 20 + "]" * 20 + "\nb: " + "[" * 20 + "*a" + "]" * 20,
            "f.yaml:1:18: more than 32 levels of nesting once aliases are expanded",
        ),
        ("a: " + "9" * 100_000, "f.yaml:1:4: the number `" + "9" * 57 + "...` is too large (quote it if it is a text)"),
    ],
)
def test_a_bomb_is_refused(text: str, message: str) -> None:
    assert problems_of(text) == [message]


def test_a_hundred_aliases_are_fine() -> None:
    assert problems_of("a: &a x\nb: [" + "*a," * 100 + "]") == []


def test_problems_of_one_file_are_bounded() -> None:
    told = problems_of("a: 1\n" * 5000)
    assert len(told) == 101
    assert told[-1] == "f.yaml: more than 100 problems in one file (correct these first)"


def test_places_are_found_behind_lists_and_merge_keys() -> None:
    [root] = compose(b"base: &b {deep: [1, 3.10]}\nown:\n  <<: [*b]\n  x: 1\nlist:\n- a\n- {k: v}\n")
    places = [
        locate(root, ("own", "deep", 1)),
        locate(root, ("own", "x"), key=True),
        locate(root, ("list", 1, "k")),
        locate(root, ("own",)),
        locate(root, ("own", "nowhere", "else")),
        locate(root, ("list", "k")),
    ]
    assert [(place.line, place.column, place.text) for place in places] == [
        (1, 21, "3.10"),
        (4, 3, "1"),
        (7, 7, "v"),
        (2, 1, None),
        (2, 1, None),
        (5, 1, None),
    ]
