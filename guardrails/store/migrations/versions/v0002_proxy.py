"""Keys of the proxy, and their rates."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables of the proxy."""
    op.create_table(
        "gr_keys",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("digest", sa.String(80), nullable=False),
        sa.Column("roles", sa.Text, nullable=False),
        sa.Column("may", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
        sa.Column("rate_per_minute", sa.Float(53)),
    )
    kept = sa.text("revoked_at IS NULL")
    op.create_index(
        "gr_keys_name",
        "gr_keys",
        ["name"],
        unique=True,
        sqlite_where=kept,
        postgresql_where=kept,
    )
    op.create_table(
        "gr_rates",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("due", sa.BigInteger, nullable=False),
    )
