"""The review queue's rows. What may follow what is decided in :mod:`guardrails.review`.

Every change locks the item's row (on SQLite the database), reads it, asks the state machine and
writes the answer and the history in one transaction: of two reviewers one comes second and is told.
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, or_, select, update

from guardrails import review as states
from guardrails.digests import Digester
from guardrails.errors import ReviewConflict
from guardrails.record import canonical_json
from guardrails.review import (
    ClaimRuling,
    HistoryEntry,
    NewReview,
    Resolution,
    Review,
    ReviewEvent,
    ReviewState,
    Ruling,
)
from guardrails.store.lines import item_from_json, item_to_json
from guardrails.store.rows import CHUNK, column_text, insert_new, put_text, read_texts
from guardrails.store.tables import review_history, reviews
from guardrails.store.times import from_micros, opt_micros, opt_moment, to_micros

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection
    from sqlalchemy.sql import ColumnElement

    from guardrails.review import Step
    from guardrails.store.database import Database
    from guardrails.store.protocol import Clock


class ReviewQueue:
    """The queue in one database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._db = database
        self._clock = clock

    def enqueue(self, item: NewReview) -> str:
        """Add an item, open."""
        step = states.enqueue(item)
        row = {
            "id": column_text(item.id),
            "record_id": column_text(item.record_id),
            "created": to_micros(item.created),
            "expires_at": opt_micros(item.expires_at),
            "delivery": item.delivery.value,
            "action": item.action.value,
            "route": None if item.route is None else column_text(item.route),
            "item": canonical_json(item_to_json(item)),
            **_state_columns(step.review),
            "resolution": None,
        }
        with self._db.write() as connection:
            before = _find(connection, item.id, lock=True)
            if before is not None:
                if before.item != row["item"]:
                    raise ReviewConflict(
                        f"another review has the id {item.id}; nothing was written",
                        hint="Ids must be unique; guardrails.record.sortable_id makes them.",
                    )
                return item.id
            insert_new(connection, reviews, [row])
            _add_history(connection, item.id, step.history)
        return item.id

    def get(self, review_id: str) -> Review:
        """One item as it stands now."""
        with self._db.read() as connection:
            row = _need(connection, review_id, lock=False)
            return states.at(_review(connection, row), self._clock()).review

    def items(self, state: ReviewState | None, *, route: str | None, limit: int) -> list[Review]:
        """Items as they stand now."""
        now = self._clock()
        wanted = select(reviews)
        if state is not None:
            wanted = wanted.where(_stands(state, to_micros(now)))
        if route is not None:
            wanted = wanted.where(reviews.c.route == column_text(route))
        if state in {ReviewState.OPEN, ReviewState.CLAIMED}:
            wanted = wanted.order_by(reviews.c.created, reviews.c.id)
        else:
            wanted = wanted.order_by(reviews.c.created.desc(), reviews.c.id.desc())
        with self._db.read() as connection:
            rows = connection.execute(wanted.limit(limit)).all()
            return [states.at(_review(connection, row), now).review for row in rows]

    def claim(self, review_id: str, reviewer: str, lease_s: float) -> Review:
        """Take an item."""
        return self._step(
            review_id, lambda review, now: states.claim(review, reviewer, lease_s, now)
        )

    def claim_next(self, reviewer: str, lease_s: float, *, route: str | None) -> Review | None:
        """Take the oldest open item."""
        states.check_reviewer(reviewer)
        states.check_lease(lease_s)
        with self._db.write() as connection:
            now = self._clock()
            wanted = select(reviews).where(_stands(ReviewState.OPEN, to_micros(now)))
            if route is not None:
                wanted = wanted.where(reviews.c.route == column_text(route))
            wanted = wanted.order_by(reviews.c.created, reviews.c.id).limit(1)
            # Rows another reviewer is taking at this moment are passed over.
            row = connection.execute(wanted.with_for_update(skip_locked=True)).first()
            if row is None:
                return None
            step = states.claim(_review(connection, row), reviewer, lease_s, now)
            _write(connection, step)
            return step.review

    def release(self, review_id: str, reviewer: str) -> Review:
        """Give an item back."""
        return self._step(review_id, lambda review, now: states.release(review, reviewer, now))

    def resolve(
        self, review_id: str, reviewer: str, resolution: Resolution, note: str | None
    ) -> Review:
        """Close an item."""
        return self._step(
            review_id,
            lambda review, now: states.resolve(review, reviewer, resolution, note, now),
        )

    def history(self, review_id: str) -> list[HistoryEntry]:
        """What happened to an item."""
        wanted = (
            select(review_history)
            .where(review_history.c.review_id == column_text(review_id))
            .order_by(review_history.c.seq)
        )
        with self._db.read() as connection:
            _need(connection, review_id, lock=False)
            return [
                HistoryEntry(
                    at=from_micros(row.at),
                    event=ReviewEvent(row.event),
                    reviewer=row.reviewer,
                    state=ReviewState(row.state),
                )
                for row in connection.execute(wanted)
            ]

    def expire(self, now: datetime) -> int:
        """Write down what time has done."""
        moment = to_micros(now)
        due = (
            select(reviews)
            .where(or_(_lapsed(moment), and_(_unheld(moment), reviews.c.expires_at <= moment)))
            .where(reviews.c.state.in_([ReviewState.OPEN.value, ReviewState.CLAIMED.value]))
            .order_by(reviews.c.id)
            .limit(CHUNK)
            .with_for_update(skip_locked=True)
        )
        changed = 0
        while True:
            with self._db.write() as connection:
                rows = connection.execute(due).all()
                for row in rows:
                    _write(connection, states.at(_review(connection, row), now))
            changed += len(rows)
            if len(rows) < CHUNK:
                return changed

    def _step(self, review_id: str, act: Callable[[Review, datetime], Step]) -> Review:
        with self._db.write() as connection:
            row = _need(connection, review_id, lock=True)
            # After the lock: the time that counts is when it is our turn.
            step = act(_review(connection, row), self._clock())
            _write(connection, step)
            return step.review


def _find(connection: Connection, review_id: str, *, lock: bool) -> Any:
    wanted = select(reviews).where(reviews.c.id == column_text(review_id))
    return connection.execute(wanted.with_for_update() if lock else wanted).first()


def _need(connection: Connection, review_id: str, *, lock: bool) -> Any:
    row = _find(connection, review_id, lock=lock)
    if row is None:
        raise ReviewConflict(
            f"there is no review {review_id!r} in this store; nothing was changed",
            hint="`groundrail review list` shows those there are.",
        )
    return row


def _lapsed(now: int) -> ColumnElement[bool]:
    return and_(reviews.c.state == ReviewState.CLAIMED.value, reviews.c.lease_until <= now)


def _unheld(now: int) -> ColumnElement[bool]:
    return or_(reviews.c.state == ReviewState.OPEN.value, _lapsed(now))


def _stands(state: ReviewState, now: int) -> ColumnElement[bool]:
    """SQL for "``at(review, now)`` is in ``state``"."""
    over = and_(_unheld(now), reviews.c.expires_at.is_not(None), reviews.c.expires_at <= now)
    match state:
        case ReviewState.OPEN:
            waits = or_(reviews.c.expires_at.is_(None), reviews.c.expires_at > now)
            return and_(_unheld(now), waits)
        case ReviewState.CLAIMED:
            return and_(reviews.c.state == state.value, reviews.c.lease_until > now)
        case ReviewState.RESOLVED:
            return reviews.c.state == state.value
        case ReviewState.EXPIRED:
            return or_(reviews.c.state == state.value, over)


def _state_columns(review: Review) -> dict[str, Any]:
    return {
        "state": review.state.value,
        "reviewer": None if review.reviewer is None else column_text(review.reviewer),
        "lease_until": opt_micros(review.lease_until),
        "lapses": review.lapses,
        "resolved_at": opt_micros(review.resolved_at),
    }


def _write(connection: Connection, step: Step) -> None:
    review = step.review
    values = _state_columns(review)
    if review.resolution is not None and review.resolved_at is not None:
        now = to_micros(review.resolved_at)
        values["resolution"] = canonical_json(
            {
                "ruling": review.resolution.ruling.value,
                "labels": [[claim, label.value] for claim, label in review.resolution.labels],
                "text": _keep(connection, review.resolution.text, now),
                "note": _keep(connection, review.note, now),
            }
        )
    key = column_text(review.id)
    connection.execute(update(reviews).where(reviews.c.id == key).values(**values))
    _add_history(connection, review.id, step.history)


def _keep(connection: Connection, text: str | None, now: int) -> str | None:
    """Keep what a reviewer wrote where retention finds it.

    Under a digest with a key nobody has: a note is short, and its digest outlives it.
    """
    if text is None:
        return None
    name = Digester(secrets.token_bytes(32))(text)
    put_text(connection, name, text, now)
    return name


def _add_history(connection: Connection, review_id: str, entries: Sequence[HistoryEntry]) -> None:
    if entries:
        connection.execute(
            review_history.insert(),
            [
                {
                    "review_id": column_text(review_id),
                    "at": to_micros(entry.at),
                    "event": entry.event.value,
                    "reviewer": None if entry.reviewer is None else column_text(entry.reviewer),
                    "state": entry.state.value,
                }
                for entry in entries
            ],
        )


def _review(connection: Connection, row: Any) -> Review:
    resolution, note = None, None
    if row.resolution is not None:
        kept = json.loads(row.resolution)
        texts = read_texts(connection, [name for name in (kept["text"], kept["note"]) if name])
        ruling = Ruling(kept["ruling"])
        resolution = Resolution(
            ruling=ruling,
            text=texts.get(kept["text"]) if ruling is Ruling.EDIT else None,
            labels=tuple((claim, ClaimRuling(label)) for claim, label in kept["labels"]),
        )
        note = texts.get(kept["note"])
    return Review(
        item=item_from_json(json.loads(row.item)),
        state=ReviewState(row.state),
        reviewer=row.reviewer,
        lease_until=opt_moment(row.lease_until),
        lapses=row.lapses,
        resolved_at=opt_moment(row.resolved_at),
        resolution=resolution,
        note=note,
    )
