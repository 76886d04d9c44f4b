"""Problems for code hosts: workflow commands that cannot be broken out of, and SARIF that viewers accept."""

from __future__ import annotations

import re
from pathlib import Path

import controller
from controller.core.annotations import RULES, place_in, sarif, workflow_commands
from controller.core.problems import Problem


def problem(message: str = "wrong", **more: object) -> Problem:
    return Problem(**{"file": "web.yaml", "message": message, "line": 3, "column": 7, **more})  # type: ignore[arg-type]


def commands(*problems: Problem, folder: str = "specs") -> list[str]:
    return list(workflow_commands(problems, folder))


def test_a_problem_is_one_command_with_its_place_in_the_repository() -> None:
    assert commands(problem(hint="write `x`")) == ["::error file=specs/web.yaml,line=3,col=7::wrong%0Awrite `x`"]


def test_what_has_no_place_is_shown_at_the_first_line() -> None:
    assert commands(problem(line=None, column=None)) == ["::error file=specs/web.yaml,line=1::wrong"]
    assert commands(problem(column=None)) == ["::error file=specs/web.yaml,line=3::wrong"]


def test_nothing_in_a_problem_can_start_another_command_or_property() -> None:
    hostile = problem("100%\r\n::error::x", file="a,line=9:b\n.yaml")
    assert commands(hostile) == ["::error file=specs/a%2Cline=9%3Ab%0A.yaml,line=3,col=7::100%25%0D%0A::error::x"]


def test_places_are_joined_and_a_problem_of_the_directory_keeps_its_name() -> None:
    assert place_in("specs", "a/web.yaml") == "specs/a/web.yaml"
    assert place_in(".", "web.yaml") == "web.yaml"
    assert place_in("/srv/specs", "web.yaml") == "/srv/specs/web.yaml"
    assert place_in("specs", "specs") == "specs"
    assert place_in("specs", "/srv/specs") == "/srv/specs"


def test_a_sarif_log_names_rules_regions_and_plain_messages() -> None:
    found = [
        problem("expected `a`, got [x](y)", code="invalid", hint="write `port: 1`", worker_id="web", pointer="/port"),
        problem("cannot be read", file="ü b.yaml", line=None, column=None, code="unreadable"),
    ]
    log = sarif(found, "specs", version="1.2.3")
    run = log["runs"][0]
    assert (log["version"], run["columnKind"]) == ("2.1.0", "unicodeCodePoints")
    assert run["tool"]["driver"] == {
        "name": "workerctl",
        "version": "1.2.3",
        "rules": [
            {"id": "invalid", "shortDescription": {"text": RULES["invalid"]}},
            {"id": "unreadable", "shortDescription": {"text": RULES["unreadable"]}},
        ],
    }
    assert run["results"] == [
        {
            "ruleId": "invalid",
            "ruleIndex": 0,
            "level": "error",
            "message": {"text": "expected 'a', got [x] (y). Write 'port: 1'."},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": "specs/web.yaml", "uriBaseId": "%SRCROOT%"},
                        "region": {"startLine": 3, "startColumn": 7},
                    },
                    "logicalLocations": [{"fullyQualifiedName": "web/port"}],
                }
            ],
        },
        {
            "ruleId": "unreadable",
            "ruleIndex": 1,
            "level": "error",
            "message": {"text": "cannot be read."},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": "specs/%C3%BC%20b.yaml", "uriBaseId": "%SRCROOT%"},
                        "region": {"startLine": 1},
                    }
                }
            ],
        },
    ]


def test_a_question_stays_one_and_absolute_paths_are_file_uris() -> None:
    [result] = sarif([problem(hint="did you mean `x`?")], "/srv/s", version="1")["runs"][0]["results"]
    assert result["message"] == {"text": "wrong. Did you mean 'x'?"}
    location = result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert location == {"uri": "file:///srv/s/web.yaml"}


def test_nothing_wrong_is_a_log_without_results() -> None:
    run = sarif([], "specs", version="1")["runs"][0]
    assert (run["results"], run["tool"]["driver"]["rules"]) == ([], [])


def test_every_code_that_a_problem_may_have_is_a_rule() -> None:
    package = Path(controller.__file__).parent
    text = "".join(path.read_text() for room in ("core", "sources") for path in sorted((package / room).glob("*.py")))
    used = set(re.findall(r'\bcode(?:: str)? ?= ?"([a-z_]+)"', text))
    assert used == set(RULES)
