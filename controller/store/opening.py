"""How the writer gets its engine: what a file and a server have in common. See presence and sessions for each.

The writer calls the `Opening` for an engine whenever it has none, so after each failure, and tells it how each attempt
to write went. An opening makes sure that nobody else writes, brings the schema up to date, and finds out whether this
is the database that was written to before. Another one is another *generation*: whatever this process knows to be
stored is void, and those who have the originals are told (`on_recreated`), with the `story` to tell people.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from sqlalchemy import Engine

from controller.store.engine import Database
from controller.store.errors import SchemaNewerError, StoreError, StoreUnavailable

log = logging.getLogger(__name__)

GENERATION = "workerctl_generation"
"""The execution option of a writer's engine that tells which generation it writes to."""

Ready = Callable[[Engine, str], str]
"""Brings an engine's schema up to date, or refuses it; the revision. The text is what messages call the database."""


class Opening(ABC):
    """Used in the writer's thread, but for `begin` before there is one; `generation` and `story` from any."""

    def __init__(self, database: Database, ready: Ready) -> None:
        """Opens nothing yet."""
        self._database, self._ready = database, ready
        self._listeners: list[Callable[[], None]] = []
        self._reopening: list[Callable[[], None]] = []
        self.generation = 0
        self.story = ""

    def on_recreated(self, callback: Callable[[], None]) -> None:
        """Call `callback` in the writer's thread with each new generation, before anything is written to it."""
        self._listeners = [*self._listeners, callback]

    def on_reopened(self, callback: Callable[[], None]) -> None:
        """Call `callback` in the writer's thread when everybody has to open the same database anew."""
        self._reopening = [*self._reopening, callback]

    @abstractmethod
    def begin(self) -> str:
        """Take the right to write and bring the schema up to date; its revision. Raises StoreError."""

    @abstractmethod
    def __call__(self) -> Engine:
        """A new engine for the writer. Raises StoreError, also where `begin` never succeeded."""

    def attempted(self, _error: Exception | None) -> None:
        """How the writer's last attempt went; None: what it had is stored."""
        return

    def close(self) -> None:
        """Give the right to write back. The engines are closed by then."""
        return

    def _engine_of_this_generation(self, engine: Engine) -> Engine:
        return engine.execution_options(**{GENERATION: self.generation})

    def _tell_of_another(self, story: str) -> None:
        self.generation += 1
        self.story = story
        log.warning("%s", story)
        call_all([*self._reopening, *self._listeners])


def open_first(opening: Opening, *, waits: bool) -> str:
    """Begin with `opening`; the schema's revision, empty where `waits` and it cannot be used yet. Raises StoreError."""
    try:
        return opening.begin()
    except StoreError as error:
        # A newer schema, or a URL that nobody can use, stays what it is.
        if waits and isinstance(error, StoreUnavailable) and not isinstance(error, SchemaNewerError):
            log.warning("going on without the database until it can be used: %s", error)
            return ""
        opening.close()
        raise


def call_all(callbacks: Sequence[Callable[[], None]]) -> None:
    """Call each, whatever becomes of the others."""
    for callback in callbacks:
        try:
            callback()
        except Exception:  # one callback: an event loop that was closed must not stop the writer
            log.exception("internal error: a callback of the store failed")
