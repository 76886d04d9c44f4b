"""What a request asks of stored log lines: a value of the port `Records`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from controller.core.log_kinds import PRINTED


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """Which log lines. With `after`: the first `limit` lines beyond it. Without: the newest `limit` lines.

    With `before`: the newest ones up to there. `since` and `until` in seconds since the epoch, both inclusive.
    `worker_id`: None is those of `workers`, where None is all. `ordinal`, `stream`, `run`: None is all; a run is an id,
    or `current` or `previous` of each instance. `grep`: all these texts are in the line; with `invert` none of them is.
    `levels`, `kinds`: one of them is its own.
    """

    limit: int
    worker_id: str | None = None
    workers: tuple[str, ...] | None = None
    after: int | None = None
    stream: Literal["stdout", "stderr"] | None = None
    ordinal: int | None = None
    run: str | None = None
    since: float | None = None
    until: float | None = None
    before: int | None = None
    grep: tuple[str, ...] = ()
    ignore_case: bool = False
    invert: bool = False
    levels: tuple[str, ...] = ()
    kinds: tuple[str, ...] = PRINTED
