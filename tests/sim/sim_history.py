"""One seeded history: edits, wishes and faults for a while, then quiet; then the world must be as the specs ask.

`run(seed)` raises `Broken` with the whole story. A failing seed replays: `python -m tests.sim.sim_history SEED`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from controller.agent.states import Phase, ProbeFailed
from controller.core.desired import Removal
from controller.core.intents import RunIntent
from controller.core.problems import Source
from controller.core.spec import WorkerSpec
from tests.sim.sim_world import BROKEN, DEAF, LOOPING, WORKERS, Broken, World, telling

STEPS = 30
KEEP_SHARE = 0.1
SETTLE_S = 400.0
"""Longer than any back-off, grace and budget of the specs below together."""


def run(seed: int, *, with_keeps: bool = True) -> None:
    """Play one history. Raises Broken, with the story in its message.

    Keeps have dice of their own: without them a seed plays the history that it played before there were any.
    """
    world = World(seed)
    try:
        for _ in range(STEPS):
            _EVENTS[world.dice.choices(range(len(_EVENTS)), weights=_WEIGHTS)[0]](world)
            if with_keeps and world.keep_dice.random() < KEEP_SHARE:
                keep(world)
            world.watch_single()
        settle(world)
    except Broken as broken:
        raise Broken(f"seed {seed}: {broken}\n" + "\n".join(world.story[-60:])) from None


def settle(world: World) -> None:
    """No more faults: every message arrives in order, every process that was told to ends. Then all must be well.

    Twice where somebody keeps a worker for longer: as it is kept, and when that is over.
    """
    world.faults = False
    world.reachable = True
    calm(world)
    check_converged(world)
    if world.keeps:
        world.pass_time(max(world.keep_ends.values()) - world.mono + 3.0)
        calm(world)
        if world.keeps:
            raise Broken(f"kept for ever: {world.keeps}")
        check_converged(world)
    check_quiet(world)


def calm(world: World) -> None:
    """Turns without faults, until nothing has a reason to move any more."""
    deadline = world.mono + SETTLE_S
    while world.mono < deadline:
        world.look()
        world.turn()
        while world.network:
            world.deliver(0)
        world.pass_time(5.0)
    world.look()


def check_converged(world: World) -> None:
    """What the specs ask for is there, and nothing else."""
    # What an agent has refused is tried again every 30 s; that may be due just now, and is refused again.
    world.turn()
    while world.network:
        world.deliver(0)
    world.look()
    plan = world.plan()
    if plan.actions:
        raise Broken(f"still something to do: {plan}")
    wanted = {
        f"{spec.worker_id}/{ordinal}": spec
        for spec in world.specs.values()
        for ordinal in range(spec.replicas)
        if world.wanted_of(spec) == "running"
    }
    for name in world.alive():
        if name not in wanted:
            raise Broken(f"{name} runs and nobody wants it")
    for name, spec in wanted.items():
        check_instance(world, name, spec)
    for name, slot in world.agent.slots.items():
        if name.rpartition("/")[0] not in world.specs and slot.phase is not Phase.GONE:
            raise Broken(f"{name} has no spec and is {slot.phase.value}")


def check_instance(world: World, name: str, spec: WorkerSpec) -> None:
    """One wanted instance runs what its spec says, or has every reason not to."""
    command = spec.command[0] if isinstance(spec.command, list) else ""
    slot, process = world.agent.slots.get(name), world.alive().get(name)
    if slot is None or slot.phase is Phase.GONE:
        raise Broken(f"{name} is wanted and has no slot")
    if slot.phase is Phase.COMPLETED:
        if name not in world.completed:
            raise Broken(f"{name} is called completed, and none of its processes exited with code 0")
    elif command in (BROKEN, LOOPING):
        if slot.phase is not Phase.FAILED and not held(world, name):
            raise Broken(f"{name} ({command}) should have given up, is {slot.phase.value}")
    elif process is None:
        raise Broken(f"{name} is wanted and does not run: {slot.phase.value} {slot.reason} {slot.message}")
    elif process.command != command and not held(world, name):
        raise Broken(f"{name} runs {process.command}, wanted is {command}")


def held(world: World, name: str) -> bool:
    worker_id = name.rpartition("/")[0]
    return any(hold.worker_id == worker_id for hold in telling(world.plan()))


def check_quiet(world: World) -> None:
    """In peace nothing moves: no resync, no lost answer, no clock changes a pid."""
    before = {name: process.run for name, process in world.alive().items()}
    for _ in range(5):
        world.look()
        world.turn()
        while world.network:
            world.deliver(0)
        world.pass_time(30.0)
    after = {name: process.run for name, process in world.alive().items()}
    if before != after:
        raise Broken(f"something moved in peace: {before} -> {after}")


# --- what may happen -------------------------------------------------------------------------------------------


def edit(world: World) -> None:
    """A person writes a spec: another command, count, wish or policy."""
    worker_id = world.dice.choice(WORKERS)
    world.removed.pop(worker_id, None)
    choice = world.dice.choice
    command = choice(["serve", "serve-2", DEAF, BROKEN, LOOPING])
    world.specs[worker_id] = WorkerSpec(
        worker_id=worker_id,
        command=[command, world.hook_dice.choice(["plain", "plain", "hooked", "probed"])],
        replicas=choice([0, 1, 1, 2, 3]),
        desired_state=choice(["running", "running", "running", "stopped", None]),
        restart_delay_ms=choice([0, 100, 1000]),
        max_restart_attempts=choice([1, 3]) if command == LOOPING else None,
    )
    world.story.append(f"{world.mono:.1f} edit {worker_id} {world.specs[worker_id].command}")


def remove(world: World) -> None:
    """A person removes a spec."""
    worker_id = world.dice.choice(WORKERS)
    if world.specs.pop(worker_id, None):
        world.runs.pop(worker_id, None)
        source = Source(file=f"{worker_id}.yaml")
        world.removed[worker_id] = Removal(worker_id=worker_id, proof="the file is gone", source=source)
        world.story.append(f"{world.mono:.1f} remove {worker_id}")


def wish(world: World) -> None:
    """A person asks for a restart, or a start of what is down."""
    worker_id = world.dice.choice(WORKERS)
    if worker_id in world.specs:
        before = world.runs.get(worker_id)
        number = max(int(world.wall * 1000), before.number + 1 if before else 0)
        kind = world.dice.choice(["restart", "start"])
        world.runs[worker_id] = RunIntent(
            worker_id=worker_id, kind="restart" if kind == "restart" else "start", number=number, at=world.wall
        )
        world.story.append(f"{world.mono:.1f} wish {kind} {worker_id}")


def keep(world: World) -> None:
    """A person keeps a worker stopped, or running, for a while; or ends that."""
    dice = world.keep_dice
    worker_id = dice.choice(WORKERS)
    if worker_id in world.keeps and dice.random() < 0.3:
        world.resume(worker_id)
        world.story.append(f"{world.mono:.1f} resume {worker_id}")
    elif worker_id in world.specs:
        world.suspend(worker_id, dice.choice(["stopped", "stopped", "running"]), dice.choice([5.0, 60.0, 60.0, 3600.0]))
        world.story.append(f"{world.mono:.1f} {worker_id} is {world.keeps[worker_id]}")


def turn(world: World) -> None:
    """The loop turns; the news may be old."""
    if world.dice.random() < 0.7 and world.reachable:
        world.look()
    world.turn()


def deliver(world: World) -> None:
    """Orders arrive: late, twice, in another order, or never."""
    for _ in range(world.dice.randint(1, 6)):
        if not world.network:
            return
        index = world.dice.randrange(len(world.network))
        fate = world.dice.random()
        if fate < 0.1:
            world.network.pop(index)
        elif fate < 0.2:
            world.network.append(world.network[index])
        else:
            world.deliver(index)


def wait(world: World) -> None:
    world.pass_time(world.dice.choice([0.01, 0.5, 2.0, 20.0]))


def crash(world: World) -> None:
    """A worker dies by itself."""
    alive = [process for process in world.processes.values() if process.alive]
    if alive:
        process = world.dice.choice(alive)
        code = world.dice.choice([0, 1, None])
        if code == 0:
            world.completed.add(process.slot)
        world.end(process, code=code, signal=11 if code is None else None)


def sick(world: World) -> None:
    """A liveness probe has failed too often."""
    alive = [process for process in world.processes.values() if process.alive]
    if alive:
        process = world.hook_dice.choice(alive)
        world.agent.inbox.append((process.slot, ProbeFailed(process.run, "liveness", "no answer")))


def agent_dies(world: World) -> None:
    world.agent_dies()


def keeper_dies(world: World) -> None:
    world.keeper_dies()


def controller_dies(world: World) -> None:
    """A new controller claims; orders of the old one may still arrive."""
    world.claim()


def host_lost(world: World) -> None:
    world.reachable = not world.reachable
    if world.reachable:
        world.look()


def clock_jumps(world: World) -> None:
    """The wall clock is set; CLOCK_BOOTTIME is not."""
    world.wall += world.dice.choice([-3600.0, 3600.0, -86_400.0])


def reboot(world: World) -> None:
    world.reboot()


_EVENTS: tuple[Callable[[World], None], ...] = (
    edit, remove, wish, turn, deliver, wait, crash, agent_dies, keeper_dies, controller_dies, host_lost, clock_jumps,
    reboot, sick,
)  # fmt: skip
_WEIGHTS = (10, 3, 5, 30, 30, 20, 10, 4, 2, 3, 4, 2, 1, 3)


if __name__ == "__main__":
    first, count = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    for number in range(first, first + count):
        run(number)
    print(f"{count} histories from seed {first}: nothing broken")
