"""Figures of a verifier: pure functions of scores and labels, in numpy.

Throughout, ``scores`` is float ``[rows]``, the probability of entailment, and ``supported`` is
bool ``[rows]``. A row counts as called supported where its score is *at least* the threshold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from verifiers.training.files import require

if TYPE_CHECKING:
    from numpy.typing import NDArray


def balanced_accuracy(scores: NDArray[Any], supported: NDArray[Any], threshold: float) -> float:
    """Mean of the accuracies on supported and on unsupported rows.

    Raises:
        ValueError: If one of the two classes has no rows; there is then no such figure.
    """
    _both(supported)
    called = scores >= threshold
    return float((called[supported].mean() + (~called[~supported]).mean()) / 2)


def auroc(scores: NDArray[Any], supported: NDArray[Any]) -> float:
    """The chance that a supported row scores above an unsupported one; ties count half."""
    np = require("numpy")
    _both(supported)
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2
    positives = int(supported.sum())
    ranks = float(mean_rank[inverse][supported].sum())
    area = ranks - positives * (positives + 1) / 2
    return float(area / (positives * (len(scores) - positives)))


def best_threshold(
    scores: NDArray[Any], supported: NDArray[Any], weights: NDArray[Any] | None = None
) -> float:
    """The threshold with the highest balanced accuracy; of equals, the one nearest to 0.5.

    Only values half-way between neighbouring scores are tried, so the choice does not sit on a
    score that rounding might move.

    Args:
        scores: Float ``[rows]``.
        supported: Bool ``[rows]``.
        weights: How much each row counts, float ``[rows]``; alike, if not given.
    """
    np = require("numpy")
    _both(supported)
    order = np.argsort(scores, kind="stable")
    ranked, truth = scores[order], supported[order]
    counts = np.ones(len(order)) if weights is None else weights[order]
    below_s = np.cumsum(counts * truth) / (counts * truth).sum()
    below_u = np.cumsum(counts * ~truth) / (counts * ~truth).sum()
    gain = below_u - below_s  # balanced accuracy is (1 + gain) / 2 with the threshold above here
    inside = np.flatnonzero(ranked[:-1] < ranked[1:])
    if not len(inside):
        return 0.5
    middles = (ranked[inside] + ranked[inside + 1]) / 2
    top = np.flatnonzero(gain[inside] >= gain[inside].max() - 1e-12)
    return float(middles[top[np.argmin(np.abs(middles[top] - 0.5))]])


def calibration_error(probabilities: NDArray[Any], hits: NDArray[Any], *, bins: int = 15) -> float:
    """Expected calibration error over bins of equal width.

    Args:
        probabilities: Float ``[rows]`` in [0, 1]: what the model said of an event.
        hits: Bool ``[rows]``: whether it came true.
        bins: Bins over [0, 1].
    """
    np = require("numpy")
    place = np.minimum((probabilities * bins).astype(int), bins - 1)
    total = 0.0
    for i in range(bins):
        members = place == i
        if members.any():
            gap = probabilities[members].mean() - hits[members].mean()
            total += float(members.mean()) * abs(float(gap))
    return total


def softmax(logits: NDArray[Any], temperature: float = 1.0) -> NDArray[Any]:
    """Probabilities ``[rows, columns]`` of logits divided by a temperature, in float64."""
    np = require("numpy")
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    probabilities: NDArray[Any] = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


def equal_say(groups: NDArray[Any], supported: NDArray[Any]) -> NDArray[Any]:
    """Weights by which every group counts alike, and in it both classes; 0 where one is absent.

    A threshold for sources of all kinds should not be that of the largest training set.
    """
    np = require("numpy")
    weights = np.zeros(len(groups))
    for group in np.unique(groups):
        for truth in (True, False):
            members = (groups == group) & (supported == truth)
            if members.any() and ((groups == group) & (supported != truth)).any():
                weights[members] = 1.0 / members.sum()
    found: NDArray[Any] = weights
    return found


def _both(supported: NDArray[Any]) -> None:
    if supported.dtype != bool:
        raise TypeError("`supported` must be an array of bool")
    if supported.all() or not supported.any():
        raise ValueError("needs supported and unsupported rows")
