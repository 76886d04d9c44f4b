"""The keeper becomes another build by exec: same pid, so it stays the parent of all workers, and they notice nothing.

The agent asks for it with the last thing that it says, and leaves. What is in this process's memory only is little, and
a keeper that is killed loses as much: the next build reads the records, and finds its own children by them. A worker
that is between fork and exec is waited for, a moment. Used by the keeper's loop alone.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from .child import NOFILE_VARIABLE, ChildSetup
from .failpoints import failpoint
from .keeper_log import log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .runs import Run

UNDECIDED_S = 2.0
"""A worker whose exec takes longer (a dead network file system) is not waited for."""


class Renewal:
    """`step` does not return when it is time."""

    def __init__(self, setup: ChildSetup) -> None:
        self._setup = setup
        self._argv: list[str] = []
        self._until = 0.0

    def ask(self, header: dict[str, Any]) -> None:
        """This is what to become."""
        argv = header.get("argv")
        if not isinstance(argv, list) or not argv or not all(isinstance(word, str) for word in argv):
            log(f"renew without a command line: {argv!r}")
            return
        self._argv, self._until = argv, time.monotonic() + UNDECIDED_S

    @property
    def is_asked(self) -> bool:
        """Whether no other agent is to be started before."""
        return bool(self._argv)

    def wait_s(self, now: float) -> float | None:
        """How long the loop may wait for a start that is undecided."""
        return self._until - now if self._argv and now < self._until else None

    def step(self, agent_pid: int | None, runs: Mapping[str, Run], now: float) -> None:
        """Become it, when the agent has left. Where that fails we stay who we are."""
        if not self._argv or agent_pid is not None:
            return
        if now < self._until and any(run.errors >= 0 for run in runs.values()):
            return
        argv, self._argv = self._argv, []
        failpoint("keeper.before_renewal")
        log(f"keeper {os.getpid()} becomes {argv}")
        environ = {**os.environ, NOFILE_VARIABLE: f"{self._setup.nofile[0]}:{self._setup.nofile[1]}"}
        try:
            os.execve(argv[0], argv, environ)  # noqa: S606 - no shell is the point
        except OSError as error:
            log(f"Cannot become {argv[0]}: {error}")
