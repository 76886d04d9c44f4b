"""The first schema: specs, runtime status, log lines, events, operations, and the cursors that make them exact.

Frozen: a change is a new file. It repeats the tables of controller.store.tables as they were then. There is no way
down; a database that a newer program made is refused by an older one.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# Of 64 bits in SQLite, too, whatever it is called there.
INTEGER = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
# A server compares text by its own language else: another order than SQLite's, and after an upgrade of the system's
# library an index that finds nothing.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make all tables."""
    _worker_configs()
    _worker_runtime()
    _worker_logs()
    _events()
    _operations()


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, TEXT, nullable=False, server_default=sa.text("''"))


def _worker_configs() -> None:
    op.create_table(
        "worker_configs",
        sa.Column("worker_id", TEXT, nullable=False),
        _text("name"),
        _text("description"),
        sa.Column("deployment_type", TEXT, nullable=False),
        sa.Column("host", TEXT, nullable=False),
        sa.Column("port", INTEGER),
        sa.Column("max_accounts", INTEGER),
        sa.Column("replicas", INTEGER, nullable=False),
        sa.Column("auto_start", sa.Boolean, nullable=False),
        sa.Column("desired_state", TEXT, nullable=False),
        sa.Column("auto_restart", TEXT, nullable=False),
        sa.Column("max_restart_attempts", INTEGER),
        sa.Column("restart_delay_ms", sa.BigInteger, nullable=False),
        sa.Column("labels", TEXT, nullable=False),
        sa.Column("spec", TEXT, nullable=False),
        sa.Column("revision", TEXT, nullable=False),
        _text("source_file"),
        sa.Column("source_line", INTEGER),
        sa.Column("valid", sa.Boolean, nullable=False),
        sa.Column("problems", TEXT, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.Column("deleted_at", sa.Double),
        sa.PrimaryKeyConstraint("worker_id", name="pk_worker_configs"),
    )


def _worker_runtime() -> None:
    op.create_table(
        "worker_runtime",
        sa.Column("instance", TEXT, nullable=False),
        sa.Column("worker_id", TEXT, nullable=False),
        sa.Column("ordinal", INTEGER, nullable=False),
        sa.Column("host", TEXT, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        _text("reason"),
        _text("message"),
        sa.Column("pid", INTEGER),
        sa.Column("run", TEXT),
        sa.Column("run_number", INTEGER, nullable=False),
        sa.Column("revision", TEXT),
        sa.Column("started_at", sa.Double),
        sa.Column("restart_count", INTEGER, nullable=False),
        sa.Column("error_count", INTEGER),
        sa.Column("cpu_percent", sa.Double),
        sa.Column("memory_bytes", sa.BigInteger),
        sa.Column("assigned_accounts", INTEGER),
        sa.Column("active_tasks", INTEGER),
        sa.Column("last_heartbeat_at", sa.Double),
        sa.Column("last_exit", TEXT),
        sa.Column("next_retry_at", sa.Double),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("instance", name="pk_worker_runtime"),
    )
    op.create_index("ix_worker_runtime_worker_id", "worker_runtime", ["worker_id"])


def _worker_logs() -> None:
    op.create_table(
        "worker_logs",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("worker_id", TEXT, nullable=False),
        sa.Column("instance", TEXT, nullable=False),
        sa.Column("run", TEXT, nullable=False),
        sa.Column("stream", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("byte_offset", sa.BigInteger, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("approximate", sa.Boolean, nullable=False),
        sa.Column("level", TEXT),
        sa.Column("text", TEXT, nullable=False),
        sa.Column("partial", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_worker_logs"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_worker_logs_worker_id_id", "worker_logs", ["worker_id", "id"])
    op.create_index("ix_worker_logs_instance_id", "worker_logs", ["instance", "id"])
    op.create_index("ix_worker_logs_worker_id_at", "worker_logs", ["worker_id", "at"])
    op.create_table(
        "log_cursors",
        sa.Column("run", TEXT, nullable=False),
        sa.Column("stream", TEXT, nullable=False),
        sa.Column("slot", TEXT, nullable=False),
        sa.Column("byte_offset", sa.BigInteger, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("run", "stream", name="pk_log_cursors"),
    )


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("seq", NUMBER, autoincrement=True, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("type", TEXT, nullable=False),
        sa.Column("worker_id", TEXT),
        sa.Column("instance", TEXT),
        sa.Column("run", TEXT),
        _text("actor"),
        _text("cause"),
        _text("message"),
        sa.Column("data", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_events"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_worker_id_seq", "events", ["worker_id", "seq"])
    op.create_table(
        "event_cursors",
        sa.Column("host", TEXT, nullable=False),
        sa.Column("journal_id", TEXT, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("host", name="pk_event_cursors"),
    )


def _operations() -> None:
    op.create_table(
        "operations",
        sa.Column("operation_id", TEXT, nullable=False),
        sa.Column("worker_id", TEXT, nullable=False),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        _text("detail"),
        _text("actor"),
        _text("reason"),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.Column("number", sa.BigInteger),
        sa.PrimaryKeyConstraint("operation_id", name="pk_operations"),
    )
    op.create_index("ix_operations_created_at", "operations", ["created_at"])
    op.create_index("ix_operations_worker_id_created_at", "operations", ["worker_id", "created_at"])
