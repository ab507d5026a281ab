"""A report as plain data. Imported through :mod:`guardrails.report` alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from verifiers.types import (
    CheckError,
    Contradicted,
    NotCheckworthy,
    Supported,
    Unsupported,
    Unverifiable,
)

if TYPE_CHECKING:
    from guardrails.report import Attempt, Failure, Judging, Sampling, Usage
    from policies.types import ClaimDecision
    from verifiers.types import Consistency, EvidenceSpan, Source


def usage_dict(usage: Usage) -> dict[str, Any]:
    """Tokens and cost; null is unknown."""
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cost_usd": usage.cost_usd,
    }


def attempt_dict(attempt: Attempt) -> dict[str, Any]:
    """One attempt, its text included."""
    return {
        "number": attempt.number,
        "answer": attempt.answer,
        "action": attempt.decision.action.value if attempt.decision else None,
        "model": attempt.model,
        "response_id": attempt.response_id,
        "finish_reason": attempt.finish_reason,
        "tool_calls": attempt.tool_calls,
        "usage": usage_dict(attempt.usage),
        "seconds": dict(attempt.seconds),
        "failure": None if attempt.failure is None else _failure_dict(attempt.failure),
        "logprob": attempt.logprob,
        "sampling": None if attempt.sampling is None else _sampling_dict(attempt.sampling),
        "stream": None
        if attempt.stream is None
        else {
            "whole": attempt.stream.whole,
            "released": attempt.stream.released,
            "checks": attempt.stream.checks,
            "first_seconds": attempt.stream.first_seconds,
            "longest_hold_seconds": attempt.stream.longest_hold_seconds,
        },
        "judging": None if attempt.judging is None else _judging_dict(attempt.judging),
    }


def _failure_dict(failure: Failure) -> dict[str, Any]:
    return {
        "code": failure.code,
        "kind": failure.kind,
        "message": failure.message,
        "status": failure.status,
    }


def _sampling_dict(sampling: Sampling) -> dict[str, Any]:
    return {
        "scorer": sampling.scorer.value,
        "model": sampling.model,
        "claims": list(sampling.claims),
        "samples": [
            {"text": sample.text, "refused": sample.refused, "logprob": sample.logprob}
            for sample in sampling.samples
        ],
        "distinct": sampling.distinct,
        "stop": sampling.stop.value,
        "drawn": sampling.drawn,
        "calls": sampling.calls,
        "failures": [_failure_dict(failure) for failure in sampling.failures],
        "usage": usage_dict(sampling.usage),
        "cost_known": sampling.cost_known,
        "pairs": sampling.pairs,
        "pairs_scored": sampling.pairs_scored,
    }


def _judging_dict(judging: Judging) -> dict[str, Any]:
    return {
        "model": judging.model,
        "claims": list(judging.claims),
        "calls": judging.calls,
        "failures": [_failure_dict(failure) for failure in judging.failures],
        "usage": usage_dict(judging.usage),
        "cost_known": judging.cost_known,
    }


def _consistency_dict(found: Consistency | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "scorer": found.scorer.value,
        "score": found.score,
        "n": found.n,
        "distinct": found.distinct,
        "refused": found.refused,
        "empty": found.empty,
        "entropy": found.entropy,
    }


def _evidence_dict(evidence: EvidenceSpan | None) -> dict[str, Any] | None:
    if evidence is None:
        return None
    return {
        "source": evidence.source_id,
        "span": [evidence.span.start, evidence.span.end],
        "text": evidence.text,
    }


def claim_dict(entry: ClaimDecision) -> dict[str, Any]:
    """One claim with its verdict, evidence and action."""
    verdict = entry.verdict
    claim = verdict.claim
    out: dict[str, Any] = {
        "id": claim.id,
        "span": [claim.span.start, claim.span.end],
        "text": claim.text,
        "kind": claim.kind.value,
        "facets": sorted(facet.value for facet in claim.facets),
        "verdict": verdict.label,
        "action": entry.action.value,
        "rule": entry.rule,
    }
    match verdict:
        case Supported() | Contradicted() | Unsupported():
            out |= {
                "reason": verdict.reason,
                "basis": verdict.basis.value,
                "citation": verdict.citation.value,
                "support": verdict.support,
                "contradiction": verdict.contradiction,
                "consistency": _consistency_dict(getattr(verdict, "consistency", None)),
                "evidence": _evidence_dict(verdict.evidence),
                "coverage": {
                    "windows_read": verdict.coverage.windows_read,
                    "windows_total": verdict.coverage.windows_total,
                    "sources_read": verdict.coverage.sources_read,
                    "sources_total": verdict.coverage.sources_total,
                },
            }
            if isinstance(verdict, Contradicted):
                out |= {
                    "conflict": verdict.conflict,
                    "supporting": _evidence_dict(verdict.supporting),
                    "mismatches": [
                        {"kind": mismatch.kind.value, "message": mismatch.message}
                        for mismatch in verdict.mismatches
                    ],
                }
        case Unverifiable():
            out |= {"reason": verdict.reason, "citation": verdict.citation.value}
        case NotCheckworthy():
            out |= {"reason": verdict.reason.value}
        case CheckError():
            out |= {"reason": verdict.reason, "code": verdict.code}
    return out


def source_dict(source: Source) -> dict[str, Any]:
    """A source, without its text."""
    return {
        "id": source.id,
        "title": source.title,
        "uri": source.uri,
        "origin": source.origin.value,
        "trust": source.trust.value,
        "timestamp": source.timestamp.isoformat() if source.timestamp else None,
        "characters": len(source.text),
    }
