"""At the door of a local agent: is anybody in, knock, and start a keeper where nobody is.

Used by agent.py for each connection. A keeper is started only when none lives; its own lock settles what races are
left. What was started may be killed at once, so it is knocked at for a moment and looked at again, not waited for.
"""

from __future__ import annotations

import asyncio
from enum import Enum
from pathlib import Path
from typing import Protocol

from controller.agent import build, procfs
from controller.agent.paths import AgentPaths
from controller.agent.start import has_runs, lock_holder, start_keeper
from controller.backends.base import Unavailable
from controller.backends.link import Link
from controller.backends.renewal import Renewal, Replaced, check_program, own_build, read_build

CONNECT_TIMEOUT_S = 10.0
LOOK_AGAIN_S = 2.0
RETURN_S = 1.0
"""An agent that was there comes back within this, started by its keeper. Only then another keeper is tried."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Presence(Enum):
    """What is there of an agent. ORPHANED: no keeper lives, but there are records of runs."""

    ALIVE = "alive"
    ORPHANED = "orphaned"
    GONE = "gone"


class Doorstep(Protocol):
    """Where one agent lives."""

    @property
    def socket_path(self) -> Path:
        """Where it listens."""

    def presence(self) -> Presence:
        """What is there of it now."""

    async def start(self) -> None:
        """Start a keeper; harmless where one lives."""

    async def meet(self, link: Link, realm_id: str) -> None:
        """See to it that who answers is of our build. Raises Unavailable where it is not, or is just becoming it."""


class LocalDoorstep:
    """The agent of one state directory on this host."""

    def __init__(self, paths: AgentPaths) -> None:
        self._paths = paths
        self._renewal = Renewal(own_build())

    @property
    def socket_path(self) -> Path:
        """Where it listens."""
        return Path(self._paths.socket)

    def presence(self) -> Presence:
        """By the holder of the keeper's lock, then by the records of runs."""
        holder = lock_holder(self._paths)
        if holder is not None and procfs.is_alive(holder):
            return Presence.ALIVE
        return Presence.ORPHANED if has_runs(self._paths) else Presence.GONE

    async def start(self) -> None:
        """Start a keeper; harmless where one lives."""
        await asyncio.to_thread(start_keeper, self._paths)

    async def meet(self, link: Link, realm_id: str) -> None:
        """An agent of another build is replaced by ours; workers do not notice."""
        agent = read_build((await link.ask("about")).header)
        if agent is None or not self._renewal.decide(agent):
            return
        if problem := await asyncio.to_thread(check_program):
            self._renewal.cannot(agent, problem)
            return
        try:
            await link.expect("renew", realm=realm_id, program=build.program())
            await link.ask("about")  # It leaves: the connection ends.
        except Unavailable:
            pass
        raise Replaced("it is just replaced by one of this build")


async def connect(doorstep: Doorstep, *, was_there: bool, closing: bool) -> Streams:
    """A connection to the agent. `closing`: one that has left is not called back. Raises Unavailable."""
    try:
        return await _knock(doorstep, RETURN_S if was_there else 0.0)
    except Unavailable:
        until = asyncio.get_running_loop().time() + CONNECT_TIMEOUT_S
    while True:
        was_started = await _start_if_needed(doorstep, closing=closing)
        try:
            return await _knock(doorstep, LOOK_AGAIN_S if was_started else RETURN_S / 2)
        except Unavailable:
            if asyncio.get_running_loop().time() >= until:
                if not closing:
                    # The lock may name a process of another boot, or a keeper that hangs: its lock decides.
                    await doorstep.start()
                raise


async def _start_if_needed(doorstep: Doorstep, *, closing: bool) -> bool:
    """Start a keeper where none lives; whether it did."""
    presence = doorstep.presence()
    if closing and presence is Presence.GONE:
        raise Unavailable("the agent has left")
    if presence is Presence.ALIVE:
        return False
    try:
        await doorstep.start()
    except Exception as error:  # one start: whatever hinders it is shown, and may be over at the next try
        raise Unavailable(f"the keeper cannot be started: {error}") from error
    return True


async def _knock(doorstep: Doorstep, patience_s: float) -> Streams:
    until = asyncio.get_running_loop().time() + patience_s
    while True:
        try:
            return await asyncio.open_unix_connection(str(doorstep.socket_path), limit=1 << 20)
        except OSError as error:
            if asyncio.get_running_loop().time() >= until:
                raise Unavailable(f"nobody answers on {doorstep.socket_path}: {error.strerror}") from None
        await asyncio.sleep(0.02)
