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


def upgrade() -> None:
    """Make all tables."""
    _worker_configs()
    _worker_runtime()
    _worker_logs()
    _events()
    _operations()


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text, nullable=False, server_default=sa.text("''"))


def _worker_configs() -> None:
    op.create_table(
        "worker_configs",
        sa.Column("worker_id", sa.Text, nullable=False),
        _text("name"),
        _text("description"),
        sa.Column("deployment_type", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("port", sa.Integer),
        sa.Column("max_accounts", sa.Integer),
        sa.Column("replicas", sa.Integer, nullable=False),
        sa.Column("auto_start", sa.Boolean, nullable=False),
        sa.Column("desired_state", sa.Text, nullable=False),
        sa.Column("auto_restart", sa.Text, nullable=False),
        sa.Column("max_restart_attempts", sa.Integer),
        sa.Column("restart_delay_ms", sa.BigInteger, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("spec", sa.Text, nullable=False),
        sa.Column("revision", sa.Text, nullable=False),
        _text("source_file"),
        sa.Column("source_line", sa.Integer),
        sa.Column("valid", sa.Boolean, nullable=False),
        sa.Column("problems", sa.Text, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.Column("deleted_at", sa.Double),
        sa.PrimaryKeyConstraint("worker_id", name="pk_worker_configs"),
    )


def _worker_runtime() -> None:
    op.create_table(
        "worker_runtime",
        sa.Column("instance", sa.Text, nullable=False),
        sa.Column("worker_id", sa.Text, nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        _text("reason"),
        _text("message"),
        sa.Column("pid", sa.Integer),
        sa.Column("run", sa.Text),
        sa.Column("run_number", sa.Integer, nullable=False),
        sa.Column("revision", sa.Text),
        sa.Column("started_at", sa.Double),
        sa.Column("restart_count", sa.Integer, nullable=False),
        sa.Column("error_count", sa.Integer),
        sa.Column("cpu_percent", sa.Double),
        sa.Column("memory_bytes", sa.BigInteger),
        sa.Column("assigned_accounts", sa.Integer),
        sa.Column("active_tasks", sa.Integer),
        sa.Column("last_heartbeat_at", sa.Double),
        sa.Column("last_exit", sa.Text),
        sa.Column("next_retry_at", sa.Double),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("instance", name="pk_worker_runtime"),
    )
    op.create_index("ix_worker_runtime_worker_id", "worker_runtime", ["worker_id"])


def _worker_logs() -> None:
    op.create_table(
        "worker_logs",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("worker_id", sa.Text, nullable=False),
        sa.Column("instance", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("stream", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("byte_offset", sa.BigInteger, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("approximate", sa.Boolean, nullable=False),
        sa.Column("level", sa.Text),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("partial", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_worker_logs"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_worker_logs_worker_id_id", "worker_logs", ["worker_id", "id"])
    op.create_index("ix_worker_logs_instance_id", "worker_logs", ["instance", "id"])
    op.create_index("ix_worker_logs_worker_id_at", "worker_logs", ["worker_id", "at"])
    op.create_table(
        "log_cursors",
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("stream", sa.Text, nullable=False),
        sa.Column("slot", sa.Text, nullable=False),
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
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("worker_id", sa.Text),
        sa.Column("instance", sa.Text),
        sa.Column("run", sa.Text),
        _text("actor"),
        _text("cause"),
        _text("message"),
        sa.Column("data", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_events"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_worker_id_seq", "events", ["worker_id", "seq"])
    op.create_table(
        "event_cursors",
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("journal_id", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("host", name="pk_event_cursors"),
    )


def _operations() -> None:
    op.create_table(
        "operations",
        sa.Column("operation_id", sa.Text, nullable=False),
        sa.Column("worker_id", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
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
