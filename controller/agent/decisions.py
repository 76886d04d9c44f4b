"""What a slot does next: the decisions and the building blocks that the machine's events share. Pure.

Each decision reads the newest wish when it is due. machine.py maps events to these; nothing else calls them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from signal import SIGKILL, Signals
from typing import Any, Optional

from .backoff import base_delay_ms
from .protocol import CAUSE_COMPLETED, CAUSE_LIVENESS, CAUSE_OOM, CAUSE_SPAWN, CAUSE_START_TIMEOUT
from .states import (
    BUSY,
    MOVES,
    Effect,
    Emit,
    HookRun,
    IllegalMoveError,
    Now,
    Phase,
    RunHook,
    Signal,
    Slot,
    Spawn,
    Step,
    Wish,
)

REKILL_S = 0.25
"""A killed group is killed again this often: a member may have forked between the look and the kill."""
REKILL_AT_MOST_S = 10.0
"""And this seldom in the end: what hangs in the kernel goes when the kernel lets it, not when it is killed again."""
STUCK_S = 5.0
"""So long after its kill it is told that something does not go."""
UNKILLABLE = "Unkillable"
HOOK_PATIENCE_S = 5.0
"""A killed hook that is still there after this long (it hangs in the kernel) holds nothing up any more."""
STABLE_S = 0.1
"""A run that lived shorter than this never counts as stable, whatever its start grace."""

_STOP_REASONS = {
    "stop": "Stopping",
    "replace": "Replacing",
    "restart": "Restarting",
    "remove": "Removing",
    "adjourn": "ControllerStopping",
    "start_timeout": "StartTimeout",
    "liveness": "LivenessLost",
}
FAULTS = {"start_timeout": CAUSE_START_TIMEOUT, "liveness": CAUSE_LIVENESS}
"""Words of `Slot.why_stopping` that are the run's own fault: it is stopped by us, and counts as a crash."""


@dataclass(frozen=True)
class Dice:
    """Chance as an argument: the id of the run that would be spawned next, and a number in [0, 1) for the jitter."""

    run: str
    fraction: float


def seconds(slot: Slot, field: str) -> float:
    """A launch field given in ms, in seconds."""
    return float(slot.wish.launch[field]) / 1000.0


def hooks_of(slot: Slot) -> Mapping[str, Any]:
    """The hooks of the newest launch, by name."""
    found: Mapping[str, Any] = slot.wish.launch.get("hooks") or {}
    return found


def has_probe(slot: Slot, kind: str) -> bool:
    """Whether the newest launch has a probe of this kind."""
    return any(probe["kind"] == kind for probe in slot.wish.launch.get("probes") or ())


def heartbeat_ms(wish: Wish) -> Optional[int]:
    """How long a run of this wish may be silent; None where it need not beat."""
    found = [probe["timeout_ms"] for probe in wish.launch.get("probes") or () if probe["check"] == "heartbeat"]
    return int(found[0]) if found else None


def wants_running(slot: Slot) -> bool:
    """Whether a process should exist for the slot now."""
    return slot.wish.wanted == "running" and not slot.wish.removed and not slot.suspended


class Turn:
    """One step in the making: the slot as it becomes, and the effects so far."""

    def __init__(self, slot: Slot, now: Now, dice: Dice) -> None:
        self.slot, self.now, self.dice = slot, now, dice
        self.effects: list[Effect] = []
        self.spares_nobody = False
        """What this step ends is killed without being asked: a person said so with the very wish it serves."""

    # --- decisions ---

    def settle(self, *, retry: bool = False) -> Step:
        """Bring the phase in line with the wish. `retry`: what failed, completed or waits may be tried at once."""
        slot = self.slot
        if slot.phase in (Phase.STARTING, Phase.RUNNING):
            if not wants_running(slot):
                return self.ask_to_stop("remove" if slot.wish.removed else "adjourn" if slot.suspended else "stop")
            if slot.running_revision != slot.wish.revision:
                return self.ask_to_stop("replace")
        elif slot.phase is Phase.PREPARING and slot.hook is not None:
            if not wants_running(slot) and not slot.hook.killed:
                self.kill_hook(slot.hook, "unwanted")
        elif slot.phase not in BUSY:
            if not wants_running(slot):
                return self.rest()
            if slot.phase in (Phase.IDLE, Phase.GONE) or retry:
                return self.spawn()
        return self.done()

    def run_is_over(self) -> Step:
        """The run and its group are gone: post_stop, where there is one, then what comes next."""
        self.set(run=None, pid=None, running_revision=None, deadline=None, started_wall=None, asked_mono=None)
        self.set(ready=None, notify_status="")
        if "post_stop" not in hooks_of(self.slot):
            return self.after_run()
        self.move(Phase.CLEANING)
        self.set(hook=self.begin_hook("post_stop"))
        return self.done()

    def after_run(self) -> Step:
        """All that belongs to the run is over: what now? Read from the newest wish."""
        slot, ended = self.slot, self.slot.last_exit
        if slot.wish.unclaimed:
            # Nobody asked for it: the slot was there for its run only.
            self.set(wish=replace(slot.wish, removed=True))
            return self.rest()
        if not wants_running(slot):
            return self.rest()
        if slot.why_stopping in FAULTS:
            self.set(why_stopping="")
            return self.retry_or_give_up(slot.message)
        if slot.why_stopping or ended is None:
            return self.spawn()
        text = describe_exit(ended.cause, ended.code, ended.signal)
        if ended.cause == CAUSE_COMPLETED:
            if slot.wish.launch["restart_policy"] == "always":
                return self.back_off("Completed", text)
            self.move(Phase.COMPLETED)
            self.set(reason="Completed", message=text, since=self.now.wall)
            self.emit("completed", text, cause=CAUSE_COMPLETED)
            return self.done()
        return self.retry_or_give_up(text)

    def retry_or_give_up(self, text: str) -> Step:
        """A crash: try again within the budget, else give up."""
        launch = self.slot.wish.launch
        if launch["restart_policy"] == "never":
            return self.fail("NotRestarted", f"{text}; auto_restart is never")
        window, most = seconds(self.slot, "restart_window_ms"), launch["max_restart_attempts"]
        attempts = tuple(at for at in self.slot.attempts if at > self.now.mono - window)
        if most is not None and len(attempts) >= most:
            self.set(attempts=attempts)
            count = "1 restart" if most == 1 else f"{most} restarts"
            return self.fail("GaveUp", f"{text}; gave up after {count} within {window:.0f} s")
        self.set(attempts=(*attempts, self.now.mono))
        budget = "" if most is None else f" (restart {len(attempts) + 1} of {most} within {window:.0f} s)"
        return self.back_off("Crashed", text, budget)

    def back_off(self, reason: str, text: str, budget: str = "") -> Step:
        """Wait before the next run; longer with each one that did not live long enough to be called stable."""
        slot, launch = self.slot, self.slot.wish.launch
        stable = max(seconds(slot, "start_grace_ms"), slot.last_delay, STABLE_S)
        streak = 0 if slot.ended_mono - slot.started_mono >= stable else slot.streak
        base = base_delay_ms(
            launch["restart_delay_ms"], launch["backoff_factor"], launch["backoff_max_delay_ms"], streak
        )
        delay = base / 1000.0 * (1.0 + launch["backoff_jitter"] * self.dice.fraction)
        self.move(Phase.BACKOFF)
        self.set(
            retry_at=self.now.mono + delay, last_delay=delay, streak=streak + 1, since=self.now.wall, reason=reason,
            message=text,
        )  # fmt: skip
        message = f"{text}; next try in {delay:.1f} s{budget}"
        self.emit("restart_scheduled", message, {"delay_s": round(delay, 3), "at": self.now.wall + delay}, reason)
        return self.done()

    def fail(self, reason: str, text: str) -> Step:
        """Give up until an edit, a start or a restart."""
        self.move(Phase.FAILED)
        self.set(reason=reason, message=text, since=self.now.wall, retry_at=None)
        self.emit("gave_up", text, cause=reason)
        return self.done()

    def rest(self) -> Step:
        """No process, and none is wanted."""
        phase = self.slot.phase
        if self.slot.wish.removed:
            if phase is not Phase.GONE:
                self.move(Phase.GONE)
                self.emit("removed", "removed; no process is left")
        elif self.slot.suspended and phase in (Phase.COMPLETED, Phase.FAILED):
            pass  # What it came to stays known: a stop of everything must not make a finished job run again.
        elif phase is not Phase.IDLE:
            self.move(Phase.IDLE)
            self.set(reason="Stopped", message="", since=self.now.wall, retry_at=None, why_stopping="")
            if phase in (Phase.DRAINING, Phase.CLEANING):
                self.emit("stopped", "stopped; no process is left")
        return self.done()

    def spawn(self, *, counted: bool = False) -> Step:
        """Begin the next run: with its hook pre_start, where it has one. `counted`: it is an automatic restart."""
        self.set(restart_count=self.slot.restart_count + (1 if counted else 0), retry_at=None, why_stopping="")
        if "pre_start" not in hooks_of(self.slot):
            return self.order()
        self.move(Phase.PREPARING)
        self.set(
            run=None, running_revision=self.slot.wish.revision, pid=None, started_wall=None, since=self.now.wall,
            reason="Preparing", message="the hook pre_start runs", hook=self.begin_hook("pre_start"),
        )  # fmt: skip
        return self.done()

    def order(self) -> Step:
        """Order the run itself."""
        self.move(Phase.SPAWNING)
        self.set(
            run=self.dice.run, run_number=self.slot.run_number + 1, running_revision=self.slot.wish.revision,
            pid=None, started_wall=None, since=self.now.wall, why_stopping="", asked=False, killed=False,
            deadline=None, retry_at=None, reason="", message="", watchdog_ms=heartbeat_ms(self.slot.wish),
        )  # fmt: skip
        self.effects.append(Spawn(self.dice.run))
        return self.done()

    def ask_to_stop(self, why: str, message: str = "") -> Step:
        """Begin to end the live run; `why` is one of the words of `Slot.why_stopping`. pre_stop comes first."""
        self.drop_aside()
        # A stop stays one that spares nobody, also for a run that was on its way when it came.
        if self.spares_nobody or (why == "stop" and self.slot.wish.at_once):
            return self.kill_at_once(why, message)
        grace, name = seconds(self.slot, "stop_grace_ms"), self.slot.wish.launch["stop_signal"]
        text = f"asked to end by SIG{name}; killed after {grace:.1f} s"
        is_first = "pre_stop" in hooks_of(self.slot)
        text = f"the hook pre_stop runs, then it is {text}" if is_first else text
        self.move(Phase.LEAVING if is_first else Phase.STOPPING)
        self.set(
            why_stopping=why, since=self.now.wall, asked=False, killed=False, deadline=None,
            reason=_STOP_REASONS[why], message=message,
        )  # fmt: skip
        self.emit("stop_requested", text, {"why": why}, why)
        if is_first:
            self.set(hook=self.begin_hook("pre_stop"))
        else:
            self.ask(self.now.mono + grace)
        return self.done()

    def kill_at_once(self, why: str, message: str = "") -> Step:
        """End the live run without a signal before, a grace, or the hook pre_stop."""
        self.move(Phase.STOPPING)
        self.set(
            why_stopping=why, since=self.now.wall, asked=False, killed=False, deadline=None, asked_mono=None,
            reason=_STOP_REASONS[why], message=message,
        )  # fmt: skip
        self.emit("stop_requested", "killed at once, as was asked for", {"why": why, "at_once": True}, why)
        self.kill()
        return self.done()

    def hurry(self) -> None:
        """What is on its way to its end already is given no more time."""
        if self.slot.phase is Phase.LEAVING:
            self.drop_hook()
            self.move(Phase.STOPPING)
        if self.slot.phase in (Phase.STOPPING, Phase.DRAINING) and not self.slot.killed:
            self.kill()

    # --- building blocks ---

    def begin_run(self, pid: int, at: float) -> None:
        """The run executes since `at` (wall time)."""
        self.move(Phase.STARTING)
        revision = self.slot.running_revision
        self.set(
            pid=pid or None, started_wall=at, started_mono=self.now.mono - max(0.0, self.now.wall - at),
            since=self.now.wall, ran_revision=revision, asked=False, killed=False,
            why_stopping="", deadline=None, ready=False if has_probe(self.slot, "readiness") else None,
            notify_status="",
        )  # fmt: skip

    def ask(self, deadline: float) -> None:
        """Send the stop signal; the kill is due at `deadline` (mono)."""
        assert self.slot.run is not None
        launch = self.slot.wish.launch
        number = int(Signals[f"SIG{launch['stop_signal']}"])
        self.effects.append(Signal(self.slot.run, number, group=launch["stop_kill"] == "group", asks=True))
        self.set(deadline=deadline, asked=False, asked_mono=self.now.mono)

    def kill(self) -> None:
        """Kill what is left of the run; called again until the keeper says that nothing is."""
        assert self.slot.run is not None
        group = self.slot.wish.launch["stop_kill"] == "group"
        self.effects.append(Signal(self.slot.run, int(SIGKILL), group=group))
        if not self.slot.killed:
            # What was granted may be longer: everything may have had to stop sooner.
            asked_at = self.slot.asked_mono
            waited = None if asked_at is None else max(0.0, self.now.mono - asked_at)
            self.emit(
                "killed",
                "killed" if waited is None else f"did not end within {waited:.1f} s of being asked and was killed",
            )
            self.set(killed_mono=self.now.mono)
        lasts = self.now.mono - (self.slot.killed_mono or self.now.mono)
        if lasts >= STUCK_S and self.slot.reason != UNKILLABLE:
            text = f"still there {lasts:.0f} s after its kill: it hangs in the kernel; nothing is started until it goes"
            self.emit("unkillable", text)
            self.set(reason=UNKILLABLE, message=self.slot.message or text)
        pause = min(max(REKILL_S, lasts / 2), REKILL_AT_MOST_S)
        self.set(killed=True, asked=True, deadline=self.now.mono + pause)

    def begin_hook(self, name: str) -> HookRun:
        """Order a hook. Its run is named after it, so that its output can be told from the worker's."""
        timeout = float(hooks_of(self.slot)[name]["timeout_ms"]) / 1000.0
        hook = HookRun(name, f"{self.dice.run}-{name}", self.now.mono + timeout)
        self.effects.append(RunHook(hook))
        return hook

    def kill_hook(self, hook: HookRun, why: str) -> None:
        """Kill the hook that is waited for. One that even then stays is given up after a while."""
        self.effects.append(Signal(hook.run, int(SIGKILL), group=True))
        self.set(hook=replace(hook, killed=why, deadline=self.now.mono + HOOK_PATIENCE_S))

    def drop_hook(self) -> None:
        """Kill the hook of this moment and wait for it no longer: what it was for is over."""
        if self.slot.hook is not None:
            self.effects.append(Signal(self.slot.hook.run, int(SIGKILL), group=True))
            self.set(hook=None)

    def drop_aside(self) -> None:
        """Kill a post_start that still runs."""
        if self.slot.aside is not None:
            self.effects.append(Signal(self.slot.aside.run, int(SIGKILL), group=True))
            self.set(aside=None)

    def forgive(self) -> None:
        """A fresh restart budget: after an edit, a start or a restart by a person."""
        self.set(attempts=(), streak=0, last_delay=0.0)

    def move(self, to: Phase) -> None:
        """Change the phase. An illegal move is a bug of ours and raises with the story."""
        if to not in MOVES[self.slot.phase]:
            raise IllegalMoveError(f"{self.slot.name}: {self.slot.phase.value} -> {to.value} (run {self.slot.run})")
        self.set(phase=to)

    def set(self, **changes: object) -> None:
        """Change fields of the slot."""
        self.slot = replace(self.slot, **changes)  # type: ignore[arg-type]

    def emit(self, kind: str, message: str, data: Optional[dict[str, object]] = None, cause: str = "") -> None:
        """Add one event, about the run of this moment, or about the last one where none is left."""
        ended = self.slot.last_exit
        run = self.slot.run or (ended.run if ended is not None else None)
        self.effects.append(Emit(kind, message, run, cause, data or {}))

    def done(self) -> Step:
        """The slot as it has become, with all effects."""
        return Step(self.slot, tuple(self.effects))


def describe_exit(cause: str, code: Optional[int], signal: Optional[int]) -> str:
    """How a run ended, in words: `exited with code 1`, `killed by SIGSEGV`."""
    if cause == CAUSE_OOM:
        return f"ran out of memory: {describe_exit('', code, signal)}"
    if signal is not None:
        try:
            return f"killed by {Signals(signal).name}"
        except ValueError:
            return f"killed by signal {signal}"
    if code is not None:
        return f"exited with code {code}"
    return "could not be started" if cause == CAUSE_SPAWN else "ended while nobody watched"
