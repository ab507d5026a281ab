"""When the exit head may answer: the lowest confidence at which it decides as the whole model does.

Fitted on held-out pairs, like the temperature, and with the same care: what is asked for is that
decisions stay, not that the head is good.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from verifiers.backends.config import ExitRule
from verifiers.training.calibration import fit_temperature
from verifiers.training.files import require
from verifiers.training.metrics import balanced_accuracy, softmax

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from verifiers.training.calibration import Calibration

# Decisions that must stay, and balanced accuracy that may go, on the held-out pairs.
AGREEMENT: Final = 0.995
LOSS: Final = 0.003
_STEPS: Final = 200


@dataclass(frozen=True, slots=True)
class ExitFit:
    """What was found.

    Attributes:
        rule: When a pair leaves.
        share: Of the held-out pairs, how many leave.
        agreement: Of the held-out pairs, how many are decided as without the exit.
        balanced_accuracy: Of the held-out pairs, with the exit.
    """

    rule: ExitRule
    share: float
    agreement: float
    balanced_accuracy: float

    def to_config(self) -> dict[str, Any]:
        """The ``exit`` object of a model's ``config.json``."""
        return {
            "layer": self.rule.layer,
            "temperature": self.rule.temperature,
            "confidence": round(self.rule.confidence, 4),
            "fitted_on": "train_dev",
            "share": round(self.share, 4),
            "agreement": round(self.agreement, 4),
            "balanced_accuracy": round(self.balanced_accuracy, 4),
        }


def fit_exit(
    early: NDArray[Any],
    logits: NDArray[Any],
    labels: NDArray[Any],
    calibration: Calibration,
    *,
    layer: int,
) -> ExitFit | None:
    """The lowest confidence at which exits change few decisions; None if there is none.

    A decision is on which side of ``calibration.threshold`` the probability of entailment lies.

    Args:
        early: The exit head's logits ``[rows, 3]``.
        logits: The last head's, ``[rows, 3]``.
        labels: Indices into ``data.LABELS``.
        calibration: Of the last head.
        layer: Layers below the exit head.
    """
    np = require("numpy")
    temperature = fit_temperature(early, labels)
    first = softmax(early, temperature)
    last = softmax(logits, calibration.temperature)[:, 0]
    threshold, hits = calibration.threshold, labels == 0
    whole = balanced_accuracy(last, hits, threshold)
    sure = first.max(axis=1)
    for confidence in np.linspace(0.5, 1.0, _STEPS, endpoint=False):
        leaves = sure >= confidence
        mixed = np.where(leaves, first[:, 0], last)
        agreement = float(((mixed >= threshold) == (last >= threshold)).mean())
        if agreement < AGREEMENT or not leaves.any():
            continue
        accuracy = balanced_accuracy(mixed, hits, threshold)
        if accuracy >= whole - LOSS:
            rule = ExitRule(layer, temperature, float(confidence))
            return ExitFit(rule, float(leaves.mean()), agreement, accuracy)
    return None
