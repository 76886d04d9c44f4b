from __future__ import annotations

import pytest

from controller.cli import human
from controller.cli.table import Cell, Column, pairs, render
from controller.cli.terminal import Terminal, cut, cut_middle, neutralise, one_line, pad, terminal, width_of, wrapped
from tests.cli.cli_site import COLOUR, PLAIN, SCREEN


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (-3, "0s"), (0.9, "0s"), (59, "59s"), (60, "1m"), (3599, "59m"), (7200, "2h"), (90_000, "1d")],
)
def test_an_age_has_one_unit(seconds: float | None, text: str) -> None:
    assert human.age(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(5, "5s"), (125, "2m 5s"), (7380, "2h 3m"), (90_000, "1d 1h")])
def test_a_duration_has_two_units(seconds: float, text: str) -> None:
    assert human.duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(None, "-"), (512, "512 B"), (9_000_000, "8.6 MiB"), (48_000_000, "46 MiB"), (1 << 30, "1.0 GiB"),
     (3 << 40, "3.0 TiB")],
)  # fmt: skip
def test_a_size_has_a_unit(size: int | None, text: str) -> None:
    assert human.memory(size) == text


@pytest.mark.parametrize(("percent", "text"), [(None, "-"), (0.26, "0.3%"), (104.2, "104%")])
def test_a_share_of_a_core(percent: float | None, text: str) -> None:
    assert human.cpu(percent) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("1.5h", 5400), ("2d", 172_800), ("1 w", 604_800),
     ("500ms", 0.5), ("", None), ("ten", None), ("10x", None), ("2025-01-31", None)],
)  # fmt: skip
def test_a_duration_is_read_with_units_or_as_seconds(text: str, seconds: float | None) -> None:
    assert human.parse_duration(text) == seconds


def test_a_time_is_told_without_its_day_only_when_it_is_today() -> None:
    now = 1_700_000_000.0
    assert len(human.clock(human.rfc3339(now), now)) == len("12:03:04")
    assert len(human.clock(human.rfc3339(now - 200_000), now)) == len("2025-01-31 12:03:04")
    assert human.clock(None, now) == human.clock("yesterday", now) == "-"


def test_times_of_the_api_are_read_and_written() -> None:
    assert human.seconds_of("2023-11-14T22:13:20.500Z") == 1_700_000_000.5
    assert human.seconds_of("2023-11-14T22:13:20") == 1_700_000_000
    assert human.rfc3339(1_700_000_000.5) == "2023-11-14T22:13:20.500Z"


def test_counts_know_their_plural() -> None:
    assert [human.count(0, "worker"), human.count(1, "worker"), human.count(2, "entry", "entries")] == [
        "0 workers",
        "1 worker",
        "2 entries",
    ]


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain text", "plain text"),
        ("tab\tstays", "tab\tstays"),
        ("a\nb", "a\nb"),
        ("\x1b]0;title\x07", "^[]0;title^G"),
        ("\x9b31m", "<9B>31m"),
        ("over\rwrite", "over^Mwrite"),
        ("line end\r", "line end"),
        ("line\r\nend", "line\nend"),
        ("\x7f", "^?"),
        ("\u202egpj.exe", "<U+202E>gpj.exe"),
        ("\u2066x\u2069", "<U+2066>x<U+2069>"),
        ("\udc80", "<U+DC80>"),
        ("第 1 次问候 é", "第 1 次问候 é"),
    ],
)
def test_no_control_of_a_terminal_survives(text: str, safe: str) -> None:
    assert neutralise(text) == safe


def test_a_cell_is_one_line() -> None:
    assert one_line(" a\nb\tc\x1b ") == "a b c^["


def test_widths_are_those_of_a_terminal() -> None:
    assert [width_of("web"), width_of("问候者"), width_of("e\u0301")] == [3, 6, 1]
    assert cut("问候者问候者", 7) == "问候者…"
    assert [cut("abc", 3), cut("abcd", 3), cut("abcd", 1), cut("abcd", 2, "...")] == ["abc", "ab…", "…", ".."]
    assert [pad("问", 4), pad("7", 3, right=True)] == ["问  ", "  7"]


def test_a_table_is_aligned_whatever_the_script() -> None:
    columns = (Column(title="NAME"), Column(title="N", right=True), Column(title="REASON"))
    rows: list[list[str | Cell]] = [["问候者", "1", ""], [Cell(text="web", colour="green"), "12", "a\nb"]]
    assert render(columns, rows, PLAIN) == ["NAME     N  REASON", "问候者   1", "web     12  a b"]
    assert render(columns, [], PLAIN) == []


def test_a_narrow_terminal_drops_what_it_can_and_folds_the_last_column() -> None:
    columns = (Column(title="NAME"), Column(title="CPU", droppable=True), Column(title="REASON"))
    rows = [["n" * 20, "c" * 20, "r" * 60]]
    assert render(columns, rows, SCREEN)[1:] == [
        f"{'n' * 20}  {'c' * 20}  {'r' * 36}",
        f"{' ' * 44}{'r' * 24}",
    ]
    wide = [["n" * 40, "c" * 20, "r" * 60]]
    assert render(columns, wide, SCREEN)[:2] == [f"{'NAME':<40}  REASON", f"{'n' * 40}  {'r' * 38}"]


def test_a_row_that_may_take_few_lines_only_is_cut_in_the_last_of_them() -> None:
    columns = (Column(title="NAME"), Column(title="REASON"))
    rows = [["n" * 50, "it is held back because of what the others do at this time"]]
    folded = ["it is held back because of", "what the others do at this", "time"]
    assert [line[52:] for line in render(columns, rows, SCREEN)[1:]] == folded
    assert [line[52:] for line in render(columns, rows, SCREEN, most=2)[1:]] == [
        folded[0],
        "what the others do at this…",
    ]
    assert [line[52:] for line in render(columns, rows, SCREEN, most=1)[1:]] == ["it is held back because of…"]
    assert len(render(columns, rows, PLAIN)) == 2


def test_where_the_last_column_has_no_room_it_stands_beneath_its_row() -> None:
    columns = (Column(title="TIME"), Column(title="EVENT"), Column(title="MESSAGE"))
    narrow = Terminal(tty=True, colour=False, unicode=True, columns=30, lines=24)
    rows = [["12:03:04", "became_running", "alive for 1000 ms, and ready since"], ["12:03:05", "exited", ""]]
    assert render(columns, rows, narrow) == [
        "TIME      EVENT",
        "12:03:04  became_running",
        "    alive for 1000 ms, and",
        "    ready since",
        "12:03:05  exited",
    ]
    assert len(render(columns, rows, narrow, most=1)) == 3


def test_colour_does_not_disturb_the_alignment() -> None:
    columns = (Column(title="A"), Column(title="B"))
    painted = render(columns, [[Cell(text="x", colour="red", bold=True), "y"]], COLOUR)
    assert painted[1] == "\x1b[31m\x1b[1mx\x1b[0m  y"


def test_pairs_leave_out_what_is_empty() -> None:
    assert pairs([("Spec", "web.yaml:1"), ("Labels", ""), ("CPU", "-")], PLAIN, indent=" ") == [
        " Spec  web.yaml:1",
        " CPU   -",
    ]


def test_a_stream_that_is_no_terminal_has_no_colour() -> None:
    screen = terminal()
    assert (screen.tty, screen.colour, screen.sign("✓", "ok") in {"✓", "ok"}) == (False, False, True)


@pytest.mark.parametrize(
    ("columns", "text"), [(10, "0123456789"), (9, "0123…6789"), (4, "01…9"), (3, "0…9"), (2, "0…"), (1, "…")]
)
def test_a_name_is_shortened_in_its_middle(columns: int, text: str) -> None:
    assert cut_middle("0123456789", columns) == text


def test_lines_break_at_blanks_and_long_words_after_their_marks() -> None:
    assert wrapped("it is started again", 11) == ["it is", "started", "again"]
    assert wrapped("see /a/very/long/path now", 8) == ["see", "/a/very/", "long/", "path now"]
    assert wrapped("aaaaaaaaaa a/bbbbbbbbbb", 6) == ["aaaaaa", "aaaa", "a/bbbb", "bbbbbb"]
    assert wrapped("问候者", 1) == ["问", "候", "者"]
    assert wrapped("", 8) == [""]


def test_long_values_hang_on_a_terminal_only() -> None:
    narrow = Terminal(tty=True, colour=False, unicode=True, columns=30, lines=24)
    rows = [("Why", "it died with code 3 twice"), ("CPU", "-")]
    assert pairs(rows, narrow, indent="  ") == ["  Why  it died with code 3", "       twice", "  CPU  -"]
    assert pairs(rows, PLAIN)[0] == "Why  it died with code 3 twice"
