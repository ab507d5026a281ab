"""What a verifier's scores are worth. Pure, on numpy arrays.

Scores are probabilities of *supported*; labels are True for supported. Intervals are made in
:mod:`verifiers.bench.resample`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from verifiers.types import Span

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]


# Of a threshold: more hardly move its mean.
_RESAMPLES = 200


def balanced_accuracy(scores: Floats, labels: Bools, threshold: float) -> float:
    """Mean of the recall of both classes when ``score >= threshold`` reads as supported.

    NaN when a class is missing.
    """
    said = scores >= threshold
    positives, negatives = labels.sum(), (~labels).sum()
    if not positives or not negatives:
        return float("nan")
    return float(((said & labels).sum() / positives + (~said & ~labels).sum() / negatives) / 2)


def best_threshold(scores: Floats, labels: Bools, weights: Floats | None = None) -> float:
    """The threshold with the highest balanced accuracy, from the scores themselves.

    Half-way between neighbouring scores, the lowest of equals. An optimist's figure when it is
    then used on the same items: it is reported as such.

    Args:
        scores: Float ``[items]``.
        labels: Bool ``[items]``.
        weights: How much each item counts, float ``[items]``; alike when not given.
    """
    counts = np.ones(len(scores)) if weights is None else weights
    positives, negatives = float(counts[labels].sum()), float(counts[~labels].sum())
    if not positives or not negatives:
        return 0.5
    order = np.argsort(scores, kind="stable")
    ranked, truth, counts = scores[order], labels[order], counts[order]
    # Cutting before place i calls everything from i on supported.
    missed = np.concatenate([[0], np.cumsum(truth * counts)]) / positives
    caught = np.concatenate([[0], np.cumsum(~truth * counts)]) / negatives
    value = (1 - missed + caught) / 2
    # Half-way may round down onto the lower score, which would then be called supported too.
    above = np.nextafter(ranked, 2)
    middles = np.maximum((ranked[:-1] + ranked[1:]) / 2, above[:-1])
    cuts = np.concatenate([[ranked[0]], middles, [above[-1]]])
    possible = np.concatenate([[True], ranked[1:] > ranked[:-1], [True]])
    value = np.where(possible, value, -1.0)
    # Sums of weights differ in their last digits where they should not.
    return float(cuts[int(np.argmax(value >= value.max() - 1e-12))])


def steady_threshold(
    scores: Floats, labels: Bools, groups: Sequence[str], weights: Floats | None = None
) -> float:
    """The mean of the best thresholds of resamples: what a single best one wavers around.

    Balanced accuracy is nearly flat around its best, so that a few items move
    :func:`best_threshold` far. Averaging over resamples steadies what jumps (bagging, Breiman
    1996). Each group keeps its size in every resample, and in it both classes; the same items
    always give the same threshold, in whatever order they come.

    Args:
        scores: Float ``[items]``.
        labels: Bool ``[items]``.
        groups: The data set of each item.
        weights: As in :func:`best_threshold`.
    """
    names = np.asarray(groups)
    order = np.lexsort((scores, labels, names))
    scores, labels, names = scores[order], labels[order], names[order]
    weights = np.ones(len(scores)) if weights is None else weights[order]
    new = (names[1:] != names[:-1]) | (labels[1:] != labels[:-1])
    strata = np.split(np.arange(len(scores)), np.flatnonzero(new) + 1)
    rng = np.random.default_rng(0)
    found = []
    for _ in range(_RESAMPLES):
        drawn = np.concatenate([own[rng.integers(0, len(own), len(own))] for own in strata])
        found.append(best_threshold(scores[drawn], labels[drawn], weights[drawn]))
    # A mean of equal numbers may differ from them in its last digit.
    return float(np.clip(np.mean(found), min(found), max(found)))


def equal_say(groups: Sequence[str], labels: Bools) -> Floats:
    """Weights by which every group counts alike, and in it both classes.

    A group with one class only says nothing about a threshold and weighs nothing, unless all are
    like that: then every item weighs the same.
    """
    names = np.asarray(groups)
    weights = np.zeros(len(labels))
    for name in np.unique(names):
        members = names == name
        ups, downs = members & labels, members & ~labels
        if ups.any() and downs.any():
            weights[ups], weights[downs] = 1.0 / ups.sum(), 1.0 / downs.sum()
    return weights if weights.any() else np.ones(len(labels))


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


def calibration_error(scores: Floats, labels: Bools, bins: int | None = None) -> float:
    """Expected calibration error over equally filled bins (Naeini 2015; Nguyen & O'Connor 2015).

    The mean distance between how often a bin was right and how sure it was, weighted by its size.
    Items with equal scores stay in one bin. Bins as of :func:`bin_places`.
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


def reliability(scores: Floats, labels: Bools, bins: int | None = None) -> list[Bin]:
    """Equally filled bins of scores with the share of supported items in each."""
    place = bin_places(scores, bins)
    rows = []
    for index in np.unique(place):
        inside = place == index
        rows.append(
            Bin(float(scores[inside].mean()), float(labels[inside].mean()), int(inside.sum()))
        )
    return rows


def wilson(share: float, size: float) -> tuple[float, float]:
    """95 % interval of a share of ``size`` items (Wilson 1927); the whole range without items.

    Items may be fractions: what is known beforehand can count as so many.
    """
    if not size:
        return 0.0, 1.0
    z = 1.959964
    middle = (share + z * z / (2 * size)) / (1 + z * z / size)
    half = z / (1 + z * z / size) * (share * (1 - share) / size + (z / (2 * size)) ** 2) ** 0.5
    return max(middle - half, 0.0), min(middle + half, 1.0)


def share_text(share: float, size: float) -> str:
    """A share of ``size`` items as tables write it, its interval behind it."""
    low, high = wilson(share, size)
    return f"{share:.3f} ({low:.3f} to {high:.3f})"


def hits_text(hits: float, total: float) -> str:
    """How many of ``total`` there are, as :func:`share_text` writes it; a dash for none of none."""
    return share_text(hits / total, total) if total else "-"


# A bin of a few items is right or wrong by chance, and all chance adds to the error.
_MOST_BINS, _LEAST_IN_BIN = 15, 20


def bin_places(scores: Floats, bins: int | None = None) -> NDArray[np.intp]:
    """Which equally filled bin each score falls into; equal scores fall into one.

    Args:
        scores: Float ``[items]``.
        bins: How many; by default one for every 20 items, and at most 15.
    """
    if not len(scores):
        return np.zeros(0, np.intp)
    if bins is None:
        bins = min(max(len(scores) // _LEAST_IN_BIN, 1), _MOST_BINS)
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, bins + 1)))
    place: NDArray[np.intp] = np.clip(
        np.searchsorted(edges, scores, side="right") - 1, 0, max(len(edges) - 2, 0)
    )
    return place


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
