"""Bodies kept for a while, shared by replicas: what one was sent, another may be asked about."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, select

from guardrails.store.rows import insert
from guardrails.store.tables import kept
from guardrails.store.times import to_micros

if TYPE_CHECKING:
    from guardrails.store.database import Database
    from guardrails.store.protocol import Clock

KEEP_S: Final = 3600.0
LIMIT_BYTES: Final = 64 * 1024 * 1024
_PRUNE_S: Final = 60.0


class KeptTable:
    """Bodies by key in one database, each for ``keep_s`` seconds. Blocking."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        keep_s: float = KEEP_S,
        limit_bytes: int = LIMIT_BYTES,
    ) -> None:
        """Make one.

        Args:
            database: Where.
            clock: Read for how long a body was kept.
            keep_s: Seconds.
            limit_bytes: Of one body.
        """
        self._db = database
        self._clock = clock
        self._keep = timedelta(seconds=keep_s)
        self._limit = limit_bytes
        self._pruned = -_PRUNE_S

    def put(self, key: str, body: bytes) -> bool:
        """Keep a body, instead of what was there. False: it is too big, and nothing is kept.

        Raises:
            StoreUnavailable: If the database does not take it.
        """
        now = self._clock()
        fits = len(body) <= self._limit
        with self._db.write() as connection:
            if time.monotonic() - self._pruned >= _PRUNE_S:
                self._pruned = time.monotonic()
                connection.execute(delete(kept).where(kept.c.until <= to_micros(now)))
            if not fits:
                connection.execute(delete(kept).where(kept.c.key == key))
                return False
            row = {"key": key, "until": to_micros(now + self._keep), "body": body}
            statement = insert(connection, kept).values(row)
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["key"],
                    set_={"until": statement.excluded.until, "body": statement.excluded.body},
                )
            )
        return True

    def get(self, key: str) -> bytes | None:
        """What is kept, or None when there is nothing or it is too old.

        Raises:
            StoreUnavailable: If the database does not answer.
        """
        wanted = select(kept.c.body).where(
            kept.c.key == key, kept.c.until > to_micros(self._clock())
        )
        with self._db.read() as connection:
            body: bytes | None = connection.execute(wanted).scalar_one_or_none()
        return body
