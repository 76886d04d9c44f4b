"""What can go wrong with the database, as a small tree of exceptions and one translation into plain words.

Nothing of SQLAlchemy or of a driver escapes this room: callers catch `StoreError`. The writer asks one more question
of an error, `is_retryable`: whether the same statements may succeed later (locked, disk full, gone) or never will
(the data itself is refused). Waiting for the second kind would hold up everything behind it for ever.
"""

from __future__ import annotations

from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError


class StoreError(Exception):
    """The database could not do what was asked. The message is one complete sentence for a person."""


class StoreUnavailable(StoreError):
    """The database cannot be used now. Workers are supervised without it; trying again later is right."""


class StoreCorruptError(StoreUnavailable):
    """The file is no database, or a damaged one. Only a person can help; nothing but history is at stake."""


class SchemaNewerError(StoreUnavailable):
    """A newer workerctl has migrated this database; this one must not touch it."""


# SQLite's names for its errors, by prefix: SQLITE_IOERR_WRITE is an SQLITE_IOERR.
_REASONS = {
    "SQLITE_BUSY": "it is locked by another process",
    "SQLITE_LOCKED": "it is locked by another connection",
    "SQLITE_FULL": "the disk is full",
    "SQLITE_READONLY": "it is read-only",
    "SQLITE_CANTOPEN": "the file cannot be opened (it is missing, or permission is lacking)",
    "SQLITE_IOERR": "reading or writing the file failed",
    "SQLITE_PERM": "permission is lacking",
}
_DAMAGED = {
    "SQLITE_NOTADB": "the file is not a database",
    "SQLITE_CORRUPT": "the file is damaged",
}
_REPAIR_HINT = "move it away, and another one is begun; only history is lost, specs and workers do not depend on it"


def explained(error: Exception, verb: str, database: str) -> StoreError:
    """`error` as a StoreError saying `Cannot <verb> <database>: <cause>`. A StoreError is returned as it is."""
    if isinstance(error, StoreError):
        return error
    prefix = f"Cannot {verb} {database}"
    if isinstance(error, PoolTimeoutError):
        return StoreUnavailable(f"{prefix}: all connections are busy")
    if isinstance(error, OSError):
        return StoreUnavailable(f"{prefix}: {error.strerror or error}")
    if not isinstance(error, DBAPIError):
        return StoreError(f"{prefix}: {_first_line(error)}")
    name = _sqlite_name(error)
    if name in _DAMAGED:
        return StoreCorruptError(f"{prefix}: {_DAMAGED[name]}; {_REPAIR_HINT}")
    cause = _REASONS.get(name) or _first_line(error.orig or error)
    return StoreUnavailable(f"{prefix}: {cause}") if is_retryable(error) else StoreError(f"{prefix}: {cause}")


def is_retryable(error: Exception) -> bool:
    """Whether the same work may succeed later. False: the data itself is refused, whoever tries and however often."""
    if isinstance(error, OperationalError | InterfaceError | PoolTimeoutError | OSError | StoreUnavailable):
        return True
    # Neither of its subclasses: SQLite says "damaged" so. A restored file may well take the same rows.
    return type(error) is DatabaseError


def _sqlite_name(error: DBAPIError) -> str:
    name = str(getattr(error.orig, "sqlite_errorname", ""))
    return "_".join(name.split("_")[:2])


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
