"""The ledger of failpoints: each one in the source is killed at by a test that fails where the kill does not happen.

The names are those that the killing tests are given, so a new failpoint that no test arms fails here, and one that is
armed and never reached fails there. All of these tests run in CI: none of them is a long campaign.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable
from types import ModuleType
from typing import NamedTuple

import pytest

from tests.agent import test_logs_kills
from tests.agent.test_failpoints import literals
from tests.e2e import test_e2e_batches, test_e2e_failpoints, test_e2e_upgrade
from tests.sources import test_git_kills

AT_LEAST = 40


class Killing(NamedTuple):
    """A test, the names that it kills at, and what it asserts that is so only after the kill."""

    module: ModuleType
    test: str
    names: Iterable[str]
    proof: str


LEDGER = (
    Killing(
        test_e2e_failpoints,
        "test_a_kill_there_costs_no_worker_and_makes_no_second",
        test_e2e_failpoints.names(of_writes=False),
        "life.was_killed(name)",
    ),
    Killing(
        test_e2e_failpoints,
        "test_a_kill_in_a_write_loses_nothing_that_was_acknowledged",
        test_e2e_failpoints.names(of_writes=True),
        "life.was_killed(name)",
    ),
    Killing(
        test_e2e_batches,
        "test_a_controller_that_dies_at_every_line_of_a_batch_restarts_each_worker_exactly_once",
        test_e2e_batches.POINTS,
        "[life.was_killed(name) for name in POINTS] == [True] * len(POINTS)",
    ),
    Killing(
        test_e2e_upgrade,
        "test_a_kill_in_the_middle_of_an_upgrade_costs_nothing",
        ["keeper.before_renewal"],
        "site.pid_of('keeper') != keeper",
    ),
    Killing(
        test_logs_kills,
        "test_a_kill_there_costs_no_byte_and_repeats_none",
        test_logs_kills.NAMES,
        "live(tmp_path, f'{name}=kill@{hit}') == -9",
    ),
    Killing(
        test_git_kills,
        "test_after_a_kill_the_repository_is_whole_and_the_next_write_works",
        [point for _, _, point in test_git_kills.POINTS],
        "done.returncode == -9",
    ),
)


def test_every_failpoint_is_killed_at_by_a_test_of_every_run() -> None:
    killed = {name for killing in LEDGER for name in killing.names}
    unkilled = sorted(literals().keys() - killed)
    assert unkilled == [], "no test kills there: arm it in one of LEDGER's tests"
    assert len(killed) >= AT_LEAST


@pytest.mark.parametrize("killing", LEDGER, ids=lambda killing: killing.test)
def test_each_of_these_tests_fails_where_nothing_was_killed(killing: Killing) -> None:
    test = getattr(killing.module, killing.test)
    asserted = [node.test for node in ast.walk(ast.parse(inspect.getsource(test))) if isinstance(node, ast.Assert)]
    assert killing.proof in [ast.unparse(one) for one in asserted]
    own, of_all = getattr(test, "pytestmark", []), getattr(killing.module, "pytestmark", [])
    marks = [*own, *(of_all if isinstance(of_all, list) else [of_all])]
    assert "campaign" not in [getattr(mark, "mark", mark).name for mark in marks]
