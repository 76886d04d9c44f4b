"""Bells of the stream of everything: several as one that remembers which rang, and one that is heard only so often.

Called by stream.py. Both keep the promise of ports.Bell: a wait that is cancelled loses no ring.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping

from controller.api.ports import Bell


class Bells:
    """Several bells by name. `rung` is asked by the follower to look only where there is something."""

    def __init__(self, bells: Mapping[str, Bell]) -> None:
        self._bells = bells
        self._rung = set(bells)

    def rung(self) -> set[str]:
        """The names of those that rang since this was last asked; at first all of them."""
        rung, self._rung = self._rung, set()
        return rung

    async def wait(self) -> None:
        """See ports.Bell."""
        if self._rung:
            return
        waits = {asyncio.ensure_future(bell.wait()): name for name, bell in self._bells.items()}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
            self._rung |= {name for wait, name in waits.items() if not wait.cancelled()}

    def close(self) -> None:
        """Give all back."""
        for bell in self._bells.values():
            bell.close()


class PacedBell:
    """A bell that is heard at most every `seconds`, and by all who are paced alike at the same moments.

    So what they read then is made once for all of them.
    """

    def __init__(self, bell: Bell, seconds: float) -> None:
        self._bell, self._seconds = bell, seconds
        self._not_before = 0.0

    async def wait(self) -> None:
        """See ports.Bell. While it must be quiet, the bell below keeps its ring."""
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(self._not_before - clock())
        await self._bell.wait()
        self._not_before = (math.floor(clock() / self._seconds) + 1) * self._seconds

    def close(self) -> None:
        """Give it back."""
        self._bell.close()
