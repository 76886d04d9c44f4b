"""The power goes, twice, with a real kernel and file system: what was acknowledged is durable, nobody is believed
to live who died with the machine, and everything is started again, once.

The boots are those of vm_power.py; a machine that loses its power loses all that its kernel had not written. Skipped
without the kernel, a failure in CI.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import e2e_vm

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(700), pytest.mark.xdist_group("vm")]

PROGRAM = str(Path(__file__).with_name("vm_power.py"))
PATIENCE_S = 300.0
Facts = dict[str, Any]


@pytest.fixture(scope="module")
def boots() -> Iterator[list[Facts]]:
    if lacking := e2e_vm.missing():
        (pytest.fail if "CI" in os.environ else pytest.skip)(lacking)
    with contextlib.closing(e2e_vm.Machine(disk_mb=128)) as machine:
        first = booted(machine, "first")
        second = booted(machine, "second", *map(str, first["pids"]))
        yield [first, second, booted(machine, "third")]


def booted(machine: e2e_vm.Machine, *arguments: str) -> Facts:
    found = machine.boot(PROGRAM, PATIENCE_S, *arguments)
    if "error" in found:
        pytest.fail(f"{arguments[0]} boot: {found['error']}\n{machine.said()}", pytrace=False)
    return found


STATUS = dict.fromkeys(("api", "db", "deaf", "late", "web"), "running") | {"night": "stopped"}
RUN = ("api/0", "db/0", "deaf/0", "late/0", "web/0", "web/1")


def test_what_was_acknowledged_when_the_power_went_is_there(boots: list[Facts]) -> None:
    first, second, third = boots
    assert first["answers"] == [201, 200, 202, 202]
    for found in (second, third):
        assert (found["status"], found["labels"], found["late"]) == (STATUS, {"a": "b"}, True)
        assert found["specs"] == sorted(f"{name}.yaml" for name in STATUS)


def test_after_a_reboot_everything_that_is_wanted_is_started_once(boots: list[Facts]) -> None:
    for found in boots[1:]:
        started = {instance: count for instance, count in found["starts"].items() if count}
        assert started == dict.fromkeys(RUN, 1)


def test_strangers_with_the_pids_of_before_are_left_alone(boots: list[Facts]) -> None:
    assert boots[1]["harmed"] == []


def test_a_reboot_is_told_once_and_is_the_reason_of_every_end(boots: list[Facts]) -> None:
    _, second, third = boots
    # Those that nobody had touched when the power went.
    assert [second["ends"][name]["cause"] for name in ("db", "deaf", "web")] == 3 * ["host_rebooted"]
    assert third["ends"]["deaf"]["cause"] == "host_rebooted"
    assert (second["reboots"], third["reboots"]) == (1, 2)


def test_an_end_that_the_power_cut_short_is_no_reason_to_stay_down(boots: list[Facts]) -> None:
    _, second, third = boots
    assert "deaf/0" in second["left"]
    assert third["wrong"] == []
