"""Whether the server that answers still has the database that was written to; what happens when it has not.

Used by the facade for servers, as presence for files. Each time the writer opens its engine, which is after each
failure, the first connection takes the lock of the one writer and is asked which database this is. Where it is another
one than before (it was dropped and made anew, restored from a backup, or a standby took over that lacked the last
commits), the schema is brought up to date and it counts as another generation: all that is not in it is told again.
"""

from __future__ import annotations

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from controller.store import postgres
from controller.store.engine import Database, only_reading, writer_engine
from controller.store.errors import READ_ONLY, StoreUnavailable, explained
from controller.store.opening import Opening, Ready


class ServerOpening(Opening):
    """See Opening."""

    def __init__(self, database: Database, ready: Ready) -> None:
        """Connects to nothing yet."""
        super().__init__(database, ready)
        self._sole = postgres.SoleWriter(str(database))
        self._identity = ""

    def begin(self) -> str:
        """See Opening. The lock goes with the connection, and is taken again by the writer's own."""
        engine = self._engine()
        try:
            self._ask(engine)
            schema = self._ready(engine, str(self._database))
            self._identity = self._ask(engine)
        finally:
            engine.dispose()
        return schema

    def __call__(self) -> Engine:
        """See Opening."""
        if not self._identity:
            self.begin()
        engine = self._engine()
        try:
            found = self._ask(engine)
            if found != self._identity:
                engine.dispose()
                self.begin()
                self._tell_of_another(
                    f"another database answers than before at {self._database} (recreated, restored, or a standby took "
                    "over); what it lacks is told again"
                )
                engine = self._engine()
        except BaseException:
            engine.dispose()
            raise
        return self._engine_of_this_generation(engine)

    def _engine(self) -> Engine:
        return writer_engine(self._database, self._sole.take)

    def _ask(self, engine: Engine) -> str:
        try:
            with only_reading(engine).connect() as connection:
                found = postgres.identity(connection)
        except (SQLAlchemyError, OSError) as error:
            raise explained(error, "open", str(self._database)) from error
        if found is None:
            raise StoreUnavailable(f"Cannot write to {self._database}: {READ_ONLY}", READ_ONLY)
        return found
