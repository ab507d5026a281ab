"""What has to be read to check one answer, and what the readings mean. Pure.

:func:`plan` turns claims and windows into the pairs a model must score; :func:`finish` turns the
scores into assessments. Neither scores anything, so both are tested without a model, and the
sync and the async driver in :mod:`verifiers.pipeline` share every rule.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from verifiers.types import (
    Assessment,
    CitationScore,
    Claim,
    ClaimKind,
    Coverage,
    Failed,
    NLIProbs,
    NoEvidence,
    Pair,
    Scored,
    Skipped,
    Span,
    Verification,
    Window,
    WindowScore,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from verifiers.errors import VerifierError
    from verifiers.types import EvidenceSpan, Outcome, ValueMismatch

    Narrow = Callable[[Window, str, Span | None], EvidenceSpan]
    CheckValues = Callable[[Claim, Window], Iterable[ValueMismatch]]
    Verbatim = Callable[[Claim, Window], bool]
    Select = Callable[[Claim], "Reading | Failed"]


@dataclass(frozen=True, slots=True)
class Reading:
    """The windows one claim is checked against, and how many there were."""

    windows: tuple[Window, ...]
    coverage: Coverage


@dataclass(frozen=True, slots=True)
class ClaimPlan:
    """One claim, what will be read for it, and where its scores will stand.

    Attributes:
        settled: The outcome when nothing has to be read, else None.
        places: For each window, the index of its pair in ``Plan.pairs``, or None when the window
            holds the claim word for word and no model is asked.
    """

    claim: Claim
    reading: Reading | None
    settled: Outcome | None
    places: tuple[int | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Every claim of an answer with the pairs they ask for together."""

    claims: tuple[ClaimPlan, ...]
    pairs: tuple[Pair, ...]
    seconds: dict[str, float] = field(default_factory=dict)


# A window that says the claim word for word needs no model. Not quite 1: what stands around the
# sentence may still change its meaning, which the exact match looks for but cannot rule out.
VERBATIM = NLIProbs(0.99, 0.01, 0.0)


def plan(
    claims: Sequence[Claim], *, select: Select, verbatim: Verbatim, has_evidence: bool
) -> Plan:
    """The pairs to score for ``claims``.

    Args:
        claims: In the order of the answer.
        select: Gives the windows to read for a claim, or why none of them can be.
        verbatim: Whether a window says a claim word for word. The claim's other windows are read
            all the same: one of them may contradict it.
        has_evidence: Whether there is any source with text.
    """
    planned: list[ClaimPlan] = []
    pairs: list[Pair] = []
    for claim in claims:
        if claim.skip is not None:
            planned.append(ClaimPlan(claim, None, Skipped(claim.skip)))
            continue
        if not has_evidence:
            planned.append(ClaimPlan(claim, None, NoEvidence("there is no source to read")))
            continue
        reading = select(claim)
        if isinstance(reading, Failed):
            planned.append(ClaimPlan(claim, None, reading))
            continue
        places: list[int | None] = []
        for window in reading.windows:
            if verbatim(claim, window):
                places.append(None)
            else:
                places.append(len(pairs))
                pairs.append(Pair(window.text, claim.hypothesis))
        planned.append(ClaimPlan(claim, reading, None, tuple(places)))
    return Plan(tuple(planned), tuple(pairs))


class Cascade(NamedTuple):
    """When reading may stop early: the best windows first, the rest only where it can matter.

    Attributes:
        first: Windows of a claim that are read first, best by rank.
        enough: Entailment by one of them from which the rest are left unread.
        calm: Contradiction from which they are read all the same: sources may disagree.
    """

    first: int
    enough: float
    calm: float = 0.5


def opening(plan: Plan, cascade: Cascade) -> list[int]:
    """The places of the pairs to score first, ascending.

    A claim that cites is read whole: whether its own source supports it is asked besides.
    """
    places: set[int] = set()
    for item in plan.claims:
        upto = len(item.places) if item.claim.citations else cascade.first
        places.update(place for place in item.places[:upto] if place is not None)
    return sorted(places)


def settled_early(plan: Plan, scores: Mapping[int, NLIProbs | Failed], cascade: Cascade) -> Plan:
    """The plan without the windows that need not be read, given the scores of the first.

    Args:
        plan: What was to be read. Its pairs stay as they are.
        scores: By place, those of :func:`opening`.
        cascade: When the rest is left unread.
    """
    return Plan(
        tuple(_shortened(item, scores, cascade) for item in plan.claims), plan.pairs, plan.seconds
    )


def _shortened(
    item: ClaimPlan, scores: Mapping[int, NLIProbs | Failed], cascade: Cascade
) -> ClaimPlan:
    first, reading = cascade.first, item.reading
    if reading is None or item.claim.citations or len(item.places) <= first:
        return item
    read = [VERBATIM if place is None else scores[place] for place in item.places[:first]]
    good = [probs for probs in read if isinstance(probs, NLIProbs)]
    if len(good) < len(read) or any(probs.contradiction >= cascade.calm for probs in good):
        return item
    if not any(probs.entailment >= cascade.enough for probs in good):
        return item
    windows = reading.windows[:first]
    coverage = replace(
        reading.coverage,
        windows_read=len(windows),
        sources_read=len({window.source_id for window in windows}),
    )
    return replace(item, reading=Reading(windows, coverage), places=item.places[:first])


def looked_closer(
    plan: Plan,
    scores: Mapping[int, NLIProbs | Failed],
    *,
    narrow: Narrow,
    between: tuple[float, float],
) -> Plan:
    """The plan with, for each claim that no window quite supports, one more passage to read.

    What stands around the sentences that bear a claim out makes a model less sure of it. So where
    the best window's entailment is unsure, the sentences of that window nearest to the claim are
    read alone, too. They are part of a window that was read, so coverage stays as it is.

    Args:
        plan: What was read so far.
        scores: By place, those of all windows of ``plan``.
        narrow: Finds the sentences of a window nearest to a text.
        between: From which best entailment on, and below which.
    """
    pairs = list(plan.pairs)
    claims = []
    for item in plan.claims:
        passage = _nearest(item, scores, narrow, between)
        if passage is None or item.reading is None:
            claims.append(item)
            continue
        reading = replace(item.reading, windows=(*item.reading.windows, passage))
        claims.append(replace(item, reading=reading, places=(*item.places, len(pairs))))
        pairs.append(Pair(passage.text, item.claim.hypothesis))
    return Plan(tuple(claims), tuple(pairs), plan.seconds)


def _nearest(
    item: ClaimPlan,
    scores: Mapping[int, NLIProbs | Failed],
    narrow: Narrow,
    between: tuple[float, float],
) -> Window | None:
    if item.reading is None or not item.places:
        return None
    read = [VERBATIM if place is None else scores[place] for place in item.places]
    good = [probs for probs in read if isinstance(probs, NLIProbs)]
    if len(good) < len(read):
        return None  # the claim has failed as it is
    best = max(range(len(good)), key=lambda place: good[place].entailment)
    least, enough = between
    if not least <= good[best].entailment < enough:
        return None
    window = item.reading.windows[best]
    near = narrow(window, item.claim.hypothesis, None)
    if near.text.strip() == window.text.strip():
        return None
    return Window(window.source_id, window.index, near.span, near.text)


# A window with less entailment than this supports at no sensible threshold, so its values are
# not compared; the best window's always are.
LEAST_SUPPORT = 0.05


def finish(
    plan: Plan,
    scores: Sequence[NLIProbs | Failed],
    *,
    narrow: Narrow,
    check_values: CheckValues,
) -> tuple[Assessment, ...]:
    """What the scores say of each claim, in the order of the answer.

    One window is enough to support a claim and one is enough to contradict it, so the best of
    each is kept; more evidence never makes a true claim look false. A window that could not be
    scored fails its claim, whatever the others said: it might have held the contradiction.

    Args:
        plan: What was asked.
        scores: One a pair of ``plan.pairs``, in order.
        narrow: Finds the sentences of a window nearest to a text, or those around a place in the
            source when one is given.
        check_values: Compares the values of a claim with those of a window that supports it.

    Raises:
        ValueError: If there is not one score a pair.
    """
    if len(scores) != len(plan.pairs):
        raise ValueError(f"{len(scores)} scores for {len(plan.pairs)} pairs")
    return tuple(
        _assess(
            item,
            [VERBATIM if place is None else scores[place] for place in item.places],
            narrow,
            check_values,
        )
        for item in plan.claims
    )


def _assess(
    item: ClaimPlan,
    scores: Sequence[NLIProbs | Failed],
    narrow: Narrow,
    check_values: CheckValues,
) -> Assessment:
    claim = item.claim
    if item.settled is not None or item.reading is None:
        settled = item.settled or Failed("GR100", "a claim was planned without evidence to read")
        return Assessment(claim, settled, _unscored_citations(claim))
    failed = next((score for score in scores if isinstance(score, Failed)), None)
    if failed is not None:
        return Assessment(claim, failed, _unscored_citations(claim))
    read = [
        WindowScore(window.source_id, window.span, score)
        for window, score in zip(item.reading.windows, scores, strict=True)
        if isinstance(score, NLIProbs)
    ]
    for_it = max(range(len(read)), key=lambda i: read[i].probs.entailment)
    against = max(range(len(read)), key=lambda i: read[i].probs.contradiction)
    windows = item.reading.windows
    compared = [
        window
        for i, window in enumerate(windows)
        if i == for_it or read[i].probs.entailment >= LEAST_SUPPORT
    ]
    found = _unique(m for window in compared for m in check_values(claim, window))
    # The sentence with the value that differs says more than the one with the most words alike.
    place = next((m.evidence.span for m in found if _inside(m, windows[against])), None)
    best = narrow(windows[for_it], claim.hypothesis, None)
    worst = (
        best
        if against == for_it and place is None
        else narrow(windows[against], claim.hypothesis, place)
    )
    outcome = Scored(
        support=read[for_it].probs.entailment,
        contradiction=read[against].probs.contradiction,
        best_support=best,
        best_contradiction=worst,
        coverage=item.reading.coverage,
        mismatches=found,
        windows=tuple(read),
    )
    return Assessment(claim, outcome, _scored_citations(claim, read))


def _inside(mismatch: ValueMismatch, window: Window) -> bool:
    evidence = mismatch.evidence
    return evidence.source_id == window.source_id and window.span.contains(evidence.span)


def _unique(found: Iterable[ValueMismatch]) -> tuple[ValueMismatch, ...]:
    # Windows overlap, so the same difference is found in two of them.
    return tuple(dict.fromkeys(found))


def _unscored_citations(claim: Claim) -> tuple[CitationScore, ...]:
    return tuple(CitationScore(citation, None) for citation in claim.citations)


def _scored_citations(claim: Claim, read: Sequence[WindowScore]) -> tuple[CitationScore, ...]:
    return tuple(
        CitationScore(
            citation,
            max(
                (w.probs.entailment for w in read if w.source_id == citation.source_id),
                default=None,
            ),
        )
        for citation in claim.citations
    )


def failure(error: VerifierError) -> Failed:
    """An error as the outcome of a claim."""
    return Failed(error.code, error.message)


def failed_verification(answer: str, error: VerifierError) -> Verification:
    """What to report when an answer could not be looked at at all.

    One claim that spans the whole answer, with ``error`` as its outcome, so that the policy's
    rule for errors applies and nothing reads as clean. No claim when the answer is empty.
    """
    if not answer:
        return Verification(assessments=(), model=None)
    span = Span(0, len(answer))
    claim = Claim(
        id="c1",
        span=span,
        text=answer,
        kind=ClaimKind.SENTENCE,
        sentence=span,
        hypothesis=answer,
    )
    return Verification(assessments=(Assessment(claim, failure(error)),), model=None)
