"""When a run that must beat is silent, and what follows: the clocks and the machine, in virtual time."""

from __future__ import annotations

from typing import Any

import pytest

from controller.agent.heartbeats import Heartbeats
from controller.agent.probe_counts import due_probes, heartbeat_limit
from controller.agent.shapes import slot_from, state_value
from controller.agent.states import Exited, Found, GroupEmptied, Notified, Phase, ProbeFailed
from tests.agent.agent_builders import probe
from tests.agent.test_machine_decisions import Life

AHEAD_S = 5000.0
"""What the controller's clock shows beyond ours: nothing may depend on it."""


class Scene:
    """The clocks of one agent; `controller` is a controller that speaks each second, as long as it is there."""

    def __init__(self) -> None:
        self.now = 100.0
        self.clocks = Heartbeats()
        self.epoch = 1
        self.is_there = True
        self.heard: dict[str, float] = {}
        self.voice = self.clocks.begin("r1", self.now)

    def passes(self, seconds: int) -> Scene:
        for _ in range(seconds):
            self.now += 1.0
            if self.is_there:
                self.clocks.told(self.epoch, self.now + AHEAD_S, self.heard, self.now)
                self.heard = {}
        return self

    def beats(self, run: str = "r1") -> Scene:
        """By the controller."""
        self.heard[run] = self.now + AHEAD_S
        return self

    def speaks(self) -> Scene:
        """By NOTIFY_SOCKET."""
        self.clocks.spoke("r1", self.now)
        return self

    def leaves(self) -> Scene:
        self.is_there = False
        return self

    def comes(self, epoch: int = 1) -> Scene:
        self.is_there, self.epoch = True, epoch
        return self

    @property
    def silence(self) -> float | None:
        return self.clocks.silence("r1", self.now)


def test_a_run_that_was_never_heard_is_silent_from_its_begin_on_as_far_as_a_controller_is_there() -> None:
    assert Scene().passes(10).silence == 8.0  # the first message is the begin, the last one not yet counted
    assert Scene().leaves().passes(10).silence is None


def test_a_beat_starts_the_clock_anew_whichever_way_it_comes() -> None:
    assert Scene().passes(20).beats().passes(5).silence == 4.0
    assert Scene().passes(20).speaks().passes(5).silence == 5.0
    assert Scene().passes(20).speaks().beats().passes(5).speaks().passes(1).silence == 1.0
    assert Scene().passes(20).beats("another").passes(5).silence == 23.0


def test_a_run_that_only_speaks_for_itself_needs_no_controller() -> None:
    assert Scene().leaves().speaks().passes(7).silence == 7.0


def test_one_that_beats_by_the_controller_is_unknown_while_that_is_away_and_begins_anew_with_it() -> None:
    scene = Scene().passes(5).beats().passes(2).leaves().passes(3)
    assert scene.silence is not None
    assert scene.passes(1).silence is None
    assert scene.comes().passes(1).silence == 0.0
    assert scene.passes(8).silence == 7.0


def test_one_that_uses_both_ways_is_unknown_without_a_controller_though_it_says_nothing_itself() -> None:
    assert Scene().passes(2).beats().speaks().passes(2).leaves().passes(60).silence is None


def test_another_controller_begins_anew_though_it_is_there_at_once() -> None:
    scene = Scene().passes(2).beats().passes(20)
    assert scene.silence == 19.0
    assert scene.comes(epoch=2).passes(1).silence == 0.0
    assert scene.leaves().passes(9).silence is None  # that it beats by a controller is still known


def test_a_controller_that_was_busy_for_long_begins_anew_and_a_late_message_brings_no_time_back() -> None:
    scene = Scene().passes(10)
    scene.now += 3.5
    scene.clocks.told(1, scene.now + AHEAD_S, {}, scene.now)
    assert scene.silence == 0.0
    scene.passes(6)
    scene.clocks.told(1, scene.now + AHEAD_S - 4, {"r1": scene.now + AHEAD_S - 4}, scene.now)
    assert scene.silence == 3.0


def test_a_beat_that_came_while_the_controller_was_busy_is_waited_for() -> None:
    scene = Scene().passes(1).beats().passes(10)
    scene.now += 2.9
    scene.clocks.told(1, scene.now + AHEAD_S, {}, scene.now)  # it has not read what came meanwhile
    assert scene.silence == 10.0
    assert scene.beats().passes(1).silence == 0.0


def test_an_agent_that_was_stalled_reads_old_messages_and_begins_anew() -> None:
    scene = Scene().passes(1).beats().passes(10)
    stalled = scene.now
    scene.now += 60.0
    assert scene.silence is None
    for second in range(1, 61):
        scene.clocks.told(1, stalled + AHEAD_S + second, {}, scene.now)
        assert scene.silence == max(0.0, second - 2.0)  # counted from the first of them on


def test_one_that_begins_while_a_controller_is_there_has_all_its_time() -> None:
    scene = Scene().passes(50)
    scene.now += 0.5
    scene.voice = scene.clocks.begin("r1", scene.now)
    scene.now -= 0.5
    assert scene.passes(5).silence == 3.5


def test_what_is_over_is_forgotten_unless_it_has_begun_again() -> None:
    scene = Scene()
    again = scene.clocks.begin("r1", 101.0)
    scene.clocks.end(scene.voice)
    assert scene.speaks().silence == 0.0
    scene.clocks.end(again)
    assert scene.speaks().beats().passes(2).silence is None


# --- the machine -------------------------------------------------------------------------------------------------


def beating(timeout_ms: int = 30_000) -> dict[str, Any]:
    return {"probes": [probe("liveness", "heartbeat", timeout_ms=timeout_ms)]}


def due(life: Life) -> list[int]:
    """The time that a run has, as it is watched and as it is shown."""
    found = [found["timeout_ms"] for found in due_probes(life.slot)]
    assert found == [limit for limit in [heartbeat_limit(life.slot)] if limit is not None]
    return found


def test_a_missed_heartbeat_ends_the_run_and_counts_as_a_crash_of_its_own_kind() -> None:
    life = Life(**beating()).start()
    life.hear(ProbeFailed("r1", "liveness", "no heartbeat for 31 s, asked for every 30 s"))
    words = "the liveness probe failed: no heartbeat for 31 s, asked for every 30 s"
    assert (life.slot.phase, life.slot.reason, life.slot.message) == (Phase.STOPPING, "LivenessLost", words)
    assert "liveness_lost" in life.told
    life.end(signal=15)
    assert life.slot.last_exit is not None
    assert (life.slot.phase, life.slot.last_exit.cause, len(life.slot.attempts)) == (Phase.BACKOFF, "liveness", 1)


def test_it_is_due_when_the_run_has_started_and_not_before_its_startup_probe_has_succeeded() -> None:
    startup = probe("startup")
    life = Life(probes=[startup, *beating()["probes"]]).start()
    assert [found["kind"] for found in due_probes(life.slot)] == ["startup"]
    assert due(Life(**beating()).start()) == [30_000]


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.RUNNING])
def test_watchdog_trigger_ends_the_run_as_a_lost_liveness_also_where_nothing_was_asked_for(phase: Phase) -> None:
    life = Life(start_grace_ms=3_600_000 if phase is Phase.STARTING else 50).start()
    assert life.slot.phase is phase
    life.hear(Notified("r1", fails=True))
    assert (life.slot.phase, life.slot.message) == (Phase.STOPPING, "it said WATCHDOG=trigger")
    assert life.told[-2:] == ["liveness_lost", "stop_requested"]
    life.hear(Exited("r1", 0, None, True, 1.0), GroupEmptied("r1"))
    assert life.slot.last_exit is not None
    assert (life.slot.phase, life.slot.last_exit.cause) == (Phase.BACKOFF, "liveness")


def test_a_run_may_say_itself_how_long_it_may_be_silent_until_its_end() -> None:
    life = Life(**beating()).start()
    life.effects.clear()
    assert due(life.hear(Notified("r1", watchdog_ms=300_000), Notified("r1", watchdog_ms=300_000))) == [300_000]
    assert life.told == ["watchdog_set"]
    assert due(life.hear(Notified("r1", watchdog_ms=0))) == []
    assert due(life.end(1).later(1.0).start()) == [30_000]


def test_what_a_run_said_outlives_the_agent() -> None:
    life = Life(**beating()).start().hear(Notified("r1", watchdog_ms=300_000))
    again = slot_from("web/0", life.wish, state_value(life.slot))
    assert again == life.slot
    older = {key: value for key, value in state_value(life.slot).items() if key != "watchdog_ms"}
    life.slot = slot_from("web/0", life.wish, older)
    assert due(life.hear(Found("r1", 100, None, 0.0))) == [30_000]


def test_an_edit_to_more_time_counts_at_once_and_one_to_less_from_the_next_start_on() -> None:
    life = Life(**beating()).start()
    assert due(life.apply(**beating(60_000))) == [60_000]
    assert due(life.apply(**beating(10_000))) == [60_000]
    assert due(life.end(1).later(1.0).start()) == [10_000]


def test_an_edit_of_something_else_leaves_what_the_run_has_said() -> None:
    life = Life(**beating()).start().hear(Notified("r1", watchdog_ms=5000))
    assert due(life.apply(**beating(), stop_grace_ms=1)) == [5000]
    assert due(life.apply(**beating(40_000))) == [40_000]
    assert due(life.hear(Notified("r1", watchdog_ms=0)).apply(**beating(50_000))) == []


def test_one_that_must_beat_only_since_an_edit_was_told_nothing_at_its_start() -> None:
    life = Life().start()
    assert due(life.apply(**beating())) == [30_000]
    assert due(life.apply(**beating(10_000))) == [10_000]
