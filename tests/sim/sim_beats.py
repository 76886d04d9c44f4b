"""Workers that must beat, a controller that passes it on, and an agent that watches: in virtual time, with all faults.

Made of the real pure parts: `Heartbeats` of the agent, `Box` of the controller. Modelled is what lies between them:
sockets that hold what nobody has read yet, a connection that delays and breaks, and processes that stall and die.

One seed is one history. What must hold: a worker that beats in time is never failed, whatever happens to the others;
a worker that beats by a controller is not failed while that is away; one that hangs is failed once all is quiet.
`python -m tests.sim.sim_beats SEED [COUNT]` replays.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from controller.agent.heartbeats import ABSENT_S, Heartbeats, Voice
from controller.backends.beats import PERIOD_S, Box

STEP_S = 0.1
DOUBT_S = 0.3
RUN_S = 90.0
QUIET_S = 60.0
AHEAD_S = 7777.0
"""The first controller's clock beyond ours; the clock of each next one is behind it."""


class Broken(AssertionError):
    """Something that must always hold did not."""


@dataclass
class Worker:
    """One run. It beats every `limit` seconds or more often, by `ways`, until it hangs."""

    run: str
    limit: float
    ways: tuple[str, ...]
    hangs_at: float
    next_beat: float
    voice: Voice | None = None
    doubted_at: float | None = None
    failed_at: float | None = None


@dataclass
class Message:
    """One message on its way to the agent, and its answer on the way back."""

    epoch: int
    at: float
    beats: dict[str, float]
    arrives: float
    is_answered: bool = False


@dataclass
class Process:
    """The controller or the agent: dead until, or stalled until."""

    dead_until: float = 0.0
    stalled_until: float = 0.0
    inbox: list[str] = field(default_factory=list)
    """What the kernel holds for it: runs that have beaten. Gone with the process."""

    def is_up(self, now: float) -> bool:
        return now >= self.dead_until

    def acts(self, now: float) -> bool:
        return self.is_up(now) and now >= self.stalled_until


class World:
    """One host, one controller, and a few workers. `clocks` makes the agent's memory anew."""

    def __init__(self, seed: int, clocks: Callable[[], Heartbeats] = Heartbeats) -> None:
        self.dice = random.Random(seed)
        self.now = 1000.0
        self.make_clocks = clocks
        self.controller, self.agent = Process(), Process()
        self.epoch, self.box, self.next_tick = 1, Box(), 0.0
        self.link_up_at = 0.0
        self.link: list[Message] = []
        self.last_told = -1e9
        self.story: list[str] = []
        self.faults = True
        self.clocks = clocks()
        self.workers = [self.hire(number) for number in range(4)]
        self.watch_all()

    def hire(self, number: int) -> Worker:
        limit = self.dice.choice([1.0, 2.0, 5.0, 12.0, 30.0])
        ways = self.dice.choice([("api",), ("api",), ("socket",), ("api", "socket")])
        hangs = self.now + self.dice.uniform(0, RUN_S) if self.dice.random() < 0.3 else 1e12
        return Worker(f"r{number}", limit, ways, hangs, self.now)

    def watch_all(self) -> None:
        for worker in self.workers:
            worker.voice, worker.doubted_at = self.clocks.begin(worker.run, self.now), None

    def controllers_time(self) -> float:
        return self.now + AHEAD_S - 500.0 * self.epoch

    # --- one step ----------------------------------------------------------------------------------------------

    def step(self) -> None:
        """The order within a moment is chance."""
        self.now += STEP_S
        acts = [self.work, self.control, self.supervise]
        self.dice.shuffle(acts)
        for act in acts:
            act()

    def work(self) -> None:
        for worker in self.workers:
            if worker.next_beat > self.now or worker.hangs_at <= self.now:
                continue
            for way in worker.ways:
                process = self.controller if way == "api" else self.agent
                if process.is_up(self.now):
                    process.inbox.append(worker.run)
            # The step itself takes time, of which a worker that beats in time has to think.
            pause = worker.limit * self.dice.choice([0.1, 0.5, 0.9, 1.0])
            worker.next_beat = self.now + max(0.0, pause - STEP_S)

    def control(self) -> None:
        """Reads what came and ticks, in either order."""
        if not self.controller.acts(self.now):
            return
        acts = [self.read_requests, self.tick]
        self.dice.shuffle(acts)
        for act in acts:
            act()

    def read_requests(self) -> None:
        for run in self.controller.inbox:
            # Before it has greeted the agent it knows of no run, and admits none.
            if self.link_up_at <= self.now or self.box.unsent or self.last_told >= self.controller.dead_until:
                self.box.heard(run, run, self.controllers_time())
        self.controller.inbox.clear()

    def tick(self) -> None:
        if self.link and self.link[0].is_answered and self.link[0].arrives <= self.now:
            self.box.arrived(self.link.pop(0).beats)
            self.next_tick = self.now + PERIOD_S
        if self.link or self.link_up_at > self.now or self.next_tick > self.now:
            return
        delay = self.dice.choice([0.0, 0.0, 0.0, 0.2, 1.0, 2.5]) if self.faults else 0.0
        self.link.append(Message(self.epoch, self.controllers_time(), self.box.message(), self.now + delay))

    def supervise(self) -> None:
        """Reads its sockets and looks at its runs, in either order."""
        if not self.agent.acts(self.now):
            return
        acts = [self.read_sockets, self.look]
        self.dice.shuffle(acts)
        for act in acts:
            act()

    def read_sockets(self) -> None:
        for run in self.agent.inbox:
            self.clocks.spoke(run, self.now)
        self.agent.inbox.clear()
        for message in self.link:
            if message.arrives <= self.now and not message.is_answered:
                self.clocks.told(message.epoch, message.at, message.beats, self.now)
                message.is_answered, self.last_told = True, self.now

    def look(self) -> None:
        for worker in self.workers:
            silence = None if worker.failed_at is not None else self.clocks.silence(worker.run, self.now)
            if silence is None or silence < worker.limit:
                worker.doubted_at = None
            elif worker.doubted_at is None:
                worker.doubted_at = self.now
            elif self.now - worker.doubted_at >= 2 * DOUBT_S:
                worker.doubted_at = self.now  # The moment was not ours alone: listen once more.
            elif self.now - worker.doubted_at >= DOUBT_S:
                self.fail(worker, silence)

    def fail(self, worker: Worker, silence: float) -> None:
        story = f"{worker.run} ({worker.ways}, {worker.limit} s) is failed after {silence:.1f} s"
        self.note(story)
        worker.failed_at = self.now
        if worker.hangs_at > self.now:
            raise Broken(f"{story}, and it beats in time")
        if worker.ways == ("api",) and self.now - self.last_told > ABSENT_S:
            raise Broken(f"{story}, and no controller is there")

    # --- faults ------------------------------------------------------------------------------------------------

    def note(self, text: str) -> None:
        self.story.append(f"{self.now:.1f} {text}")

    def controller_dies(self) -> None:
        down = self.dice.choice([0.5, 2.0, 10.0])
        self.note(f"the controller is away for {down} s")
        self.controller = Process(dead_until=self.now + down)
        self.epoch, self.box, self.next_tick = self.epoch + 1, Box(), 0.0
        self.link.clear()
        self.link_up_at = self.now + down + self.dice.choice([0.1, 1.0, 5.0])

    def link_breaks(self) -> None:
        down = self.dice.choice([0.1, 1.0, 2.9, 8.0])
        self.note(f"the connection is broken for {down} s")
        self.link.clear()
        self.link_up_at = max(self.link_up_at, self.now + down)

    def controller_stalls(self) -> None:
        self.controller.stalled_until = self.now + self.dice.choice([0.5, 2.0, 2.9, 4.0])
        self.note(f"the controller stalls until {self.controller.stalled_until:.1f}")

    def agent_stalls(self) -> None:
        self.agent.stalled_until = self.now + self.dice.choice([0.5, 2.0, 4.0, 15.0])
        self.note(f"the agent stalls until {self.agent.stalled_until:.1f}")

    def agent_dies(self) -> None:
        self.note("the agent dies")
        self.agent = Process(dead_until=self.now)
        self.link.clear()
        self.link_up_at = max(self.link_up_at, self.now + 0.2)
        self.clocks = self.make_clocks()
        self.watch_all()


FAULTS: tuple[Callable[[World], None], ...] = (
    World.controller_dies, World.link_breaks, World.controller_stalls, World.agent_stalls, World.agent_dies,
)  # fmt: skip


def run(seed: int, clocks: Callable[[], Heartbeats] = Heartbeats) -> None:
    """Play one history. Raises Broken, with the story in its message."""
    world = World(seed, clocks)
    try:
        until = world.now + RUN_S
        while world.now < until:
            if world.dice.random() < 0.02:
                world.dice.choice(FAULTS)(world)
            world.step()
        settle(world)
    except Broken as broken:
        raise Broken(f"seed {seed}: {broken}\n" + "\n".join(world.story[-40:])) from None


def run_all(seeds: Iterable[int], clocks: Callable[[], Heartbeats] = Heartbeats) -> None:
    """Play many."""
    for seed in seeds:
        run(seed, clocks)


def settle(world: World) -> None:
    """No more faults: who hangs is found out."""
    world.faults = False
    until = world.now + QUIET_S
    while world.now < until:
        world.step()
    for worker in world.workers:
        if worker.hangs_at < until - QUIET_S and worker.failed_at is None:
            raise Broken(f"{worker.run} ({worker.ways}, {worker.limit} s) hangs, and nobody notices")


if __name__ == "__main__":
    first, count = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    run_all(range(first, first + count))
    print(f"{count} histories from seed {first}: nothing broken")
