"""The exit head answers only where that changes next to no decision."""

from __future__ import annotations

import numpy as np
import pytest

from verifiers.training.calibration import calibrate
from verifiers.training.exits import AGREEMENT, LOSS, fit_exit
from verifiers.training.metrics import balanced_accuracy, softmax


def heads(rows: int, *, noise: float, seed: int = 0):
    """Logits of a last head that is mostly right, and of an early one that is it with noise."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, rows)
    shown = np.minimum(labels, 2)
    last = rng.normal(0, 1.0, (rows, 3)) + 3.0 * np.eye(3)[shown] * rng.uniform(0, 2, (rows, 1))
    return last + rng.normal(0, noise, (rows, 3)), last, labels


@pytest.mark.parametrize("noise", [0.2, 1.0])
def test_what_leaves_is_decided_as_before(noise):
    """At the confidence found, decisions and balanced accuracy stay within the limits."""
    early, last, labels = heads(4_000, noise=noise)
    fitted = calibrate(last, labels, np.zeros(len(labels), int))
    found = fit_exit(early, last, labels, fitted, layer=6)
    assert found is not None
    assert 0 < found.share < 1
    first = softmax(early, found.rule.temperature)
    whole = softmax(last, fitted.temperature)[:, 0]
    mixed = np.where(first.max(axis=1) >= found.rule.confidence, first[:, 0], whole)
    same = (mixed >= fitted.threshold) == (whole >= fitted.threshold)
    assert same.mean() == found.agreement >= AGREEMENT
    before = balanced_accuracy(whole, labels == 0, fitted.threshold)
    assert found.balanced_accuracy >= before - LOSS


def test_a_better_head_lets_more_leave():
    """With less noise in the early head the confidence asked for falls."""
    shares = []
    for noise in (0.2, 1.5):
        early, last, labels = heads(4_000, noise=noise)
        fitted = calibrate(last, labels, np.zeros(len(labels), int))
        found = fit_exit(early, last, labels, fitted, layer=6)
        shares.append(0.0 if found is None else found.share)
    assert shares[0] > shares[1]


def test_a_head_that_is_wrong_and_sure_never_answers():
    """Where no confidence keeps the decisions there is no exit."""
    _, last, labels = heads(2_000, noise=0.2)
    early = 50.0 * np.eye(3)[(np.minimum(labels, 2) + 1) % 3]
    fitted = calibrate(last, labels, np.zeros(len(labels), int))
    assert fit_exit(early, last, labels, fitted, layer=6) is None


def test_the_config_says_what_it_rests_on():
    """What is written down is what the scorer reads, and the evidence for it."""
    early, last, labels = heads(2_000, noise=0.2)
    fitted = calibrate(last, labels, np.zeros(len(labels), int))
    found = fit_exit(early, last, labels, fitted, layer=6)
    assert found is not None
    written = found.to_config()
    assert written["layer"] == 6
    assert written["confidence"] == round(found.rule.confidence, 4)
    assert {"temperature", "share", "agreement", "fitted_on"} <= written.keys()
