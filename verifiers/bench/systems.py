"""What is measured: ways to give a text a score of being supported by its sources.

``overlap``
    The share of the text's words that stand in the sources. The floor any model has to beat.
``model``
    The NLI model alone: the whole text as one hypothesis against windows of the sources, the
    best window's entailment. What people get who call a model themselves.
``model+values``
    The same with the value layer: a value that differs from the text's lowers the support of the
    window it stands in.
``pipeline``
    The whole path: claims, evidence, model, values. An answer is as well supported as the least
    supported of its checkworthy claims; one without any is not contradicted by anything and
    scores 1. A text that was labelled as a single claim is one, also where nothing in it looks
    checkworthy (a question, "I do"): it is then judged whole, as by ``model+values``.

All read the same windows, so that scores of one are found in the cache by the others.
"""

from __future__ import annotations

import hashlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Literal, Protocol, assert_never

from verifiers.aggregate import clean_support
from verifiers.bench.code import code_digest
from verifiers.bench.meter import Meter
from verifiers.errors import BackendFailed, ExtractionFailed, InputTooLong, Overloaded
from verifiers.evidence import Evidence, check_values
from verifiers.pipeline import Verifier
from verifiers.plan import Plan, finish, plan
from verifiers.ranking import tokenise
from verifiers.types import (
    Claim,
    ClaimKind,
    EvidenceSpan,
    Failed,
    NoEvidence,
    Scored,
    Skipped,
    Source,
    Span,
)
from verifiers.workshop import Workshop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verifiers.bench.items import Item
    from verifiers.claims import ClaimExtractor
    from verifiers.pipeline import Engine, EvidenceSettings
    from verifiers.types import NLIProbs, Pair, Window

SystemName = Literal["overlap", "model", "model+values", "pipeline"]


@dataclass(frozen=True, slots=True)
class Result:
    """What a system said of one item.

    Attributes:
        item: Digest of the item.
        score: Of being supported, in [0, 1]; None when it could not look.
        error: Why it could not, or None.
        passing: Whether looking again may go better: a server was down, a queue was full.
        flagged: The parts of the text it judged, each with its score: those below the threshold
            are what it would take out.
        claims: Checkworthy claims.
        pairs: Distinct pairs of window and claim that were read.
        tokens: Tokens of their texts.
        seconds: Wall-clock time for this item alone; None where it was not timed.
    """

    item: str
    score: float | None
    error: str | None
    flagged: tuple[tuple[int, int, float], ...]
    claims: int
    pairs: int
    tokens: int
    seconds: float | None
    passing: bool = False


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

    def __init__(self, name: str = "overlap") -> None:
        """Measure word overlap under ``name``."""
        self.name = name

    @property
    def digest(self) -> str:
        """See :class:`System`."""
        return _digest("overlap", code_digest())

    def score(self, item: Item) -> Result:
        """See :class:`System`."""
        begun = time.perf_counter()
        words = tokenise(item.text)
        there = set(tokenise(" ".join(item.sources)))
        share = sum(word in there for word in words) / len(words) if words else 0.0
        return _result(item, share, begun)


class BareModel:
    """The model alone, one hypothesis an item."""

    def __init__(
        self,
        extractor: ClaimExtractor,
        engine: Engine,
        evidence: EvidenceSettings,
        *,
        values: bool,
        name: str | None = None,
    ) -> None:
        """Measure a model without claims. Close it after use.

        Args:
            extractor: Cuts sources into sentences; no claim is asked of it.
            engine: Scores pairs.
            evidence: How sources are read. The windows that the pipeline may leave out (``near``,
                ``enough``) are all read here.
            values: Whether the value layer may lower the support of windows.
            name: Of the system.
        """
        self.name = name or ("model+values" if values else "model")
        self._values = values
        self._meter = Meter(engine)
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="groundrail-bench")
        self._shop = Workshop(
            extractor=extractor,
            engine=self._meter,
            settings=replace(evidence, near=0.0, first=1, enough=2.0),
            clock=time.perf_counter,
            worker=self._worker,
        )

    def close(self) -> None:
        """Stop the thread that cuts and compares."""
        self._worker.shutdown(wait=True, cancel_futures=True)

    @property
    def digest(self) -> str:
        """See :class:`System`."""
        return _digest(
            "model+values" if self._values else "model",
            code_digest(),
            asdict(self._meter.info),
            asdict(self._shop.settings),
        )

    def score(self, item: Item) -> Result:
        """See :class:`System`."""
        begun = time.perf_counter()
        evidence = Evidence(self._shop, _sources(item))
        if not evidence.sources:
            return _unseen(item, "there is no source to read", begun)
        planned = self._worker.submit(self._plan, evidence, _whole(item.text)).result()
        settled = planned.claims[0].settled
        if isinstance(settled, Failed):
            return _unseen(item, settled.cause, begun)
        try:
            scores = self._meter.submit(planned.pairs).result().probs
        except (BackendFailed, InputTooLong, Overloaded) as error:
            return _unseen(item, error.message, begun, passing=not isinstance(error, InputTooLong))
        score = self._worker.submit(self._read, planned, scores).result()
        return _result(item, score, begun, planned.pairs, self._meter)

    def _plan(self, evidence: Evidence, claim: Claim) -> Plan:
        evidence.count([claim.hypothesis])
        return plan(
            [claim],
            select=evidence.select,
            verbatim=lambda _claim, _window: False,
            has_evidence=True,
        )

    def _read(self, planned: Plan, scores: Sequence[NLIProbs]) -> float:
        (assessment,) = finish(
            planned,
            scores,
            narrow=lambda window, _text, _place: _all_of(window),
            check_values=check_values if self._values else lambda _claim, _window: (),
        )
        if not isinstance(assessment.outcome, Scored):  # its windows were all scored
            raise TypeError(f"{type(assessment.outcome).__name__} for a claim with scores")
        return clean_support(assessment.outcome)


class Pipeline:
    """Claims, evidence, model and values together."""

    def __init__(
        self,
        extractor: ClaimExtractor,
        engine: Engine,
        evidence: EvidenceSettings,
        *,
        name: str = "pipeline",
        language: str = "en",
    ) -> None:
        """Measure the verifier that these make. Close it after use.

        Args:
            extractor: Makes the claims.
            engine: Scores pairs.
            evidence: How sources are read.
            name: Of the system.
            language: What the extractor was made for; claims of another differ.
        """
        self.name = name
        self._language = language
        self._meter = Meter(engine)
        self._verifier = Verifier(extractor=extractor, engine=self._meter, evidence=evidence)
        self._whole = BareModel(extractor, engine, evidence, values=True)
        self._evidence = evidence

    def close(self) -> None:
        """Stop the verifier's threads."""
        self._verifier.close()
        self._whole.close()

    @property
    def digest(self) -> str:
        """See :class:`System`."""
        return _digest(
            "pipeline",
            code_digest(),
            asdict(self._meter.info),
            asdict(self._evidence),
            self._language,
        )

    def score(self, item: Item) -> Result:
        """See :class:`System`."""
        begun = time.perf_counter()
        try:
            with self._meter.reading() as read:
                found = self._verifier.verify(
                    item.text, sources=_sources(item), question=item.question
                )
        except (ExtractionFailed, Overloaded) as trouble:
            passing = isinstance(trouble, Overloaded)
            return _unseen(item, trouble.message, begun, passing=passing)
        lowest, passing = 1.0, False
        error: str | None = None
        flagged: list[tuple[int, int, float]] = []
        for assessment in found.assessments:
            outcome = assessment.outcome
            match outcome:
                case Skipped():
                    continue
                case Failed(code=code, cause=cause):
                    error, passing = cause, passing or code == BackendFailed.code
                    continue
                case NoEvidence(reason=cause):
                    error = cause
                    continue
                case Scored():
                    score = clean_support(outcome)
                case _:
                    assert_never(outcome)
            lowest = min(lowest, score)
            span = assessment.claim.span
            flagged.append((span.start, span.end, score))
        if error is not None:
            return _unseen(item, error, begun, passing=passing)
        if not flagged and item.granularity == "claim":
            return replace(self._whole.score(item), seconds=time.perf_counter() - begun)
        done = _result(item, lowest, begun, tuple(read), self._meter)
        return replace(done, flagged=tuple(flagged), claims=len(flagged))


def _sources(item: Item) -> list[Source]:
    return [Source(f"s{i}", text) for i, text in enumerate(item.sources, start=1)]


def _result(
    item: Item,
    score: float,
    begun: float,
    pairs: tuple[Pair, ...] = (),
    meter: Meter | None = None,
) -> Result:
    seconds = time.perf_counter() - begun
    distinct = tuple(dict.fromkeys(pairs))
    return Result(
        item=item.digest,
        score=score,
        error=None,
        flagged=((0, len(item.text), score),),
        claims=1,
        pairs=len(distinct),
        tokens=meter.tokens(distinct) if meter is not None and distinct else 0,
        seconds=seconds,
    )


def _unseen(item: Item, why: str, begun: float, *, passing: bool = False) -> Result:
    seconds = time.perf_counter() - begun
    return Result(item.digest, None, why, (), 0, 0, 0, seconds, passing=passing)


def _all_of(window: Window) -> EvidenceSpan:
    return EvidenceSpan(window.source_id, window.span, window.text)


def _whole(text: str) -> Claim:
    span = Span(0, len(text))
    return Claim("c1", span, text, ClaimKind.SENTENCE, span, text)
