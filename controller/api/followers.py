"""The open streams: how many there are, what wakes one, and how all end when the server stops.

Called by streams.py for every stream and by waiting operations. A follower waits for the first of four things: its
bell, the loss of its client, the end of the server, or the time of its next sign of life. Nothing here polls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from controller.api.ports import Bell
from controller.api.problem import ApiProblem


class Woken(StrEnum):
    """Why a wait ended: there is something to look at, nothing happened, the client went, or the server ends."""

    LOOK = "look"
    QUIET = "quiet"
    GONE = "gone"
    DRAINING = "draining"


class Followers:
    """All streams of one server. Belongs to the event loop's thread."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._count = 0
        self._stopping = asyncio.Event()

    def __len__(self) -> int:
        """How many are open."""
        return self._count

    @contextmanager
    def place(self) -> Iterator[None]:
        """One place for the time of a stream. Raises ApiProblem (503) when none is free or the server ends."""
        if self._count >= self._limit or self._stopping.is_set():
            raise ApiProblem(
                status=503,
                code="too_many_followers",
                detail=f"{self._count} streams are open, and no more are allowed now",
                headers={"Retry-After": "10"},
            )
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1

    def end_all(self) -> None:
        """Every waiting follower, and every one that will wait, gets DRAINING."""
        self._stopping.set()

    async def wait(self, bell: Bell | None, lost: asyncio.Event, timeout: float) -> Woken:  # noqa: ASYNC109 - an outcome
        """Wait for the first of four things; see the header. Without a bell, for three."""
        if lost.is_set():
            return Woken.GONE
        if self._stopping.is_set():
            return Woken.DRAINING
        waits: dict[asyncio.Future[bool], Woken] = {
            asyncio.ensure_future(lost.wait()): Woken.GONE,
            asyncio.ensure_future(self._stopping.wait()): Woken.DRAINING,
        }
        if bell is not None:
            waits[asyncio.ensure_future(_rung(bell))] = Woken.LOOK
        try:
            done, _ = await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        reasons = {waits[wait] for wait in done}
        for reason in (Woken.GONE, Woken.DRAINING, Woken.LOOK):
            if reason in reasons:
                return reason
        return Woken.QUIET


async def _rung(bell: Bell) -> bool:
    await bell.wait()
    return True
