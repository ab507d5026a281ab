"""From an answer and its sources to assessed claims: the one verifier every way in uses.

A :class:`Verifier` holds what all checks share. Each answer is a :class:`verifiers.session.Session`
of its own: one call for an answer that is there whole, one a sentence for one still being written.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from verifiers.errors import SourceInvalid
from verifiers.evidence import LEAST_WINDOW_TOKENS
from verifiers.plan import failed_verification
from verifiers.session import Session
from verifiers.workshop import Workshop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from verifiers.claims import ClaimExtractor
    from verifiers.protocols import ScoreResult
    from verifiers.types import Citation, ModelInfo, Pair, Source, Verification


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
        near: Of these, windows behind the third are left out when their rank score is below this
            share of the best one's, unless even the best shares few words with the claim. 0 for
            reading them all. A claim that cites a source is read without it.
        first: How many of these are read first. When one of them supports the claim with at least
            ``enough`` and none contradicts it, the others are left unread; coverage says so.
        enough: Above 1 for reading them always.
        unsure: Where the best window supports a claim with at least this and less than
            ``enough``, its sentences nearest to the claim are read alone, too. 1 or more for never.
    """

    window_tokens: int = 128
    overlap_sentences: int = 1
    read_all_up_to: int = 16
    k: int = 10
    near: float = 0.3
    first: int = 4
    enough: float = 0.8
    unsure: float = 0.02

    def __post_init__(self) -> None:
        if self.window_tokens < LEAST_WINDOW_TOKENS or self.overlap_sentences < 0:
            raise ValueError(
                f"window_tokens must be {LEAST_WINDOW_TOKENS} or more and overlap_sentences 0 or "
                f"more, not {self.window_tokens} and {self.overlap_sentences}"
            )
        if self.first < 1 or self.enough <= 0 or self.unsure <= 0:
            raise ValueError(
                f"first must be 1 or more, and enough and unsure above 0, not {self.first}, "
                f"{self.enough} and {self.unsure}"
            )
        if not 0.0 <= self.near <= 1.0:
            raise ValueError(f"near must be in [0, 1], not {self.near}")
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
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="groundrail-claims")
        self._shop = Workshop(
            extractor=extractor,
            engine=engine,
            settings=evidence or EvidenceSettings(),
            clock=clock,
            worker=self._worker,
        )

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
        return self._shop.engine.info

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
        session = self.open(sources=sources, question=question)
        return session.assess(answer, annotations=annotations, final=True)

    def open(self, *, sources: Sequence[Source], question: str | None = None) -> Session:
        """A session for one answer that is still being written.

        Args:
            sources: What may support it. Ids must be unique.
            question: What was asked, for short answers and fragments.

        Raises:
            SourceInvalid: If a source has no id or two share one.
        """
        given = tuple(sources)
        check_sources(given)
        return Session(self._shop, sources=given, question=question)

    async def averify(
        self,
        answer: str,
        *,
        sources: Sequence[Source],
        question: str | None = None,
        annotations: Sequence[Citation] = (),
    ) -> Verification:
        """As :meth:`verify`, without blocking the event loop. Cancelling it drops its work."""
        session = self.open(sources=sources, question=question)
        return await session.aassess(answer, annotations=annotations, final=True)


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


__all__ = [
    "Engine",
    "EvidenceSettings",
    "Session",
    "Verifier",
    "check_sources",
    "failed_verification",
]
