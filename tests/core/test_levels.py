"""The level that a line is stored with: what the loggers of the world print, and what only looks like it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.levels import LEVELS, level_of


@pytest.mark.parametrize(
    ("text", "level"),
    [
        # Python
        ("WARNING:root:disk is nearly full", "warning"),
        ("2026-11-24 12:00:00,123 - app.db - ERROR - no connection", "error"),
        ("2026-11-24 12:00:00,123 INFO sqlalchemy.engine BEGIN", "info"),
        ("[2026-11-24 12:00:00 +0000] [7] [CRITICAL] WORKER TIMEOUT (pid:12)", "critical"),
        ("INFO:     127.0.0.1:4711 - GET /error HTTP/1.1 200", "info"),
        ("Traceback (most recent call last):", "error"),
        ("KeyError: 'name'", "error"),
        ("sqlalchemy.exc.OperationalError: no such table", "error"),
        ("2026-11-24 12:00:00.123 | DEBUG    | __main__:main:1 - hello", "debug"),
        ("[W 241124 12:00:00 web:2348] 404 GET /x", "warning"),
        ("2026-11-24 12:00:00 [warning  ] slow query", "warning"),
        # Go
        ('time="2026-11-24T12:00:00Z" level=warning msg="slow"', "warning"),
        ("ts=2026-11-24T12:00:00Z caller=main.go:12 level=error err=eof", "error"),
        ("E1124 12:00:00.123456       1 reflector.go:126] watch failed", "error"),
        ("I1124 12:00:00.123456       1 main.go:1] up", "info"),
        ("panic: runtime error: index out of range", "critical"),
        ("fatal error: all goroutines are asleep - deadlock!", "critical"),
        ("2026/11/24 12:00:00 INFO hello count=3", "info"),
        ("12:00PM WRN slow", "warning"),
        # JSON
        ('{"level":"error","msg":"no"}', "error"),
        ('{"time":1,"msg":"a \\"level\\" b","severity": "WARNING"}', "warning"),
        ('{"level":30,"time":1532081790730,"msg":"hello"}', "info"),
        ('{"level":50,"msg":"no"}', "error"),
        ('{"@t":"2026-11-24T12:00:00Z","@m":"x","@l":"Fatal"}', "critical"),
        ('{"levelname": "DEBUG", "message": "ERROR"}', "debug"),
        # others
        ("npm ERR! code ELIFECYCLE", "error"),
        ("npm WARN deprecated left-pad", "warning"),
        ("error: Cannot find module 'x'", "error"),
        ("TypeError: undefined is not a function", "error"),
        ("Uncaught Error: boom", "error"),
        ("error[E0308]: mismatched types", "error"),
        ("thread 'main' panicked at src/main.rs:2:5:", "critical"),
        ("fail: Microsoft.AspNetCore[1]", None),
        ("[12:00:00 INF] Now listening on: http://localhost:5000", "info"),
        ("2026-11-24T12:00:00.000Z  WARN 1 --- [main] o.s.b.SpringApplication : slow", "warning"),
        ("Nov 24, 2026 12:00:00 PM SEVERE: no", "error"),
        ("2026/11/24 12:00:00 [error] 31#31: *1 open() failed", "error"),
        ("2026-11-24 12:00:00.123 UTC [77] FATAL:  the database system is starting up", "critical"),
        ("2026-11-24 12:00:00.123 UTC [77] LOG:  checkpoint starting", None),
        ("12:00:01 info  serving  url=http://127.0.0.1", "info"),
        ("<3>disk failed", "error"),
        ("<7>detail", "debug"),
        ("\x1b[31mERROR\x1b[0m red", "error"),
        ("\x1b[32minfo\x1b[39m: started", "info"),
        # not levels
        ("", None),
        ("job 17 done", None),
        ("no error was found, all info is in the manual", None),
        ("errors=0 warnings=0", None),
        ("GET /ERROR/debug 200", None),
        ("set LOG_LEVEL=DEBUG to see more", None),
        ("export DEBUG=1", None),
        ("x-INFO-y", None),
        ('{"msg":"ERROR in text only"}', "error"),
        ("{not json} at all", None),
        ("x" * 200 + " ERROR too far", None),
    ],
)  # fmt: skip
def test_a_line_has_the_level_that_it_says(text: str, level: str | None) -> None:
    assert level_of(text) == level


@given(st.text())
def test_any_text_has_one_of_the_levels_or_none(text: str) -> None:
    assert level_of(text) in (None, *LEVELS)


def test_a_long_line_costs_no_more_than_its_front() -> None:
    assert level_of("{" + '"' * 1_000_000) is None
    assert level_of("[" * 1_000_000) is None
