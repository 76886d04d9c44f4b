"""The machine of one slot: what a person wants ended at once is killed, and nothing else is."""

from __future__ import annotations

from controller.agent.states import Phase, Reap, Signal, Spawn, Spawned
from tests.agent.agent_builders import hook
from tests.agent.test_machine_decisions import Life

STOP = {"pre_stop": hook(timeout_ms=3000)}


def kill(run: str) -> Signal:
    return Signal(run, 9, group=True)


def test_a_stop_at_once_kills_without_a_signal_before_and_without_the_hook() -> None:
    life = Life(hooks=STOP).start()
    life.asked.clear()
    life.apply(hooks=STOP, wanted="stopped", run_request=5, at_once=True)
    assert (life.slot.phase, life.asked) == (Phase.STOPPING, [kill("r1")])
    life.end(None, 9)
    assert life.slot.last_exit is not None
    assert (life.slot.phase, life.slot.last_exit.cause) == (Phase.IDLE, "killed")


def test_what_takes_its_time_to_stop_is_killed_when_somebody_loses_patience() -> None:
    for hooks in ({}, STOP):
        life = Life(hooks=hooks).start().apply(hooks=hooks, wanted="stopped")
        hook_run = life.hook_run
        life.asked.clear()
        life.apply(hooks=hooks, wanted="stopped", run_request=5, at_once=True)
        assert (life.slot.phase, life.asked) == (Phase.STOPPING, [*([kill(hook_run)] if hooks else []), kill("r1")])


def test_a_restart_at_once_kills_and_starts_anew_and_the_next_end_is_an_ordinary_one() -> None:
    life = Life(hooks=STOP).start()
    life.asked.clear()
    life.apply(hooks=STOP, run_request=5, at_once=True)
    assert (life.slot.phase, life.asked) == (Phase.STOPPING, [kill("r1")])
    life.end(None, 9)
    assert (life.slot.phase, life.asked, life.slot.attempts) == (Phase.SPAWNING, [Reap("r1"), Spawn("r2")], ())
    life.start()
    life.apply(hooks=STOP, command=["other"], revision="other", run_request=5, at_once=True)
    assert life.slot.phase is Phase.LEAVING


def test_a_stop_at_once_also_ends_a_run_that_was_being_spawned_when_it_came() -> None:
    life = Life(hooks=STOP)
    life.apply(hooks=STOP, wanted="stopped", run_request=5, at_once=True)
    life.asked.clear()
    life.hear(Spawned("r1", 100, life.now + 1e9))
    assert (life.slot.phase, life.asked) == (Phase.STOPPING, [kill("r1")])
