"""Limits and out-of-memory kills with real control groups, in a kernel of our own: one boot for all of it.

The scenarios run inside (vm_cgroups.py); here their answers are judged. Without the kernel all of this is skipped, and
fails in CI.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import e2e_vm

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(700), pytest.mark.xdist_group("vm")]

SCENARIOS = str(Path(__file__).with_name("vm_cgroups.py"))
PATIENCE_S = 600.0
MIB = 1 << 20
EAGAIN = 11

Facts = dict[str, Any]


@pytest.fixture(scope="module")
def answers() -> Facts:
    if lacking := e2e_vm.missing():
        (pytest.fail if "CI" in os.environ else pytest.skip)(lacking)
    return e2e_vm.run(SCENARIOS, PATIENCE_S)


def seen(answers: Facts, scenario: str) -> Facts:
    """What a scenario found. Fails with the story of its installation where one did not come to its end."""
    if scenario not in answers:
        pytest.fail(answers[f"{scenario.partition('_')[0]}_error"], pytrace=False)
    return dict(answers[scenario])


def is_told_of(exit_seen: Facts, cause: str, words: str) -> bool:
    """Whether status and the one event of that run say so."""
    ((event_cause, message),) = exit_seen["event"]
    causes = exit_seen["cause"], event_cause, exit_seen["signal"]
    return causes == (cause, cause, "SIGKILL") and str(message).startswith(words)


@pytest.mark.parametrize("owner", ["root", "user"])
def test_who_takes_more_memory_than_its_limit_is_killed_and_only_then_out_of_memory_is_told(
    answers: Facts, owner: str
) -> None:
    found = seen(answers, f"{owner}_memory")
    assert (found["limit"], found["kills"]) == ([str(64 * MIB), "0"], 1)
    assert is_told_of(found["own"], "oom_killed", "ran out of memory: killed by SIGKILL")
    assert is_told_of(found["strangers"], "signaled", "killed by SIGKILL")


def test_a_child_that_is_killed_for_memory_is_told_of_and_is_no_reason_for_a_later_end(answers: Facts) -> None:
    found = seen(answers, "root_child")
    assert found["message"] == ["the kernel killed one of its processes for memory; the worker itself goes on"]
    assert (found["said"], found["survived"]) == ({"child": -9}, True)
    assert is_told_of(found["later"], "signaled", "killed by SIGKILL")


def test_another_limit_in_the_spec_holds_for_the_next_process_and_touches_no_other(answers: Facts) -> None:
    assert seen(answers, "root_changed") == {"limit": str(96 * MIB), "beside_stays": True}


def test_a_worker_at_its_limit_of_processes_forks_no_more_and_others_do(answers: Facts) -> None:
    found = seen(answers, "root_processes")
    assert found["forker"] == {"forked": 7, "errno": EAGAIN}
    assert (found["limit"], found["count"], found["calm"]) == ("8", 8, {"forked": 50, "errno": 0})


def test_a_worker_that_never_rests_is_throttled(answers: Facts) -> None:
    assert seen(answers, "root_processor") == {"limit": "10000 100000", "calm": "max 100000"}


def test_groups_and_proofs_outlive_the_agent(answers: Facts) -> None:
    found = seen(answers, "root_adopted")
    assert (found["same"], found["stays"], found["limits"]) == (True, True, [str(96 * MIB), "8"])
    assert is_told_of(found["own"], "oom_killed", "ran out of memory")
    assert is_told_of(found["unseen"], "oom_killed", "ran out of memory")


def test_a_daemon_without_session_parent_and_environment_goes_with_its_worker(answers: Facts) -> None:
    assert seen(answers, "root_escaped") == {"in_group": True, "elsewhere": True}


def test_a_keeper_that_cannot_fork_says_so_and_starts_when_it_can(answers: Facts) -> None:
    assert seen(answers, "root_no_more_processes") == {
        "message": "Cannot fork: Resource temporarily unavailable", "stay": [True, True, True],
    }  # fmt: skip


def test_doctor_says_which_limits_hold(answers: Facts) -> None:
    assert seen(answers, "root_doctor") == {"limits": ["nofile, nice, memory_bytes, cpu, pids can be enforced"]}


def test_without_a_group_of_ours_strict_limits_hold_the_start_and_others_are_left_out(answers: Facts) -> None:
    found = seen(answers, "bare_not_given")
    assert (found["pids"], found["status"], found["group"]) == ([None], "stopped", "/bare")
    assert "strict/0 not started: localhost cannot enforce limits.memory_bytes" in found["told"]["strict"]
    assert "without limits.memory_bytes, which localhost cannot enforce" in found["told"]["lax"]


@pytest.mark.parametrize("site", ["root", "user", "bare"])
def test_a_graceful_end_leaves_no_process_and_no_group_of_a_worker(answers: Facts, site: str) -> None:
    assert seen(answers, f"{site}_ended") == {"groups": [], "wrong": []}


def test_a_stranger_in_a_group_that_was_given_away_lives_on_in_its_leaf(answers: Facts) -> None:
    assert answers["stranger"] == {"lives": True, "group": "self"}


def test_under_systemd_only_a_group_that_is_marked_as_given_away_is_divided(answers: Facts) -> None:
    marked = "/sys/fs/cgroup/marked"
    assert seen(answers, "marks") == {
        "group unmarked": "", "group marked": marked, "subgroup unmarked": "", "subgroup marked": marked,
    }  # fmt: skip
