"""Whether the database at its path is still the one that is open; what happens when it is not.

Used by the facade, which gives an `Opening` to the writer as the way to open its engine. A file that was deleted or
replaced goes on working for those who have it open, and nobody else would ever see what they write. So each
transaction of the writer first compares device and inode of the path with those that were opened: one stat.

A difference fails that transaction as unavailable. The writer then opens anew, as after any failure: the file is made
where it is missing, brought to the newest schema, and counted as another generation. The files beside the former one
(-wal, -shm) go first: SQLite would take them for those of the new one. What the old one had is lost with it; whoever
has the originals is told through `on_recreated`, and tells them again.

The files beside it may go alone. Then the log that is still open here is brought into the file at once, and all is
opened anew: left so, a kill would cost what was committed since, and another program would not see it.

A file that cannot be used when the store is opened may be waited for: see facade. It is brought up to date by the first
opening that succeeds.

Servers have no file; nothing of this concerns them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from collections.abc import Callable, Sequence
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

    def __init__(self, database: Database, ready: Callable[[Engine, str], str], *, is_ready: bool = True) -> None:
        """`ready` brings an engine's schema up to date, or refuses it. `is_ready`: it is there and current now."""
        self._database, self._ready, self._is_ready = database, ready, is_ready
        self._expected = _identity(database.path)
        self._beside: dict[str, Identity | None] = {}
        self._listeners: list[Callable[[], None]] = []
        self._reopening: list[Callable[[], None]] = []
        self.generation = 0

    def on_recreated(self, callback: Callable[[], None]) -> None:
        """Call `callback` in the writer's thread whenever another file was begun, before anything is written to it."""
        self._listeners = [*self._listeners, callback]

    def on_reopened(self, callback: Callable[[], None]) -> None:
        """Call `callback` in the writer's thread when everybody has to open the same database anew."""
        self._reopening = [*self._reopening, callback]

    def __call__(self) -> Engine:
        """A new engine on the file at the path, which may be another than before. Raises StoreError."""
        if not self._is_ready:
            self._expected = self._begin()
            self._is_ready = True
        elif self._database.path is not None and _identity(self._database.path) != self._expected:
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
        self._expected, self._beside = self._begin(), {}
        self.generation += 1
        log.warning("the database file was deleted, emptied or replaced; another one is used: %s", path)
        _call_all([*self._reopening, *self._listeners])

    def _begin(self) -> Identity | None:
        """Bring what is there, or is made now, up to date. Which file it is."""
        prepare(self._database)
        found = _identity(self._database.path)
        engine = writer_engine(self._database)
        try:
            self._ready(engine, str(self._database))
        finally:
            engine.dispose()
        return found

    def _check(self, connection: Connection) -> None:
        path = self._database.path
        assert path is not None
        if _identity(path) == self._expected and _is_empty(path):
            # Emptied in its place. Closing would bring the log of the former content into it: another file is begun.
            os.unlink(path)
        found = _identity(path)
        if found == self._expected:
            beside = {suffix: _identity(path + suffix) for suffix in _BESIDE}
            lost = [suffix for suffix, one in self._beside.items() if one is not None and beside[suffix] != one]
            if not lost:
                self._beside = beside
                return
            self._beside = {}
            _finish(connection, "FULL")
            _call_all(self._reopening)
            raise StoreUnavailable(
                f"Cannot write to {self._database}: {path}{lost[0]} was deleted while in use; what it held was saved, "
                "and the database is opened anew"
            )
        _finish(connection, "PASSIVE")
        what = "deleted, emptied or moved away" if found is None else "replaced"
        raise StoreUnavailable(
            f"Cannot write to {self._database}: its file was {what} while in use; another one is begun, "
            "and the history in the former one is not taken over"
        )


def _call_all(callbacks: Sequence[Callable[[], None]]) -> None:
    for callback in callbacks:
        try:
            callback()
        except Exception:  # one callback: an event loop that was closed must not stop the writer
            log.exception("internal error: a callback of the store failed")


def _finish(connection: Connection, how: str) -> None:
    """Bring the last commits, which are in the log beside it, into the file: it may have been moved to be kept."""
    raw: Any = connection.connection.cursor()
    with contextlib.suppress(raw.connection.Error):
        if raw.connection.in_transaction:
            raw.execute("ROLLBACK")
        raw.execute(f"PRAGMA wal_checkpoint({how})").fetchall()
    raw.close()


def _identity(path: str | None) -> Identity | None:
    if path is None:
        return None
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def _is_empty(path: str) -> bool:
    """Whether nothing is in the file. One that is open here has a first page at least: the switch to WAL writes it."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        found = os.lstat(path)
        return stat.S_ISREG(found.st_mode) and found.st_size == 0
    return False
