from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from controller import log as operational

AT = 1_700_000_000.25


@pytest.fixture(autouse=True)
def _root_logger_as_before() -> Iterator[None]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = before, level


def record(message: str, *, level: int = logging.INFO, **extra: object) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": message, "levelno": level, "name": "controller.app", "created": AT, **extra})


def text(made: logging.LogRecord) -> str:
    """One line of text, without its time."""
    return operational.TextFormatter(colour=False).format(made).partition(" ")[2]


def test_a_line_for_people_has_level_message_and_fields() -> None:
    made = record("spec accepted", fields={"worker": "web", "file": "web.yaml:3", "none": None})
    assert text(made) == "info  spec accepted  worker=web file=web.yaml:3"


def test_other_extras_are_fields_too() -> None:
    assert text(record("asked", request_id="r-1")) == "info  asked  request_id=r-1"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "plain"), ("two words", '"two words"'), ("", '""'), ('say "hi"', '"say \\"hi\\""'),
        ("a\nb", '"a\\nb"'), ("\x1b[2J", '"\\x1b[2J"'), ("\u202ex", '"\\u202ex"'), ("a=b", '"a=b"'),
        ("c:\\", '"c:\\\\"'), ("问候者", "问候者"), (3, "3"), (True, "true"), (False, "false"),
        (0.123456789, "0.123457"), (["a", "b"], "a,b"), (("a b",), '"a b"'),
        ({"k": 1}, '"{\'k\': 1}"'), ("\udc80", '"\\udc80"'),
    ],
)  # fmt: skip
def test_a_value_can_neither_break_the_line_nor_be_misread(value: object, shown: str) -> None:
    assert text(record("m", fields={"f": value})) == f"info  m  f={shown}"


def test_a_message_stays_on_its_line() -> None:
    assert text(record("a\nb\tc\rd")) == "info  a\\nb\\tc\\rd"


@pytest.mark.parametrize(
    ("level", "word"),
    [(logging.DEBUG, "debug"), (5, "debug"), (logging.WARNING, "warn"), (logging.ERROR, "error"),
     (logging.CRITICAL, "error")],
)  # fmt: skip
def test_levels_have_four_words(level: int, word: str) -> None:
    assert text(record("m", level=level)) == f"{word:<5} m"


def failure() -> logging.LogRecord:
    try:
        int("no")
    except ValueError as error:
        return record("internal error", level=logging.ERROR, exc_info=(ValueError, error, error.__traceback__))
    raise AssertionError


def test_a_traceback_is_one_more_field_on_the_same_line() -> None:
    line = text(failure())
    assert line.count("\n") == 0
    assert line.startswith('error internal error  traceback="Traceback')
    assert "ValueError: invalid literal" in json.loads(operational.JsonFormatter().format(failure()))["traceback"]


def test_a_line_for_programs_is_one_object_and_ours_cannot_be_replaced() -> None:
    made = record("spec accepted", fields={"worker": "web", "level": "x", "odd": {1, 2}})
    line = operational.JsonFormatter().format(made)
    assert "\n" not in line
    assert json.loads(line) == {
        "at": "2023-11-14T22:13:20.250Z",
        "level": "info",
        "message": "spec accepted",
        "logger": "controller.app",
        "worker": "web",
        "field_level": "x",
        "odd": "{1, 2}",
    }


class Screen(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_colour_unless_it_asks_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    screen = Screen()
    operational.configure("text", screen)
    logging.getLogger("controller.app").warning("held", extra={"fields": {"worker": "web"}})
    assert "\x1b[33mwarn \x1b[0m held  \x1b[2mworker=\x1b[0mweb\n" in screen.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    plain = Screen()
    operational.configure("text", plain)
    logging.getLogger("controller.app").warning("held")
    assert "\x1b" not in plain.getvalue()


def test_configuring_again_replaces_the_handler_and_libraries_stay_quiet() -> None:
    first, second = io.StringIO(), io.StringIO()
    operational.configure("text", first)
    handler = operational.configure("json", second)
    logging.getLogger("controller.app").info("hello")
    logging.getLogger("controller.app").debug("not said")
    logging.getLogger("sqlalchemy.engine").info("chatter")
    assert (first.getvalue(), json.loads(second.getvalue())["message"]) == ("", "hello")
    assert handler in logging.getLogger().handlers


def test_standard_error_is_the_usual_place(capsys: pytest.CaptureFixture[str]) -> None:
    operational.configure("text")
    logging.getLogger("controller.app").error("broken")
    assert capsys.readouterr().err.endswith("error broken\n")
