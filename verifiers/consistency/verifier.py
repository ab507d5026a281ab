"""The parts a run is made of, wired once: how samples are read, and with which model."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, assert_never

from verifiers.consistency.run import SPECIAL_TOKENS, ConsistencyRun, Track
from verifiers.consistency.scorers import Meaning, Support, Values
from verifiers.consistency.stopping import Watch
from verifiers.errors import InputTooLong
from verifiers.types import ConsistencyThresholds, ScorerName
from verifiers.windows import Cutter, WindowIndex

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from verifiers.claims import ClaimExtractor
    from verifiers.consistency.scorers import Scorer
    from verifiers.consistency.stopping import Stopping
    from verifiers.pipeline import Engine
    from verifiers.types import Claim, Source, Window

_LEAST_WINDOW_TOKENS = 24


@dataclass(frozen=True, slots=True)
class ConsistencySettings:
    """How samples are read.

    Attributes:
        window_tokens: The most tokens of a sample in one window.
        overlap_sentences: Sentences a window repeats of the one before it.
        read_all_up_to: Up to this many windows of a sample, all are read for every claim.
        k: Above that, how many of the best are.
    """

    window_tokens: int = 64
    overlap_sentences: int = 0
    read_all_up_to: int = 16
    k: int = 10

    def __post_init__(self) -> None:
        if self.window_tokens < _LEAST_WINDOW_TOKENS or self.overlap_sentences < 0:
            raise ValueError(
                f"window_tokens must be {_LEAST_WINDOW_TOKENS} or more and overlap_sentences 0 or "
                f"more, not {self.window_tokens} and {self.overlap_sentences}"
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
        self._cutters: dict[int, Cutter] = {}
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
            Track(claim, Watch(by_id[claim.id], stopping), settled=not how.judges(claim))
            for claim in claims
        ]
        return ConsistencyRun(self._worker, self._engine, how, answer, tracks, stopping)

    def _scorer(self, name: ScorerName, question: str | None) -> Scorer:
        match name:
            case ScorerName.NLI:
                return Support(self._windows)
            case ScorerName.SEMANTIC_ENTROPY:
                return Meaning(self._extractor.sentences, question)
            case ScorerName.VALUES:
                return Values(question)
            case _:
                assert_never(name)

    def _windows(self, source: Source, claim: Claim) -> tuple[Sequence[Window], int]:
        """The windows of a sample to read for a claim. Called on the worker thread only.

        Raises:
            InputTooLong: If the claim leaves no room for a window beside it.
        """
        own = self._engine.count_text([claim.hypothesis])[0]
        most = self._engine.info.max_tokens
        room = most - SPECIAL_TOKENS - own
        budget = self._settings.window_tokens
        while budget > room and budget > _LEAST_WINDOW_TOKENS:
            # Halving keeps the number of different cuts of a sample small.
            budget = max(budget // 2, _LEAST_WINDOW_TOKENS)
        if budget > room:
            raise InputTooLong(
                f"the claim has {own} tokens and the model reads {most}, the sample included; it "
                "was not checked"
            )
        if budget not in self._cutters:
            self._cutters[budget] = Cutter(
                sentences=self._extractor.sentences,
                count_text=self._engine.count_text,
                budget_tokens=budget,
                overlap_sentences=self._settings.overlap_sentences,
            )
        windows = self._cutters[budget].windows(source)
        if len(windows) <= self._settings.read_all_up_to:
            return windows, len(windows)
        chosen = WindowIndex(windows).select(
            claim.hypothesis, k=self._settings.k, read_all_up_to=self._settings.read_all_up_to
        )
        return chosen.windows, len(windows)
