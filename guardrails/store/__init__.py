"""Where records, their texts, the review queue and shared scores are kept.

SQLAlchemy and Alembic are imported in this package only, and only when a store is opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardrails.store.jsonl import export_jsonl, import_jsonl
from guardrails.store.protocol import Clock, Recovered, Store, system_clock
from guardrails.store.spill import recover

if TYPE_CHECKING:
    from pathlib import Path

    from guardrails.store.sql import SqlStore

__all__ = [
    "Clock",
    "Recovered",
    "Store",
    "export_jsonl",
    "import_jsonl",
    "open_store",
    "recover",
    "system_clock",
]


def open_store(
    url: str,
    *,
    spill: Path | None = None,
    clock: Clock = system_clock,
    timeout_s: float = 5.0,
) -> SqlStore:
    """Open a store, making or upgrading its tables where needed.

    Several processes may open the same database at once: one makes the tables, the others wait.

    Args:
        url: ``sqlite:///relative.db``, ``sqlite:////absolute.db``, ``sqlite://`` (in memory, gone
            when closed) or ``postgresql+psycopg://user:password@host/database``.
        spill: File that takes what the database does not; by default ``<database>.spill.jsonl``
            beside a SQLite file. A PostgreSQL store has none unless it is given.
        clock: Read for leases, expiry and retention.
        timeout_s: How long to wait for a lock or a connection.

    Raises:
        StoreUnavailable: If it cannot be opened, or was made by a newer release.
        StoreReadOnly: If its tables must be made or upgraded, and it cannot be written.
        StoreLocked: If another process holds it for longer than ``timeout_s``.
        MissingExtra: If PostgreSQL's driver is not installed.
    """
    from guardrails.store.sql import SqlStore
    from guardrails.store.sql import open_database as connect

    database = connect(url, timeout_s=timeout_s)
    return SqlStore(database, spill=spill or database.default_spill, clock=clock)
