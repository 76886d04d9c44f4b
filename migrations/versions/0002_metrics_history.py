"""Figures of instances over time: samples of 10 s, rolled up into minutes and spans of ten minutes.

Frozen: a change is a new file.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
FIGURES = (
    "cpu_percent", "cpu_max", "memory_bytes", "memory_max", "active_tasks", "assigned_accounts", "error_count",
    "restart_count",
)  # fmt: skip


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "metric_series",
        sa.Column("series", NUMBER, autoincrement=True, nullable=False),
        sa.Column("worker_id", TEXT, nullable=False),
        sa.Column("instance", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("series", name="pk_metric_series"),
        sa.UniqueConstraint("instance", name="uq_metric_series_instance"),
    )
    op.create_index("ix_metric_series_worker_id", "metric_series", ["worker_id"])
    for name in ("samples_10s", "samples_1m", "samples_10m"):
        op.create_table(
            name,
            sa.Column("series", sa.BigInteger, nullable=False),
            sa.Column("at", sa.BigInteger, nullable=False),
            *[sa.Column(figure, sa.Double) for figure in FIGURES],
            sa.PrimaryKeyConstraint("series", "at", name=f"pk_{name}"),
            sqlite_with_rowid=False,
        )
        op.create_index(f"ix_{name}_at", name, ["at"])
