"""Alembic's entry: migrate over the connection, and in the transaction, that the store opened."""

from __future__ import annotations

from alembic import context

from guardrails.store.tables import VERSION_TABLE, metadata

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit(
        "groundrail migrates its store when it opens it; open it with "
        "guardrails.store.open_store(url) instead of the alembic command"
    )
context.configure(connection=connection, target_metadata=metadata, version_table=VERSION_TABLE)
with context.begin_transaction():
    context.run_migrations()
