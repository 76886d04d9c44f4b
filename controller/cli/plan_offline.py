"""`workerctl plan --offline DIR`: the plan of a directory against the last accepted specs, without a controller.

Imported by plan.py only when it is asked for: it reads files as the controller does, and brings YAML and pydantic.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from controller.cli.errors import CliError, Exit
from controller.cli.human import count
from controller.cli.offline import STAND_IN, surroundings
from controller.config import ConfigError, load
from controller.core.intents import Keep
from controller.core.keeps import followed
from controller.reconcile.clock import read_clocks
from controller.reconcile.wishes import read_keeps
from controller.sources.preview import preview


def offline_plan(
    directory: Path, state_dir: str | None, allow_env: tuple[str, ...], now: float
) -> tuple[dict[str, Any], str]:
    """The plan as the API has it, with the `problems` of the directory; and what it was compared with, in words."""
    from controller.api.plan import plan_document  # noqa: PLC0415 - brings aiohttp, so it comes last

    state = _state_dir(state_dir)
    around, keeps = surroundings(allow_env, stand_in=STAND_IN), _keeps(Path(state) / "intents")
    try:
        found = preview(str(directory), state, around, now=now, keeps=keeps)
    except OSError as error:
        raise CliError(f"Cannot plan {directory}: {error.filename}: {error.strerror}", Exit.FAILED) from None
    problems = [asdict(problem) for problem in found.problems]
    words = (
        f"compared with {count(found.known, 'worker')}, as last accepted in {state}"
        if found.known
        else f"nothing was accepted in {state} yet: everything is new"
    )
    return {**plan_document(found.plan), "problems": problems}, words


def _keeps(directory: Path) -> dict[str, Keep]:
    """What people keep stopped or running for a while, as the clocks of this host have it."""
    clocks = read_clocks()
    return {worker_id: followed(keep, clocks) for worker_id, keep in read_keeps(directory).items()}


def _state_dir(given: str | None) -> str:
    try:
        return str(load({"state_dir": given}, os.environ).state_dir)
    except ConfigError as error:
        raise CliError(str(error), Exit.USAGE) from None
