"""What the keeper prints: lines on standard error, which is a capped file once it is detached."""

from __future__ import annotations

import contextlib
import importlib
import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LOG_LIMIT = 1024 * 1024
_STDERR = 2


def log(text: str) -> None:
    """One entry. Never raises: a full disk must not stop the keeper."""
    cap_log()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    with contextlib.suppress(OSError):
        os.write(_STDERR, f"{stamp} keeper: {text}\n".encode("utf-8", "backslashreplace"))


def cap_log() -> None:
    """Empty the file when it has outgrown its cap. A pipe or a terminal has size 0."""
    with contextlib.suppress(OSError):
        if os.fstat(_STDERR).st_size > LOG_LIMIT:
            os.ftruncate(_STDERR, 0)


def guarded(action: Callable[..., object], *arguments: object) -> None:
    """Do one thing; the keeper outlives its own mistakes in it."""
    try:
        action(*arguments)
    except Exception:
        # Imported when it is needed: it brings modules that make each fork dearer.
        traceback = importlib.import_module("traceback")
        log(f"internal error:\n{traceback.format_exc()}")
