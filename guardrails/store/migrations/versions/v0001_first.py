"""Records, texts, the review queue and shared scores."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables of the first release."""
    op.create_table(
        "gr_records",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("call_id", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("route", sa.Text),
        sa.Column("policy_digest", sa.Text, nullable=False),
        sa.Column("digest", sa.String(80), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("gr_records_created", "gr_records", ["created", "id"])
    op.create_index("gr_records_call", "gr_records", ["call_id"])
    op.create_table(
        "gr_texts",
        sa.Column("digest", sa.String(80), primary_key=True),
        sa.Column("text", sa.LargeBinary, nullable=False),
        sa.Column("seen", sa.BigInteger, nullable=False),
    )
    op.create_index("gr_texts_seen", "gr_texts", ["seen"])
    op.create_table(
        "gr_record_texts",
        sa.Column(
            "record_id",
            sa.String(128),
            sa.ForeignKey("gr_records.id", ondelete="CASCADE", name="gr_record_texts_record"),
            primary_key=True,
        ),
        sa.Column("digest", sa.String(80), primary_key=True),
    )
    op.create_index("gr_record_texts_digest", "gr_record_texts", ["digest"])
    op.create_table(
        "gr_reviews",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("record_id", sa.String(128), nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("delivery", sa.String(16), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("route", sa.Text),
        sa.Column("item", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reviewer", sa.Text),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("lapses", sa.Integer, nullable=False),
        sa.Column("resolved_at", sa.BigInteger),
        sa.Column("resolution", sa.Text),
    )
    op.create_index("gr_reviews_state", "gr_reviews", ["state", "created", "id"])
    op.create_index("gr_reviews_record", "gr_reviews", ["record_id"])
    op.create_table(
        "gr_review_history",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column(
            "review_id",
            sa.String(128),
            sa.ForeignKey("gr_reviews.id", name="gr_review_history_review"),
            nullable=False,
        ),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("event", sa.String(16), nullable=False),
        sa.Column("reviewer", sa.Text),
        sa.Column("state", sa.String(16), nullable=False),
    )
    op.create_index("gr_review_history_review_id", "gr_review_history", ["review_id", "seq"])
    op.create_table(
        "gr_scores",
        sa.Column("key", sa.String(128), primary_key=True),
        sa.Column("entailment", sa.Float(53), nullable=False),
        sa.Column("neutral", sa.Float(53), nullable=False),
        sa.Column("contradiction", sa.Float(53), nullable=False),
        sa.Column("seen", sa.BigInteger, nullable=False),
    )
    op.create_index("gr_scores_seen", "gr_scores", ["seen"])
    _protect_history()


def _protect_history() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER gr_review_history_no_{verb.lower()} BEFORE {verb} "
                "ON gr_review_history BEGIN "
                "SELECT RAISE(ABORT, 'the review history is only added to'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION gr_review_history_is_kept() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the review history is only added to'; END $$"
    )
    op.execute(
        "CREATE TRIGGER gr_review_history_is_kept BEFORE UPDATE OR DELETE OR TRUNCATE "
        "ON gr_review_history FOR EACH STATEMENT EXECUTE FUNCTION gr_review_history_is_kept()"
    )
