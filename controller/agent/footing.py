"""The folders that the agent stands on, looked at now and then: whether they are still those that it began with.

State and runtime folder may go while we live (a logout takes XDG_RUNTIME_DIR, people clean up, a copy is put in their
place). What we have in memory is newer than any of that: the folders are made anew and all of it is written again, the
socket is bound again, and the keeper is asked to write its records again. So nothing is lost but the events that no
controller has heard, and the next agent finds what it needs.

Called by the supervisor, in its chores and when a write had to make its folder. Fixed: only AgentPaths.prepare decides
that a folder is safe to use; where it is not, `failure` says so and the next look tries again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Optional

from .fleet import Fleet
from .journal import Journal
from .marks import Marks
from .paths import AgentPaths, PathsError
from .records import Records

_log = logging.getLogger("agent")

Identity = tuple[int, int]


@dataclass(frozen=True)
class Memory:
    """What can be written again, and by whom.

    `listen` binds a socket at a path, `notify_again` those that workers speak to, `send` reaches the keeper.
    """

    fleet: Fleet
    records: Records
    marks: Marks
    journal: Journal
    listen: Callable[[str], Awaitable[None]]
    notify_again: Callable[[], None]
    send: Callable[[dict[str, Any]], None]


class Footing:
    """One per agent; it begins when the folders are there. `failure` says what cannot be made anew."""

    def __init__(self, paths: AgentPaths, memory: Memory) -> None:
        self.failure = ""
        self._paths = paths
        self._memory = memory
        beside = (f"{paths.state}/slots", f"{paths.state}/journal", f"{paths.state}/probes", f"{paths.runtime}/notify",
                  f"{paths.runtime}/secrets")  # fmt: skip
        self._beside = [path for path in beside if os.path.isdir(path)]
        self._folders = {path: _identity(path) for path in self._all()}
        self._socket: Optional[Identity] = None
        self._looking: Optional[asyncio.Task[None]] = None

    async def begin(self) -> None:
        """Bind the socket; and what was gone before we came is no less missing."""
        await self._listen()
        await self.look()

    async def _listen(self) -> None:
        await self._memory.listen(self._paths.socket)
        self._socket = _identity(self._paths.socket)

    def look_soon(self) -> None:
        """Something was missed just now."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(self.look())

    async def look(self) -> None:
        """Make anew what is gone."""
        lost = [path for path, known in self._folders.items() if known is None or _identity(path) != known]
        try:
            if lost:
                self._begin_anew(lost)
            if self._socket is not None and _identity(self._paths.socket) != self._socket:
                await self._listen()
                _log.warning("%s was removed: bound again", self._paths.socket)
            if lost or self._is_unrecorded():
                self._memory.send({"op": "list"})
        except (OSError, PathsError) as error:
            self.failure = f"cannot make the agent's folders anew: {error}"
            _log.warning("%s", self.failure)
        else:
            self.failure = ""

    def close(self) -> None:
        """No look any more."""
        if self._looking is not None:
            self._looking.cancel()

    def _all(self) -> list[str]:
        paths = self._paths
        return [paths.state, paths.runtime, paths.runs, paths.slots, *self._beside]

    def _begin_anew(self, lost: list[str]) -> None:
        memory, paths = self._memory, self._paths
        paths.prepare()
        for path in self._beside:
            os.makedirs(path, mode=0o700, exist_ok=True)
        if paths.state in lost:
            paths.publish()
            memory.marks.write_again()
        if f"{paths.state}/journal" in lost:
            memory.journal.write_again()
        if self._paths.runtime in lost:
            memory.notify_again()
        memory.records.write_again(memory.fleet.slots, memory.fleet.tombstones)
        self._folders = {path: _identity(path) for path in self._all()}
        # What stands in a folder that was lost itself need not be named.
        names = [path for path in lost if os.path.dirname(path) not in lost]
        text = f"removed or replaced while in use, written again from memory: {', '.join(names)}"
        memory.fleet.tell("state_restored", text, data={"folders": names})

    def _is_unrecorded(self) -> bool:
        """Whether the keeper's record of a live run was removed: a keeper that follows would not know the run."""
        with contextlib.suppress(OSError):
            recorded = set(os.listdir(self._paths.runs))
            slots = self._memory.fleet.slots.values()
            return any(slot.run and slot.pid and f"{slot.run}.json" not in recorded for slot in slots)
        return False


def _identity(path: str) -> Optional[Identity]:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
