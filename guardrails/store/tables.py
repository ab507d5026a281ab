"""The tables, as the newest migration leaves them (a test compares the two).

Times are integers, microseconds since 1970 UTC: they sort, compare and round-trip alike on every
database. Bodies are canonical ASCII JSON, so that any string at all can be inside. Texts are bytes
of UTF-8, for text columns refuse NUL on PostgreSQL and lone surrogates everywhere.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

HEAD = "0003"
VERSION_TABLE = "gr_schema"

metadata = MetaData()

records = Table(
    "gr_records",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("call_id", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("action", String(16), nullable=False),
    Column("route", Text),
    Column("policy_digest", Text, nullable=False),
    Column("digest", String(80), nullable=False),  # of body
    Column("body", Text, nullable=False),
    Index("gr_records_created", "created", "id"),
    Index("gr_records_call", "call_id"),
)

texts = Table(
    "gr_texts",
    metadata,
    Column("digest", String(80), primary_key=True),
    Column("text", LargeBinary, nullable=False),
    Column("seen", BigInteger, nullable=False),  # when it was last saved: retention counts from it
    Index("gr_texts_seen", "seen"),
)

# No foreign key to gr_texts: retention deletes texts and leaves their records.
record_texts = Table(
    "gr_record_texts",
    metadata,
    Column(
        "record_id",
        String(128),
        ForeignKey("gr_records.id", ondelete="CASCADE", name="gr_record_texts_record"),
        primary_key=True,
    ),
    Column("digest", String(80), primary_key=True),
    Index("gr_record_texts_digest", "digest"),
)

# No foreign key to gr_records: an item must get into the queue even if its record was spilled.
reviews = Table(
    "gr_reviews",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("record_id", String(128), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("delivery", String(16), nullable=False),
    Column("action", String(16), nullable=False),
    Column("route", Text),
    Column("item", Text, nullable=False),  # reasons and claim ids, as JSON
    Column("state", String(16), nullable=False),
    Column("reviewer", Text),
    Column("lease_until", BigInteger),
    Column("lapses", Integer, nullable=False),
    Column("resolved_at", BigInteger),
    Column("resolution", Text),  # ruling and labels, as JSON; its texts by digest
    Index("gr_reviews_state", "state", "created", "id"),
    Index("gr_reviews_record", "record_id"),
)

# Only ever added to; triggers refuse the rest.
review_history = Table(
    "gr_review_history",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column(
        "review_id",
        String(128),
        ForeignKey("gr_reviews.id", name="gr_review_history_review"),
        nullable=False,
    ),
    Column("at", BigInteger, nullable=False),
    Column("event", String(16), nullable=False),
    Column("reviewer", Text),
    Column("state", String(16), nullable=False),
    Index("gr_review_history_review_id", "review_id", "seq"),
)

scores = Table(
    "gr_scores",
    metadata,
    Column("key", String(128), primary_key=True),
    Column("entailment", Float(53), nullable=False),
    Column("neutral", Float(53), nullable=False),
    Column("contradiction", Float(53), nullable=False),
    Column("seen", BigInteger, nullable=False),
    Index("gr_scores_seen", "seen"),
)

# Keys of the proxy; of a key itself only a digest.
keys = Table(
    "gr_keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", Text, nullable=False),
    Column("digest", String(80), nullable=False),
    Column("roles", Text, nullable=False),  # as JSON
    Column("may", Text, nullable=False),  # as JSON
    Column("created", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("rate_per_minute", Float(53)),
    Index(
        "gr_keys_name",
        "name",
        unique=True,
        sqlite_where=text("revoked_at IS NULL"),
        postgresql_where=text("revoked_at IS NULL"),
    ),
)

# One row a key: when, at its rate, its next request would be due.
rates = Table(
    "gr_rates",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("due", BigInteger, nullable=False),
)

# What one replica was sent and another may be asked about; each row for an hour at most.
kept = Table(
    "gr_kept",
    metadata,
    Column("key", String(80), primary_key=True),
    Column("until", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("gr_kept_until", "until"),
)
