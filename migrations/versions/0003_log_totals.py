"""How many log lines each worker has, how large they are, and what retention has removed of them.

Counted once here; from now on the numbers move with the lines. Frozen: a change is a new file.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBERS = ("lines", "bytes", "removed_lines", "removed_bytes", "removed_to")


def upgrade() -> None:
    """Make the table and count what is there."""
    op.create_table(
        "log_totals",
        sa.Column("worker_id", TEXT, nullable=False),
        *[sa.Column(name, sa.BigInteger, nullable=False, server_default=sa.text("0")) for name in NUMBERS],
        sa.Column("removed_until", sa.Double),
        sa.Column("removed_at", sa.Double),
        sa.PrimaryKeyConstraint("worker_id", name="pk_log_totals"),
    )
    is_server = op.get_bind().dialect.name == "postgresql"
    size = "octet_length(text)" if is_server else "length(CAST(text AS BLOB))"
    op.execute(
        "INSERT INTO log_totals (worker_id, lines, bytes)"  # noqa: S608  no word of it comes from anybody
        f" SELECT worker_id, count(*), sum({size}) FROM worker_logs GROUP BY worker_id"
    )
