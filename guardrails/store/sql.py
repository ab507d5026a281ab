"""The store on SQLite and PostgreSQL, through SQLAlchemy Core."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, exists, select

from guardrails.digests import digest
from guardrails.errors import RecordInvalid, StoreUnavailable
from guardrails.record import load_record
from guardrails.store import lines, spill
from guardrails.store.database import Database, open_database
from guardrails.store.kept import KeptTable
from guardrails.store.keys import KeyTable
from guardrails.store.protocol import Recovered
from guardrails.store.queue import ReviewQueue
from guardrails.store.rates import SharedRates
from guardrails.store.rows import CHUNK, chunks, column_text, insert_new, put_text, read_texts
from guardrails.store.tables import record_texts, records
from guardrails.store.tables import texts as texts_table
from guardrails.store.times import to_micros

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy import Select

    from guardrails.record import Record
    from guardrails.review import HistoryEntry, NewReview, Resolution, Review, ReviewState
    from guardrails.store.protocol import Clock
    from policies.types import Action

__all__ = ["SqlStore", "open_database"]

_NO_TEXTS: Mapping[str, str] = {}

_log = logging.getLogger(__name__)


class SqlStore:
    """A :class:`guardrails.store.protocol.Store`. Opened by :func:`guardrails.store.open_store`.

    Attributes:
        shown: The database's address as people may see it.
        spill_path: Where what cannot be stored goes, or None.
    """

    def __init__(self, database: Database, *, spill: Path | None, clock: Clock) -> None:
        self._db = database
        self._clock = clock
        self._queue = ReviewQueue(database, clock)
        self.shown = database.shown
        self.spill_path = spill
        if spill is not None and self.spilled:
            _log.warning("%s holds what the store %s missed; recover() it", spill, self.shown)

    @property
    def database(self) -> Database:
        """The database, for the score cache."""
        return self._db

    @property
    def keys(self) -> KeyTable:
        """The keys of the proxy."""
        return KeyTable(self._db, self._clock)

    @property
    def rates(self) -> SharedRates | None:
        """The keys' rates, where replicas can share them; None on SQLite."""
        return None if self._db.sqlite else SharedRates(self._db)

    @property
    def kept(self) -> KeptTable:
        """What is kept for a while."""
        return KeptTable(self._db, self._clock)

    def ping(self) -> None:
        """Ask the database for nothing.

        Raises:
            StoreUnavailable: If it does not answer.
        """
        with self._db.read() as connection:
            connection.execute(select(1))

    @property
    def spilled(self) -> bool:
        """Whether something waits in the spill file."""
        return self.spill_path is not None and spill.pending(self.spill_path)

    # ----------------------------------------------------------------- records

    def save(self, record: Record, *, texts: Mapping[str, str] = _NO_TEXTS) -> None:
        """See :meth:`Store.save`."""
        try:
            self._save(record, texts)
        except StoreUnavailable as error:
            line = lines.record_line(record, texts)
            raise spill.keep(self.spill_path, line, error, f"record {record.id}") from error

    def _save(self, record: Record, texts: Mapping[str, str]) -> None:
        body = record.to_json()
        row = {
            "id": column_text(record.id),
            "version": record.version,
            "call_id": column_text(record.call_id),
            "created": to_micros(record.created),
            "action": record.action.value,
            "route": None if record.route is None else column_text(record.route),
            "policy_digest": column_text(record.policy.digest),
            "digest": digest(body),
            "body": body,
        }
        now = to_micros(self._clock())
        with self._db.write() as connection:
            insert_new(connection, records, [row])
            kept = select(records.c.digest).where(records.c.id == row["id"])
            if connection.execute(kept).scalar_one() != row["digest"]:
                raise RecordInvalid(
                    f"another record has the id {record.id}; nothing was written",
                    hint="Ids must be unique; guardrails.record.sortable_id makes them.",
                )
            # In one order always: two writers of the same sources must not wait on each other.
            for name in sorted(texts):
                put_text(connection, name, texts[name], now)
            insert_new(
                connection,
                record_texts,
                [{"record_id": row["id"], "digest": name} for name in sorted(texts)],
            )

    def get(self, record_id: str) -> Record:
        """See :meth:`Store.get`."""
        found = self._load(select(records).where(records.c.id == column_text(record_id)))
        if not found:
            raise RecordInvalid(
                f"there is no record {record_id!r} in the store {self.shown}",
                hint="It may have been written to another store, or deleted.",
            )
        return found[0]

    def query(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        action: Action | None = None,
        route: str | None = None,
        call_id: str | None = None,
        limit: int = 100,
    ) -> list[Record]:
        """See :meth:`Store.query`."""
        wanted = _between(select(records), since, until)
        if action is not None:
            wanted = wanted.where(records.c.action == action.value)
        if route is not None:
            wanted = wanted.where(records.c.route == column_text(route))
        if call_id is not None:
            wanted = wanted.where(records.c.call_id == column_text(call_id))
        newest = records.c.created.desc(), records.c.id.desc()
        return self._load(wanted.order_by(*newest).limit(limit))

    def records(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Record]:
        """See :meth:`Store.records`."""
        wanted = _between(select(records), since, until)
        oldest = wanted.order_by(records.c.created, records.c.id).limit(CHUNK)
        page = self._load(oldest)
        while page:
            yield from page
            last = to_micros(page[-1].created)
            here = (records.c.created > last) | (
                (records.c.created == last) & (records.c.id > column_text(page[-1].id))
            )
            page = self._load(oldest.where(here))

    def _load(self, wanted: Select[Any]) -> list[Record]:
        with self._db.read() as connection:
            rows = connection.execute(wanted).all()
        return [self._read(row) for row in rows]

    def _read(self, row: Any) -> Record:
        if digest(row.body) != row.digest:
            raise RecordInvalid(
                f"record {row.id} was changed in the database: its digest does not match",
                hint="Restore it from a backup or an export; nothing was decided from it.",
            )
        return load_record(row.body)

    # ------------------------------------------------------------------- texts

    def texts(self, digests: Sequence[str]) -> dict[str, str]:
        """See :meth:`Store.texts`."""
        with self._db.read() as connection:
            return read_texts(connection, digests)

    def texts_of(self, record_id: str) -> dict[str, str]:
        """See :meth:`Store.texts_of`."""
        linked = select(record_texts.c.digest).where(
            record_texts.c.record_id == column_text(record_id)
        )
        with self._db.read() as connection:
            return read_texts(connection, connection.execute(linked).scalars().all())

    def forget_texts(self, before: datetime) -> int:
        """See :meth:`Store.forget_texts`."""
        old = delete(texts_table).where(texts_table.c.seen < to_micros(before))
        with self._db.write() as connection:
            return connection.execute(old).rowcount

    def forget(self, record_id: str) -> None:
        """See :meth:`Store.forget`."""
        key = column_text(record_id)
        mine = select(record_texts.c.digest).where(record_texts.c.record_id == key)
        with self._db.write() as connection:
            digests = connection.execute(mine).scalars().all()
            connection.execute(delete(records).where(records.c.id == key))
            for chunk in chunks(digests):
                unused = ~exists().where(record_texts.c.digest == texts_table.c.digest)
                connection.execute(
                    delete(texts_table).where(texts_table.c.digest.in_(chunk), unused)
                )

    # ------------------------------------------------------------------- queue

    def enqueue(self, item: NewReview) -> str:
        """See :meth:`Store.enqueue`."""
        try:
            return self._queue.enqueue(item)
        except StoreUnavailable as error:
            line = lines.review_line(item)
            raise spill.keep(self.spill_path, line, error, f"review {item.id}") from error

    def get_review(self, review_id: str) -> Review:
        """See :meth:`Store.get_review`."""
        return self._queue.get(review_id)

    def list_reviews(
        self, state: ReviewState | None = None, *, route: str | None = None, limit: int = 100
    ) -> list[Review]:
        """See :meth:`Store.list_reviews`."""
        return self._queue.items(state, route=route, limit=limit)

    def claim(self, review_id: str, reviewer: str, lease_s: float) -> Review:
        """See :meth:`Store.claim`."""
        return self._queue.claim(review_id, reviewer, lease_s)

    def claim_next(
        self, reviewer: str, lease_s: float, *, route: str | None = None
    ) -> Review | None:
        """See :meth:`Store.claim_next`."""
        return self._queue.claim_next(reviewer, lease_s, route=route)

    def release(self, review_id: str, reviewer: str) -> Review:
        """See :meth:`Store.release`."""
        return self._queue.release(review_id, reviewer)

    def resolve(
        self, review_id: str, reviewer: str, verdict: Resolution, note: str | None = None
    ) -> Review:
        """See :meth:`Store.resolve`."""
        return self._queue.resolve(review_id, reviewer, verdict, note)

    def history(self, review_id: str) -> list[HistoryEntry]:
        """See :meth:`Store.history`."""
        return self._queue.history(review_id)

    def expire(self, now: datetime | None = None) -> int:
        """See :meth:`Store.expire`."""
        return self._queue.expire(self._clock() if now is None else now)

    # -------------------------------------------------------------------- rest

    def recover(self) -> Recovered:
        """See :meth:`Store.recover`."""
        if self.spill_path is None:
            return Recovered(0, 0, ())
        # Without a spill file of its own: what fails again must stay in the file, not be added.
        return spill.recover(SqlStore(self._db, spill=None, clock=self._clock), self.spill_path)

    def close(self) -> None:
        """See :meth:`Store.close`."""
        self._db.close()


def _between(wanted: Select[Any], since: datetime | None, until: datetime | None) -> Select[Any]:
    if since is not None:
        wanted = wanted.where(records.c.created >= to_micros(since))
    if until is not None:
        wanted = wanted.where(records.c.created < to_micros(until))
    return wanted
