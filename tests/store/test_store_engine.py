from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from controller.store import Store, StoreCorruptError, StoreError, StoreUnavailable, engine, locate, open_store
from controller.store.chores import Reclaim
from controller.store.dialect import bulk_insert, migration_lock, upsert
from controller.store.errors import explained, is_retryable
from controller.store.records import Stored
from controller.store.tables import log_cursors, worker_logs
from tests.store.store_builders import QUICK, locked, log_batch

SQLITE: Any = cast("Any", SQLiteDialect_pysqlite)()
POSTGRESQL: Any = cast("Any", PGDialect_psycopg)()


def mode(path: str) -> int:
    return os.stat(path).st_mode & 0o777


@pytest.mark.parametrize("prefix", ["", "sqlite:///"])
def test_a_path_and_its_url_name_the_same_file(prefix: str, tmp_path: Path) -> None:
    assert locate(f"{prefix}{tmp_path}/a.db") == locate(f"{tmp_path}/a.db")
    assert locate(f"{prefix}{tmp_path}/a.db").path == f"{tmp_path}/a.db"


def test_a_relative_path_starts_in_the_current_directory() -> None:
    assert locate("sqlite:///a.db").path == f"{Path.cwd()}/a.db"


def test_the_default_is_the_state_directory_of_the_user() -> None:
    state = {"XDG_STATE_HOME": "/x", "HOME": "/h"}
    assert engine.default_path(state, is_root=False) == "/x/workerctl/workerctl.db"
    assert engine.default_path({"HOME": "/h"}, is_root=False) == "/h/.local/state/workerctl/workerctl.db"
    assert engine.default_path(state, is_root=True) == "/var/lib/workerctl/workerctl.db"
    assert locate(None, state).path == engine.default_path(state, is_root=os.geteuid() == 0)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (":memory:", "in memory"),
        ("sqlite://", "in memory"),
        ("sqlite:////a.db?mode=ro", "options in an SQLite URL are not supported"),
        ("mysql://h/db", "of type 'mysql': expected sqlite or postgresql"),
        ("no such://url", "expected sqlite:////PATH or postgresql://..."),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(target: str, message: str) -> None:
    with pytest.raises(StoreUnavailable, match=message):
        locate(target)


def test_no_password_is_ever_shown() -> None:
    with pytest.raises(StoreUnavailable) as refused:
        open_store("postgresql://me:hunter2@127.0.0.1:1/db")
    assert str(locate("postgresql://me:hunter2@127.0.0.1:1/db")) == "the database postgresql://me:***@127.0.0.1:1/db"
    # It may not even get there: the driver need not be installed.
    assert " the database postgresql://me:***@127.0.0.1:1/db: " in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_an_unknown_driver_is_refused() -> None:
    with pytest.raises(StoreUnavailable, match="of type 'postgresql\\+nosuchdriver': expected sqlite or postgresql"):
        open_store("postgresql+nosuchdriver://h/db")


def test_files_are_for_the_owner_alone(store: Store, path: str) -> None:
    assert store.writer.submit(log_batch())
    assert store.writer.flush(10)
    assert {name: mode(os.path.join(os.path.dirname(path), name)) for name in os.listdir(os.path.dirname(path))} == {
        "workerctl.db": 0o600,
        "workerctl.db-lock": 0o600,
        "workerctl.db-wal": 0o600,
        "workerctl.db-shm": 0o600,
    }
    assert mode(os.path.dirname(path)) == 0o700


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "odd ?#%20 name.db"
    path.touch(mode=0o644)
    open_store(str(path)).close()
    assert mode(str(path)) == 0o600
    assert path.stat().st_size > 0


@pytest.mark.parametrize("kind", ["directory", "link", "fifo"])
def test_only_a_regular_file_is_opened(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    if kind == "directory":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    else:
        os.mkfifo(path)
    with pytest.raises(StoreUnavailable, match="not a regular file"):
        open_store(str(path))
    assert not (tmp_path / "elsewhere").exists()


def test_a_directory_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        StoreUnavailable, match=r"Cannot create the database .*/file/a.db: (File exists|Not a directory)"
    ):
        open_store(str(tmp_path / "file" / "a.db"))


def test_a_file_that_is_no_database_is_refused_with_a_hint(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreCorruptError, match=r"the file is not a database; move it away, .* only history is lost"):
        open_store(str(path))
    assert path.read_bytes() == b"not a database" * 1000


def test_opening_a_locked_new_database_ends_with_a_message(store: Store, path: str) -> None:
    store.close()
    with locked(path):
        # The schema is current: nothing to write, nothing to wait for.
        open_store(path, settings=QUICK).close()
    Path(path).unlink()
    Path(path).touch()
    with locked(path), pytest.raises(StoreUnavailable, match="it is locked by another process"):
        open_store(path, settings=QUICK)


def test_no_descriptor_of_the_database_reaches_a_child(store: Store, path: str) -> None:
    assert store.writer.submit(log_batch())
    assert store.writer.flush(10)
    store.reader.heads()
    ours = [
        os.readlink(f"/proc/self/fd/{fd}")
        for fd in os.listdir("/proc/self/fd")
        if os.path.lexists(f"/proc/self/fd/{fd}")
    ]
    assert path in ours
    script = (
        "import os; paths = [f'/proc/self/fd/{f}' for f in os.listdir('/proc/self/fd')]; "
        "print([os.readlink(path) for path in paths if os.path.lexists(path)])"
    )
    child = subprocess.run([sys.executable, "-c", script], close_fds=False, capture_output=True, text=True, check=True)
    assert "workerctl.db" not in child.stdout


def test_a_reader_cannot_write(store: Store) -> None:
    with store.reader._engine.connect() as connection, pytest.raises(Exception, match=r"read-?only"):
        connection.execute(log_cursors.delete())


def test_a_server_gives_pages_back_by_itself() -> None:
    connection = cast("Connection", SimpleNamespace(dialect=SimpleNamespace(name="postgresql")))
    assert engine.reclaim(connection, Reclaim(pages=10)) == Stored(rows=0)


@pytest.mark.parametrize("spoken", [SQLITE, POSTGRESQL], ids=["sqlite", "postgresql"])
def test_an_upsert_sets_all_but_keys_and_what_is_kept(spoken: Any) -> None:
    sql = " ".join(str(upsert(spoken.name, log_cursors, keep=("slot",)).compile(dialect=spoken)).split())
    assert "ON CONFLICT (run, stream) DO UPDATE SET byte_offset = excluded.byte_offset, seq = excluded.seq, upd" in sql


def test_only_a_server_needs_a_lock_to_migrate() -> None:
    assert "pg_advisory_xact_lock" in str(migration_lock("postgresql"))
    assert "lock" not in str(migration_lock("sqlite"))


def test_lines_are_inserted_in_the_style_of_the_driver() -> None:
    assert bulk_insert(SQLITE, worker_logs, ("run", "at")) == (
        "INSERT INTO worker_logs (run, at) VALUES (?, ?)",
        True,
    )
    sql, positional = bulk_insert(POSTGRESQL, worker_logs, ("run", "at"))
    assert sql == 'INSERT INTO worker_logs (run, at) VALUES (%(run)s::VARCHAR COLLATE "C", %(at)s)'
    assert not positional


def test_errors_become_one_sentence_and_keep_their_kind() -> None:
    integrity = IntegrityError("INSERT", {}, Exception("NOT NULL constraint failed: events.at\nmore"))
    refused = explained(integrity, "write to", "the database x")
    assert type(refused) is StoreError
    assert str(refused) == "Cannot write to the database x: NOT NULL constraint failed: events.at"
    assert explained(refused, "read", "y") is refused
    assert str(explained(PoolTimeoutError("x"), "read", "y")) == "Cannot read y: all connections are busy"
    assert str(explained(OSError("odd"), "read", "y")) == "Cannot read y: odd"
    assert str(explained(OverflowError(), "write to", "y")) == "Cannot write to y: OverflowError"
    assert [is_retryable(error) for error in (integrity, StatementError("m", "s", {}, ValueError()), OSError())] == [
        False,
        False,
        True,
    ]
