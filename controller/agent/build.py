"""Which build of the agent this is: what runs here, and what a process that is started now would run.

Read by the agent, which says it (`about`), and by whoever compares: the controller, `doctor`. A build is told by its
files, not by a version number: what is installed twice under one number is two builds.
"""

from __future__ import annotations

import os
import sys

from .paths import sha256

FORM = 1
"""Of all that keeper and agent write. Raised when an older build could not read it: that one is not started then."""

KEEPER_VARIABLE = "WORKERCTL_KEEPER_BUILD"
"""In the agent's environment: the fingerprint of its keeper, which may be older."""

FOLDER = os.path.dirname(os.path.realpath(__file__))


def program() -> list[str]:
    """How keeper and agent of this build are started, before their own words. Isolated: see `start`."""
    return [sys.executable, "-I", "-m", "controller.agent"]


def fingerprint(folder: str = FOLDER) -> str:
    """Of the files as they are now; empty where they are gone."""
    parts: list[bytes] = []
    try:
        for name in sorted(os.listdir(folder)):
            if name.endswith(".py"):
                with open(os.path.join(folder, name), "rb") as file:
                    parts += (name.encode(), file.read())
    except OSError:
        return ""
    return sha256(b"\0".join(parts))[:12]


def form_of(state: str) -> int:
    """The form of what is in the state folder of an agent; 0 where nothing says it."""
    try:
        with open(os.path.join(state, "form"), encoding="ascii") as file:
            return int(file.read(20))
    except (OSError, ValueError):
        return 0


def complaint(state: str) -> str:
    """Why this build must not be started over the state folder; empty where it may."""
    form = form_of(state)
    if form <= FORM:
        return ""
    return (
        f"{state} was written by a newer workerctl (form {form}; this one reads up to {FORM}): "
        "use that version or a later one"
    )
