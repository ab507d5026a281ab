"""Figures under resampling: how far a figure would move had other items been drawn.

A bootstrap (Efron 1979) over items. Which items a resample holds is drawn once a set and kept as
counts, so that every system is seen on the same resamples: the difference of two systems is then
the difference of their figures, resample by resample (the paired bootstrap), and the mean over
sets is the mean of theirs. All figures are matrix products with the counts, in slices that keep
memory small.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from verifiers.bench.metrics import SpanCounts, bin_places

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from verifiers.bench.metrics import Bools, Floats

    Counts = NDArray[np.uint16]

RESAMPLES = 1000
_LEVEL = 95.0
# Cells of one slice of counts; as floats 4 MB.
_CELLS = 500_000


class Interval(NamedTuple):
    """An estimate and its 95 % bootstrap interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


def draw_counts(items: int, *, name: str, resamples: int = RESAMPLES, seed: int = 0) -> Counts:
    """How often each resample holds each item, ``[resamples, items]``.

    Args:
        items: How many there are.
        name: Of the set: sets of one size must not be resampled alike, or their means would seem
            to vary more than they do.
        resamples: How many.
        seed: The same seed and name give the same counts.
    """
    digest = hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest()
    rng = np.random.default_rng(int.from_bytes(digest))
    counts = np.zeros((resamples, items), np.uint16)
    for row in counts if items else ():
        row[:] = np.bincount(rng.integers(0, items, items), minlength=items)
    return counts


def interval(value: float, drawn: Floats) -> Interval:
    """The percentile interval of a figure's resamples."""
    known = drawn[~np.isnan(drawn)]
    if not len(known):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.percentile(known, [(100 - _LEVEL) / 2, 100 - (100 - _LEVEL) / 2])
    return Interval(value, float(low), float(high))


def centred_interval(value: float, drawn: Floats) -> Interval:
    """As :func:`interval`, with the resamples moved so that their mean is the value.

    For figures that resampling inflates by itself: a calibration error grows with noise, and so
    does what the best threshold reaches. The width is theirs; never below 0 or above 1.
    """
    known = drawn[~np.isnan(drawn)]
    if not len(known) or np.isnan(value):
        return interval(value, drawn)
    found = interval(value, known - known.mean() + value)
    return Interval(value, max(found.low, 0.0), min(found.high, 1.0))


def balanced_accuracy_drawn(
    counts: Counts, scores: Floats, labels: Bools, threshold: float
) -> Floats:
    """Balanced accuracy at a threshold, ``[resamples]``; NaN where a resample lacks a class."""
    said = scores >= threshold
    ups, right, downs, caught = _sums(counts, labels, said & labels, ~labels, ~said & ~labels)
    return (_ratio(right, ups) + _ratio(caught, downs)) / 2


def f1_drawn(counts: Counts, scores: Floats, labels: Bools, threshold: float) -> Floats:
    """F1 of finding the unsupported items, ``[resamples]``."""
    flagged = scores < threshold
    hits, wrong, missed = _sums(counts, flagged & ~labels, flagged & labels, ~flagged & ~labels)
    return _ratio(2 * hits, 2 * hits + wrong + missed)


def ranked_drawn(counts: Counts, scores: Floats, labels: Bools) -> tuple[Floats, Floats]:
    """AUROC, and the balanced accuracy at each resample's own best threshold."""
    if not len(scores):
        empty = np.full(len(counts), np.nan)
        return empty, empty
    order = np.argsort(scores, kind="stable")
    ranked, truth = scores[order], labels[order]
    # The last of each run of equal scores: cuts fall between runs alone.
    lasts = np.flatnonzero(np.concatenate([ranked[1:] > ranked[:-1], [True]]))
    areas, bests = [], []
    for rows in _rows(counts):
        weights = np.take(counts[rows], order, axis=1).astype(np.int32)
        positive = weights * truth
        ups = np.take(np.cumsum(positive, axis=1, dtype=np.int32), lasts, axis=1)
        downs = np.take(np.cumsum(weights - positive, axis=1, dtype=np.int32), lasts, axis=1)
        # Each positive of a run has all negatives of earlier runs below it, and ties half.
        own = np.diff(ups, axis=1, prepend=np.int32(0)).astype(np.float64)
        below = downs - np.diff(downs, axis=1, prepend=np.int32(0)) / 2
        all_ups, all_downs = ups[:, -1].astype(np.float64), downs[:, -1].astype(np.float64)
        areas.append(_ratio(np.einsum("ij,ij->i", own, below), all_ups * all_downs))
        with np.errstate(invalid="ignore", divide="ignore"):
            gain = (downs / all_downs[:, None] - ups / all_ups[:, None]).max(axis=1)
        # A threshold below everything gains nothing and reaches a half.
        best = (1 + np.maximum(gain, 0.0)) / 2
        bests.append(np.where((all_ups > 0) & (all_downs > 0), best, np.nan))
    return np.concatenate(areas), np.concatenate(bests)


def calibration_error_drawn(counts: Counts, scores: Floats, labels: Bools) -> Floats:
    """Expected calibration error, in the bins of the whole set, ``[resamples]``."""
    place = bin_places(scores)
    if not len(place):
        return np.full(len(counts), np.nan)
    member = place[:, None] == np.unique(place)[None, :]
    gaps = member * (labels.astype(np.float64) - scores)[:, None]
    error = np.concatenate([np.abs(part @ gaps).sum(axis=1) for part in _slices(counts)])
    drawn: Floats = error / len(scores)
    return drawn


def span_f1_drawn(counts: Counts, spans: Sequence[SpanCounts | None]) -> Floats:
    """F1 over the characters of the items that have marks, ``[resamples]``."""
    cells = np.array([(0, 0, 0) if one is None else one for one in spans], np.float64)
    both, predicted, labelled = _sums(counts, *cells.reshape(-1, 3).T)
    return _ratio(2 * both, predicted + labelled)


def _sums(counts: Counts, *columns: NDArray[np.generic]) -> NDArray[np.float64]:
    """For each column over items, its sum in each resample: ``[columns, resamples]``."""
    stacked = np.stack([column.astype(np.float64) for column in columns], axis=1)
    return np.concatenate([part @ stacked for part in _slices(counts)]).T


def _rows(counts: Counts) -> Iterator[slice]:
    step = max(1, _CELLS // max(counts.shape[1], 1))
    for start in range(0, len(counts), step):
        yield slice(start, start + step)


def _slices(counts: Counts) -> Iterator[Floats]:
    for rows in _rows(counts):
        yield counts[rows].astype(np.float64)


def _ratio(upper: Floats, lower: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = np.where(lower > 0, upper / lower, np.nan)
    return found
