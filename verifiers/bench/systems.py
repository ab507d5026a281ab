"""What is measured: ways to give a text a score of being supported by its sources.

``overlap``
    The share of the text's words that stand in the sources. The floor any model has to beat.
``model``
    The NLI model alone: the whole text as one hypothesis against windows of the sources, the
    best window's entailment. What people get who call a model themselves.
``model+values``
    The same, and a text with a value that differs from its best window scores 0.
``pipeline``
    The whole path: claims, evidence, model, values. An answer is as well supported as the least
    supported of its checkworthy claims; one without any is not contradicted by anything and
    scores 1.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal, Protocol, assert_never

from verifiers.aggregate import clean_support
from verifiers.ranking import tokenise
from verifiers.rules import split
from verifiers.types import (
    Claim,
    ClaimKind,
    EvidenceSpan,
    Failed,
    NoEvidence,
    Pair,
    Scored,
    Skipped,
    Source,
    Span,
)
from verifiers.values import mismatches
from verifiers.windows import Cutter, WindowIndex

if TYPE_CHECKING:
    from verifiers.bench.items import Item
    from verifiers.engine import NLIEngine
    from verifiers.pipeline import EvidenceSettings, Verifier
    from verifiers.protocols import ScoreResult

SystemName = Literal["overlap", "model", "model+values", "pipeline"]


@dataclass(frozen=True, slots=True)
class Result:
    """What a system said of one item.

    Attributes:
        score: Of being supported, in [0, 1]; None when it could not look.
        error: Why it could not, or None.
        flagged: What it would take out of the text at a threshold of ``FLAG_AT``.
        claims: Checkworthy claims.
        pairs: Pairs of window and claim read.
        seconds: Wall-clock time for this item, waiting for others included.
    """

    item: str
    score: float | None
    error: str | None
    flagged: tuple[tuple[int, int, float], ...]
    claims: int
    pairs: int
    seconds: float


class System(Protocol):
    """One configuration to measure. Safe to call from several threads."""

    name: str

    @property
    def digest(self) -> str:
        """Digest of everything that changes its scores; cached results are keyed by it."""
        ...

    def score(self, item: Item) -> Result:
        """Score one item. A failure comes back in the result, never as a score."""
        ...


def _digest(*parts: object) -> str:
    return hashlib.blake2b(json.dumps(parts, default=str).encode(), digest_size=12).hexdigest()


class Overlap:
    """Share of the text's words found in the sources."""

    name = "overlap"
    digest = _digest("overlap", 1)

    def score(self, item: Item) -> Result:
        """See :class:`System`."""
        begun = time.perf_counter()
        words = tokenise(item.text)
        there = set(tokenise(" ".join(item.sources)))
        share = sum(word in there for word in words) / len(words) if words else 0.0
        return Result(item.digest, share, None, (), 1, 0, time.perf_counter() - begun)


class BareModel:
    """The model alone, one hypothesis an item."""

    def __init__(
        self, engine: NLIEngine, evidence: EvidenceSettings, *, values: bool, version: str
    ) -> None:
        """Measure ``engine`` without claims.

        Args:
            engine: Scores pairs.
            evidence: How sources are cut and chosen, as in the pipeline.
            values: Whether the value layer may contradict.
            version: Of this project, since its rules change scores.
        """
        self.name = "model+values" if values else "model"
        self._engine = engine
        self._evidence = evidence
        self._values = values
        self._version = version
        self._cutters: dict[int, Cutter] = {}

    @property
    def digest(self) -> str:
        """See :class:`System`."""
        return _digest(
            self.name, 2, self._version, asdict(self._engine.info), asdict(self._evidence)
        )

    def score(self, item: Item) -> Result:
        """See :class:`System`."""
        begun = time.perf_counter()
        hypothesis = item.text
        own = self._engine.count_text([hypothesis])[0]
        room = self._engine.info.max_tokens - own - 4
        budget = min(self._evidence.window_tokens, max(room, 0) // 32 * 32)
        if budget < 32:  # noqa: PLR2004 - as in the pipeline
            return self._failed(item, "the text does not fit the model", begun)
        cutter = self._cutters.setdefault(
            budget,
            Cutter(
                sentences=split,
                count_text=self._engine.count_text,
                budget_tokens=budget,
                overlap_sentences=self._evidence.overlap_sentences,
            ),
        )
        sources = [Source(f"s{i}", text) for i, text in enumerate(item.sources, start=1)]
        index = WindowIndex([w for source in sources for w in cutter.windows(source)])
        chosen = index.select(
            hypothesis, k=self._evidence.k, read_all_up_to=self._evidence.read_all_up_to
        ).windows
        if not chosen:
            return self._failed(item, "there is no source to read", begun)
        pairs = [Pair(window.text, hypothesis) for window in chosen]
        result: ScoreResult = self._engine.score(pairs)
        best = max(range(len(chosen)), key=lambda i: result.probs[i].entailment)
        score = result.probs[best].entailment
        if self._values:
            window = chosen[best]
            evidence = EvidenceSpan(window.source_id, window.span, window.text)
            if mismatches(_whole(item.text), evidence):
                score = 0.0
        seconds = time.perf_counter() - begun
        return Result(item.digest, score, None, (), 1, len(pairs), seconds)

    def _failed(self, item: Item, why: str, begun: float) -> Result:
        return Result(item.digest, None, why, (), 1, 0, time.perf_counter() - begun)


class Pipeline:
    """Claims, evidence, model and values together."""

    name = "pipeline"

    def __init__(
        self,
        verifier: Verifier,
        engine: NLIEngine,
        evidence: EvidenceSettings,
        *,
        version: str,
    ) -> None:
        """Measure ``verifier``, which must use ``engine`` and ``evidence``."""
        self._verifier = verifier
        self._engine = engine
        self._evidence = evidence
        self._version = version

    @property
    def digest(self) -> str:
        """See :class:`System`."""
        return _digest(
            self.name, self._version, asdict(self._verifier.info), asdict(self._evidence)
        )

    def score(self, item: Item) -> Result:
        """See :class:`System`."""
        begun = time.perf_counter()
        sources = [Source(f"s{i}", text) for i, text in enumerate(item.sources, start=1)]
        found = self._verifier.verify(item.text, sources=sources, question=item.question)
        lowest, error = 1.0, None
        flagged: list[tuple[int, int, float]] = []
        claims = 0
        for assessment in found.assessments:
            outcome = assessment.outcome
            match outcome:
                case Skipped():
                    continue
                case Failed(cause=cause) | NoEvidence(reason=cause):
                    error = cause
                    continue
                case Scored():
                    score = clean_support(outcome)
                case _:
                    assert_never(outcome)
            claims += 1
            lowest = min(lowest, score)
            span = assessment.claim.span
            flagged.append((span.start, span.end, score))
        return Result(
            item.digest,
            None if error else lowest,
            error,
            tuple(flagged),
            claims,
            found.pairs,
            time.perf_counter() - begun,
        )


def _whole(text: str) -> Claim:
    span = Span(0, len(text))
    return Claim("c1", span, text, ClaimKind.SENTENCE, span, text)
