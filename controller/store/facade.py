"""The store as the rest of the program sees it: opened, used through `writer` and `reader`, closed. See the package.

`open_store` is bounded in time: it tries once, waiting for a lock no longer than the busy timeout, and raises with a
sentence that says what to do. Whether to go on without a database meanwhile is the caller's decision: with `waits` the
store is there at once, and its writer tries again until the database can be used. Once open, the store outlives the
database's absence by itself; see writer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from controller.store import migrate as migrations
from controller.store.backlog import Limits
from controller.store.engine import ANSWER_TIMEOUT_S, BUSY_TIMEOUT_S, Database, locate, reader_engine
from controller.store.errors import explained
from controller.store.opening import Opening, call_all, open_first
from controller.store.presence import FileOpening
from controller.store.queries import Reader
from controller.store.questions import Questions
from controller.store.retention import Policy, Swept, sweep, sweep_surplus
from controller.store.sessions import ServerOpening
from controller.store.writer import Writer

T = TypeVar("T")

TOLD_S = 1.0
"""An absence that was shorter is not told of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the store behaves.

    `busy_timeout_s`: how long one statement waits for another's lock. `answer_timeout_s`: how long a server may take
    to write, and a third of it to answer a question. `probe_s`: how often a writer that has nothing to write looks
    whether it could.
    """

    busy_timeout_s: float = BUSY_TIMEOUT_S
    answer_timeout_s: float = ANSWER_TIMEOUT_S
    probe_s: float = 15.0
    readers: int = 4
    limits: Limits = field(default_factory=Limits)


class Store:
    """An open database. `close` it once; nothing of it may be used after."""

    def __init__(self, opening: Opening, database: Database, settings: Settings, schema: str) -> None:
        """Made by `open_store`. `schema` is empty where the database could not be used yet."""
        self.database = database
        self.schema = schema
        self.reader = Reader(reader_engine(database, settings.readers), name=str(database))
        self._opening = opening
        opening.on_reopened(lambda: self.reader.reopen(reader_engine(database, settings.readers)))
        self.writer = Writer(opening, name=str(database), limits=settings.limits, probe_s=settings.probe_s)
        self._questions = Questions(settings.readers + 1)
        self._absence = _Absence()
        self.writer.tell_attempts(self._attempted)
        # Not only with the first row: the right to write is held from now on, and readiness means something.
        self.writer.probe()

    async def ask(self, question: Callable[[], T]) -> T:
        """What `question` (of `reader`) returns or raises, asked beside the event loop in a thread for nothing else."""
        return await self._questions.ask(question)

    @property
    def generation(self) -> int:
        """How many times another database than before was found or begun since the store was opened."""
        return self._opening.generation

    @property
    def story(self) -> str:
        """What became of the former database, as a sentence; empty in the first generation."""
        return self._opening.story

    def on_recreated(self, callback: Callable[[], None]) -> None:
        """Call `callback` with each new generation: all cursors and rows that are known of the former one are void.

        In the writer's thread, after `reader` and `generation` are those of the new one and before anything is written
        to it; it must return at once.
        """
        self._opening.on_recreated(callback)

    def on_returned(self, callback: Callable[[float, str], None]) -> None:
        """Call `callback` when it can be written to again: how many seconds it could not be, and why at the last.

        In the writer's thread; it must return at once. Nothing is said of less than a second.
        """
        self._absence.listeners.append(callback)

    def _attempted(self, error: Exception | None) -> None:
        self._opening.attempted(error)
        self._absence.attempted(error)

    def sweep(self, policy: Policy, now: float) -> Swept:
        """Delete what `policy` no longer keeps. Blocks for as long as that takes; see retention."""
        return sweep(self.writer, self.reader, policy, now)

    def sweep_surplus(self, policy: Policy) -> Swept:
        """Delete the log lines that are too many for `policy`, whatever their age. As above."""
        return sweep_surplus(self.writer, self.reader, policy)

    def close(self, timeout: float = 5.0) -> bool:
        """Store what waits for up to `timeout` seconds, then close. False: something is left unwritten."""
        complete = self.writer.close(timeout)
        self._questions.close()
        self.reader.close()
        self._opening.close()
        return complete


@dataclass(slots=True)
class _Absence:
    """For how long nothing could be written, and why. Used in the writer's thread, but for adding listeners."""

    since: float | None = None
    why: str = ""
    listeners: list[Callable[[float, str], None]] = field(default_factory=list)

    def attempted(self, error: Exception | None) -> None:
        """How the last attempt to write went."""
        now = time.monotonic()
        if error is not None:
            self.since = now if self.since is None else self.since
            self.why = explained(error, "write to", "the database").in_short
            return
        away_s, self.since = (0.0 if self.since is None else now - self.since), None
        if away_s >= TOLD_S:
            call_all([partial(one, away_s, self.why) for one in self.listeners])


def open_store(
    url: str | None = None, *, migrate: bool = True, settings: Settings | None = None, waits: bool = False
) -> Store:
    """Open the database at `url` (`sqlite:////path`, a plain path, `postgresql://...`, None: the default place).

    With `migrate` its schema is brought up to date first; without, it must be. Raises StoreUnavailable (or one of
    its kinds: damaged, newer schema) with one sentence for a person. With `waits`, what may be over later is only
    logged; a newer schema, a missing driver and the like are refused all the same.
    """
    settings = settings or Settings()
    database = replace(locate(url), busy_timeout_s=settings.busy_timeout_s, answer_timeout_s=settings.answer_timeout_s)
    ready = migrations.upgrade if migrate else migrations.verify
    opening = ServerOpening(database, ready) if database.path is None else FileOpening(database, ready)
    schema = open_first(opening, waits=waits)
    return Store(opening, database, settings, schema)
