"""Deciding a record again. Imported through :mod:`guardrails.record`."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from guardrails import _record_base as b
from guardrails import _record_models as m
from guardrails import _record_second_build as s
from guardrails.errors import RecordInvalid
from policies.types import Action, AnswerFacts, Spent
from verifiers.types import (
    Assessment,
    Citation,
    CitationScore,
    Claim,
    Coverage,
    EvidenceSpan,
    Failed,
    ModelInfo,
    NLIProbs,
    NoEvidence,
    Outcome,
    Scored,
    Skipped,
    Span,
    ValueMismatch,
    WindowScore,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from policies.schema import Policy
    from policies.types import Decision

_NO_TEXTS: Mapping[str, str] = {}


def replay(record: m.Record) -> Action:
    """The action, worked out again from the recorded findings under the recorded policy.

    A call that failed refuses: there is nothing to deliver.

    Raises:
        RecordInvalid: If the embedded policy is none this release can read.
    """
    from policies.errors import PolicyError
    from policies.load import load_policy

    try:
        policy = load_policy(record.policy.body)
    except PolicyError as error:
        raise RecordInvalid(
            f"record {record.id}: the policy {record.policy.name!r} inside it cannot be read"
            f" ({error.code}); nothing was decided",
            hint=f"It was written by groundrail {record.groundrail}; replay it with that release,"
            " or decide it under a policy of this one with redecide().",
        ) from error
    decision = redecide(record, policy)
    return Action.REFUSE if decision is None else decision.action


def redecide(
    record: m.Record, policy: Policy, *, texts: Mapping[str, str] = _NO_TEXTS
) -> Decision | None:
    """The decision on the recorded findings under another policy.

    Args:
        record: The record.
        policy: What to decide by.
        texts: Texts by digest, for claims and evidence people can read. The decision does not
            depend on them.

    Returns:
        The settled decision on the attempt that was decided on, or None when the call failed.

    Raises:
        RouteUnknown: If ``policy`` names routes and the record's is none of them.
    """
    if record.failed:
        return None
    return redecide_attempt(record, record.answered, policy, texts=texts)


def redecide_attempt(
    record: m.Record, index: int, policy: Policy, *, texts: Mapping[str, str] = _NO_TEXTS
) -> Decision | None:
    """:func:`redecide` for any attempt, not only the last one decided on."""
    from policies.engine import decide, settle

    attempt = record.attempts[index]
    if attempt.verification is None:
        return None
    facts = AnswerFacts(
        empty=attempt.facts.empty,
        tool_calls=attempt.facts.tool_calls,
        refused=attempt.facts.refused,
        cut=attempt.facts.cut,
        has_evidence=attempt.facts.has_evidence,
    )
    spent = Spent(
        attempts=attempt.spent.attempts,
        seconds=attempt.spent.seconds,
        cost_usd=attempt.spent.cost_usd,
    )
    decision = decide(
        assessments_of(attempt.verification, texts),
        policy,
        route=record.route,
        facts=facts,
        whole=attempt.stream is None or attempt.stream.whole,
    )
    return settle(decision, policy, spent, can_regenerate=attempt.can_regenerate)


def assessments_of(
    verification: m.VerificationRecord, texts: Mapping[str, str] = _NO_TEXTS
) -> tuple[Assessment, ...]:
    """The recorded findings as the policy engine reads them; texts that are not there are ``""``.

    Spans, scores, kinds, facets and citations are exactly those of the time.
    """
    return tuple(
        Assessment(
            claim=_claim(item.claim, texts),
            outcome=_outcome(item.result, texts),
            citations=tuple(
                CitationScore(citation=_citation(score.citation, texts), support=score.support)
                for score in item.citations
            ),
            consistency=s.consistency_of(item.consistency),
            judgement=s.judgement_of(item.judgement, lambda found: _evidence(found, texts)),
        )
        for item in verification.assessments
    )


def model_of(verification: m.VerificationRecord) -> ModelInfo | None:
    """What produced the recorded scores."""
    info = verification.model
    if info is None:
        return None
    return ModelInfo(
        name=info.name,
        revision=info.revision,
        backend=info.backend,
        max_tokens=info.max_tokens,
        calibration=info.calibration,
        form=info.form,
        labels=info.labels,
    )


def _claim(claim: m.ClaimRecord, texts: Mapping[str, str]) -> Claim:
    return Claim(
        id=claim.id,
        span=Span(*claim.span),
        text=texts.get(claim.text, ""),
        kind=claim.kind,
        sentence=Span(*claim.sentence),
        hypothesis=texts.get(claim.hypothesis, ""),
        facets=frozenset(claim.facets),
        skip=claim.skip,
        citations=tuple(_citation(citation, texts) for citation in claim.citations),
    )


def _citation(citation: m.CitationRecord, texts: Mapping[str, str]) -> Citation:
    return Citation(
        span=Span(*citation.span),
        marker=texts.get(citation.marker, ""),
        target=texts.get(citation.target, ""),
        source_id=citation.source,
    )


def _evidence(evidence: b.EvidenceRecord, texts: Mapping[str, str]) -> EvidenceSpan:
    return EvidenceSpan(
        source_id=evidence.source,
        span=Span(*evidence.span),
        text=texts.get(evidence.digest, ""),
    )


def _outcome(result: m.OutcomeRecord, texts: Mapping[str, str]) -> Outcome:
    match result:
        case m.ScoredRecord():
            return Scored(
                support=result.support,
                contradiction=result.contradiction,
                best_support=_evidence(result.best_support, texts),
                best_contradiction=_evidence(result.best_contradiction, texts),
                coverage=Coverage(
                    windows_read=result.coverage.windows_read,
                    windows_total=result.coverage.windows_total,
                    sources_read=result.coverage.sources_read,
                    sources_total=result.coverage.sources_total,
                ),
                mismatches=tuple(
                    ValueMismatch(
                        kind=item.kind,
                        claim_span=Span(*item.claim_span),
                        evidence=_evidence(item.evidence, texts),
                        message=texts.get(
                            item.message, f"the {item.kind.value} differs from the source's"
                        ),
                    )
                    for item in result.mismatches
                ),
                windows=tuple(
                    WindowScore(
                        source_id=window.source,
                        window=Span(*window.span),
                        probs=NLIProbs(*window.probs),
                    )
                    for window in result.windows
                ),
            )
        case m.NoEvidenceRecord():
            return NoEvidence(reason=result.reason)
        case m.SkippedRecord():
            return Skipped(reason=result.reason)
        case b.FailedRecord():
            return Failed(code=result.code, cause=result.cause)
        case _:
            assert_never(result)
