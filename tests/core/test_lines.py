"""Bytes to lines: nothing is lost, nothing comes twice, no character is cut."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from controller.core.lines import LINE_CAP, Line, Lines, Passed

TEXTS = st.text(alphabet=st.sampled_from("aé漢😀 \t"), max_size=12)
LONG = st.integers(LINE_CAP - 6, LINE_CAP + 6).map(lambda size: "x" * size)
WIDE = st.tuples(st.integers(LINE_CAP - 8, LINE_CAP), st.text(alphabet="é漢😀", min_size=1, max_size=9)).map(
    lambda parts: "x" * parts[0] + parts[1]
)
LINES = st.lists(st.tuples(TEXTS | LONG | WIDE, st.sampled_from(["\n", "\r\n"])), max_size=6)


def split(data: bytes, offset: int = 0, *, ended: bool = False, times: list[tuple[int, float]] | None = None) -> tuple[
    list[Line], int
]:  # fmt: skip
    lines = list(Lines(data, offset, ended=ended, times=times or [], fallback=9.0))
    return lines, lines[-1].end - offset if lines else 0


def test_whole_lines_are_taken_and_the_rest_is_left() -> None:
    lines, used = split(b"one\ntwo\r\n\nthr", 100, times=[(90, 1.0), (104, 2.0)])
    assert lines == [
        Line(100, 104, 1.0, False, "one", False),
        Line(104, 109, 2.0, False, "two", False),
        Line(109, 110, 2.0, False, "", False),
    ]
    assert used == 10


def test_the_end_of_a_file_is_a_line_too() -> None:
    assert split(b"one\ntwo", ended=True) == (
        [Line(0, 4, 9.0, True, "one", False), Line(4, 7, 9.0, True, "two", False)],
        7,
    )


def test_a_time_that_is_not_known_is_marked() -> None:
    lines, _ = split(b"a\nb\n", times=[(2, 5.0)])
    assert [(line.at, line.approximate) for line in lines] == [(9.0, True), (5.0, False)]


def test_bytes_that_are_no_text_are_escaped() -> None:
    lines, _ = split(b"a\xff\xe6b\n")
    assert lines[0].text == "a\\xff\\xe6b"


def test_a_long_line_comes_in_pieces_each_but_the_last_marked() -> None:
    lines, used = split(b"x" * (LINE_CAP * 2 + 5) + b"\n")
    assert [(len(line.text), line.partial) for line in lines] == [(LINE_CAP, True), (LINE_CAP, True), (5, False)]
    assert used == LINE_CAP * 2 + 6


def test_a_line_of_just_the_cap_is_whole() -> None:
    assert [(len(line.text), line.partial) for line in split(b"x" * LINE_CAP + b"\n")[0]] == [(LINE_CAP, False)]


def test_a_long_line_is_cut_before_its_end_is_seen() -> None:
    lines, used = split(b"x" * (LINE_CAP + 1))
    assert (len(lines), used) == (1, LINE_CAP)
    assert split(b"x" * LINE_CAP) == ([], 0)


def test_bytes_that_only_look_like_a_character_are_cut_where_the_cap_is() -> None:
    lines, _ = split(b"\x80" * (LINE_CAP * 2), ended=True)
    assert [line.offset for line in lines] == [0, LINE_CAP]
    lines, _ = split(b"x" * (LINE_CAP - 1) + b"\xff" * 9, ended=True)
    assert b"".join(line.text.encode() for line in lines).count(b"\\xff") == 9


@given(LINES, st.booleans())
def test_texts_and_ends_are_the_bytes(parts: list[tuple[str, str]], ended: bool) -> None:
    data = "".join(text + end for text, end in parts).encode()
    tail = "é" * 3
    lines, used = split(data + tail.encode(), ended=ended)
    whole = data + (tail.encode() if ended else b"")
    assert used == len(whole)
    assert all(first.end == second.offset for first, second in pairwise(lines))
    rebuilt = b""
    for line in lines:
        piece = whole[line.offset : line.end]
        text = line.text.encode()
        assert piece.startswith(text)
        assert piece[len(text) :] in ((b"",) if line.partial else (b"\n", b"\r\n", b""))
        rebuilt += piece
    assert rebuilt == whole
    assert all("\\x" not in line.text for line in lines), "a character was cut"


@given(LINES, st.lists(st.integers(0, 60_000), max_size=8))
def test_it_does_not_matter_where_the_bytes_are_divided(parts: list[tuple[str, str]], cuts: list[int]) -> None:
    data = "".join(text + end for text, end in parts).encode() + b"tail"
    at = 0
    found: list[Line] = []
    for cut in [*sorted(min(cut, len(data)) for cut in cuts), len(data)]:
        lines, used = split(data[at:cut], at)
        found += lines
        at += used
    lines, used = split(data[at:], at, ended=True)
    assert at + used == len(data)
    # A piece may be cut earlier when its end was not seen yet; what the pieces say together is the same.
    assert joined([*found, *lines]) == joined(split(data, ended=True)[0])


def joined(lines: list[Line]) -> list[str]:
    found = [""]
    for line in lines:
        found[-1] += line.text
        if not line.partial:
            found.append("")
    return found


def test_lines_of_a_second_are_passed_up_to_the_next_second_and_the_others_follow() -> None:
    data = b"one\ntwo\nthree\nfour\nfive\nsi"
    lines = Lines(data, 100, ended=False, times=[(100, 5.0), (105, 5.5), (110, 6.0), (120, 7.0)], fallback=9.0)
    assert next(lines).text == "one"
    assert lines.pass_second(6) is None
    # "three" begins at 108, in the fifth second, and ends in the sixth.
    assert lines.pass_second(5) == Passed(2, 114, 5.5)
    assert lines.pass_second(5) is None
    assert [(line.text, line.at) for line in lines] == [("four", 6.0), ("five", 6.0)]
    assert lines.end == 124


def test_a_line_without_an_end_is_not_passed() -> None:
    lines = Lines(b"one\ntw", 0, ended=True, times=[(0, 5.0)], fallback=9.0)
    assert lines.pass_second(5) == Passed(1, 4, 5.0)
    assert lines.pass_second(5) is None
    assert [line.text for line in lines] == ["tw"]


@given(
    st.lists(st.binary(max_size=4).map(lambda text: text.replace(b"\n", b"")), max_size=20),
    st.lists(st.integers(0, 80), unique=True, max_size=6).map(sorted),
)
def test_passing_and_reading_find_the_same_lines(texts: list[bytes], points: list[int]) -> None:
    data, times = b"".join(text + b"\n" for text in texts), [(at, 5.0 + n / 2) for n, at in enumerate(points)]
    read = list(Lines(data, 0, ended=False, times=times, fallback=9.0))
    found, lines = [], Lines(data, 0, ended=False, times=times, fallback=9.0)
    for line in lines:
        second = None if line.approximate else int(line.at)
        passed = None if second is None else lines.pass_second(second)
        found.append((second, 1 + (passed.count if passed else 0)))
    expected: list[tuple[int | None, int]] = []
    for line in read:
        second = None if line.approximate else int(line.at)
        if expected and second is not None and expected[-1][0] == second:
            expected[-1] = second, expected[-1][1] + 1
        else:
            expected.append((second, 1))
    assert (found, lines.end) == (expected, len(data))
