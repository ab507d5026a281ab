"""Figures of a bench: against slow definitions, and at the edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.bench.metrics import (
    SpanCounts,
    auroc,
    balanced_accuracy,
    best_threshold,
    bin_places,
    calibration_error,
    equal_say,
    f1_unsupported,
    hits_text,
    reliability,
    share_text,
    span_counts,
    span_f1,
    steady_threshold,
    wilson,
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


def test_scores_without_a_float_between_are_told_apart() -> None:
    """Half-way between them rounds onto the lower one; the threshold is the upper one."""
    scores, labels = np.array([0.0, 5e-324]), np.array([False, True])
    assert balanced_accuracy(scores, labels, best_threshold(scores, labels)) == 1.0


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


@given(SCORED, st.lists(st.integers(1, 3), min_size=40, max_size=40))
def test_a_weight_is_worth_as_many_items(data, weights) -> None:
    """The threshold for weighted items is the one for each item repeated that often."""
    scores, labels = data
    times = np.array(weights[: len(scores)])
    weighted = best_threshold(scores, labels, times.astype(float))
    assert weighted == best_threshold(np.repeat(scores, times), np.repeat(labels, times))


@given(SCORED, st.randoms(use_true_random=False))
def test_a_steady_threshold_does_not_depend_on_the_order(data, shuffle) -> None:
    """The same items, told in another order, give the same one, between the scores there are."""
    scores, labels = data
    groups = ["even" if i % 2 == 0 else "odd" for i in range(len(scores))]
    order = list(range(len(scores)))
    shuffle.shuffle(order)
    found = steady_threshold(scores, labels, groups)
    assert found == steady_threshold(scores[order], labels[order], [groups[i] for i in order])
    if labels.any() and not labels.all():
        assert scores.min() <= found <= np.nextafter(scores.max(), 2)


def test_a_steady_threshold_wavers_less_than_a_single_best_one() -> None:
    """Over samples of one population, whose two classes overlap, and it decides no worse."""
    rng = np.random.default_rng(3)
    labels = np.arange(20_000) % 2 == 0
    scores = np.clip(rng.normal(np.where(labels, 0.6, 0.4), 0.2), 0, 1)
    single, steady = [], []
    for _ in range(30):
        drawn = rng.choice(20_000, 200, replace=False)
        own, truth = scores[drawn], labels[drawn]
        single.append(best_threshold(own, truth))
        steady.append(steady_threshold(own, truth, ["one"] * 200))
    assert np.std(steady) < 0.75 * np.std(single)
    reached = [np.mean([balanced_accuracy(scores, labels, t) for t in s]) for s in (single, steady)]
    assert reached[1] > reached[0]


def test_an_equal_say_makes_a_small_set_as_heavy_as_a_large_one() -> None:
    """Pooled, the large set decides; with an equal say, the mean over sets does."""
    # Ninety items that are best cut at 0.2, and ten that are best cut at 0.8.
    scores = np.array([0.1] * 45 + [0.3] * 45 + [0.7] * 5 + [0.9] * 5)
    labels = np.array([False] * 45 + [True] * 45 + [False] * 5 + [True] * 5)
    groups = ["large"] * 90 + ["small"] * 10
    assert best_threshold(scores, labels) == pytest.approx(0.2)
    weights = equal_say(groups, labels)
    assert weights[:90].sum() == pytest.approx(weights[90:].sum())
    assert weights[labels].sum() == pytest.approx(weights[~labels].sum())
    # A set of one class only says nothing.
    assert not equal_say(["a", "b", "b"], np.array([True, True, False]))[0]
    assert equal_say(["a"], np.array([True])).tolist() == [1.0]


def test_few_items_are_put_into_few_bins() -> None:
    """A bin holds some twenty items, so that its share is no accident; at most fifteen bins."""
    scores = np.linspace(0, 1, 100)
    assert len(np.unique(bin_places(scores))) == 5
    assert len(np.unique(bin_places(np.linspace(0, 1, 10_000)))) == 15
    assert len(bin_places(np.zeros(0))) == 0


def test_the_interval_of_a_share_is_wilsons() -> None:
    """Against worked values; inside [0, 1] at the ends, the whole range without items."""
    assert wilson(0.5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson(0.0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(0.0, 0) == (0.0, 1.0)


def test_tables_write_a_share_with_its_interval() -> None:
    """Of the items there are, three digits each; a dash where there are none."""
    assert hits_text(5, 10) == share_text(0.5, 10) == "0.500 (0.237 to 0.763)"
    assert hits_text(0, 0) == "-"


def test_span_f1_counts_characters_once() -> None:
    """Overlapping predictions do not count twice."""
    counts = span_counts([Span(0, 4), Span(2, 6)], [Span(4, 8)])
    assert counts == SpanCounts(2, 6, 4)
    assert span_f1([counts]) == pytest.approx(0.4)
    assert math.isnan(span_f1([span_counts([], [])]))
