"""`workerctl top`: the screen, its keys, and the whole of it on a terminal."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import Any

import pytest

from controller.cli.human import rfc3339
from controller.cli.keys import keys_of
from controller.cli.terminal import width_of
from controller.cli.top_screen import SORTS, History, View, chosen, pressed, screen_lines, sparkline
from tests.cli.cli_site import PLAIN, SCREEN, shown
from tests.cli.test_cli_program import on_a_terminal
from tests.fakes.api_server import FakeApi, instance, worker

NOW = time.time()
MIB = 1 << 20

FLEET = [
    worker("web", cpu_percent=12.5, memory_bytes=64 * MIB, restart_count=0, active_tasks=3),
    worker("mail", "crashed", cpu_percent=None, memory_bytes=None, restart_count=7),
    worker("job", cpu_percent=150.0, memory_bytes=5 * MIB, restart_count=1),
]


def names(view: View) -> list[str]:
    return [str(item["worker_id"]) for item in chosen(FLEET, view)]


def history(*samples: tuple[float | None, float | None]) -> History:
    found = History()
    for number, (cpu, memory) in enumerate(samples):
        found.take([worker("web", cpu_percent=cpu, memory_bytes=memory)], number * 10.0)
    return found


def test_the_screen_has_totals_rows_and_keys() -> None:
    lines = screen_lines(FLEET, history((0.0, 10.0), (50.0, 20.0), (100.0, 40.0)), View(), SCREEN, now=NOW)
    assert [re.sub(r" +CPU 162%  memory 69 MiB  .*", " FIGURES", line) for line in lines] == [
        "3 workers: 1 crashed, 2 running FIGURES",
        "NAME         STATUS      INST   CPU            MEMORY           RST TASKS  AGE",
        "mail         ↻ crashed    0/1     -                 -             7     -    -",
        "job          ● running    1/1  150%           5.0 MiB             1     -   2h",
        "web          ● running    1/1   12%      ▁▅█   64 MiB      ▃▅█    0     3   2h",
        "",
        "q quit  / filter  sort by letter: status cpu memory restarts tasks errors name",
    ]


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 100, 200])
@pytest.mark.parametrize("height", [3, 6, 24])
def test_the_screen_is_never_larger_than_the_terminal(columns: int, height: int) -> None:
    screen = replace(SCREEN, columns=columns, lines=height)
    long = worker("w" * 60, cpu_percent=1.0, error_count=123_456_789, active_tasks=123_456_789)
    lines = screen_lines([*FLEET, long], History(), View(filter="w", paused=True), screen, now=NOW)
    assert len(lines) <= max(height, 5)
    if columns >= 60:
        assert max(map(width_of, lines[1:-1])) <= columns


def test_what_is_wrong_stands_behind_the_row_or_below_where_that_is_too_narrow() -> None:
    ended = instance("mail/0", "crashed", message="exited with code 3", last_exit=None)
    fleet = [worker("web", cpu_percent=1.0), worker("mail", "crashed", instances=[ended])]
    narrow = screen_lines(fleet, History(), View(), SCREEN, now=NOW)
    assert (narrow[-2], "REASON" in narrow[1]) == ("mail: exited with code 3", False)
    wide = screen_lines(fleet, History(), View(), replace(SCREEN, columns=120), now=NOW)
    assert (wide[1].split()[-1], wide[2].split("-")[-1].strip(), wide[-2]) == (
        "REASON", "exited with code 3", "",
    )  # fmt: skip
    well = screen_lines(fleet[:1], History(), View(), replace(SCREEN, columns=120), now=NOW)
    assert ("REASON" in well[1], well[-2]) == (False, "")


def test_a_column_of_which_no_worker_tells_anything_is_left_out() -> None:
    silent = worker("web", error_count=None, active_tasks=None)
    (_, heading, *_) = screen_lines([silent], History(), View(), replace(SCREEN, columns=120), now=NOW)
    assert heading.split() == ["NAME", "STATUS", "INST", "CPU", "MEMORY", "RST", "AGE"]


def test_the_noise_of_an_idle_worker_is_flat() -> None:
    idle = history((0.1, 10.0), (0.2, 10.0))
    (row,) = [line for line in screen_lines(FLEET, idle, View(), SCREEN, now=NOW) if line.startswith("web")]
    assert "▁▁   64 MiB       ██" in row


def test_a_wide_terminal_shows_all_columns_and_one_without_unicode_no_sparklines() -> None:
    (_, wide, *_) = screen_lines(FLEET, History(), View(), replace(SCREEN, columns=120), now=NOW)
    assert wide.split() == ["NAME", "STATUS", "INST", "CPU", "MEMORY", "RST", "TASKS", "ERRS", "AGE"]
    (_, plain, *rows) = screen_lines(FLEET, history((1.0, 1.0)), View(), replace(SCREEN, unicode=False), now=NOW)
    assert plain.split() == ["NAME", "STATUS", "INST", "CPU", "MEMORY", "RST", "TASKS", "ERRS", "AGE"]
    assert "".join(rows).isascii()


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("status", ["mail", "job", "web"]),
        ("cpu", ["job", "web", "mail"]),
        ("memory", ["web", "job", "mail"]),
        ("restarts", ["mail", "job", "web"]),
        ("tasks", ["web", "job", "mail"]),
        ("errors", ["job", "mail", "web"]),
        ("name", ["job", "mail", "web"]),
    ],
)
def test_a_letter_sorts_and_the_same_letter_turns_it_round(sort: str, order: list[str]) -> None:
    assert names(View(sort=sort)) == order
    start = View(sort="name" if sort != "name" else "cpu")
    view = pressed(start, SORTS[sort][0], rows=3, room=3)
    assert view == View(sort=sort)
    assert names(pressed(view, SORTS[sort][0], rows=3, room=3) or start) == order[::-1]


def after(view: View, *keys: str, rows: int = 3, room: int = 3) -> View:
    for key in keys:
        following = pressed(view, key, rows=rows, room=room)
        assert following is not None
        view = following
    return view


def test_a_filter_is_typed_kept_and_dropped() -> None:
    view = after(View(), "/", *"Mx", "backspace")
    assert (view.filter, view.typing, names(view)) == ("M", True, ["mail"])
    assert screen_lines(FLEET, History(), view, SCREEN, now=NOW)[-1] == "filter: M_   enter: keep  esc: none"
    kept = after(view, "enter")
    assert screen_lines(FLEET, History(), kept, SCREEN, now=NOW)[-2] == "filter 'M'"
    assert after(kept, "escape") == View()
    assert after(view, "escape") == View()
    # A letter is a letter while a filter is typed, and q is no end.
    assert after(View(), "/", "q").filter == "q"


def test_rows_are_scrolled_within_what_there_is() -> None:
    assert after(View(), "down", "down", "down", rows=10, room=8).first == 2
    assert after(View(), "page_down", rows=100, room=8).first == 8
    assert after(View(), "end", rows=100, room=8).first == 92
    assert after(View(first=92), "page_up", "up", rows=100, room=8).first == 83
    assert after(View(first=5), "home", "up", rows=100, room=8).first == 0
    screen = replace(SCREEN, lines=6)
    lines = screen_lines(FLEET, History(), View(first=1), screen, now=NOW)
    assert ([line.split()[0] for line in lines[2:4]], lines[-2]) == (["job", "web"], "")
    assert screen_lines(FLEET, History(), View(), screen, now=NOW)[-2] == "1 more below"


def test_q_ends_and_an_unknown_key_does_nothing() -> None:
    assert pressed(View(), "q", rows=1, room=1) is None
    assert after(View(), "x", "F1") == View()
    assert after(View(), " ").paused


def test_a_note_is_told_in_place_of_the_keys() -> None:
    assert screen_lines(FLEET, History(), View(note="gone; waiting"), SCREEN, now=NOW)[-1] == "gone; waiting"


@pytest.mark.parametrize(
    ("values", "marks"),
    [
        ([], "        "),
        ([0.0, 0.0], "      ▁▁"),
        ([None, 1.0, 2.0], "      ▅█"),
        ([float(n) for n in range(1, 9)], "▂▃▄▅▆▇██"),
    ],
)
def test_a_sparkline_is_scaled_to_its_largest(values: list[float | None], marks: str) -> None:
    assert sparkline(values, SCREEN) == marks
    assert sparkline(values, replace(PLAIN, unicode=False)) == ""


def test_a_sample_is_taken_every_ten_seconds_and_forgotten_with_its_worker() -> None:
    samples = History()
    for second in range(25):
        samples.take([worker("web", cpu_percent=float(second))], NOW + second)
    assert samples.of(worker("web"), 0) == [0.0, 10.0, 20.0]
    samples.take([], NOW + 40)
    assert samples.of(worker("web"), 0) == []
    # A clock that was set back does not stop it.
    samples.take([worker("web", cpu_percent=1.0)], NOW - 3600)
    assert samples.of(worker("web"), 0) == [1.0]


def past(now: float = NOW, **series: list[float | None]) -> dict[str, Any]:
    """Samples of `metrics-history`, the last of which is of three seconds before."""
    length = max(map(len, series.values()))
    return {
        "worker_id": None, "until": rfc3339(now), "step_s": 10,
        "times": [now - 3 - 10 * place for place in range(length - 1, -1, -1)],
        "series": [
            {"worker_id": name, "instance": None, "metric": "cpu_percent", "values": values}
            for name, values in series.items()
        ],
    }  # fmt: skip


def test_history_stands_before_what_is_seen_here_and_its_newest_sample_only_once() -> None:
    samples = History()
    samples.take([], NOW)
    samples.fill(past(web=[1.0, None, 3.0, 4.0]))
    samples.take([worker("web", cpu_percent=4.0)], NOW + 1)  # Whichever comes first.
    assert samples.of(worker("web"), 0) == [None, None, None, None, 1.0, None, 3.0, 4.0]
    assert samples.of(worker("web"), 1)[:-1] == [None] * 7
    samples.take([worker("web", cpu_percent=9.0)], NOW + 10)
    assert samples.of(worker("web"), 0) == [None, None, None, 1.0, None, 3.0, 4.0, 9.0]


def test_only_the_newest_of_a_long_history_is_shown() -> None:
    samples = History()
    samples.take([worker("web", cpu_percent=99.0)], NOW)
    samples.fill(past(web=[float(number) for number in range(20)]))
    assert samples.of(worker("web"), 0) == [12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0, 99.0]


@pytest.mark.parametrize("answer", [{}, {"until": rfc3339(NOW)}, {**past(web=[1.0]), "step_s": 60}])
def test_what_is_no_history_of_samples_changes_nothing(answer: dict[str, Any]) -> None:
    samples = History()
    samples.take([worker("web", cpu_percent=1.0)], NOW)
    samples.fill(answer)
    assert samples.of(worker("web"), 0) == [1.0]


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        ("q", ["q"]),
        ("\x1b[A\x1b[Bx", ["up", "down", "x"]),
        ("\x1bOA", ["up"]),
        ("\x1b[5~\x1b[6~", ["page_up", "page_down"]),
        ("\x1b", ["escape"]),
        ("\r\n\x7f", ["enter", "enter", "backspace"]),
        ("\x1b[15~a", ["a"]),
        ("ä", ["ä"]),
    ],
)
def test_keys_have_names(typed: str, keys: list[str]) -> None:
    assert keys_of(typed) == keys


def test_into_a_pipe_it_is_printed_once_and_nothing_is_cut(api: FakeApi) -> None:
    api.workers = [*FLEET, worker("w" * 30)]
    out = shown(api, "top", "--sort", "memory").splitlines()
    assert out[0].split() == ["NAME", "STATUS", "INST", "CPU", "MEMORY", "RST", "TASKS", "ERRS", "AGE"]
    assert [row.split()[0] for row in out[1:]] == ["web", "job", "mail", "w" * 30]


def test_on_a_terminal_it_is_live_and_leaves_the_terminal_as_it_was(api: FakeApi) -> None:
    api.workers = [worker("web", cpu_percent=20.0), worker("mail")]
    api.answers["GET", "/api/v1/metrics-history"] = (
        200,
        past(time.time(), web=[20.0, 10.0, 90.0]),
    )
    with on_a_terminal(api, "top", NO_COLOR="1") as (process, seen):
        assert process.stdin is not None

        def text() -> str:
            return "".join(seen)

        api.wait_for(lambda: "2 workers: 2 running" in text())
        # What is drawn of it moves on with the clock; there is more of it than what was seen live.
        api.wait_for(lambda: re.search("[▁▂▃▄▅▆▇█]{3}", text()) is not None)
        api.publish(lambda: api.workers.__setitem__(1, worker("mail", "crashed")))
        api.wait_for(lambda: "↻ crashed" in text())
        process.stdin.write(b"/web\r")
        api.wait_for(lambda: "filter 'web'" in text())
        process.stdin.write(b"q")
    assert process.returncode == 0
    assert text().startswith("\x1b[?1049h")
    assert text().endswith("\x1b[?25h\x1b[?1049l")
