"""The life of one slot: one event, one method, `(slot, event, now) -> (slot, effects)`. Pure.

Called by the supervisor for every slot, after each command, keeper event and passed deadline; it persists the new
slot, then performs the effects in order. Chance is an argument: `Dice` brings the next run id and the jitter.

Rules of this file:
- A second process is never spawned while the first may exist (`BUSY`); a run ends through DRAINING only.
- What is wanted is read when a decision is due, never remembered in the shape of a pending step: the newest wish
  wins, however many came while the old process was stopping.
- A person's restart or edit never consumes the restart budget; a crash always does, and so does a run that we ended
  because its probes failed.
Hooks stand in hooks.py, probes and what a run says of itself in health.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from signal import SIGKILL
from typing import Any, Optional

from .decisions import FAULTS, Dice, Turn, describe_exit, hooks_of, seconds, wants_running
from .health import HealthEvents, starts_by_grace
from .hooks import HookEvents
from .protocol import (
    CAUSE_COMPLETED,
    CAUSE_EXIT,
    CAUSE_KILLED,
    CAUSE_OOM,
    CAUSE_SIGNAL,
    CAUSE_SPAWN,
    CAUSE_STOPPED,
    CAUSE_UNKNOWN,
)
from .states import (
    ALIVE,
    BUSY,
    Adjourned,
    Applied,
    Exit,
    Exited,
    Found,
    GroupEmptied,
    Heard,
    HookEnded,
    Missing,
    Notified,
    Now,
    Phase,
    ProbeFailed,
    ProbePassed,
    Reap,
    Removed,
    Resumed,
    Slot,
    Spawned,
    SpawnFailed,
    Step,
    StopSent,
    Ticked,
    Waiting,
    Wish,
    Withheld,
)

DRAIN_PATIENCE_S = 0.2
"""How long it may take until an ended leader's group is known to be gone, before what may be left is asked to end."""


def accepts(slot: Optional[Slot], wish: Wish) -> str:
    """Whether a wish may be applied: empty, `same` (nothing to do) or `stale` (an older or contradicting one)."""
    if slot is None or wish.generation > slot.wish.generation:
        return ""
    return "same" if wish == slot.wish else "stale"


def step(slot: Slot, event: Heard, now: Now, dice: Dice) -> Step:
    """What follows from `event`. Events of a run that is not the slot's own change nothing."""
    run = getattr(event, "run", slot.run)
    if run != slot.run and not isinstance(event, Found):
        return Step(slot)
    return _METHODS[type(event)](_Machine(slot, now, dice), event)


def next_deadline(slot: Slot) -> Optional[float]:
    """When (mono) the slot wants a `Ticked`, or None."""
    dues = [_phase_deadline(slot)]
    dues += [hook.deadline for hook in (slot.hook, slot.aside) if hook is not None]
    return min((due for due in dues if due is not None), default=None)


def _phase_deadline(slot: Slot) -> Optional[float]:
    if slot.phase is Phase.STARTING and not slot.suspended and starts_by_grace(slot):
        return slot.started_mono + seconds(slot, "start_grace_ms")
    if slot.phase is Phase.BACKOFF:
        return slot.retry_at
    if slot.phase in (Phase.STOPPING, Phase.DRAINING, Phase.STARTING, Phase.RUNNING):
        return slot.deadline
    return None


def overruns(slot: Slot, until: float) -> bool:
    """Whether something of the slot that is to end may take longer than `until` (mono)."""
    if slot.hook is not None and not slot.hook.killed and slot.hook.deadline > until:
        return True
    is_stopping = slot.phase in (Phase.STOPPING, Phase.DRAINING) and not slot.killed
    return is_stopping and (slot.deadline or 0.0) > until


def must_replace(slot: Slot, wish: Wish) -> bool:
    """Whether applying `wish` would end a live run to start another: the caller asks the preflight first."""
    live = slot.phase in (Phase.STARTING, Phase.RUNNING)
    another = slot.running_revision != wish.revision or wish.run_request > slot.wish.run_request
    return live and wish.wanted == "running" and another


class _Machine(HookEvents, HealthEvents, Turn):
    """One method per event."""

    def applied(self, event: Applied) -> Step:
        """A newer wish: bring the slot in line with it."""
        before, wish = self.slot.wish, event.wish
        self.set(wish=wish)
        asked_for = wish.run_request > before.run_request and not before.removed
        if before.unclaimed:
            self.set(reason="", message="")
        edited = wish.digest != before.digest or wish.revision != before.revision
        started = before.wanted != wish.wanted or before.removed
        fresh = asked_for or edited or started
        if fresh:
            self.forgive()
            is_over = self.slot.phase in (Phase.DRAINING, Phase.CLEANING) and not self.slot.why_stopping
            if is_over or self.slot.why_stopping in FAULTS:
                # It crashed, and somebody changed something before all of it was gone: no delay, nothing counted.
                self.set(why_stopping="restart" if asked_for else "replace")
        self.follow_probes(before)
        self.spares_nobody = asked_for and wish.at_once
        if self.spares_nobody:
            self.hurry()
        if asked_for and self.slot.phase in (Phase.STARTING, Phase.RUNNING) and wants_running(self.slot):
            return self.ask_to_stop("restart")
        # What completed did so at its revision: a change that is worth no restart makes it run no second time.
        same_job = self.slot.phase is Phase.COMPLETED and wish.revision == before.revision
        return self.settle(retry=asked_for or started or (edited and not same_job))

    def removed(self, event: Removed) -> Step:
        """The slot is to go; what lives is stopped first."""
        if event.generation <= self.slot.wish.generation:
            return Step(self.slot)
        self.set(wish=replace(self.slot.wish, generation=event.generation, removed=True))
        return self.settle()

    def spawned(self, event: Spawned) -> Step:
        """The order to spawn was carried out."""
        if self.slot.phase is not Phase.SPAWNING:
            return Step(self.slot)
        self.begin_run(event.pid, event.at)
        self.emit("started", f"started as pid {event.pid} at revision {self.slot.running_revision}", {"pid": event.pid})
        if seconds(self.slot, "start_grace_ms") <= 0 and starts_by_grace(self.slot):
            self.move(Phase.RUNNING)
            self.set(since=self.now.wall)
        slot = self.settle().slot
        if slot.phase in (Phase.STARTING, Phase.RUNNING) and "post_start" in hooks_of(slot):
            self.set(aside=self.begin_hook("post_start"))
        return self.done()

    def spawn_failed(self, event: SpawnFailed) -> Step:
        """Nothing was executed: final, unless only the host is at fault or it could be executed before."""
        if self.slot.phase is not Phase.SPAWNING:
            return Step(self.slot)
        self.set(last_exit=Exit(CAUSE_SPAWN, None, None, event.at, event.run))
        self.emit("spawn_failed", event.message, cause=CAUSE_SPAWN)
        self.set(run=None, pid=None, started_mono=self.now.mono, ended_mono=self.now.mono)
        if not wants_running(self.slot):
            return self.rest()
        if self.slot.running_revision != self.slot.wish.revision:
            return self.spawn()  # What failed was ordered before the edit.
        if event.transient:
            return self.back_off("HostBusy", event.message)
        if self.slot.ran_revision != self.slot.wish.revision:
            return self.fail("CannotStart", event.message)
        # It could be executed before: a deployment may be replacing the file just now. Tried again, and counted.
        return self.retry_or_give_up(event.message)

    def exited(self, event: Exited) -> Step:
        """The leader is gone; its group may not be."""
        if self.slot.phase not in (*ALIVE, Phase.SPAWNING):
            return Step(self.slot)
        if self.slot.phase is Phase.SPAWNING:
            # The keeper that told of the start is gone with its message; the run existed all the same.
            self.begin_run(0, event.at)
        cause = self.cause_of(event)
        self.set(last_exit=Exit(cause, event.code, event.signal, event.at, event.run), pid=None)
        self.set(ended_mono=self.now.mono, ready=None)
        self.drop_hook()
        self.drop_aside()
        lived = max(0.0, event.at - (self.slot.started_wall or event.at))
        self.emit(
            "exited",
            f"{describe_exit(cause, event.code, event.signal)} after {lived:.1f} s",
            {"code": event.code, "signal": event.signal, "lived_s": round(lived, 3)},
            cause,
        )
        # A stop's deadline goes on for the rest of the group; otherwise the rest gets a moment before it is asked.
        if self.slot.phase is not Phase.STOPPING:
            self.set(deadline=self.now.mono + DRAIN_PATIENCE_S, asked=False, killed=False)
        self.move(Phase.DRAINING)
        if self.slot.wish.launch["stop_kill"] == "main":
            self.effects.append(Reap(event.run, force=True))
            return self.run_is_over()
        return self.done()

    def group_emptied(self, event: GroupEmptied) -> Step:
        """Now the run is over."""
        if self.slot.phase is not Phase.DRAINING:
            return Step(self.slot)
        self.effects.append(Reap(event.run))
        return self.run_is_over()

    def stop_sent(self, _event: StopSent) -> Step:
        """The stop signal has left us: an adoption will not send it again."""
        self.set(asked=True)
        return self.done()

    def ticked(self, _event: Ticked) -> Step:
        """A deadline has passed: of a hook, or of the phase."""
        self.aside_due()
        hook = self.slot.hook
        if hook is not None and hook.deadline <= self.now.mono:
            return self.hook_due(hook)
        due = _phase_deadline(self.slot)
        if due is not None and due <= self.now.mono:
            return self.phase_due()
        return self.done()

    def phase_due(self) -> Step:
        """Grace over, retry due, kill due, or nobody needs it any longer."""
        phase = self.slot.phase
        if self.slot.suspended and phase in (Phase.STARTING, Phase.RUNNING):
            return self.settle()
        if phase is Phase.STARTING:
            self.become_running(f"alive for {self.slot.wish.launch['start_grace_ms']} ms")
        elif phase is Phase.BACKOFF:
            return self.spawn(counted=True)
        elif phase is Phase.STOPPING or self.slot.asked:
            self.kill()
        else:
            self.ask(self.now.mono + seconds(self.slot, "stop_grace_ms"))
            self.emit("group_left", "its process group is not known to be empty: asked to end")
        return self.done()

    def adjourned(self, event: Adjourned) -> Step:
        """Everything stops, at the latest at the deadline; what others need, after them."""
        self.set(suspended=True)
        if event.asks_at is not None and self.slot.phase in (Phase.STARTING, Phase.RUNNING):
            self.set(deadline=event.asks_at)
            return self.done()
        self.settle()
        if self.slot.phase in (Phase.STOPPING, Phase.DRAINING) and not self.slot.killed:
            self.set(deadline=min(self.slot.deadline or event.deadline, event.deadline))
        self.hurry_hooks(event.deadline)
        return self.done()

    def resumed(self, _event: Resumed) -> Step:
        """What was adjourned may start again."""
        if not self.slot.suspended:
            return Step(self.slot)
        self.set(suspended=False)
        if self.slot.phase in (Phase.STARTING, Phase.RUNNING):
            self.set(deadline=None)
        return self.settle(retry=self.slot.phase is Phase.IDLE)

    def waiting(self, event: Waiting) -> Step:
        """Its start waits for others: `Resumed` is what starts it."""
        if self.slot.phase is not Phase.IDLE or not wants_running(replace(self.slot, suspended=False)):
            return Step(self.slot)
        self.set(suspended=True, reason="WaitingForDependency", message=event.message)
        return self.done()

    def withheld(self, event: Withheld) -> Step:
        """What was ordered needs values that nobody has brought yet: rest until somebody does."""
        if self.slot.phase not in (Phase.PREPARING, Phase.SPAWNING):
            return Step(self.slot)
        self.set(run=None, pid=None, hook=None, running_revision=None)
        if not wants_running(self.slot):
            return self.rest()
        self.move(Phase.IDLE)
        self.set(reason="SecretsMissing", message=event.message, since=self.now.wall)
        self.emit("secrets_missing", event.message)
        return self.done()

    def missing(self, _event: Missing) -> Step:
        """The keeper does not know the run: it was never started, or its end was told to nobody who remembers."""
        phase, run = self.slot.phase, self.slot.run
        if phase is Phase.SPAWNING:
            self.set(run=None)
            if not wants_running(self.slot):
                return self.rest()
            # The hook pre_start has run for it already, and once is enough, unless it was another revision's.
            return self.order() if self.slot.running_revision == self.slot.wish.revision else self.spawn()
        if phase not in BUSY or run is None:
            return Step(self.slot)
        if phase is not Phase.DRAINING:
            self.exited(Exited(run, None, None, known=False, at=self.now.wall))
        if self.slot.phase is Phase.DRAINING:
            self.run_is_over()
        return self.done()

    def found(self, event: Found) -> Step:
        """A run of this slot is alive at the keeper. Adopted: same pid, no restart, nothing counted."""
        slot = self.slot
        if slot.run == event.run and slot.phase in ALIVE:
            if slot.phase is Phase.STOPPING and not slot.asked and not slot.killed:
                self.ask(slot.deadline or self.now.mono)
            self.set(pid=event.pid)
            return self.done()
        if slot.phase in BUSY and slot.run != event.run:
            return Step(slot)
        self.set(run=event.run, running_revision=event.revision or slot.wish.revision)
        self.begin_run(event.pid, event.at)
        self.emit("adopted", f"found running as pid {event.pid}", {"pid": event.pid})
        return self.settle()

    def cause_of(self, event: Exited) -> str:
        """Why the run ended, told apart by proof only."""
        if self.slot.phase in (Phase.LEAVING, Phase.STOPPING):
            if self.slot.why_stopping in FAULTS:
                return FAULTS[self.slot.why_stopping]
            return CAUSE_KILLED if self.slot.killed and event.signal in (int(SIGKILL), None) else CAUSE_STOPPED
        if event.oom and event.code not in self.slot.wish.launch["success_exit_codes"]:
            return CAUSE_OOM
        if not event.known:
            return CAUSE_UNKNOWN
        if event.signal is not None:
            return CAUSE_SIGNAL
        return CAUSE_COMPLETED if event.code in self.slot.wish.launch["success_exit_codes"] else CAUSE_EXIT


_METHODS: Mapping[type, Callable[[Any, Any], Step]] = {
    Applied: _Machine.applied,
    Removed: _Machine.removed,
    Spawned: _Machine.spawned,
    SpawnFailed: _Machine.spawn_failed,
    Exited: _Machine.exited,
    GroupEmptied: _Machine.group_emptied,
    StopSent: _Machine.stop_sent,
    Ticked: _Machine.ticked,
    Adjourned: _Machine.adjourned,
    Resumed: _Machine.resumed,
    Missing: _Machine.missing,
    Found: _Machine.found,
    HookEnded: _Machine.hook_ended,
    ProbePassed: _Machine.probe_passed,
    ProbeFailed: _Machine.probe_failed,
    Notified: _Machine.notified,
    Withheld: _Machine.withheld,
    Waiting: _Machine.waiting,
}
