"""How often somebody may do something: buckets that refill, within a bounded memory. Pure; time is an argument.

A bucket holds `burst` and gets `per_s` back each second. Only keys whose bucket is not full are remembered; of more
than `MOST` of them the one that was touched longest ago is forgotten, which favours it: a flood of addresses must not
lock out anybody, and must not fill our memory.
"""

from __future__ import annotations

from collections import OrderedDict

MOST = 4096


class Throttle:
    """One limit for many keys."""

    def __init__(self, *, burst: float, per_s: float) -> None:
        self._burst, self._per_s = burst, per_s
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._left)

    def wait_s(self, key: str, now: float) -> float:
        """How long until `key` may do it again; 0: now."""
        left = self._now(key, now)
        return 0.0 if left >= 1 else (1 - left) / self._per_s

    def take(self, key: str, now: float) -> None:
        """Count one."""
        self._left[key] = (max(0.0, self._now(key, now) - 1), now)
        self._left.move_to_end(key)
        if len(self._left) > MOST:
            self._left.popitem(last=False)

    def _now(self, key: str, now: float) -> float:
        """What is in the bucket. A clock that was set back refills nothing."""
        left, at = self._left.get(key, (self._burst, now))
        return min(self._burst, left + max(0.0, now - at) * self._per_s)
