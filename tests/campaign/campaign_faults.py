"""The faults, by name. Each is a context: entering does the harm, leaving heals it. What happens in between is traffic.

`FAULTS` are drawn by weight. A fault that cannot be had on this machine (no mount, no chattr) says so by `Absent`.
Names stand in ROWS.md beside the rows of the matrix that they cover.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.campaign.campaign_fleet import Fleet
from tests.campaign.campaign_ground import Ground
from tests.campaign.campaign_points import arming
from tests.campaign.campaign_traffic import Traffic
from tests.e2e.e2e_installation import WORKERCTL, _free_port
from tests.e2e.e2e_processes import pause

OURS = ("controller", "agent", "keeper")


class Absent(Exception):
    """This machine lacks what the fault needs."""


@dataclass
class Scene:
    """All that a fault may use. `lost_database`: what is told when history is gone on purpose."""

    ground: Ground
    fleet: Fleet
    traffic: Traffic
    chance: Random
    lost_database: Callable[[], None]
    lost_journal: Callable[[], None]

    def dwell(self, most_s: float) -> None:
        pause(self.chance.uniform(0.0, most_s))


Fault = Callable[[Scene], AbstractContextManager[None]]
FAULTS: dict[str, tuple[int, Fault]] = {}


def fault(name: str, weight: int) -> Callable[[Callable[[Scene], Iterator[None]]], Fault]:
    """Register one."""

    def register(function: Callable[[Scene], Iterator[None]]) -> Fault:
        made = contextmanager(function)
        FAULTS[name] = (weight, made)
        return made

    return register


def _kills(*roles: str) -> Callable[[Scene], Iterator[None]]:
    def kill(scene: Scene) -> Iterator[None]:
        scene.ground.strike(signal.SIGKILL, *roles)
        yield
        if "controller" in roles:
            scene.ground.tend()

    return kill


for _roles, _weight in (
    (("controller",), 4), (("agent",), 4), (("keeper",), 4), (("agent", "keeper"), 3), (("controller", "agent"), 2),
    (("controller", "keeper"), 2), (OURS, 4),
):  # fmt: skip
    fault("kill " + "+".join(_roles), _weight)(_kills(*_roles))


@fault("kill agent again and again", 2)
def _storm(scene: Scene) -> Iterator[None]:
    for _ in range(scene.chance.randint(3, 6)):
        scene.ground.strike(signal.SIGKILL, scene.chance.choice(["agent", "agent", "keeper"]))
        scene.dwell(0.3)
    yield


@fault("kill workers and all of ours", 3)
def _everybody(scene: Scene) -> Iterator[None]:
    victims = [victim for _ in range(3) if (victim := scene.traffic.victim()) is not None]
    living = scene.ground.living()
    scene.ground.strike(signal.SIGKILL, *OURS)
    for victim in victims:
        with contextlib.suppress(ProcessLookupError, KeyError):
            os.kill(living[victim], signal.SIGKILL)
            scene.fleet.touch(victim, 1, 1)
    yield
    scene.ground.tend()


@fault("kill many workers", 2)
def _many(scene: Scene) -> Iterator[None]:
    for _ in range(5):
        scene.traffic.kill_one()
    yield


def _paused(role: str) -> Callable[[Scene], Iterator[None]]:
    def stop(scene: Scene) -> Iterator[None]:
        pid = scene.ground.pid_if(role)
        seconds = scene.chance.uniform(0.5, 4)
        if pid is not None:
            os.kill(pid, signal.SIGSTOP)
        yield
        pause(seconds)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    return stop


for _role in OURS:
    fault(f"pause {_role}", 2)(_paused(_role))


@fault("terminate agent", 1)
def _terminate_agent(scene: Scene) -> Iterator[None]:
    scene.ground.strike(scene.chance.choice([signal.SIGTERM, signal.SIGINT, signal.SIGHUP]), "agent")
    yield


@fault("terminate keeper", 1)
def _terminate_keeper(scene: Scene) -> Iterator[None]:
    scene.ground.strike(scene.chance.choice([signal.SIGTERM, signal.SIGINT, signal.SIGHUP]), "keeper")
    yield


@fault("hand over", 2)
def _hand_over(scene: Scene) -> Iterator[None]:
    ground = scene.ground
    ground.strike(signal.SIGKILL, "controller")
    ground.begin("--on-exit", "keep")
    ground.until_ready()
    ground.is_tended = False
    ground.tell()
    ground.ended()
    yield
    ground.is_tended = True
    ground.begin()


@fault("two controllers", 2)
def _two(scene: Scene) -> Iterator[None]:
    command = scene.ground.serve_command("--listen", f"127.0.0.1:{_free_port()}")
    assert command[0] == WORKERCTL
    done = subprocess.run(
        command, env=scene.ground.environment(), capture_output=True, timeout=60, check=False, cwd=scene.ground.root
    )
    assert done.returncode == 6, f"I1: a second controller ended with {done.returncode}: {done.stderr[-500:]!r}"
    yield


@fault("stop all", 1)
def _stop_all(scene: Scene) -> Iterator[None]:
    """A graceful end leaves nothing; the next controller starts everything once, as the specs are then."""
    ground = scene.ground
    scene.traffic.settle()
    ground.until_ready()
    ground.is_tended = False
    ground.tell()
    ground.ended()
    left = ground.leftovers()
    assert not left, f"I5: a graceful end left {left}"
    yield
    ground.is_tended = True
    scene.fleet.touch_all(1, 1)
    ground.begin()


@fault("stop all, interrupted", 2)
def _interrupted(scene: Scene) -> Iterator[None]:
    """Who had already ended starts once more; what was removed a moment ago is not among them."""
    ground = scene.ground
    scene.fleet.touch_all(0, 1)
    ground.is_tended = False
    ground.tell()
    scene.dwell(0.8)
    roles = scene.chance.choice([("controller",), ("agent",), ("keeper",), ("agent", "keeper"), OURS])
    ground.strike(signal.SIGKILL, *roles)
    yield
    ground.strike(signal.SIGKILL, "controller")
    ground.is_tended = True
    ground.begin()


@fault("failpoint", 12)
def _failpoint(scene: Scene) -> Iterator[None]:
    """A process of ours is started with one failpoint armed, and started anew without it when it heals."""
    ground = scene.ground
    armed = arming(scene.chance)
    scene.traffic.told.append(f"armed {armed.rule}")
    hits = ground.root / f"hits.{ground._serve_count}"
    scene.traffic.settle()
    ground.strike(signal.SIGKILL, "controller", *armed.roles)
    ground.begin(errors=armed.is_error, WORKERCTL_FAIL=armed.rule, WORKERCTL_FAIL_LOG=str(hits))
    with contextlib.suppress(AssertionError):
        ground.until(lambda: ground.ask("/readyz").status == 200, 15, told="ready")
    yield
    with contextlib.suppress(AssertionError):
        ground.until(lambda: Path(f"{hits}.{armed.name}").exists() or not armed.is_once, 1.5, told="it was hit")
    ground.renew(*armed.roles)


# --- limits of the host ---


@fault("no descriptors left", 1)
def _descriptors(scene: Scene) -> Iterator[None]:
    pid = scene.ground.pid_if(scene.chance.choice(["agent", "keeper"]))
    if pid is None:
        yield
        return
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")) + 1, hard))
    yield
    scene.dwell(2)
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


# --- logs ---


@fault("flood", 2)
def _flood(scene: Scene) -> Iterator[None]:
    """Bursts from many workers while the agent, or all of ours, are killed."""
    done = threading.Event()

    def shout() -> None:
        while not done.is_set():
            for pid in list(scene.ground.living().values())[::3]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGUSR1)
            done.wait(0.4)

    thread = threading.Thread(target=shout)
    thread.start()
    try:
        scene.dwell(0.5)
        scene.ground.strike(signal.SIGKILL, *scene.chance.choice([("agent",), ("controller",), ("keeper",), OURS]))
        yield
        scene.dwell(0.5)
    finally:
        done.set()
        thread.join()
