"""Where databases differ in their SQL, the difference stands here, built from SQLAlchemy's own constructs.

Called by apply, ingest, log_rows, migrate, log_search and log_counts. A third database would be a new case in each
function of this file and of engine.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Dialect,
    Executable,
    Table,
    cast,
    func,
    insert,
    literal,
    select,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.dml import Insert

from controller.store import postgres

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

# Any constant will do; all workerctl processes must use the same.
MIGRATION_LOCK = 0x776F726B


# A statement is built once and used for every group that is written: building it costs as much as a dozen rows.


@cache
def upsert(dialect: str, table: Table, *, keep: tuple[str, ...] = ()) -> Insert:
    """An INSERT that, where the primary key is there already, sets all other columns except `keep`."""
    statement = _insert(dialect, table)
    keys = [column.name for column in table.primary_key]
    fresh = {
        column.name: statement.excluded[column.name]
        for column in table.columns
        if column.name not in keys and column.name not in keep
    }
    return statement.on_conflict_do_update(index_elements=keys, set_=fresh)


@cache
def add_up(dialect: str, table: Table, columns: tuple[str, ...]) -> Insert:
    """An INSERT of `columns` that, where the primary key is there already, adds them to what stands there."""
    statement = _insert(dialect, table)
    sums = {name: table.c[name] + statement.excluded[name] for name in columns}
    return statement.on_conflict_do_update(index_elements=[key.name for key in table.primary_key], set_=sums)


def _insert(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    if dialect != "postgresql":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - costs much, and most have no server

    return postgresql.insert(table)


def migration_lock(dialect: str) -> Executable:
    """What keeps two processes from migrating at once, until the end of the transaction.

    Nothing for SQLite: a writing transaction there (BEGIN IMMEDIATE) excludes every other one already.
    """
    return select(func.pg_advisory_xact_lock(MIGRATION_LOCK) if dialect == "postgresql" else literal(1))


def ask(connection: Connection) -> None:
    """Find out whether this transaction could write. SQLite has answered that when it began."""
    if connection.dialect.name == "postgresql":
        postgres.check_writable(connection)


def insert_many(
    connection: Connection, table: Table, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Insert plain tuples in the order of `columns`, with SQLAlchemy's SQL but without its work per row.

    That work (a dict in, a dict out, a processor per value) costs as much as the insert itself. It is skipped for
    log lines only, whose values are plain text, numbers and booleans that every driver takes as they are. A server
    takes them three times as fast by COPY.
    """
    if rows and connection.dialect.name == "postgresql":
        postgres.copy(connection, table.name, columns, rows)
    elif rows:
        sql, positional = bulk_insert(connection.dialect, table, columns)
        connection.exec_driver_sql(
            sql, list(rows) if positional else [dict(zip(columns, row, strict=True)) for row in rows]
        )


@lru_cache(maxsize=8)
def bulk_insert(dialect: Dialect, table: Table, columns: tuple[str, ...]) -> tuple[str, bool]:
    """The SQL of an INSERT in the driver's own style, and whether it takes its values by position."""
    compiled = insert(table).inline().compile(dialect=dialect, column_keys=list(columns))
    # Compiled in the table's order; by position that must be the caller's order.
    assert list(columns) == [column.name for column in table.columns if column.name in columns]
    return str(compiled), bool(dialect.positional)


def holds(dialect: str, column: Column[str], word: str, *, ignore_case: bool) -> ColumnElement[bool]:
    """Whether a text holds `word`, as it is: no character of it is a wildcard."""
    is_server = dialect == "postgresql"
    if not ignore_case:
        return (func.strpos if is_server else func.instr)(column, word) > 0
    if word.isascii():  # the quick way, which knows the case of these letters only
        pattern = "%" + re.sub(r"([%_!])", r"!\1", word) + "%"
        return column.ilike(pattern, escape="!") if is_server else column.like(pattern, escape="!")
    if is_server:
        return column.regexp_match("".join(_either_case(character, r"\{}") for character in word))
    return column.op("GLOB", is_comparison=True)("*" + "".join(_either_case(one, "[{}]") for one in word) + "*")


def whole(dialect: str, figure: ColumnElement[Any]) -> ColumnElement[int]:
    """The whole number below a positive figure: a server rounds where it casts."""
    return cast(func.floor(figure) if dialect == "postgresql" else figure, BigInteger)


def _either_case(character: str, escaped: str) -> str:
    """A pattern for a character in both cases. What is no letter or digit might mean something, and is `escaped`."""
    cases = sorted({character, *(one for one in (character.lower(), character.upper()) if len(one) == 1)})
    if len(cases) > 1:
        return f"[{''.join(cases)}]"
    return character if character.isalnum() or not character.isascii() else escaped.format(character)
