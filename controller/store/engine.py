"""How the database is found and opened. The only file that knows what is special about SQLite.

Called by the facade (find, prepare) and, through the two engine functions, by writer and reader. Nothing else opens
the file, not even to look at its size: POSIX drops all locks of a process on a file when any descriptor of it is
closed, and SQLite would not know. For the same reason the empty file is made with mknod, which opens nothing.
SQLite's own descriptors are close-on-exec, so no worker inherits one. Of servers, postgres knows what is special.

Settings of SQLite, and why:
- WAL: readers never block the writer, nor it them.
- synchronous=NORMAL: a commit survives the death of any process, and the file stays whole after a power loss, which
  may cost the last commits. Lines and cursor, events and cursor stand in one transaction, so what is lost is lost
  together and read again from its log file or journal, which are the originals; wishes and specs are fsynced files
  of their own. FULL would add one fsync per commit (0.1 to 170 ms) to protect copies.
- auto_vacuum=INCREMENTAL: so that retention can give space back in slices. Only an empty file can be told.
- mode=rw: a file that went away is an error, never silently replaced by an empty one that anyone may read; it is
  begun anew by `prepare` only, see presence.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from controller.store import postgres
from controller.store.chores import Reclaim
from controller.store.errors import StoreUnavailable, explained
from controller.store.records import Stored

BUSY_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 30.0
FILE_NAME = "workerctl.db"

# For an empty file only. Said to any other it takes the write lock, if only to find that nothing changes.
_LOOK_AGAIN_S = 0.01
_FIRST_PRAGMA = "auto_vacuum=INCREMENTAL"
_WRITER_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=NORMAL",
    "foreign_keys=ON",
    # A checkpoint every 16 MB, and a log that is cut back to that after a long reader had kept it growing.
    "wal_autocheckpoint=4000",
    "journal_size_limit=67108864",
    "cache_size=-16000",
)
_READER_PRAGMAS = ("query_only=ON", "cache_size=-8000")


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """Where the database is. `path` is the absolute path of an SQLite file, None for a server."""

    url: URL
    path: str | None = None
    busy_timeout_s: float = BUSY_TIMEOUT_S
    answer_timeout_s: float = ANSWER_TIMEOUT_S

    def __str__(self) -> str:
        return f"the database {self.shown}"

    @property
    def shown(self) -> str:
        """The file's path, or the server's URL without passwords."""
        return self.path or postgres.shown(self.url)


def locate(target: str | None, environ: Mapping[str, str] | None = None) -> Database:
    """The database that `target` names: `sqlite:////path`, `postgresql://...`, a plain path, or None for the default.

    Raises StoreUnavailable where it names none that can be used.
    """
    if target is None:
        return _file(default_path(os.environ if environ is None else environ, is_root=os.geteuid() == 0))
    if "://" not in target:
        return _file(target)
    try:
        url = make_url(target)
    except (ArgumentError, ValueError):
        raise StoreUnavailable("Cannot read the database URL: expected sqlite:////PATH or postgresql://...") from None
    match url.drivername:
        case "sqlite" if url.query:
            raise StoreUnavailable(f"Cannot use {target}: options in an SQLite URL are not supported")
        case "sqlite":
            return _file(url.database or "")
        case name if name in postgres.DRIVERS:
            postgres.check_driver()
            return Database(url=url.set(drivername="postgresql"))
        case other:
            raise StoreUnavailable(f"Cannot use a database of type {other!r}: expected sqlite or postgresql")


def default_path(environ: Mapping[str, str], *, is_root: bool) -> str:
    """The file in the default state directory: /var/lib for root, XDG for everyone else."""
    if is_root:
        return f"/var/lib/workerctl/{FILE_NAME}"
    state = environ.get("XDG_STATE_HOME") or os.path.join(environ.get("HOME") or str(Path.home()), ".local/state")
    return os.path.join(state, "workerctl", FILE_NAME)


def _file(path: str) -> Database:
    if path in ("", ":memory:"):
        raise StoreUnavailable("Cannot use a database in memory: writer and readers need the same file")
    absolute = os.path.abspath(path)
    # quote: a path may hold `?` and `#`, which mean something in the URI that SQLite reads.
    url = URL.create("sqlite", database=f"file:{quote(absolute)}", query={"mode": "rw", "uri": "true"})
    return Database(url=url, path=absolute)


def prepare(database: Database) -> None:
    """Make an SQLite file (0600) and its directories (0700) where they are missing, and close an open one to others.

    Raises StoreUnavailable where that cannot be done, or where something else than a file is in its place.
    """
    if database.path is None:
        return
    try:
        os.makedirs(os.path.dirname(database.path), mode=0o700, exist_ok=True)
        try:
            os.mknod(database.path, stat.S_IFREG | 0o600)
        except FileExistsError:
            _check_existing(database.path)
    except OSError as error:
        raise explained(error, "create", str(database)) from None


def _check_existing(path: str) -> None:
    status = os.lstat(path)
    if not stat.S_ISREG(status.st_mode):
        raise StoreUnavailable(f"Cannot use the database {path}: it is not a regular file (a link is not followed)")
    # The files beside it (-wal, -shm) get the mode of this one from SQLite.
    if status.st_mode & 0o077 and status.st_uid == os.geteuid():
        os.chmod(path, 0o600)


def writer_engine(database: Database, prepare: postgres.Prepare = lambda _connection: None) -> Engine:
    """An engine with one connection whose transactions take the write lock at once, so that none fails half-way.

    `prepare` is called with each new connection to a server.
    """
    if database.path is None:
        return _server(database, size=1, prepare=prepare)
    return _engine(database, _WRITER_PRAGMAS, begin="BEGIN IMMEDIATE", size=1)


def reader_engine(database: Database, size: int) -> Engine:
    """An engine with up to `size` connections that cannot write."""
    if database.path is None:
        # Somebody waits for the answer, and there are only so many who can ask at once.
        engine = _server(replace(database, answer_timeout_s=database.answer_timeout_s / 3), size=size)
        # A question has nobody who would ask it again; the writer finds out by writing, and tries again.
        postgres.ask_before_use(engine)
        return engine.execution_options(postgresql_readonly=True)
    return _engine(database, _READER_PRAGMAS, begin="BEGIN", size=size)


def only_reading(engine: Engine) -> Engine:
    """A writer's engine for a question, which needs no lock."""
    return engine.execution_options(sqlite_begin="BEGIN")


def reclaim(connection: Connection, chore: Reclaim) -> Stored:
    """Give free pages back to the file system; how many were given. Servers do that by themselves."""
    if connection.dialect.name != "sqlite":
        return Stored(rows=0)
    end = time.monotonic() + chore.within_s
    surplus = int(connection.exec_driver_sql("PRAGMA freelist_count").scalar_one()) - chore.keep
    given, most = 0, min(surplus, chore.pages)
    cursor = connection.connection.cursor()
    while given < most and time.monotonic() < end:
        # One at a time: each step of this statement frees a page and gives a row without columns, which the driver
        # takes for the end.
        cursor.execute("PRAGMA incremental_vacuum(1)")
        given += 1
    cursor.close()
    return Stored(rows=given, more=0 < given < surplus)


def _execute_patiently(cursor: sqlite3.Cursor, statement: str, patience_s: float) -> None:
    """Execute, waiting for another process's lock also where SQLite itself does not.

    It changes the journal mode at once or not at all: of two that open a new file together, one would fail.
    """
    until = time.monotonic() + patience_s
    while True:
        try:
            cursor.execute(statement).fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
            threading.Event().wait(_LOOK_AGAIN_S)
        else:
            return


def _pool(database: Database, size: int) -> dict[str, Any]:
    return {"pool_size": size, "max_overflow": 0, "pool_timeout": database.busy_timeout_s}


def _server(database: Database, *, size: int, prepare: postgres.Prepare = lambda _connection: None) -> Engine:
    limits_s = (database.answer_timeout_s, database.busy_timeout_s)
    return postgres.server_engine(database.url, limits_s, _pool(database, size), prepare)


def _engine(database: Database, pragmas: tuple[str, ...], *, begin: str, size: int) -> Engine:
    # isolation_level None: the driver begins nothing by itself, so DDL and `begin` below are in our hands.
    arguments = {"timeout": database.busy_timeout_s, "isolation_level": None}
    engine = create_engine(database.url, connect_args=arguments, **_pool(database, size))

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _entry: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        is_empty = cursor.execute("PRAGMA page_count").fetchone() == (0,)
        for pragma in (_FIRST_PRAGMA, *pragmas) if is_empty else pragmas:
            _execute_patiently(cursor, f"PRAGMA {pragma}", database.busy_timeout_s)
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", begin))

    return engine
