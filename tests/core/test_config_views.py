"""Specs as the API shows them: what the summary tells of files that no item of the list stands for."""

from __future__ import annotations

from dataclasses import replace

from controller.core.config_views import MOST_FILE_PROBLEMS, config_summary
from controller.core.problems import Problem
from tests.core.core_builders import desired, problem, worker


def test_the_summary_tells_the_problems_of_files_that_are_of_nobody() -> None:
    torn = Problem(file="torn.yaml", line=3, column=1, message="expected a value", hint="check the brackets")
    known, broken = problem("web"), problem("db")
    half = Problem(file="web.yaml", line=9, message="a file of which its workers are known")
    web = replace(worker("web"), problems=(known, replace(half, worker_id="web")))

    summary = config_summary(desired(web, broken={"db": (broken,)}, problems=(broken, torn, known, half)))

    assert summary["file_problems"] == [
        {
            "pointer": "", "file": "torn.yaml", "line": 3, "column": 1, "message": "expected a value",
            "hint": "check the brackets",
        }
    ]  # fmt: skip


def test_the_summary_stays_small_whatever_the_files_are() -> None:
    many = tuple(Problem(file="torn.yaml", line=line, message="no") for line in range(1, 200))

    assert len(config_summary(desired(problems=many))["file_problems"]) == MOST_FILE_PROBLEMS
