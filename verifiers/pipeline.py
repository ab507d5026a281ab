"""From an answer and its sources to assessed claims: the one verifier every way in uses.

The work has three parts: claims and windows (spaCy and BM25, on a worker thread of this module's
own), scoring (on the engine's owner thread), and reading the scores (the worker thread again).
:meth:`Verifier.verify` waits for each; :meth:`Verifier.averify` awaits each, so that nothing of it
runs on the event loop. Both go through :mod:`verifiers.plan`.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from verifiers.errors import BackendFailed, InputTooLong, SourceInvalid
from verifiers.plan import Reading, failed_verification, failure, finish, plan
from verifiers.types import (
    Claim,
    Coverage,
    EvidenceSpan,
    Failed,
    ModelInfo,
    NLIProbs,
    Pair,
    Source,
    Span,
    Verification,
    Window,
)
from verifiers.values import exact_match, mismatches
from verifiers.windows import Cutter, WindowIndex, narrow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from verifiers.claims import ClaimExtractor
    from verifiers.plan import Plan
    from verifiers.protocols import ScoreResult
    from verifiers.types import Citation, ValueMismatch

_T = TypeVar("_T")

# Longest evidence a claim can still be read with; below it a window says too little to judge by.
_LEAST_WINDOW_TOKENS = 32
# [CLS] premise [SEP] claim [SEP], and one more for models that separate with two.
_SPECIAL_TOKENS = 4


class Engine(Protocol):
    """What the verifier needs of :class:`verifiers.engine.NLIEngine`."""

    @property
    def info(self) -> ModelInfo:
        """The loaded model; loads it on first use."""
        ...

    def count_text(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text alone."""
        ...

    def submit(self, pairs: Sequence[Pair]) -> Future[ScoreResult]:
        """Queue pairs for scoring."""
        ...


@dataclass(frozen=True, slots=True)
class EvidenceSettings:
    """How sources are read.

    Attributes:
        window_tokens: The most tokens of source in one window.
        overlap_sentences: Sentences a window repeats of the one before it.
        read_all_up_to: Up to this many windows, all are read for every claim.
        k: Above that, how many of the best are.
    """

    window_tokens: int = 128
    overlap_sentences: int = 1
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


class Verifier:
    """Checks answers against sources. Safe to share between threads and event loops.

    Holds one worker thread (spaCy and ranking are CPU-bound; a second would only take turns).
    """

    def __init__(
        self,
        *,
        extractor: ClaimExtractor,
        engine: Engine,
        evidence: EvidenceSettings | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Wire a verifier.

        Args:
            extractor: Splits answers into claims and texts into sentences.
            engine: Scores pairs. Not closed by this verifier.
            evidence: How sources are read; the defaults when None.
            clock: Seconds, for the timings in a verification.
        """
        self._extractor = extractor
        self._engine = engine
        self._evidence = evidence or EvidenceSettings()
        self._clock = clock
        self._cutters: dict[int, Cutter] = {}
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="groundrail-claims")

    def close(self) -> None:
        """Stop the worker thread; what waits in it is cancelled."""
        self._worker.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Self:
        """The verifier itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def info(self) -> ModelInfo:
        """The model that scores; loads it on first use."""
        return self._engine.info

    def verify(
        self,
        answer: str,
        *,
        sources: Sequence[Source],
        question: str | None = None,
        annotations: Sequence[Citation] = (),
    ) -> Verification:
        """Assess every claim of ``answer`` against ``sources``. Blocks.

        Args:
            answer: The exact text; spans in the result point into it.
            sources: What may support it. Ids must be unique.
            question: What was asked, for short answers and fragments.
            annotations: Citations the provider sent beside the text.

        Raises:
            SourceInvalid: If a source has no id or two share one.
            Overloaded: If the scoring queue is full; nothing was checked.
            VerifierError: If claims cannot be extracted or the model cannot be loaded. A model
                that fails while scoring does not raise: its claims come back ``Failed``.
        """
        job = _Job(self, answer, tuple(sources), question, tuple(annotations))
        planned = self._worker.submit(job.prepare).result()
        scores, result = self._score_blocking(planned.pairs)
        return self._worker.submit(job.conclude, planned, scores, result).result()

    async def averify(
        self,
        answer: str,
        *,
        sources: Sequence[Source],
        question: str | None = None,
        annotations: Sequence[Citation] = (),
    ) -> Verification:
        """As :meth:`verify`, without blocking the event loop. Cancelling it drops its work."""
        job = _Job(self, answer, tuple(sources), question, tuple(annotations))
        planned = await self._on_worker(job.prepare)
        scores, result = await self._score(planned.pairs)
        return await self._on_worker(lambda: job.conclude(planned, scores, result))

    async def _on_worker(self, work: Callable[[], _T]) -> _T:
        return await asyncio.wrap_future(self._worker.submit(work))

    def _score_blocking(
        self, pairs: tuple[Pair, ...]
    ) -> tuple[list[NLIProbs | Failed], ScoreResult | None]:
        if not pairs:
            return [], None
        try:
            result = self._engine.submit(pairs).result()
        except (BackendFailed, InputTooLong) as error:
            return [failure(error)] * len(pairs), None
        return list(result.probs), result

    async def _score(
        self, pairs: tuple[Pair, ...]
    ) -> tuple[list[NLIProbs | Failed], ScoreResult | None]:
        if not pairs:
            return [], None
        try:
            result = await asyncio.wrap_future(self._engine.submit(pairs))
        except (BackendFailed, InputTooLong) as error:
            return [failure(error)] * len(pairs), None
        return list(result.probs), result

    def _cutter(self, budget: int) -> Cutter:
        """The cutter for windows of ``budget`` tokens. Called on the worker thread only."""
        if budget not in self._cutters:
            self._cutters[budget] = Cutter(
                sentences=self._extractor.sentences,
                count_text=self._engine.count_text,
                budget_tokens=budget,
                overlap_sentences=self._evidence.overlap_sentences,
            )
        return self._cutters[budget]


class _Job:
    """One answer on its way through. Used by one thread at a time."""

    def __init__(
        self,
        verifier: Verifier,
        answer: str,
        sources: tuple[Source, ...],
        question: str | None,
        annotations: tuple[Citation, ...],
    ) -> None:
        check_sources(sources)
        self._verifier = verifier
        self._settings = verifier._evidence  # noqa: SLF001 - a job is part of its verifier
        self._answer = answer
        self._all = sources
        self._sources = tuple(source for source in sources if source.text.strip())
        self._question = question
        self._annotations = annotations
        self._indexes: dict[int, WindowIndex] = {}
        self._started = verifier._clock()  # noqa: SLF001

    def prepare(self) -> Plan:
        clock = self._verifier._clock  # noqa: SLF001
        begun = clock()
        claims = self._verifier._extractor.extract(  # noqa: SLF001
            self._answer,
            question=self._question,
            sources=self._all,
            annotations=self._annotations,
        )
        split = clock()
        wanted = [claim for claim in claims if claim.checkworthy]
        self._tokens = dict(
            zip(
                (claim.id for claim in wanted),
                self._count([claim.hypothesis for claim in wanted]),
                strict=True,
            )
        )
        planned = plan(
            claims, select=self._select, verbatim=_verbatim, has_evidence=bool(self._sources)
        )
        planned.seconds.update(claims=split - begun, evidence=clock() - split)
        self._scoring = clock()
        return planned

    def conclude(
        self,
        planned: Plan,
        scores: Sequence[NLIProbs | Failed],
        result: ScoreResult | None,
    ) -> Verification:
        clock = self._verifier._clock  # noqa: SLF001
        scored = clock()
        assessments = finish(planned, scores, narrow=self._narrow, check_values=_check_values)
        done = clock()
        seconds = {
            **planned.seconds,
            "nli": scored - self._scoring,
            "values": done - scored,
            "total": done - self._started,
        }
        return Verification(
            assessments=assessments,
            model=self._verifier.info if planned.pairs else None,
            pairs=len(planned.pairs),
            pairs_scored=result.scored if result else 0,
            seconds=seconds,
        )

    def _count(self, texts: list[str]) -> list[int]:
        # Without evidence nothing is scored, and the model need not even be loaded.
        if not texts or not self._sources:
            return [0] * len(texts)
        return self._verifier._engine.count_text(texts)  # noqa: SLF001

    def _select(self, claim: Claim) -> Reading | Failed:
        room = self._verifier.info.max_tokens - _SPECIAL_TOKENS - self._tokens[claim.id]
        if room < _LEAST_WINDOW_TOKENS:
            return Failed(
                InputTooLong.code,
                f"the claim has {self._tokens[claim.id]} tokens and the model reads "
                f"{self._verifier.info.max_tokens}, evidence included; it was not checked",
            )
        budget = self._settings.window_tokens
        while budget > room:
            # Halving keeps the number of different cuts of a source small.
            budget = max(budget // 2, _LEAST_WINDOW_TOKENS)
        index = self._index(budget)
        selection = index.select(
            claim.hypothesis, k=self._settings.k, read_all_up_to=self._settings.read_all_up_to
        )
        windows = [*selection.windows, *self._cited(claim, index, selection.windows)]
        return Reading(
            tuple(windows),
            Coverage(
                windows_read=len(windows),
                windows_total=selection.windows_total,
                sources_read=len({window.source_id for window in windows}),
                sources_total=len(self._sources),
            ),
        )

    def _cited(self, claim: Claim, index: WindowIndex, chosen: Sequence[Window]) -> list[Window]:
        """The best windows of the sources a claim cites that were not chosen anyway.

        A citation is only called wrong after the place it points to was looked at as closely as
        any other.
        """
        named = {c.source_id for c in claim.citations if c.source_id is not None}
        if not named or len(chosen) == len(index.windows):
            return []
        own = WindowIndex([w for w in index.windows if w.source_id in named])
        best = own.select(
            claim.hypothesis, k=self._settings.k, read_all_up_to=self._settings.read_all_up_to
        )
        taken = {(w.source_id, w.index) for w in chosen}
        return [w for w in best.windows if (w.source_id, w.index) not in taken]

    def _index(self, budget: int) -> WindowIndex:
        if budget not in self._indexes:
            cutter = self._verifier._cutter(budget)  # noqa: SLF001
            self._indexes[budget] = WindowIndex(
                [window for source in self._sources for window in cutter.windows(source)]
            )
        return self._indexes[budget]

    def _narrow(self, window: Window, text: str, place: Span | None) -> EvidenceSpan:
        source = next(s for s in self._sources if s.id == window.source_id)
        cutter = self._verifier._cutter(self._settings.window_tokens)  # noqa: SLF001
        sentences = cutter.sentences(source)
        if place is not None:
            sentences = [s for s in sentences if s.overlaps(place)]
        return narrow(window, text, sentences)


def _verbatim(claim: Claim, window: Window) -> bool:
    return exact_match(claim.hypothesis, window.text) is not None


def _check_values(claim: Claim, window: Window) -> tuple[ValueMismatch, ...]:
    return mismatches(claim, EvidenceSpan(window.source_id, window.span, window.text))


def check_sources(sources: Sequence[Source]) -> None:
    """See that every source has an id of its own.

    Raises:
        SourceInvalid: If one has none, or two share one.
    """
    seen: set[str] = set()
    for place, source in enumerate(sources, start=1):
        if not source.id:
            raise SourceInvalid(
                f"source {place} has an empty id; nothing was checked.",
                hint="Give every source an id that verdicts can quote.",
            )
        if source.id in seen:
            raise SourceInvalid(
                f"two sources share the id {source.id!r}; nothing was checked.",
                hint="Give every source an id of its own.",
            )
        seen.add(source.id)


__all__ = ["Engine", "EvidenceSettings", "Verifier", "check_sources", "failed_verification"]
