"""What this controller is, for people: the settings that they would look for, and where it keeps what. No secrets.

Implements ports.Server. Made once: nothing of it changes while it runs.
"""

from __future__ import annotations

import getpass
import os
import platform
import socket
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from controller.config import Settings
from controller.core.views import rfc3339
from controller.store import Store


class ServerDesk:
    """See the header."""

    def __init__(self, settings: Settings, store: Store, started_at: float) -> None:
        database = store.database
        self._about = {
            "version": _version(),
            "python": platform.python_version(),
            "host": socket.gethostname(),
            "user": _user(),
            "pid": os.getpid(),
            "started_at": rfc3339(started_at),
            "listen": settings.listen,
            "is_encrypted": settings.tls_cert is not None,
            "auth": settings.auth,
            "specs": str(settings.specs),
            "state_dir": str(settings.state_dir),
            "writes": settings.writes,
            "on_exit": settings.on_exit,
            "database": {"kind": "sqlite" if database.path else "postgresql", "at": database.shown},
            "retain": {"days": settings.retain_days, "lines": settings.retain_lines, "bytes": settings.retain_bytes},
            "forward": len(settings.forward),
        }

    def about(self) -> dict[str, Any]:
        """See ports.Server."""
        return self._about


def _version() -> str:
    try:
        return version("workerctl")
    except PackageNotFoundError:
        return "unknown"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.geteuid())
