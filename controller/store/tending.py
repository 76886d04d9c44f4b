"""What a person does to the database by hand: look at it, check it, copy it, make it smaller, bring it up to date.

Called by `workerctl db`, beside a controller that may be running. Looking, checking and copying take no lock that it
would notice. What changes the whole file takes the right to write first, so it is refused while a controller has it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, func, inspect, select
from sqlalchemy.exc import SQLAlchemyError

from controller.store import migrate
from controller.store.engine import Database, locate, only_reading, prepare, reader_engine, writer_engine
from controller.store.errors import StoreError, StoreUnavailable, explained
from controller.store.file_lock import FileLock
from controller.store.log_rows import count_anew, counted
from controller.store.postgres import SoleWriter
from controller.store.tables import events, log_totals, metadata, worker_logs

_MOST_FINDINGS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """The size of the database and what is in it. `free_bytes` would come back by a vacuum; None for servers.

    `tables`: rows by table. `logs`: lines by worker, the most first. `removed`: those that retention has removed, by
    worker. `oldest`, `newest`: of log lines, in seconds since the epoch.
    """

    name: str
    schema: str
    bytes: int
    free_bytes: int | None
    tables: dict[str, int]
    logs: dict[str, int]
    removed: dict[str, int]
    oldest: float | None
    newest: float | None


def stats(url: str) -> Stats:
    """Look at all of it, as far as it is there: an older schema has fewer tables. Counting reads every table once.

    Raises StoreError.
    """
    database = locate(url)
    with _reading(database) as connection:
        there = set(inspect(connection).get_table_names())
        tables = {name: _count(connection, name) for name in metadata.tables if name in there}
        has = log_totals.c
        by_lines = select(log_totals).order_by(has.lines.desc(), has.worker_id)
        totals = connection.execute(by_lines).all() if log_totals.name in there else []
        span = select(func.min(worker_logs.c.at), func.max(worker_logs.c.at))
        oldest, newest = connection.execute(span).one() if worker_logs.name in there else (None, None)
        size, free = _sizes(connection, database)
        schema = migrate.current(connection) or "empty"
    return Stats(
        name=str(database), schema=schema, bytes=size, free_bytes=free, tables=tables, oldest=oldest, newest=newest,
        logs={one.worker_id: one.lines for one in totals if one.lines},
        removed={one.worker_id: one.removed_lines for one in totals if one.removed_lines},
    )  # fmt: skip


def _count(connection: Connection, name: str) -> int:
    return connection.scalar(select(func.count()).select_from(metadata.tables[name])) or 0


def _sizes(connection: Connection, database: Database) -> tuple[int, int | None]:
    if database.path is None:
        return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one()), None
    page, free = (
        int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()) for name in ("page_size", "freelist_count")
    )
    beside = 0
    with contextlib.suppress(OSError):
        beside = os.path.getsize(database.path + "-wal")
    return os.path.getsize(database.path) + beside, free * page


def revisions(url: str) -> tuple[str, str]:
    """The schema's revision, empty where there is none, and the newest one that this program knows."""
    with _reading(locate(url)) as connection:
        return migrate.current(connection) or "", migrate.head()


def check(url: str) -> list[str]:
    """What is wrong with it; empty when all is well. Reads all of it."""
    database = locate(url)
    found: list[str] = []
    with _reading(database) as connection:
        schema, newest = migrate.current(connection) or "", migrate.head()
        if schema != newest:
            found.append(f"its schema is {schema or 'empty'}, this workerctl's is {newest}")
        if database.path is not None:
            rows = connection.exec_driver_sql(f"PRAGMA integrity_check({_MOST_FINDINGS})").scalars().all()
            found += [str(row) for row in rows if row != "ok"]
        connection.scalar(select(func.max(events.c.seq)))
        if schema == newest:
            found += _miscounted(connection)
    return found


def _miscounted(connection: Connection) -> list[str]:
    """Workers whose totals are not those of their lines: somebody deleted or added some by hand."""
    there = counted(connection)
    told = {row.worker_id: (row.lines, row.bytes) for row in connection.execute(select(log_totals))}
    found: list[str] = []
    for name in sorted({*there, *told}):
        (lines, size), (rows, bytes_there) = told.get(name, (0, 0)), there.get(name, (0, 0))
        if (lines, size) != (rows, bytes_there):
            have = f"{lines} lines of {size} bytes"
            found.append(f"log_totals says that {name} has {have}, but there are {rows} of {bytes_there}")
    return found[:_MOST_FINDINGS]


def backup(url: str, target: Path) -> int:
    """Copy an SQLite file as it is at one moment, while it is written to; how many bytes. `target` must not exist.

    Whole or not at all: what is there under the name is complete and on the disk.
    """
    database = locate(url)
    if database.path is None:
        raise StoreError(f"Cannot copy {database}: use pg_dump for a server's database")
    if not os.path.exists(database.path):
        raise StoreUnavailable(f"Cannot copy {database}: there is no such file")
    try:
        with _unfinished(target) as (unfinished, fd):
            _copy(database.path, unfinished)
            os.fsync(fd)
            os.link(unfinished, target)  # unlike a rename, it does not replace what is there
            _sync_folder(target.parent)
    except FileExistsError:
        raise StoreError(f"Cannot copy to {target}: it is there already; name another file") from None
    except BlockingIOError:
        raise StoreError(f"Cannot copy to {target}: another copy to it is under way") from None
    except (OSError, sqlite3.Error) as error:
        raise StoreUnavailable(f"Cannot copy {database} to {target}: {error}") from error
    return target.stat().st_size


@contextmanager
def _unfinished(target: Path) -> Iterator[tuple[Path, int]]:
    """An empty file beside `target`, nobody else's while it lasts, and gone then. What a dead one left is taken.

    Raises OSError; BlockingIOError where somebody has it, who is not disturbed.
    """
    path = target.with_name(f".{target.name}.unfinished")
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(fd).st_nlink == 0:
            raise BlockingIOError  # It was another one's a moment ago.
        try:
            os.ftruncate(fd, 0)
            yield path, fd
        finally:
            path.unlink(missing_ok=True)
    finally:
        os.close(fd)


def _uri(path: str, mode: str) -> str:
    """A file that is there, never one that is begun. Of a path as it is, `?` and `#` would end the name."""
    return f"file:{quote(path)}?mode={mode}"


def _copy(path: str, target: Path) -> None:
    source = sqlite3.connect(_uri(path, "ro"), uri=True)
    copy = sqlite3.connect(target)
    try:
        # In one go: copying in pieces begins anew whenever somebody writes between two of them.
        source.backup(copy, pages=-1)
        copy.execute("PRAGMA journal_mode = DELETE").fetchall()
    finally:
        copy.close()
        source.close()


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def vacuum(url: str) -> tuple[int, int]:
    """Write the file anew without its free pages; its bytes before and after. StoreTakenError beside a writer.

    Whoever has deleted lines by hand does this next: so they are counted anew, too.
    """
    database = locate(url)
    if database.path is None:
        raise StoreError(f"Cannot vacuum {database}: a server does so by itself (autovacuum)")
    with _sole(database):
        before = _file_bytes(database.path)
        try:
            _count_anew(database)
            connection = sqlite3.connect(_uri(database.path, "rw"), uri=True, isolation_level=None)
            try:
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                connection.close()
        except (sqlite3.Error, SQLAlchemyError) as error:
            raise explained(error, "vacuum", str(database)) from error
        return before, _file_bytes(database.path)


def _count_anew(database: Database) -> None:
    engine = writer_engine(database)
    try:
        with engine.begin() as connection:
            if migrate.current(connection) == migrate.head():
                count_anew(connection)
    finally:
        engine.dispose()


def _file_bytes(path: str) -> int:
    total = os.path.getsize(path)
    with contextlib.suppress(OSError):
        total += os.path.getsize(path + "-wal")
    return total


def upgrade(url: str) -> tuple[str, str]:
    """Bring the schema up to date, as `serve` does; its revision before (empty: there was none) and after."""
    database = locate(url)
    before = ""
    if database.path is None or os.path.exists(database.path):
        before, _ = revisions(url)
    with _sole(database):
        prepare(database)
        engine = writer_engine(database)
        try:
            return before, migrate.upgrade(engine, str(database))
        finally:
            engine.dispose()


@contextmanager
def _sole(database: Database) -> Iterator[None]:
    """The right to write, while it lasts."""
    if database.path is None:
        sole = SoleWriter(str(database))
        engine = writer_engine(database, sole.take)
        try:
            with engine.connect():
                yield
        except SQLAlchemyError as error:
            raise explained(error, "write to", str(database)) from error
        finally:
            engine.dispose()
        return
    lock = FileLock(database.path, str(database))
    os.makedirs(os.path.dirname(database.path), mode=0o700, exist_ok=True)
    lock.take()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _reading(database: Database) -> Iterator[Connection]:
    if database.path is not None and not os.path.exists(database.path):
        raise StoreUnavailable(f"Cannot open {database}: there is no such file")
    engine = reader_engine(database, 1)
    try:
        with only_reading(engine).connect() as connection:
            yield connection
    except (SQLAlchemyError, OSError) as error:
        raise explained(error, "read", str(database)) from error
    finally:
        engine.dispose()
