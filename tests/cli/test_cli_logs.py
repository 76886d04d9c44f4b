"""`workerctl logs` of several workers, searched, and as it looks; against the API itself where the API decides."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from controller.api.log_query import LogQuery
from controller.api.ports import Removed
from controller.cli.errors import Exit
from controller.cli.log_lines import Printer
from tests.cli.cli_site import COLOUR, SCREEN, run
from tests.cli.test_cli_with_the_real_api import Site
from tests.cli.test_cli_with_the_real_api import site as site  # noqa: PLC0414 - a fixture
from tests.fakes import api_ports
from tests.fakes.api_server import line


def at(second: int, text: str, worker_id: str = "web", **more: Any) -> dict[str, Any]:
    """A line of that second."""
    when = f"2026-01-31T12:00:{second:02}.000Z"
    return api_ports.line(text, at=when, worker_id=worker_id, instance=f"{worker_id}/0", **more)


def test_lines_of_several_workers_are_merged_by_time_with_prefixes_of_one_width(site: Site) -> None:
    site.ports.put(api_ports.worker("mailer", labels={"tier": "back"}))
    site.ports.say(at(3, "three"), at(1, "one", "mailer"), at(2, "two", "mailer"), at(2, "gone", "old"))
    merged = "mailer/0 | one\nmailer/0 | two\nweb/0    | three\n"
    assert site.run("logs", "web", "mailer").stdout == merged
    assert site.run("logs", "web", "mailer", "--no-prefix").stdout == "one\ntwo\nthree\n"
    assert site.run("logs", "-l", "tier=back").stdout == "mailer/0 | one\nmailer/0 | two\n"
    assert "old/0    | gone\n" in site.run("logs", "--all").stdout
    assert [json.loads(row)["text"] for row in site.run("logs", "web", "-o", "json").stdout.splitlines()] == ["three"]
    assert site.run("logs", "-l", "tier=none").stderr == "no lines of workers with tier=none yet\n"


def test_every_condition_reaches_the_server(site: Site) -> None:
    site.run(
        "logs", "web", "--grep", "a", "--grep", "b", "-i", "--invert", "--level", "error", "--run", "previous",
        "--until", "2025-01-31T12:00Z",
    )  # fmt: skip
    assert site.ports.queries[0] == LogQuery(
        worker_id="web", limit=100, until=1738324800.0, grep=("a", "b"), ignore_case=True, invert=True,
        levels=("error", "critical"), run="previous",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name workers, choose them with -l SELECTOR, or ask for --all"),
        (["--all", "web"], "--all stands alone: leave it out, or the names and -l"),
        (["web", "mail", "--instance", "0"], "--instance is about one worker: name one, and leave out -l and --all"),
        (["web", "-f", "--until", "1h"], "a followed log has no end: leave out -f or --until"),
    ],
)
def test_what_makes_no_sense_is_wrong_usage(arguments: list[str], message: str) -> None:
    result = run(None, "logs", *arguments)
    assert (result.exit_code, message in result.stderr) == (Exit.USAGE, True)


def test_of_several_names_the_wrong_one_is_told(site: Site) -> None:
    result = site.run("logs", "web", "wbe")
    assert (result.exit_code, 'there is no worker "wbe". Did you mean "web"?' in result.stderr) == (5, True)


def test_a_search_that_the_server_ends_early_goes_on(site: Site) -> None:
    site.ports.say(*(at(n, f"line {n}") for n in range(5)))
    site.ports.is_cut = True
    assert site.run("logs", "web", "-n", "4").stdout == "line 1\nline 2\nline 3\nline 4\n"
    assert site.run("logs", "web", "-n", "9").stdout == "line 0\nline 1\nline 2\nline 3\nline 4\n"
    assert [getattr(query, "before", None) for query in site.ports.queries] == [None, None, 1]


def test_a_search_that_the_server_ends_early_is_told_once_in_words(site: Site) -> None:
    site.ports.say(*(at(n, f"line {n}") for n in range(5)))
    site.ports.is_cut = True
    told = "[this search takes long; not all lines are looked at yet. It goes on further back; Ctrl-C ends it]\n"
    assert site.run("logs", "web", "-n", "9").stderr == told
    assert site.run("logs", "web", "-n", "9", "-o", "json").stderr == ""
    assert site.run("logs", "web", "-n", "5").stderr == ""


def test_since_a_time_what_is_cut_off_is_told_with_how_to_see_it(site: Site) -> None:
    site.ports.say(*(at(n % 60, f"line {n}") for n in range(10_001)))
    result = site.run("logs", "web", "--since", "2026-01-31T12:00Z")
    assert result.stdout.splitlines() == [f"line {n}" for n in range(1, 10_001)]
    assert result.stderr == (
        "[only the newest 10000 lines since then; there are older ones. Further back: --until "
        "2026-01-31T12:00:01.000Z; everything at once: download=1 of the API]\n"
    )
    assert site.run("logs", "web", "--since", "2026-01-31T12:00Z", "-n", "3").stderr == ""
    assert site.run("logs", "web").stderr == ""


def test_a_time_longer_ago_than_there_are_times_is_since_ever(site: Site) -> None:
    site.ports.say(at(1, "old"))
    assert site.run("logs", "web", "--since", "99999999d").stdout == "old\n"
    assert site.run("logs", "web", "--since", "0001-01-01").exit_code == Exit.USAGE


def test_since_a_time_what_is_all_there_is_needs_no_word(site: Site) -> None:
    site.ports.say(*(at(n % 60, f"line {n}") for n in range(10_000)))
    assert site.run("logs", "web", "--since", "2026-01-31T12:00Z").stderr == ""


HAPPENED = (
    at(2, "two", partial=True),
    at(1, "started as pid 7", kind="lifecycle", stream=None, data={"event": "started"}),
    at(3, " and a half"),
    at(4, "exited with code 3 after 1.0 s", kind="error", stream=None, data={"code": 3}),
    at(5, "job 7 done", kind="task", stream=None, data={"took": {"ms": 12}}),
)


def test_what_happened_is_woven_in_by_time_with_a_sign_where_asked(site: Site) -> None:
    site.ports.say(*HAPPENED)
    assert site.run("logs", "web").stdout == "two and a half\n"
    woven = site.run("logs", "web", "--events")
    assert woven.stdout == "* started as pid 7\ntwo and a half\n! exited with code 3 after 1.0 s\n"
    assert woven.stderr == ""
    assert site.run("logs", "web", "--kind", "task").stdout == "+ job 7 done\n"
    assert (
        site.run("logs", "web", "--kind", "task", "--json-fields", "took.ms,no").stdout == "+ job 7 done took.ms=12\n"
    )
    rows = [json.loads(row) for row in site.run("logs", "web", "--events", "-o", "json").stdout.splitlines()]
    assert [(row["kind"], row["text"]) for row in rows] == [
        ("lifecycle", "started as pid 7"), ("line", "two"), ("line", " and a half"),
        ("error", "exited with code 3 after 1.0 s"),
    ]  # fmt: skip


def test_what_happened_in_the_middle_of_a_line_ends_it(site: Site) -> None:
    site.ports.say(at(1, "half", partial=True), at(2, "killed", kind="lifecycle", stream=None), at(3, "rest"))
    assert site.run("logs", "web", "--events").stdout == "half\n* killed\nrest\n"


def test_on_a_terminal_what_happened_has_a_colour_and_is_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    printer = Printer(COLOUR, safe=True)
    printer.prefixed = True
    printer.show(line("spawn failed: \x1b[2J", kind="error", stream=None))
    assert capsys.readouterr().out == "\x1b[36mweb/0 |\x1b[0m \x1b[31m! spawn failed: ^[[2J\x1b[0m\n"


def test_lines_of_json_are_shown_as_message_and_fields_and_others_as_they_are(site: Site) -> None:
    site.ports.say(
        at(1, '{"msg":"done","took_ms":7,"user":{"id":"a b"},"a.b":true}'), at(2, "plain"), at(3, '{"msg":"cut')
    )
    fields = "took_ms,user.id,a.b,none,user.x.y"
    assert site.run("logs", "web", "--json-fields", fields).stdout == (
        'done took_ms=7 user.id="a b" a.b=true\nplain\n{"msg":"cut\n'
    )
    assert site.run("logs", "web", "--json-fields", "*", "-n", "3").stdout.splitlines()[0] == (
        'done took_ms=7 user={"id":"a b"} a.b=true'
    )
    assert site.run("logs", "web", "--json-fields", "").stdout.splitlines()[0] == "done"


def test_matches_stand_out_and_each_worker_keeps_its_colour(capsys: pytest.CaptureFixture[str]) -> None:
    printer = Printer(COLOUR, safe=True)
    printer.highlight(["time", "timeout", "(x)"], ignore_case=True)
    printer.prefixed = printer.by_worker = True
    for name in ("web/0", "web/1", "db/0"):
        printer.show(line("a TIMEOUT (x) x", name, worker_id=name.partition("/")[0]))
    shown = capsys.readouterr().out.splitlines()
    assert [row.partition("| ")[2] or row.partition("|\x1b[0m ")[2] for row in shown] == [
        "a \x1b[31m\x1b[1mTIMEOUT\x1b[0m \x1b[31m\x1b[1m(x)\x1b[0m x"
    ] * 3
    first, second, third = (row.partition("m")[0] for row in shown)
    assert first == second != third


def test_a_time_may_stand_before_each_line(capsys: pytest.CaptureFixture[str]) -> None:
    printer = Printer(SCREEN, safe=True)
    printer.timed = True
    printer.show(at(1, "one"))
    assert re.fullmatch(r"2026-0[12]-\d\d \d\d:\d\d:01 one\n", capsys.readouterr().out)


def test_lines_that_were_removed_are_told_on_standard_error(site: Site) -> None:
    site.ports.lost = Removed(lines=12, to=2, until=1_000_000_000.0)
    told = (
        "[12 older lines, printed until 2001-09-09T01:46:40.000Z, were removed from the database; "
        "see retain_days, retain_lines and retain_bytes]\n"
    )
    answer = site.run("logs", "web")
    assert (answer.stdout, answer.stderr) == ("", told + "no lines of web yet\n")
    site.ports.say(at(1, "one"), at(2, "two"))
    assert site.run("logs", "web", "-n", "2").stderr == ""
    assert site.run("logs", "web", "-o", "json").stderr == ""
