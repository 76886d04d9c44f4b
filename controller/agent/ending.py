"""The end of an agent: everything is asked to stop, and when nothing is left, it ends with its keeper.

A controller that wants to read the last lines is waited for a moment. One that claims the agent again before the
keeper was told takes all of it back. Used by supervisor.py, which says when the agent serves and when a run turned up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Optional

from .adoption import Adoption
from .errands import Errands
from .fleet import Fleet
from .marks import Marks
from .states import Now

IDLE_ADJOURNED_S = 60.0
"""An agent that starts adjourned with nothing to stop waits so long for a controller to claim it."""
RESUME_S = 600.0
"""A controller that claimed us and has yet to read its specs is waited for so long."""
LEAVE_S = 5.0
"""When everything has stopped, a controller that reads the last lines is waited for so long."""
BUSY_S = 0.2


@dataclass(frozen=True)
class Reach:
    """What the end needs of the agent's other parts."""

    fleet: Fleet
    adoption: Adoption
    errands: Errands
    marks: Marks
    clock: Callable[[], Now]
    send: Callable[[dict[str, Any]], None]
    push: Callable[[dict[str, Any]], None]


class Ending:
    """`is_begun`: the keeper was told to shut down."""

    def __init__(self, reach: Reach) -> None:
        self.is_begun = False
        self._reach = reach
        self._idle_until = 0.0
        self._is_serving = False
        self._is_awaited = False
        self._leaving: Optional[asyncio.TimerHandle] = None

    def adjourn(self, deadline: float, is_awaited: bool) -> None:
        """Stop everything by `deadline` (mono), then end; when `is_awaited`, after `leave`."""
        self._idle_until = 0.0
        self._is_awaited = is_awaited
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
        self._stop_all(deadline)

    def kill_now(self) -> None:
        """What still stops is killed."""
        self._reach.fleet.kill_now()
        self._kill_strays()

    def resume(self) -> None:
        """The agent serves. One before it may have been told to stop everything: go on with it."""
        self._is_serving = True
        until = self._reach.fleet.adjourned_until
        if until is not None:
            if not self._reach.adoption.had_live:
                self._idle_until = self._reach.clock().mono + IDLE_ADJOURNED_S
            self._stop_all(until)

    def await_resume(self) -> None:
        """A controller has claimed us and has yet to say how things should be: it is waited for."""
        self._idle_until = self._reach.clock().mono + RESUME_S

    def leave(self) -> None:
        """Nobody needs us any more to read the last lines."""
        self._is_awaited = False
        self._reach.fleet.look_if_quiet()

    def quiet(self) -> None:
        """Everything was to stop and has: end, unless somebody claims us first."""
        reach, loop = self._reach, asyncio.get_running_loop()
        if self.is_begun or reach.adoption.strays or reach.errands.open or not self._is_serving:
            return
        if reach.clock().mono < self._idle_until:
            return
        if not self._is_awaited:
            self.is_begun = True
            reach.send({"op": "shutdown"})
        elif self._leaving is None:
            self._leaving = loop.call_later(LEAVE_S, self.leave)
            # In the next turn, so after the views of the slots.
            loop.call_soon(reach.push, {"push": "quiet"})

    def busy(self) -> None:
        """The keeper still has a run (one that was being reaped): ask again soon."""
        self.is_begun = False
        asyncio.get_running_loop().call_later(BUSY_S, self._reach.send, {"op": "list"})

    def _stop_all(self, deadline: float) -> None:
        self._reach.fleet.adjourn(deadline)
        if self._reach.adoption.strays:
            self._reach.adoption.stop_strays()
            wait = max(0.0, deadline - self._reach.clock().mono)
            asyncio.get_running_loop().call_later(wait, self._kill_strays)

    def _kill_strays(self) -> None:
        if self._reach.marks.is_adjourned:
            self._reach.adoption.stop_strays(9)
