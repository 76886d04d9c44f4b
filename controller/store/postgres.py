"""What is special about PostgreSQL: how it is connected to, how long it may take, how another writer is kept out.

The counterpart of what engine says about SQLite; called by engine and by sessions. The driver is an extra
(`workerctl[postgres]`) and is imported only where a URL asks for it.

Nothing waits for ever. Connecting has a limit; a peer that is gone is found by TCP (keepalives, and a limit on data
that nobody acknowledges); a statement has a limit in the server. And a proxy or a network that swallows what we send,
which none of these sees, has ours: a wait for an answer ends after half as long again, with the connection closed.

One writer: the writer's connection holds an advisory lock for as long as it lives, so whoever has lost its connection
has lost the right to write with it, and no clock is involved. A session of our own that the server has not yet found
dead is ended by us; any other holder is another controller, and is named.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Generator, Mapping, Sequence
from importlib.util import find_spec
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from controller.store.errors import READ_ONLY, StoreTakenError, StoreUnavailable

if TYPE_CHECKING:
    import psycopg

DRIVERS = ("postgresql", "postgres", "postgresql+psycopg")
INSTALL = "pip install 'workerctl[postgres]'"
WRITER_LOCK = 0x776F726B_0001
"""Any constant will do, advisory locks are per database; all versions of workerctl must use the same."""

# How libpq finds a dead peer: within 11 s when idle, within 10 s when something is under way.
_ALIVE = {
    "connect_timeout": 5, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}  # fmt: skip
# The same in the server, so that a lock does not outlive a host that lost its power.
_SESSION = ("tcp_keepalives_idle = 10", "tcp_keepalives_interval = 5", "tcp_keepalives_count = 3")
_PATIENCE = 1.5
_SECRETS = ("password", "sslpassword")
_HIDDEN = "***"

# What is reported as stored is never sent again: it must survive a crash of the server.
_DURABLE = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
_TAKE = "SELECT pg_try_advisory_lock(%s), pid, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()"
_HOLDER = (
    "SELECT a.pid, a.backend_start::text, a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
    "WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 "
    "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND (l.classid::bigint << 32) + l.objid::bigint = %s"
)
# Another database, a restored one, or a promoted standby: what this process knows to be stored need not be there.
_IDENTITY = text(
    "SELECT CASE WHEN NOT pg_is_in_recovery() THEN concat_ws('/', "
    "(SELECT oid FROM pg_database WHERE datname = current_database()), to_regclass('event_cursors')::oid, "
    "left(pg_walfile_name(pg_current_wal_lsn()), 8)) END"
)

T = TypeVar("T")
Prepare = Callable[["psycopg.Connection[Any]"], None]


def check_driver() -> None:
    """Raises StoreUnavailable where the driver is not installed."""
    if find_spec("psycopg") is None:
        raise StoreUnavailable(
            "Cannot use a PostgreSQL database: its driver is not installed; install it into the environment of "
            f"workerctl: {INSTALL}"
        )


def shown(url: URL) -> str:
    """The URL without its passwords, wherever they stand."""
    hidden = {name: _HIDDEN for name in _SECRETS if name in url.query}
    return url.update_query_dict(hidden).render_as_string(hide_password=True).replace("%2A%2A%2A", _HIDDEN)


def server_engine(url: URL, limits_s: tuple[float, float], pool: Mapping[str, Any], prepare: Prepare) -> Engine:
    """An engine on a server; connects with its first use. Each new connection is handed to `prepare`, in autocommit.

    `limits_s`: how long an answer may take, and how long a lock may be waited for. `pool` as for create_engine.
    """
    # What the URL says itself holds.
    alive = {
        name: value for name, value in {**_ALIVE, "application_name": _own_name()}.items() if name not in url.query
    }
    answer_s, lock_s = limits_s
    settings = (
        f"statement_timeout = {int(answer_s * 1000)}",
        f"lock_timeout = {int(lock_s * 1000)}",
        f"idle_in_transaction_session_timeout = {int(answer_s * 2000)}",
        *_SESSION,
    )
    engine = create_engine(url, connect_args=alive, hide_parameters=True, **pool)

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: Any, _entry: ConnectionPoolEntry, _arguments: Any, parameters: dict[str, Any]) -> Any:
        connection = _limited_class(answer_s * _PATIENCE).connect(**parameters, autocommit=True)
        try:
            _check_encoding(connection, shown(url))
            connection.execute("; ".join([*(f"SET {setting}" for setting in settings), _DURABLE]))
            prepare(connection)
            connection.autocommit = False
        except BaseException:
            connection.close()
            raise
        return connection

    return engine


def ask_before_use(engine: Engine) -> None:
    """Let a pooled connection prove that it lives each time before it is used: one round trip."""
    from psycopg import Error  # noqa: PLC0415 - an extra

    @event.listens_for(engine, "checkout")
    def _ping(connection: Any, _entry: ConnectionPoolEntry, _proxy: Any) -> None:
        try:
            connection.autocommit = True
            connection.execute("SELECT 1")
            connection.autocommit = False
        except Error as error:
            raise DisconnectionError from error


def identity(connection: Connection) -> str | None:
    """Which database this is, see _IDENTITY; None where a standby answers."""
    found = connection.execute(_IDENTITY).scalar_one()
    return None if found is None else str(found)


def check_writable(connection: Connection) -> None:
    """One round trip. Raises StoreUnavailable where this transaction may only read."""
    if connection.exec_driver_sql("SELECT current_setting('transaction_read_only')").scalar_one() == "on":
        raise StoreUnavailable(f"Cannot write to the database: {READ_ONLY}", READ_ONLY)


def take_time(connection: Connection) -> None:
    """Let this connection's statements take as long as they take: a migration may rewrite a large table."""
    connection.exec_driver_sql("SET statement_timeout = 0")
    # Only now: the connection is thrown away after a migration.
    connection.connection.dbapi_connection.limit_s = float("inf")  # type: ignore[union-attr]  # of _limited_class


def copy(connection: Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Write rows by COPY, in the connection's transaction. Raises what SQLAlchemy would."""
    from psycopg import Error  # noqa: PLC0415 - an extra

    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
    driver: Any = connection.connection.dbapi_connection
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as into:
            for row in rows:
                into.write_row(row)
    except Error as error:
        raise DBAPIError.instance(statement, None, error, Error, hide_parameters=True) from error


class SoleWriter:
    """The lock of the one writer, for connections one after the other. Used in the writer's thread."""

    def __init__(self, name: str) -> None:
        """`name` is what messages call the database."""
        self._name = name
        self._own: set[tuple[int, str]] = set()

    def take(self, connection: psycopg.Connection[Any]) -> None:
        """Let `connection` hold the lock until it ends. Raises StoreTakenError."""
        is_ours, pid, since = connection.execute(_TAKE, (WRITER_LOCK,)).fetchone() or (False, 0, "")
        self._own.add((pid, since))
        if is_ours:
            return
        holder = connection.execute(_HOLDER, (WRITER_LOCK,)).fetchone()
        if holder is not None and (holder[0], holder[1]) in self._own:
            # The server has not noticed yet that this connection is dead; it would keep us out until then.
            connection.execute("SELECT pg_terminate_backend(%s)", (holder[0],))
            raise StoreUnavailable(f"Cannot write to {self._name}: a former connection of ours is being ended")
        who = f"{holder[2] or 'somebody'}, session {holder[0]} of the server since {holder[1]}" if holder else "unknown"
        raise StoreTakenError(
            f"Cannot write to {self._name}: another controller writes to it ({who}); stop that one, or give this one "
            "another database",
            "another controller writes to it",
        )


def _own_name() -> str:
    return f"workerctl, pid {os.getpid()} on {socket.gethostname()}"[:63]


def _check_encoding(connection: psycopg.Connection[Any], name: str) -> None:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise StoreUnavailable(
            f"Cannot use the database {name}: its encoding is {encoding}, log lines need UTF8; make another one with "
            "CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0",
            "its encoding is not UTF8",
        )


def _limited_class(limit_s: float) -> type[psycopg.Connection[Any]]:
    import psycopg  # noqa: PLC0415 - an extra

    class Limited(psycopg.Connection[Any]):
        """Each wait for the server ends after `limit_s` in which nothing came."""

        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self.limit_s = limit_s

        def wait(self, gen: Generator[Any, Any, T], *arguments: Any, **named: Any) -> T:
            return super().wait(self._limited(gen), *arguments, **named)

        def _limited(self, answers: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
            # The driver resumes a wait every now and then, also when nothing is ready (0), to look for interrupts.
            until = monotonic() + self.limit_s
            try:
                wanted = next(answers)
                while True:
                    ready = yield wanted
                    if ready:
                        until = monotonic() + self.limit_s
                    elif monotonic() >= until:
                        self.pgconn.finish()
                        raise psycopg.OperationalError(f"the server did not answer within {self.limit_s:g} s")
                    wanted = answers.send(ready)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # StopIteration has no type of its own

    return Limited
