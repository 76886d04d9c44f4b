"""How Alembic runs the migrations: on the connection it is given, in that connection's transaction, silently.

Called by controller.store.migrate at every start that finds an older schema. There is no other way in: no alembic.ini,
no URL, no logging set up here (the program has its own).
"""

from __future__ import annotations

from alembic import context

from controller.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    on_version_apply=context.config.attributes.get("on_step"),
)
with context.begin_transaction():
    context.run_migrations()
