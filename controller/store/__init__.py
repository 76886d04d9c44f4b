"""The database: one writer thread, a few readers. No session, connection or row escapes.

The database records; nothing is decided from it. With it gone, workers are supervised and specs reconciled as ever.

    store = open_store(url)                 -> Store; raises StoreUnavailable
    store.writer.submit(batch, done)        typed records (records.py) in, at once; False: no room, come back later
    store.reader.log_slice(LogFilter(...), Place(...), limit)   typed records out, from any thread
    store.sweep(Policy(...), now)           retention, blocking, in slices

Importing this package imports SQLAlchemy; command line verbs that only talk to a server must not.
"""

from controller.store.backlog import Limits
from controller.store.engine import Database, locate
from controller.store.errors import SchemaNewerError, StoreCorruptError, StoreError, StoreUnavailable
from controller.store.facade import Settings, Store, open_store
from controller.store.queries import Reader
from controller.store.retention import Keep, Policy, Swept
from controller.store.writer import Writer

__all__ = [
    "Database",
    "Keep",
    "Limits",
    "Policy",
    "Reader",
    "SchemaNewerError",
    "Settings",
    "Store",
    "StoreCorruptError",
    "StoreError",
    "StoreUnavailable",
    "Swept",
    "Writer",
    "locate",
    "open_store",
]
