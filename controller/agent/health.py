"""What probes, and a run's own word over NOTIFY_SOCKET, do to the life of a slot. Pure; part of machine.py's one table.

The machine hears verdicts only; how often a check must succeed or fail is counted by probe_counts.py, and checks are
made by probes.py. STARTING ends by the startup probe; where there is none, by the first success of the readiness probe;
where there is neither, by living for `start_grace_ms`. READY=1 stands for a startup probe that is not there, and for a
readiness probe that is not there. Losing readiness costs nothing but `ready`; losing liveness ends the run, and so does
WATCHDOG=trigger.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from .decisions import Turn, has_probe, heartbeat_ms
from .states import Notified, Phase, ProbeFailed, ProbePassed, Slot, Step, Wish

NOT_READY = "NotReady"
"""The reason of a run whose readiness probe has failed as often as it may; the message says what it said then."""
_UP = (Phase.STARTING, Phase.RUNNING)


def starts_by_grace(slot: Slot) -> bool:
    """Whether being alive for the start grace is enough to be called running."""
    return not has_probe(slot, "startup") and not has_probe(slot, "readiness")


class HealthEvents(Turn):
    """The events of probes and notifications."""

    def probe_passed(self, event: ProbePassed) -> Step:
        """A probe is content."""
        if self.slot.phase not in _UP:
            return Step(self.slot)
        if event.kind == "readiness":
            self.become_ready("its readiness probe succeeded")
        ends_starting = "startup" if has_probe(self.slot, "startup") else "readiness"
        if self.slot.phase is Phase.STARTING and event.kind == ends_starting:
            self.become_running(f"its {event.kind} probe succeeded")
        return self.done()

    def probe_failed(self, event: ProbeFailed) -> Step:
        """A probe has failed too often."""
        if self.slot.phase not in _UP:
            return Step(self.slot)
        text = f"the {event.kind} probe failed: {event.message}"
        if event.kind == "readiness":
            self.become_unready(text)
        elif event.kind == "liveness":
            self.emit("liveness_lost", text)
            self.ask_to_stop("liveness", text)
        elif self.slot.phase is Phase.STARTING:
            self.emit("start_timed_out", text)
            self.ask_to_stop("start_timeout", text)
        return self.done()

    def notified(self, event: Notified) -> Step:
        """The run has said something about itself."""
        if self.slot.phase not in _UP:
            return Step(self.slot)
        if event.status is not None:
            self.set(notify_status=event.status)
        if event.ready and not has_probe(self.slot, "readiness"):
            self.become_ready("it said READY=1")
        if event.ready and self.slot.phase is Phase.STARTING and not has_probe(self.slot, "startup"):
            self.become_running("it said READY=1")
        if event.stopping:
            self.emit("stopping_announced", "it said STOPPING=1")
        if event.watchdog_ms is not None:
            self.set_watchdog(event.watchdog_ms)
        if event.fails:
            self.emit("liveness_lost", "it said WATCHDOG=trigger")
            self.ask_to_stop("liveness", "it said WATCHDOG=trigger")
        return self.done()

    def set_watchdog(self, watchdog_ms: int) -> None:
        """It has said itself how long it may be silent, until its end. Told where it must beat."""
        before = self.slot.watchdog_ms
        self.set(watchdog_ms=watchdog_ms)
        if watchdog_ms != before and heartbeat_ms(self.slot.wish) is not None:
            text = f"after {watchdog_ms / 1000:g} s of silence from now on" if watchdog_ms else "never"
            self.emit("watchdog_set", f"it said WATCHDOG_USEC: its heartbeat is missed {text}")

    def become_running(self, text: str) -> None:
        """The start is over."""
        self.move(Phase.RUNNING)
        self.set(since=self.now.wall)
        if not self.slot.wish.unclaimed:
            self.set(reason="", message="")
        self.emit("became_running", text)

    def become_ready(self, text: str) -> None:
        """It does its work; told once."""
        if self.slot.reason == NOT_READY:
            self.set(reason="", message="")
        if not self.slot.ready:
            self.set(ready=True)
            self.emit("became_ready", text)

    def become_unready(self, text: str) -> None:
        """It cannot do its work, now or still; told once until it can."""
        if self.slot.ready:
            self.emit("became_unready", text)
        elif self.slot.reason != NOT_READY:
            self.emit("readiness_failed", f"{text}; it was not ready before")
        if self.slot.reason != NOT_READY:
            self.set(reason=NOT_READY, message=text)
        self.set(ready=False)

    def follow_probes(self, before: Wish) -> None:
        """After an edit: what no probe can say any more is not known any more.

        A line that a new pattern asks for has still to be found; other checks are made anew all the time.
        """
        self.follow_heartbeat(heartbeat_ms(before))
        probe = probe_of(self.slot.wish, "readiness")
        if probe is None:
            if self.slot.reason == NOT_READY:
                self.set(reason="", message="")
            if self.slot.ready is False:
                self.set(ready=None)
        elif probe["check"] == "log_line" and probe != probe_of(before, "readiness") and self.slot.ready:
            self.set(ready=False)

    def follow_heartbeat(self, before_ms: Optional[int]) -> None:
        """More time counts at once. Less counts from the next start on: at its own the run was told how much it has."""
        told_ms, wanted_ms = self.slot.watchdog_ms, heartbeat_ms(self.slot.wish)
        if told_ms and wanted_ms is not None and wanted_ms != before_ms and wanted_ms > told_ms:
            self.set(watchdog_ms=wanted_ms)


def probe_of(wish: Wish, kind: str) -> Optional[Mapping[str, Any]]:
    """The probe of this kind that a wish has."""
    return next((probe for probe in wish.launch.get("probes") or () if probe["kind"] == kind), None)
