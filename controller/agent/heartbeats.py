"""When runs that must beat were last heard, and for how long they have been silent. Pure: times are arguments.

Heartbeats come in two ways. `WATCHDOG=1` comes from the run itself over NOTIFY_SOCKET (`spoke`). What a run sends to
the HTTP API comes from the controller, all of the last second in one message, also where nobody beat (`told`).

Rules of this file:
- What came through the controller says nothing while the controller is silent. Once it is back, or another one is
  there, all clocks of that way start anew: an outage of the controller is no silence of a worker.
- The controller's times are its own clock's and are compared with each other only. How long a message was on its way
  therefore changes no verdict.
- A message tells all that had come by the time of the message before it; what comes while the controller is busy is
  noticed one later. So silence is counted up to there, and a beat that was sent in time is never missed.
- A run that has only ever used NOTIFY_SOCKET needs no controller. One that was never heard may use either, so silence
  is known of it only while a controller is there.

Called by commands.py and notify.py with what was heard, and by probes.py, which asks. `now` is monotonic, and stands
still while the host sleeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

ABSENT_S = 3.0
"""A controller that has not been heard for longer is away. It speaks each second."""

_NEVER = float("-inf")


@dataclass
class Voice:
    """One run that must beat: since when, and when it was heard in either way. `relayed` is the controller's time."""

    run: str
    since: float
    relayed_since: float = _NEVER
    spoken: Optional[float] = None
    relayed: Optional[float] = None


@dataclass
class _Presence:
    """A controller that speaks: since when without a break, its last message and the one before, in its own time.

    `came` is when the last one came, in ours.
    """

    epoch: int
    since: float
    before: float
    at: float
    came: float


class Heartbeats:
    """One per agent. Holds as many entries as there are runs that must beat."""

    def __init__(self) -> None:
        self._voices: dict[str, Voice] = {}
        self._presence: Optional[_Presence] = None

    def begin(self, run: str, now: float) -> Voice:
        """From now on the run must beat; its clock starts."""
        voice = Voice(run, now)
        if self._presence is not None:
            voice.relayed_since = self._presence.at + (now - self._presence.came)
        self._voices[run] = voice
        return voice

    def end(self, voice: Voice) -> None:
        """It need not any more. Another one that has begun for the same run stays."""
        if self._voices.get(voice.run) is voice:
            del self._voices[voice.run]

    def spoke(self, run: str, now: float) -> None:
        """The run has said WATCHDOG=1."""
        if run in self._voices:
            self._voices[run].spoken = now

    def told(self, epoch: int, at: float, beats: Mapping[str, float], now: float) -> None:
        """A controller's message: at its time `at` it had heard these runs, each last at a time of the same clock."""
        found = self._presence
        if found is None or found.epoch != epoch:
            self._begin_anew(epoch, at, now)
        elif at > found.at:
            if at - found.at > ABSENT_S or now - found.came > ABSENT_S:
                self._begin_anew(epoch, at, now)
            else:
                found.before, found.at, found.came = found.at, at, now
        for run, heard in beats.items():
            voice = self._voices.get(run)
            if voice is not None:
                voice.relayed = max(heard, _NEVER if voice.relayed is None else voice.relayed)

    def silence(self, run: str, now: float) -> Optional[float]:
        """For how many seconds nothing has been heard of a run that must beat; None while that cannot be known."""
        voice = self._voices.get(run)
        if voice is None:
            return None
        spoken = now - (voice.since if voice.spoken is None else voice.spoken)
        if voice.spoken is not None and voice.relayed is None:
            return spoken
        presence = self._presence
        if presence is None or now - presence.came > ABSENT_S:
            return None
        heard = max(presence.since, voice.relayed_since, _NEVER if voice.relayed is None else voice.relayed)
        return min(spoken, max(0.0, presence.before - heard))

    def _begin_anew(self, epoch: int, at: float, now: float) -> None:
        if self._presence is None or self._presence.epoch != epoch:
            # Times of another controller's clock mean nothing to this one's; that they were heard so is still known.
            for voice in self._voices.values():
                voice.relayed_since = _NEVER
                voice.relayed = None if voice.relayed is None else _NEVER
        self._presence = _Presence(epoch, at, at, at, now)
