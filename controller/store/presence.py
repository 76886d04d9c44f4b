"""Whether the database at its path is still the one that is open; what happens when it is not.

Used by the facade, which gives an `Opening` to the writer as the way to open its engine. A file that was deleted or
replaced goes on working for those who have it open, and nobody else would ever see what they write. So each
transaction of the writer first compares device and inode of the path with those that were opened: one stat.

A difference fails that transaction as unavailable. The writer then opens anew, as after any failure: the file is made
where it is missing, brought to the newest schema, and counted as another generation. The files beside the former one
(-wal, -shm) go first: SQLite would take them for those of the new one. What the old one had is lost with it; whoever
has the originals is told through `on_recreated`, and tells them again.

Servers have no file; nothing of this concerns them.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine, event

from controller.store.engine import Database, prepare, writer_engine
from controller.store.errors import StoreUnavailable

log = logging.getLogger(__name__)

GENERATION = "workerctl_generation"
"""The execution option of a writer's engine that tells which generation of the file it writes to."""
_BESIDE = ("-wal", "-shm")

Identity = tuple[int, int]


class Opening:
    """Opens the writer's engine. Called in the writer's thread only; `generation` may be read from any."""

    def __init__(self, database: Database, ready: Callable[[Engine, str], str]) -> None:
        """`ready` brings an engine's schema up to date, or refuses it. The file exists and is current now."""
        self._database, self._ready = database, ready
        self._expected = _identity(database.path)
        self._beside: dict[str, Identity | None] = {}
        self._listeners: list[Callable[[], None]] = []
        self.generation = 0

    def on_recreated(self, callback: Callable[[], None]) -> None:
        """Call `callback` in the writer's thread whenever another file was begun, before anything is written to it."""
        self._listeners = [*self._listeners, callback]

    def __call__(self) -> Engine:
        """A new engine on the file at the path, which may be another than before. Raises StoreError."""
        if self._database.path is not None and _identity(self._database.path) != self._expected:
            self._begin_another(self._database.path)
        engine = writer_engine(self._database)
        if self._database.path is not None:
            # After the engine's own BEGIN: from then on the files beside it are there.
            event.listen(engine, "begin", self._check)
        return engine.execution_options(**{GENERATION: self.generation})

    def _begin_another(self, path: str) -> None:
        for suffix, identity in self._beside.items():
            # Only those that were open here: a file that was put in place may have brought its own.
            if identity is not None and _identity(path + suffix) == identity:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path + suffix)
        prepare(self._database)
        found = _identity(path)
        engine = writer_engine(self._database)
        try:
            self._ready(engine, str(self._database))
        finally:
            engine.dispose()
        self._expected, self._beside = found, {}
        self.generation += 1
        log.warning("the database file was deleted or replaced; another one is used: %s", path)
        for callback in self._listeners:
            try:
                callback()
            except Exception:  # one callback: an event loop that was closed must not stop the writer
                log.exception("internal error: a callback of the store failed")

    def _check(self, connection: Connection) -> None:
        path = self._database.path
        assert path is not None
        found = _identity(path)
        if found == self._expected:
            self._beside = {suffix: _identity(path + suffix) or self._beside.get(suffix) for suffix in _BESIDE}
            return
        _finish(connection)
        what = "deleted or moved away" if found is None else "replaced"
        raise StoreUnavailable(
            f"Cannot write to {self._database}: its file was {what} while in use; another one is begun, "
            "and the history in the former one is not taken over"
        )


def _finish(connection: Connection) -> None:
    """Make the former file whole, as it may have been moved to be kept: its last commits are in the log beside it."""
    raw: Any = connection.connection.cursor()
    with contextlib.suppress(raw.connection.Error):
        if raw.connection.in_transaction:
            raw.execute("ROLLBACK")
        raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    raw.close()


def _identity(path: str | None) -> Identity | None:
    if path is None:
        return None
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino
