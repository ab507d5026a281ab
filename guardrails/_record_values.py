"""The values a record takes from a report as they are, made fit for JSON.

Imported by :mod:`guardrails._record_build` alone.
"""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING, Any

from guardrails import _record_base as b
from guardrails import _record_models as m
from verifiers.types import Basis

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guardrails.report import Failure, Usage
    from policies.types import ClaimDecision, Decision
    from verifiers.types import ModelInfo, NLIProbs, Span


def clean(text: str) -> str:
    """JSON text cannot carry lone surrogates; an id that has one is written escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def clean_opt(text: str | None) -> str | None:
    return None if text is None else clean(text)


def score(value: float) -> float:
    """JSON has no NaN. What is no probability stays none, on the same side of every threshold."""
    if math.isfinite(value):
        return value
    return 2.0 if value > 0 else -1.0


def measure(value: float) -> float:
    """Likewise for seconds and money: what is no number has used up every limit."""
    if math.isfinite(value):
        return value
    return -sys.float_info.max if value < 0 else sys.float_info.max


def seconds(seconds: Mapping[str, float]) -> dict[str, float]:
    return {stage: measure(value) for stage, value in seconds.items()}


def span(span: Span) -> tuple[int, int]:
    return (span.start, span.end)


def probs(probs: NLIProbs) -> tuple[float, float, float]:
    return (score(probs.entailment), score(probs.neutral), score(probs.contradiction))


def usage(usage: Usage) -> b.UsageRecord:
    return b.UsageRecord(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cost_usd=None if usage.cost_usd is None else measure(usage.cost_usd),
    )


def failure(failure: Failure | None) -> b.FailureRecord | None:
    if failure is None:
        return None
    return b.FailureRecord(
        code=failure.code,
        kind=failure.kind,
        message=clean(failure.message),
        status=failure.status,
    )


def model(info: ModelInfo | None) -> m.ModelRecord | None:
    if info is None:
        return None
    return m.ModelRecord(
        name=clean(info.name),
        revision=clean(info.revision),
        backend=info.backend,
        max_tokens=info.max_tokens,
        calibration=info.calibration,
        form=info.form,
        labels=tuple(clean(label) for label in info.labels),
    )


def decision(decision: Decision | None) -> m.DecisionRecord | None:
    if decision is None:
        return None
    return m.DecisionRecord(
        action=decision.action,
        verdicts=tuple(_verdict(claim) for claim in decision.claims),
        hits=tuple(
            m.HitRecord(
                rule=clean(hit.rule),
                action=hit.action,
                message=clean(hit.message),
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
        basis=getattr(verdict, "basis", Basis.EVIDENCE),
        action=entry.action,
        rule=clean(entry.rule),
    )


def loose_json(value: Any) -> str:
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
