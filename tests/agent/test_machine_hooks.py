"""The machine of one slot: hooks, probes, and what a run says of itself."""

from __future__ import annotations

from typing import Any

import pytest

from controller.agent.machine import next_deadline
from controller.agent.states import (
    Adjourned,
    Exited,
    Found,
    GroupEmptied,
    HookEnded,
    HookRun,
    Missing,
    Notified,
    Phase,
    ProbeFailed,
    ProbePassed,
    Reap,
    Resumed,
    RunHook,
    Signal,
    Spawn,
    Spawned,
    StopSent,
    Waiting,
    Withheld,
)
from tests.agent.agent_builders import hook, probe
from tests.agent.test_machine_decisions import Life

PRE = {"pre_start": hook(timeout_ms=5000)}
STOP = {"pre_stop": hook(timeout_ms=3000)}
POST = {"post_stop": hook(timeout_ms=3000)}


def kill(run: str) -> Signal:
    return Signal(run, 9, group=True)


def test_the_process_is_spawned_when_its_pre_start_has_exited_with_0() -> None:
    life = Life(hooks=PRE)
    assert (life.slot.phase, life.asked) == (
        Phase.PREPARING,
        [RunHook(HookRun("pre_start", "r1-pre_start", life.now + 5.0))],
    )
    assert (life.hook_ends().slot.phase, life.asked) == (Phase.SPAWNING, [Spawn("r1")])


def test_a_failed_pre_start_is_a_failed_start_counted_like_a_crash() -> None:
    life = Life(hooks=PRE, max_restart_attempts=1, restart_delay_ms=1000).hook_ends(3)
    assert life.slot.last_exit is not None
    assert (life.slot.phase, life.slot.last_exit.cause, life.slot.last_exit.run) == (
        Phase.BACKOFF,
        "hook",
        "r1-pre_start",
    )
    assert "hook_failed" in life.told
    life.later(1.0).hook_ends(3)
    assert (life.slot.phase, life.slot.reason) == (Phase.FAILED, "GaveUp")
    assert "the hook pre_start exited with code 3" in life.slot.message


def test_a_pre_start_past_its_time_is_killed_and_failed_and_given_up_when_it_cannot_be_killed() -> None:
    life = Life(hooks=PRE)
    life.effects.clear()
    assert life.later(4.9).asked == []
    assert life.later(0.1).asked == [kill("r1-pre_start")]
    assert life.slot.phase is Phase.PREPARING
    assert life.later(5.0).slot.phase is Phase.BACKOFF
    assert "did not end in time and was killed" in life.slot.message


def test_a_stop_while_pre_start_runs_kills_it_and_rests() -> None:
    life = Life(hooks=PRE)
    life.effects.clear()
    life.apply(hooks=PRE, wanted="stopped")
    assert (life.slot.phase, life.asked) == (Phase.PREPARING, [kill("r1-pre_start")])
    life.hook_ends(None, signal=9)
    assert (life.slot.phase, life.slot.last_exit, life.asked) == (Phase.IDLE, None, [])


def test_a_start_that_is_wanted_again_before_its_killed_hook_is_gone_begins_anew() -> None:
    life = Life(hooks=PRE).apply(hooks=PRE, wanted="stopped").apply(hooks=PRE)
    life.hook_ends(None, signal=9)
    assert (life.slot.phase, life.slot.streak, life.slot.attempts) == (Phase.PREPARING, 0, ())


def test_an_edit_while_pre_start_runs_prepares_the_newest_revision_afterwards() -> None:
    life = Life(hooks=PRE).apply(hooks=PRE, revision="1-b")
    life.hook_ends()
    assert (life.slot.phase, life.slot.running_revision) == (Phase.PREPARING, "1-b")
    assert life.hook_ends().slot.phase is Phase.SPAWNING


def test_a_pre_start_that_nobody_remembers_is_a_failed_start_and_is_not_repeated_for_a_lost_order() -> None:
    lost = Life(hooks=PRE)
    lost.hear(HookEnded(lost.hook_run, False, "ended while nobody watched", None, None, 1.0))
    assert lost.slot.phase is Phase.BACKOFF
    ordered = Life(hooks=PRE).hook_ends()
    ordered.effects.clear()
    assert ordered.hear(Missing()).asked == [Spawn("r2")]


def test_pre_stop_runs_before_the_stop_signal_and_its_time_comes_on_top() -> None:
    life = Life(hooks=STOP, stop_grace_ms=5000).start()
    life.effects.clear()
    life.apply(hooks=STOP, stop_grace_ms=5000, wanted="stopped")
    assert (life.slot.phase, life.asked) == (
        Phase.LEAVING,
        [RunHook(HookRun("pre_stop", "r2-pre_stop", life.now + 3.0))],
    )
    life.now += 2.0
    life.hook_ends(1)
    assert (life.slot.phase, next_deadline(life.slot)) == (Phase.STOPPING, life.now + 5.0)
    assert life.asked == [Signal("r1", 15, group=True, asks=True)]


def test_a_process_that_ends_during_its_pre_stop_was_stopped_and_the_hook_goes() -> None:
    life = Life(hooks=STOP).start().apply(hooks=STOP, wanted="stopped")
    life.effects.clear()
    life.hear(Exited("r1", 1, None, True, 1.0))
    assert life.slot.last_exit is not None
    assert (life.slot.phase, life.slot.last_exit.cause) == (Phase.DRAINING, "stopped")
    assert life.slot.hook is None
    assert life.asked == [kill("r2-pre_stop")]


def test_post_stop_runs_after_the_whole_group_is_gone_also_after_a_crash() -> None:
    life = Life(hooks=POST).start()
    life.effects.clear()
    life.hear(Exited("r1", 1, None, True, 1.0))
    assert life.asked == []
    life.hear(GroupEmptied("r1"))
    assert (life.slot.phase, life.slot.run) == (Phase.CLEANING, None)
    assert life.asked == [Reap("r1"), RunHook(HookRun("post_stop", "r2-post_stop", life.now + 3.0))]
    assert life.hook_ends(1).slot.phase is Phase.BACKOFF


def test_time_in_post_stop_does_not_make_a_short_run_a_long_one() -> None:
    life = Life(hooks=POST, max_restart_attempts=None, restart_delay_ms=1000)
    delays = []
    for _ in range(3):
        life.hear(Spawned(life.run, 1, life.now + 1e9)).end(1)
        life.now += 2.5
        delays.append(life.hook_ends().slot.last_delay)
        life.later(life.slot.last_delay)
    assert delays == [1.0, 2.0, 4.0]


def test_post_start_runs_aside_and_its_failure_is_an_event() -> None:
    life = Life(hooks={"post_start": hook(timeout_ms=1000)})
    life.hear(Spawned("r1", 1, life.now + 1e9))
    assert life.slot.aside is not None
    life.hear(HookEnded(life.slot.aside.run, False, "exited with code 1", 1, None, 1.0))
    assert life.hear().slot.phase is Phase.STARTING
    assert life.hear().slot.aside is None
    assert "hook_failed" in life.told


def test_a_post_start_past_its_time_or_past_its_process_is_killed() -> None:
    hooks = {"post_start": hook(timeout_ms=1000)}
    slow = Life(hooks=hooks)
    slow.hear(Spawned("r1", 1, slow.now + 1e9))
    slow.effects.clear()
    assert slow.later(1.0).asked == [kill("r2-post_start")]
    orphan = Life(hooks=hooks)
    orphan.hear(Spawned("r1", 1, orphan.now + 1e9))
    orphan.effects.clear()
    assert orphan.hear(Exited("r1", 1, None, True, 1.0)).asked == [kill("r2-post_start")]
    stopped = Life(hooks=hooks)
    stopped.hear(Spawned("r1", 1, stopped.now + 1e9))
    stopped.effects.clear()
    stopped.apply(hooks=hooks, wanted="stopped")
    assert stopped.asked == [kill("r2-post_start"), Signal("r1", 15, group=True, asks=True)]


def test_hooks_end_by_the_deadline_of_a_stop_of_everything() -> None:
    life = Life(hooks=STOP, stop_grace_ms=60_000).start().hear(Adjourned(1010.0 + 2.0))
    assert (life.slot.phase, next_deadline(life.slot)) == (Phase.LEAVING, 1012.0)
    life.effects.clear()
    assert life.later(2.0).asked == [kill("r2-pre_stop")]


@pytest.mark.parametrize(
    ("probes", "event", "phase", "ready"),
    [
        (["startup"], ProbePassed("r1", "startup"), Phase.RUNNING, None),
        (["startup"], Notified("r1", ready=True), Phase.STARTING, True),
        (["startup", "readiness"], ProbePassed("r1", "startup"), Phase.RUNNING, False),
        (["startup", "readiness"], ProbePassed("r1", "readiness"), Phase.STARTING, True),
        (["readiness"], ProbePassed("r1", "readiness"), Phase.RUNNING, True),
        (["readiness"], Notified("r1", ready=True), Phase.RUNNING, False),
        ([], Notified("r1", ready=True), Phase.RUNNING, True),
        (["liveness"], ProbePassed("r1", "liveness"), Phase.STARTING, None),
    ],
)
def test_what_ends_starting_and_what_makes_ready(probes: list[str], event: Any, phase: Phase, ready: Any) -> None:
    life = Life(probes=[probe(kind) for kind in probes])
    life.hear(Spawned("r1", 1, life.now + 1e9), event)
    assert (life.slot.phase, life.slot.ready) == (phase, ready)


def test_with_a_probe_no_start_grace_ends_starting() -> None:
    life = Life(probes=[probe("readiness")])
    assert life.hear(Spawned("r1", 1, life.now + 1e9)).later(1000.0).slot.phase is Phase.STARTING


@pytest.mark.parametrize(("kind", "cause"), [("startup", "start_timeout"), ("liveness", "liveness")])
def test_a_failed_startup_or_liveness_ends_the_run_and_counts(kind: str, cause: str) -> None:
    life = Life(probes=[probe(kind)], max_restart_attempts=5)
    life.hear(Spawned("r1", 1, life.now + 1e9))
    life.hear(ProbeFailed("r1", kind, "connection refused"), StopSent("r1"))
    assert (life.slot.phase, life.slot.why_stopping) == (Phase.STOPPING, cause)
    life.end(signal=15)
    assert life.slot.last_exit is not None
    assert (life.slot.phase, life.slot.last_exit.cause, len(life.slot.attempts)) == (Phase.BACKOFF, cause, 1)
    assert life.slot.message == f"the {kind} probe failed: connection refused"


def test_an_edit_while_a_faulty_run_is_stopped_costs_nothing_of_the_budget() -> None:
    life = Life(probes=[probe("liveness")]).start()
    life.hear(ProbeFailed("r1", "liveness", "x")).apply(digest="d2").end(signal=15)
    assert (life.slot.phase, life.slot.attempts) == (Phase.SPAWNING, ())


def test_a_lost_readiness_costs_nothing_and_is_told_once() -> None:
    life = Life(probes=[probe("readiness")])
    life.hear(Spawned("r1", 1, life.now + 1e9), ProbePassed("r1", "readiness"))
    life.effects.clear()
    life.hear(*[ProbeFailed("r1", "readiness", "503")] * 3)
    assert (life.slot.phase, life.slot.ready, life.told) == (Phase.RUNNING, False, ["became_unready"])
    assert life.hear(*[ProbePassed("r1", "readiness")] * 3).told == ["became_ready"]


def test_a_readiness_that_never_came_is_told_once_with_what_the_probe_said() -> None:
    life = Life(probes=[probe("readiness")])
    life.hear(Spawned("r1", 1, life.now + 1e9))
    life.effects.clear()
    life.hear(*[ProbeFailed("r1", "readiness", "503")] * 3)
    assert (life.told, life.slot.reason) == (["readiness_failed"], "NotReady")
    assert life.slot.message == "the readiness probe failed: 503"
    life.hear(ProbePassed("r1", "readiness"))
    assert (life.slot.ready, life.slot.reason, life.slot.message) == (True, "", "")


def test_without_its_readiness_probe_nothing_is_said_of_readiness() -> None:
    life = Life(probes=[probe("readiness")])
    life.hear(Spawned("r1", 1, life.now + 1e9), ProbeFailed("r1", "readiness", "503")).apply(digest="d2")
    assert (life.slot.ready, life.slot.reason, life.slot.message) == (None, "", "")


def test_verdicts_of_another_run_or_of_one_that_stops_change_nothing() -> None:
    life = Life(probes=[probe("liveness")]).start().apply(wanted="stopped", probes=[probe("liveness")])
    before = life.slot
    assert life.hear(ProbeFailed("r1", "liveness", "x"), ProbeFailed("r0", "liveness", "x")).slot == before


def test_what_a_run_says_of_itself_is_kept_until_it_ends() -> None:
    life = Life().start().hear(Notified("r1", status="half way"), Notified("r1", stopping=True))
    assert (life.slot.notify_status, "stopping_announced" in life.told) == ("half way", True)
    assert life.end(1).slot.notify_status == ""


def test_an_out_of_memory_kill_needs_proof_and_a_stop_of_ours_is_none() -> None:
    def cause(life: Life, *, oom: bool) -> str:
        life.hear(Exited("r1", None, 9, True, 1.0, oom))
        assert life.slot.last_exit is not None
        return life.slot.last_exit.cause

    assert cause(Life().start(), oom=True) == "oom_killed"
    assert cause(Life().start(), oom=False) == "signaled"
    assert cause(Life().start().apply(wanted="stopped"), oom=True) == "stopped"


def test_a_slot_whose_secrets_nobody_brought_rests_until_it_is_applied_again() -> None:
    for life in (Life(), Life(hooks=PRE)):
        life.hear(Withheld("the value of TOKEN is not known"))
        assert (life.slot.phase, life.slot.reason, life.slot.hook) == (Phase.IDLE, "SecretsMissing", None)
        assert life.hear(Found("x", 1, "1-z", 1.0)).slot.phase is not Phase.IDLE


def test_a_start_waits_for_others_until_it_is_resumed() -> None:
    assert Life(wanted="stopped").hear(Waiting("waits for db")).slot.reason == ""
    waiting = Life(hooks=PRE).hear(Adjourned(0.0)).hook_ends(None, signal=9).hear(Waiting("waits for db"))
    assert (waiting.slot.phase, waiting.slot.reason) == (Phase.IDLE, "WaitingForDependency")
    assert waiting.hear(Resumed()).slot.phase is Phase.PREPARING


def test_what_others_need_stops_after_them_and_at_the_latest_in_time_for_its_own_grace() -> None:
    life = Life().start()
    life.hear(Adjourned(life.now + 30.0, asks_at=life.now + 20.0))
    assert (life.slot.phase, life.slot.suspended, next_deadline(life.slot)) == (Phase.RUNNING, True, life.now + 20.0)
    crashed = Life().start()
    crashed.hear(Adjourned(crashed.now + 30.0, asks_at=crashed.now + 20.0)).end(1)
    assert crashed.slot.phase is Phase.IDLE
    assert life.later(20.0).slot.phase is Phase.STOPPING
