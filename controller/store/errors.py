"""What can go wrong with the database, as a small tree of exceptions and one translation into plain words.

Nothing of SQLAlchemy or of a driver escapes this room: callers catch `StoreError`. The writer asks one more question
of an error, `is_retryable`: whether the same statements may succeed later (locked, disk full, gone, no privilege) or
never will (the data itself is refused). Waiting for the second kind would hold up everything behind it for ever; taking
the first for the second would throw rows away.

Each error says two things: the whole sentence, for the owner, names the database; `in_short` is for places that
strangers may read (`/readyz`) and names nothing.
"""

from __future__ import annotations

from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError


class StoreError(Exception):
    """The database could not do what was asked. The message is one complete sentence for a person."""

    def __init__(self, message: str, in_short: str = "it cannot be used now, the log says why") -> None:
        """`in_short`: the cause alone, without any name."""
        super().__init__(message)
        self.in_short = in_short


class StoreUnavailable(StoreError):
    """The database cannot be used now. Workers are supervised without it; trying again later is right."""


class StoreCorruptError(StoreUnavailable):
    """The file is no database, or a damaged one. Nothing but history is at stake."""


class StoreTakenError(StoreUnavailable):
    """Another controller writes to this database."""


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

READ_ONLY = "the server takes no writes (a standby, or default_transaction_read_only)"
# PostgreSQL's error codes (appendix A of its manual). Words for those that an operator meets; where the server's own
# message says more, it follows.
_STATES = {
    "25006": READ_ONLY,
    "53100": "the disk of the server is full",
    "53300": "the server has no connection left (max_connections)",
    "55P03": "it is locked by another session (lock_timeout)",
    "57014": "the server gave a statement up (statement_timeout)",
    "57P01": "the server closed the connection",
    "57P02": "the server crashed",
    "57P03": "the server is starting up or shutting down",
}
_STATES_WITH_MORE = {
    "28": "the server refuses the login",
    "3D": "there is no such database",
    "42": "tables or privileges are not as they should be",
    "XX": "the server found damaged data",
}
_UNREACHABLE = "the server cannot be reached"
# Whole classes and single codes that blame the data: only those may cost a row. The rest of class 42 (a table or a
# privilege is missing) is the state of the database, which somebody can mend.
_DATA_CLASSES = ("21", "22", "23", "54")
_MENDABLE = ("42501", "42P01", "42703")


def explained(error: Exception, verb: str, database: str) -> StoreError:
    """`error` as a StoreError saying `Cannot <verb> <database>: <cause>`. A StoreError is returned as it is."""
    if isinstance(error, StoreError):
        return error
    prefix = f"Cannot {verb} {database}"
    if isinstance(error, PoolTimeoutError):
        return StoreUnavailable(f"{prefix}: all connections are busy", "all connections are busy")
    if isinstance(error, OSError):
        return StoreUnavailable(f"{prefix}: {error.strerror or error}")
    if not isinstance(error, DBAPIError):
        return StoreError(f"{prefix}: {_first_line(error)}")
    name = _sqlite_name(error)
    if name in _DAMAGED:
        return StoreCorruptError(f"{prefix}: {_DAMAGED[name]}; {_REPAIR_HINT}", _DAMAGED[name])
    kind = StoreUnavailable if is_retryable(error) else StoreError
    in_short, more = _words(error)
    return kind(": ".join(part for part in (prefix, in_short, more) if part), in_short or "it cannot be used")


def is_retryable(error: Exception) -> bool:
    """Whether the same work may succeed later. False: the data itself is refused, whoever tries and however often."""
    if state := _state(error):
        return state[:2] not in _DATA_CLASSES and (not state.startswith("42") or state in _MENDABLE)
    if isinstance(error, OperationalError | InterfaceError | PoolTimeoutError | OSError | StoreUnavailable):
        return True
    # Neither of its subclasses: SQLite says "damaged" so. A restored file may well take the same rows.
    return type(error) is DatabaseError


def is_damage(error: BaseException | None) -> bool:
    """Whether it says that the file itself is damaged."""
    return isinstance(error, StoreCorruptError) or (isinstance(error, DBAPIError) and _sqlite_name(error) in _DAMAGED)


def _words(error: DBAPIError) -> tuple[str, str]:
    """The cause without names, and what the database itself says of it."""
    line = _first_line(error.orig or error)
    if known := _REASONS.get(_sqlite_name(error)):
        return known, ""
    if state := _state(error):
        if known := _STATES.get(state):
            return known, ""
        return _STATES_WITH_MORE.get(state[:2], ""), line
    # The driver of a server gives no code for what it did not hear from the server.
    is_server = hasattr(error.orig, "sqlstate") and isinstance(error, OperationalError)
    return (_UNREACHABLE if is_server else ""), line


def _state(error: Exception) -> str:
    return str(getattr(getattr(error, "orig", None), "sqlstate", None) or "")


def _sqlite_name(error: DBAPIError) -> str:
    name = str(getattr(error.orig, "sqlite_errorname", ""))
    return "_".join(name.split("_")[:2])


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
