"""Figures and calibration, against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from verifiers.training import metrics
from verifiers.training.calibration import calibrate, fit_temperature, log_loss

rows = st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=2, max_size=60)


def arrays(found):
    scores = np.array([s / 20 for s, _ in found])
    truth = np.array([t for _, t in found])
    assume(truth.any() and not truth.all())
    return scores, truth


@given(rows)
def test_auroc_is_the_share_of_pairs_in_order(found):
    """Against all pairs of one supported and one unsupported row, ties as half."""
    scores, truth = arrays(found)
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[truth] for b in scores[~truth]]
    assert metrics.auroc(scores, truth) == pytest.approx(sum(pairs) / len(pairs))


@given(rows)
def test_no_threshold_beats_the_best_one(found):
    """The best threshold is at least as good as any score, and as none."""
    scores, truth = arrays(found)
    best = metrics.balanced_accuracy(scores, truth, metrics.best_threshold(scores, truth))
    inside = np.unique(scores)[1:]
    others = [metrics.balanced_accuracy(scores, truth, t) for t in inside]
    assert best >= max([0.5 if len(inside) == 0 else 0, *others]) - 1e-9


def test_a_score_on_the_threshold_is_supported():
    """At least the threshold, not above it."""
    scores, truth = np.array([0.5, 0.2]), np.array([True, False])
    assert metrics.balanced_accuracy(scores, truth, 0.5) == 1.0


def test_every_group_has_an_equal_say_in_the_threshold():
    """Copies of one group's rows do not move the threshold towards that group."""
    small = (np.array([0.2, 0.4, 0.6, 0.9]), np.array([False, False, True, True]))
    big = (np.tile([0.05, 0.1, 0.15, 0.3], 50), np.tile([False, False, True, True], 50))
    alone = (np.array([0.99] * 9), np.array([True] * 9))  # one class: nothing to say
    parts = [small, big, alone]
    scores, truth = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    groups = np.repeat([0, 1, 2], [len(part[0]) for part in parts])
    weights = metrics.equal_say(groups, truth)
    assert weights[groups == 2].sum() == 0
    assert weights[groups == 0].sum() == pytest.approx(weights[groups == 1].sum())
    assert metrics.best_threshold(scores, truth) < 0.15
    weighed = metrics.best_threshold(scores, truth, weights)
    repeated = [np.concatenate([np.tile(small[i], 50), big[i]]) for i in (0, 1)]
    assert weighed == metrics.best_threshold(*repeated)


def test_one_class_alone_has_no_figure():
    """An accuracy over no rows is an error and not a number."""
    with pytest.raises(ValueError, match="supported and unsupported"):
        metrics.auroc(np.array([0.1]), np.array([True]))


def test_calibration_error_by_hand():
    """Two bins: 0.8 said, 0.5 true; 0.1 said, 0 true."""
    said = np.array([0.8, 0.8, 0.1, 0.1])
    hits = np.array([True, False, False, False])
    assert metrics.calibration_error(said, hits, bins=2) == pytest.approx((0.3 + 0.1) / 2)


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_made_the_labels_is_found(true_temperature):
    """Labels drawn from known logits at a temperature give that temperature back."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (20_000, 3))
    chances = metrics.softmax(logits, true_temperature).cumsum(1)
    labels = (rng.random((20_000, 1)) > chances).sum(1)
    assert fit_temperature(logits, labels) == pytest.approx(true_temperature, rel=0.05)


def test_calibration_lowers_the_loss_and_the_error():
    """Over-sure logits become honest ones; rows of two labels take part."""
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, (5_000, 3))
    labels = (rng.random((5_000, 1)) > metrics.softmax(logits).cumsum(1)).sum(1)
    labels[(labels > 0) & (rng.random(5_000) < 0.3)] = 3
    found = calibrate(3 * logits, labels, np.zeros(5_000))
    assert log_loss(3 * logits, labels, found.temperature) < log_loss(3 * logits, labels, 1.0)
    assert found.error_after < 0.03 < found.error_before
    assert found.to_config()["method"] == "temperature"
