"""A keeper becomes another build by exec, and stays the parent of all its workers."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from controller.agent import build
from controller.agent.build import FORM
from tests.agent.agent_builders import slot
from tests.agent.agent_inside import Inside, until
from tests.agent.keeper_harness import PYTHON, Bench, Peer


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


@pytest_asyncio.fixture
async def inside() -> AsyncIterator[Inside]:
    made = Inside()
    yield made
    await made.close()


def renew(bench: Bench, agent: Peer, *argv: str) -> Peer:
    """The next agent, after this one has asked for it and left."""
    harness = str(Path(__file__).with_name("keeper_harness.py"))
    agent.send("renew", argv=list(argv) or [PYTHON, harness, "keeper", bench.state, f"{bench.root}/relay"])
    agent.hang_up()
    return bench.agent()


def test_a_renewed_keeper_has_its_pid_and_owns_its_workers(bench: Bench) -> None:
    keeper = bench.start()
    first = bench.agent()
    lives, dead = first.spawn("lives"), first.spawn("dead", "sh", "-c", "exit 7")
    first.expect("group_empty", run="dead")
    second = renew(bench, first)
    listed = {run["run"]: run for run in second.expect("runs")["runs"]}
    assert keeper.poll() is None
    assert {name: (run["pid"], run["adopted"]) for name, run in listed.items()} == {
        "lives": (lives["pid"], False), "dead": (dead["pid"], False),
    }  # fmt: skip
    assert (listed["lives"]["exited"], listed["dead"]["exited"]["code"]) == (None, 7)
    second.expect("group_empty", run="dead")
    second.send("reap", run="dead")
    os.kill(lives["pid"], signal.SIGTERM)
    exited = second.expect("exited", run="lives")
    assert (exited["signal"], exited["known"]) == (signal.SIGTERM, True)
    second.expect("group_empty", run="lives")
    second.send("reap", run="lives")
    assert second.runs() == {}


def test_what_was_asked_for_before_a_renewal_is_done_before_it(bench: Bench) -> None:
    bench.start()
    first = bench.agent()
    for number in range(20):
        first.ask(f"run{number}")
    second = renew(bench, first)
    runs = second.expect("runs")["runs"]
    found = {(run["run"], run["adopted"], run["exited"]) for run in runs}
    assert found == {(f"run{n}", False, None) for n in range(20)}


def test_a_program_that_cannot_be_executed_leaves_the_keeper_as_it_is(bench: Bench) -> None:
    keeper = bench.start()
    first = bench.agent()
    spawned = first.spawn("lives")
    second = renew(bench, first, "/nowhere/python")
    (run,) = second.expect("runs")["runs"]
    assert (keeper.poll(), run["pid"], run["adopted"]) == (None, spawned["pid"], False)
    assert "Cannot become /nowhere/python: " in Path(bench.keeper_log).read_text()


def show_limits(agent: Peer, run: str) -> None:
    agent.ask(run, "sh", "-c", "ulimit -Sn; ulimit -Hn")
    agent.expect("exited", run=run)


def test_limits_of_descriptors_are_those_of_the_first_keeper(bench: Bench) -> None:
    bench.start()
    first = bench.agent()
    show_limits(first, "one")
    show_limits(renew(bench, first), "two")
    assert bench.output("one") == bench.output("two") != ""


async def test_an_agent_says_what_it_is_without_a_greeting_and_leaves_to_another_build(inside: Inside) -> None:
    watcher = await inside.begin()
    await watcher.apply(slot())
    about = await watcher.call("about")
    assert (about["version"], about["form"], about["build"], about["folder"]) == (
        1, FORM, build.fingerprint(), build.FOLDER,
    )  # fmt: skip
    for refused, realm, program in (("wrong_realm", "other", ["/x"]), ("invalid", "r1", ["x"]), ("invalid", "r1", [])):
        assert (await watcher.call("renew", realm=realm, program=program))["error"] == refused
    assert (await watcher.call("renew", realm="r1", program=["/new/python", "-m", "x"]))["ok"]
    await until(lambda: inside.keeper.orders[-1]["op"] == "renew")
    assert inside.keeper.orders[-1]["argv"] == ["/new/python", "-m", "x", "keeper", inside.paths.state]
    agent = inside.agent
    assert agent is not None
    await until(agent.ended.is_set)


def test_files_of_a_later_form_are_left_alone(tmp_path: Path) -> None:
    assert build.complaint(str(tmp_path)) == ""
    (tmp_path / "form").write_text(str(FORM))
    assert build.complaint(str(tmp_path)) == ""
    (tmp_path / "form").write_text(str(FORM + 1))
    assert build.complaint(str(tmp_path)) == (
        f"{tmp_path} was written by a newer workerctl (form {FORM + 1}; this one reads up to {FORM}): "
        "use that version or a later one"
    )
