"""Shipped fakes: check answers in tests without weights.

The default rule of :class:`ScriptedScorer` is lexical and good enough to write readable tests: a
hypothesis whose content words stand in the premise is entailed, unless its numbers differ or one
of the two is negated, which contradicts; anything else is neutral.
"""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING

from verifiers.errors import InputTooLong
from verifiers.types import ModelInfo, NLIProbs, Pair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

ENTAILED = NLIProbs(0.96, 0.03, 0.01)
NEUTRAL = NLIProbs(0.04, 0.92, 0.04)
CONTRADICTED = NLIProbs(0.01, 0.03, 0.96)

_WORD = re.compile(r"\w+(?:[.,]\d+)*")
_NEGATION_WORDS = "no not never none nobody nothing neither nor without cannot"
_STOP_WORDS = (
    "a an the of in on at to for from by with and or is are was were be been being it its this"
    " that these those as has have had do does did will would can may he she they we you i his her"
    " their our your s"
)
_NEGATIONS = frozenset(_NEGATION_WORDS.split())
_STOP = frozenset(_STOP_WORDS.split())
_SPECIALS = 3
# Share of the hypothesis's content words that must stand in the premise.
_OVERLAP = 0.7


def lexical_rule(pair: Pair) -> NLIProbs:
    """The default rule: word overlap, then numbers, then negation. English, for tests only."""
    premise, hypothesis = _words(pair.premise), _words(pair.hypothesis)
    content = [w for w in hypothesis if w not in _STOP and w not in _NEGATIONS]
    words = [w for w in content if not w[0].isdigit()]
    numbers = {w for w in content if w[0].isdigit()}
    have = set(premise)
    if not content:
        return NEUTRAL
    shared = sum(w in have for w in words)
    if words and shared / len(words) < _OVERLAP:
        return NEUTRAL
    known = {w for w in premise if w[0].isdigit()}
    if numbers - known:
        return CONTRADICTED if known and words else NEUTRAL
    negated = bool(_NEGATIONS & set(hypothesis))
    if negated != bool(_NEGATIONS & set(premise)):
        return CONTRADICTED
    return ENTAILED


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower().replace("n't", " not"))


class ScriptedScorer:
    """A :class:`verifiers.protocols.PairScorer` that answers by rule or table.

    Tokens are words. Notes what it was asked (``batches``), and refuses to be used from two
    threads, as a real model would break.

    Attributes:
        info: As given.
        batches: The pairs of every batch scored, in order, failed ones included.
        closed: Whether ``close`` was called.
    """

    def __init__(
        self,
        rule: Callable[[Pair], NLIProbs] = lexical_rule,
        *,
        table: Mapping[tuple[str, str], NLIProbs] | None = None,
        failures: Iterable[Exception | None] = (),
        fail_on: Callable[[Pair], Exception | None] | None = None,
        delay: float = 0.0,
        max_tokens: int = 512,
        memory_tokens: int | None = None,
        name: str = "scripted",
        revision: str = "1",
    ) -> None:
        """Script the answers.

        Args:
            rule: Answers pairs that are not in the table.
            table: Answers by (premise, hypothesis).
            failures: What the first batches raise, in order; None lets one through.
            fail_on: An error for a pair fails every batch it is in.
            delay: Seconds each batch takes.
            max_tokens: Longest pair, in words and three specials.
            memory_tokens: A batch of more tokens than that, padding included, runs out of memory.
            name: Name of the model.
            revision: Its revision.
        """
        self.info = ModelInfo(
            name=name,
            revision=revision,
            backend="scripted",
            max_tokens=max_tokens,
            calibration="none",
            form="rule",
            labels=("entailment", "neutral", "contradiction"),
        )
        self.batches: list[tuple[Pair, ...]] = []
        self.closed = False
        self._rule = rule
        self._table = dict(table or {})
        self._failures = iter(failures)
        self._fail_on = fail_on
        self._delay = delay
        self._memory_tokens = memory_tokens
        self._thread: int | None = None

    def count_tokens(self, pairs: Sequence[Pair]) -> list[int]:
        """Words of both texts, and three specials."""
        self._own()
        return [
            len(pair.premise.split()) + len(pair.hypothesis.split()) + _SPECIALS for pair in pairs
        ]

    def count_text(self, texts: Sequence[str]) -> list[int]:
        """Words of each text."""
        return [len(text.split()) for text in texts]

    def score(self, pairs: Sequence[Pair]) -> list[NLIProbs]:
        """Answer by table, else by rule, or fail as scripted."""
        lengths = self.count_tokens(pairs)
        self.batches.append(tuple(pairs))
        if self._delay:
            time.sleep(self._delay)
        error = next(self._failures, None)
        if error is None and self._fail_on is not None:
            error = next(filter(None, map(self._fail_on, pairs)), None)
        if error is not None:
            raise error
        if self._memory_tokens and max(lengths, default=0) * len(pairs) > self._memory_tokens:
            raise MemoryError
        if max(lengths, default=0) > self.info.max_tokens:
            raise InputTooLong("A pair does not fit the scripted model. Nothing was scored.")
        return [self._table.get((p.premise, p.hypothesis)) or self._rule(p) for p in pairs]

    def close(self) -> None:
        """Note that it was closed."""
        self.closed = True

    def _own(self) -> None:
        here = threading.get_ident()
        if self._thread is None:
            self._thread = here
        if self._thread != here:
            raise RuntimeError("a scorer was used from two threads")
