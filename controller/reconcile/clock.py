"""Time in the shell: one object. The core gets numbers; nothing in the shell sleeps without being wakeable."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from controller.core.keeps import Clocks

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Clock:
    """The clock of the running program. Tests give a clock of their own with the same two methods."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    async def wait(self, wake: asyncio.Event, timeout_s: float | None) -> bool:
        """Wait until `wake` is set or the time is over; whether it was set. Clears it."""
        try:
            async with asyncio.timeout(timeout_s):
                await wake.wait()
        except TimeoutError:
            return False
        wake.clear()
        return True


def read_clocks() -> Clocks:
    """All clocks of this host, now."""
    try:
        boot_id = _BOOT_ID.read_text().strip()
    except OSError:
        boot_id = ""
    return Clocks(wall=time.time(), boot_id=boot_id, boot_s=time.clock_gettime(time.CLOCK_BOOTTIME))
