"""The store as the rest of the program sees it: opened, used through `writer` and `reader`, closed. See the package.

`open_store` is bounded in time: it tries once, waiting for a lock no longer than the busy timeout, and raises with a
sentence that says what to do. Whether to go on without a database meanwhile is the caller's decision: with `waits` the
store is there at once, and its writer tries again until the database can be used. Once open, the store outlives the
database's absence by itself; see writer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sqlalchemy import Engine
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from controller.store import migrate as migrations
from controller.store.backlog import Limits
from controller.store.engine import BUSY_TIMEOUT_S, Database, locate, prepare, reader_engine, writer_engine
from controller.store.errors import SchemaNewerError, StoreUnavailable, explained
from controller.store.presence import Opening
from controller.store.queries import Reader
from controller.store.retention import Policy, Swept, sweep
from controller.store.writer import Writer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the store behaves. `busy_timeout_s`: how long one statement waits for another process's lock."""

    busy_timeout_s: float = BUSY_TIMEOUT_S
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
        self.writer = Writer(opening, name=str(database), limits=settings.limits)

    @property
    def generation(self) -> int:
        """How many times the file was deleted or replaced, and another one begun, since the store was opened."""
        return self._opening.generation

    def on_recreated(self, callback: Callable[[], None]) -> None:
        """Call `callback` whenever another file was begun: all cursors and rows that are known of it are void.

        In the writer's thread, after `reader` and `generation` are those of the new file and before anything is
        written to it; it must return at once.
        """
        self._opening.on_recreated(callback)

    def sweep(self, policy: Policy, now: float) -> Swept:
        """Delete what `policy` no longer keeps. Blocks for as long as that takes; see retention."""
        return sweep(self.writer, self.reader, policy, now)

    def close(self, timeout: float = 5.0) -> bool:
        """Store what waits for up to `timeout` seconds, then close. False: something is left unwritten."""
        complete = self.writer.close(timeout)
        self.reader.close()
        return complete


def open_store(
    url: str | None = None, *, migrate: bool = True, settings: Settings | None = None, waits: bool = False
) -> Store:
    """Open the database at `url` (`sqlite:////path`, a plain path, `postgresql://...`, None: the default place).

    With `migrate` its schema is brought up to date first; without, it must be. Raises StoreUnavailable (or one of
    its kinds: damaged, newer schema) with one sentence for a person. With `waits`, what may be over later is only
    logged; a newer schema, a missing driver and the like are refused all the same.
    """
    settings = settings or Settings()
    database = replace(locate(url), busy_timeout_s=settings.busy_timeout_s)
    ready = migrations.upgrade if migrate else migrations.verify
    try:
        schema = _first_opening(database, ready)
    except SchemaNewerError:
        raise
    except StoreUnavailable as error:
        if not waits or isinstance(error.__cause__, ImportError | ArgumentError):
            raise
        log.warning("going on without the database until it can be used: %s", error)
        return Store(Opening(database, ready, is_ready=False), database, settings, schema="")
    return Store(Opening(database, ready), database, settings, schema)


def _first_opening(database: Database, ready: Callable[[Engine, str], str]) -> str:
    prepare(database)
    try:
        engine = writer_engine(database)
    except (SQLAlchemyError, ImportError) as error:
        # A driver that is not installed, or a URL whose options it does not know.
        raise StoreUnavailable(str(explained(error, "open", str(database)))) from error
    try:
        return ready(engine, str(database))
    finally:
        engine.dispose()
