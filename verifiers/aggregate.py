"""From what was found out about a claim to a verdict, by six named rules.

``passage supports``
    One passage whose entailment reaches ``thresholds.support`` is enough to support a claim.
    Other passages that say nothing do not weaken it.
``passage contradicts``
    One passage whose contradiction reaches ``thresholds.contradiction`` is enough to contradict
    it. When the two rules both speak, the verdict is ``contradicted`` with ``conflict`` set and
    both passages kept: scores are never averaged.
``value contradicts``
    A value that differs from the evidence (60 days against 30) lowers the support of the passage
    it stands in, by as much as training pairs say (:mod:`verifiers.values.learn`). Where too
    little is left, and such mismatches mostly were contradictions there, the claim is
    contradicted; else it is unsupported. A model easily calls two sentences alike that differ in
    one figure; arithmetic does not. The value layer never supports anything.
``nearest evidence``
    Otherwise the claim is unsupported, and the passage that came nearest is shown.
``samples agree``
    Only where no source could be read, or the sources left the claim in the grey zone the policy
    draws: samples of the same model's answer that support the claim make it ``supported``, samples
    that do not bear it out make it ``unsupported``, and anything between changes nothing. The
    verdict says that it rests on consistency, which is not truth. What a source decided stays.
``a judge quotes``
    Only where all this left a claim with evidence unsettled; see :mod:`verifiers.opinions`.

Every comparison is ``>=`` on the score as it came. Scores that are not probabilities, and
thresholds that are not, make a ``CheckError``: they never read as clean. Reasons hold scores and
counts and no text of the answer or the sources; the texts travel in the evidence spans.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from verifiers.errors import BackendFailed, VerifierError
from verifiers.opinions import unsettled_by, with_judgement
from verifiers.types import (
    Basis,
    CheckError,
    CitationStatus,
    Consistency,
    Contradicted,
    Failed,
    NoEvidence,
    NotCheckworthy,
    Scored,
    Skipped,
    Supported,
    Unsupported,
    Unverifiable,
)
from verifiers.values import value_contradicts, value_lowered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from verifiers.types import (
        Assessment,
        Claim,
        ConsistencyThresholds,
        Coverage,
        EvidenceSpan,
        JudgeThresholds,
        Span,
        Thresholds,
        ValueMismatch,
        Verdict,
    )


def judge(
    assessment: Assessment,
    thresholds: Thresholds,
    samples: ConsistencyThresholds | None = None,
    opinions: JudgeThresholds | None = None,
) -> Verdict:
    """The verdict on one claim. Pure, and total: it raises for no assessment.

    Args:
        assessment: What was found out, before any threshold.
        thresholds: Where the sources' scores become verdicts, each in (0, 1].
        samples: Where the samples' score does; None leaves samples out of it.
        opinions: How far a model that read the sources is believed; None leaves it out of it.
    """
    verdict = _judge_both(assessment, thresholds, samples)
    if opinions is None or assessment.judgement is None:
        return verdict
    return with_judgement(verdict, assessment.judgement, assessment.outcome, opinions)


def wants_judge(
    assessment: Assessment,
    thresholds: Thresholds,
    samples: ConsistencyThresholds | None,
    opinions: JudgeThresholds,
) -> bool:
    """Whether a judge could change the verdict: evidence was read, and it settled nothing."""
    return unsettled_by(_judge_both(assessment, thresholds, samples), opinions) is not None


def _judge_both(
    assessment: Assessment, thresholds: Thresholds, samples: ConsistencyThresholds | None
) -> Verdict:
    """By the sources, and where they leave it open by the samples."""
    verdict = _judge_sources(assessment, thresholds)
    if samples is None or assessment.consistency is None:
        return verdict
    unsettled = _unsettled(verdict, samples)
    if unsettled is None:
        return verdict
    if isinstance(assessment.consistency, Failed):
        return _unread(unsettled, assessment.consistency)
    return _judge_samples(unsettled, assessment.consistency, samples)


def wants_samples(
    assessment: Assessment, thresholds: Thresholds, samples: ConsistencyThresholds
) -> bool:
    """Whether samples could change the verdict: no source was read, or the reading is unsure."""
    return _unsettled(_judge_sources(assessment, thresholds), samples) is not None


def _judge_sources(assessment: Assessment, thresholds: Thresholds) -> Verdict:
    claim = assessment.claim
    match assessment.outcome:
        case Scored() as scored:
            return _judge_scored(assessment, scored, thresholds)
        case NoEvidence(reason=reason):
            return Unverifiable(claim, reason, citation_status(assessment, thresholds))
        case Skipped(reason=skip):
            return NotCheckworthy(claim, skip)
        case Failed(code=code, cause=cause):
            return CheckError(claim, code, cause)
        case outcome:
            assert_never(outcome)


def citation_status(assessment: Assessment, thresholds: Thresholds) -> CitationStatus:
    """Whether a source the claim cites carries it.

    ``cited`` when any source it names reaches ``thresholds.support``; ``miscited`` when it names
    some and none does, or none that we have; ``uncited`` when it names none.
    """
    scores = (score.support for score in assessment.citations)
    if any(support is not None and support >= thresholds.support for support in scores):
        return CitationStatus.CITED
    if assessment.citations or assessment.claim.citations:
        return CitationStatus.MISCITED
    return CitationStatus.UNCITED


def _judge_scored(assessment: Assessment, scored: Scored, at: Thresholds) -> Verdict:
    claim = assessment.claim
    if not (0.0 < at.support <= 1.0 and 0.0 < at.contradiction <= 1.0):
        reason = "The thresholds are not probabilities, so no verdict can be given."
        return CheckError(claim, VerifierError.code, reason)
    if not all(0.0 <= score <= 1.0 for score in _scores(assessment, scored)):
        reason = "The model returned a score that is not a probability; nothing was concluded."
        return CheckError(claim, BackendFailed.code, reason)

    citation = citation_status(assessment, at)
    supports = scored.support >= at.support
    contradicts = scored.contradiction >= at.contradiction
    partial = _partial(scored.coverage)

    if contradicts:
        mark = _against(scored.contradiction, at.contradiction, reached=True)
        reason = (
            f"One passage supports it ({_against(scored.support, at.support, reached=True)}) and "
            f"one contradicts it ({mark})."
            if supports
            else f"A passage contradicts it ({mark})."
        )
        return Contradicted(
            claim=claim,
            support=scored.support,
            contradiction=scored.contradiction,
            evidence=scored.best_contradiction,
            coverage=scored.coverage,
            reason=reason + partial,
            citation=citation,
            conflict=supports,
            supporting=scored.best_support if supports else None,
            mismatches=scored.mismatches,
        )
    differing = _judge_values(claim, scored, at, citation)
    if differing is not None:
        return differing
    if supports:
        return Supported(
            claim=claim,
            support=scored.support,
            contradiction=scored.contradiction,
            evidence=scored.best_support,
            coverage=scored.coverage,
            reason=f"A passage supports it ({_against(scored.support, at.support, reached=True)})."
            + partial,
            citation=citation,
        )
    mark = _against(scored.support, at.support, reached=False)
    return Unsupported(
        claim=claim,
        support=scored.support,
        contradiction=scored.contradiction,
        evidence=scored.best_support,
        coverage=scored.coverage,
        reason=f"No passage read supports it (best {mark}).{partial}",
        citation=citation,
    )


def _judge_values(
    claim: Claim, scored: Scored, at: Thresholds, citation: CitationStatus
) -> Contradicted | Unsupported | None:
    """What the values that differ leave of the verdict; None where they change nothing."""
    left = clean_support(scored)
    if not scored.mismatches or left >= at.support:
        return None
    supports = scored.support >= at.support
    differs = f"{_differing(scored.mismatches)} differs from the evidence"
    strong = next((m for m in scored.mismatches if value_contradicts(m.kind)), None)
    if strong is not None:
        mark = _against(scored.support, at.support, reached=supports)
        despite = f", close as the wording is ({mark})" if supports else ""
        return Contradicted(
            claim=claim,
            support=scored.support,
            contradiction=scored.contradiction,
            evidence=strong.evidence,
            coverage=scored.coverage,
            reason=f"{differs}{despite}.{_partial(scored.coverage)}",
            citation=citation,
            mismatches=scored.mismatches,
        )
    if not supports:
        return None
    mark = _against(left, at.support, reached=False)
    return Unsupported(
        claim=claim,
        support=left,
        contradiction=scored.contradiction,
        evidence=scored.best_support,
        coverage=scored.coverage,
        reason=f"{differs}, which leaves too little support (best {mark})."
        + _partial(scored.coverage),
        citation=citation,
    )


# What the samples may decide.
_Unsettled = Supported | Unsupported | Unverifiable


def _unsettled(verdict: Verdict, at: ConsistencyThresholds) -> _Unsettled | None:
    """The verdict of the sources where the rule *samples agree* may speak, else None."""
    match verdict:
        case Unverifiable():
            return verdict
        case Supported() | Unsupported():
            grey = at.grey is not None and at.grey[0] <= verdict.support < at.grey[1]
            return verdict if grey else None
        case Contradicted() | NotCheckworthy() | CheckError():
            return None
        case _:
            assert_never(verdict)


def _unread(verdict: _Unsettled, failed: Failed) -> Verdict:
    """A second look was wanted and could not be had: an error, unless the first one was bad."""
    if isinstance(verdict, Unsupported):
        why = f"{_sentence(verdict.reason)} Samples could not be read ({failed.code})."
        return replace(verdict, reason=why)
    return CheckError(verdict.claim, failed.code, failed.cause, Basis.CONSISTENCY)


def _judge_samples(verdict: _Unsettled, found: Consistency, at: ConsistencyThresholds) -> Verdict:
    claim = verdict.claim
    if not 0.0 <= at.unsupported <= at.support <= 1.0:
        reason = "The thresholds for samples are not probabilities in order; nothing was concluded."
        return CheckError(claim, VerifierError.code, reason, Basis.CONSISTENCY)
    if found.n < at.min_samples or found.score is None:
        why = f"{found.n} of the {at.min_samples} samples it takes could be read"
        return replace(verdict, reason=f"{_sentence(verdict.reason)} {why}{_unspoken(found)}.")
    score = found.score
    against = _weighted_against(found)
    if not (0.0 <= score <= 1.0 and 0.0 <= against <= 1.0):
        reason = "The samples have a score that is not a probability; nothing was concluded."
        return CheckError(claim, BackendFailed.code, reason, Basis.CONSISTENCY)
    counted = f"of {found.n} samples{_unspoken(found)}"
    supports = score >= at.support
    if not supports and score >= at.unsupported:
        low, high = (
            _against(score, at.unsupported, reached=True),
            _against(score, at.support, reached=False),
        )
        why = f"The agreement {counted} settles nothing ({low}, {high})."
        return replace(verdict, reason=f"{_sentence(verdict.reason)} {why}")
    mark = _against(score, at.support if supports else at.unsupported, reached=supports)
    told = (
        f"The agreement {counted} supports it ({mark})"
        if supports
        else f"The agreement {counted} does not bear it out ({mark})"
    )
    if not (at.may_raise if supports else at.may_lower):
        return replace(
            verdict, reason=f"{_sentence(verdict.reason)} {told}, which the policy lets be."
        )
    evidence: EvidenceSpan | None = None
    coverage, before = found.coverage, "No source was read."
    if not isinstance(verdict, Unverifiable):
        evidence, coverage = verdict.evidence, verdict.coverage
        before = f"The sources leave it unsure ({verdict.support:.2f})."
    return (Supported if supports else Unsupported)(
        claim=claim,
        support=score,
        contradiction=against,
        evidence=evidence,
        coverage=coverage,
        reason=f"{before} {told}; consistency is not truth.",
        citation=verdict.citation,
        basis=Basis.CONSISTENCY,
        consistency=found,
    )


def _weighted_against(found: Consistency) -> float:
    total = sum(sample.count for sample in found.samples)
    if not total:
        return 0.0
    return sum(sample.count * sample.against for sample in found.samples) / total


def _unspoken(found: Consistency) -> str:
    silent = [f"{found.refused} declined"] * bool(found.refused)
    silent += [f"{found.empty} empty"] * bool(found.empty)
    return f" ({', '.join(silent)})" if silent else ""


def _scores(assessment: Assessment, scored: Scored) -> Iterator[float]:
    yield scored.support
    yield scored.contradiction
    for window in scored.windows:
        yield from window.probs
    for citation in assessment.citations:
        if citation.support is not None:
            yield citation.support


def clean_support(scored: Scored) -> float:
    """The best support of a passage once the values that differ in it have had their say.

    Before any threshold, and never more than the model gave. Without the scores of single passages
    only the best one is known, and it decides.
    """
    if not scored.mismatches:
        return scored.support
    best = scored.best_support
    passages = [(w.source_id, w.window, w.probs.entailment) for w in scored.windows] or [
        (best.source_id, best.span, scored.support)
    ]
    return max(
        value_lowered(
            entailment,
            (m.kind for m in scored.mismatches if _stands_in(m, source_id, span)),
        )
        for source_id, span, entailment in passages
    )


def _stands_in(mismatch: ValueMismatch, source_id: str, span: Span) -> bool:
    return mismatch.evidence.source_id == source_id and mismatch.evidence.span.overlaps(span)


def _differing(mismatches: tuple[ValueMismatch, ...]) -> str:
    kinds = sorted({mismatch.kind.value for mismatch in mismatches})
    return f"A value ({', '.join(kinds)})"


def _partial(coverage: Coverage) -> str:
    if coverage.complete:
        return ""
    return (
        f" Only {coverage.windows_read} of {coverage.windows_total} windows of the evidence "
        "were read."
    )


def _against(score: float, threshold: float, *, reached: bool) -> str:
    # Two decimals unless they would hide which side of the threshold the score is on.
    decimals = 2
    while score != threshold and f"{score:.{decimals}f}" == f"{threshold:.{decimals}f}":
        decimals += 1
    return f"{score:.{decimals}f} {'>=' if reached else '<'} {threshold:.{decimals}f}"


def _sentence(reason: str) -> str:
    """With a full stop, so that another sentence can follow."""
    return reason if reason.endswith((".", "!", "?")) else f"{reason}."
