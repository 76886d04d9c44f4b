"""The machine under any history: a tiny keeper that loses, delays and repeats what it tells, and agents that die."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controller.agent.decisions import Dice
from controller.agent.machine import accepts, next_deadline, step
from controller.agent.states import (
    BUSY,
    Adjourned,
    Applied,
    Emit,
    Exited,
    Found,
    GroupEmptied,
    Heard,
    HookEnded,
    HookRun,
    Missing,
    Notified,
    Now,
    Phase,
    ProbeFailed,
    ProbePassed,
    Reap,
    Removed,
    Resumed,
    RunHook,
    Signal,
    Slot,
    Spawn,
    Spawned,
    SpawnFailed,
    StopSent,
    Ticked,
    Wish,
    Withheld,
)
from tests.agent.agent_builders import hook, probe, wish
from tests.examples import examples

HOOKS = ("pre_start", "post_start", "pre_stop", "post_stop")
MODES: tuple[dict[str, Any], ...] = (
    {},
    {"hooks": {name: hook(timeout_ms=2000) for name in HOOKS}},
    {"hooks": {"pre_start": hook()}, "probes": [probe("readiness")]},
    {"hooks": {"pre_stop": hook(), "post_stop": hook()}, "probes": [probe("startup"), probe("liveness")]},
)
"""Launches with hooks and probes in several mixtures. A mixture belongs to a revision: 1-N has MODES[N]."""


class World:
    """One slot, its keeper's runs, and what is on its way between the two.

    A run is [leader lives, members live, ignores the polite signal]; a hook is there while it runs, and no kind of hook
    is ever run twice at once. Orders arrive in their order, also after the death of the agent that gave them; what the
    keeper tells dies with the agent it was told to.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self.slot = Slot(name="web/0", wish=wish(0, wanted="stopped"))
        self.runs: dict[str, list[bool]] = {}
        self.orders: list[Any] = []
        self.told: list[Heard] = []
        self.number = 0
        self.stubborn = False
        self.fails = False
        self.hooks: dict[str, str] = {}
        self.ended_hooks: dict[str, HookEnded] = {}

    def hear(self, event: Heard) -> None:
        generation = self.slot.wish.generation
        self.number += 1
        result = step(self.slot, event, Now(self.now, self.now), Dice(f"r{self.number}", 0.5))
        self.slot = result.slot
        assert self.slot.wish.generation >= generation
        for effect in result.effects:
            if not isinstance(effect, Emit):
                self.orders.append(effect)
                if isinstance(effect, Signal) and effect.asks:
                    self.hear(StopSent(effect.run))

    def carry_out(self) -> None:
        """The keeper reads one order."""
        if not self.orders:
            return
        order = self.orders.pop(0)
        if isinstance(order, Spawn):
            if self.fails:
                self.told.append(SpawnFailed(order.run, "no", True, self.now))
                return
            assert not any(leader for leader, _, _ in self.runs.values()), "a second live run"
            assert not [name for name in self.hooks.values() if name == "pre_start"], "spawned beside its pre_start"
            self.runs[order.run] = [True, False, self.stubborn]
            self.told.append(Spawned(order.run, 1, self.now))
        elif isinstance(order, RunHook):
            self.run_hook(order.hook)
        elif isinstance(order, Signal) and order.run.partition("-")[2]:
            self.end_hook(order.run, None, 9)
        elif isinstance(order, Signal):
            run = self.runs.get(order.run)
            if run is not None and (order.signal == 9 or not run[2]):
                run[1] = False
                self.end_leader(order.run, None, order.signal)
                if not run[0]:
                    self.told.append(GroupEmptied(order.run))
        elif isinstance(order, Reap) and order.run in self.runs and not self.runs[order.run][0]:
            del self.runs[order.run]

    def end_leader(self, name: str, code: int | None, signal: int | None = None) -> None:
        run = self.runs[name]
        if run[0]:
            run[0] = False
            self.told.append(Exited(name, code, signal, True, self.now))
            if not run[1]:
                self.told.append(GroupEmptied(name))

    def run_hook(self, ordered: HookRun) -> None:
        assert ordered.name not in self.hooks.values(), f"a second {ordered.name}"
        if ordered.name in ("pre_start", "post_stop"):
            assert not any(leader or members for leader, members, _ in self.runs.values()), f"{ordered.name} too early"
        if self.fails:
            self.told.append(HookEnded(ordered.run, False, "no", None, None, self.now))
        else:
            self.hooks[ordered.run] = ordered.name

    def end_hook(self, run: str, code: int | None, signal: int | None = None) -> None:
        if self.hooks.pop(run, None) is not None:
            ended = HookEnded(run, code == 0, "ended", code, signal, self.now)
            self.ended_hooks[run] = ended
            self.told.append(ended)

    def listen(self) -> None:
        """The agent hears what was told first."""
        if self.told:
            self.hear(self.told.pop(0))

    def restart(self) -> None:
        """The agent is killed: what it ordered counts, what it was told is lost, the next one is greeted."""
        while self.orders:
            self.carry_out()
        self.told.clear()
        is_missing = self.slot.run is not None and self.slot.run not in self.runs
        self.recover_hooks()
        for name, (leader, members, _) in list(self.runs.items()):
            if name == self.slot.run:
                if not leader:
                    self.hear(Exited(name, 1, None, True, self.now))
                    if not members:
                        self.hear(GroupEmptied(name))
                elif self.slot.phase is Phase.SPAWNING:
                    self.hear(Spawned(name, 1, self.now))
                else:
                    self.hear(Found(name, 1, None, self.now))
            elif not leader:
                del self.runs[name]
        if self.slot.phase in BUSY and is_missing:
            self.hear(Missing())

    def recover_hooks(self) -> None:
        """What the keeper knows of the slot's hooks is told; what the slot does not know, or had killed, is killed."""
        own = [one for one in (self.slot.hook, self.slot.aside) if one is not None]
        for one in own:
            if one.run not in self.hooks:
                unknown = HookEnded(one.run, False, "ended while nobody watched", None, None, self.now)
                self.hear(self.ended_hooks.get(one.run, unknown))
        wanted = [one.run for one in own if not one.killed]
        for run in [run for run in self.hooks if run not in wanted]:
            self.end_hook(run, None, 9)

    def tick(self, seconds: float) -> None:
        """Time goes by; a timer fires, perhaps for nothing."""
        self.now += seconds
        self.hear(Ticked())

    def apply(self, newest: Wish) -> None:
        if not accepts(self.slot, newest):
            self.hear(Applied(newest))

    def calm(self) -> None:
        """Everything that is on its way arrives, probes are content, time goes on until nothing is due any more."""
        self.fails = False
        for _ in range(400):
            while self.orders or self.told:
                self.carry_out()
                self.listen()
            if self.slot.phase is Phase.STARTING and self.slot.run is not None:
                for kind in ("startup", "readiness"):
                    self.hear(ProbePassed(self.slot.run, kind))
            if self.hooks:
                for run in list(self.hooks):
                    self.end_hook(run, 0)
                continue
            due = next_deadline(self.slot)
            if due is None:
                return
            self.tick(max(0.0, due - self.now))
        raise AssertionError(f"never calm: {self.slot}")


STEPS = st.one_of(
    st.tuples(st.just("apply"), st.integers(1, 30), st.sampled_from(["running", "stopped"]), st.integers(0, 3)),
    st.tuples(st.just("remove"), st.integers(1, 30)),
    st.tuples(st.just("tick"), st.floats(0, 20)),
    st.tuples(st.sampled_from(["carry_out", "listen", "exit", "crash", "fork", "restart", "repeat"])),
    st.tuples(st.sampled_from(["hook_ends", "hook_fails", "ready", "withheld"])),
    st.tuples(st.sampled_from(["passed", "failed"]), st.sampled_from(["startup", "readiness", "liveness"])),
    st.tuples(st.sampled_from(["stubborn", "obedient", "fails", "works", "adjourn", "resume"])),
)


def act(world: World, move: tuple[Any, ...]) -> None:  # noqa: C901, PLR0912 - one case per line
    match move:
        case ("apply", generation, wanted, number):
            mode = MODES[number]
            world.apply(wish(generation, wanted=wanted, revision=f"1-{number}", run_request=generation // 7, **mode))
        case ("remove", generation):
            world.hear(Removed(generation))
        case ("tick", seconds):
            world.tick(seconds)
        case ("carry_out",):
            world.carry_out()
        case ("listen",):
            world.listen()
        case ("repeat",):
            world.told[:1] = world.told[:1] * 2
        case ("restart",):
            world.restart()
        case ("exit",) | ("crash",):
            for name in list(world.runs):
                world.end_leader(name, 0 if move[0] == "exit" else 1)
        case ("fork",):
            for run in world.runs.values():
                run[1] = run[0]
        case ("hook_ends",) | ("hook_fails",):
            for name in list(world.hooks):
                world.end_hook(name, 0 if move[0] == "hook_ends" else 1)
        case ("ready",):
            world.hear(Notified(world.slot.run or "x", ready=True))
        case ("withheld",) if world.orders == [] and world.slot.run not in world.runs and not world.hooks:
            world.hear(Withheld("a secret"))
        case ("passed", kind):
            world.hear(ProbePassed(world.slot.run or "x", kind))
        case ("failed", kind):
            world.hear(ProbeFailed(world.slot.run or "x", kind, "no"))
        case ("stubborn",) | ("obedient",):
            world.stubborn = move[0] == "stubborn"
        case ("fails",) | ("works",):
            world.fails = move[0] == "fails"
        case ("adjourn",):
            world.hear(Adjourned(world.now + 5.0))
        case ("resume",):
            world.hear(Resumed())


@examples(4)
@given(st.lists(STEPS, max_size=40))
def test_there_are_never_two_live_runs_and_generations_never_go_back(moves: list[tuple[Any, ...]]) -> None:
    world = World()
    for move in moves:
        act(world, move)  # `World` asserts both at each step
        assert sum(leader for leader, _, _ in world.runs.values()) <= 1


@examples(3)
@given(st.lists(STEPS, max_size=40))
def test_a_stop_always_ends_with_no_process_left(moves: list[tuple[Any, ...]]) -> None:
    world = World()
    for move in moves:
        act(world, move)
    world.apply(wish(100, wanted="stopped", **MODES[1]))
    world.calm()
    assert (world.slot.phase, world.runs, world.hooks) == (Phase.IDLE, {}, {})


@examples(3)
@given(st.lists(STEPS, max_size=40))
def test_a_start_always_ends_with_one_run_at_the_wanted_revision(moves: list[tuple[Any, ...]]) -> None:
    world = World()
    for move in moves:
        act(world, move)
    world.hear(Resumed())
    world.apply(wish(100, revision="1-last", run_request=100, **MODES[3]))
    world.calm()
    assert (world.slot.phase, world.slot.running_revision) == (Phase.RUNNING, "1-last")
    assert [leader for leader, _, _ in world.runs.values()] == [True]


@examples(2)
@given(st.lists(STEPS, max_size=40))
def test_a_removed_slot_is_gone_and_no_older_wish_raises_it(moves: list[tuple[Any, ...]]) -> None:
    world = World()
    for move in moves:
        act(world, move)
    world.hear(Removed(100))
    world.calm()
    world.apply(wish(99))
    world.calm()
    assert (world.slot.phase, world.runs, world.hooks) == (Phase.GONE, {}, {})
