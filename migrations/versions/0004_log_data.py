"""What a record of a worker's log tells for programs, beside its text: of lifecycle, errors and tasks. Lines have none.

Frozen: a change is a new file.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the column; no row is written anew."""
    op.add_column("worker_logs", sa.Column("data", TEXT))
