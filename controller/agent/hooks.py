"""What hooks do to the life of a slot: the machine's events about them. Pure; part of machine.py's one table.

pre_start runs before each start (PREPARING) and post_stop after the whole group is gone (CLEANING); pre_stop runs
while the process still lives (LEAVING). These three are waited for; post_start runs aside and is not. A hook is never
run twice for the same moment: one that nobody remembers after a death of ours counts as failed. A failed pre_start is a
failed start, counted like a crash; the others' failures are events, and life goes on.

When a wish comes while a hook runs, the hook ends first and the newest wish is read then. Only a start that nobody
wants any more has its pre_start killed.
"""

from __future__ import annotations

from dataclasses import replace
from signal import SIGKILL

from .decisions import Turn, seconds, wants_running
from .protocol import CAUSE_HOOK
from .states import Exit, HookEnded, HookRun, Phase, Signal, Step


class HookEvents(Turn):
    """The events of hooks, and the parts of others' that concern them."""

    def hook_ended(self, event: HookEnded) -> Step:
        """A hook is over: go on with what it was for."""
        hook, aside = self.slot.hook, self.slot.aside
        if aside is not None and aside.run == event.hook_run:
            self.set(aside=None)
            self._tell(aside, event)
            return self.done()
        if hook is None or hook.run != event.hook_run:
            return Step(self.slot)
        self.set(hook=None)
        self._tell(hook, event)
        if self.slot.phase is Phase.PREPARING:
            return self._prepared(hook, event)
        if self.slot.phase is Phase.LEAVING:
            self.move(Phase.STOPPING)
            self.ask(self.now.mono + seconds(self.slot, "stop_grace_ms"))
            return self.done()
        return self.after_run()

    def _prepared(self, hook: HookRun, event: HookEnded) -> Step:
        if not wants_running(self.slot):
            return self.rest()
        if self.slot.running_revision != self.slot.wish.revision or hook.killed == "unwanted":
            return self.spawn()  # What was prepared is not what is wanted now.
        if event.ok:
            return self.order()
        self.set(
            last_exit=Exit(CAUSE_HOOK, event.code, event.signal, event.at, event.hook_run),
            running_revision=None, started_mono=self.now.mono, ended_mono=self.now.mono,
        )  # fmt: skip
        return self.retry_or_give_up(self._text(hook, event))

    def hook_due(self, hook: HookRun) -> Step:
        """The hook that is waited for has had its time. Killed in vain, it is left to itself."""
        if not hook.killed:
            self.kill_hook(hook, "timeout")
            return self.done()
        # Once more: an agent before us may have died with the first kill unsent.
        self.effects.append(Signal(hook.run, int(SIGKILL), group=True))
        lost = HookEnded(hook.run, False, "did not even end when it was killed", None, None, self.now.wall)
        return self.hook_ended(lost)

    def aside_due(self) -> None:
        """A post_start that has had its time is killed; nobody waits for it."""
        aside = self.slot.aside
        if aside is not None and aside.deadline <= self.now.mono:
            self.drop_aside()
            ended = HookEnded(aside.run, False, "", None, int(SIGKILL), self.now.wall)
            self._tell(replace(aside, killed="timeout"), ended)

    def hurry_hooks(self, until: float) -> None:
        """Everything is to be over at `until` (mono)."""
        hook, aside = self.slot.hook, self.slot.aside
        if hook is not None and not hook.killed:
            self.set(hook=replace(hook, deadline=min(hook.deadline, until)))
        if aside is not None:
            self.set(aside=replace(aside, deadline=min(aside.deadline, until)))

    def _tell(self, hook: HookRun, event: HookEnded) -> None:
        if hook.killed == "unwanted":
            return
        data: dict[str, object] = {"hook": hook.name, "hook_run": hook.run, "code": event.code, "signal": event.signal}
        if event.ok:
            self.emit("hook_succeeded", f"the hook {hook.name} is done", data)
        else:
            self.emit("hook_failed", self._text(hook, event), data, CAUSE_HOOK)

    @staticmethod
    def _text(hook: HookRun, event: HookEnded) -> str:
        if hook.killed == "timeout":
            return f"the hook {hook.name} did not end in time and was killed"
        return f"the hook {hook.name} {event.message}"
