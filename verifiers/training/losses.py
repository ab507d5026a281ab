"""The mixed loss: three labels where they are known, two where only entailment is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verifiers.training.data import NOT_ENTAILMENT
from verifiers.training.files import require

if TYPE_CHECKING:
    import torch

ENTAILMENT = 0


def mixed_loss(
    logits: torch.Tensor, labels: torch.Tensor, *, smoothing: float = 0.0
) -> torch.Tensor:
    """Mean loss of a batch.

    A row labelled entailment, neutral or contradiction costs ``-log p(label)`` (with label
    smoothing, if asked for). A ``not_entailment`` row is neutral or contradiction, nobody said
    which: it costs ``-log(1 - p(entailment))``, that is, the log of the two probabilities summed,
    so that it moves mass off entailment and takes no side between the others.

    Args:
        logits: ``[rows, 3]``, columns entailment, neutral, contradiction.
        labels: int64 ``[rows]``, indices into :data:`verifiers.training.data.LABELS`.
        smoothing: Mass given to all three labels alike, in [0, 1).

    Returns:
        A scalar; float32 whatever the type of ``logits``.
    """
    lib = require("torch")
    logp = lib.log_softmax(logits.float(), dim=-1)
    either = labels == NOT_ENTAILMENT
    known = -logp.gather(1, labels.clamp(max=2)[:, None])[:, 0]
    if smoothing:
        known = (1 - smoothing) * known - smoothing * logp.mean(dim=-1)
    other = -lib.logsumexp(logp[:, 1:], dim=-1)
    loss: torch.Tensor = lib.where(either, other, known).mean()
    return loss
