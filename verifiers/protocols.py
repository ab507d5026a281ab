"""The ports of the NLI engine: what a model looks like, and what a score cache looks like.

Backends under :mod:`verifiers.backends` and the fake in :mod:`verifiers.testing` implement
:class:`PairScorer`; one contract suite (``tests/contract/test_scorers.py``) runs on all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from verifiers.types import ModelInfo, NLIProbs, Pair


class PairScorer(Protocol):
    """One loaded model.

    Blocking, and called only from the thread that made it, so that an implementation needs no
    locks; ``info`` and ``count_text`` alone may be used from any thread. To share a scorer between
    threads put it behind :class:`verifiers.engine.NLIEngine`.
    """

    @property
    def info(self) -> ModelInfo:
        """What produces the scores. Never changes while the scorer lives."""
        ...

    def count_tokens(self, pairs: Sequence[Pair]) -> list[int]:
        """The length of each pair as the model reads it, special tokens included, uncut."""
        ...

    def count_text(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text alone, without special tokens. For cutting windows.

        May be called from any thread, while ``score`` runs in another.
        """
        ...

    def score(self, pairs: Sequence[Pair]) -> list[NLIProbs]:
        """Score one batch in one forward pass.

        Returns:
            One triple of probabilities a pair, in order, each in [0, 1] and summing to 1.

        Raises:
            InputTooLong: If a pair is longer than ``info.max_tokens``. Nothing is ever cut.
            BackendFailed: If the model or its server failed, or answered what is no probability.
            Overloaded: If a remote server asks to come back later.
        """
        ...

    def close(self) -> None:
        """Let go of memory and connections. May be called twice; nothing may follow it."""
        ...


class ScoreCache(Protocol):
    """Where scores are kept between requests. Called from several threads at once.

    A cache that fails raises; the engine treats that as a miss on reading, and as lost work on
    writing, counts it, and goes on: a broken cache costs time and never an answer.
    """

    def get_many(self, keys: Sequence[str]) -> list[NLIProbs | None]:
        """What is stored for each key, in order; None where there is nothing."""
        ...

    def put_many(self, items: Mapping[str, NLIProbs]) -> None:
        """Store all items, replacing what was there."""
        ...


@dataclass(frozen=True, slots=True)
class ScoreResult:
    """The scores of one request.

    Attributes:
        probs: One a pair, in the order of the request.
        scored: How many pairs the model ran for this request. A pair asked for twice, or in
            flight for another caller, counts once, for whoever asked first.
        cached: How many came from the cache.
    """

    probs: tuple[NLIProbs, ...]
    scored: int
    cached: int
