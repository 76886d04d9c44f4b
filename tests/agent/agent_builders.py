"""Builders for what a controller sends to an agent, with the irrelevant defaulted."""

from __future__ import annotations

from typing import Any

from controller.agent.shapes import wish_from
from controller.agent.states import Wish

LAUNCH: dict[str, Any] = {
    "argv": ["sleep", "1000"],
    "working_dir": "/",
    "env": {},
    "port": None,
    "restart_policy": "on_failure",
    "max_restart_attempts": 3,
    "restart_delay_ms": 100,
    "backoff_factor": 2.0,
    "backoff_max_delay_ms": 60_000,
    "backoff_jitter": 0.0,
    "restart_window_ms": 600_000,
    "start_grace_ms": 50,
    "success_exit_codes": [0],
    "stop_signal": "TERM",
    "stop_grace_ms": 5000,
    "stop_kill": "group",
    "log_max_bytes": 1_000_000,
    "log_archives": 5,
    "log_store_rate": 2000,
    "log_retain_days": 7,
}


EXTRAS = ("user", "group", "umask", "secret_files", "secret_names", "probes", "hooks", "limits", "depends_on")
"""Fields of a launch that not every launch has."""


def launch(**changes: Any) -> dict[str, Any]:
    """A LAUNCH of the protocol."""
    return {**LAUNCH, **changes}


def slot(name: str = "web/0", generation: int = 1, **changes: Any) -> dict[str, Any]:
    """A SLOT of the protocol; what is no field of it belongs to its launch."""
    value: dict[str, Any] = {
        "slot": name,
        "generation": generation,
        "revision": "1-a",
        "digest": "d",
        "run_request": 0,
        "wanted": "running",
        "fields": {"command": ["sleep"]},
    }
    of_launch = {key: changes.pop(key) for key in list(changes) if key in LAUNCH or key in EXTRAS}
    return {**value, "launch": launch(**of_launch), **changes}


def wish(generation: int = 1, **changes: Any) -> Wish:
    """What `slot` becomes in the agent."""
    return wish_from(slot("web/0", generation, **changes))


def hook(*argv: str, timeout_ms: int = 5000) -> dict[str, Any]:
    """A hook of a launch."""
    return {"argv": list(argv) or ["true"], "timeout_ms": timeout_ms}


def probe(kind: str, check: str = "tcp", **changes: Any) -> dict[str, Any]:
    """A probe of a launch, patient for no longer than a test should be."""
    value: dict[str, Any] = {
        "kind": kind, "check": check, "port": 1, "path": "/", "status": None, "argv": [], "pattern": "",
        "period_ms": 100, "timeout_ms": 1000, "failures": 2, "successes": 1,
    }  # fmt: skip
    return {**value, **changes}
