"""From a report to a record, and from a record back to assessments.

Imported through :mod:`guardrails.record`. Everything the decision reads goes into the record as
it is; every text goes in as a digest and, where asked, into the texts beside it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pydantic import ValidationError

from guardrails import _record_base as b
from guardrails import _record_models as m
from guardrails import _record_second_build as s
from guardrails import _record_values as v
from guardrails.digests import Digester
from guardrails.errors import RecordInvalid
from verifiers.types import (
    Assessment,
    Failed,
    NoEvidence,
    Scored,
    Skipped,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guardrails.report import Attempt, Report, RequestInfo
    from verifiers.types import (
        Citation,
        CitationScore,
        Claim,
        EvidenceSpan,
        Outcome,
        Source,
        ValueMismatch,
        Verification,
    )


class PolicyLike(Protocol):
    """What a record needs of a policy."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def digest(self) -> str:
        """Its digest, as decisions carry it."""
        ...

    def canonical_json(self) -> str:
        """All of it, loadable again."""
        ...


class Built(NamedTuple):
    """A record, and the texts to store beside it: digest to text, empty where not configured."""

    record: m.Record
    texts: dict[str, str]


def build_record(
    report: Report,
    *,
    request: RequestInfo,
    policy: PolicyLike,
    store_text: bool = False,
    store_sources: bool = True,
    key: bytes | None = None,
    version: str | None = None,
) -> Built:
    """The record of one report.

    Args:
        report: What was found and done.
        request: What was asked.
        policy: The policy ``report.decision`` was made under; kept whole.
        store_text: Also return the texts behind the digests.
        store_sources: With ``store_text``, also the whole sources; without, only the evidence.
        key: Makes the digests unguessable; see :mod:`guardrails.digests`.
        version: The release named in the record; the installed one by default.

    Raises:
        RecordInvalid: If the report holds what a record cannot. A score that is no number is kept
            as -1 or 2, which no policy reads as a probability.
    """
    builder = _Builder(Digester(key), store_sources=store_sources)
    try:
        record = builder.record(
            report, request, policy, version=version or _installed(), store_text=store_text
        )
    except ValidationError as error:
        places = sorted({".".join(map(str, e["loc"])) for e in error.errors(include_input=False)})
        raise RecordInvalid(
            f"the report cannot be recorded; unusable: {', '.join(places)}; no record was made",
            hint="Please report this with the places named.",
        ) from None  # the original quotes values, which may be user text
    return Built(record, builder.texts if store_text else {})


@cache
def _installed() -> str:
    try:
        return metadata.version("groundrail")
    except metadata.PackageNotFoundError:
        return "unknown"


@dataclass(slots=True)
class _Builder:
    digester: Digester
    store_sources: bool
    texts: dict[str, str] = field(default_factory=dict)

    def keep(self, text: str) -> str:
        digest = self.digester(text)
        self.texts[digest] = text
        return digest

    def keep_opt(self, text: str | None) -> str | None:
        return None if text is None else self.keep(text)

    def ref(self, text: str) -> b.TextRef:
        return b.TextRef(digest=self.keep(text), length=len(text))

    def ref_opt(self, text: str | None) -> b.TextRef | None:
        return None if text is None else self.ref(text)

    def record(
        self,
        report: Report,
        request: RequestInfo,
        policy: PolicyLike,
        *,
        version: str,
        store_text: bool,
    ) -> m.Record:
        return m.Record(
            id=report.record_id,
            call_id=report.call_id,
            choice=report.choice,
            created=report.started,
            groundrail=version,
            entry=request.entry,
            route=v.clean_opt(report.decision.route),
            request=self.request(request),
            question=self.ref_opt(report.question),
            sources=tuple(self.source(source) for source in report.sources),
            attempts=tuple(self.attempt(attempt) for attempt in report.attempts),
            answered=report.answered,
            action=report.action,
            disposition=report.disposition,
            delivered=self.ref(report.text),
            removed=tuple(v.span(span) for span in report.removed),
            policy=m.PolicyRecord(
                name=v.clean(policy.name),
                digest=policy.digest,
                body=json.loads(policy.canonical_json()),
            ),
            usage=v.usage(report.usage),
            seconds=v.seconds(report.seconds),
            review_id=report.review_id,
            notes=tuple(v.clean(note) for note in report.notes),
            text_stored=store_text,
        )

    def request(self, request: RequestInfo) -> m.RequestRecord:
        return m.RequestRecord(
            model=v.clean_opt(request.model),
            params=self.digester(v.loose_json(dict(request.params))),
            messages=tuple(self.message(message) for message in request.messages),
            metadata={v.clean(key): v.clean(value) for key, value in request.metadata.items()},
        )

    def message(self, message: Mapping[str, Any]) -> m.MessageRecord:
        content = message.get("content")
        if isinstance(content, str) and message.keys() <= {"role", "content"}:
            text = content
        else:
            text = v.loose_json(dict(message))
        return m.MessageRecord(
            role=v.clean(str(message.get("role", ""))), digest=self.keep(text), length=len(text)
        )

    def source(self, source: Source) -> m.SourceRecord:
        keep = self.keep if self.store_sources else self.digester
        return m.SourceRecord(
            id=v.clean(source.id),
            digest=keep(source.text),
            length=len(source.text),
            origin=source.origin,
            trust=source.trust,
            title=self.keep_opt(source.title),
            uri=self.keep_opt(source.uri),
            timestamp=source.timestamp,
        )

    def attempt(self, attempt: Attempt) -> m.AttemptRecord:
        return m.AttemptRecord(
            number=attempt.number,
            answer=self.ref(attempt.answer),
            feedback=self.ref_opt(attempt.feedback),
            model=v.clean_opt(attempt.model),
            response_id=v.clean_opt(attempt.response_id),
            finish_reason=v.clean_opt(attempt.finish_reason),
            tool_calls=attempt.tool_calls,
            facts=m.FactsRecord(
                empty=attempt.facts.empty,
                tool_calls=attempt.facts.tool_calls,
                refused=attempt.facts.refused,
                cut=attempt.facts.cut,
                has_evidence=attempt.facts.has_evidence,
            ),
            spent=m.SpentRecord(
                attempts=attempt.spent.attempts,
                seconds=v.measure(attempt.spent.seconds),
                cost_usd=None
                if attempt.spent.cost_usd is None
                else v.measure(attempt.spent.cost_usd),
            ),
            can_regenerate=attempt.can_regenerate,
            verification=self.verification(attempt.verification),
            decision=v.decision(attempt.decision),
            failure=v.failure(attempt.failure),
            usage=v.usage(attempt.usage),
            seconds=v.seconds(attempt.seconds),
            logprob=s.number(attempt.logprob),
            sampling=s.sampling(attempt.sampling, self.keep),
            judging=s.judging(attempt.judging),
            stream=None
            if attempt.stream is None
            else m.StreamRecord(
                whole=attempt.stream.whole,
                released=attempt.stream.released,
                checks=attempt.stream.checks,
                first_seconds=attempt.stream.first_seconds,
                longest_hold_seconds=attempt.stream.longest_hold_seconds,
            ),
        )

    def verification(self, found: Verification | None) -> m.VerificationRecord | None:
        if found is None:
            return None
        return m.VerificationRecord(
            model=v.model(found.model),
            pairs=found.pairs,
            pairs_scored=found.pairs_scored,
            seconds=v.seconds(found.seconds),
            assessments=tuple(self.assessment(item) for item in found.assessments),
        )

    def assessment(self, found: Assessment) -> m.AssessmentRecord:
        return m.AssessmentRecord(
            claim=self.claim(found.claim),
            result=self.outcome(found.outcome),
            citations=tuple(self.citation_score(score) for score in found.citations),
            consistency=s.consistency(found.consistency),
            judgement=s.judgement(found.judgement, self.evidence),
        )

    def claim(self, claim: Claim) -> m.ClaimRecord:
        return m.ClaimRecord(
            id=claim.id,
            span=v.span(claim.span),
            kind=claim.kind,
            sentence=v.span(claim.sentence),
            text=self.keep(claim.text),
            hypothesis=self.keep(claim.hypothesis),
            facets=tuple(sorted(claim.facets)),
            skip=claim.skip,
            citations=tuple(self.citation(citation) for citation in claim.citations),
        )

    def citation(self, citation: Citation) -> m.CitationRecord:
        return m.CitationRecord(
            span=v.span(citation.span),
            marker=self.keep(citation.marker),
            target=self.keep(citation.target),
            source=v.clean_opt(citation.source_id),
        )

    def citation_score(self, score: CitationScore) -> m.CitationScoreRecord:
        return m.CitationScoreRecord(
            citation=self.citation(score.citation),
            support=None if score.support is None else v.score(score.support),
        )

    def outcome(self, outcome: Outcome) -> m.OutcomeRecord:
        match outcome:
            case Scored():
                return m.ScoredRecord(
                    support=v.score(outcome.support),
                    contradiction=v.score(outcome.contradiction),
                    best_support=self.evidence(outcome.best_support),
                    best_contradiction=self.evidence(outcome.best_contradiction),
                    coverage=b.CoverageRecord(
                        windows_read=outcome.coverage.windows_read,
                        windows_total=outcome.coverage.windows_total,
                        sources_read=outcome.coverage.sources_read,
                        sources_total=outcome.coverage.sources_total,
                    ),
                    mismatches=tuple(self.mismatch(item) for item in outcome.mismatches),
                    windows=tuple(
                        m.WindowRecord(
                            source=v.clean(window.source_id),
                            span=v.span(window.window),
                            probs=v.probs(window.probs),
                        )
                        for window in outcome.windows
                    ),
                )
            case NoEvidence():
                return m.NoEvidenceRecord(reason=v.clean(outcome.reason))
            case Skipped():
                return m.SkippedRecord(reason=outcome.reason)
            case Failed():
                return b.FailedRecord(code=v.clean(outcome.code), cause=v.clean(outcome.cause))

    def evidence(self, evidence: EvidenceSpan) -> b.EvidenceRecord:
        return b.EvidenceRecord(
            source=v.clean(evidence.source_id),
            span=v.span(evidence.span),
            digest=self.keep(evidence.text),
        )

    def mismatch(self, mismatch: ValueMismatch) -> m.MismatchRecord:
        return m.MismatchRecord(
            kind=mismatch.kind,
            claim_span=v.span(mismatch.claim_span),
            evidence=self.evidence(mismatch.evidence),
            message=self.keep(mismatch.message),
        )
