"""Runs at the keeper that are no worker: hooks and exec probes. Whose each is, how it ended, that none is left behind.

The keeper knows them under the name `SLOT#RUN`, so that they never stand in a worker's way. A hook belongs to a slot
(`Slot.hook`, `Slot.aside`) and its end is told to the machine; a probe belongs to whoever awaits it here. What a hook
or a probe leaves behind when it has ended is killed, and so is one that belongs to nobody any more: of a dead agent's
probes nobody waits for the answer.

Called by adoption.py with the keeper's frames, by orders.py and probes.py with what is started.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from signal import SIGKILL, Signals
from typing import Any, Optional

from .states import HookEnded, Slot

SEPARATOR = "#"
LEFTOVER_S = 0.1
"""How long what an ended hook has left may take to be gone by itself."""

Frame = Mapping[str, Any]
Send = Callable[[dict[str, Any], Optional[Callable[[], None]]], None]


@dataclass(frozen=True)
class Outcome:
    """How an errand ended. `message` says it in words; `is_known` is False where nobody can tell."""

    ok: bool
    message: str
    code: Optional[int] = None
    signal: Optional[int] = None
    is_known: bool = True


@dataclass
class _Errand:
    slot: str
    answer: Optional[asyncio.Future[Outcome]] = None
    has_ended: bool = False


def keeper_slot(slot: str, run: str) -> str:
    """The name that the keeper knows an errand by."""
    return f"{slot}{SEPARATOR}{run}"


def is_errand(frame: Frame) -> bool:
    """Whether a frame or RUN of the keeper is about an errand, by its slot."""
    return SEPARATOR in str(frame.get("slot"))


class Errands:
    """One per agent. `owner(run)` is the slot whose hook a run is; `tell(name, event)` feeds its machine."""

    def __init__(
        self,
        send: Send,
        owner: Callable[[str], Optional[Slot]],
        tell: Callable[[str, HookEnded], None],
        close_logs: Callable[[str, str], None],
    ) -> None:
        self.open: dict[str, _Errand] = {}
        self._send = send
        self._owner = owner
        self._tell = tell
        self._close_logs = close_logs
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._loop = asyncio.get_running_loop()

    # --- what is started ---

    def begin_hook(self, slot: str, order: dict[str, Any]) -> None:
        """Order a hook; its end is told to its slot."""
        self._begin(slot, order, None)

    def begin_probe(self, slot: str, order: dict[str, Any]) -> asyncio.Future[Outcome]:
        """Order a probe; await its end."""
        answer: asyncio.Future[Outcome] = self._loop.create_future()
        self._begin(slot, order, answer)
        return answer

    def _begin(self, slot: str, order: dict[str, Any], answer: Optional[asyncio.Future[Outcome]]) -> None:
        run = order["run"]
        self.open[run] = _Errand(slot, answer)
        self._send({**order, "slot": keeper_slot(slot, run)}, None)

    def kill(self, run: str) -> None:
        """End it, with all that belongs to it."""
        if run in self.open:
            self._send({"op": "signal", "run": run, "signal": int(SIGKILL), "scope": "group"}, None)

    def runs(self) -> list[tuple[str, str]]:
        """Slot and run of all that may still write something."""
        return [(errand.slot, run) for run, errand in self.open.items()]

    def stop(self) -> None:
        """No timer fires any more; who awaits a probe is let go."""
        for timer in self._timers.values():
            timer.cancel()
        for errand in self.open.values():
            if errand.answer is not None:
                errand.answer.cancel()

    # --- what the keeper says ---

    def claim(self, info: Frame) -> None:
        """A run of the keeper's whole list."""
        run = info["run"]
        slot = str(info["slot"]).partition(SEPARATOR)[0]
        errand = self.open.setdefault(run, _Errand(slot))
        if info.get("exited") is not None:
            self.exited({**info["exited"], "run": run})
            if info.get("group_empty"):
                self.emptied(run)
        elif errand.answer is None and not self._is_wanted(run):
            self.kill(run)

    def failed(self, frame: Frame) -> None:
        """It was never executed."""
        run = frame["run"]
        message = f"could not be started: {frame.get('message')}"
        self._end(run, Outcome(False, message), frame["at"])
        self._forget(run)

    def exited(self, frame: Frame) -> None:
        """Its leader is gone."""
        run = frame["run"]
        outcome = Outcome(frame["code"] == 0, _in_words(frame), frame["code"], frame["signal"], bool(frame["known"]))
        self._end(run, outcome, frame["at"])
        if run in self.open and run not in self._timers:
            self._timers[run] = self._loop.call_later(LEFTOVER_S, self.kill, run)

    def emptied(self, run: str) -> None:
        """Nothing of it is left."""
        self._send({"op": "reap", "run": run, "force": False}, None)
        self._forget(run)

    def lost(self, run: str, at: float) -> None:
        """The keeper does not know it."""
        self._end(run, Outcome(False, "ended while nobody watched", is_known=False), at)
        self._forget(run)

    def _end(self, run: str, outcome: Outcome, at: float) -> None:
        errand = self.open.get(run)
        if errand is not None:
            if errand.has_ended:
                return
            errand.has_ended = True
            if errand.answer is not None and not errand.answer.done():
                errand.answer.set_result(outcome)
        owner = self._owner(run)
        if owner is not None:
            self._tell(owner.name, HookEnded(run, outcome.ok, outcome.message, outcome.code, outcome.signal, at))

    def _is_wanted(self, run: str) -> bool:
        """A hook that was to be killed when an agent died may not have been."""
        owner = self._owner(run)
        hooks = () if owner is None else (owner.hook, owner.aside)
        return any(hook is not None and hook.run == run and not hook.killed for hook in hooks)

    def _forget(self, run: str) -> None:
        timer = self._timers.pop(run, None)
        if timer is not None:
            timer.cancel()
        errand = self.open.pop(run, None)
        if errand is not None and errand.answer is None:
            self._close_logs(errand.slot, run)


def _in_words(frame: Frame) -> str:
    if not frame["known"]:
        return "ended while nobody watched"
    if frame["signal"] is None:
        return f"exited with code {frame['code']}"
    try:
        return f"was killed by {Signals(frame['signal']).name}"
    except ValueError:
        return f"was killed by signal {frame['signal']}"
