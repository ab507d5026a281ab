"""Figures of a bench: against slow definitions, and at the edges."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.bench.metrics import (
    SpanCounts,
    auroc,
    balanced_accuracy,
    best_threshold,
    bootstrap,
    calibration_error,
    f1_unsupported,
    paired_difference,
    reliability,
    span_counts,
    span_f1,
)
from verifiers.types import Span

SCORED = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0]) | st.floats(0, 1), st.booleans()
    ),
    min_size=2,
    max_size=40,
).map(lambda rows: (np.array([r[0] for r in rows]), np.array([r[1] for r in rows])))


@given(SCORED)
def test_auroc_is_the_share_of_pairs_in_the_right_order(data) -> None:
    """Against the definition, pair by pair, ties counting half."""
    scores, labels = data
    ups, downs = scores[labels], scores[~labels]
    if not len(ups) or not len(downs):
        assert math.isnan(auroc(scores, labels))
        return
    slow = np.mean([(u > d) + (u == d) / 2 for u in ups for d in downs])
    assert auroc(scores, labels) == pytest.approx(slow)


@given(SCORED)
def test_no_threshold_beats_the_best_one(data) -> None:
    """Neither any score nor any point between two."""
    scores, labels = data
    if labels.all() or not labels.any():
        assert math.isnan(balanced_accuracy(scores, labels, 0.5))
        return
    best = balanced_accuracy(scores, labels, best_threshold(scores, labels))
    tries = [*scores, *((scores[:-1] + scores[1:]) / 2), -1.0, 2.0]
    assert best >= max(balanced_accuracy(scores, labels, t) for t in tries) - 1e-12


def test_a_score_at_the_threshold_reads_as_supported() -> None:
    """Thresholds are inclusive, here as in policies."""
    scores, labels = np.array([0.5, 0.4]), np.array([True, False])
    assert balanced_accuracy(scores, labels, 0.5) == 1.0
    assert f1_unsupported(scores, labels, 0.5) == 1.0


def test_f1_counts_the_unsupported_class() -> None:
    """One of two caught, one flagged wrongly: precision and recall are a half."""
    scores = np.array([0.1, 0.9, 0.1, 0.9])
    labels = np.array([False, False, True, True])
    assert f1_unsupported(scores, labels, 0.5) == pytest.approx(0.5)


def test_scores_that_mean_what_they_say_are_calibrated() -> None:
    """Labels drawn with their own probability have little error; always-sure ones have much."""
    rng = np.random.default_rng(1)
    scores = rng.uniform(size=20_000)
    labels = rng.uniform(size=20_000) < scores
    assert calibration_error(scores, labels) < 0.02
    assert calibration_error(np.ones(20_000), labels) == pytest.approx(0.5, abs=0.02)


@given(SCORED)
def test_reliability_bins_hold_every_item_once(data) -> None:
    """Nothing falls out of the diagram, whatever the ties."""
    scores, labels = data
    rows = reliability(scores, labels)
    assert sum(row.size for row in rows) == len(scores)
    assert sum(row.observed * row.size for row in rows) == pytest.approx(labels.sum())


def test_an_interval_holds_its_value_and_shrinks_with_more_items() -> None:
    """Wider for fewer items; the same for the same seed."""
    rng = np.random.default_rng(2)

    def width(n: int) -> float:
        labels = rng.uniform(size=n) < 0.5
        scores = np.where(labels, 0.6, 0.4) + rng.normal(scale=0.2, size=n)
        interval = bootstrap(auroc, scores, labels, resamples=200)
        assert interval.low <= interval.value <= interval.high
        assert interval == bootstrap(auroc, scores, labels, resamples=200)
        return interval.high - interval.low

    assert width(2000) < width(100)


def test_a_system_does_not_differ_from_itself() -> None:
    """Resampled together, equal systems differ by exactly nothing."""
    scores, labels = np.array([0.1, 0.7, 0.4, 0.9]), np.array([False, True, True, False])
    at = partial(balanced_accuracy, threshold=0.5)
    assert paired_difference(at, scores, at, scores, labels, resamples=50) == (0.0, 0.0, 0.0)


def test_span_f1_counts_characters_once() -> None:
    """Overlapping predictions do not count twice."""
    counts = span_counts([Span(0, 4), Span(2, 6)], [Span(4, 8)])
    assert counts == SpanCounts(2, 6, 4)
    assert span_f1([counts]) == pytest.approx(0.4)
    assert math.isnan(span_f1([span_counts([], [])]))
