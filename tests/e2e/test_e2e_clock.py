"""The wall clock is set, by more than a year and both ways, with a real kernel: nobody is restarted, nothing is tried
before its time, and what people ask for is done as ever.

The boot is that of vm_clock.py. Skipped without the kernel, a failure in CI.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import e2e_vm

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(700), pytest.mark.xdist_group("vm")]

PROGRAM = str(Path(__file__).with_name("vm_clock.py"))
PATIENCE_S = 400.0
WAIT_S = 600.0
Facts = dict[str, Any]


@pytest.fixture(scope="module")
def seen() -> Facts:
    if lacking := e2e_vm.missing():
        (pytest.fail if "CI" in os.environ else pytest.skip)(lacking)
    found = e2e_vm.run(PROGRAM, PATIENCE_S)
    if "error" in found:
        pytest.fail(found["error"], pytrace=False)
    return found


def test_a_jump_of_the_clock_touches_nobody_and_nothing_is_tried_before_its_time(seen: Facts) -> None:
    for jump in seen["jumps"]:
        assert (jump["calm"], jump["waiting"]) == (True, 0)
        assert WAIT_S - 300 < jump["retry_in_s"] <= WAIT_S


def test_after_a_jump_edits_removals_and_wishes_are_done_once_and_lines_keep_their_order(seen: Facts) -> None:
    for number, jump in enumerate(seen["jumps"], 1):
        assert (jump["restarts"], jump["gone"]) == (number + 1, True)
        assert sorted(jump["told"]) == ["became_running", "exited", "removed", "started", "stop_requested"]
    assert seen["wrong"] == []


def test_an_hour_lasts_an_hour_whatever_the_clock_says(seen: Facts) -> None:
    assert [jump["kept"] for jump in seen["jumps"]] == 2 * ["stopped"]
