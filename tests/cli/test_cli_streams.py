from __future__ import annotations

import json
import threading
import time

import pytest

from controller.cli.client import Client, parse_address
from controller.cli.errors import CliError, Exit
from controller.cli.log_lines import Printer
from controller.cli.plan import plan_lines
from controller.cli.selection import Selection
from controller.cli.watch import Picture, picture_lines
from tests.cli.cli_site import COLOUR, PLAIN, SCREEN, meanwhile, run, shown
from tests.fakes.api_server import FakeApi, ago, event, instance, line, problem, refusal, worker

LOGS, EVENTS, WORKERS = "/api/v1/workers/web/logs", "/api/v1/events", "/api/v1/workers"


def follows(api: FakeApi, path: str) -> int:
    """How many streams of that path were asked for."""
    return sum(asked.path == path and "follow" in asked.query for asked in api.requests)


def lists(api: FakeApi) -> int:
    """How often the list of workers was asked for."""
    return sum(asked.path == WORKERS and "follow" not in asked.query for asked in api.requests)


def end(api: FakeApi, path: str) -> None:
    """Cut the streams, and refuse the next: a follower has nothing more to wait for."""
    api.answers["GET", path] = refusal(404, "gone")
    api.cut_streams()


def test_lines_are_raw_and_without_prefix_when_one_instance_is_shown(api: FakeApi) -> None:
    api.lines = [line("one"), line("two \x1b[31mred\x1b[0m \u202e")]
    assert shown(api, "logs", "web") == "one\ntwo \x1b[31mred\x1b[0m \u202e\n"


def test_lines_of_several_instances_have_a_prefix_unless_told_not_to(api: FakeApi) -> None:
    api.lines = [line("one"), line("two", "web/1")]
    assert shown(api, "logs", "web") == "web/0 | one\nweb/1 | two\n"
    assert shown(api, "logs", "web", "--no-prefix") == "one\ntwo\n"
    assert shown(api, "logs", "web", "--instance", "1") == "two\n"


@pytest.mark.parametrize("given", ["1", "web/1", "/1", "01"])
def test_an_instance_is_named_by_ordinal(api: FakeApi, given: str) -> None:
    api.lines = [line("one"), line("two", "web/1")]
    assert shown(api, "logs", "web", "--instance", given) == "two\n"


@pytest.mark.parametrize(
    "arguments", [["--instance", "x"], ["--instance", "mail/1"], ["--since", "soon"], ["-n", "-1"]]
)
def test_a_filter_that_means_nothing_is_wrong_usage(api: FakeApi, arguments: list[str]) -> None:
    assert run(api, "logs", "web", *arguments).exit_code == Exit.USAGE


def test_the_number_of_lines_is_asked_for(api: FakeApi) -> None:
    api.lines = [line(str(number)) for number in range(5)]
    assert shown(api, "logs", "web", "-n", "2", "--stream", "stdout") == "3\n4\n"
    run(api, "logs", "web")
    run(api, "logs", "web", "--since", "10m")
    run(api, "logs", "web", "--since", "2025-01-31T12:00Z", "-n", "3")
    queries = [dict(asked.query) for asked in api.requests]
    since = queries[2].pop("since")
    assert since.endswith("Z")
    assert queries == [
        {"tail": "2", "stream": "stdout"},
        {"tail": "100"},
        {"tail": "10000"},
        {"tail": "3", "since": "2025-01-31T12:00:00.000Z"},
    ]


def test_no_lines_is_told_on_standard_error(api: FakeApi) -> None:
    api.workers = [worker("web")]
    assert run(api, "logs", "web").stderr == "no lines of web yet\n"
    assert run(api, "logs", "web", "--stream", "stderr").stderr == "no lines of web match\n"


def test_the_logs_of_a_worker_that_is_gone_can_be_read(api: FakeApi) -> None:
    api.lines = [line("last words")]
    assert shown(api, "logs", "web") == "last words\n"


def test_another_refusal_is_told_as_it_is(api: FakeApi) -> None:
    api.answers["GET", LOGS] = refusal(503, "the database is away")
    assert run(api, "logs", "web").exit_code == Exit.FAILED


def test_pieces_of_a_long_line_are_joined(api: FakeApi) -> None:
    api.lines = [line("aaa", partial=True), line("bbb"), line("ccc", partial=True), line("ddd", run="web/0#2"),
                 line("eee", partial=True)]  # fmt: skip
    assert shown(api, "logs", "web") == "aaabbb\nccc\nddd\neee\n"


def test_a_gap_is_told_on_standard_error(api: FakeApi) -> None:
    api.lines = [line("one", partial=True), line("17 lines were left out", kind="gap"), line("two")]
    result = run(api, "logs", "web")
    assert (result.stdout, result.stderr) == ("one\ntwo\n", "[web/0: 17 lines were left out]\n")


def test_on_a_terminal_the_text_is_harmless_and_prefixes_are_coloured(capsys: pytest.CaptureFixture[str]) -> None:
    printer = Printer(COLOUR, safe=True)
    printer.prefixed = True
    printer.show(line("\x1b]0;x\x07", "web/1"))
    printer.show(line("alone", "web/x"))
    assert capsys.readouterr().out == "\x1b[32mweb/1 |\x1b[0m ^[]0;x^G\nweb/x | alone\n"


def test_following_goes_on_where_it_was_when_the_controller_comes_back(api: FakeApi) -> None:
    api.workers, api.lines = [worker("web", instances=[instance("web/0"), instance("web/1")])], [line("one")]

    def script() -> None:
        api.wait_for(lambda: follows(api, LOGS) == 1)
        api.publish(lambda: api.lines.append(line("two", "web/1")))
        api.cut_streams()
        api.wait_for(lambda: follows(api, LOGS) == 2)
        api.publish(lambda: api.lines.append(line("three")))
        end(api, LOGS)

    with meanwhile(script):
        result = run(api, "logs", "web", "-f")
    assert result.stdout == "web/0 | one\nweb/1 | two\nweb/0 | three\n"
    afters = [asked.query["after"] for asked in api.requests if "follow" in asked.query]
    assert afters == ["1", "2", "3"]
    assert result.stderr.splitlines()[:2] == [
        "[the controller ended the stream; waiting for the controller]",
        "[connected again]",
    ]
    assert result.exit_code == Exit.NOT_FOUND


def test_following_one_instance_or_a_worker_that_is_gone_needs_no_prefix(api: FakeApi) -> None:
    api.lines = [line("one")]

    def script(number: int) -> None:
        api.wait_for(lambda: follows(api, LOGS) == number)
        end(api, LOGS)

    with meanwhile(lambda: script(1)):
        assert run(api, "logs", "web", "-f").stdout == "one\n"
    del api.answers["GET", LOGS]
    with meanwhile(lambda: script(3)):
        assert run(api, "logs", "web", "-f", "--instance", "0").stdout == "one\n"


def test_a_controller_that_is_away_at_first_is_not_waited_for(api: FakeApi) -> None:
    api.workers = [worker("web")]
    api.answers["GET", "/api/v1/workers/web/status"] = refusal(500, "internal error")
    assert run(api, "logs", "web", "-f").exit_code == Exit.FAILED


def test_a_controller_that_restarts_is_waited_for_with_one_word() -> None:
    with FakeApi(lines=[line("one")], workers=[worker("web")]).serving() as first:
        port = int(first.url.rpartition(":")[2])
        api = FakeApi(lines=[line("one"), line("two")], workers=[worker("web")])

        def script() -> None:
            first.wait_for(lambda: follows(first, LOGS) == 1)
            first.publish(lambda: setattr(first, "stopping", True))
            first.answers["GET", LOGS] = refusal(503, "the controller ends", "draining")
            first.wait_for(lambda: follows(first, LOGS) >= 3)
            first.answers.clear()
            first.lines, first.stopping = api.lines, False
            first.wait_for(lambda: follows(first, LOGS) >= 4)
            end(first, LOGS)

        with meanwhile(script):
            result = run(first, "logs", "web", "-f")
    assert port > 0
    assert result.stdout == "one\ntwo\n"
    assert result.stderr.count("waiting for the controller") == 2
    assert "[the controller ends; waiting for the controller]" in result.stderr


def test_events_are_a_table_oldest_first(api: FakeApi) -> None:
    api.events = [
        event(1, "spec_accepted", instance=None, message="web.yaml:1", cause="file changed", actor="controller"),
        event(2, "instance_stopped", message="took 120 ms", cause="stop", actor="anna"),
        event(3, "host_lost", worker_id=None, instance=None, message="", cause="no answer"),
    ]
    rows = [row.split(maxsplit=3)[1:] for row in shown(api, "events").splitlines()]
    assert rows == [
        ["WORKER", "EVENT", "MESSAGE"],
        ["web", "spec_accepted", "web.yaml:1 (file changed)"],
        ["web/0", "instance_stopped", "took 120 ms (stop) by anna"],
        ["-", "host_lost", "no answer"],
    ]


def test_events_may_be_of_one_worker_and_so_many(api: FakeApi) -> None:
    api.events = [event(1), event(2, worker_id="mail"), event(3), event(4)]
    assert json.loads(shown(api, "events", "web", "-n", "2", "-o", "json")) == {"items": [event(3), event(4)]}
    api.workers = [worker("new")]
    assert run(api, "events", "new").stderr == "no events of new\n"
    assert run(api, "events", "now").exit_code == Exit.NOT_FOUND
    api.events = []
    assert run(api, "events").stderr == "no events yet\n"


@pytest.mark.parametrize("output", ["table", "json"])
def test_events_are_watched_from_the_last_one_on(api: FakeApi, output: str) -> None:
    api.events = [event(1), event(2)]

    def script() -> None:
        api.wait_for(lambda: follows(api, EVENTS) == 1)
        api.publish(lambda: api.events.append(event(3, "instance_exited")))
        end(api, EVENTS)

    with meanwhile(script):
        result = run(api, "events", "-w", "-n", "1", "-o", output)
    lines = result.stdout.splitlines()
    if output == "json":
        assert [json.loads(text) for text in lines] == [event(2), event(3, "instance_exited")]
    else:
        assert [row.split()[1:3] for row in lines] == [["web/0", "instance_started"], ["web/0", "instance_exited"]]


def test_watching_into_a_pipe_prints_every_worker_once_and_then_changes(api: FakeApi) -> None:
    api.workers = [worker("web"), worker("mail")]

    def script() -> None:
        api.wait_for(lambda: lists(api) == 1)
        api.publish(lambda: api.workers.__setitem__(0, worker("web", cpu_percent=5.0)))
        api.publish(lambda: api.workers.__setitem__(0, worker("web", "stopped", desired_state="stopped")))
        api.publish(lambda: api.workers.pop(1))
        api.cut_streams()
        api.wait_for(lambda: lists(api) == 2)
        end(api, WORKERS)

    with meanwhile(script):
        result = run(api, "get", "-w")
    rows = [row.split()[1:3] for row in result.stdout.splitlines()]
    assert sorted(rows) == sorted([["web", "running"], ["mail", "running"], ["web", "stopped"], ["mail", "gone"]])
    assert result.stderr.splitlines()[0] == "[the controller ended the stream; waiting for the controller]"


@pytest.mark.parametrize(
    ("output", "text"),
    [("name", "web\n"), ("yaml", "---\nworker_id: web\n"), ("json", '{"worker_id":"web",')],
)
def test_watching_has_every_format(api: FakeApi, output: str, text: str) -> None:
    api.workers = [worker("mail"), worker("web", labels={"a": "b"})]

    def script() -> None:
        api.wait_for(lambda: lists(api) == 1)
        end(api, WORKERS)

    with meanwhile(script):
        result = run(api, "get", "-w", "-o", output, "-l", "a=b")
    assert result.stdout.startswith(text)
    assert "mail" not in result.stdout


def test_what_vanished_while_the_controller_was_away_is_told_as_gone(api: FakeApi) -> None:
    api.workers = [worker("web"), worker("mail")]

    def script() -> None:
        api.wait_for(lambda: lists(api) == 1)
        api.cut_streams()
        api.workers = [worker("web")]
        api.wait_for(lambda: lists(api) == 2)
        end(api, WORKERS)

    with meanwhile(script):
        result = run(api, "get", "-w", "-o", "json")
    told = [json.loads(text) for text in result.stdout.splitlines()]
    assert ["gone" in item for item in told if item["worker_id"] == "mail"] == [False, True]


def test_a_picture_is_never_higher_than_the_terminal() -> None:
    items = [worker(f"w{number:02}") for number in range(40)]
    lines = picture_lines(items, [], "", SCREEN, wide=False)
    assert len(lines) == SCREEN.lines - 1
    assert lines[-3] == "21 more lines"


def test_a_picture_carries_the_note_that_the_controller_is_away() -> None:
    lines = picture_lines(
        [worker("web", problems=[problem()])], [], "gone; waiting for the controller", SCREEN, wide=True
    )
    assert lines[-1] == "1 worker: 1 running  gone; waiting for the controller"
    assert "1 problem in spec files" in lines


def test_a_picture_is_drawn_anew_for_each_change_and_ends_with_the_listeners_error(api: FakeApi) -> None:
    api.workers = [worker("web")]
    picture = Picture()

    def script() -> None:
        api.wait_for(lambda: lists(api) == 1)
        api.publish(lambda: api.workers.append(worker("mail")))
        api.publish(lambda: api.workers.pop(0))
        end(api, WORKERS)

    with meanwhile(script):
        picture.listen(Client(parse_address(api.url, "test")), Selection())
    with pytest.raises(CliError):
        picture.next()


def test_a_picture_holds_what_there_is_and_why_nothing_comes() -> None:
    picture = Picture()
    picture.note("gone")
    assert picture.next() == ([], [], "gone; waiting for the controller")
    picture.note("")
    assert picture.next() == ([], [], "")


def test_a_picture_shows_what_is_held_back(api: FakeApi) -> None:
    held = {"worker_id": None, "reason": "SourceHeld", "message": "it was moved", "confirm": "3f9a"}
    lines = picture_lines([worker("web")], [held], "", SCREEN, wide=False)
    assert lines[2:-2] == [
        "",
        "Held back",
        "  SourceHeld: it was moved",
        "      to let it happen: workerctl reconcile --confirm 3f9a",
    ]
    picture = Picture()
    api.ready, api.plan["holds"] = (200, {"holds": 1}), [held]
    threading.Thread(target=picture.look_at_holds, args=(Client(parse_address(api.url, "test")),), daemon=True).start()
    deadline = time.monotonic() + 20
    while not (found := picture.next())[1]:
        assert time.monotonic() < deadline
    assert found == ([], [held], "")


PLAN = {
    "actions": [
        {"worker_id": "web", "instance": "web/1", "action": "replace", "cause": "spec changed",
         "fields": [{"path": "env.MODE", "from": "a", "to": None, "effect": "restart"}]},
        {"worker_id": "new", "instance": "new/0", "action": "create", "cause": "new worker", "fields": []},
    ],
    "holds": [{"worker_id": None, "reason": "PruneGuard", "message": "7 of 9 would be removed", "until": None,
               "confirm": "3f9a1c"}],
    "next_wake": None,
}  # fmt: skip


def test_a_plan_is_printed_as_the_core_prints_it(api: FakeApi) -> None:
    from controller.core.plan import Action, ActionKind, FieldChange, Hold, Plan  # noqa: PLC0415 - only to compare

    change = FieldChange(path="env.MODE", before="a", after=None, effect="restart")
    core = Plan(
        actions=(
            Action(worker_id="web", ordinal=1, host="localhost", kind=ActionKind.REPLACE, cause="spec changed",
                   generation=2, fields=(change,)),
            Action(worker_id="new", ordinal=0, host="localhost", kind=ActionKind.CREATE, cause="new worker",
                   generation=1),
        ),
        holds=(Hold(worker_id=None, reason="PruneGuard", message="7 of 9 would be removed", confirm="3f9a1c"),),
    )  # fmt: skip
    api.plan = PLAN
    result = run(api, "plan")
    assert (result.exit_code, result.stdout) == (Exit.FAILED, f"{core}\n")
    assert result.stderr == "2 actions, 1 hold\n"


def test_a_plan_of_holds_alone_is_no_change(api: FakeApi) -> None:
    api.plan = {**PLAN, "actions": [], "next_wake": ago(-3600)}
    result = run(api, "plan")
    assert result.exit_code == Exit.OK
    assert result.stderr == "0 actions, 1 hold, looks again in 59m\n"
    api.plan = {**PLAN, "actions": [], "next_wake": ago(3600)}
    assert run(api, "plan").stderr == "0 actions, 1 hold, looks again now\n"


def test_nothing_to_do_is_said(api: FakeApi) -> None:
    result = run(api, "plan")
    assert (result.exit_code, result.stdout) == (Exit.OK, "")
    assert result.stderr == "nothing to do: everything is as the specs say\n"


def test_a_plan_as_json_is_the_answer_of_the_api(api: FakeApi) -> None:
    api.plan = PLAN
    result = run(api, "plan", "-o", "json")
    assert (result.exit_code, json.loads(result.stdout)) == (Exit.FAILED, PLAN)


def test_a_plan_is_coloured_on_a_terminal() -> None:
    first = plan_lines(PLAN["actions"], PLAN["holds"], COLOUR)[0]  # type: ignore[arg-type]
    assert first.startswith("\x1b[33mreplace \x1b[0m \x1b[1mweb/1\x1b[0m: spec changed")
    assert plan_lines([], [], PLAIN) == []


def test_a_long_line_of_a_plan_hangs_beneath_its_subject_on_a_terminal() -> None:
    hold = {"worker_id": "web", "reason": "CannotStart", "message": "command not found: /opt/" + "release/" * 12}
    assert plan_lines([], [hold], SCREEN) == [
        "hold     web: CannotStart: command not found:",
        "         /opt/release/release/release/release/release/release/release/release/",
        "         release/release/release/release/",
    ]
    assert len(plan_lines([], [hold], PLAIN)) == 1
