"""Planning batches: nothing lost, nothing over budget, little padding."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.batching import FREE_PADDING, PADDING_SHARE, pick_batch, plan_batches

lengths = st.lists(st.integers(0, 600), max_size=60)
limits = {"max_tokens": st.integers(1, 2000), "max_items": st.integers(1, 40)}


def area(batch: list[int], of: list[int]) -> int:
    return max(of[i] for i in batch) * len(batch)


@given(lengths=lengths, **limits)
def test_plans_hold_everything_once_within_budget(
    lengths: list[int], max_tokens: int, max_items: int
) -> None:
    """Every index in exactly one batch; only a pair that alone is too big breaks the budget."""
    plan = plan_batches(lengths, max_tokens=max_tokens, max_items=max_items)
    assert sorted(i for batch in plan for i in batch) == list(range(len(lengths)))
    for batch in plan:
        assert 1 <= len(batch) <= max_items
        assert area(batch, lengths) <= max_tokens or len(batch) == 1


@given(lengths=st.lists(st.integers(0, 600), min_size=1, max_size=60), data=st.data(), **limits)
def test_a_picked_batch_holds_the_anchor_within_budget(
    lengths: list[int], data: st.DataObject, max_tokens: int, max_items: int
) -> None:
    """The anchor always runs; company only within budget and for little padding."""
    anchor = data.draw(st.integers(0, len(lengths) - 1))
    batch = pick_batch(lengths, anchor=anchor, max_tokens=max_tokens, max_items=max_items)
    assert anchor in batch
    assert len(set(batch)) == len(batch) <= max_items
    assert area(batch, lengths) <= max_tokens or batch == [anchor]
    padding = area(batch, lengths) - sum(lengths[i] for i in batch)
    assert padding <= FREE_PADDING or padding <= PADDING_SHARE * area(batch, lengths)


def test_equal_lengths_fill_a_batch() -> None:
    """Nothing keeps pairs of one length apart but the budget."""
    assert len(pick_batch([100] * 30, anchor=7, max_tokens=1024, max_items=64)) == 10
    assert [len(b) for b in plan_batches([100] * 30, max_tokens=1024, max_items=64)] == [10, 10, 10]


def test_unlike_lengths_stay_apart() -> None:
    """A short pair is not padded to ten times its length."""
    assert pick_batch([500, 50, 500, 55, 500], anchor=1, max_tokens=4096, max_items=64) == [1, 3]


@pytest.mark.parametrize(
    "limit", [{"max_tokens": 0, "max_items": 1}, {"max_tokens": 1, "max_items": 0}]
)
def test_limits_are_at_least_one(limit: dict[str, int]) -> None:
    """A limit that lets nothing run is a mistake, not an endless loop."""
    with pytest.raises(ValueError, match="below 1"):
        plan_batches([1], **limit)
    with pytest.raises(ValueError, match="below 1"):
        pick_batch([1], anchor=0, **limit)


def test_bad_arguments_raise() -> None:
    """Lengths count from zero, and the anchor is one of the candidates."""
    with pytest.raises(ValueError, match="negative"):
        plan_batches([-1], max_tokens=1, max_items=1)
    for anchor in (-1, 1):
        with pytest.raises(IndexError):
            pick_batch([1], anchor=anchor, max_tokens=1, max_items=1)
