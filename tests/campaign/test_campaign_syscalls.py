"""Crash, or fail, at every system call that changes a file: while one worker is started, one spec is written through
the API, and one log loses its head. From readiness on, N = 1, 2, 3 ... until a run ends without a hit.

A call is found by (script, role, name, N). CI takes a sample of kills drawn from the seed; `--all-syscalls` takes all,
and errors too: at `write` also where it goes to a socket, which no full disk fails, but a kernel without memory does.
After each: what was acknowledged is there, nobody else was touched, no slot was doubled, and all is as the specs ask.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
import yaml

from tests.campaign.campaign_fleet import Fleet, Wanted
from tests.campaign.campaign_ground import Ground
from tests.campaign.campaign_strace import Injection, counted, injected
from tests.campaign.campaign_traffic import Traffic
from tests.campaign.campaign_witness import Violation, Witness
from tests.e2e.e2e_processes import PATIENCE_S

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(7200)]

SAMPLE = 3
KILL = "signal=KILL"
WHAT = (KILL, "error=ENOSPC", "error=EIO")
CAP = 65_536
PUNCHED = "child-001"


@dataclass
class Stage:
    """An installation with a few workers, and the model of what they should be."""

    ground: Ground
    fleet: Fleet
    traffic: Traffic
    witness: Witness
    count: int = 0

    def settle(self, told: str) -> None:
        """All is as it should be, and nobody was touched who was not to be."""
        waits: list[str] = []

        def holds() -> bool:
            waits[:] = self.witness.look()
            return not waits

        try:
            self.ground.until(holds, 2 * PATIENCE_S, told=told)
        except AssertionError as error:
            raise AssertionError(f"{told}: {error}\n" + "\n".join(waits[:20])) from None
        self.witness.settle()
        self.fleet.begin_episode()


@pytest.fixture
def stage() -> Iterator[Stage]:
    if shutil.which("strace") is None:
        assert "CI" not in os.environ, "strace is missing"
        pytest.skip("strace is not installed")
    ground = Ground()
    (ground.root / "beside/secret").write_text("none")
    fleet = Fleet(ground.slots, ground.root / "beside/secret")
    opened = Stage(ground, fleet, Traffic(ground, fleet, Random(0)), Witness(ground, fleet))
    for wanted in [fleet.add() for _ in range(3)]:
        if wanted.worker_id == PUNCHED:
            wanted.options = (*wanted.options, "--burst=2000")
            wanted.fields = {"logs": {"max_bytes": CAP, "store_rate": 500, "retain_lines": 50_000}}
        opened.traffic.write(wanted)
    wrong: list[str] = []
    try:
        ground.begin(errors=True)
        opened.settle("the start")
        yield opened
        ground.until_ready()
        ground.stop()
    finally:
        wrong = ground.close()
        story = ground.story()
        ground.remove()
    if wrong:
        pytest.fail("\n".join([*wrong, story]), pytrace=False)


# --- the scripts: what is done, and when it is over ---


def start_one(stage: Stage) -> None:
    """A new spec file; over when its worker runs, or a fault has struck."""
    wanted = stage.fleet.add()
    stage.fleet.busy.add(wanted.worker_id)
    stage.traffic.write(wanted)
    with contextlib.suppress(AssertionError):
        stage.ground.until(lambda: stage.ground.living().get(f"{wanted.worker_id}/0"), 3, told="it lives")


def write_one(stage: Stage) -> None:
    """`workerctl stop` and `start` of one worker, which edit its file. Exit code 0 is an acknowledgement."""
    wanted = stage.fleet.workers["plain-000"]
    path = stage.ground.specs / "plain-000.yaml"
    verb = "start" if wanted.is_stopped else "stop"
    done = stage.ground.run(verb, "plain-000")
    found = yaml.safe_load(path.read_text())["desired_state"]
    wished = "running" if verb == "start" else "stopped"
    before = "stopped" if verb == "start" else "running"
    if done.code == 0 and found != wished:
        raise Violation("I7", "the file", f"{verb} was acknowledged, and the file says {found}")
    if found not in (wished, before):
        raise Violation("I7", "the file", f"desired_state is {found}")
    if found == wished:
        wanted.is_stopped = verb == "stop"
        if verb == "start":
            stage.fleet.touch("plain-000/0", 1, 1)
    leave_no_temporary(stage)


def leave_no_temporary(stage: Stage) -> None:
    """What a killed writer left beside the file is no spec; the next write of that file clears it away."""
    for path in stage.ground.specs.iterdir():
        if path.suffix != ".yaml":
            assert path.name.startswith("."), f"I7: {path.name} was left, and is not hidden"
            path.unlink()


def punch_one(stage: Stage) -> None:
    """Bursts beyond the cap of a log: the agent takes its head away."""
    instance = f"{PUNCHED}/0"
    for _ in range(2):
        pid = stage.ground.living().get(instance)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGUSR1)
        with contextlib.suppress(AssertionError):
            stage.ground.until(lambda: None, 0.15, told="the burst is noticed")


SCRIPTS: dict[str, tuple[Callable[[Stage], None], tuple[str, ...]]] = {
    "start one worker": (start_one, ("controller", "agent", "keeper")),
    "write one spec": (write_one, ("controller",)),
    "punch one log": (punch_one, ("agent", "controller")),
}


def play(stage: Stage, script: str, fault: Injection) -> bool:
    """One run of a script with a fault at one call; whether the call was reached."""
    pid = stage.ground.pid_if(fault.role)
    assert pid is not None
    with injected(fault, pid, stage.ground.root / "strace.log"):
        SCRIPTS[script][0](stage)
    stage.ground.tend()
    stage.settle(f"{script}: {fault}")
    if script == "start one worker":
        tidy(stage)
    return fault.was_hit


def tidy(stage: Stage) -> None:
    """The worker that was started goes again."""
    newest: Wanted = stage.fleet.workers.pop(list(stage.fleet.workers)[-1])
    (stage.ground.specs / f"{newest.worker_id}.yaml").unlink()
    stage.settle("it is gone")


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_crash_at_a_system_call_loses_nothing(stage: Stage, script: str, request: pytest.FixtureRequest) -> None:
    seed = request.config.getoption("--seed")
    chance = Random(f"syscalls {seed} {script}")
    calls = reachable(stage, script)
    assert calls, "nothing was traced"
    everything = request.config.getoption("--all-syscalls")
    chosen = [Injection(*call, what) for what in WHAT for call in calls]
    if not everything:
        kills = [fault for fault in chosen if fault.what == KILL]
        chosen = chance.sample(kills, min(len(kills), 3 * SAMPLE))
    played = reached = 0
    for fault in chosen:
        if reached == SAMPLE and not everything:
            break
        played += 1
        try:
            reached += play(stage, script, fault)
        except AssertionError as error:
            replay = f"pytest -m campaign tests/campaign/{Path(__file__).name} --seed {seed} -n 0"
            raise AssertionError(f"{script}: {fault}: {error}\nreplay: {replay}\n{stage.ground.story()}") from None
    assert reached, "no fault was reached"
    print(f"{script}: {len(calls)} calls, {reached} of {played} faults were reached, seed {seed}")


def reachable(stage: Stage, script: str) -> list[tuple[str, str, int]]:
    """(role, name, N) of all calls of the script, counted in a run without a fault, after one that makes threads."""
    perform, roles = SCRIPTS[script]
    found: list[tuple[str, str, int]] = []
    for role in (None, *roles):
        pid = None if role is None else stage.ground.pid_if(role)
        if role is None or pid is None:
            perform(stage)
        else:
            with counted(role, pid, stage.ground.root / "strace.log") as calls:
                perform(stage)
            found += [(role, name, n) for name, most in sorted(calls.items()) for n in range(1, most + 1)]
        stage.settle(f"{script}, without a fault")
        if script == "start one worker":
            tidy(stage)
    return found
