"""Obvious pairs, scored at load, to prove that a model's labels mean what they say.

Nothing absolute is asked of the model, so that a weak one passes: for every way its labels could
be swapped, the way they are configured must explain the canaries better. There are as many pairs
of each kind, so a model's liking for one label cancels out.
"""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

from verifiers.errors import CanaryFailed
from verifiers.types import Pair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verifiers.protocols import PairScorer
    from verifiers.types import NLIProbs

# Premise, then a hypothesis that follows, one that is unrelated, one that is contradicted.
_TRIPLES = (
    (
        "The museum is open every day from nine in the morning until six in the evening.",
        "The museum is open every day.",
        "The river is two hundred kilometres long.",
        "The museum is closed every day.",
    ),
    (
        "Anna Berg was born in Oslo in 1962 and moved to Madrid as a child.",
        "Anna Berg was born in Oslo.",
        "The new phone has a better camera.",
        "Anna Berg was born in Berlin.",
    ),
    (
        "All of the passengers survived the accident.",
        "The passengers survived.",
        "The price of copper fell last year.",
        "None of the passengers survived the accident.",
    ),
    (
        "Customers may return a product within 30 days of delivery.",
        "A product may be returned within 30 days of delivery.",
        "A choir of children sang in the old church.",
        "Customers may never return a product.",
    ),
    (
        "The film won three awards and was praised by critics.",
        "The film won awards.",
        "The soil in the valley is rich in iron.",
        "The film won no awards.",
    ),
    (
        "A man in a blue shirt is playing the guitar on stage.",
        "A man is playing the guitar.",
        "The company reported its annual results.",
        "Nobody is playing the guitar.",
    ),
)
_KINDS = ("entailment", "neutral", "contradiction")

CANARIES: tuple[Pair, ...] = tuple(
    Pair(premise, hypothesis) for premise, *hypotheses in _TRIPLES for hypothesis in hypotheses
)

# Mean probability by which the labels as configured must beat every other order of them.
MARGIN = 0.02


def check_canaries(scorer: PairScorer) -> None:
    """Score the canaries and compare the configured labels with every swap of them.

    Raises:
        CanaryFailed: If another order explains the answers as well or better, or the model
            answers everything alike.
    """
    judge_canaries(scorer.score(CANARIES), name=scorer.info.name)


def judge_canaries(scores: Sequence[NLIProbs], *, name: str) -> None:
    """The comparison itself, on scores in the order of ``CANARIES``.

    Raises:
        CanaryFailed: As :func:`check_canaries`.
    """
    count = len(_TRIPLES)
    # table[kind][column]: mean probability the model gives that column on pairs of that kind.
    table = [
        [sum(scores[3 * row + kind][column] for row in range(count)) / count for column in range(3)]
        for kind in range(3)
    ]
    if all(probs.contradiction == 0.0 for probs in scores):
        # Two-way: contradicted pairs are the rest too.
        right = table[0][0] - (table[1][0] + table[2][0]) / 2
        _require(right, name, "entailment with the rest")
        return
    if all(probs.neutral < 1e-9 for probs in scores):  # noqa: PLR2004
        _require(table[0][0] - table[2][0], name, "entailment with contradiction")
        return
    configured = sum(table[kind][kind] for kind in range(3))
    for order in permutations(range(3)):
        if order == (0, 1, 2):
            continue
        other = sum(table[kind][order[kind]] for kind in range(3))
        moved = [_KINDS[kind] for kind in range(3) if order[kind] != kind]
        _require((configured - other) / len(moved), name, " with ".join(moved))


def _require(margin: float, name: str, swap: str) -> None:
    # `not >=` so that NaN fails.
    if not margin >= MARGIN:
        raise CanaryFailed(
            f"The model {name!r} answers obvious test pairs as if its labels were swapped"
            f" ({swap}), or the same whatever it reads (margin {margin:.3f}, {MARGIN} needed)."
            " It was not used.",
            hint="Set `labels` to the order on its model card; if that is the order already, this"
            " is no NLI model for premise and hypothesis in this order.",
        )
