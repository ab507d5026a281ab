"""One answer checked while it is still being written.

A :class:`Session` is asked again and again about a longer part of the same answer. What does not
depend on the answer (the windows of the sources, the model, the parser) is made ready once, before
the first sentence is there; what was parsed, scored and read stays, so that a call pays for the
claims that are new. Checking an answer whole is a session with one call.

The work of a call has three parts: claims and windows (spaCy and BM25, on the worker thread of the
verifier), scoring (on the engine's owner thread), and reading the scores (the worker thread
again). :meth:`Session.assess` waits for each; :meth:`Session.aassess` awaits each, so that nothing
of it runs on the event loop. Both go through :mod:`verifiers.plan`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from verifiers.errors import BackendFailed, InputTooLong
from verifiers.evidence import Evidence, check_values, verbatim
from verifiers.plan import (
    Cascade,
    failure,
    finish,
    looked_closer,
    opening,
    plan,
    settled_early,
)
from verifiers.text import Memo
from verifiers.types import Failed, Verification

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from verifiers.plan import Plan
    from verifiers.protocols import ScoreResult
    from verifiers.types import (
        Assessment,
        Citation,
        Claim,
        NLIProbs,
        Pair,
        Source,
    )
    from verifiers.workshop import Workshop

_T = TypeVar("_T")


class _Call(NamedTuple):
    """One call on its way through.

    Attributes:
        known: Assessments of the claims that need nothing, by their place.
        planned: What the others need.
        asked: The pairs to score next, each once; none of them has a score yet.
        answered: The scores of this call so far.
        began: When the call began.
        scoring: When scoring began.
    """

    known: dict[int, Assessment]
    planned: Plan
    asked: tuple[Pair, ...]
    began: float
    scoring: float
    answered: dict[Pair, NLIProbs | Failed]
    scored: int = 0


class Session:
    """One growing answer against one set of sources. Made by ``Verifier.open``.

    Calls must not overlap. One that fails or is cancelled leaves the session as it was, but for
    what it learned; the next may follow at once.
    """

    def __init__(
        self, workshop: Workshop, *, sources: tuple[Source, ...], question: str | None
    ) -> None:
        """Open a session; nothing is loaded or read yet.

        Args:
            workshop: The verifier's parts.
            sources: What may support the answer, checked for their ids.
            question: What was asked.
        """
        self._shop = workshop
        self._all = sources
        self._evidence = Evidence(workshop, sources)
        self._question = question
        # Only a session that is asked twice has anything to remember.
        self._memo: Memo | None = None
        self._last: tuple[Assessment, ...] = ()
        self._scores: dict[Pair, NLIProbs] = {}
        self._pairs = 0
        self._scored = 0
        self._seconds = dict.fromkeys(("claims", "evidence", "nli", "values", "total"), 0.0)

    # ------------------------------------------------------------------ calls

    def prepare(self) -> None:
        """Load model and parser, cut and index the sources. Blocks.

        Optional, and once is enough: done while the model still writes, the first sentence does
        not wait for it.

        Raises:
            VerifierError: If the parser or the model cannot be loaded, or the sources cannot be
                cut. A later call tries again.
        """
        self._shop.worker.submit(self._ready).result()

    async def aprepare(self) -> None:
        """As :meth:`prepare`, without blocking the event loop."""
        await self._on_worker(self._ready)

    def assess(
        self, text: str, *, annotations: Sequence[Citation] = (), final: bool = False
    ) -> Verification:
        """Assess every claim of the answer so far. Blocks.

        Args:
            text: The exact answer so far. Give a part that ends at a boundary (see
                :class:`verifiers.claims.boundaries.Boundaries`): the claims of any other part may
                read otherwise once more is there.
            annotations: Citations the provider sent beside the text so far.
            final: Whether this is the whole answer. Then claims that failed in an earlier call
                are tried once more.

        Returns:
            The assessments of all claims of ``text``. Those assessed before (equal in every
            field) are taken from the earlier call. Pairs and seconds are of the whole session.

        Raises:
            Overloaded: If the scoring queue is full; nothing new was checked.
            VerifierError: If claims cannot be extracted or the model cannot be loaded. A model
                that fails while scoring does not raise: its claims come back ``Failed``.
        """
        call = self._shop.worker.submit(self._begin, text, tuple(annotations), final).result()
        call = _with(call, *self._score_blocking(call.asked))
        call = self._shop.worker.submit(self._rest, call).result()
        call = _with(call, *self._score_blocking(call.asked))
        call = self._shop.worker.submit(self._closer, call).result()
        call = _with(call, *self._score_blocking(call.asked))
        return self._shop.worker.submit(self._conclude, call).result()

    async def aassess(
        self, text: str, *, annotations: Sequence[Citation] = (), final: bool = False
    ) -> Verification:
        """As :meth:`assess`, without blocking the event loop. Cancelling it drops its work."""
        notes = tuple(annotations)
        begun = await self._on_worker(lambda: self._begin(text, notes, final))
        first = _with(begun, *await self._score(begun.asked))
        rest = await self._on_worker(lambda: self._rest(first))
        read = _with(rest, *await self._score(rest.asked))
        closer = await self._on_worker(lambda: self._closer(read))
        call = _with(closer, *await self._score(closer.asked))
        return await self._on_worker(lambda: self._conclude(call))

    async def _on_worker(self, work: Callable[[], _T]) -> _T:
        return await asyncio.wrap_future(self._shop.worker.submit(work))

    def _score_blocking(
        self, pairs: tuple[Pair, ...]
    ) -> tuple[Sequence[NLIProbs | Failed], ScoreResult | None]:
        if not pairs:
            return [], None
        try:
            result = self._submit(pairs).result()
        except (BackendFailed, InputTooLong) as error:
            return [failure(error)] * len(pairs), None
        return result.probs, result

    async def _score(
        self, pairs: tuple[Pair, ...]
    ) -> tuple[Sequence[NLIProbs | Failed], ScoreResult | None]:
        if not pairs:
            return [], None
        try:
            result = await asyncio.wrap_future(self._submit(pairs))
        except (BackendFailed, InputTooLong) as error:
            return [failure(error)] * len(pairs), None
        return result.probs, result

    def _submit(self, pairs: tuple[Pair, ...]) -> Future[ScoreResult]:
        return self._shop.engine.submit(pairs)

    # ------------------------------------------------------------------ on the worker thread

    def _ready(self) -> None:
        begun = self._shop.clock()
        if self._memo is None:
            self._memo = Memo()
        # Loads the pipeline: an answer of one word is enough.
        self._extract(self._question or "Yes.", ())
        parsed = self._shop.clock()
        self._evidence.prepare()
        self._spend(claims=parsed - begun, evidence=self._shop.clock() - parsed)

    def _begin(self, text: str, annotations: tuple[Citation, ...], final: bool) -> _Call:  # noqa: FBT001
        clock = self._shop.clock
        begun = clock()
        if not final and self._memo is None:
            self._memo = Memo()
        claims = self._extract(text, annotations)
        split = clock()
        known: dict[int, Assessment] = {}
        new: list[Claim] = []
        for place, claim in enumerate(claims):
            found = self._known(place, claim)
            if found is None or (final and isinstance(found.outcome, Failed)):
                new.append(claim)
            else:
                known[place] = found
        evidence = self._evidence
        evidence.count([claim.hypothesis for claim in new if claim.checkworthy])
        planned = plan(
            new, select=evidence.select, verbatim=verbatim, has_evidence=bool(evidence.sources)
        )
        scoring = clock()
        self._spend(claims=split - begun, evidence=scoring - split)
        first = [planned.pairs[place] for place in opening(planned, self._cascade)]
        return _Call(known, planned, self._unscored(first), begun, scoring, {})

    def _rest(self, call: _Call) -> _Call:
        """The call with what is left to score, once the best windows were read."""
        planned = call.planned
        scores = {
            place: self._score_of(call, planned.pairs[place])
            for place in opening(planned, self._cascade)
        }
        planned = settled_early(planned, scores, self._cascade)
        wanted = [
            planned.pairs[place]
            for item in planned.claims
            for place in item.places
            if place is not None and planned.pairs[place] not in call.answered
        ]
        return call._replace(planned=planned, asked=self._unscored(wanted))

    def _closer(self, call: _Call) -> _Call:
        """The call with the nearest sentences of windows that left a claim unsure."""
        planned = call.planned
        scores = {
            place: self._score_of(call, planned.pairs[place])
            for item in planned.claims
            for place in item.places
            if place is not None
        }
        settings = self._shop.settings
        made = looked_closer(
            planned,
            scores,
            narrow=self._evidence.narrow,
            between=(settings.unsure, settings.enough),
        )
        return call._replace(planned=made, asked=self._unscored(made.pairs[len(planned.pairs) :]))

    @property
    def _cascade(self) -> Cascade:
        settings = self._shop.settings
        return Cascade(settings.first, settings.enough)

    def _unscored(self, pairs: Sequence[Pair]) -> tuple[Pair, ...]:
        return tuple(dict.fromkeys(pair for pair in pairs if pair not in self._scores))

    def _score_of(self, call: _Call, pair: Pair) -> NLIProbs | Failed:
        return self._scores.get(pair) or call.answered[pair]

    def _conclude(self, call: _Call) -> Verification:
        clock = self._shop.clock
        scored = clock()
        answered, planned = call.answered, call.planned
        read = {p for item in planned.claims for p in item.places if p is not None}
        unread = Failed("GR100", "the pair was not read")  # of windows that were left out: unused
        new = iter(
            finish(
                planned,
                [
                    self._score_of(call, pair) if place in read else unread
                    for place, pair in enumerate(planned.pairs)
                ],
                narrow=self._evidence.narrow,
                check_values=check_values,
            )
        )
        total = len(call.known) + len(call.planned.claims)
        assessments = tuple(call.known.get(i) or next(new) for i in range(total))
        if self._memo is not None:
            self._scores.update((p, s) for p, s in answered.items() if not isinstance(s, Failed))
            # The latest text is what counts: claims it no longer makes are forgotten.
            self._last = assessments
        self._pairs += len(read)
        self._scored += call.scored
        done = clock()
        self._spend(nli=scored - call.scoring, values=done - scored, total=done - call.began)
        return Verification(
            assessments=assessments,
            model=self._shop.engine.info if self._pairs else None,
            pairs=self._pairs,
            pairs_scored=self._scored,
            seconds=dict(self._seconds),
        )

    def _known(self, place: int, claim: Claim) -> Assessment | None:
        """What the last call found out about a claim. Ids count claims: equal ones keep place."""
        known = self._last[place] if place < len(self._last) else None
        if known is None or not (known.claim is claim or known.claim == claim):
            return None
        return known

    def _spend(self, **seconds: float) -> None:
        for stage, spent in seconds.items():
            self._seconds[stage] += spent

    def _extract(self, text: str, annotations: tuple[Citation, ...]) -> tuple[Claim, ...]:
        return self._shop.extractor.extract(
            text,
            question=self._question,
            sources=self._all,
            annotations=annotations,
            memo=self._memo,
        )


def _with(call: _Call, scores: Sequence[NLIProbs | Failed], result: ScoreResult | None) -> _Call:
    """The call with the scores of what it asked."""
    answered = {**call.answered, **dict(zip(call.asked, scores, strict=True))}
    more = result.scored if result else 0
    return call._replace(answered=answered, asked=(), scored=call.scored + more)
