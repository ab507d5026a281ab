"""A :class:`verifiers.protocols.ScoreCache` in the store's database, shared between processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from guardrails.store.rows import chunks, insert
from guardrails.store.tables import scores
from guardrails.store.times import to_micros
from verifiers.types import NLIProbs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from guardrails.store.database import Database
    from guardrails.store.protocol import Clock


class SqlScoreCache:
    """Scores by key. The keys hold everything that changes a score, so entries never go stale."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._db = database
        self._clock = clock

    def get_many(self, keys: Sequence[str]) -> list[NLIProbs | None]:
        """What is stored for each key, in order; None where there is nothing."""
        found: dict[str, NLIProbs] = {}
        with self._db.read() as connection:
            for chunk in chunks(list(dict.fromkeys(keys))):
                for row in connection.execute(select(scores).where(scores.c.key.in_(chunk))):
                    found[row.key] = NLIProbs(row.entailment, row.neutral, row.contradiction)
        return [found.get(key) for key in keys]

    def put_many(self, items: Mapping[str, NLIProbs]) -> None:
        """Store all items, replacing what was there."""
        if not items:
            return
        now = to_micros(self._clock())
        rows = [
            {
                "key": key,
                "entailment": probs.entailment,
                "neutral": probs.neutral,
                "contradiction": probs.contradiction,
                "seen": now,
            }
            for key, probs in sorted(items.items())
        ]
        with self._db.write() as connection:
            statement = insert(connection, scores)
            columns = ("entailment", "neutral", "contradiction", "seen")
            statement = statement.on_conflict_do_update(
                index_elements=["key"],
                set_={name: getattr(statement.excluded, name) for name in columns},
            )
            for chunk in chunks(rows):
                connection.execute(statement, list(chunk))

    def prune(self, before: datetime) -> int:
        """Delete scores stored before a time. Returns how many."""
        old = delete(scores).where(scores.c.seen < to_micros(before))
        with self._db.write() as connection:
            return connection.execute(old).rowcount
