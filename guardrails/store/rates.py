"""Rates that several replicas share: one row a key, changed in one statement.

The clock is the database's, for the replicas' own may differ. The arithmetic is that of
:func:`guardrails.rates.take`; a test compares the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from guardrails.rates import Taken

if TYPE_CHECKING:
    from guardrails.rates import Rate
    from guardrails.store.database import Database

_NOW = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_TAKE = text(
    f"""
    INSERT INTO gr_rates AS r (key, due) VALUES (:key, {_NOW} + :interval)
    ON CONFLICT (key) DO UPDATE SET due = greatest(r.due, {_NOW}) + :interval
    WHERE r.due - {_NOW} <= :early
    RETURNING due
    """  # noqa: S608 - a constant of this module
)
_LOOK = text(f"SELECT due, {_NOW} AS now FROM gr_rates WHERE key = :key")  # noqa: S608


class SharedRates:
    """Rates in PostgreSQL. Blocking."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def take(self, key: str, rate: Rate) -> Taken:
        """Let a request of ``key`` through, or say how long to wait."""
        values = {"key": key, "interval": rate.interval, "early": rate.early}
        with self._db.write() as connection:
            due = connection.execute(_TAKE, values).scalar_one_or_none()
            if due is not None:
                return Taken(True, due, 0.0)
            row = connection.execute(_LOOK, {"key": key}).one()
        return Taken(False, row.due, max(0.0, (row.due - row.now - rate.early) / 1e6))
