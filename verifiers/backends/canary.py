"""Obvious pairs, scored at load, to prove that a model's labels mean what they say.

Nothing absolute is asked of the model, so that a weak one passes: for every way its labels could
be swapped, the way they are configured must explain the canaries better. There are as many pairs
of each kind, so a model's liking for one label cancels out.
"""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

from verifiers.errors import BackendFailed, CanaryFailed, InputTooLong, ModelUnavailable
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
_NOTHING = 1e-9
_KINDS = ("entailment", "neutral", "contradiction")

CANARIES: tuple[Pair, ...] = tuple(
    Pair(premise, hypothesis) for premise, *hypotheses in _TRIPLES for hypothesis in hypotheses
)

# Mean probability by which the labels as configured must beat every swap of them, and in how many
# of the triples on their own, so that a model of random weights rarely passes by chance.
MARGIN = 0.02
TRIPLES_NEEDED = 4


# What to do about a failure, where the operator may say what the labels are ...
RELABEL = (
    "Set `labels` to the order on its model card; if that is the order already, this is no NLI"
    " model for premise and hypothesis in this order."
)


def check_canaries(scorer: PairScorer, *, hint: str = RELABEL) -> None:
    """Score the canaries and compare the configured labels with every swap of them.

    Args:
        scorer: A model that was just loaded.
        hint: What to do when it fails.

    Raises:
        CanaryFailed: If another order explains the answers as well or better, or the model
            answers everything alike.
        ModelUnavailable: If the model cannot even score them: they do not fit its limit, or it
            fails or answers what is no number.
        Overloaded: If its server is busy.
    """
    name = scorer.info.name
    try:
        scores = scorer.score(CANARIES)
    except InputTooLong as exc:
        raise ModelUnavailable(
            f"The model {name!r} may read {scorer.info.max_tokens} tokens, too few for the short"
            " pairs that prove its labels when it is loaded. It was not used.",
            hint="Raise `max_tokens`, or take a model that reads more.",
        ) from exc
    except BackendFailed as exc:
        raise ModelUnavailable(
            f"The model {name!r} failed on the short pairs that prove its labels when it is"
            f" loaded: {exc.message} It was not used.",
            hint=exc.hint,
        ) from exc
    judge_canaries(scores, name=name, hint=hint)


def judge_canaries(scores: Sequence[NLIProbs], *, name: str, hint: str = RELABEL) -> None:
    """The comparison itself, on scores in the order of ``CANARIES``.

    Raises:
        CanaryFailed: As :func:`check_canaries`.
    """
    triples = [scores[start : start + 3] for start in range(0, len(scores), 3)]
    if all(probs.contradiction == 0.0 for probs in scores):
        # Two-way: contradicted pairs are the rest too.
        margins = [t[0].entailment - (t[1].entailment + t[2].entailment) / 2 for t in triples]
        _require(margins, name, "entailment with the rest", hint)
        return
    if all(probs.neutral < _NOTHING for probs in scores):
        margins = [t[0].entailment - t[2].entailment for t in triples]
        _require(margins, name, "entailment with contradiction", hint)
        return
    for order in permutations(range(3)):
        moved = [kind for kind in range(3) if order[kind] != kind]
        if moved:
            margins = [
                sum(t[kind][kind] - t[kind][order[kind]] for kind in moved) / len(moved)
                for t in triples
            ]
            _require(margins, name, " with ".join(_KINDS[kind] for kind in moved), hint)


def _require(margins: Sequence[float], name: str, swap: str, hint: str) -> None:
    mean = sum(margins) / len(margins)
    for_us = sum(margin > 0 for margin in margins)
    # `not >=` so that NaN fails.
    if not mean >= MARGIN or for_us < TRIPLES_NEEDED:
        raise CanaryFailed(
            f"The model {name!r} answers obvious test pairs as if its labels were swapped"
            f" ({swap}), or without regard to what it reads (margin {mean:.3f}, {MARGIN} needed;"
            f" right in {for_us} of {len(margins)}, {TRIPLES_NEEDED} needed). It was not used.",
            hint=hint,
        )
