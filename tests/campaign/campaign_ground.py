"""Where a round takes place: an installation whose state stands on a small file system of its own, where we may mount.

It tends the controller as its user would: one that died is started again with the same environment, and what it was
allowed to say while errors were injected is no bug. Everything is ended and unmounted by `close`.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.e2e.e2e_installation import Answer, Installation
from tests.e2e.e2e_processes import T, eventually

STATE_MIB = 96
INODES = 4000
CONVERGED_S = 30.0
"""The promise is ten seconds; a slow machine with others on it has three times as much."""
ASK_S = 5.0
MAY_END = {0, 1, 6, -signal.SIGKILL}


class Ground(Installation):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self.ask_s = ASK_S
        self.state.mkdir(mode=0o700)
        self.is_mounted = self._mount()
        self.fault_environment: dict[str, str] = {}
        self.tolerated: set[int] = set()
        self.is_tended = True
        self.began = time.monotonic()

    def _mount(self) -> bool:
        if os.geteuid() != 0:
            return False
        options = f"size={STATE_MIB}m,nr_inodes={INODES},mode=0700"
        command = ["mount", "-t", "tmpfs", "-o", options, "workerctl-campaign", str(self.state)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    @property
    def database(self) -> Path:
        return self.state / "workerctl.db"

    # --- tending ---

    def begin(self, *flags: str, errors: bool = False, **environment: str) -> None:
        """Serve with a fault's environment; with `errors`, what this controller complains of is wanted."""
        self.fault_environment = environment
        self.serve(*flags, ready=False, **environment)
        if errors:
            self.tolerated.add(self._serve_count)

    def tend(self) -> None:
        """A controller that died is started again."""
        assert self.controller is not None
        if not self.is_tended or self.controller.poll() is None:
            return
        code = self.controller.returncode
        is_wanted = code in MAY_END and (code == -signal.SIGKILL or bool(self.fault_environment))
        assert is_wanted, f"I11: the controller ended by itself with {code}"
        errors = self._serve_count in self.tolerated
        self.begin(errors=errors, **self.fault_environment)

    def until(self, look: Callable[[], T | None], patience_s: float = CONVERGED_S, *, told: str) -> T:
        """Wait, tending. An answer that cannot be had is no answer yet."""

        def tended() -> T | None:
            self.tend()
            with contextlib.suppress(OSError, http.client.HTTPException, KeyError, ValueError):
                return look()
            return None

        return eventually(tended, patience_s, told=told)

    def until_ready(self) -> None:
        """The controller says so."""
        self.until(lambda: self.ask("/readyz").status == 200, told="the controller is ready")

    def try_ask(self, path: str, method: str = "GET", body: Any = None) -> Answer | None:
        """None where no answer can be had."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.ask(path, method, body)
        return None

    def pid_if(self, role: str) -> int | None:
        """The pid of a role, where exactly one runs now."""
        if role == "controller":
            return self.controller.pid if self.controller is not None and self.controller.poll() is None else None
        found = self._role(role)
        return None if found is None else found.pid

    def strike(self, number: int, *roles: str) -> list[int]:
        """A signal to all of these that run; their pids."""
        pids = [pid for role in roles if (pid := self.pid_if(role)) is not None]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        if "controller" in roles and number == signal.SIGKILL and self.controller is not None:
            self.controller.wait(10)
        return pids

    def renew(self, *roles: str) -> None:
        """Kill these and serve anew without any fault; agents and keepers inherit their environment from us."""
        self.strike(signal.SIGKILL, "controller", *roles)
        self.begin()
        self.until_ready()

    # --- what was said ---

    def log(self) -> str:
        """All that controllers printed but those that were given errors on purpose."""
        numbers = [number for number in range(1, self._serve_count + 1) if number not in self.tolerated]
        logs = [(self.root / f"serve.{number}.log").read_text(errors="replace") for number in numbers]
        return "\n".join(line for log in logs for line in log.splitlines() if "(failpoint " not in line)

    def close(self) -> list[str]:
        self.is_tended = False
        try:
            return super().close()
        finally:
            if self.is_mounted:
                subprocess.run(["umount", "--lazy", str(self.state)], check=False, capture_output=True)
                self.is_mounted = False
