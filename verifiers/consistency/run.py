"""Checking the claims of one answer against samples of it, a few samples at a time.

A :class:`ConsistencyRun` says how many samples it wants, is given them, and says again, until no
more decisions are expected to change than may, or there are no more samples. It draws no samples
itself and calls no language model. The samples are shared between the claims; each distinct text is
read once a claim, and a claim that is settled is not read for any more.

Preparing (windows, values) runs on a worker thread, scoring on the engine's owner thread, so that
:meth:`ConsistencyRun.aadd` runs nothing on the event loop.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from math import fsum, inf
from typing import TYPE_CHECKING, TypeVar

from verifiers.consistency.clusters import entropy, masses, partition
from verifiers.consistency.samples import Pool
from verifiers.consistency.scorers import Asked, Heard
from verifiers.consistency.stopping import StopReason
from verifiers.errors import BackendFailed, InputTooLong
from verifiers.plan import failure
from verifiers.types import Consistency, Coverage, Failed, SampleScore, ScorerName

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import ThreadPoolExecutor

    from verifiers.consistency.samples import Sample
    from verifiers.consistency.scorers import Scorer
    from verifiers.consistency.stopping import Stopping, Watch
    from verifiers.pipeline import Engine
    from verifiers.protocols import ScoreResult
    from verifiers.types import Claim, NLIProbs, Pair

_T = TypeVar("_T")

# [CLS] premise [SEP] claim [SEP], and one more for models that separate with two.
SPECIAL_TOKENS = 4


@dataclass(slots=True)
class Track:
    """What is known of one claim."""

    claim: Claim
    watch: Watch
    judged: bool
    """Whether the scorer can say anything about it."""
    settled: bool = False
    chance: float = inf
    """That its decision would change, by :meth:`Watch.chance`; once settled as it then was."""
    heard: dict[int, tuple[Heard, Asked]] = field(default_factory=dict)
    """By place of the text in the pool, and what was read for it."""
    read: int = 0
    """How many of the run's samples were taken in; a settled claim takes in no more."""
    failed: Failed | None = None

    @property
    def open(self) -> bool:
        """Whether more samples may change what is made of it."""
        return self.judged and not self.settled and self.failed is None


@dataclass(frozen=True, slots=True)
class _Slot:
    """One text to hear on one claim; its pairs begin at ``start``."""

    track: Track
    place: int
    asked: Asked
    start: int


@dataclass(frozen=True, slots=True)
class _Step:
    """Samples on their way in. Nothing of the run has changed yet."""

    pool: Pool
    pairs: list[Pair]
    slots: list[_Slot]
    failed: list[tuple[Track, Failed]]


class ConsistencyRun:
    """The samples of one answer, taken in step by step. Calls of one run do not overlap.

    Attributes:
        pairs: Pairs the claims asked for.
        pairs_scored: Pairs the model ran; the others were equal to one before, or cached.
    """

    def __init__(  # noqa: PLR0917 - made by ConsistencyVerifier.open alone
        self,
        worker: ThreadPoolExecutor,
        engine: Engine,
        scorer: Scorer,
        answer: str,
        tracks: Sequence[Track],
        stopping: Stopping,
    ) -> None:
        self._worker = worker
        self._engine = engine
        self._scorer = scorer
        self._answer = answer.strip()
        self._tracks = list(tracks)
        self._stopping = stopping
        self._pool = Pool()
        self._exhausted = False
        self.pairs = 0
        self.pairs_scored = 0
        self._pairs: set[Pair] = set()

    @property
    def given(self) -> int:
        """Samples taken in so far, those that decline or are empty included."""
        return len(self._pool.places)

    @property
    def pairs_distinct(self) -> int:
        """Different pairs among those asked for: what it takes without a cache from before."""
        return len(self._pairs)

    @property
    def stop(self) -> StopReason | None:
        """Why no more samples are wanted; None while some are.

        ``FAILED`` when no claim's samples can be read. Who draws the samples may stop for reasons
        of his own; what was taken in then counts.
        """
        if self._tracks and all(track.failed is not None for track in self._tracks):
            return StopReason.FAILED
        if self.given >= self._stopping.cap:
            return StopReason.CAP
        sound = [track for track in self._tracks if track.judged and track.failed is None]
        if all(track.settled for track in sound):
            return StopReason.DECIDED
        if self._stopping.enough([track.chance for track in sound]):
            return StopReason.DECIDED
        return StopReason.EXHAUSTED if self._exhausted else None

    @property
    def wanted(self) -> int:
        """How many samples to draw next; 0 when the run has stopped."""
        if self.stop is not None:
            return 0
        return min(self._stopping.step, self._stopping.cap - self.given)

    def add(self, samples: Sequence[Sample]) -> None:
        """Take in samples. Blocks while they are scored.

        Args:
            samples: As many as were wanted, or fewer; none at all says that there are no more.

        Raises:
            ValueError: If they are more than the cap leaves room for.
            Overloaded: If the scoring queue is full. Nothing was taken in.
            VerifierError: If the model cannot be loaded. Nothing was taken in. A model that fails
                while scoring does not raise: the claims come back ``Failed``.
        """
        self._check(samples)
        step = self._worker.submit(self._prepare, samples).result()
        scored: ScoreResult | Failed | None = None
        if step.pairs:
            try:
                scored = self._engine.submit(step.pairs).result()
            except (BackendFailed, InputTooLong) as error:
                scored = failure(error)
        self._worker.submit(self._conclude, step, scored).result()

    async def aadd(self, samples: Sequence[Sample]) -> None:
        """As :meth:`add`, without blocking the event loop. Cancelled, it takes nothing in."""
        self._check(samples)
        step = await self._on_worker(lambda: self._prepare(samples))
        scored: ScoreResult | Failed | None = None
        if step.pairs:
            try:
                scored = await asyncio.wrap_future(self._engine.submit(step.pairs))
            except (BackendFailed, InputTooLong) as error:
                scored = failure(error)
        await self._on_worker(lambda: self._conclude(step, scored))

    async def _on_worker(self, work: Callable[[], _T]) -> _T:
        return await asyncio.wrap_future(self._worker.submit(work))

    def result(self) -> dict[str, Consistency | Failed]:
        """What the samples taken in so far say of each claim, by its id."""
        return {track.claim.id: track.failed or self._consistency(track) for track in self._tracks}

    def _check(self, samples: Sequence[Sample]) -> None:
        room = self._stopping.cap - self.given
        if len(samples) > room:
            raise ValueError(f"{len(samples)} samples were given where the cap leaves {room}")

    def _prepare(self, samples: Sequence[Sample]) -> _Step:
        pool = self._pool.extended(samples)
        texts = [text.text for text in pool.texts]
        pairs: list[Pair] = []
        slots: list[_Slot] = []
        failed: list[tuple[Track, Failed]] = []
        for track in self._tracks:
            if not track.open:
                continue
            own: list[Pair] = []
            waiting: list[_Slot] = []
            try:
                for place in range(len(track.heard), len(texts)):
                    asked = self._ask(track, texts, place)
                    waiting.append(_Slot(track, place, asked, len(pairs) + len(own)))
                    own += asked.pairs
                self._see_that_they_fit(own)
            except InputTooLong as error:
                failed.append((track, failure(error)))
                continue
            pairs += own
            slots += waiting
        return _Step(pool, pairs, slots, failed)

    def _ask(self, track: Track, texts: Sequence[str], place: int) -> Asked:
        if texts[place] == self._answer:
            return Asked((), 1, 1)
        earlier = texts[:place] if self._scorer.clusters else ()
        return self._scorer.ask(track.claim, texts[place], earlier)

    def _hear(
        self, track: Track, texts: Sequence[str], place: int, scores: Sequence[NLIProbs]
    ) -> Heard:
        if texts[place] == self._answer:
            return Heard(1.0, 0.0)  # it makes every claim of the answer, word for word
        earlier = texts[:place] if self._scorer.clusters else ()
        return self._scorer.hear(track.claim, texts[place], earlier, scores)

    def _see_that_they_fit(self, pairs: Sequence[Pair]) -> None:
        """So that one claim that is too long does not fail the others' request.

        Raises:
            InputTooLong: If a pair is longer than the model reads.
        """
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        if not texts:
            return
        tokens = dict(zip(texts, self._engine.count_text(texts), strict=True))
        longest = max(tokens[pair.premise] + tokens[pair.hypothesis] for pair in pairs)
        most = self._engine.info.max_tokens - SPECIAL_TOKENS
        if longest > most:
            raise InputTooLong(
                f"a claim and a statement of a sample have {longest} tokens together and the model"
                f" reads {most}; the claim was not checked"
            )

    def _conclude(self, step: _Step, scored: ScoreResult | Failed | None) -> None:
        self._exhausted = len(step.pool.places) == self.given
        self._pool = step.pool
        self.pairs += len(step.pairs)
        self._pairs.update(step.pairs)
        for track, failed in step.failed:
            track.failed = failed
        probs: Sequence[NLIProbs] = ()
        if isinstance(scored, Failed):
            for slot in step.slots:
                if slot.asked.pairs:
                    slot.track.failed = scored
        elif scored is not None:
            probs = scored.probs
            self.pairs_scored += scored.scored
        texts = [text.text for text in self._pool.texts]
        for slot in step.slots:
            track, asked = slot.track, slot.asked
            if track.failed is not None:
                continue
            own = probs[slot.start : slot.start + len(asked.pairs)]
            track.heard[slot.place] = self._hear(track, texts, slot.place, own), asked
        for track in self._tracks:
            if track.open:
                self._follow(track)

    def _follow(self, track: Track) -> None:
        """Tell a claim's watch of the samples that are new to it."""
        for place in self._pool.places[track.read :]:
            track.watch.add(None if place is None else track.heard[place][0].support)
        track.read = len(self._pool.places)
        score = self._consistency(track).score
        track.settled = track.watch.settled(score)
        track.chance = track.watch.chance(score)

    def _consistency(self, track: Track) -> Consistency:
        places = self._pool.places[: track.read]
        silent = self._pool.silent[: track.read]
        order = sorted(track.heard)
        counts = [places.count(place) for place in order]
        heard = [track.heard[place][0] for place in order]
        asked = [track.heard[place][1] for place in order]
        texts = [self._pool.texts[place] for place in order]
        n = sum(counts)
        clusters: list[int] | None = None
        spread: float | None = None
        score = fsum(c * h.support for c, h in zip(counts, heard, strict=True)) / n if n else None
        meant = self._scorer.name is ScorerName.SEMANTIC_ENTROPY
        if n and (self._scorer.clusters or meant):
            alike = [(place, other) for place, h in enumerate(heard) for other in h.alike]
            parts = partition([h.support >= 1.0 for h in heard], alike)
            mass = masses(parts, counts, [text.logprob for text in texts])
            if self._scorer.clusters:
                clusters, spread = parts, entropy(mass.values())
            if meant:
                score = mass[0]
        return Consistency(
            scorer=self._scorer.name,
            score=None if score is None else min(1.0, max(0.0, score)),
            n=n,
            distinct=len(order),
            refused=silent.count("refused"),
            empty=silent.count("empty"),
            samples=tuple(
                SampleScore(
                    sample=text.first,
                    count=count,
                    support=h.support,
                    against=h.against,
                    cluster=None if clusters is None else clusters[at],
                )
                for at, (text, count, h) in enumerate(zip(texts, counts, heard, strict=True))
            ),
            coverage=Coverage(
                windows_read=sum(one.windows for one in asked),
                windows_total=sum(one.windows_total for one in asked),
                sources_read=len(order),
                sources_total=len(order),
            ),
            entropy=spread,
        )
