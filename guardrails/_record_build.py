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

from guardrails import _record_models as m
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

    from guardrails.report import Attempt, Failure, Report, RequestInfo, Usage
    from policies.types import ClaimDecision, Decision
    from verifiers.types import (
        Citation,
        CitationScore,
        Claim,
        EvidenceSpan,
        ModelInfo,
        Outcome,
        Source,
        Span,
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
        RecordInvalid: If the report holds what a record cannot, such as a score that is no number.
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


def _clean(text: str) -> str:
    """JSON text cannot carry lone surrogates; an id that has one is written escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def _opt(text: str | None) -> str | None:
    return None if text is None else _clean(text)


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

    def ref(self, text: str) -> m.TextRef:
        return m.TextRef(digest=self.keep(text), length=len(text))

    def ref_opt(self, text: str | None) -> m.TextRef | None:
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
            route=_opt(report.decision.route),
            request=self.request(request),
            question=self.ref_opt(report.question),
            sources=tuple(self.source(source) for source in report.sources),
            attempts=tuple(self.attempt(attempt) for attempt in report.attempts),
            answered=report.answered,
            action=report.action,
            disposition=report.disposition,
            delivered=self.ref(report.text),
            removed=tuple(_span(span) for span in report.removed),
            policy=m.PolicyRecord(
                name=_clean(policy.name),
                digest=policy.digest,
                body=json.loads(policy.canonical_json()),
            ),
            usage=_usage(report.usage),
            seconds=dict(report.seconds),
            review_id=report.review_id,
            notes=tuple(_clean(note) for note in report.notes),
            text_stored=store_text,
        )

    def request(self, request: RequestInfo) -> m.RequestRecord:
        return m.RequestRecord(
            model=_opt(request.model),
            params=self.digester(_loose_json(dict(request.params))),
            messages=tuple(self.message(message) for message in request.messages),
            metadata={_clean(key): _clean(value) for key, value in request.metadata.items()},
        )

    def message(self, message: Mapping[str, Any]) -> m.MessageRecord:
        content = message.get("content")
        if isinstance(content, str) and message.keys() <= {"role", "content"}:
            text = content
        else:
            text = _loose_json(dict(message))
        return m.MessageRecord(
            role=_clean(str(message.get("role", ""))), digest=self.keep(text), length=len(text)
        )

    def source(self, source: Source) -> m.SourceRecord:
        keep = self.keep if self.store_sources else self.digester
        return m.SourceRecord(
            id=_clean(source.id),
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
            model=_opt(attempt.model),
            response_id=_opt(attempt.response_id),
            finish_reason=_opt(attempt.finish_reason),
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
                seconds=attempt.spent.seconds,
                cost_usd=attempt.spent.cost_usd,
            ),
            can_regenerate=attempt.can_regenerate,
            verification=self.verification(attempt.verification),
            decision=_decision(attempt.decision),
            failure=_failure(attempt.failure),
            usage=_usage(attempt.usage),
            seconds=dict(attempt.seconds),
        )

    def verification(self, found: Verification | None) -> m.VerificationRecord | None:
        if found is None:
            return None
        return m.VerificationRecord(
            model=_model(found.model),
            pairs=found.pairs,
            pairs_scored=found.pairs_scored,
            seconds=dict(found.seconds),
            assessments=tuple(self.assessment(item) for item in found.assessments),
        )

    def assessment(self, found: Assessment) -> m.AssessmentRecord:
        return m.AssessmentRecord(
            claim=self.claim(found.claim),
            result=self.outcome(found.outcome),
            citations=tuple(self.citation_score(score) for score in found.citations),
        )

    def claim(self, claim: Claim) -> m.ClaimRecord:
        return m.ClaimRecord(
            id=claim.id,
            span=_span(claim.span),
            kind=claim.kind,
            sentence=_span(claim.sentence),
            text=self.keep(claim.text),
            hypothesis=self.keep(claim.hypothesis),
            facets=tuple(sorted(claim.facets)),
            skip=claim.skip,
            citations=tuple(self.citation(citation) for citation in claim.citations),
        )

    def citation(self, citation: Citation) -> m.CitationRecord:
        return m.CitationRecord(
            span=_span(citation.span),
            marker=self.keep(citation.marker),
            target=self.keep(citation.target),
            source=_opt(citation.source_id),
        )

    def citation_score(self, score: CitationScore) -> m.CitationScoreRecord:
        return m.CitationScoreRecord(citation=self.citation(score.citation), support=score.support)

    def outcome(self, outcome: Outcome) -> m.OutcomeRecord:
        match outcome:
            case Scored():
                return m.ScoredRecord(
                    support=outcome.support,
                    contradiction=outcome.contradiction,
                    best_support=self.evidence(outcome.best_support),
                    best_contradiction=self.evidence(outcome.best_contradiction),
                    coverage=m.CoverageRecord(
                        windows_read=outcome.coverage.windows_read,
                        windows_total=outcome.coverage.windows_total,
                        sources_read=outcome.coverage.sources_read,
                        sources_total=outcome.coverage.sources_total,
                    ),
                    mismatches=tuple(self.mismatch(item) for item in outcome.mismatches),
                    windows=tuple(
                        m.WindowRecord(
                            source=_clean(window.source_id),
                            span=_span(window.window),
                            probs=tuple(window.probs),
                        )
                        for window in outcome.windows
                    ),
                )
            case NoEvidence():
                return m.NoEvidenceRecord(reason=_clean(outcome.reason))
            case Skipped():
                return m.SkippedRecord(reason=outcome.reason)
            case Failed():
                return m.FailedRecord(code=_clean(outcome.code), cause=_clean(outcome.cause))

    def evidence(self, evidence: EvidenceSpan) -> m.EvidenceRecord:
        return m.EvidenceRecord(
            source=_clean(evidence.source_id),
            span=_span(evidence.span),
            digest=self.keep(evidence.text),
        )

    def mismatch(self, mismatch: ValueMismatch) -> m.MismatchRecord:
        return m.MismatchRecord(
            kind=mismatch.kind,
            claim_span=_span(mismatch.claim_span),
            evidence=self.evidence(mismatch.evidence),
            message=self.keep(mismatch.message),
        )


def _span(span: Span) -> tuple[int, int]:
    return (span.start, span.end)


def _usage(usage: Usage) -> m.UsageRecord:
    return m.UsageRecord(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cost_usd=usage.cost_usd,
    )


def _failure(failure: Failure | None) -> m.FailureRecord | None:
    if failure is None:
        return None
    return m.FailureRecord(
        code=failure.code,
        kind=failure.kind,
        message=_clean(failure.message),
        status=failure.status,
    )


def _model(info: ModelInfo | None) -> m.ModelRecord | None:
    if info is None:
        return None
    return m.ModelRecord(
        name=_clean(info.name),
        revision=_clean(info.revision),
        backend=info.backend,
        max_tokens=info.max_tokens,
        calibration=info.calibration,
        form=info.form,
        labels=tuple(_clean(label) for label in info.labels),
    )


def _decision(decision: Decision | None) -> m.DecisionRecord | None:
    if decision is None:
        return None
    return m.DecisionRecord(
        action=decision.action,
        verdicts=tuple(_verdict(claim) for claim in decision.claims),
        hits=tuple(
            m.HitRecord(
                rule=_clean(hit.rule),
                action=hit.action,
                message=_clean(hit.message),
                claim=hit.claim_id,
            )
            for hit in decision.hits
        ),
    )


def _verdict(entry: ClaimDecision) -> m.VerdictRecord:
    verdict = entry.verdict
    return m.VerdictRecord(
        claim=verdict.claim.id,
        verdict=verdict.label,
        conflict=getattr(verdict, "conflict", False),
        citation=getattr(verdict, "citation", None),
        action=entry.action,
        rule=_clean(entry.rule),
    )


def _loose_json(value: Any) -> str:
    """JSON for digests of what applications pass: anything unknown stands in by its type.

    Never by its ``repr``, which would hold an address and so never digest the same twice.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_stand_in
    )


def _stand_in(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump(mode="json")
    return f"<{type(value).__module__}.{type(value).__qualname__}>"
