"""The states of a review, at their edges. All orders of steps: see the store's contract suite."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from guardrails.errors import ReviewConflict
from guardrails.review import (
    ClaimRuling,
    Delivery,
    NewReview,
    Resolution,
    Review,
    ReviewEvent,
    ReviewState,
    Ruling,
    at,
    claim,
    enqueue,
    resolve,
)
from policies.types import Action

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ITEM = NewReview("r", "rec", NOW, Delivery.RELEASED, Action.REVIEW, claim_ids=("c1",))
MOMENT = timedelta(microseconds=1)


def test_a_lease_ends_at_its_very_moment() -> None:
    """A moment before it holds; at the moment it is over."""
    held = claim(enqueue(ITEM).review, "ann", 10, NOW).review
    end = NOW + timedelta(seconds=10)
    assert at(held, end - MOMENT).review == held
    over = at(held, end)
    assert (over.review.state, over.review.lapses) == (ReviewState.OPEN, 1)
    assert [(e.event, e.at) for e in over.history] == [(ReviewEvent.LAPSED, end)]
    with pytest.raises(ReviewConflict, match="held by 'ann'"):
        claim(held, "bob", 10, end - MOMENT)
    assert claim(held, "bob", 10, end).review.reviewer == "bob"


def test_what_is_in_hand_does_not_expire() -> None:
    """An item outlives its expiry while somebody holds it, and then ends when the lease does."""
    item = replace(ITEM, expires_at=NOW + timedelta(seconds=5))
    held = claim(enqueue(item).review, "ann", 10, NOW).review
    assert at(held, NOW + timedelta(seconds=7)).review == held
    done = resolve(held, "ann", Resolution(Ruling.APPROVE), None, NOW + timedelta(seconds=7))
    assert done.review.state is ReviewState.RESOLVED
    ended = at(held, NOW + timedelta(seconds=20))
    assert ended.review.state is ReviewState.EXPIRED
    assert [e.event for e in ended.history] == [ReviewEvent.LAPSED, ReviewEvent.EXPIRED]
    assert ended.history[-1].at == NOW + timedelta(seconds=10)


def test_final_states_stay() -> None:
    """No time changes what is resolved or expired."""
    held = claim(enqueue(ITEM).review, "ann", 10, NOW).review
    done = resolve(held, "ann", Resolution(Ruling.REJECT), "no", NOW).review
    gone = at(Review(replace(ITEM, expires_at=NOW)), NOW).review
    for review in (done, gone):
        assert review.final
        assert at(review, NOW + timedelta(days=999)) == at(review, NOW)
        with pytest.raises(ReviewConflict):
            claim(review, "bob", 10, NOW)


def test_values_that_make_no_sense() -> None:
    """Times need zones, ids letters, labels one claim each."""
    with pytest.raises(ValueError, match="time zone"):
        replace(ITEM, created=datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(ValueError, match="needs an id"):
        replace(ITEM, id="")
    with pytest.raises(ValueError, match="labelled twice"):
        Resolution(
            Ruling.APPROVE, labels=(("c1", ClaimRuling.UNSURE), ("c1", ClaimRuling.SUPPORTED))
        )


def test_user_text_stays_out_of_repr() -> None:
    """A logged review leaks neither the edit nor the note."""
    held = claim(enqueue(ITEM).review, "ann", 10, NOW).review
    done = resolve(held, "ann", Resolution(Ruling.EDIT, "secret"), "secret", NOW).review
    assert "secret" not in repr(done)
