r"""The review queue's states and what may follow what. Pure: a store keeps them, a clock is passed.

::

    open ── claim ──> claimed ── resolve ──> resolved
     ^ \\                |
     |  \\── time ──> expired
     └── release, or the lease runs out ─┘

An item is claimed for a time, the lease. A reviewer who claims an item they hold renews the lease.
When it runs out, the item is open again and that is counted. An open item whose ``expires_at``
passes is expired; one in a reviewer's hands is not, until the lease runs out. Resolved and expired
are final.

Time acts when anybody looks: :func:`at` gives the item as it is now, whatever was last written.
Intervals are closed below and open above: at the very moment a lease ends, it is over.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from guardrails.errors import ReviewConflict

if TYPE_CHECKING:
    from datetime import datetime

    from policies.types import Action

MAX_LEASE_S = 7 * 24 * 3600.0
_MAX_NAME = 200


class ReviewState(StrEnum):
    """Where an item stands."""

    OPEN = "open"
    CLAIMED = "claimed"
    RESOLVED = "resolved"
    EXPIRED = "expired"


class Delivery(StrEnum):
    """What the caller got meanwhile."""

    HELD = "held"  # a holding text; the answer waits for the reviewer
    RELEASED = "released"  # the answer, with a flag


class Ruling(StrEnum):
    """What a reviewer says of the whole answer."""

    APPROVE = "approve"
    REJECT = "reject"
    EDIT = "edit"  # with the text to deliver instead


class ClaimRuling(StrEnum):
    """What a reviewer says of one claim. These labels are what verifiers are measured against."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    UNSUPPORTED = "unsupported"
    NOT_CHECKWORTHY = "not_checkworthy"
    UNSURE = "unsure"


class ReviewEvent(StrEnum):
    """What happened to an item; the history holds one line each."""

    ENQUEUED = "enqueued"
    CLAIMED = "claimed"
    RENEWED = "renewed"
    RELEASED = "released"
    LAPSED = "lapsed"  # the lease ran out
    RESOLVED = "resolved"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Reason:
    """A rule that sent the answer here: policy key and message, without user text."""

    rule: str
    message: str
    claim_id: str | None = None


@dataclass(frozen=True, slots=True)
class NewReview:
    """An answer to put before a person.

    Attributes:
        id: Unique; :func:`guardrails.digests.sortable_id` makes one.
        record_id: The record it is about.
        created: When, aware.
        delivery: What the caller got meanwhile.
        action: What the policy decided; usually ``review``.
        reasons: Why, most severe first.
        claim_ids: The claims that can be labelled.
        route: The route, for filtering.
        expires_at: When an item nobody took is no longer worth taking, or None for never.
    """

    id: str
    record_id: str
    created: datetime
    delivery: Delivery
    action: Action
    reasons: tuple[Reason, ...] = ()
    claim_ids: tuple[str, ...] = ()
    route: str | None = None
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        for name, moment in (("created", self.created), ("expires_at", self.expires_at)):
            if moment is not None and moment.tzinfo is None:
                raise ValueError(f"{name} needs a time zone")
        if not self.id:
            raise ValueError("a review needs an id")


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a reviewer decided.

    Attributes:
        ruling: On the whole answer.
        text: What to deliver instead, with ``edit`` and only then. None in a resolved item when
            retention has deleted it.
        labels: Claim id to label, for as many claims as the reviewer looked at.
    """

    ruling: Ruling
    text: str | None = field(default=None, repr=False)
    labels: tuple[tuple[str, ClaimRuling], ...] = ()

    def __post_init__(self) -> None:
        if len({claim_id for claim_id, _ in self.labels}) != len(self.labels):
            raise ValueError("a claim is labelled twice")


@dataclass(frozen=True, slots=True)
class Review:
    """One item of the queue.

    Attributes:
        item: What was put in.
        state: Where it stands.
        reviewer: Who holds it, or who resolved it.
        lease_until: When the hold ends; set while claimed.
        lapses: How often a lease ran out.
        resolved_at: When it was resolved.
        resolution: Set once resolved.
        note: The reviewer's note, until retention deletes it.
    """

    item: NewReview
    state: ReviewState = ReviewState.OPEN
    reviewer: str | None = None
    lease_until: datetime | None = None
    lapses: int = 0
    resolved_at: datetime | None = None
    resolution: Resolution | None = None
    note: str | None = field(default=None, repr=False)

    @property
    def id(self) -> str:
        """The id of the item."""
        return self.item.id

    @property
    def final(self) -> bool:
        """Whether nothing more can happen to it."""
        return self.state in {ReviewState.RESOLVED, ReviewState.EXPIRED}


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of an item's history, which is only ever added to."""

    at: datetime
    event: ReviewEvent
    reviewer: str | None
    state: ReviewState


@dataclass(frozen=True, slots=True)
class Step:
    """An item after something happened, and what to add to its history, oldest first."""

    review: Review
    history: tuple[HistoryEntry, ...] = ()


def enqueue(item: NewReview) -> Step:
    """A new item, open."""
    entry = HistoryEntry(item.created, ReviewEvent.ENQUEUED, None, ReviewState.OPEN)
    return Step(Review(item), (entry,))


def at(review: Review, now: datetime) -> Step:
    """The item as time has left it: leases that ran out are over, what nobody took is expired."""
    history: list[HistoryEntry] = []
    lease = review.lease_until
    if review.state is ReviewState.CLAIMED and lease is not None and lease <= now:
        # The history says when it ended, not when somebody noticed.
        history.append(HistoryEntry(lease, ReviewEvent.LAPSED, review.reviewer, ReviewState.OPEN))
        review = replace(
            review,
            state=ReviewState.OPEN,
            reviewer=None,
            lease_until=None,
            lapses=review.lapses + 1,
        )
    expires = review.item.expires_at
    if review.state is ReviewState.OPEN and expires is not None and expires <= now:
        ended = max([expires, *(entry.at for entry in history)])
        history.append(HistoryEntry(ended, ReviewEvent.EXPIRED, None, ReviewState.EXPIRED))
        review = replace(review, state=ReviewState.EXPIRED)
    return Step(review, tuple(history))


def claim(review: Review, reviewer: str, lease_s: float, now: datetime) -> Step:
    """Take an open item, or renew a hold of one's own.

    Raises:
        ReviewConflict: If another reviewer holds it, or it is resolved or expired.
        ValueError: If the reviewer has no name or the lease is no sensible time.
    """
    check_reviewer(reviewer)
    check_lease(lease_s)
    step = at(review, now)
    review = step.review
    if review.state is ReviewState.CLAIMED and review.reviewer != reviewer:
        raise ReviewConflict(
            f"review {review.id} is held by {review.reviewer!r} until {_when(review.lease_until)};"
            " nothing was changed",
            hint="Take another item, or wait until the lease runs out.",
        )
    _refuse_final(review)
    renewed = review.state is ReviewState.CLAIMED
    event = ReviewEvent.RENEWED if renewed else ReviewEvent.CLAIMED
    return Step(
        replace(
            review,
            state=ReviewState.CLAIMED,
            reviewer=reviewer,
            lease_until=now + timedelta(seconds=lease_s),
        ),
        (*step.history, HistoryEntry(now, event, reviewer, ReviewState.CLAIMED)),
    )


def release(review: Review, reviewer: str, now: datetime) -> Step:
    """Give an item back.

    Raises:
        ReviewConflict: If ``reviewer`` does not hold it.
    """
    check_reviewer(reviewer)
    step = at(review, now)
    review = step.review
    _need_holder(review, reviewer, "release")
    return Step(
        replace(review, state=ReviewState.OPEN, reviewer=None, lease_until=None),
        (*step.history, HistoryEntry(now, ReviewEvent.RELEASED, reviewer, ReviewState.OPEN)),
    )


def resolve(
    review: Review, reviewer: str, resolution: Resolution, note: str | None, now: datetime
) -> Step:
    """Close an item with a ruling.

    Raises:
        ReviewConflict: If ``reviewer`` does not hold it.
        ValueError: If a label names a claim the item does not have, or an edit has no text.
    """
    check_reviewer(reviewer)
    if (resolution.ruling is Ruling.EDIT) != (resolution.text is not None):
        raise ValueError("an edit needs its text, and only an edit has one")
    step = at(review, now)
    review = step.review
    _need_holder(review, reviewer, "resolve")
    unknown = {claim_id for claim_id, _ in resolution.labels} - set(review.item.claim_ids)
    if unknown:
        raise ValueError(
            f"review {review.id} has no claim {', '.join(sorted(unknown))};"
            f" it has {', '.join(review.item.claim_ids) or 'none'}"
        )
    return Step(
        replace(
            review,
            state=ReviewState.RESOLVED,
            lease_until=None,
            resolved_at=now,
            resolution=resolution,
            note=note,
        ),
        (*step.history, HistoryEntry(now, ReviewEvent.RESOLVED, reviewer, ReviewState.RESOLVED)),
    )


def check_reviewer(reviewer: str) -> None:
    """Raise ValueError unless ``reviewer`` is a usable name."""
    if not reviewer.strip() or len(reviewer) > _MAX_NAME or not reviewer.isprintable():
        raise ValueError(f"a reviewer's name has 1 to {_MAX_NAME} printable characters")


def check_lease(lease_s: float) -> None:
    """Raise ValueError unless ``lease_s`` is a time we lend an item for."""
    if not 0 < lease_s <= MAX_LEASE_S:
        raise ValueError(f"a lease lasts more than 0 and at most {MAX_LEASE_S:.0f} seconds")


Wanted = Literal["release", "resolve"]


def _need_holder(review: Review, reviewer: str, wanted: Wanted) -> None:
    _refuse_final(review)
    if review.state is ReviewState.CLAIMED and review.reviewer == reviewer:
        return
    if review.state is ReviewState.CLAIMED:
        fact = f"is held by {review.reviewer!r}, not by {reviewer!r}"
    else:
        fact = f"is open: {reviewer!r} does not hold it, or the lease ran out"
    raise ReviewConflict(
        f"cannot {wanted} review {review.id}: it {fact}; nothing was changed",
        hint="Claim it first.",
    )


def _refuse_final(review: Review) -> None:
    match review.state:
        case ReviewState.RESOLVED:
            raise ReviewConflict(
                f"review {review.id} was resolved by {review.reviewer!r}"
                f" at {_when(review.resolved_at)}; nothing was changed",
                hint="A resolved item stays as it is.",
            )
        case ReviewState.EXPIRED:
            raise ReviewConflict(
                f"review {review.id} expired at {_when(review.item.expires_at)};"
                " nothing was changed",
                hint="An expired item stays as it is; its record is still in the store.",
            )
        case ReviewState.OPEN | ReviewState.CLAIMED:
            return


def _when(moment: datetime | None) -> str:
    return "?" if moment is None else moment.isoformat(timespec="seconds")
