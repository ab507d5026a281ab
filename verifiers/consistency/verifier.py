"""The parts a run is made of, wired once: how samples are read, and with which model."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Self, assert_never

from verifiers.consistency.run import SPECIAL_TOKENS, ConsistencyRun, Track
from verifiers.consistency.scorers import Meaning, Support, Values
from verifiers.consistency.stopping import Watch
from verifiers.errors import InputTooLong
from verifiers.types import ConsistencyThresholds, ScorerName, Source, Span, Window
from verifiers.windows import WindowIndex, cut

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from verifiers.claims import ClaimExtractor
    from verifiers.consistency.scorers import Scorer
    from verifiers.consistency.stopping import Stopping
    from verifiers.pipeline import Engine
    from verifiers.types import Claim

_LEAST_WINDOW_TOKENS = 24
_SAMPLE = "sample"
_REMEMBERED = 512


@dataclass(frozen=True, slots=True)
class ConsistencySettings:
    """How samples are read: sentence by sentence.

    Attributes:
        sentence_tokens: A longer sentence is cut into windows of at most so many tokens.
        read_all_up_to: Up to this many sentences of a sample, all are read for every claim.
        k: Above that, how many of the best are.
        entropy: Whether ``semantic_entropy`` also compares the samples with each other, for the
            entropy it reports. It decides nothing and takes up to ``n * (n - 1)`` pairs a claim
            for ``n`` samples, beside ``2 n`` for the score.
    """

    sentence_tokens: int = 128
    read_all_up_to: int = 24
    k: int = 16
    entropy: bool = True

    def __post_init__(self) -> None:
        if self.sentence_tokens < _LEAST_WINDOW_TOKENS:
            raise ValueError(
                f"sentence_tokens must be {_LEAST_WINDOW_TOKENS} or more, not "
                f"{self.sentence_tokens}"
            )
        if self.k < 1 or self.read_all_up_to < 0:
            raise ValueError(
                f"k must be 1 or more and read_all_up_to 0 or more, not {self.k} and "
                f"{self.read_all_up_to}"
            )


class ConsistencyVerifier:
    """Opens runs. Safe to share between threads and event loops; holds one worker thread."""

    def __init__(
        self,
        *,
        extractor: ClaimExtractor,
        engine: Engine,
        settings: ConsistencySettings | None = None,
    ) -> None:
        """Wire a verifier.

        Args:
            extractor: Splits samples into sentences.
            engine: Scores pairs. Not closed by this verifier.
            settings: How samples are read; the defaults when None.
        """
        self._extractor = extractor
        self._engine = engine
        self._settings = settings or ConsistencySettings()
        # By text and budget: the claims of an answer read the same samples.
        self._cut = lru_cache(maxsize=_REMEMBERED)(self._sentence_windows)
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="groundrail-samples")

    def close(self) -> None:
        """Stop the worker thread; what waits in it is cancelled."""
        self._worker.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Self:
        """The verifier itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def open(
        self,
        *,
        answer: str,
        claims: Sequence[Claim],
        question: str | None,
        scorer: ScorerName,
        thresholds: ConsistencyThresholds | Mapping[str, ConsistencyThresholds],
        stopping: Stopping,
    ) -> ConsistencyRun:
        """A run over the claims of one answer that samples may settle.

        Args:
            answer: The exact answer. A sample equal to it supports all of it and is not read.
            claims: Those to check, such as ``aggregate.wants_samples`` names; the others are not
                looked at.
            question: What was asked, for scorers that read answers together with it.
            scorer: How agreement is measured.
            thresholds: Where scores become verdicts: for all claims, or by claim id.
            stopping: When to stop.
        """
        by_id: Mapping[str, ConsistencyThresholds]
        if isinstance(thresholds, ConsistencyThresholds):
            by_id = dict.fromkeys((claim.id for claim in claims), thresholds)
        else:
            by_id = thresholds
        how = self._scorer(scorer, question)
        tracks = [
            Track(claim, Watch(by_id[claim.id], stopping), judged=how.judges(claim))
            for claim in claims
        ]
        return ConsistencyRun(self._worker, self._engine, how, answer, tracks, stopping)

    def _scorer(self, name: ScorerName, question: str | None) -> Scorer:
        match name:
            case ScorerName.NLI:
                return Support(self._windows, question)
            case ScorerName.SEMANTIC_ENTROPY:
                return Meaning(self._extractor.sentences, question, mutual=self._settings.entropy)
            case ScorerName.VALUES:
                return Values(question)
            case _:
                assert_never(name)

    def _windows(self, text: str, claim: Claim) -> tuple[Sequence[Window], int]:
        """The sentences of a sample to read for a claim, and how many it has.

        Called on the worker thread only.

        Raises:
            InputTooLong: If the claim leaves no room for a sentence beside it.
        """
        own = self._engine.count_text([claim.hypothesis])[0]
        most = self._engine.info.max_tokens
        room = most - SPECIAL_TOKENS - own
        if room < _LEAST_WINDOW_TOKENS:
            raise InputTooLong(
                f"the claim has {own} tokens and the model reads {most}, the sample included; it "
                "was not checked"
            )
        budget = self._settings.sentence_tokens
        while budget > room:
            # Halving keeps the number of different cuts of a sample small.
            budget = max(budget // 2, _LEAST_WINDOW_TOKENS)
        windows = self._cut(text, budget)
        if len(windows) <= self._settings.read_all_up_to:
            return windows, len(windows)
        chosen = WindowIndex(windows).select(
            claim.hypothesis, k=self._settings.k, read_all_up_to=self._settings.read_all_up_to
        )
        return chosen.windows, len(windows)

    def _sentence_windows(self, text: str, budget: int) -> tuple[Window, ...]:
        spans: list[Span] = []
        for sentence in self._extractor.sentences(text):
            said = Source(_SAMPLE, sentence.of(text))
            parts = cut(
                said,
                [Span(0, len(said.text))],
                count_text=self._engine.count_text,
                budget_tokens=budget,
                overlap_sentences=0,
            )
            spans += [
                Span(sentence.start + part.span.start, sentence.start + part.span.end)
                for part in parts
            ]
        return tuple(
            Window(_SAMPLE, place, span, span.of(text)) for place, span in enumerate(spans)
        )
