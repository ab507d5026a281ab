"""Figures under resampling: against each figure taken on the resampled items one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.bench import resample
from verifiers.bench.metrics import (
    SpanCounts,
    auroc,
    balanced_accuracy,
    best_threshold,
    f1_unsupported,
    span_f1,
)
from verifiers.bench.resample import (
    balanced_accuracy_drawn,
    calibration_error_drawn,
    centred_interval,
    draw_counts,
    f1_drawn,
    interval,
    ranked_drawn,
    span_f1_drawn,
)

SCORED = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0]), st.booleans()),
    min_size=2,
    max_size=30,
).map(lambda rows: (np.array([r[0] for r in rows]), np.array([r[1] for r in rows])))


@given(SCORED, st.sampled_from([0.0, 0.3, 0.5, 0.75, 2.0]))
def test_each_resample_has_the_figure_of_its_items(data, threshold) -> None:
    """Counting items is the same as repeating them."""
    scores, labels = data
    counts = draw_counts(len(scores), name="s", resamples=5, seed=1)
    areas, bests = ranked_drawn(counts, scores, labels)
    balanced = balanced_accuracy_drawn(counts, scores, labels, threshold)
    f1 = f1_drawn(counts, scores, labels, threshold)
    for i, times in enumerate(counts):
        own, truth = np.repeat(scores, times), np.repeat(labels, times)
        expected = balanced_accuracy(own, truth, threshold)
        assert balanced[i] == pytest.approx(expected, nan_ok=True)
        assert f1[i] == pytest.approx(f1_unsupported(own, truth, threshold), nan_ok=True)
        assert areas[i] == pytest.approx(auroc(own, truth), nan_ok=True)
        best = balanced_accuracy(own, truth, best_threshold(own, truth))
        if truth.any() and not truth.all():
            assert bests[i] == pytest.approx(best)


def test_spans_are_resampled_by_item() -> None:
    """An item without marks weighs nothing, however often it is drawn."""
    spans = [SpanCounts(2, 6, 4), None, SpanCounts(0, 3, 5)]
    counts = draw_counts(3, name="s", resamples=20, seed=0)
    drawn = span_f1_drawn(counts, spans)
    for times, value in zip(counts, drawn, strict=True):
        own = [one for one, n in zip(spans, times, strict=True) for _ in range(n) if one]
        assert value == pytest.approx(span_f1(own), nan_ok=True)


def test_large_sets_are_taken_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same outcome as in one piece."""
    rng = np.random.default_rng(3)
    scores, labels = rng.uniform(size=50), rng.uniform(size=50) < 0.5
    counts = draw_counts(50, name="s", resamples=40)
    whole = [*ranked_drawn(counts, scores, labels), calibration_error_drawn(counts, scores, labels)]
    monkeypatch.setattr(resample, "_CELLS", 120)
    parts = [*ranked_drawn(counts, scores, labels), calibration_error_drawn(counts, scores, labels)]
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one, other)


def test_draws_repeat_and_differ_between_sets() -> None:
    """The same for the same seed and name; each resample as large as the set."""
    counts = draw_counts(30, name="a", resamples=10, seed=4)
    assert (counts == draw_counts(30, name="a", resamples=10, seed=4)).all()
    assert (counts != draw_counts(30, name="b", resamples=10, seed=4)).any()
    assert (counts != draw_counts(30, name="a", resamples=10, seed=5)).any()
    assert (counts.sum(axis=1) == 30).all()
    assert draw_counts(0, name="a", resamples=10).shape == (10, 0)


def test_an_interval_covers_as_often_as_it_says_and_shrinks_with_more_items() -> None:
    """Of many samples with a known AUROC, about 95 % of the intervals hold it."""
    rng = np.random.default_rng(2)
    truth, hits, widths = 0.7602, 0, {50: 0.0, 400: 0.0}  # of normals one standard deviation apart
    for n in widths:
        for place in range(60):
            labels = np.arange(n) % 2 == 0
            scores = rng.normal(size=n) + labels
            counts = draw_counts(n, name=f"{n}:{place}", resamples=200)
            drawn, _ = ranked_drawn(counts, scores, labels)
            found = interval(auroc(scores, labels), drawn)
            assert found.low <= found.value <= found.high
            hits += found.low <= truth <= found.high
            widths[n] += found.high - found.low
    assert hits / 120 > 0.88
    assert widths[400] < widths[50] / 2


def test_what_resampling_inflates_is_centred() -> None:
    """The interval stands around the value, inside [0, 1]; undefined stays undefined."""
    drawn = np.array([0.2, 0.3, 0.4])
    found = centred_interval(0.1, drawn)
    assert found.low < 0.1 < found.high
    assert centred_interval(0.01, drawn).low == 0.0
    assert np.isnan(centred_interval(float("nan"), drawn).value)
    assert np.isnan(interval(0.5, np.array([np.nan])).low)
