"""What probes that fail say of a slot, for people, from the first failure on: `workerctl status` shows it at once.

Written by probes.py, read by the fleet for each view. Nothing is decided by it and nothing of it is kept: the next
agent has it from its own first failure. A verdict is the machine's and an event; a remark is neither, so that a start
that takes sixty tries is told of without sixty events.

A new remark is shown at once; a slot whose remarks change all the time is shown anew at most every `SHOW_EVERY_S`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .probe_counts import Probe, Tally

SHOW_EVERY_S = 10.0


class Remarks:
    """One per agent. `show(name)` has the slot shown anew."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._said: dict[str, dict[str, str]] = {}
        self._resting: dict[str, asyncio.TimerHandle] = {}
        self._stale: set[str] = set()

    def of(self, name: str) -> str:
        """What is said of the slot; empty where all is well or nothing was asked yet."""
        said = self._said.get(name, {})
        return "; ".join(said[kind] for kind in sorted(said, reverse=True))

    def failing(self, name: str, probe: Probe, tally: Tally, message: str) -> None:
        """A check has failed, the last of `tally.failures` in a row; or could not be made, then that is 0."""
        said = self._said.setdefault(name, {})
        is_new = probe["kind"] not in said
        said[probe["kind"]] = in_words(probe, tally, message)
        self._changed(name, at_once=is_new)

    def fine(self, name: str, kind: str) -> None:
        """A check has succeeded, or is made no longer."""
        if self._said.get(name, {}).pop(kind, None) is None:
            return
        if not self._said[name]:
            del self._said[name]
        self._changed(name, at_once=True)

    def close(self) -> None:
        """No timer fires any more."""
        for timer in self._resting.values():
            timer.cancel()

    def _changed(self, name: str, *, at_once: bool) -> None:
        if name in self._resting and not at_once:
            self._stale.add(name)
            return
        self._stale.discard(name)
        self._show(name)
        if name in self._said and name not in self._resting:
            loop = asyncio.get_running_loop()
            self._resting[name] = loop.call_later(SHOW_EVERY_S, self._rested, name)

    def _rested(self, name: str) -> None:
        del self._resting[name]
        if name in self._stale:
            self._changed(name, at_once=False)


def in_words(probe: Probe, tally: Tally, message: str) -> str:
    """`the readiness probe fails: 127.0.0.1:8080: connection refused (12 times in a row, asked every 5 s)`."""
    if probe["check"] == "heartbeat":
        return message
    if not tally.failures:
        return f"the {probe['kind']} probe cannot be made: {message}"
    times = "once" if tally.failures == 1 else f"{tally.failures} times in a row"
    if probe["check"] == "log_line":
        return f"the {probe['kind']} probe fails: {message} ({times})"
    return f"the {probe['kind']} probe fails: {message} ({times}, asked every {probe['period_ms'] / 1000:g} s)"
