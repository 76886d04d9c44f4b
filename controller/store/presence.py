"""Whether the file at its path is still the one that is open, and sound; what happens when it is not.

Used by the facade, which gives a `FileOpening` to the writer as the way to open its engine. A file that was deleted or
replaced goes on working for those who have it open, and nobody else would ever see what they write. So each
transaction of the writer first compares device and inode of the path with those that were opened: one stat.

A difference fails that transaction as unavailable. The writer then opens anew, as after any failure: the file is made
where it is missing, brought to the newest schema, and counted as another generation. The files beside the former one
(-wal, -shm) go first: SQLite would take them for those of the new one. What the old one had is lost with it; whoever
has the originals is told through `on_recreated`, and tells them again.

The files beside it may go alone. Then the log that is still open here is brought into the file at once, and all is
opened anew: left so, a kill would cost what was committed since, and another program would not see it.

A damaged file is set aside under another name and another one is begun, as nothing but history is in it and waiting for
a person would cost the history to come. Only after two attempts in a row, each on a connection of its own, found it
damaged, and only where the file is ours for certain: it was in use here, or has our name. Nothing is ever deleted; with
three such files beside it the next one waits for a person, for then it is the disk.

A file that cannot be used when the store is opened may be waited for: see facade. It is brought up to date by the first
opening that succeeds.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from typing import Any

from sqlalchemy import Connection, Engine, event

from controller.store.engine import FILE_NAME, Database, prepare, writer_engine
from controller.store.errors import StoreCorruptError, StoreUnavailable, explained, is_damage
from controller.store.file_lock import FileLock
from controller.store.opening import Opening, Ready, call_all

DAMAGED = ".damaged-"
"""What the name of a file that was set aside goes on with: a time follows."""
MOST_DAMAGED = 3
_BESIDE = ("-wal", "-shm")
_CERTAIN = 2

Identity = tuple[int, int]


class FileOpening(Opening):
    """See Opening."""

    def __init__(self, database: Database, ready: Ready) -> None:
        """Opens nothing yet. `database` is a file."""
        super().__init__(database, ready)
        assert database.path is not None
        self._path = database.path
        self._lock = FileLock(self._path, str(database))
        self._is_ready = False
        self._expected: Identity | None = None
        self._beside: dict[str, Identity | None] = {}
        self._damages = 0

    def begin(self) -> str:
        """See Opening."""
        prepare(self._database)
        self._lock.take()
        found = _identity(self._path)
        engine = writer_engine(self._database)
        try:
            schema = self._ready(engine, str(self._database))
        finally:
            engine.dispose()
        self._expected, self._is_ready = found, True
        return schema

    def __call__(self) -> Engine:
        """See Opening."""
        if self._damages >= _CERTAIN and (self._is_ready or os.path.basename(self._path) == FILE_NAME):
            self._set_aside()
        if not self._is_ready:
            self.begin()
        self._lock.take()
        if _identity(self._path) != self._expected:
            self._begin_another()
        engine = writer_engine(self._database)
        # After the engine's own BEGIN: from then on the files beside it are there.
        event.listen(engine, "begin", self._check)
        return self._engine_of_this_generation(engine)

    def attempted(self, _error: Exception | None) -> None:
        """See Opening."""
        self._damages = self._damages + 1 if is_damage(_error) else 0

    def close(self) -> None:
        """See Opening."""
        self._lock.release()

    def _begin_another(self) -> None:
        for suffix, identity in self._beside.items():
            # Only those that were open here: a file that was put in place may have brought its own.
            if identity is not None and _identity(self._path + suffix) == identity:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._path + suffix)
        self._beside = {}
        self.begin()
        self._tell_of_another(f"the database file was deleted, emptied or replaced; another one is used: {self._path}")

    def _set_aside(self) -> None:
        directory, name = os.path.split(self._path)
        try:
            kept = [one for one in os.listdir(directory) if one.startswith(name + DAMAGED) and one[-4:] not in _BESIDE]
            if len(kept) >= MOST_DAMAGED:
                raise StoreCorruptError(
                    f"Cannot write to {self._database}: the file is damaged, as were {len(kept)} before it "
                    f"({name}{DAMAGED}*); look at the disk, move them away, and another one is begun",
                    "the file is damaged, as were others before it",
                )
            aside = f"{self._path}{DAMAGED}{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
            # The file itself last: its log left behind alone would be taken for that of the next one.
            for suffix in (*_BESIDE, ""):
                with contextlib.suppress(FileNotFoundError):
                    os.rename(self._path + suffix, aside + suffix)
        except OSError as error:
            raise explained(error, "set aside", str(self._database)) from error
        self._damages, self._beside = 0, {}
        self.begin()
        self._tell_of_another(
            f"the database file was damaged: it was set aside as {aside}, and another one is begun; what the agent and "
            "the log files still have is told again"
        )

    def _check(self, connection: Connection) -> None:
        path = self._path
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
            call_all(self._reopening)
            raise StoreUnavailable(
                f"Cannot write to {self._database}: {path}{lost[0]} was deleted while in use; what it held was saved, "
                "and the database is opened anew",
                "a file beside it was deleted, it is opened anew",
            )
        _finish(connection, "PASSIVE")
        what = "deleted, emptied or moved away" if found is None else "replaced"
        raise StoreUnavailable(
            f"Cannot write to {self._database}: its file was {what} while in use; another one is begun, "
            "and the history in the former one is not taken over",
            f"its file was {what}, another one is begun",
        )


def _finish(connection: Connection, how: str) -> None:
    """Bring the last commits, which are in the log beside it, into the file: it may have been moved to be kept."""
    raw: Any = connection.connection.cursor()
    with contextlib.suppress(raw.connection.Error):
        if raw.connection.in_transaction:
            raw.execute("ROLLBACK")
        raw.execute(f"PRAGMA wal_checkpoint({how})").fetchall()
    raw.close()


def _identity(path: str) -> Identity | None:
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
