"""What a verifier's scores are worth, with intervals. Pure, on numpy arrays.

Scores are probabilities of *supported*; labels are True for supported. Every interval is a
percentile bootstrap over items (Efron 1979); differences between two verifiers are resampled on
the same items together, which is what makes them narrow (paired bootstrap).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from verifiers.types import Span

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]
    Metric = Callable[[Floats, Bools], float]

RESAMPLES = 1000
_LEVEL = 95.0


class Interval(NamedTuple):
    """An estimate and its 95 % bootstrap interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


def balanced_accuracy(scores: Floats, labels: Bools, threshold: float) -> float:
    """Mean of the recall of both classes when ``score >= threshold`` reads as supported.

    NaN when a class is missing.
    """
    said = scores >= threshold
    positives, negatives = labels.sum(), (~labels).sum()
    if not positives or not negatives:
        return float("nan")
    return float(((said & labels).sum() / positives + (~said & ~labels).sum() / negatives) / 2)


def best_threshold(scores: Floats, labels: Bools) -> float:
    """The threshold with the highest balanced accuracy, from the scores themselves.

    Half-way between neighbouring scores, the lowest of equals. An optimist's figure when it is
    then used on the same items: it is reported as such.
    """
    positives, negatives = int(labels.sum()), int((~labels).sum())
    if not positives or not negatives:
        return 0.5
    order = np.argsort(scores, kind="stable")
    ranked, truth = scores[order], labels[order]
    # Cutting before place i calls everything from i on supported.
    missed = np.concatenate([[0], np.cumsum(truth)]) / positives
    caught = np.concatenate([[0], np.cumsum(~truth)]) / negatives
    value = (1 - missed + caught) / 2
    cuts = np.concatenate(
        [[ranked[0]], (ranked[:-1] + ranked[1:]) / 2, [np.nextafter(ranked[-1], 2)]]
    )
    possible = np.concatenate([[True], ranked[1:] > ranked[:-1], [True]])
    value = np.where(possible, value, -1.0)
    return float(cuts[int(np.argmax(value))])


def auroc(scores: Floats, labels: Bools) -> float:
    """Probability that a supported item scores above an unsupported one; ties count half."""
    positives, negatives = int(labels.sum()), int((~labels).sum())
    if not positives or not negatives:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[inverse]
    total = float(ranks[labels].sum()) - positives * (positives + 1) / 2
    return total / (positives * negatives)


def f1_unsupported(scores: Floats, labels: Bools, threshold: float) -> float:
    """F1 of finding the unsupported items."""
    flagged = scores < threshold
    hits = int((flagged & ~labels).sum())
    wrong, missed = int((flagged & labels).sum()), int((~flagged & ~labels).sum())
    if not hits + wrong + missed:
        return float("nan")
    return 2 * hits / (2 * hits + wrong + missed)


def calibration_error(scores: Floats, labels: Bools, bins: int = 15) -> float:
    """Expected calibration error over equally filled bins (Naeini 2015; Nguyen & O'Connor 2015).

    The mean distance between how often a bin was right and how sure it was, weighted by its size.
    Items with equal scores stay in one bin.
    """
    if not len(scores):
        return float("nan")
    return float(
        sum(
            abs(row.observed - row.predicted) * row.size
            for row in reliability(scores, labels, bins)
        )
        / len(scores)
    )


class Bin(NamedTuple):
    """One bar of a reliability diagram."""

    predicted: float
    observed: float
    size: int


def reliability(scores: Floats, labels: Bools, bins: int = 15) -> list[Bin]:
    """Equally filled bins of scores with the share of supported items in each."""
    if not len(scores):
        return []
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, bins + 1)))
    place = np.clip(np.searchsorted(edges, scores, side="right") - 1, 0, max(len(edges) - 2, 0))
    rows = []
    for index in np.unique(place):
        inside = place == index
        rows.append(
            Bin(float(scores[inside].mean()), float(labels[inside].mean()), int(inside.sum()))
        )
    return rows


def bootstrap(
    metric: Metric, scores: Floats, labels: Bools, *, seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """A metric with its interval, items resampled with replacement."""
    value = metric(scores, labels)
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(resamples):
        pick = rng.integers(0, len(scores), len(scores))
        drawn.append(metric(scores[pick], labels[pick]))
    return _interval(value, drawn)


def paired_difference(
    metric_a: Metric,
    scores_a: Floats,
    metric_b: Metric,
    scores_b: Floats,
    labels: Bools,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """``a - b`` on the same items, with the interval of the difference."""
    value = metric_a(scores_a, labels) - metric_b(scores_b, labels)
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(resamples):
        pick = rng.integers(0, len(labels), len(labels))
        drawn.append(
            metric_a(scores_a[pick], labels[pick]) - metric_b(scores_b[pick], labels[pick])
        )
    return _interval(value, drawn)


def _interval(value: float, drawn: Sequence[float]) -> Interval:
    known = np.asarray(drawn)
    known = known[~np.isnan(known)]
    if not len(known):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.percentile(known, [(100 - _LEVEL) / 2, 100 - (100 - _LEVEL) / 2])
    return Interval(value, float(low), float(high))


class SpanCounts(NamedTuple):
    """Characters: marked by both, by the verifier, by the label."""

    both: int
    predicted: int
    labelled: int


def span_counts(predicted: Sequence[Span], labelled: Sequence[Span]) -> SpanCounts:
    """Overlap of two sets of spans in characters; each character counts once."""
    ours = {i for span in predicted for i in range(span.start, span.end)}
    theirs = {i for span in labelled for i in range(span.start, span.end)}
    return SpanCounts(len(ours & theirs), len(ours), len(theirs))


def span_f1(counts: Sequence[SpanCounts]) -> float:
    """F1 over the characters of all items together; NaN when neither marks any."""
    both = sum(c.both for c in counts)
    total = sum(c.predicted for c in counts) + sum(c.labelled for c in counts)
    return 2 * both / total if total else float("nan")


def average_precision(scores: Floats, positive: Bools) -> float:
    """Area under the precision-recall curve as a step function; equal scores fall together.

    NaN without a positive.
    """
    if not positive.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(positive[order])
    last = np.concatenate([ranked[1:] != ranked[:-1], [True]])
    precision = hits[last] / (np.flatnonzero(last) + 1)
    recall = hits[last] / positive.sum()
    return float((np.diff(np.concatenate([[0.0], recall])) * precision).sum())


def pearson(one: Floats, other: Floats) -> float:
    """Linear correlation; NaN where a side does not vary."""
    if len(one) < 2 or not np.ptp(one) or not np.ptp(other):  # noqa: PLR2004 - a line has two ends
        return float("nan")
    return float(np.corrcoef(one, other)[0, 1])


def spearman(one: Floats, other: Floats) -> float:
    """Rank correlation; equal values share their mean rank."""
    return pearson(_ranks(one), _ranks(other))


def _ranks(values: Floats) -> Floats:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Floats = (last - (counts - 1) / 2)[inverse]
    return ranks
