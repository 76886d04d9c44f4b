"""One look at a server's database from outside, for people: what answers, and whether `serve` could use it.

Called by `doctor`, never by a controller. It writes nothing and takes no lock.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy.exc import SQLAlchemyError

from controller.store import migrate
from controller.store.engine import locate, only_reading, reader_engine
from controller.store.errors import READ_ONLY, StoreUnavailable, explained

PATIENCE_S = 5.0

_QUESTION = (
    "SELECT current_setting('server_version'), pg_is_in_recovery() OR current_setting('default_transaction_read_only') "
    "= 'on', coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)"
)


def look(url: str) -> str:
    """What answers at `url`, in a few words. Raises StoreError where `serve` could not use it."""
    database = replace(locate(url), answer_timeout_s=PATIENCE_S, busy_timeout_s=PATIENCE_S)
    engine = reader_engine(database, 1)
    try:
        with only_reading(engine).connect() as connection:
            version, is_read_only, may_create = connection.exec_driver_sql(_QUESTION).one()
            schema = migrate.current(connection)
    except (SQLAlchemyError, OSError) as error:
        raise explained(error, "open", str(database)) from error
    finally:
        engine.dispose()
    if is_read_only:
        raise StoreUnavailable(f"Cannot write to {database}: {READ_ONLY}", READ_ONLY)
    newest = migrate.head()
    if schema != newest and not may_create:
        why = "its role may not create tables there"
        raise StoreUnavailable(f"Cannot migrate {database}: {why} (GRANT CREATE ON SCHEMA ...)", why)
    return f"PostgreSQL {version}, schema {schema or 'empty, made by serve'}"
