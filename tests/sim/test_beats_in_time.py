"""Hundreds of seeded histories of workers that must beat, in virtual time. See sim_beats.py."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from controller.agent.heartbeats import Heartbeats
from tests.sim import sim_beats

CHUNK = 40


def test_who_beats_in_time_is_never_failed_nor_is_anybody_for_an_absence_and_who_hangs_is_found_out() -> None:
    sim_beats.run_all(range(CHUNK))


@pytest.mark.e2e
def test_some_hundred_histories_of_heartbeats_keep_every_promise() -> None:
    sim_beats.run_all(range(CHUNK, 10 * CHUNK))


class CountsToTheLastMessage(Heartbeats):
    """What came while the controller was busy is not waited for."""

    def told(self, epoch: int, at: float, beats: Mapping[str, float], now: float) -> None:
        super().told(epoch, at, beats, now)
        if self._presence is not None:
            self._presence.before = self._presence.at


class KnowsNoAbsence(Heartbeats):
    """A controller that comes back goes on where it was."""

    def told(self, epoch: int, at: float, beats: Mapping[str, float], now: float) -> None:
        if self._presence is not None and epoch == self._presence.epoch:
            self._presence.came = now
            if at > self._presence.at:
                self._presence.at = at - 1.0
        super().told(epoch, at, beats, now)


class TrustsTheLastWord(Heartbeats):
    """A controller that is silent is as good as one that has heard of nobody."""

    def silence(self, run: str, now: float) -> float | None:
        if self._presence is not None and now > self._presence.came:
            spoken = now - self._presence.came
            self.told(self._presence.epoch, self._presence.at + spoken, {}, now)
        return super().silence(run, now)


class MixesClocks(Heartbeats):
    """Times of one controller are compared with those of another."""

    def told(self, epoch: int, at: float, beats: Mapping[str, float], now: float) -> None:
        super().told(1, at, beats, now)


class IsDeaf(Heartbeats):
    """WATCHDOG=1 means nothing."""

    def spoke(self, run: str, now: float) -> None:
        pass


@pytest.mark.parametrize("bug", [CountsToTheLastMessage, KnowsNoAbsence, TrustsTheLastWord, MixesClocks, IsDeaf])
def test_a_planted_bug_breaks_some_history(bug: type[Heartbeats]) -> None:
    with pytest.raises(sim_beats.Broken):
        sim_beats.run_all(range(400), bug)
