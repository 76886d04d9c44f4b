"""Bringing the schema up to date, with Alembic, when the store is opened.

Theory of operation: whether there is anything to do is read first, so that a start on a current database takes no
lock at all. It does not import Alembic either, which would be a good part of what a start costs: the revisions that
this program knows are read from its migrations' files, and the database's from Alembic's table. Otherwise everything
happens in one transaction that excludes every other migrating process (SQLite: BEGIN IMMEDIATE; PostgreSQL: an
advisory lock in it), after a second look under the lock. A kill at any moment leaves the old schema, and the next
start runs again. A revision that this program does not know means that a newer one was here: it is refused, because
an older program cannot know what its writes would break.

Alembic's logging is never configured and its environment prints nothing.
"""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.exc import SQLAlchemyError

from controller.agent.failpoints import failpoint
from controller.store import postgres
from controller.store.dialect import migration_lock
from controller.store.engine import only_reading
from controller.store.errors import SchemaNewerError, StoreError, StoreUnavailable, explained

if TYPE_CHECKING:
    from alembic.config import Config

_TABLE = "alembic_version"
_CURRENT = "SELECT version_num FROM alembic_version"
_REVISION = re.compile(r'^(down_)?revision = "(\w+)"$', re.MULTILINE)


def migrations_directory(package: str | None = None) -> str:
    """Where the migrations are: in the installed package, or beside it in a source checkout.

    `package` is the directory of the package `controller`, found by itself when None. Raises StoreError where
    there are none: then the installation is broken.
    """
    root = Path(package) if package is not None else _package_directory()
    for candidate in (root / "_migrations", root.parent / "migrations"):
        if (candidate / "env.py").is_file():
            return os.fspath(candidate)
    raise StoreError(f"internal error: no migrations beside {root}; the installation is incomplete")


def _package_directory() -> Path:
    spec = find_spec("controller")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def head() -> str:
    """The newest revision that this program knows."""
    return _known()[-1]


def current(connection: Connection) -> str | None:
    """The revision of the database, None where it is empty."""
    if not inspect(connection).has_table(_TABLE):
        return None
    revision: str | None = connection.exec_driver_sql(_CURRENT).scalar_one_or_none()
    return revision


def upgrade(engine: Engine, name: str) -> str:
    """Bring the database to the newest schema and return its revision. `name` is what messages call the database.

    Raises SchemaNewerError, or StoreUnavailable where it cannot be done now (locked, read-only, damaged).
    """
    try:
        with only_reading(engine).connect() as connection:
            before = _checked(connection, name)
        newest = head()
        if before != newest:
            _upgrade(engine, name)
    except (SQLAlchemyError, OSError) as error:
        raise explained(error, "migrate", name) from error
    return newest


def verify(engine: Engine, name: str) -> str:
    """The revision of the database, which must be the newest one. Changes nothing. Raises as `upgrade` does."""
    try:
        with only_reading(engine).connect() as connection:
            before = _checked(connection, name)
    except (SQLAlchemyError, OSError) as error:
        raise explained(error, "open", name) from error
    newest = head()
    if before != newest:
        raise StoreUnavailable(f"Cannot use {name}: its schema is {before or 'empty'}, it must be migrated to {newest}")
    return newest


def _upgrade(engine: Engine, name: str) -> None:
    failpoint("store.before_migrate")
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            postgres.take_time(connection)
        connection.execute(migration_lock(connection.dialect.name))
        # Another process may have been faster, and may have been a newer one.
        _checked(connection, name)
        from alembic import command  # noqa: PLC0415 - costs much, and hardly any start has something to migrate

        command.upgrade(_config(connection=connection, on_step=_mid_migrate), "head")


def _mid_migrate(**_step: Any) -> None:
    failpoint("store.mid_migrate")


def _checked(connection: Connection, name: str) -> str | None:
    revision = current(connection)
    if revision is not None and revision not in _known():
        raise SchemaNewerError(
            f"Cannot use {name}: a newer workerctl made its schema ({revision}), this one knows up to "
            f"{head()}; use the newer workerctl, or another database"
        )
    return revision


def _known() -> tuple[str, ...]:
    """The revisions of the migrations, each after the one that it builds on."""
    after: dict[str, str] = {}
    for file in sorted((Path(migrations_directory()) / "versions").glob("*.py")):
        found = {bool(down): revision for down, revision in _REVISION.findall(file.read_text("utf-8"))}
        after[found.get(True, "")] = found[False]
    revisions = [after[""]]
    while (later := after.get(revisions[-1])) is not None:
        revisions.append(later)
    return tuple(revisions)


def _config(**attributes: Any) -> Config:
    from alembic.config import Config  # noqa: PLC0415 - as above

    config = Config()
    # A percent sign starts an interpolation in this format; a path may hold one.
    config.set_main_option("script_location", migrations_directory().replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes.update(attributes)
    return config
