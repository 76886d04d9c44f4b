"""The machine of one slot, event by event."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from controller.agent.decisions import Dice, describe_exit
from controller.agent.machine import accepts, must_replace, next_deadline, step
from controller.agent.states import (
    MOVES,
    Adjourned,
    Applied,
    Effect,
    Emit,
    Exited,
    Found,
    GroupEmptied,
    Heard,
    HookEnded,
    IllegalMoveError,
    Missing,
    Now,
    Phase,
    Reap,
    Removed,
    Resumed,
    Signal,
    Slot,
    Spawn,
    Spawned,
    SpawnFailed,
    StopSent,
    Ticked,
)
from tests.agent.agent_builders import hook, wish


class Life:
    """One slot, its clock, and all that it asked for. Run ids are r1, r2, ... in the order of spawns."""

    def __init__(self, **changes: Any) -> None:
        self.wish = wish(**changes)
        self.slot = Slot(name="web/0", wish=self.wish)
        self.now = 1000.0
        self.effects: list[Effect] = []
        self.moves: set[tuple[Phase, Phase]] = set()
        self.hear(Applied(self.wish))

    def hear(self, *events: Heard) -> Life:
        for event in events:
            before = self.slot.phase
            dice = Dice(f"r{self.slot.run_number + 1}", 0.0)
            result = step(self.slot, event, Now(self.now, self.now + 1e9), dice)
            self.slot = result.slot
            self.effects += result.effects
            self.moves.add((before, self.slot.phase))
        return self

    def apply(self, **changes: Any) -> Life:
        base = {"generation": self.slot.wish.generation + 1}
        self.wish = wish(**{**base, **changes})
        return self.hear(Applied(self.wish))

    def start(self) -> Life:
        """Up to RUNNING."""
        self.hear(Spawned(self.run, 100, self.now + 1e9))
        return self.later(10.0)

    def later(self, seconds: float) -> Life:
        self.now += seconds
        return self.hear(Ticked())

    @property
    def hook_run(self) -> str:
        return self.slot.hook.run if self.slot.hook is not None else "x"

    def hook_ends(self, code: int | None = 0, *, signal: int | None = None) -> Life:
        """The hook that is waited for is over."""
        return self.hear(HookEnded(self.hook_run, code == 0, f"exited with code {code}", code, signal, self.now + 1e9))

    def end(self, code: int | None = None, signal: int | None = None, *, known: bool = True) -> Life:
        run = self.run
        return self.hear(Exited(run, code, signal, known, self.now + 1e9), GroupEmptied(run))

    @property
    def run(self) -> str:
        assert self.slot.run is not None
        return self.slot.run

    @property
    def asked(self) -> list[Effect]:
        """The effects since the last look, without events."""
        found: list[Effect] = [effect for effect in self.effects if not isinstance(effect, Emit)]
        self.effects.clear()
        return found

    @property
    def told(self) -> list[str]:
        found = [effect.type for effect in self.effects if isinstance(effect, Emit)]
        self.effects.clear()
        return found


TERM, KILL = Signal("r1", 15, group=True, asks=True), Signal("r1", 9, group=True)


@pytest.mark.parametrize(
    ("policy", "code", "signal", "phase", "cause"),
    [
        ("on_failure", 0, None, Phase.COMPLETED, "completed"),
        ("on_failure", 3, None, Phase.COMPLETED, "completed"),
        ("on_failure", 1, None, Phase.BACKOFF, "exited"),
        ("on_failure", None, 11, Phase.BACKOFF, "signaled"),
        ("always", 0, None, Phase.BACKOFF, "completed"),
        ("always", 1, None, Phase.BACKOFF, "exited"),
        ("always", None, 9, Phase.BACKOFF, "signaled"),
        ("never", 0, None, Phase.COMPLETED, "completed"),
        ("never", 1, None, Phase.FAILED, "exited"),
        ("never", None, 15, Phase.FAILED, "signaled"),
    ],
)
def test_what_follows_an_exit_depends_on_policy_and_cause(
    policy: str, code: int | None, signal: int | None, phase: Phase, cause: str
) -> None:
    life = Life(restart_policy=policy, success_exit_codes=[0, 3]).start().end(code, signal)
    assert life.slot.last_exit is not None
    assert (life.slot.phase, life.slot.last_exit.cause) == (phase, cause)


def test_an_exit_that_nobody_saw_is_unknown_and_retried() -> None:
    life = Life().start().end(known=False)
    assert life.slot.last_exit is not None
    assert (life.slot.phase, life.slot.last_exit.cause) == (Phase.BACKOFF, "unknown")


def test_crashes_beyond_the_budget_give_up_and_each_retry_is_counted() -> None:
    life = Life(max_restart_attempts=2, restart_delay_ms=1000)
    for _ in range(2):
        life.start().end(1)
        assert life.slot.phase is Phase.BACKOFF
        life.later(60.0)
    life.start().end(1)
    assert (life.slot.phase, life.slot.reason, life.slot.restart_count) == (Phase.FAILED, "GaveUp", 2)


def test_attempts_older_than_the_window_are_forgiven() -> None:
    life = Life(max_restart_attempts=1, restart_window_ms=60_000)
    for _ in range(5):
        life.start().end(1)
        assert life.slot.phase is Phase.BACKOFF
        life.later(100.0)
    assert life.slot.restart_count == 5


def test_the_delay_doubles_while_runs_are_short_and_starts_anew_after_a_long_one() -> None:
    life = Life(max_restart_attempts=None, restart_delay_ms=1000)
    delays: list[float] = []
    for lived in (0.0, 0.0, 0.0, 100.0, 0.0):
        life.hear(Spawned(life.run, 1, life.now + 1e9))
        life.later(lived)
        life.end(1)
        delays.append(life.slot.last_delay)
        life.later(life.slot.last_delay)
    assert delays == [1.0, 2.0, 4.0, 1.0, 2.0]


def test_a_stop_asks_then_kills_at_its_deadline_and_again_until_all_are_gone() -> None:
    life = Life(stop_grace_ms=5000).start()
    assert life.asked == [Spawn("r1")]
    life.apply(wanted="stopped", stop_grace_ms=5000)
    assert (life.asked, next_deadline(life.slot)) == ([TERM], life.now + 5.0)
    life.hear(StopSent("r1")).later(4.9)
    assert life.asked == []
    life.later(0.1)
    assert life.asked == [KILL]
    life.hear(Exited("r1", None, 9, True, life.now)).later(0.25)
    assert (life.asked, life.slot.phase) == ([KILL], Phase.DRAINING)
    life.hear(GroupEmptied("r1"))
    assert life.slot.last_exit is not None
    assert (life.asked, life.slot.phase, life.slot.last_exit.cause) == ([Reap("r1")], Phase.IDLE, "killed")


def test_what_cannot_be_killed_is_told_once_holds_its_slot_and_is_killed_more_and_more_seldom() -> None:
    life = Life(stop_grace_ms=1000).start()
    life.apply(wanted="stopped", stop_grace_ms=1000).hear(StopSent("r1")).later(1.0)
    life.effects.clear()
    waits: list[float] = []
    while len(waits) < 20:
        due = next_deadline(life.slot)
        assert due is not None
        waits.append(due - life.now)
        life.later(waits[-1])
    assert (waits[0], waits[-1], sorted(waits)) == (0.25, 10.0, waits)
    told = [effect for effect in life.effects if isinstance(effect, Emit)]
    assert [event.type for event in told] == ["unkillable"]
    assert (life.slot.phase, life.slot.reason, life.slot.message) == (Phase.STOPPING, "Unkillable", told[0].message)
    life.apply(wanted="running")
    assert life.slot.phase is Phase.STOPPING
    life.end(signal=9)
    assert (life.slot.phase, life.slot.reason, life.slot.message) == (Phase.SPAWNING, "", "")


def test_a_kill_tells_how_long_it_really_waited() -> None:
    life = Life(stop_grace_ms=60_000).start()
    life.apply(wanted="stopped", stop_grace_ms=60_000).hear(StopSent("r1")).hear(Adjourned(life.now + 2.0)).later(2.0)
    told = [effect.message for effect in life.effects if isinstance(effect, Emit) and effect.type == "killed"]
    assert told == ["did not end within 2.0 s of being asked and was killed"]


def test_a_stop_of_the_leader_only_leaves_the_rest_of_its_group() -> None:
    life = Life(stop_kill="main").start()
    life.apply(wanted="stopped", stop_kill="main").hear(StopSent("r1"))
    life.hear(Exited("r1", 0, None, True, life.now))
    assert life.asked == [Spawn("r1"), Signal("r1", 15, group=False, asks=True), Reap("r1", force=True)]
    assert life.slot.phase is Phase.IDLE


def test_what_a_crashed_leader_leaves_is_asked_and_killed_before_the_next_start() -> None:
    life = Life(stop_grace_ms=2000).start()
    life.hear(Exited("r1", 1, None, True, life.now))
    assert life.asked == [Spawn("r1")]
    assert life.later(0.2).asked == [TERM]
    assert life.hear(StopSent("r1")).later(1.9).asked == []
    assert life.later(0.1).asked == [KILL]
    assert life.hear(GroupEmptied("r1")).asked == [Reap("r1")]
    assert life.slot.phase is Phase.BACKOFF


def test_another_revision_replaces_and_a_mere_digest_does_not() -> None:
    life = Life().start()
    assert life.apply(digest="d2").asked == [Spawn("r1")]
    assert life.apply(digest="d3", revision="1-b").asked == [TERM]
    life.hear(StopSent("r1")).end(signal=15)
    assert (life.asked, life.slot.running_revision, life.slot.restart_count) == ([Reap("r1"), Spawn("r2")], "1-b", 0)


def test_a_run_request_restarts_once_and_clears_the_budget() -> None:
    life = Life(max_restart_attempts=1).start().end(1).later(60.0).start()
    assert len(life.slot.attempts) == 1
    life.apply(run_request=1, max_restart_attempts=1)
    assert [life.slot.phase.value, *life.slot.attempts] == ["stopping"]
    life.hear(StopSent(life.run)).end(signal=15).start()
    life.effects.clear()
    life.apply(run_request=1, max_restart_attempts=1)
    assert (life.asked, life.slot.phase) == ([], Phase.RUNNING)


@pytest.mark.parametrize("change", [{"run_request": 1}, {"revision": "1-b"}, {"digest": "d2"}])
def test_a_slot_that_gave_up_is_tried_again_by_a_restart_or_an_edit(change: dict[str, Any]) -> None:
    life = Life(restart_policy="never").start().end(1)
    life.apply(restart_policy="never", **change)
    assert life.slot.phase is Phase.SPAWNING


@pytest.mark.parametrize(
    ("change", "phase"),
    [
        ({"run_request": 1}, Phase.SPAWNING),
        ({"revision": "1-b"}, Phase.SPAWNING),
        ({"digest": "d2"}, Phase.COMPLETED),
        ({}, Phase.COMPLETED),
    ],
)
def test_a_completed_slot_runs_again_only_by_a_restart_or_another_revision(
    change: dict[str, Any], phase: Phase
) -> None:
    assert Life().start().end(0).apply(**change).slot.phase is phase


def test_a_completed_slot_that_is_stopped_and_started_runs_again() -> None:
    life = Life().start().end(0).apply(wanted="stopped")
    assert life.slot.phase is Phase.IDLE
    assert life.apply(wanted="running").slot.phase is Phase.SPAWNING


def test_a_wish_is_accepted_by_its_generation() -> None:
    slot = Life(generation=5).slot
    assert accepts(None, wish(1)) == ""
    assert [accepts(slot, wish(generation)) for generation in (4, 5, 6)] == ["stale", "same", ""]
    assert accepts(slot, wish(5, revision="1-b")) == "stale"


def test_a_removed_slot_is_gone_when_its_run_is_and_a_late_removal_changes_nothing() -> None:
    life = Life(generation=5).start()
    assert life.hear(Removed(5)).slot.phase is Phase.RUNNING
    life.hear(Removed(6), StopSent("r1")).end(signal=15)
    assert (life.slot.phase, life.slot.wish.generation, life.slot.wish.removed) == (Phase.GONE, 6, True)


def test_a_removed_slot_that_is_wanted_again_while_it_stops_is_started_anew() -> None:
    life = Life().start().hear(Removed(2)).apply(generation=3).hear(StopSent("r1")).end(signal=15)
    assert (life.slot.phase, life.slot.run) == (Phase.SPAWNING, "r2")


def test_a_spawn_that_fails_is_final_transient_or_counted() -> None:
    final = Life()
    final.hear(SpawnFailed("r1", "no such file", transient=False, at=1.0))
    transient = Life()
    transient.hear(SpawnFailed("r1", "no memory", transient=True, at=1.0))
    known = Life().start().end(1).later(10.0)
    known.hear(SpawnFailed("r2", "text file busy", transient=False, at=1.0))
    assert [life.slot.phase for life in (final, transient, known)] == [Phase.FAILED, Phase.BACKOFF, Phase.BACKOFF]
    assert [len(life.slot.attempts) for life in (final, transient, known)] == [0, 0, 2]


def test_a_run_found_after_a_restart_of_ours_goes_on_and_is_asked_again_only_when_it_was_not() -> None:
    life = Life().start()
    before = life.slot
    assert life.hear(Found("r1", 100, None, 0.0)).slot == before
    life.apply(wanted="stopped")
    life.effects.clear()
    deadline = life.slot.deadline
    assert life.hear(Found("r1", 100, None, 0.0)).asked == [TERM]
    assert life.hear(StopSent("r1"), Found("r1", 100, None, 0.0)).asked == []
    assert life.slot.deadline == deadline


def test_a_run_whose_record_was_lost_is_adopted_and_replaced_only_at_another_revision() -> None:
    same, other = Life(wanted="stopped").apply(wanted="stopped"), Life(wanted="stopped")
    same.slot = replace(same.slot, wish=wish())
    other.slot = replace(other.slot, wish=wish())
    same.hear(Found("x", 7, "1-a", 0.0))
    other.hear(Found("x", 7, "1-z", 0.0))
    assert (same.slot.phase, same.slot.pid, same.asked) == (Phase.STARTING, 7, [])
    assert (other.slot.phase, other.slot.why_stopping) == (Phase.STOPPING, "replace")


def test_a_run_that_the_keeper_does_not_know_is_ordered_again_or_counted_as_unknown() -> None:
    ordered = Life()
    assert ordered.hear(Missing()).asked == [Spawn("r1"), Spawn("r2")]
    ran = Life().start().hear(Missing())
    assert ran.slot.last_exit is not None
    assert (ran.slot.phase, ran.slot.last_exit.cause) == (Phase.BACKOFF, "unknown")
    draining = Life().start().apply(wanted="stopped").hear(Exited("r1", 0, None, True, 1.0), Missing())
    assert draining.slot.phase is Phase.IDLE


def test_everything_adjourned_stops_by_the_deadline_and_starts_again_when_resumed() -> None:
    life = Life(stop_grace_ms=60_000).start()
    life.hear(Adjourned(life.now + 2.0))
    assert (life.slot.phase, next_deadline(life.slot)) == (Phase.STOPPING, life.now + 2.0)
    life.hear(StopSent("r1")).end(signal=15)
    assert (life.slot.phase, life.slot.suspended) == (Phase.IDLE, True)
    assert life.apply(digest="d2").slot.phase is Phase.IDLE
    assert life.hear(Resumed()).slot.phase is Phase.SPAWNING


@pytest.mark.parametrize(("code", "phase"), [(0, Phase.COMPLETED), (1, Phase.FAILED)])
def test_what_a_slot_came_to_survives_a_stop_of_everything(code: int, phase: Phase) -> None:
    life = Life(restart_policy="never").start().end(code).hear(Adjourned(0.0))
    assert life.slot.phase is phase
    assert life.hear(Resumed()).slot.phase is phase


def test_events_of_another_run_change_nothing() -> None:
    life = Life().start()
    before = life.slot
    others: list[Heard] = [
        Spawned("x", 1, 1.0), SpawnFailed("x", "", False, 1.0), Exited("x", 1, None, True, 1.0), GroupEmptied("x"),
        StopSent("x"), Found("x", 1, None, 1.0), GroupEmptied("r1"), SpawnFailed("r1", "", False, 1.0),
    ]  # fmt: skip
    assert life.hear(*others).slot == before


def test_only_a_live_run_that_would_be_replaced_asks_for_a_preflight() -> None:
    life = Life()
    assert not must_replace(life.slot, wish(2, revision="1-b"))
    life.start()
    assert must_replace(life.slot, wish(2, revision="1-b"))
    assert must_replace(life.slot, wish(2, run_request=1))
    assert not must_replace(life.slot, wish(2, digest="d2"))
    assert not must_replace(life.slot, wish(2, revision="1-b", wanted="stopped"))


def test_an_illegal_move_raises_with_the_story() -> None:
    life = Life().start().apply(wanted="stopped").hear(Exited("r1", 0, None, True, 1.0))
    with pytest.raises(IllegalMoveError, match=r"web/0: draining -> starting \(run r1\)"):
        life.hear(Found("r1", 100, None, 0.0))


def lives() -> list[Life]:
    """A life in each phase, several where it matters how it came there."""
    return [
        Life(wanted="stopped"),
        Life(wanted="stopped").hear(Removed(2)),
        Life().start().end(1),
        Life(),
        Life().hear(Spawned("r1", 1, 1e9 + 1000)),
        Life().start(),
        Life().start().apply(wanted="stopped"),
        Life().start().hear(Exited("r1", 1, None, True, 1.0)),
        Life().start().apply(wanted="stopped").hear(Exited("r1", 1, None, True, 1.0)),
        Life().start().hear(Exited("r1", 0, None, True, 1.0)),
        Life(restart_policy="never").start().hear(Exited("r1", 1, None, True, 1.0)),
        Life().start().hear(Removed(2), Exited("r1", 0, None, True, 1.0)),
        Life().start().apply(revision="1-b").hear(Exited("r1", 0, None, True, 1.0)),
        Life().start().end(0),
        Life(restart_policy="never").start().end(1),
        Life().hear(Removed(2)),
        Life().apply(wanted="stopped"),
        *hooked_lives(),
    ]


ALL_HOOKS = {name: hook() for name in ("pre_start", "post_start", "pre_stop", "post_stop")}


def hooked_lives() -> list[Life]:
    """Lives with hooks, up to each place where one may run."""

    def prepared(**changes: Any) -> Life:
        life = Life(hooks=ALL_HOOKS, **changes)
        return life.hook_ends().start()

    return [
        Life(hooks=ALL_HOOKS),
        Life(hooks=ALL_HOOKS).apply(hooks=ALL_HOOKS, revision="1-b"),
        Life(hooks=ALL_HOOKS).apply(hooks=ALL_HOOKS, wanted="stopped"),
        Life(hooks=ALL_HOOKS).hear(Removed(2)),
        Life(hooks=ALL_HOOKS, restart_policy="never"),
        Life(hooks=ALL_HOOKS).hook_ends(),
        Life(hooks=ALL_HOOKS).hook_ends().apply(hooks=ALL_HOOKS, revision="1-b"),
        Life(hooks={"pre_stop": hook()}).hear(Spawned("r1", 1, 1e9 + 1000)),
        prepared(),
        prepared().apply(wanted="stopped", hooks=ALL_HOOKS),
        prepared().hear(Exited("r1", 1, None, True, 1.0)),
        prepared().end(1),
        prepared().end(0),
        prepared(restart_policy="never").end(1),
        prepared().apply(hooks=ALL_HOOKS, revision="1-b").hook_ends().end(signal=15),
        prepared().apply(wanted="stopped", hooks=ALL_HOOKS).hook_ends().end(signal=15),
        prepared().hear(Removed(2)).hook_ends().end(signal=15),
        Life(hooks={"post_stop": hook()}).start().apply(hooks={"post_stop": hook()}, revision="1-b").end(signal=15),
        # Edits that add or take away the hook pre_start while another run is on its way out.
        Life().start().apply(hooks={"pre_start": hook()}, revision="1-b").hear(Exited("r1", 0, None, True, 1.0)),
        Life().start().end(1).apply(hooks={"pre_start": hook()}, wanted="running"),
        with_hook_added(Life().start().end(1)),
        with_hook_added(Life(wanted="stopped")),
        with_hook_added(Life().start().end(0)),
        with_hook_added(Life(restart_policy="never").start().end(1)),
        with_hook_added(Life().hear(Removed(2))),
    ]


def with_hook_added(life: Life) -> Life:
    """The next start has a hook: told to the slot behind the machine's back, so that its phase stays."""
    life.slot = replace(life.slot, wish=replace(life.slot.wish, launch={**life.slot.wish.launch, "hooks": ALL_HOOKS}))
    return life


def events(life: Life) -> list[Heard]:
    """What a life may hear next."""
    run, newer = life.slot.run or "x", life.slot.wish.generation + 1
    return [
        Applied(wish(newer)),
        Applied(wish(newer, wanted="stopped")),
        Applied(wish(newer, revision="1-c")),
        Applied(wish(newer, hooks=ALL_HOOKS, run_request=1)),
        Removed(newer),
        Spawned(run, 1, 1e9),
        SpawnFailed(run, "", False, 1.0),
        SpawnFailed(run, "", True, 1.0),
        Exited(run, 0, None, True, 1.0),
        GroupEmptied(run),
        Ticked(),
        Missing(),
        Adjourned(9.0),
        HookEnded(life.hook_run, True, "", 0, None, 1.0),
        HookEnded(life.hook_run, False, "", 1, None, 1.0),
    ]


def test_every_legal_move_can_be_reached() -> None:
    found: set[tuple[Phase, Phase]] = set()
    for first in lives():
        for event in events(first):
            life = copy.copy(first)
            life.now += 100.0
            life.moves = set()
            found |= life.hear(event).moves
        found |= first.moves
        if first.slot.run is None:
            found |= first.hear(Found("x", 1, first.slot.wish.revision, 1.0)).moves
    fresh = Life(wanted="stopped")
    fresh.slot = replace(fresh.slot, wish=wish())
    found |= fresh.hear(Found("x", 1, "1-a", 1.0)).moves
    # An adopted run that is not wanted is asked to stop in the same step: it went through STARTING.
    found |= {(before, Phase.STARTING) for before, after in found if after is Phase.STOPPING}
    assert {(before, after) for before, afters in MOVES.items() for after in afters} - found == set()


def test_without_a_start_grace_a_run_is_running_at_once() -> None:
    life = Life(start_grace_ms=0)
    assert life.hear(Spawned("r1", 1, life.now + 1e9)).slot.phase is Phase.RUNNING


def test_a_spawn_that_fails_when_nothing_is_wanted_any_more_is_at_rest() -> None:
    life = Life().apply(wanted="stopped").hear(SpawnFailed("r1", "no", transient=False, at=1.0))
    assert life.slot.phase is Phase.IDLE


@pytest.mark.parametrize(
    ("cause", "code", "signal", "text"),
    [
        ("exited", 1, None, "exited with code 1"),
        ("signaled", None, 11, "killed by SIGSEGV"),
        ("signaled", None, 999, "killed by signal 999"),
        ("spawn_failed", None, None, "could not be started"),
        ("unknown", None, None, "ended while nobody watched"),
    ],
)
def test_an_exit_in_words(cause: str, code: int | None, signal: int | None, text: str) -> None:
    assert describe_exit(cause, code, signal) == text
