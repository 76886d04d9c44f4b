"""What a request asks of stored log lines: values of the port `Records`, and the part of it that counts them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

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


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanWish:
    """Into which spans of time: at most `most`, of `step` seconds at least (None: of a second).

    `before`: only lines before this one; None: all that there are now.
    """

    most: int
    step: int | None = None
    before: int | None = None


class LogCounting(Protocol):
    """Counts of log lines. May raise StoreUnavailable."""

    async def log_counts(self, query: LogQuery, wish: SpanWish) -> Mapping[str, Any]:
        """How many of those that `query` asks for, whatever its `limit`, by time and level; ready for JSON."""
