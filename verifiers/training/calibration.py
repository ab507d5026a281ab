"""Temperature scaling (Guo et al. 2017, arXiv:1706.04599): one number that divides the logits.

It changes how sure the model says it is and never which of two scores is higher. Rows labelled
``not_entailment`` take part through the probability of "not entailment".
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from verifiers.training.data import NOT_ENTAILMENT
from verifiers.training.files import require
from verifiers.training.metrics import best_threshold, calibration_error, equal_say, softmax

if TYPE_CHECKING:
    from numpy.typing import NDArray

_RATIO = (5**0.5 - 1) / 2
_CLOSE = 1e-4


@dataclass(frozen=True, slots=True)
class Calibration:
    """A fitted temperature and what it did.

    Attributes:
        temperature: Divides the logits.
        rows: Rows it was fitted on.
        error_before: Expected calibration error of P(entailment) on them without it.
        error_after: And with it.
        error_crossed: And with temperatures that were each fitted on four fifths of the rows and
            measured on the fifth: what to expect of rows like these.
        threshold: On the calibrated P(entailment), of best balanced accuracy.
    """

    temperature: float
    rows: int
    error_before: float
    error_after: float
    error_crossed: float
    threshold: float

    def to_config(self) -> dict[str, Any]:
        """The ``calibration`` object of a model's ``config.json``."""
        parts = f"temperature:{self.temperature!r}"
        return {
            "id": "t1-" + hashlib.sha256(parts.encode()).hexdigest()[:12],
            "method": "temperature",
            "temperature": self.temperature,
            "fitted_on": "train_dev",
            "rows": self.rows,
            "entailment_ece_before": round(self.error_before, 4),
            "entailment_ece_after": round(self.error_after, 4),
            "entailment_ece_crossed": round(self.error_crossed, 4),
            "entailment_threshold": round(self.threshold, 4),
        }


def log_loss(logits: NDArray[Any], labels: NDArray[Any], temperature: float) -> float:
    """Mean negative log-likelihood of labels (indices into ``data.LABELS``) at a temperature."""
    np = require("numpy")
    p = softmax(logits, temperature)
    known = p[np.arange(len(p)), np.minimum(labels, 2)]
    chosen = np.where(labels == NOT_ENTAILMENT, p[:, 1] + p[:, 2], known)
    return float(-np.log(np.maximum(chosen, 1e-12)).mean())


def fit_temperature(
    logits: NDArray[Any], labels: NDArray[Any], *, low: float = 0.2, high: float = 8.0
) -> float:
    """The temperature of least log loss, by golden-section search over its logarithm.

    The loss has one minimum in ``1 / temperature`` for three-way rows, so the search finds it.
    """
    np = require("numpy")

    def cost(x: float) -> float:
        return log_loss(logits, labels, float(np.exp(x)))

    a, b = float(np.log(low)), float(np.log(high))
    c, d = b - _RATIO * (b - a), a + _RATIO * (b - a)
    at_c, at_d = cost(c), cost(d)
    while b - a > _CLOSE:
        if at_c < at_d:
            b, d, at_d = d, c, at_c
            c = b - _RATIO * (b - a)
            at_c = cost(c)
        else:
            a, c, at_c = c, d, at_d
            d = a + _RATIO * (b - a)
            at_d = cost(d)
    return round(float(np.exp((a + b) / 2)), 4)


def calibrate(logits: NDArray[Any], labels: NDArray[Any], datasets: NDArray[Any]) -> Calibration:
    """Fit a temperature, and the threshold on the calibrated probability of entailment.

    Args:
        logits: ``[rows, 3]``.
        labels: Indices into ``data.LABELS``.
        datasets: Which data set each row is of; every one has an equal say in the threshold.
    """
    temperature = fit_temperature(logits, labels)
    hits = labels == 0
    before, after = softmax(logits)[:, 0], softmax(logits, temperature)[:, 0]
    return Calibration(
        temperature=temperature,
        rows=len(labels),
        error_before=calibration_error(before, hits),
        error_after=calibration_error(after, hits),
        error_crossed=calibration_error(_crossed(logits, labels), hits),
        threshold=best_threshold(after, hits, equal_say(datasets, hits)),
    )


def _crossed(logits: NDArray[Any], labels: NDArray[Any], *, folds: int = 5) -> NDArray[Any]:
    """P(entailment) of each row at a temperature that the row had no part in."""
    np = require("numpy")
    fold = np.random.default_rng(0).permutation(len(labels)) % folds
    found: NDArray[Any] = np.empty(len(labels))
    for number in range(folds):
        rest = fold != number
        if not rest.any() or rest.all():
            rest = np.ones(len(labels), bool)
        temperature = fit_temperature(logits[rest], labels[rest])
        found[fold == number] = softmax(logits[fold == number], temperature)[:, 0]
    return found
