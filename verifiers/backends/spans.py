"""Which words of a hypothesis a premise does not support, for models that can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from verifiers.types import NLIProbs, Pair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verifiers.protocols import PairScorer


class ScoredSpan(NamedTuple):
    """A stretch of a hypothesis, in code points ``[start, end)``, that is not supported.

    ``probability`` is that of its least supported token.
    """

    start: int
    end: int
    probability: float


class PassageSpans(NamedTuple):
    """What the best of several passages leaves unsupported.

    ``passage`` is its place among those given, ``probs`` its score, asked with the question if one
    is known.
    """

    passage: int
    probs: NLIProbs
    spans: list[ScoredSpan]


@runtime_checkable
class SpanScorer(Protocol):
    """What a :class:`verifiers.protocols.PairScorer` may offer besides."""

    def spans(
        self, pair: Pair, *, question: str | None = None, threshold: float = 0.5
    ) -> list[ScoredSpan]:
        """The stretches of ``pair.hypothesis`` that ``pair.premise`` does not support.

        Args:
            pair: What to read.
            question: What the hypothesis answers, where it is known.
            threshold: From which probability on a token counts as unsupported.

        Returns:
            Disjoint spans in order, each without white space at its ends.

        Raises:
            InputTooLong: If the pair does not fit. Nothing is cut.
            BackendFailed: If the model fails.
        """
        ...


def best_passage(
    scorer: PairScorer,
    passages: Sequence[str],
    hypothesis: str,
    *,
    question: str | None = None,
    threshold: float = 0.5,
) -> PassageSpans:
    """Find what the passage that supports a hypothesis best leaves unsupported.

    Not what any passage leaves unsupported: with several passages that would be nearly everything,
    and the more evidence there is, the less would be supported.

    Args:
        scorer: A scorer that is a :class:`SpanScorer` as well.
        passages: One or more premises.
        hypothesis: What is checked.
        question: What it answers, where known.
        threshold: As for ``spans``.

    Raises:
        TypeError: If the scorer cannot tell spans.
        ValueError: If there is no passage.
        InputTooLong: If a passage with the hypothesis does not fit.
        BackendFailed: If the model fails.
    """
    if not isinstance(scorer, SpanScorer):
        raise TypeError("this model does not tell spans")
    if not passages:
        raise ValueError("there is no passage to compare with")
    pairs = [Pair(passage, hypothesis) for passage in passages]
    if question is None:
        scores = [scorer.score([pair])[0] for pair in pairs]
    else:
        # A score knows no question; what decides must be asked as the spans are.
        scores = [_with_question(scorer, pair, question) for pair in pairs]
    index = max(range(len(scores)), key=lambda place: scores[place].entailment)
    spans = scorer.spans(pairs[index], question=question, threshold=threshold)
    return PassageSpans(index, scores[index], spans)


def _with_question(scorer: SpanScorer, pair: Pair, question: str) -> NLIProbs:
    """The support of the least supported token; none where no token states anything."""
    spans = scorer.spans(pair, question=question, threshold=0.0)
    doubt = max((span.probability for span in spans), default=1.0)
    return NLIProbs(1.0 - doubt, doubt, 0.0)


def merged(
    hypothesis: str,
    tokens: Sequence[tuple[tuple[int, int], float]],
    *,
    threshold: float,
) -> list[ScoredSpan]:
    """Runs of unsupported tokens as spans.

    Args:
        hypothesis: The text the tokens' places count in.
        tokens: Place and probability of being unsupported, in order. Tokens without text, such
            as special ones, have an empty place and are passed over.
        threshold: From which probability on a token counts.
    """
    spans: list[ScoredSpan] = []
    run: ScoredSpan | None = None
    for (start, end), probability in tokens:
        if start >= end:
            continue
        if probability < threshold:
            spans += _trimmed(hypothesis, run)
            run = None
        elif run is None:
            run = ScoredSpan(start, end, probability)
        else:
            run = ScoredSpan(run.start, end, max(run.probability, probability))
    return spans + _trimmed(hypothesis, run)


def _trimmed(hypothesis: str, run: ScoredSpan | None) -> list[ScoredSpan]:
    if run is None:
        return []
    text = hypothesis[run.start : run.end]
    start = run.start + len(text) - len(text.lstrip())
    end = run.end - (len(text) - len(text.rstrip()))
    return [ScoredSpan(start, end, run.probability)] if start < end else []
